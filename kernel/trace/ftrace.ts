// SPDX-License-Identifier: GPL-2.0-only
/**
 * Kernel functions that may be traced at their entry: what kernel/trace/ftrace.c is to the kernel's own
 * text. Kernel code is TypeScript here, so a function has an entry in machine code only where machine
 * code calls it, or where something has asked to be run at it; and it is entered there by TypeScript only
 * as long as something is attached. A function that nothing here calls through its entry cannot be
 * attached to: it would never fire.
 */
import { abi_of } from "../../arch/abis.ts";
import { Asleep, type Cpu } from "../../arch/arch.ts";
import { ENOMEM, ENOTSUPP } from "../../include/uapi/asm-generic/errno.ts";
import { u64_to_addr } from "../../lib/addr.ts";
import { alloc_thread_stack, free_thread_stack } from "../../mm/machine.ts";
import { MmStruct } from "../../mm/mmap.ts";
import type { KernelImpl } from "../kernel_impl.ts";
import { NR } from "../syscall_nr.ts";

/** What a function does: its arguments as machine code passed them, its return value. */
export type TracedBody = (args: readonly bigint[], cpu?: Cpu) => bigint | number;

/** An argument of call(): a word, or the words of a structure passed by value. */
export type CallArg = bigint | number | readonly (bigint | number)[];

/** Functions that kernel code calls through call(), besides system calls and those of modules. */
const CALLED: ReadonlySet<string> = new Set([
	"bpf_fentry_test1",
	"bpf_fentry_test2",
	"bpf_fentry_test3",
	"bpf_fentry_test4",
	"bpf_fentry_test5",
	"bpf_fentry_test6",
	"bpf_fentry_test7",
	"bpf_fentry_test8",
	"bpf_fentry_test9",
	"bpf_modify_return_test",
	"bpf_modify_return_test2",
	"bpf_lsm_bpf",
	"bpf_lsm_bpf_map",
	"bpf_lsm_bpf_prog",
]);

/** Operations of maps that system calls call by their entry, as programs do. */
const MAP_OPS = /_map_(lookup|update|delete)_elem$/;

const BPF_MOD_CALL = 0;

interface Frame {
	/** Where each word is: in a register, or ~n on the stack. */
	readonly places: readonly number[];
	readonly body: TracedBody;
}

/** Traceable functions of one kernel. */
export class Ftrace {
	private readonly kernel: KernelImpl;
	/** Functions with a call at their entry now. */
	readonly traced: Set<string> = new Set();
	/** Calls under way, innermost last. */
	private readonly frames: Map<string, Frame[]> = new Map();
	private readonly syscalls: ReadonlySet<string>;
	private readonly called: Set<string> = new Set(CALLED);

	constructor(kernel: KernelImpl) {
		this.kernel = kernel;
		const { arch } = kernel.config;
		this.syscalls = new Set(Object.keys(NR[arch]).map((name) => this.syscall_symbol(name)));
	}

	/** The function behind a system call. */
	syscall_symbol(name: string): string {
		return `${abi_of(this.kernel.config.arch).syscall_prefix}${name}`;
	}

	/** A module calls these through call(). */
	add_called(names: readonly string[]): void {
		for (const name of names) this.called.add(name);
	}

	/**
	 * Arguments by the architecture's convention. A structure is whole in registers or on the stack; whether the
	 * registers that it left are used then is of the architecture.
	 */
	private lay_out(args: readonly CallArg[]): { words: bigint[]; places: number[] } {
		const { arg_regs, stack_closes_regs } = abi_of(this.kernel.config.arch);
		const max = arg_regs;
		const regs: bigint[] = [];
		const stack: bigint[] = [];
		const places: number[] = [];
		let left = max;
		for (const arg of args) {
			const list = (typeof arg === "object" ? arg : [arg]).map((v) => BigInt.asUintN(64, BigInt(v)));
			const fits = list.length <= left;
			for (const v of list) places.push(fits ? regs.push(v) - 1 : ~(stack.push(v) - 1));
			if (fits) left -= list.length;
			else if (stack_closes_regs) left = 0;
		}
		while (stack.length > 0 && regs.length < max) regs.push(0n);
		return { words: [...regs, ...stack], places };
	}

	/** Something is attached to some function, so that entries have to be looked at. */
	get any(): boolean {
		return this.traced.size > 0 || this.kernel.kprobes.any;
	}

	/** A call of the function has to go through its entry: a trampoline or a probe is there. */
	is_entered(name: string): boolean {
		return this.traced.has(name) || this.kernel.kprobes.has(name);
	}

	/** Whether something calls the function through its entry. */
	traceable(name: string): boolean {
		if (this.called.has(name) || this.syscalls.has(name)) return true;
		// programs call helpers, kfuncs and operations of maps by their address
		const { bodies } = this.kernel.bpf;
		return bodies.has(name) && (/^bpf_/.test(name) || MAP_OPS.test(name));
	}

