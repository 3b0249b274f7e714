// SPDX-License-Identifier: GPL-2.0-only
/**
 * Probes at the entry and at the return of kernel functions: what kernel/kprobes.c, kernel/trace/fprobe.c and
 * the return hooks (rethook) do. Kernel code is TypeScript here: no instruction is replaced. A function with a
 * probe is entered through machine code as long as the probe is there, and the probes run before its body, with
 * the CPU's registers. So probes fire where the function is called by its entry (trace/ftrace.ts: traceable),
 * and only there; what would never fire is refused.
 */
import { abi_of } from "../arch/abis.ts";
import type { Cpu } from "../arch/arch.ts";
import { EILSEQ, ENOENT, EOPNOTSUPP } from "../include/uapi/asm-generic/errno.ts";
import { ksizeof } from "./bpf/layout.ts";
import type { KernelImpl, Task } from "./kernel_impl.ts";
import { put_regs } from "./pt_regs.ts";

/** A kprobe, a kretprobe or an fprobe on functions by name. */
export interface probe {
	/** `regs` is a struct pt_regs in guest memory. True: the exit handler shall not run for this call. */
	entry?(func: string, regs: number, data: number): boolean;
	exit?(func: string, regs: number, data: number): void;
	/** Bytes that entry and exit handler of a call share (fprobe's entry_data_size). */
	readonly data_size?: number;
	/** kprobes do not nest: one that is hit while another's handler runs is missed. */
	missed?(): void;
}

/** A call whose return somebody waits for. */
interface pending {
	readonly probe: probe;
	readonly data: number;
}

/** kernel/kallsyms.c, as far as kernel functions here have no size that anybody knows. */
const MAX_OFFSET = 0x1000;

export class Kprobes {
	private readonly kernel: KernelImpl;
	/** Probes by function. */
	private readonly at: Map<string, readonly probe[]> = new Map();
	/** kprobe_running(), by CPU: nesting of handlers, and the function whose handler runs */
	private readonly depth: Int32Array;
	/** Function of the probe whose handler runs, innermost last. */
	readonly running: string[] = [];
	/** bpf_override_return(): what the function that is being entered returns instead of running. */
	override: bigint | null = null;
	/** Tasks that sleep in a probed function. */
	private readonly sleepers: Map<Task, { func: string; exits: pending[] }> = new Map();
	/** The body of a probed function has put its task to sleep. */
	slept = false;

	constructor(kernel: KernelImpl) {
		this.kernel = kernel;
		this.depth = new Int32Array(kernel.config.cpus);
	}

	get any(): boolean {
		return this.at.size > 0;
	}
	has(func: string): boolean {
		return this.at.has(func);
	}

	/** The function at an address, if it is one of the kernel's. */
	function_of(addr: bigint): { func: string; offset: number } | null {
		const sym = this.kernel.symbols.lookup(BigInt.asUintN(64, addr));
		return sym && sym.offset < MAX_OFFSET ? { func: sym.name, offset: Number(sym.offset) } : null;
	}

	/** Where a kprobe on a function's entry stands: behind endbr64. */
	entry_addr(func: string): bigint {
		const addr = this.kernel.symbols.addr(func) ?? 0n;
		const { config } = this.kernel;
		return addr + BigInt(abi_of(config.arch).kprobe_offset(config));
	}

	/** Whether probes on a function can be had: 0 or a negative errno. */
	check(func: string, offset = 0): number {
		const k = this.kernel;
		if (k.symbols.addr(func) === undefined) return -ENOENT;
		if (offset >= MAX_OFFSET) return -EILSEQ;
		if (!k.machine) {
			k.bpf.not_ported("kprobes on a kernel without a CPU");
			return -EOPNOTSUPP;
		}
		const at_entry = offset === 0 || offset === abi_of(k.config.arch).kprobe_offset(k.config);
		if (!at_entry || !k.ftrace.traceable(func)) {
			k.bpf.not_ported(
				at_entry
					? `${func} is never called through its entry`
					: `kprobes within functions (${func}+${offset})`,
			);
			return -EOPNOTSUPP;
		}
		return 0;
	}

