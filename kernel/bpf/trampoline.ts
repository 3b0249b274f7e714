// SPDX-License-Identifier: GPL-2.0-only
/**
 * kernel/bpf/trampoline.c: trampolines, one for each function that fentry, fexit, fmod_ret and LSM
 * programs attach to, and what a trampoline calls around each program. The code is the architecture's
 * (arch/x86/net/trampoline.ts).
 *
 * The shims of cgroup LSM programs are not ported; attaching to cgroups is not either. RCU-tasks is the
 * ordinary RCU here: the end of a system call, or sleep, is a quiescent state of both.
 */
import type { TrampProg } from "../../arch/jit.ts";
import {
	BPF_MAX_TRAMP_LINKS,
	BPF_TRAMP_F_CALL_ORIG,
	BPF_TRAMP_F_IP_ARG,
	BPF_TRAMP_F_ORIG_STACK,
	BPF_TRAMP_F_RESTORE_REGS,
	BPF_TRAMP_F_SHARE_IPMODIFY,
	BPF_TRAMP_F_SKIP_FRAME,
	BPF_TRAMP_F_TAIL_CALL_CTX,
	BPF_TRAMP_FENTRY,
	BPF_TRAMP_FEXIT,
	BPF_TRAMP_MAX,
	BPF_TRAMP_MODIFY_RETURN,
	BPF_TRAMP_REPLACE,
} from "../../include/linux/bpf.ts";
import { E2BIG, EBUSY, EINVAL, ENOMEM, ENOTSUPP, EOPNOTSUPP } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_LSM_CGROUP,
	BPF_LSM_MAC,
	BPF_MODIFY_RETURN,
	BPF_PROG_TYPE_LSM,
	BPF_TRACE_FENTRY,
	BPF_TRACE_FEXIT,
} from "../../include/uapi/linux/bpf.ts";
import { addr_to_u64, u64_to_addr } from "../../lib/addr.ts";
import type { Kernel } from "../kernel.ts";
import { impl, type KernelImpl } from "../kernel_impl.ts";
import { bpf_prog_check_recur, resolve_prog_type } from "./base_proto.ts";
import type { bpf_tramp_link } from "./bpf_link.ts";
import type { bpf_prog } from "./bpf_types.ts";
import { btf_obj_id } from "./btf.ts";
import type { btf, btf_func_model, btf_type, kmodule } from "./btf_types.ts";
import type { TrampSpec } from "./jit.ts";
import { koffsetof } from "./layout.ts";
import { bpf_prog_inc_misses_counter, bpf_prog_update_stats, prog_image } from "./prog.ts";

const BPF_MOD_CALL = 0;
const BPF_MOD_JUMP = 1;
const PAGE_SIZE = 4096;
/** Room for a struct bpf_tramp_image; nothing but its address is used. */
const TRAMP_IMAGE_SIZE = 512;

/** struct bpf_attach_target_info */
export interface bpf_attach_target_info {
	fmodel: btf_func_model;
	tgt_addr: bigint;
	tgt_mod: kmodule | null;
	tgt_name: string;
	tgt_type: btf_type | null;
}

/** struct bpf_tramp_image */
export class bpf_tramp_image {
	/** Guest address of the struct. */
	readonly addr: number;
	readonly image: bigint;
	readonly size: number;
	readonly name: string;
	/** struct percpu_ref: calls of the original function under way, and one for the trampoline itself. */
	pcref = 1;
	ip_after_call = 0n;
	ip_epilogue = 0n;
	constructor(addr: number, image: bigint, size: number, name: string) {
		this.addr = addr;
		this.image = image;
		this.size = size;
		this.name = name;
	}
}

/** struct bpf_trampoline */
export class bpf_trampoline {
	readonly kernel: Kernel;
	readonly key: bigint;
	refcnt = 1;
	flags = 0;
	readonly func: { readonly model: btf_func_model; readonly addr: bigint; ftrace_managed: boolean };
	/** The program that stands in for the function. */
	extension_prog: bpf_prog | null = null;
	/** Links by kind, the newest first. */
	readonly progs_hlist: bpf_tramp_link[][] = [[], [], []];
	cur_image: bpf_tramp_image | null = null;
	constructor(kernel: Kernel, key: bigint, model: btf_func_model, addr: bigint) {
		this.kernel = kernel;
		this.key = key;
		this.func = { model, addr, ftrace_managed: false };
	}
}

