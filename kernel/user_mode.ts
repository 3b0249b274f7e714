// SPDX-License-Identifier: GPL-2.0-only
/**
 * A task's own machine code: run at user privilege (CPL 3, EL0) on its CPU, through its page tables, until a
 * function returns. Its system calls are served, its faults bring pages in or kill it.
 */
import { abi_of } from "../arch/abis.ts";
import type { UserRegs } from "../arch/arch.ts";
import type { Machine } from "../mm/machine.ts";
import { MmStruct } from "../mm/mmap.ts";
import type { Task } from "./kernel_impl.ts";

const PAGE_SIZE = 4096;
/** Where functions return to: below vm.mmap_min_addr, so that nothing can be mapped there. */
const RETURN_TO = 0x8000;
const STACK_SIZE = 64 * 1024;
/** Killed by a signal. */
export interface Killed {
	readonly signal: "SIGSEGV" | "SIGBUS" | "SIGILL" | "SIGTRAP";
	readonly addr: number;
	readonly write: boolean;
}

/** What of a task runs its machine code; keeps the stack between calls. */
export class UserMode {
	private readonly machine: Machine;
	private readonly task: Task;
	private readonly regs: UserRegs;
	private stack = 0;
	private exec_gen = -1;

	constructor(machine: Machine, task: Task) {
		this.machine = machine;
		this.task = task;
		this.regs = machine.arch.new_user_regs();
	}

	/**
	 * Call the function at `addr` with up to six integers, as the platform's C does: its result, or what killed it.
	 * `syscall` serves its system calls.
	 */
	call(
		addr: number,
		args: readonly bigint[],
		syscall: (nr: number, args: readonly number[]) => number,
	): bigint | Killed {
		const { machine, task, regs } = this;
		const { arch } = machine;
		const abi = abi_of(arch.name).user;
		if (!(task.mm instanceof MmStruct))
			throw new Error("not ported: machine code of user space without a CPU");
		if (args.length > abi.args.length) throw new RangeError("at most six arguments");
		if (!this.stack) {
			const at = task.mm.mmap(0, STACK_SIZE, 3, 0x22, null, 0);
			if (at < 0) return { signal: "SIGSEGV", addr: 0, write: true };
			this.stack = at + STACK_SIZE - PAGE_SIZE;
		}
		// the emulator keeps translations by physical page: code may have come where other code was
		if (this.exec_gen !== task.mm.exec_gen) arch.flush_icache_all();
		this.exec_gen = task.mm.exec_gen;
		const top = this.stack;
		regs.gpr.fill(0n);
		if (abi.link !== null) regs.gpr[abi.link] = BigInt(RETURN_TO);
		else if (task.mm.put_user64(top - 8, BigInt(RETURN_TO)))
			return { signal: "SIGSEGV", addr: top - 8, write: true };
		regs.gpr[abi.sp] = BigInt(abi.link === null ? top - 8 : top);
		for (const [i, a] of args.entries()) regs.gpr[abi.args[i]!] = BigInt.asIntN(64, a);
		regs.pc = addr;
		regs.flags = 0;
		for (;;) {
			const exit = arch.run_user(task.cpu, task.mm.table, regs);
			if (exit.kind === "syscall") {
				const ret = syscall(
					exit.nr,
					abi.syscall.map((r) => Number(regs.gpr[r]!)),
				);
				regs.gpr[abi.result] = BigInt(ret);
				continue;
			}
			if (exit.kind === "trap") return { signal: "SIGTRAP", addr: exit.pc, write: false };
			if (regs.pc === RETURN_TO && Number(regs.gpr[abi.sp]!) === top)
				return BigInt.asUintN(64, regs.gpr[abi.result]!);
			const { fault } = exit;
			const signal = fault.page_fault ? task.mm.fault_signal : "SIGILL";
			return { signal, addr: fault.page_fault ? fault.addr : fault.pc, write: fault.write };
		}
	}
}
