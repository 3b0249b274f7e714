// SPDX-License-Identifier: GPL-2.0-only
/**
 * The selftests' module as far as programs attach to its functions and tracepoints
 * (tools/testing/selftests/bpf/bpf_testmod/bpf_testmod.c): reading its file in sysfs calls them all.
 */
import { EINVAL, EIO } from "../include/uapi/asm-generic/errno.ts";
import { addr_to_u64, u64_to_addr } from "../lib/addr.ts";
import type { KernelImpl } from "./kernel_impl.ts";
import { task_image } from "./task_image.ts";
import type { CallArg } from "./trace/ftrace.ts";

const s32 = (v: bigint): bigint => BigInt.asIntN(32, v);
const s16 = (v: bigint): bigint => BigInt.asIntN(16, v);
const s8 = (v: bigint): bigint => BigInt.asIntN(8, v);

type Body = (k: KernelImpl, a: readonly bigint[]) => bigint;

/** Sum of its words, each of so many bits. */
function sum(...bits: number[]): Body {
	return (_k, a) => bits.reduce((n, b, i) => n + BigInt.asIntN(b, a[i]!), 0n);
}

/** struct bpf_testmod_struct_arg_5 in two words: char, short, int; long */
function sum_arg_5(lo: bigint, hi: bigint): bigint {
	return s8(lo) + s16(lo >> 16n) + s32(lo >> 32n) + hi;
}

/** What each function does with the words of its arguments. */
const FUNCTIONS: Readonly<Record<string, Body>> = {
	bpf_testmod_test_struct_arg_1: sum(64, 64, 32, 32),
	bpf_testmod_test_struct_arg_2: sum(32, 64, 64, 32),
	bpf_testmod_test_struct_arg_3: sum(32, 32, 64, 64),
	bpf_testmod_test_struct_arg_4: sum(32, 32, 32, 32, 64, 64),
	bpf_testmod_test_struct_arg_5: () => 1n,
	bpf_testmod_test_struct_arg_6: (k, a) => BigInt(k.kmem.r32(u64_to_addr(a[0]!) + 4)),
	bpf_testmod_test_struct_arg_7: sum(64, 64, 16, 32, 64, 64, 32),
	bpf_testmod_test_struct_arg_8: sum(64, 64, 16, 32, 64, 64, 32, 32),
	bpf_testmod_test_struct_arg_9: (k, a) =>
		sum(64, 64, 16, 32, 64, 8, 16)(k, a) + sum_arg_5(a[7]!, a[8]!) + a[9]!,
	bpf_testmod_test_arg_ptr_to_struct: (k, a) => BigInt(k.kmem.r32(u64_to_addr(a[0]!))),
	bpf_testmod_fentry_test1: (_k, a) => s32(a[0]!) + 1n,
	bpf_testmod_fentry_test2: sum(32, 64),
	bpf_testmod_fentry_test3: sum(8, 32, 64),
	bpf_testmod_fentry_test7: sum(64, 64, 16, 32, 64, 8, 32),
	bpf_testmod_fentry_test11: sum(64, 64, 16, 32, 64, 8, 32, 32, 64, 64, 64),
};

function call(k: KernelImpl, name: string, ...args: CallArg[]): number {
	const body = FUNCTIONS[name]!;
	return Number(s32(k.ftrace.call(name, args, (a) => s32(body(k, a)))));
}

/** bpf_testmod.c: bpf_testmod_test_read: always an error, once everything was called */
function bpf_testmod_test_read(k: KernelImpl, len: number): number {
	const { kmem } = k;
	const arg_2 = [2, 3];
	const arg_4 = [21, 22];
	const arg_5 = [23n | (24n << 16n) | (25n << 32n), 26];
	call(k, "bpf_testmod_test_struct_arg_1", arg_2, 1, 4);
	call(k, "bpf_testmod_test_struct_arg_2", 1, arg_2, 4);
	call(k, "bpf_testmod_test_struct_arg_3", 1, 4, arg_2);
	call(k, "bpf_testmod_test_struct_arg_4", [10], 1, 2, 3, arg_2);
	call(k, "bpf_testmod_test_struct_arg_5");
	call(k, "bpf_testmod_test_struct_arg_7", 16, 17, 18, 19, 20, arg_4);
	call(k, "bpf_testmod_test_struct_arg_8", 16, 17, 18, 19, 20, arg_4, 23);
	call(k, "bpf_testmod_test_struct_arg_9", 16, 17, 18, 19, 20, 21, 22, arg_5, 27);
	const at = kmem.kzalloc(64);
	kmem.w32(at, -1);
	call(k, "bpf_testmod_test_arg_ptr_to_struct", at);
	kmem.w32(at, 0);
	kmem.w32(at + 4, 1);
	call(k, "bpf_testmod_test_struct_arg_6", at);
	kmem.kfree(at);

	if (k.tracepoints.enabled("bpf_testmod_test_read")) {
		// struct bpf_testmod_test_read_ctx: buf, off, len
		const ctx = kmem.kzalloc(24);
		kmem.w64(ctx + 16, BigInt(len));
		k.tracepoints.fire("bpf_testmod_test_read", [addr_to_u64(task_image(k, k.task)), addr_to_u64(ctx)]);
		kmem.kfree(ctx);
	}
	k.tracepoints.fire("bpf_testmod_test_nullable_bare", [0n]);
	const ok =
		call(k, "bpf_testmod_fentry_test1", 1) === 2 &&
		call(k, "bpf_testmod_fentry_test2", 2, 3) === 5 &&
		call(k, "bpf_testmod_fentry_test3", 4, 5, 6) === 15 &&
		call(k, "bpf_testmod_fentry_test7", 16, 17, 18, 19, 20, 21, 22) === 133 &&
		call(k, "bpf_testmod_fentry_test11", 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26) === 231;
	return ok ? -EIO : -EINVAL;
}

/** bpf_testmod.c: bpf_testmod_init: the functions and the file */
export function bpf_testmod_init(k: KernelImpl): void {
	k.ftrace.add_called(Object.keys(FUNCTIONS));
	k.module_files.set("/sys/kernel/bpf_testmod", () => bpf_testmod_test_read(k, 1));
}