/** include/linux/bpf_verifier.h: bpf_trampoline_compute_key: low bit of the high half: the target is a function of BTF. */
export function bpf_trampoline_compute_key(
	tgt_prog: bpf_prog | null,
	btf: btf | null,
	btf_id: number,
): bigint {
	const id = BigInt(btf_id >>> 0);
	if (tgt_prog) return (BigInt(tgt_prog.aux.id >>> 0) << 32n) | id;
	return (BigInt(btf_obj_id(btf!) >>> 0) << 32n) | 0x80000000n | id;
}

/** include/linux/bpf_verifier.h: bpf_trampoline_unpack_key */
export function bpf_trampoline_unpack_key(key: bigint): { obj_id: number; btf_id: number } {
	return { obj_id: Number(key >> 32n), btf_id: Number(key & 0x7fffffffn) };
}

/** kernel/bpf/trampoline.c: bpf_trampoline_get */
export function bpf_trampoline_get(kernel: Kernel, key: bigint, tgt: bpf_attach_target_info): bpf_trampoline {
	kernel.bpf.trampolines ??= new Map();
	const all = kernel.bpf.trampolines;
	let tr = all.get(key);
	if (tr) {
		tr.refcnt++;
		return tr;
	}
	tr = new bpf_trampoline(kernel, key, tgt.fmodel, tgt.tgt_addr);
	all.set(key, tr);
	return tr;
}

/** kernel/bpf/trampoline.c: bpf_trampoline_put */
export function bpf_trampoline_put(kernel: Kernel, tr: bpf_trampoline): void {
	if (--tr.refcnt !== 0) return;
	if (tr.progs_hlist.some((l) => l.length > 0)) {
		kernel.printk("WARNING: kernel/bpf/trampoline.c: a trampoline goes with programs on it");
		return;
	}
	kernel.bpf.trampolines?.delete(tr.key);
}

function text_poke(
	tr: bpf_trampoline,
	type: number,
	old_addr: bigint | null,
	new_addr: bigint | null,
): number {
	const poke = tr.kernel.bpf.jit;
	if (!poke?.bpf_arch_text_poke) return -ENOTSUPP;
	return poke.bpf_arch_text_poke(tr.func.addr, type, old_addr, new_addr);
}

/** kernel/bpf/trampoline.c: unregister_fentry */
function unregister_fentry(tr: bpf_trampoline, old_addr: bigint): number {
	const { ftrace } = impl(tr.kernel);
	if (!tr.func.ftrace_managed) return text_poke(tr, BPF_MOD_CALL, old_addr, null);
	ftrace.traced.delete(ftrace.function_at(tr.func.addr)!);
	return ftrace.set_direct(tr.func.addr, old_addr, null);
}

/** kernel/bpf/trampoline.c: modify_fentry */
function modify_fentry(tr: bpf_trampoline, old_addr: bigint, new_addr: bigint): number {
	if (tr.func.ftrace_managed) return impl(tr.kernel).ftrace.set_direct(tr.func.addr, old_addr, new_addr);
	return text_poke(tr, BPF_MOD_CALL, old_addr, new_addr);
}

/** kernel/bpf/trampoline.c: register_fentry: the first time */
function register_fentry(tr: bpf_trampoline, new_addr: bigint): number {
	const { ftrace } = impl(tr.kernel);
	const name = ftrace.function_at(tr.func.addr);
	if (name === null) return text_poke(tr, BPF_MOD_CALL, null, new_addr);
	tr.func.ftrace_managed = true;
	const ret = ftrace.set_direct(tr.func.addr, null, new_addr);
	if (!ret) ftrace.traced.add(name);
	return ret;
}

