// SPDX-License-Identifier: GPL-2.0-only
/** Making a kernel: configuration, memory, symbols, BTF, and what the subsystems hang on it. */
import { gzipSync } from "node:zlib";
import { abi_of } from "../arch/abis.ts";
import { ENOENT } from "../include/uapi/asm-generic/errno.ts";
import { BTF_KIND_DATASEC, BTF_KIND_FUNC, BTF_KIND_VAR } from "../include/uapi/linux/btf.ts";
import { BpfState } from "./bpf/bpf_state.ts";
import {
	BTF_INFO_KIND,
	btf_find_by_name_kind,
	btf_name_by_offset,
	btf_nr_types,
	btf_parse_module,
	btf_parse_vmlinux,
	btf_resolve_size,
	btf_type_by_id,
	btf_type_var_secinfo,
} from "./bpf/btf.ts";
import type { btf } from "./bpf/btf_types.ts";
import { StateEmbedding } from "./bpf/embed.ts";
import { register_helpers } from "./bpf/helpers.ts";
import { InsnMaps } from "./bpf/insn_map.ts";
import { verifier_ops_of } from "./bpf/prog_types.ts";
import { InterpRunner } from "./bpf/run.ts";
import { btf_register_struct_ops } from "./bpf/struct_ops_tables.ts";
import { register_testmod } from "./bpf/testmod_bodies.ts";
import { boot_vmlinux_btf, builtin_module_btf } from "./bpf/vmlinux_btf.ts";
import { bpf_testmod_init } from "./bpf_testmod.ts";
import { PERF_TYPE_KPROBE } from "./events/sw_pmus.ts";
import { default_kconfig } from "./kconfig.ts";
import type { ArchName, KernelConfig, SymbolTable } from "./kernel.ts";
import { KernelImpl } from "./kernel_impl.ts";
import type { Kmem } from "./kmem.ts";
import { type MachineKernel, MachineSymbols, machine_for } from "./machine_boot.ts";
import { SoftMem } from "./soft_mem.ts";
import { KernelSymbols, type SymbolKind } from "./symbols.ts";
import { RawTracepoints } from "./trace/tracepoint.ts";

/** Another kernel to stand in for: its symbols, types and map addresses, as a record holds them. */
export interface ForeignKernel {
	symbols: SymbolTable;
	/** vmlinux BTF, raw */
	vmlinuxBtf: Uint8Array;
	/** BTF of loaded modules, by name, raw */
	moduleBtfs?: ReadonlyMap<string, Uint8Array> | Readonly<Record<string, Uint8Array>>;
	/** Address of a map's struct by its name and its number in the order of creation. */
	mapAddr?: (name: string, ordinal: number) => bigint | undefined;
}

export interface BootOptions {
	arch?: ArchName;
	cpus?: number;
	/** Bytes of RAM. */
	memory?: number;
	seed?: number;
	/** Anything else of the configuration. */
	config?: Partial<KernelConfig>;
	foreign?: ForeignKernel;
	/** vmlinux BTF to plug in instead of the built-in one. */
	vmlinuxBtf?: Uint8Array;
	/** Modules with BTF to load. */
	moduleBtfs?: ReadonlyMap<string, Uint8Array> | Readonly<Record<string, Uint8Array>>;
	/** Modules to load whose types are built in (bpf_testmod and its kin). */
	modules?: readonly string[];
	/** /proc/config.gz, as text. */
	kconfig?: string;
	/** Print the kernel log to stderr. */
	verbose?: boolean;
	/** Without a CPU ("none") programs are interpreted; a foreign kernel never has one. */
	cpu?: "unicorn" | "none";
}

/** The configuration of upstream's selftest kernels. */
export function default_config(arch: ArchName): KernelConfig {
	return {
		arch,
		cpus: 1,
		memory: 256 << 20,
		seed: 1,
		bpf_jit_enable: true,
		bpf_jit_always_on: true,
		bpf_jit_harden: 0,
		unprivileged_bpf_disabled: 0,
		kptr_restrict: 0,
		mitigations_off: false,
		x86: {
			ibt: true,
			retpoline: "off",
			rethunk: false,
			sls: false,
			bmi2: true,
			pgtable_levels: 4,
			clear_bhb: false,
		},
		arm64: { lse_atomics: true, bti: false, pac: false, va_bits: 48 },
		kconfig: default_kconfig(arch),
	};
}

/** CONFIG_* lines of a kernel configuration. */
export function parse_kconfig(text: string): Map<string, string> {
	const out = new Map<string, string>();
	for (const line of text.split("\n")) {
		const m = /^(CONFIG_\w+)=(.*)$/.exec(line);
		if (m) out.set(m[1]!, m[2]!);
	}
	return out;
}

