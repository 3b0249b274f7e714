// SPDX-License-Identifier: GPL-2.0-only
/** A kernel on the emulated machine: its memory, its text with the bodies behind it, and the JIT. */
import type { Cpu, ExceptionEntry } from "../arch/arch.ts";
import { ARCHES } from "../arch/arches.ts";
import { u64_to_addr } from "../lib/addr.ts";
import { GFP_KERNEL } from "../mm/gfp.ts";
import { MachineKmem } from "../mm/kmem.ts";
import { create_machine, type Machine } from "../mm/machine.ts";
import { MmStruct } from "../mm/mmap.ts";
import { type JitMemory, ProgramJit } from "./bpf/arch_jit.ts";
import { note_missing } from "./bpf/arena_watch.ts";
import type { bpf_prog } from "./bpf/bpf_types.ts";
import { koffsetof } from "./bpf/layout.ts";
import { BodyCaller, InterpRunner } from "./bpf/run.ts";
import { type file, fput } from "./file.ts";
import type { KernelConfig, SymbolTable } from "./kernel.ts";
import type { KernelImpl, ProgRunner } from "./kernel_impl.ts";
import type { Kmem } from "./kmem.ts";
import type { Kprobes } from "./kprobes.ts";
import type { SymbolKind } from "./symbols.ts";
import { task_image } from "./task_image.ts";
import type { Ftrace } from "./trace/ftrace.ts";

/** Symbols of the machine's own text and data: a function gets its stub when its address is first asked for. */
export class MachineSymbols implements SymbolTable {
	private readonly machine: Machine;
	kind_of: (name: string) => SymbolKind | undefined = () => undefined;
	/** Enters the body of a function. */
	bodies: BodyCaller | null = null;
	/** Calls that kernel code makes by a function's entry. */
	ftrace: Ftrace | null = null;
	kprobes: Kprobes | null = null;
	/** Bodies that read their arguments from the CPU. */
	direct: ReadonlyMap<string, (cpu: Cpu) => bigint | number> | null = null;
	/** Whose text it is. */
	kernel: KernelImpl | null = null;
	constructor(machine: Machine) {
		this.machine = machine;
	}
	addr(name: string): bigint | undefined {
		const { text } = this.machine;
		const known = text.addr(name);
		if (known !== undefined) return known;
		const kind = this.kind_of(name);
		if (!kind) return undefined;
		if (kind.text) {
			const direct = this.direct?.get(name);
			text.define(
				name,
				direct
					? (cpu: Cpu) => (this.kprobes!.any || this.kernel!.explore ? this.call(name, cpu) : direct(cpu))
					: (cpu: Cpu) => this.call(name, cpu),
			);
		} else if (kind.percpu) text.add(name, this.machine.percpu.define_static(name, kind.size), kind.size);
		else text.define_data(name, kind.size);
		return text.addr(name);
	}
	lookup(addr: bigint): { name: string; offset: bigint } | undefined {
		return this.machine.text.lookup(addr);
	}
	private call(name: string, cpu: Cpu): bigint {
		if (this.kprobes?.any && this.kprobes.has(name))
			return this.kprobes.call(name, cpu, () => this.body(name, cpu));
		return this.body(name, cpu);
	}
	private body(name: string, cpu: Cpu): bigint {
		const r = this.ftrace?.entered(name, cpu);
		if (r !== undefined) return r;
		return this.bodies!.call(name, cpu.arg(0), cpu.arg(1), cpu.arg(2), cpu.arg(3), cpu.arg(4));
	}
	entries(): { name: string; addr: bigint; text: boolean }[] {
		const { text_start, text_end } = this.machine.arch.layout;
		return this.machine.text.entries().map((e) => ({
			name: e.name,
			addr: BigInt.asUintN(64, BigInt(e.addr)),
			text: e.addr >= text_start && e.addr < text_end,
		}));
	}
}