/**
 * Whether something here would ever enter the function by its entry; the kernel's own functions are all
 * called so, but those of this kernel that are not would take programs and never run them.
 */
function check_fires(tr: bpf_trampoline): number {
	const k = impl(tr.kernel);
	const name = k.ftrace.function_at(tr.func.addr);
	if (name === null) return 0;
	if (!k.ftrace.traceable(name)) {
		k.bpf.not_ported(
			name.startsWith("bpf_lsm_")
				? `LSM hook ${name} is never called`
				: `${name} is never called through its entry`,
		);
		return -EOPNOTSUPP;
	}
	k.ftrace.make_traceable(name);
	return 0;
}

/** A link as the architecture takes it. */
export function tramp_prog(k: KernelImpl, link: bpf_tramp_link): TrampProg {
	const prog = link.prog!;
	return {
		prog: addr_to_u64(prog_image(prog)),
		bpf_func: prog.bpf_func,
		cookie: link.cookie,
		enter: k.symbols.addr(bpf_trampoline_enter(prog))!,
		exit: k.symbols.addr(bpf_trampoline_exit(prog))!,
	};
}

/** kernel/bpf/trampoline.c: bpf_tramp_image_free */
function bpf_tramp_image_free(k: KernelImpl, im: bpf_tramp_image): void {
	k.bpf.tramp_images.delete(im.addr);
	k.machine?.text.remove(u64_to_addr(im.image));
	k.bpf.jit!.arch_free_bpf_trampoline!(im.image);
	k.rcu.call(() => k.kmem.kfree(im.addr));
}

/** percpu_ref_put() */
function pcref_put(k: KernelImpl, im: bpf_tramp_image): void {
	// __bpf_tramp_image_release(): the last call has left; then its last few instructions
	if (--im.pcref === 0) k.rcu.call(() => k.queue_work(() => bpf_tramp_image_free(k, im)));
}

/** kernel/bpf/trampoline.c: bpf_tramp_image_put: nothing enters the trampoline any more */
function bpf_tramp_image_put(k: KernelImpl, im: bpf_tramp_image): void {
	if (im.ip_after_call) {
		// who is in the original function now must not run exit programs, which may be gone by then
		const err = k.bpf.jit!.bpf_arch_text_poke!(im.ip_after_call, BPF_MOD_JUMP, null, im.ip_epilogue);
		if (err) k.printk(`WARNING: kernel/bpf/trampoline.c: text_poke of an epilogue: ${err}`);
		// percpu_ref_kill()
		k.rcu.call(() => pcref_put(k, im));
		return;
	}
	// without the original function inside, programs that sleep are all there is to wait for
	k.rcu_tasks_trace.call(() => k.rcu.call(() => k.queue_work(() => bpf_tramp_image_free(k, im))));
}

/** kernel/bpf/trampoline.c: bpf_tramp_image_alloc */
function bpf_tramp_image_alloc(k: KernelImpl, key: bigint, size: number): bpf_tramp_image | number {
	const addr = k.kmem.kzalloc(TRAMP_IMAGE_SIZE);
	if (!addr) return -ENOMEM;
	const image = k.bpf.jit!.arch_alloc_bpf_trampoline!(size);
	if (!image) {
		k.kmem.kfree(addr);
		return -ENOMEM;
	}
	const im = new bpf_tramp_image(addr, image, size, `bpf_trampoline_${key}`);
	k.bpf.tramp_images.set(addr, im);
	k.machine?.text.add(im.name, u64_to_addr(image), size);
	return im;
}

