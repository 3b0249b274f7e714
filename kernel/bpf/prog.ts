// SPDX-License-Identifier: GPL-2.0-only
/**
 * The life of programs (kernel/bpf/syscall.c): references, ids, the program's file, its image for
 * guest code, and running it.
 */
import { EBADF, EINVAL, ENOENT } from "../../include/uapi/asm-generic/errno.ts";
import { anon_inode_getfd, fdget, type file, type file_operations, O_CLOEXEC, O_RDWR } from "../file.ts";
import type { Kernel } from "../kernel.ts";
import { impl } from "../kernel_impl.ts";
import { security_bpf_prog } from "../security.ts";
import type { bpf_map, bpf_prog } from "./bpf_types.ts";
import { btf_put } from "./btf.ts";
import { __bpf_free_used_btfs, bpf_prog_free_jit, bpf_prog_kallsyms_del_all } from "./core.ts";
import { koffsetof, ksizeof, try_offsetof } from "./layout.ts";
import { ops_of } from "./map.ts";
import { bpf_map_put } from "./map_create.ts";
import { bpf_free_kfunc_btf_tab } from "./subprogs.ts";
import { bpf_trampoline_put } from "./trampoline.ts";

/** struct bpf_prog_kstats */
export interface bpf_prog_kstats {
	nsecs: bigint;
	cnt: bigint;
	misses: bigint;
}

/** kernel/bpf/syscall.c: bpf_prog_get_stats */
export function bpf_prog_get_stats(prog: bpf_prog): bpf_prog_kstats {
	return impl(prog.kernel).bpf.prog_stats.get(prog) ?? { nsecs: 0n, cnt: 0n, misses: 0n };
}

function stats_of(prog: bpf_prog): bpf_prog_kstats {
	const all = impl(prog.kernel).bpf.prog_stats;
	let s = all.get(prog);
	if (!s) {
		s = { nsecs: 0n, cnt: 0n, misses: 0n };
		all.set(prog, s);
	}
	return s;
}

/** kernel/bpf/syscall.c: bpf_prog_inc_misses_counter */
export function bpf_prog_inc_misses_counter(prog: bpf_prog): void {
	stats_of(prog).misses++;
}

/** include/linux/filter.h: what a run adds to a program's statistics */
export function bpf_prog_update_stats(prog: bpf_prog, nsecs: bigint): void {
	const s = stats_of(prog);
	s.cnt++;
	s.nsecs += nsecs;
}

/** kernel/bpf/syscall.c: bpf_prog_alloc_id */
export function bpf_prog_alloc_id(prog: bpf_prog): number {
	const id = impl(prog.kernel).bpf.prog_idr.alloc_cyclic(prog);
	if (id < 0) return id;
	prog.aux.id = id;
	return 0;
}

/** kernel/bpf/syscall.c: bpf_prog_free_id */
export function bpf_prog_free_id(prog: bpf_prog): void {
	if (!prog.aux.id) return;
	impl(prog.kernel).bpf.prog_idr.remove(prog.aux.id);
	prog.aux.id = 0;
}

/** kernel/bpf/core.c: bpf_free_used_maps */
export function bpf_free_used_maps(prog: bpf_prog): void {
	for (const map of prog.aux.used_maps) {
		map.ops.map_poke_untrack?.(map, prog.aux);
		if (prog.sleepable) map.sleepable_refcnt--;
		bpf_map_put(map);
	}
	prog.aux.used_maps = [];
}

/** kernel/bpf/core.c: bpf_prog_free */
export function bpf_prog_free(prog: bpf_prog): void {
	const { aux } = prog;
	const k = impl(prog.kernel);
	if (aux.dst_prog) bpf_prog_put(aux.dst_prog);
	aux.dst_prog = null;
	k.queue_work(() => {
		bpf_free_used_maps(prog);
		__bpf_free_used_btfs(aux.used_btfs);
		aux.used_btfs = [];
		bpf_free_kfunc_btf_tab(prog);
		if (aux.dst_trampoline) bpf_trampoline_put(k, aux.dst_trampoline);
		aux.dst_trampoline = null;
		bpf_prog_free_jit(prog);
		prog_image_free(prog);
		for (const f of aux.func ?? []) if (f !== prog) prog_image_free(f);
		k.bpf.prog_stats.delete(prog);
		k.bpf.prog_active.delete(prog);
	});
}