	register(func: string, p: probe): void {
		this.at.set(func, [...(this.at.get(func) ?? []), p]);
	}
	unregister(func: string, p: probe): void {
		const left = (this.at.get(func) ?? []).filter((x) => x !== p);
		if (left.length) this.at.set(func, left);
		else this.at.delete(func);
	}

	/** struct pt_regs at a function's entry, or at its return when `ret` is given. */
	private regs_of(cpu: Cpu, ip: bigint, ret: bigint | null): number {
		const k = this.kernel;
		const { kmem } = k;
		const at = kmem.kzalloc(ksizeof(k, "pt_regs"));
		put_regs(k, at, abi_of(k.config.arch).function_regs(cpu, ip, ret));
		return at;
	}

	/** kprobe_handler(): the entry handlers; those whose exit handler waits for the return. */
	private enter(func: string, cpu: Cpu, probes: readonly probe[]): pending[] {
		const k = this.kernel;
		const ip = this.entry_addr(func) + BigInt(abi_of(k.config.arch).kprobe_passed);
		const regs = this.regs_of(cpu, ip, null);
		const exits: pending[] = [];
		try {
			for (const p of probes) {
				if (p.missed && this.depth[k.cpu]! > 0) {
					p.missed();
					continue;
				}
				const data = p.data_size ? k.kmem.kzalloc(p.data_size) : 0;
				const skip = p.entry ? this.handle(func, p, () => p.entry!(func, regs, data)) : false;
				if (p.exit && !skip) exits.push({ probe: p, data });
				else if (data) k.kmem.kfree(data);
			}
		} finally {
			k.kmem.kfree(regs);
		}
		return exits;
	}

	private handle<T>(func: string, p: probe, body: () => T): T {
		const { cpu } = this.kernel;
		if (p.missed) this.depth[cpu]!++;
		this.running.push(func);
		try {
			return body();
		} finally {
			this.running.pop();
			if (p.missed) this.depth[cpu]!--;
		}
	}

	/** rethook_trampoline_handler(): the function returns `ret`; the last that came is the first to see it. */
	private leave(func: string, cpu: Cpu, ret: bigint, exits: pending[]): void {
		const regs = this.regs_of(cpu, BigInt.asUintN(64, BigInt(cpu.caller)), ret);
		try {
			for (const e of exits.reverse()) {
				this.handle(func, e.probe, () => e.probe.exit!(func, regs, e.data));
				if (e.data) this.kernel.kmem.kfree(e.data);
			}
		} finally {
			this.kernel.kmem.kfree(regs);
		}
	}

	/** Machine code has entered a function: its probes, and its body between them. */
	call(func: string, cpu: Cpu, body: () => bigint): bigint {
		const probes = this.at.get(func);
		if (!probes) return body();
		this.override = null;
		const exits = this.enter(func, cpu, probes);
		const instead = this.override;
		this.override = null;
		this.slept = false;
		const ret = instead ?? body();
		if (this.slept) {
			this.slept = false;
			this.sleepers.set(this.kernel.task, { func, exits });
			return ret;
		}
		if (exits.length) this.leave(func, cpu, ret, exits);
		return ret;
	}

	/** A function in which the task slept returns now. */
	woken(ret: bigint): void {
		const k = this.kernel;
		const s = this.sleepers.get(k.task);
		if (!s) return;
		this.sleepers.delete(k.task);
		if (s.exits.length) this.leave(s.func, k.machine!.arch.cpus[k.cpu]!, ret, s.exits);
	}

	/** bpf_get_func_ip() in a kprobe: the function's address. */
	running_ip(): bigint {
		const func = this.running.at(-1);
		return func === undefined ? 0n : (this.kernel.symbols.addr(func) ?? 0n);
	}
}