/** kernel/bpf/trampoline.c: bpf_trampoline_update: make the code anew and let the function call it */
function bpf_trampoline_update(tr: bpf_trampoline): number {
	const k = impl(tr.kernel);
	const { jit } = k.bpf;
	const orig_flags = tr.flags;
	const total = tr.progs_hlist.reduce((n, l) => n + l.length, 0);
	if (total === 0) {
		const err = unregister_fentry(tr, tr.cur_image!.image);
		bpf_tramp_image_put(k, tr.cur_image!);
		tr.cur_image = null;
		if (err) tr.flags = orig_flags;
		return err;
	}
	if (!jit?.arch_bpf_trampoline_size || !jit.arch_prepare_bpf_trampoline) return -ENOTSUPP;

	tr.flags &= BPF_TRAMP_F_SHARE_IPMODIFY | BPF_TRAMP_F_TAIL_CALL_CTX;
	if (tr.progs_hlist[BPF_TRAMP_FEXIT]!.length || tr.progs_hlist[BPF_TRAMP_MODIFY_RETURN]!.length)
		tr.flags |= BPF_TRAMP_F_CALL_ORIG | BPF_TRAMP_F_SKIP_FRAME;
	else tr.flags |= BPF_TRAMP_F_RESTORE_REGS;
	if (tr.progs_hlist.some((list) => list.some((l) => l.prog!.call_get_func_ip)))
		tr.flags |= BPF_TRAMP_F_IP_ARG;
	if (tr.flags & BPF_TRAMP_F_SHARE_IPMODIFY && tr.flags & BPF_TRAMP_F_CALL_ORIG)
		tr.flags |= BPF_TRAMP_F_ORIG_STACK;

	const fail = (err: number, im?: bpf_tramp_image): number => {
		if (im) bpf_tramp_image_free(k, im);
		tr.flags = orig_flags;
		return err;
	};
	for (const list of tr.progs_hlist)
		for (const l of list)
			if (!l.prog!.jited) {
				k.bpf.not_ported("trampolines for interpreted programs");
				return fail(-EOPNOTSUPP);
			}
	const progs = (kind: number): TrampProg[] => tr.progs_hlist[kind]!.map((l) => tramp_prog(k, l));
	const spec: TrampSpec = {
		im: 0xffffc90000000000n,
		model: tr.func.model,
		flags: tr.flags,
		fentry: progs(BPF_TRAMP_FENTRY),
		fexit: progs(BPF_TRAMP_FEXIT),
		fmod_ret: progs(BPF_TRAMP_MODIFY_RETURN),
		func_addr: tr.func.addr,
	};
	const size = jit.arch_bpf_trampoline_size(spec);
	if (size < 0) return fail(size);
	if (size > PAGE_SIZE) return fail(-E2BIG);
	const im = bpf_tramp_image_alloc(k, tr.key, size);
	if (typeof im === "number") return fail(im);
	const made = jit.arch_prepare_bpf_trampoline(im.image, size, { ...spec, im: addr_to_u64(im.addr) });
	if (typeof made === "number") return fail(made, im);
	im.ip_after_call = made.ip_after_call;
	im.ip_epilogue = made.ip_epilogue;
	const err = tr.cur_image ? modify_fentry(tr, tr.cur_image.image, im.image) : register_fentry(tr, im.image);
	if (err) return fail(err, im);
	if (tr.cur_image) bpf_tramp_image_put(k, tr.cur_image);
	tr.cur_image = im;
	return 0;
}

/** kernel/bpf/trampoline.c: bpf_attach_type_to_tramp */
function bpf_attach_type_to_tramp(prog: bpf_prog): number {
	switch (prog.expected_attach_type) {
		case BPF_TRACE_FENTRY:
			return BPF_TRAMP_FENTRY;
		case BPF_MODIFY_RETURN:
			return BPF_TRAMP_MODIFY_RETURN;
		case BPF_TRACE_FEXIT:
			return BPF_TRAMP_FEXIT;
		case BPF_LSM_MAC:
			// what a function returns can be changed only if it returns something
			return prog.aux.attach_func_proto?.type ? BPF_TRAMP_MODIFY_RETURN : BPF_TRAMP_FEXIT;
		default:
			return BPF_TRAMP_REPLACE;
	}
}

/** kernel/bpf/trampoline.c: bpf_freplace_check_tgt_prog: no circle through tail calls */
function bpf_freplace_check_tgt_prog(tgt_prog: bpf_prog): number {
	if (tgt_prog.aux.prog_array_member_cnt) return -EBUSY;
	tgt_prog.aux.is_extended = true;
	return 0;
}