/** Images of programs in the module area, which the machine executes and may not write. */
class ModuleMemory implements JitMemory {
	private readonly machine: Machine;
	private readonly kernel: KernelImpl;
	private readonly owners: Map<bigint, object> = new Map();
	constructor(machine: Machine, kernel: KernelImpl) {
		this.machine = machine;
		this.kernel = kernel;
	}
	alloc(size: number, _prog: bpf_prog): bigint | null {
		const va = this.machine.modules.__vmalloc(size, GFP_KERNEL, { write: false, exec: true, user: false });
		return va === 0 ? null : BigInt.asUintN(64, BigInt(va));
	}
	write(addr: bigint, code: Uint8Array): void {
		this.machine.text_poke(u64_to_addr(addr), code);
	}
	read(addr: bigint, len: number): Uint8Array {
		return this.machine.mem.read(u64_to_addr(addr), len);
	}
	free(addr: bigint): void {
		this.set_extable(addr, []);
		this.machine.modules.vfree(u64_to_addr(addr));
	}
	/** An entry of the exception table; who watches arenas sees it used. */
	private entry(insn: number, fixup: number): ExceptionEntry {
		const entry = this.machine.arch.bpf_extable_entry(insn, fixup);
		return {
			insn: entry.insn,
			fixup: (cpu, fault) => {
				if (this.kernel.bpf.arena_watch) note_missing(this.kernel, insn, fault.addr, fault.write);
				return entry.fixup(cpu, fault);
			},
		};
	}
	set_extable(addr: bigint, entries: readonly { insn: bigint; fixup: bigint }[]): void {
		const old = this.owners.get(addr);
		if (old) this.machine.arch.remove_extable(old);
		this.owners.delete(addr);
		if (entries.length === 0) return;
		const owner = {};
		this.owners.set(addr, owner);
		this.machine.arch.add_extable(
			owner,
			entries.map((e) => this.entry(u64_to_addr(e.insn), Number(e.fixup))),
		);
	}
}

/** Programs on the emulated CPUs; those without an image go to the interpreter. */
class MachineRunner implements ProgRunner {
	private readonly kernel: KernelImpl;
	private readonly machine: Machine;
	private readonly interp: InterpRunner;
	constructor(kernel: KernelImpl, machine: Machine) {
		this.kernel = kernel;
		this.machine = machine;
		this.interp = new InterpRunner(kernel);
	}
	run(prog: bpf_prog, ctx: bigint): bigint {
		if (!prog.bpf_func) return this.interp.run(prog, ctx);
		return this.call(prog.bpf_func, [ctx]);
	}
	trace_interp(fn: Parameters<InterpRunner["trace_interp"]>[0]): void {
		this.interp.trace_interp(fn);
	}
	/** The task whose thread_info begins it, where the JIT reads the CPU's number. */
	private load_current(cpu: number): void {
		const { kernel } = this;
		const task = kernel.task.addr || task_image(kernel, kernel.task);
		kernel.kmem.w32(task + koffsetof(kernel, "thread_info", "cpu"), cpu);
		this.machine.arch.set_current(cpu, task);
	}
	call(addr: bigint, args: readonly bigint[]): bigint {
		const { cpu, task } = this.kernel;
		const { arch, text } = this.machine;
		const jiffies = text.addr("jiffies");
		if (jiffies !== undefined) this.kernel.kmem.w64(u64_to_addr(jiffies), this.kernel.jiffies);
		if (!arch.cpus[cpu]!.busy) {
			if (task.mm instanceof MmStruct) arch.switch_table(cpu, task.mm.table);
			if (arch.current_in_register) this.load_current(cpu);
		}
		return this.machine.run(cpu, u64_to_addr(addr), args);
	}
}

/** The machine under a kernel. */
export interface MachineKernel {
	machine: Machine;
	kmem: Kmem;
	symbols: MachineSymbols;
	/** Hang JIT and runner on the kernel, once it is there. */
	attach(kernel: KernelImpl): void;
}

/** Build the machine; throws when there is no CPU emulator. */
export function machine_for(config: KernelConfig, cur_cpu: () => number): MachineKernel {
	const machine = create_machine({
		arch: config.arch,
		cpus: config.cpus,
		memory: config.memory,
	});
	const kmem = new MachineKmem(machine, {
		cur_cpu,
		fput: (f) => fput(f as unknown as file),
	}) as unknown as Kmem;
	const symbols = new MachineSymbols(machine);
	return {
		machine,
		kmem,
		symbols,
		attach(kernel: KernelImpl): void {
			kernel.machine = machine;
			symbols.bodies = new BodyCaller(kernel);
			symbols.ftrace = kernel.ftrace;
			symbols.kprobes = kernel.kprobes;
			symbols.direct = kernel.bpf.direct;
			symbols.kernel = kernel;
			kernel.runner = new MachineRunner(kernel, machine);
			if (!config.bpf_jit_enable) return;
			const facts = {
				symbol: (name: string) => kernel.symbols.addr(name),
				offsetof: (s: string, m: string) => koffsetof(kernel, s, m),
				kconfig: (name: string) => ["y", "m"].includes(config.kconfig.get(`CONFIG_${name}`) ?? ""),
				printk: (line: string) => kernel.printk(line),
			};
			kernel.bpf.jit = new ProgramJit(
				ARCHES[config.arch].jit(facts, config),
				new ModuleMemory(machine, kernel),
			);
		},
	};
}