/** kernel/bpf/syscall.c: __bpf_prog_put_noref */
export function __bpf_prog_put_noref(prog: bpf_prog, deferred: boolean): void {
	const k = impl(prog.kernel);
	const { aux } = prog;
	bpf_prog_kallsyms_del_all(prog);
	btf_put(aux.btf);
	if (aux.attach_btf) btf_put(aux.attach_btf);
	if (!deferred) bpf_prog_free(prog);
	else if (prog.sleepable) k.rcu_tasks_trace.call(() => bpf_prog_free(prog));
	else k.rcu.call(() => bpf_prog_free(prog));
}

/** kernel/bpf/syscall.c: bpf_prog_put */
export function bpf_prog_put(prog: bpf_prog): void {
	if (--prog.aux.refcnt !== 0) return;
	bpf_prog_free_id(prog);
	__bpf_prog_put_noref(prog, true);
}

/** kernel/bpf/syscall.c: bpf_prog_inc */
export function bpf_prog_inc(prog: bpf_prog): void {
	prog.aux.refcnt++;
}

/** kernel/bpf/syscall.c: bpf_prog_inc_not_zero */
export function bpf_prog_inc_not_zero(prog: bpf_prog): bpf_prog | number {
	if (prog.aux.refcnt === 0) return -ENOENT;
	prog.aux.refcnt++;
	return prog;
}

/** kernel/bpf/syscall.c: bpf_prog_show_fdinfo */
function bpf_prog_show_fdinfo(f: file): string {
	const prog = f.private_data as bpf_prog;
	const stats = bpf_prog_get_stats(prog);
	const pages = Math.ceil((ksizeof(prog.kernel, "bpf_prog") + prog.len * 8) / 4096);
	return (
		`prog_type:\t${prog.type}\nprog_jited:\t${prog.jited ? 1 : 0}\nprog_tag:\t${tag_hex(prog)}\n` +
		`memlock:\t${pages * 4096}\nprog_id:\t${prog.aux.id}\nrun_time_ns:\t${stats.nsecs}\n` +
		`run_cnt:\t${stats.cnt}\nrecursion_misses:\t${stats.misses}\nverified_insns:\t${prog.aux.verified_insns}\n`
	);
}

/** bin2hex() of the program's tag. */
export function tag_hex(prog: bpf_prog): string {
	return Array.from(prog.tag, (b) => b.toString(16).padStart(2, "0")).join("");
}

/** kernel/bpf/syscall.c: bpf_prog_fops */
export const bpf_prog_fops: file_operations = {
	name: "bpf-prog",
	show_fdinfo: bpf_prog_show_fdinfo,
	release: (f: file) => bpf_prog_put(f.private_data as bpf_prog),
	read: () => -EINVAL,
	write: () => -EINVAL,
};

/** kernel/bpf/syscall.c: bpf_prog_new_fd */
export function bpf_prog_new_fd(prog: bpf_prog): number {
	const denied = security_bpf_prog(prog);
	if (denied < 0) return denied;
	return anon_inode_getfd(prog.kernel, "bpf-prog", bpf_prog_fops, prog, O_RDWR | O_CLOEXEC);
}

/** kernel/bpf/syscall.c: bpf_prog_get */
export function bpf_prog_get(kernel: Kernel, ufd: number): bpf_prog | number {
	return bpf_prog_get_type(kernel, ufd, -1);
}

/** kernel/bpf/syscall.c: bpf_prog_get_type_dev: any type when it is negative. */
export function bpf_prog_get_type(kernel: Kernel, ufd: number, type: number): bpf_prog | number {
	const f = fdget(kernel, ufd);
	if (!f) return -EBADF;
	if (f.f_op !== bpf_prog_fops) return -EINVAL;
	const prog = f.private_data as bpf_prog;
	if (type >= 0 && prog.type !== type) return -EINVAL;
	bpf_prog_inc(prog);
	return prog;
}