/** kernel/bpf/trampoline.c: bpf_trampoline_link_prog */
export function bpf_trampoline_link_prog(
	link: bpf_tramp_link,
	tr: bpf_trampoline,
	tgt_prog: bpf_prog | null,
): number {
	const prog = link.prog!;
	const kind = bpf_attach_type_to_tramp(prog);
	if (tr.extension_prog) return -EBUSY;
	let cnt = 0;
	for (let i = 0; i < BPF_TRAMP_MAX; i++) cnt += tr.progs_hlist[i]!.length;
	if (kind === BPF_TRAMP_REPLACE) {
		if (cnt) return -EBUSY;
		const err = bpf_freplace_check_tgt_prog(tgt_prog!);
		if (err) return err;
		tr.extension_prog = prog;
		return text_poke(tr, BPF_MOD_JUMP, null, prog.bpf_func);
	}
	if (cnt >= BPF_MAX_TRAMP_LINKS) return -E2BIG;
	if (link.hashed) return -EBUSY;
	const list = tr.progs_hlist[kind]!;
	if (list.some((l) => l.prog === prog)) return -EBUSY;
	let err = check_fires(tr);
	if (err) return err;
	list.unshift(link);
	link.hashed = true;
	err = bpf_trampoline_update(tr);
	if (err) {
		list.splice(list.indexOf(link), 1);
		link.hashed = false;
	}
	return err;
}

/** kernel/bpf/trampoline.c: bpf_trampoline_unlink_prog: never fails */
export function bpf_trampoline_unlink_prog(
	link: bpf_tramp_link,
	tr: bpf_trampoline,
	tgt_prog: bpf_prog | null,
): number {
	const kind = bpf_attach_type_to_tramp(link.prog!);
	if (kind === BPF_TRAMP_REPLACE) {
		const err = text_poke(tr, BPF_MOD_JUMP, tr.extension_prog!.bpf_func, null);
		tr.extension_prog = null;
		tgt_prog!.aux.is_extended = false;
		return err;
	}
	const list = tr.progs_hlist[kind]!;
	list.splice(list.indexOf(link), 1);
	link.hashed = false;
	return bpf_trampoline_update(tr);
}

// ---- what a trampoline calls around a program

const NO_START_TIME = 1n;

/** kernel/bpf/trampoline.c: bpf_trampoline_enter: the symbol of the function */
export function bpf_trampoline_enter(prog: bpf_prog): string {
	const sleepable = prog.sleepable ? "_sleepable" : "";
	if (bpf_prog_check_recur(prog)) return `__bpf_prog_enter${sleepable}_recur`;
	if (resolve_prog_type(prog) === BPF_PROG_TYPE_LSM && prog.expected_attach_type === BPF_LSM_CGROUP)
		return "__bpf_prog_enter_lsm_cgroup";
	return `__bpf_prog_enter${sleepable}`;
}

/** kernel/bpf/trampoline.c: bpf_trampoline_exit */
export function bpf_trampoline_exit(prog: bpf_prog): string {
	return bpf_trampoline_enter(prog).replace("_enter", "_exit");
}

/** this_cpu of prog->active */
function active_of(k: KernelImpl, prog: bpf_prog): Int32Array {
	let a = k.bpf.prog_active.get(prog);
	if (!a) {
		a = new Int32Array(k.config.cpus);
		k.bpf.prog_active.set(prog, a);
	}
	return a;
}

