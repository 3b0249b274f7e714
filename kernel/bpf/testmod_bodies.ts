// SPDX-License-Identifier: GPL-2.0-only
/**
 * Bodies of the test kfuncs: of the bpf_testmod module (tools/testing/selftests/bpf/bpf_testmod/bpf_testmod.c),
 * of bpf_test_modorder_x and _y, and the kernel's own (net/bpf/test_run.c). Its kfuncs on sockets are not here.
 */
import { EINVAL, ENOMEM } from "../../include/uapi/asm-generic/errno.ts";
import { addr_to_u64, u64_to_addr } from "../../lib/addr.ts";
import type { KernelImpl } from "../kernel_impl.ts";

// struct bpf_iter_testmod_seq
const SEQ_VALUE = 0;
const SEQ_CNT = 8;
// struct bpf_testmod_ctx
const CTX_USAGE = 16;
const CTX_SIZE = 24;
// struct prog_test_ref_kfunc
const REF_NEXT = 16;
const REF_CNT = 24;
const REF_SIZE = 32;

const p = u64_to_addr;
const s = (bits: number, v: bigint): bigint => BigInt.asIntN(bits, v);
const u = (bits: number, v: bigint): bigint => BigInt.asUintN(bits, v);

/** Test kfuncs of the kernel itself: net/bpf/test_run.c */
export function register_test_kfuncs(k: KernelImpl): void {
	const { bodies } = k.bpf;
	const release = (_c: unknown, obj: bigint): bigint => {
		k.kmem.w32(p(obj) + REF_CNT, k.kmem.r32(p(obj) + REF_CNT) - 1);
		return 0n;
	};
	bodies.set("bpf_kfunc_call_test_release", release);
	bodies.set("bpf_kfunc_call_test_release_dtor", release);
	bodies.set("bpf_kfunc_call_memb_release", () => 0n);
	bodies.set("bpf_kfunc_call_memb_release_dtor", () => 0n);
}

/** What a test module brings when it is loaded. */
export function register_testmod(k: KernelImpl, module: string): void {
	const { bodies } = k.bpf;
	if (module === "bpf_test_modorder_x") bodies.set("bpf_test_modorder_retx", () => BigInt("x".charCodeAt(0)));
	if (module === "bpf_test_modorder_y") bodies.set("bpf_test_modorder_rety", () => BigInt("y".charCodeAt(0)));
	if (module !== "bpf_testmod") return;
	register_common(k);
	register_check(k);
}

/** bpf_testmod_common_kfunc_ids */
function register_common(k: KernelImpl): void {
	const { bodies } = k.bpf;
	const { kmem } = k;
	bodies.set("bpf_iter_testmod_seq_new", (_c, it, value, cnt) => {
		kmem.w32(p(it) + SEQ_CNT, Number(s(32, cnt)));
		if (s(32, cnt) < 0n) return BigInt(-EINVAL);
		kmem.w64(p(it) + SEQ_VALUE, value);
		return 0n;
	});
	bodies.set("bpf_iter_testmod_seq_next", (_c, it) => {
		const cnt = kmem.r32(p(it) + SEQ_CNT) | 0;
		if (cnt <= 0) return 0n;
		kmem.w32(p(it) + SEQ_CNT, cnt - 1);
		return addr_to_u64(p(it) + SEQ_VALUE);
	});
	bodies.set("bpf_iter_testmod_seq_value", (_c, val, it) =>
		(kmem.r32(p(it) + SEQ_CNT) | 0) < 0 ? 0n : s(32, val) + kmem.r64(p(it) + SEQ_VALUE),
	);
	bodies.set("bpf_iter_testmod_seq_destroy", (_c, it) => {
		kmem.w32(p(it) + SEQ_CNT, 0);
		return 0n;
	});
	for (const name of [
		"bpf_kfunc_common_test",
		"bpf_kfunc_dynptr_test",
		"bpf_kfunc_nested_acquire_nonzero_offset_test",
		"bpf_kfunc_nested_acquire_zero_offset_test",
		"bpf_kfunc_nested_release_test",
		"bpf_kfunc_trusted_vma_test",
		"bpf_kfunc_trusted_task_test",
		"bpf_kfunc_trusted_num_test",
		"bpf_kfunc_rcu_task_test",
	])
		bodies.set(name, () => 0n);
	bodies.set("bpf_testmod_ctx_create", (_c, err) => {
		const ctx = kmem.kzalloc(CTX_SIZE);
		if (!ctx) {
			kmem.w32(p(err), -ENOMEM);
			return 0n;
		}
		kmem.w32(ctx + CTX_USAGE, 1);
		return addr_to_u64(ctx);
	});
	bodies.set("bpf_testmod_ctx_release", (_c, ptr) => {
		if (!ptr) return 0n;
		const ctx = p(ptr);
		const usage = kmem.r32(ctx + CTX_USAGE) - 1;
		kmem.w32(ctx + CTX_USAGE, usage);
		if (usage === 0) k.rcu.call(() => kmem.kfree(ctx));
		return 0n;
	});
}

