// SPDX-License-Identifier: GPL-2.0-only
/**
 * Exceptions of programs (kernel/bpf/helpers.c: bpf_throw; arch_bpf_stack_walk of both architectures): the
 * frames of the machine's stack are walked up to the main program's, and its exception callback goes on in
 * that frame, to return to the program's caller.
 */
import { abi_of } from "../../arch/abis.ts";
import type { Cpu } from "../../arch/arch.ts";
import { addr_to_u64, u64_to_addr } from "../../lib/addr.ts";
import { GuestFault } from "../../mm/guest_memory.ts";
import type { KernelImpl } from "../kernel_impl.ts";
import type { bpf_prog, bpf_prog_aux } from "./bpf_types.ts";

/** Frames walked at most: programs nest far less. */
const MAX_FRAMES = 256;

/** A frame as the walk sees it: where it goes on, its stack and frame pointers. */
export interface frame {
	ip: number;
	sp: number;
	bp: number;
}

/**
 * kernel/bpf/core.c: bpf_prog_ksym_find: the program or subprogram whose image holds a return address. That of a
 * call which ends the image is its end, and counts.
 */
export function bpf_prog_ksym_find(k: KernelImpl, addr: number): bpf_prog | null {
	const at = addr_to_u64(addr);
	for (const prog of k.bpf.ksyms) if (at >= prog.aux.ksym.start && at <= prog.aux.ksym.end) return prog;
	return null;
}

/** include/linux/bpf_verifier.h: bpf_is_subprog */
function bpf_is_subprog(prog: bpf_prog): boolean {
	return prog.aux.func_idx !== 0;
}

/**
 * arch_bpf_stack_walk(): the frames above a kernel function just entered, innermost first, as long as there
 * are frame records. On x86 the frame's stack pointer is what it was at its call; arm64's walk gives none.
 */
export function* arch_bpf_stack_walk(k: KernelImpl, cpu: Cpu): Generator<frame> {
	const { walk_has_sp, call_pushes } = abi_of(k.config.arch);
	let ip = cpu.caller;
	let sp = walk_has_sp ? cpu.sp + call_pushes : 0;
	let bp = cpu.fp;
	for (let i = 0; i < MAX_FRAMES; i++) {
		yield { ip, sp, bp };
		// a frame record: the caller's frame pointer, and where it goes on
		if (bp >= 0) return;
		try {
			ip = k.kmem.rptr(bp + 8);
			if (walk_has_sp) sp = bp + 16;
			const up = k.kmem.rptr(bp);
			if (up !== 0 && up <= bp) return;
			bp = up;
		} catch (e) {
			if (e instanceof GuestFault) return;
			throw e;
		}
		if (ip === 0) return;
	}
}

/** kernel/bpf/helpers.c: bpf_throw */
function bpf_throw(k: KernelImpl, cookie: bigint): bigint {
	const cpu = k.machine?.arch.cpus[k.cpu];
	if (!cpu?.busy) throw new Error("bpf_throw: called outside of machine code");
	let aux: bpf_prog_aux | null = null;
	let at: frame | null = null;
	let cnt = 0;
	// bpf_stack_walker()
	for (const f of arch_bpf_stack_walk(k, cpu)) {
		const prog = bpf_prog_ksym_find(k, f.ip);
		if (!prog) {
			if (cnt) break;
			continue;
		}
		cnt++;
		if (bpf_is_subprog(prog)) continue;
		aux = prog.aux;
		at = f;
		break;
	}
	if (!aux || !at) throw new Error("bpf_throw: no main program on the stack");
	if (!aux.exception_boundary) k.printk("WARNING: bpf_throw: the main program is no exception boundary");
	const args = abi_of(k.config.arch).throw_args;
	cpu.set_reg(args[0], cookie);
	cpu.set_reg(args[1], addr_to_u64(at.sp));
	cpu.set_reg(args[2], addr_to_u64(at.bp));
	cpu.jump(u64_to_addr(aux.bpf_exception_cb));
	// arm64's first argument and return value share a register
	return cookie;
}

/** Hang bpf_throw() on the kernel. */
export function register_throw(k: KernelImpl): void {
	k.bpf.bodies.set("bpf_throw", (_c, cookie) => bpf_throw(k, cookie));
}