/** Bodies of the functions that trampolines call, and of the helpers that read a trampoline's frame. */
export function register_trampoline(k: KernelImpl): void {
	const { bodies } = k.bpf;
	const prog_at = (p: bigint): bpf_prog => {
		const prog = k.bpf.prog_by_addr.get(u64_to_addr(p));
		if (!prog) throw new Error(`BUG: 0x${p.toString(16)} is no program`);
		return prog;
	};
	const im_at = (p: bigint): bpf_tramp_image => k.bpf.tramp_images.get(u64_to_addr(p))!;
	const off = (f: string): number => koffsetof(k, "bpf_tramp_run_ctx", f);

	/** bpf_set_run_ctx() */
	const set_run_ctx = (run_ctx: bigint): void => {
		const at = u64_to_addr(run_ctx);
		k.kmem.w64(at + off("saved_run_ctx"), k.task.bpf_ctx);
		k.task.bpf_ctx = run_ctx;
		k.cookies.push(k.bpf_cookie);
		k.bpf_cookie = k.kmem.r64(at + off("bpf_cookie"));
	};
	/** bpf_reset_run_ctx() */
	const reset_run_ctx = (run_ctx: bigint): void => {
		k.task.bpf_ctx = k.kmem.r64(u64_to_addr(run_ctx) + off("saved_run_ctx"));
		k.bpf_cookie = k.cookies.pop() ?? 0n;
	};
	const start_time = (): bigint => {
		if (!k.bpf.stats_enabled) return NO_START_TIME;
		return k.time.now || NO_START_TIME;
	};
	const update_prog_stats = (prog: bpf_prog, start: bigint): void => {
		if (k.bpf.stats_enabled && start > NO_START_TIME) bpf_prog_update_stats(prog, k.time.now - start);
	};

	for (const sleepable of [false, true]) {
		const rcu = sleepable ? k.rcu_tasks_trace : k.rcu;
		for (const recur of [false, true]) {
			const name = (way: string): string =>
				`__bpf_prog_${way}${sleepable ? "_sleepable" : ""}${recur ? "_recur" : ""}`;
			bodies.set(name("enter"), (_c, p, run_ctx) => {
				const prog = prog_at(p);
				rcu.read_lock();
				set_run_ctx(run_ctx);
				if (recur && ++active_of(k, prog)[k.cpu]! !== 1) {
					bpf_prog_inc_misses_counter(prog);
					return 0n;
				}
				return start_time();
			});
			bodies.set(name("exit"), (_c, p, start, run_ctx) => {
				const prog = prog_at(p);
				reset_run_ctx(run_ctx);
				update_prog_stats(prog, start);
				if (recur) active_of(k, prog)[k.cpu]!--;
				rcu.read_unlock();
				return 0n;
			});
		}
	}
	bodies.set("__bpf_prog_enter_lsm_cgroup", (_c, _p, run_ctx) => {
		k.rcu.read_lock();
		set_run_ctx(run_ctx);
		return NO_START_TIME;
	});
	bodies.set("__bpf_prog_exit_lsm_cgroup", (_c, _p, _start, run_ctx) => {
		reset_run_ctx(run_ctx);
		k.rcu.read_unlock();
		return 0n;
	});
	bodies.set("__bpf_tramp_enter", (_c, im) => {
		im_at(im).pcref++;
		return 0n;
	});
	bodies.set("__bpf_tramp_exit", (_c, im) => {
		pcref_put(k, im_at(im));
		return 0n;
	});

	// kernel/trace/bpf_trace.c: for programs whose calls the verifier does not turn into loads
	const nr_args = (ctx: number): bigint => k.kmem.r64(ctx - 8);
	const err = (e: number): bigint => BigInt.asUintN(64, BigInt(-e));
	bodies.set("get_func_arg", (_c, ctx64, n, value) => {
		const ctx = u64_to_addr(ctx64);
		if (BigInt.asUintN(32, n) >= nr_args(ctx)) return err(EINVAL);
		k.kmem.w64(u64_to_addr(value), k.kmem.r64(ctx + 8 * Number(BigInt.asUintN(32, n))));
		return 0n;
	});
	bodies.set("get_func_ret", (_c, ctx64, value) => {
		const ctx = u64_to_addr(ctx64);
		k.kmem.w64(u64_to_addr(value), k.kmem.r64(ctx + 8 * Number(nr_args(ctx))));
		return 0n;
	});
	bodies.set("get_func_arg_cnt", (_c, ctx64) => nr_args(u64_to_addr(ctx64)));
	bodies.set("bpf_get_func_ip_tracing", (_c, ctx64) => k.kmem.r64(u64_to_addr(ctx64) - 16));
}
