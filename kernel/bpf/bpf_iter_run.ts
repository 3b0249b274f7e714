// SPDX-License-Identifier: GPL-2.0-only
/** What an iterator is made of (include/linux/bpf.h), and the run of its program (kernel/bpf/bpf_iter.c). */
import { EAGAIN } from "../../include/uapi/asm-generic/errno.ts";
import type { bpf_link_info } from "../../include/uapi/linux/bpf_attr.ts";
import type { Kernel } from "../kernel.ts";
import { impl } from "../kernel_impl.ts";
import type { bpf_map, bpf_prog } from "./bpf_types.ts";
import { koffsetof, ksizeof } from "./layout.ts";
import { bpf_prog_run } from "./prog.ts";
import type { seq_file, seq_operations } from "./seq_file.ts";

/** union bpf_iter_link_info */
export interface bpf_iter_link_info {
	map_fd: number;
	tid: number;
	pid: number;
	pid_fd: number;
}

/** struct bpf_iter_aux_info: what a link iterates over */
export interface bpf_iter_aux_info {
	map: bpf_map | null;
	task: { type: number; pid: number };
}

/** struct bpf_iter_priv_data */
export interface bpf_iter_priv_data<P = unknown> {
	readonly tinfo: bpf_iter_reg;
	readonly seq_info: bpf_iter_seq_info;
	readonly prog: bpf_prog;
	readonly session_id: bigint;
	seq_num: bigint;
	done_stop: boolean;
	readonly target_private: P;
}

export type iter_seq<P> = seq_file<bpf_iter_priv_data<P>>;

/** struct bpf_iter_seq_info */
export interface bpf_iter_seq_info<P = unknown, V = unknown> {
	readonly seq_ops: seq_operations<bpf_iter_priv_data<P>, V>;
	/** The private data of a file, or a negative errno. */
	init_seq_private(kernel: Kernel, aux: bpf_iter_aux_info): P | number;
	fini_seq_private?(kernel: Kernel, priv: P): void;
}

/** struct bpf_iter_reg, but for what the verifier asks (bpf_iter_targets.ts) */
export interface bpf_iter_reg {
	readonly target: string;
	/** BPF_ITER_RESCHED: programs may sleep */
	readonly resched: boolean;
	attach_target?(prog: bpf_prog, linfo: bpf_iter_link_info, aux: bpf_iter_aux_info): number;
	detach_target?(aux: bpf_iter_aux_info): void;
	show_fdinfo?(aux: bpf_iter_aux_info): string;
	fill_link_info?(aux: bpf_iter_aux_info, info: bpf_link_info): number;
	/** Null where the iteration is not ported. */
	seq_info(aux: bpf_iter_aux_info): bpf_iter_seq_info | null;
}

/** kernel/bpf/bpf_iter.c: bpf_iter_run_prog: 0, or -EAGAIN when the program wants the object again */
function bpf_iter_run_prog(prog: bpf_prog, ctx: number): number {
	const k = impl(prog.kernel);
	const rcu = prog.sleepable ? k.rcu_tasks_trace : k.rcu;
	rcu.read_lock();
	try {
		return (bpf_prog_run(prog, ctx) & 0xffffffffn) === 0n ? 0 : -EAGAIN;
	} finally {
		rcu.read_unlock();
	}
}

/**
 * Run the program of an iterator's file on an object, as each target's show() does: bpf_iter_get_info(), then
 * struct bpf_iter__<target> with `members`, what is not named being NULL.
 */
export function bpf_iter_show<P>(
	seq: iter_seq<P>,
	in_stop: boolean,
	members: () => Readonly<Record<string, number | null>>,
): number {
	const { kernel, priv } = seq;
	if (in_stop && priv.done_stop) return 0;
	const { kmem } = impl(kernel);
	const struct = `bpf_iter__${priv.tinfo.target}`;
	const meta = kmem.kzalloc(ksizeof(kernel, "bpf_iter_meta"));
	const ctx = kmem.kzalloc(ksizeof(kernel, struct));
	const in_meta = (field: string): number => meta + koffsetof(kernel, "bpf_iter_meta", field);
	try {
		kmem.wptr(in_meta("seq"), seq.addr);
		kmem.w64(in_meta("session_id"), priv.session_id);
		kmem.w64(in_meta("seq_num"), priv.seq_num);
		kmem.wptr(ctx + koffsetof(kernel, struct, "meta"), meta);
		for (const [field, addr] of Object.entries(members()))
			if (addr) kmem.wptr(ctx + koffsetof(kernel, struct, field), addr);
		seq.sync();
		return bpf_iter_run_prog(priv.prog, ctx);
	} finally {
		kmem.kfree(meta);
		kmem.kfree(ctx);
	}
}