/** bpf_testmod_check_kfunc_ids */
function register_check(k: KernelImpl): void {
	const { bodies } = k.bpf;
	const { kmem } = k;
	// prog_test_struct, in the module's data
	const object = kmem.kzalloc(REF_SIZE);
	kmem.w32(object, 42);
	kmem.w32(object + 4, 108);
	kmem.wptr(object + REF_NEXT, object);
	kmem.w32(object + REF_CNT, 1);
	const warn = (): bigint => {
		k.printk("WARNING: bpf_testmod");
		return 0n;
	};
	bodies.set("bpf_testmod_test_mod_kfunc", (_c, i) => {
		const ptr = k.symbols.addr("bpf_testmod_ksym_percpu");
		if (ptr !== undefined) kmem.w32(kmem.this_cpu_ptr(p(ptr)), Number(u(32, i)));
		return 0n;
	});
	bodies.set("bpf_kfunc_call_test1", (_c, _sk, a, b, c, d) => u(32, a) + b + u(32, c) + d);
	bodies.set("bpf_kfunc_call_test2", (_c, _sk, a, b) => u(32, a + b));
	bodies.set("bpf_kfunc_call_test3", (_c, sk) => sk);
	bodies.set("bpf_kfunc_call_test4", (_c, a, b, c, d) => s(8, a) + s(16, b) + s(32, c) + d);
	bodies.set("bpf_kfunc_call_test_acquire", () => {
		kmem.w32(object + REF_CNT, kmem.r32(object + REF_CNT) + 1);
		return addr_to_u64(object);
	});
	bodies.set("bpf_kfunc_call_test_offset", warn);
	bodies.set("bpf_kfunc_call_memb_acquire", warn);
	bodies.set("bpf_kfunc_call_memb1_release", warn);
	for (const name of ["get_rdwr_mem", "get_rdonly_mem", "acq_rdonly_mem"])
		bodies.set(`bpf_kfunc_call_test_${name}`, (_c, obj, size) => (s(32, size) > 8n ? 0n : obj));
	for (const name of [
		"int_mem_release",
		"test_pass_ctx",
		"test_pass1",
		"test_pass2",
		"test_fail1",
		"test_fail2",
		"test_fail3",
		"test_mem_len_pass1",
		"test_mem_len_fail1",
		"test_mem_len_fail2",
		"test_ref",
		"test_destructive",
		"test_sleepable",
	])
		bodies.set(`bpf_kfunc_call_${name}`, () => 0n);
	bodies.set("bpf_kfunc_call_test_static_unused_arg", (_c, arg) => u(32, arg));
	// struct bpf_testmod_st_ops: one function after another
	for (const [i, name] of ["prologue", "epilogue", "pro_epilogue"].entries())
		bodies.set(`bpf_kfunc_st_ops_test_${name}`, (c, args) => {
			const st_ops = k.bpf.testmod_st_ops;
			const op = st_ops ? kmem.r64(st_ops + 8 * i) : 0n;
			return u(32, op ? c.call(op, [args]) : -1n);
		});
	// struct st_ops_args { u64 a; }
	bodies.set("bpf_kfunc_st_ops_inc10", (_c, args) => {
		const a = u(64, kmem.r64(p(args)) + 10n);
		kmem.w64(p(args), a);
		return a;
	});
}