	/** All functions that may be traced: available_filter_functions of tracefs. */
	names(): string[] {
		const all = new Set([...this.called, ...this.syscalls, ...this.kernel.bpf.bodies.keys()]);
		return [...all].filter((n) => this.traceable(n) && this.kernel.symbols.addr(n) !== undefined).sort();
	}

	/** ftrace_location(): a function of the kernel's text by its address, not of a program. */
	function_at(addr: bigint): string | null {
		const { machine } = this.kernel;
		if (!machine) return null;
		const { text_start, text_end } = machine.arch.layout;
		const va = u64_to_addr(addr);
		if (va < text_start || va >= text_end) return null;
		const sym = machine.text.lookup(addr);
		return sym?.offset === 0n ? sym.name : null;
	}

	/** Give a function the entry that can be patched. */
	make_traceable(name: string): void {
		this.kernel.machine!.text.make_traceable(name);
	}

	/**
	 * register_ftrace_direct(), modify_ftrace_direct(), unregister_ftrace_direct(): the entry of a function
	 * calls `to` (null: nothing).
	 */
	set_direct(func: bigint, from: bigint | null, to: bigint | null): number {
		const { machine, bpf } = this.kernel;
		if (!machine?.arch.direct_call)
			return bpf.jit?.bpf_arch_text_poke?.(func, BPF_MOD_CALL, from, to) ?? -ENOTSUPP;
		machine.arch.direct_call(u64_to_addr(func), to);
		return 0;
	}

	/** Kernel code calls a function: at once, or through its entry while something is attached there. */
	call(name: string, args: readonly CallArg[], body: TracedBody): bigint {
		const u64 = (v: bigint | number): bigint => BigInt.asUintN(64, BigInt(v));
		if (!this.is_entered(name)) return u64(body(args.flat().map(u64)));
		const { kernel } = this;
		const { words, places } = this.lay_out(args);
		const call = (): bigint => kernel.call_guest(kernel.symbols.addr(name)!, words);
		// what programs call too does by the same body whatever it is called with
		if (kernel.bpf.bodies.has(name)) return call();
		const frame = this.push(name, places, body);
		try {
			return call();
		} finally {
			this.drop(name, frame);
		}
	}

	private push(name: string, places: readonly number[], body: TracedBody): Frame {
		const frame = { places, body };
		const frames = this.frames.get(name);
		if (frames) frames.push(frame);
		else this.frames.set(name, [frame]);
		return frame;
	}

	/** The call is over; its body may not have been entered, when a program answered for it. */
	private drop(name: string, frame: Frame): void {
		const frames = this.frames.get(name)!;
		const i = frames.indexOf(frame);
		if (i >= 0) frames.splice(i, 1);
	}

	/**
	 * The same for a function in which the task sleeps: the run is put aside in it, on a stack of its own,
	 * and goes on when `body` is through.
	 */
	async call_sleeping(
		name: string,
		args: readonly (bigint | number)[],
		body: () => Promise<number>,
	): Promise<number> {
		const { kernel } = this;
		const { machine, task } = kernel;
		if (!this.is_entered(name) || !machine) return body();
		const stack = alloc_thread_stack(machine);
		if (!stack) return -ENOMEM;
		const { arch } = machine;
		const load_mm = (): void => {
			if (task.mm instanceof MmStruct) arch.switch_table(kernel.cpu, task.mm.table);
		};
		const frame = this.push(name, [], (_args, cpu) => {
			cpu!.sleep();
			kernel.kprobes.slept = true;
			return 0;
		});
		try {
			let ret: bigint;
			try {
				load_mm();
				ret = arch.run_on(kernel.cpu, stack, u64_to_addr(kernel.symbols.addr(name)!), args);
			} catch (e) {
				if (!(e instanceof Asleep)) throw e;
				const done = await body();
				kernel.current = task;
				load_mm();
				kernel.kprobes.woken(BigInt(done));
				ret = arch.wake(kernel.cpu, e, BigInt(done));
			}
			return Number(BigInt.asIntN(64, ret));
		} finally {
			this.drop(name, frame);
			free_thread_stack(machine, stack);
			arch.forget_stacks();
		}
	}

	/** The machine has entered a function: the body that call() left for it. */
	entered(name: string, cpu: Cpu): bigint | undefined {
		const frame = this.frames.get(name)?.pop();
		if (!frame) return undefined;
		const { arch, mem } = this.kernel.machine!;
		// above the return address, where the call put one on the stack
		const above = abi_of(arch.name).call_pushes;
		const args = frame.places.map((at) => (at >= 0 ? cpu.arg(at) : mem.r64(cpu.sp + above + 8 * ~at)));
		return BigInt.asUintN(64, BigInt(frame.body(args, cpu)));
	}
}