// ---- the image in guest memory: struct bpf_prog and struct bpf_prog_aux, as JITed code and BTF reads see them

/** Guest address of the struct bpf_prog; made at first use. */
export function prog_image(prog: bpf_prog): number {
	if (prog.addr) {
		prog_image_sync(prog);
		return prog.addr;
	}
	const { kernel } = prog;
	const k = impl(kernel);
	prog.addr = k.kmem.kzalloc(ksizeof(kernel, "bpf_prog"));
	if (!prog.aux.addr) prog.aux.addr = k.kmem.kzalloc(ksizeof(kernel, "bpf_prog_aux"));
	k.bpf.prog_by_addr.set(prog.addr, prog);
	prog_image_sync(prog);
	return prog.addr;
}

/** Write what guest code may read of a program. */
export function prog_image_sync(prog: bpf_prog): void {
	if (!prog.addr) return;
	const { kernel, aux } = prog;
	const { kmem } = impl(kernel);
	const at = (f: string): number => prog.addr + koffsetof(kernel, "bpf_prog", f);
	kmem.w32(at("type"), prog.type);
	kmem.w32(at("expected_attach_type"), prog.expected_attach_type);
	kmem.w32(at("len"), prog.len);
	kmem.w32(at("jited_len"), prog.jited_len);
	kmem.write(at("tag"), prog.tag);
	kmem.w64(at("bpf_func"), prog.bpf_func);
	kmem.wptr(at("aux"), aux.addr);
	const a = (f: string): number => aux.addr + koffsetof(kernel, "bpf_prog_aux", f);
	kmem.w32(a("id"), aux.id);
	kmem.w32(a("func_cnt"), aux.func_cnt);
	kmem.w32(a("func_idx"), aux.func_idx);
	kmem.w32(a("stack_depth"), aux.stack_depth);
	kmem.wptr(a("prog"), prog.addr);
	const name = new Uint8Array(16);
	for (let i = 0; i < aux.name.length && i < 15; i++) name[i] = aux.name.charCodeAt(i);
	kmem.write(a("name"), name);
	const ksym = try_offsetof(kernel, "bpf_prog_aux", "ksym.start");
	if (ksym >= 0) {
		kmem.w64(aux.addr + ksym, aux.ksym.start);
		kmem.w64(a("ksym.end"), aux.ksym.end);
	}
}

function prog_image_free(prog: bpf_prog): void {
	const { kmem, bpf } = impl(prog.kernel);
	if (prog.addr) {
		bpf.prog_by_addr.delete(prog.addr);
		kmem.kfree(prog.addr);
		prog.addr = 0;
	}
	if (prog.aux.addr) {
		kmem.kfree(prog.aux.addr);
		prog.aux.addr = 0;
	}
}

/**
 * include/linux/filter.h: bpf_prog_run(): the JIT image, or the interpreter. `ctx` is what R1 gets.
 */
export function bpf_prog_run(prog: bpf_prog, ctx: number | bigint): bigint {
	const k = impl(prog.kernel);
	const r1 = BigInt.asUintN(64, BigInt(ctx));
	const begin = k.bpf.stats_enabled ? k.time.now : 0n;
	const ret = k.run_prog(prog, r1);
	if (k.bpf.stats_enabled) {
		const s = stats_of(prog);
		s.cnt++;
		s.nsecs += k.time.now - begin;
	}
	return ret;
}

/** A map that programs are stored in, for tail calls: the program at an index, or null. */
export function prog_array_at(map: bpf_map, value: number, index: number): bpf_prog | null {
	const k = impl(map.kernel);
	const ptr = k.kmem.rptr(value + 8 * index);
	return ptr ? (k.bpf.prog_by_addr.get(ptr) ?? null) : null;
}

export { ops_of };