/** Boot a kernel: on the emulated machine, or with memory alone. */
export function boot(options: BootOptions = {}): KernelImpl {
	const arch = options.arch ?? "x86_64";
	const config: KernelConfig = { ...default_config(arch), ...options.config };
	if (options.cpus !== undefined) config.cpus = options.cpus;
	if (options.memory !== undefined) config.memory = options.memory;
	if (options.seed !== undefined) config.seed = options.seed;
	if (options.kconfig !== undefined) config.kconfig = parse_kconfig(options.kconfig);

	let kernel: KernelImpl | null = null;
	const cur_cpu = (): number => kernel?.cpu ?? 0;
	let machine: MachineKernel | null = null;
	let why = "";
	if (!options.foreign && options.cpu !== "none") {
		try {
			machine = machine_for(config, cur_cpu);
		} catch (e) {
			if (options.cpu === "unicorn") throw e;
			why = e instanceof Error ? e.message : String(e);
		}
	}
	if (!machine) {
		// no JIT: nothing may ask for one; a foreign kernel's programs look as its own JIT wants them
		config.bpf_jit_always_on = options.config?.bpf_jit_always_on ?? false;
		if (!options.foreign) config.bpf_jit_enable = options.config?.bpf_jit_enable ?? false;
	}
	const soft = machine ? null : new KernelSymbols();
	soft?.define_call_base();
	const kmem = machine?.kmem ?? new SoftMem(config.memory, config.cpus, cur_cpu, abi_of(arch).task_size);
	const own = machine?.symbols ?? soft!;
	kernel = new KernelImpl(config, kmem, options.foreign?.symbols ?? own);
	kernel.verbose = options.verbose ?? false;
	if (why) kernel.printk(`no emulated CPU, programs are interpreted: ${why}`);
	init_kernel(kernel, own, options);
	if (machine) {
		machine.attach(kernel);
		const { embedding } = kernel.bpf;
		if (embedding) for (const cpu of machine.machine.arch.cpus) embedding.watch(cpu, config.arch);
	} else kernel.runner = new InterpRunner(kernel);
	return kernel;
}

/** What every kernel gets, whatever its memory and CPUs are. */
export function init_kernel(
	kernel: KernelImpl,
	own: { kind_of: (name: string) => SymbolKind | undefined },
	options: BootOptions,
): void {
	const bytes = options.foreign?.vmlinuxBtf ?? options.vmlinuxBtf ?? null;
	let vmlinux: btf | number | null = null;
	const get_vmlinux = (): btf | number => {
		if (vmlinux !== null) return vmlinux;
		const b = bytes ? btf_parse_vmlinux(kernel, bytes) : boot_vmlinux_btf(kernel);
		if (typeof b === "number") kernel.printk(`BPF: vmlinux BTF does not parse: ${b}`);
		vmlinux = b;
		if (typeof b !== "number") btf_register_struct_ops(b);
		return b;
	};
	kernel.bpf = new BpfState(kernel, { bpf_get_btf_vmlinux: get_vmlinux, verifier_ops: verifier_ops_of });
	if (kernel.config.state_embedding) kernel.bpf.embedding = new StateEmbedding();
	if (kernel.config.insn_maps) kernel.bpf.insn_maps = new InsnMaps();
	kernel.tracepoints = new RawTracepoints(kernel);
	kernel.bpf.foreign_map_addr = options.foreign?.mapAddr ?? null;
	register_helpers(kernel);
	own.kind_of = (name) => {
		if (kernel.bpf.bodies.has(name)) return { text: true };
		if (name === "jiffies") return { text: false, size: 8, percpu: false };
		const b = get_vmlinux();
		if (typeof b === "number") return undefined;
		for (const from of [b, ...[...kernel.bpf.module_btfs.values()].map((m) => m.btf)]) {
			if (btf_find_by_name_kind(from, name, BTF_KIND_FUNC) > 0) return { text: true };
			const id = btf_find_by_name_kind(from, name, BTF_KIND_VAR);
			if (id <= 0) continue;
			const size = { val: 8 };
			btf_resolve_size(from, btf_type_by_id(from, btf_type_by_id(from, id)!.type)!, size);
			return { text: false, size: size.val, percpu: in_percpu_section(from, id) };
		}
		return HELPER_SYMBOL.test(name) ? { text: true } : undefined;
	};
	const modules = options.foreign?.moduleBtfs ?? options.moduleBtfs;
	if (modules) {
		const list =
			modules instanceof Map ? [...modules] : Object.entries(modules as Record<string, Uint8Array>);
		for (const [name, data] of list) {
			const err = load_module_btf(kernel, name, data);
			if (err < 0) kernel.printk(`BPF: BTF of module ${name} does not parse: ${err}`);
		}
	}
	for (const name of options.modules ?? []) {
		const base = get_vmlinux();
		const data = typeof base === "number" ? null : builtin_module_btf(name, base);
		const err = data ? load_module_btf(kernel, name, data) : -ENOENT;
		if (err < 0) kernel.printk(`module ${name} does not load: ${err}`);
	}
	pseudo_files(kernel, get_vmlinux);
}

/** The variable lies in .data..percpu: of a module's BTF the module's own section counts, not the kernel's. */
function in_percpu_section(b: btf, var_id: number): boolean {
	for (let id = b.start_id || 1; id < btf_nr_types(b); id++) {
		const t = btf_type_by_id(b, id);
		if (!t || BTF_INFO_KIND(t.info) !== BTF_KIND_DATASEC) continue;
		if (btf_name_by_offset(b, t.name_off) !== ".data..percpu") continue;
		if (btf_type_var_secinfo(t).some((v) => v.type === var_id)) return true;
	}
	return false;
}

/** Helpers' bodies are named so; they have an address even where the body is not ported. */
const HELPER_SYMBOL = /^(____)?(bpf_|sk_|xdp_|tcp_|skb_|sock_)[a-z0-9_]+$/;

/** kernel/bpf/btf.c: btf_module_notify: a module with BTF comes in. */
export function load_module_btf(kernel: KernelImpl, name: string, data: Uint8Array): number {
	const module = { name };
	const b = btf_parse_module(kernel, module, data);
	if (typeof b === "number") return b;
	kernel.bpf.module_btfs.set(name, { btf: b, module });
	btf_register_struct_ops(b);
	register_testmod(kernel, name);
	kernel.pseudo_files.set(`/sys/kernel/btf/${name}`, () => data);
	if (name === "bpf_testmod") bpf_testmod_init(kernel);
	return 0;
}

/** Files of /sys and /proc that libbpf reads. */
function pseudo_files(kernel: KernelImpl, get_vmlinux: () => btf | number): void {
	const text = (s: string): Uint8Array => new TextEncoder().encode(s);
	const files = kernel.pseudo_files;
	files.set("/sys/kernel/btf/vmlinux", () => {
		const b = get_vmlinux();
		return typeof b === "number" ? new Uint8Array(0) : b.data;
	});
	const cpus = kernel.config.cpus === 1 ? "0" : `0-${kernel.config.cpus - 1}`;
	for (const f of ["possible", "online", "present"])
		files.set(`/sys/devices/system/cpu/${f}`, () => text(`${cpus}\n`));
	files.set("/proc/kallsyms", () => text(kallsyms(kernel)));
	files.set("/proc/config", () => text([...kernel.config.kconfig].map(([k, v]) => `${k}=${v}\n`).join("")));
	files.set("/proc/config.gz", () => gzipSync(files.get("/proc/config")!()));
	files.set("/proc/sys/kernel/unprivileged_bpf_disabled", () =>
		text(`${kernel.config.unprivileged_bpf_disabled}\n`),
	);
	files.set("/proc/sys/net/core/bpf_jit_harden", () => text(`${kernel.config.bpf_jit_harden}\n`));
	files.set("/proc/sys/net/core/bpf_jit_enable", () => text(`${kernel.config.bpf_jit_enable ? 1 : 0}\n`));
	files.set("/proc/version_signature", () => text("6.12.95\n"));
	files.set("/proc/sys/kernel/osrelease", () => text("6.12.95\n"));
	files.set("/sys/kernel/tracing/available_filter_functions_addrs", () =>
		text(
			kernel.ftrace
				.names()
				.map((name) => `${kernel.kprobes.entry_addr(name).toString(16)} ${name}\n`)
				.join(""),
		),
	);
	files.set("/sys/bus/event_source/devices/kprobe/type", () => text(`${PERF_TYPE_KPROBE}\n`));
	files.set("/sys/bus/event_source/devices/kprobe/format/retprobe", () => text("config:0\n"));
	files.set("/sys/kernel/tracing/trace_pipe", () => {
		const out = kernel.trace_log.join("");
		kernel.trace_log.length = 0;
		return text(out);
	});
}

function kallsyms(kernel: KernelImpl): string {
	const hex = (a: bigint): string => a.toString(16).padStart(16, "0");
	let out = "";
	// functions get their addresses when something asks for them: what can be called is there all the same
	kernel.ftrace.names();
	if (kernel.symbols instanceof KernelSymbols || kernel.symbols instanceof MachineSymbols)
		for (const e of kernel.symbols.entries()) out += `${hex(e.addr)} ${e.text ? "T" : "D"} ${e.name}\n`;
	for (const prog of kernel.bpf.ksyms) out += `${hex(prog.aux.ksym.start)} t ${prog.aux.ksym.name}\t[bpf]\n`;
	return out;
}

export type { Kmem };
