// SPDX-License-Identifier: GPL-2.0-only
/** What programs attach to, and what they see of it (attach.ts, btf_ctx.ts, bpf_lsm.ts). */
import * as U from "../../../include/uapi/linux/bpf.ts";
import {
	BTF_FUNC_GLOBAL,
	BTF_FUNC_STATIC,
	BTF_INT_SIGNED,
	BTF_KIND_PTR,
} from "../../../include/uapi/linux/btf.ts";
import type { Btf } from "../../../tools/lib/bpf/btf.ts";
import type { VerifierBtf, VerifierTest } from "../test_verifier.ts";
import { accept, reject } from "./table.ts";

const rest = "r0 = 0\nexit";

function tracing(expected_attach_type: number, attach?: string): Partial<VerifierTest> {
	return {
		prog_type: U.BPF_PROG_TYPE_TRACING,
		expected_attach_type,
		priv_only: true,
		...(attach !== undefined && { attach }),
	};
}
const fentry = (attach: string) => tracing(U.BPF_TRACE_FENTRY, attach);
const fexit = (attach: string) => tracing(U.BPF_TRACE_FEXIT, attach);
const lsm = (attach: string, expected_attach_type: number = U.BPF_LSM_MAC): Partial<VerifierTest> => ({
	prog_type: U.BPF_PROG_TYPE_LSM,
	expected_attach_type,
	attach,
	priv_only: true,
});

const targets: readonly VerifierTest[] = [
	reject("nothing to attach to", rest, "Tracing programs must provide btf_id", tracing(U.BPF_TRACE_FENTRY)),
	reject("a type that there is not", rest, "attach_btf_id 1000000 is invalid", {
		...tracing(U.BPF_TRACE_FENTRY),
		load: { attach_btf_id: 1000000 },
	}),
	reject("a type without a name", rest, "doesn't have a name", {
		...tracing(U.BPF_TRACE_FENTRY),
		attach_id: (b) => {
			let id = 1;
			while (b.kind_of(id) !== BTF_KIND_PTR) id++;
			return id;
		},
		errstr: "is not a function",
	}),
	reject("fentry of a struct", rest, "is not a function", {
		...tracing(U.BPF_TRACE_FENTRY),
		attach_id: (b) => b.find_by_name("task_struct"),
	}),
	reject("a raw tracepoint that is a function", rest, "is not a typedef", {
		...tracing(U.BPF_TRACE_RAW_TP),
		attach_id: (b) => b.find_by_name("bpf_fentry_test1"),
	}),
	reject("a raw tracepoint of another name", rest, "points to wrong type name bpfptr_t", {
		...tracing(U.BPF_TRACE_RAW_TP),
		attach_id: (b) => b.find_by_name("bpfptr_t"),
	}),
	reject("an iterator that is a struct", rest, "is not a function", {
		...tracing(U.BPF_TRACE_ITER),
		attach_id: (b) => b.find_by_name("task_struct"),
	}),
	reject(
		"fmod_ret of a function that may not be changed",
		rest,
		"schedule() is not modifiable",
		tracing(U.BPF_MODIFY_RETURN, "schedule"),
	),
	accept("fmod_ret of a function that may", rest, tracing(U.BPF_MODIFY_RETURN, "bpf_modify_return_test")),
	reject("a sleeping program on a function that may not sleep", rest, "schedule is not sleepable", {
		...fentry("schedule"),
		prog_flags: U.BPF_F_SLEEPABLE,
	}),
	accept("a sleeping program on a system call", rest, {
		...fentry("__sys_getpgid"),
		prog_flags: U.BPF_F_SLEEPABLE,
	}),
	reject("a system call's program that does not sleep", rest, "Syscall programs can only be sleepable", {
		prog_type: U.BPF_PROG_TYPE_SYSCALL,
		priv_only: true,
	}),
	reject(
		"a socket filter that sleeps",
		rest,
		"Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable",
		{ prog_flags: U.BPF_F_SLEEPABLE, priv_only: true },
	),
	reject(
		"fexit of a function that does not return",
		rest,
		"Attaching fexit/fmod_ret to __noreturn functions is rejected.",
		fexit("do_exit"),
	),
	reject(
		"fentry of a function with variable arguments",
		rest,
		"The function _printk with variable args is unsupported.",
		fentry("_printk"),
	),
	reject("an extension of the kernel", rest, "Cannot replace kernel functions", {
		prog_type: U.BPF_PROG_TYPE_EXT,
		priv_only: true,
		attach: "schedule",
	}),
	reject("lsm without a free licence", rest, "LSM programs must have a GPL compatible license", {
		...lsm("file_open"),
		license: "Proprietary",
	}),
	reject(
		"a hook that is not for programs",
		rest,
		"points to disabled hook bpf_lsm_getprocattr",
		lsm("getprocattr"),
	),
	reject("lsm on a function that is no hook", rest, "points to wrong type name schedule", {
		...lsm(""),
		attach_id: (b) => b.find_by_name("schedule"),
		attach: "",
	}),
	reject("lsm that sleeps where it may not", rest, "bpf_lsm_task_free is not sleepable", {
		...lsm("task_free"),
		prog_flags: U.BPF_F_SLEEPABLE,
	}),
	accept("lsm", rest, lsm("file_open")),
	reject(
		"lsm: a value that no hook returns",
		"r0 = 1\nexit",
		"At program exit the register R0 has smin=1 smax=1 should have been in [-4095, 0]",
		lsm("file_open"),
	),
	reject(
		"lsm of a cgroup on a hook without a value",
		rest,
		"should have been in [1, 1]\tNote, BPF_LSM_CGROUP that attach to void LSM hooks can't modify return value!",
		lsm("file_free_security", U.BPF_LSM_CGROUP),
	),
	reject(
		"lsm of a cgroup that sets what there is not",
		`r1 = 5\ncall bpf_set_retval\nr0 = 1\nexit`,
		"BPF_LSM_CGROUP that attach to void LSM hooks can't modify return value!",
		lsm("file_free_security", U.BPF_LSM_CGROUP),
	),
	reject(
		"fentry returns 0 only",
		"r0 = 1\nexit",
		"At program exit the register R0 has smin=1 smax=1 should have been in [0, 0]",
		fentry("bpf_fentry_test1"),
	),
	accept("an iterator returns 1", "r0 = 1\nexit", tracing(U.BPF_TRACE_ITER, "task")),
];

const contexts: readonly VerifierTest[] = [
	accept(
		"arguments of a function",
		"r2 = *(u64 *)(r1 + 0)\nr3 = *(u64 *)(r1 + 8)\nr0 = 0\nexit",
		fentry("bpf_fentry_test2"),
	),
	reject(
		"between two arguments",
		`r2 = *(u64 *)(r1 + 4)\n${rest}`,
		"func 'bpf_fentry_test1' offset 4 is not multiple of 8",
		{ ...fentry("bpf_fentry_test1"), asm: `r2 = *(u32 *)(r1 + 4)\n${rest}` },
	),
	reject(
		"an argument too many",
		`r2 = *(u64 *)(r1 + 24)\n${rest}`,
		"func 'bpf_fentry_test1' doesn't have 3-th argument",
		fentry("bpf_fentry_test1"),
	),
	reject(
		"fentry has no return value",
		`r2 = *(u64 *)(r1 + 8)\n${rest}`,
		"func 'bpf_fentry_test1' doesn't have 2-th argument",
		fentry("bpf_fentry_test1"),
	),
	accept("fexit has", `r2 = *(u64 *)(r1 + 8)\n${rest}`, fexit("bpf_fentry_test1")),
	reject(
		"half of a pointer",
		`r2 = *(u32 *)(r1 + 0)\n${rest}`,
		"func 'bpf_fentry_test7' size 4 must be 8",
		fentry("bpf_fentry_test7"),
	),
	accept("a struct of the kernel", `r2 = *(u64 *)(r1 + 0)\nr3 = *(u64 *)(r2 + 0)\n${rest}`, {
		...tracing(U.BPF_TRACE_RAW_TP, "sched_wakeup"),
	}),
	reject("beyond a struct of the kernel", `r2 = *(u64 *)(r1 + 0)\nr3 = *(u64 *)(r2 + 1000000)\n${rest}`, "", {
		...tracing(U.BPF_TRACE_RAW_TP, "sched_wakeup"),
		asm: `r2 = *(u64 *)(r1 + 0)\nr3 = *(u64 *)(r2 + 32000)\n${rest}`,
		errstr: "access beyond struct task_struct at off 32000 size 8",
	}),
	reject(
		"a struct of the kernel before its beginning",
		`r2 = *(u64 *)(r1 + 0)\nr3 = *(u64 *)(r2 - 8)\n${rest}`,
		"R2 is ptr_task_struct invalid negative access: off=-8",
		tracing(U.BPF_TRACE_RAW_TP, "sched_wakeup"),
	),
	reject(
		"a struct of the kernel at an offset that varies",
		`r2 = *(u64 *)(r1 + 0)\nr3 = *(u32 *)(r2 + 16)\nr3 &= 8\nr2 += r3\nr3 = *(u64 *)(r2 + 0)\n${rest}`,
		"R2 is ptr_task_struct invalid variable offset: off=0, var_off=(0x0; 0x8)",
		tracing(U.BPF_TRACE_RAW_TP, "sched_wakeup"),
	),
	reject(
		"a struct of the kernel written",
		`r2 = *(u64 *)(r1 + 0)\n*(u64 *)(r2 + 0) = 0\n${rest}`,
		"only read is supported",
		tracing(U.BPF_TRACE_RAW_TP, "sched_wakeup"),
	),
	reject(
		"a struct of the kernel without a free licence",
		`r2 = *(u64 *)(r1 + 0)\nr3 = *(u64 *)(r2 + 0)\n${rest}`,
		"Cannot access kernel 'struct task_struct' from non-GPL compatible program",
		{ ...tracing(U.BPF_TRACE_RAW_TP, "sched_wakeup"), license: "Proprietary" },
	),
	reject(
		"a function of the kernel's wrong struct",
		`r1 = *(u64 *)(r1 + 0)\ncall bpf_task_pt_regs\n${rest}`,
		"R1 is of type sock but task_struct is expected",
		{ ...fentry("tcp_connect") },
	),
	accept(
		"an argument of the kind that a helper wants",
		`r1 = *(u64 *)(r1 + 0)\ncall bpf_task_pt_regs\n${rest}`,
		tracing(U.BPF_TRACE_RAW_TP, "sched_wakeup"),
	),
	reject("a pointer that may encode an error", `r2 = *(u64 *)(r1 + 0)\nr3 = *(u64 *)(r2 + 0)\n${rest}`, "", {
		...tracing(U.BPF_TRACE_RAW_TP, "consume_skb"),
		result: "ACCEPT",
	}),
	reject(
		"an argument that may be NULL",
		`r2 = *(u64 *)(r1 + 24)\nr3 = *(u64 *)(r2 + 0)\n${rest}`,
		"R2 invalid mem access 'trusted_ptr_or_null_'",
		tracing(U.BPF_TRACE_RAW_TP, "kfree_skb"),
	),
];

/** int and u64, and `int name(struct ctx *)` or with the arguments given. */
function func(b: Btf, name: string, linkage: number, args: readonly number[], ret: number): number {
	const proto = b.add_func_proto(ret);
	args.forEach((t, i) => {
		b.add_func_param(`a${i}`, t);
	});
	return b.add_func(name, linkage, proto);
}
const int = (b: Btf): number => b.add_int("int", 4, BTF_INT_SIGNED);
const ctxPtr = (b: Btf, name: string): number => b.add_ptr(b.add_struct(name, 8));

/** main(struct __sk_buff *) calls a global function f(int) and a static one g(). */
const target: VerifierTest = {
	descr: "target",
	asm: "call f\ncall g\nr0 = 0\nexit\nf: r0 = 0\nexit\ng: r0 = 0\nexit",
	prog_type: U.BPF_PROG_TYPE_SCHED_CLS,
	result: "ACCEPT",
	btf: (b) => {
		const i = int(b);
		const ctx = ctxPtr(b, "__sk_buff");
		const a = func(b, "main_prog", BTF_FUNC_GLOBAL, [ctx], i);
		const f = func(b, "f", BTF_FUNC_GLOBAL, [ctx], i);
		const g = func(b, "g", BTF_FUNC_STATIC, [], i);
		return {
			func_info: [
				[0, a],
				[4, f],
				[6, g],
			],
		};
	},
};
const one = (_b: Btf, id: number): VerifierBtf => ({ func_info: [[0, id]] });
const ext = (make: (b: Btf) => number, attach = "f"): Partial<VerifierTest> => ({
	prog_type: U.BPF_PROG_TYPE_EXT,
	priv_only: true,
	target,
	attach,
	btf: (b) => one(b, make(b)),
});

/** int name(u64 *ctx __arg_ctx), or without arguments. */
function tracerFunc(b: Btf, name: string, ctx: boolean): number {
	const args = ctx ? [b.add_ptr(b.add_int("unsigned long long", 8, 0))] : [];
	const id = func(b, name, BTF_FUNC_GLOBAL, args, int(b));
	if (ctx) b.add_decl_tag("arg:ctx", id, 0);
	return id;
}
const tracer = (name: string, ctx: boolean): VerifierTest => ({
	...fentry("bpf_fentry_test1"),
	descr: "",
	asm: rest,
	result: "ACCEPT",
	btf: (b) => one(b, tracerFunc(b, name, ctx)),
});

const extensions: readonly VerifierTest[] = [
	accept(
		"an extension",
		rest,
		ext((b) => func(b, "x", BTF_FUNC_GLOBAL, [ctxPtr(b, "__sk_buff")], int(b))),
	),
	reject("an extension without BTF", rest, "Program extension requires BTF", {
		prog_type: U.BPF_PROG_TYPE_EXT,
		priv_only: true,
		target,
		attach: "f",
	}),
	reject(
		"a static extension",
		rest,
		"x() is not a global function",
		ext((b) => func(b, "x", BTF_FUNC_STATIC, [ctxPtr(b, "__sk_buff")], int(b))),
	),
	reject(
		"an extension with more arguments",
		rest,
		"x() has 2 args while f() has 1 args",
		ext((b) => func(b, "x", BTF_FUNC_GLOBAL, [ctxPtr(b, "__sk_buff"), 1], int(b))),
	),
	reject(
		"an extension that returns something else",
		rest,
		"Return type PTR of x() doesn't match type INT of f()",
		ext((b) => {
			const p = ctxPtr(b, "__sk_buff");
			return func(b, "x", BTF_FUNC_GLOBAL, [p], p);
		}),
	),
	reject(
		"an extension with another argument",
		rest,
		"arg0 in x() is INT while f() has PTR",
		ext((b) => {
			const i = int(b);
			return func(b, "x", BTF_FUNC_GLOBAL, [i], i);
		}),
	),
	reject(
		"an extension with a pointer to a number",
		rest,
		"arg0 in x() is not a pointer to context",
		ext((b) => {
			const i = int(b);
			return func(b, "x", BTF_FUNC_GLOBAL, [b.add_ptr(i)], i);
		}),
	),
	reject(
		"an extension with another struct",
		rest,
		"arg0 x(struct xdp_md *) doesn't match f(struct __sk_buff *)",
		ext((b) => func(b, "x", BTF_FUNC_GLOBAL, [ctxPtr(b, "xdp_md")], int(b))),
	),
	reject(
		"an extension of a static function",
		rest,
		"g() is not a global function",
		ext((b) => func(b, "x", BTF_FUNC_GLOBAL, [ctxPtr(b, "__sk_buff")], int(b)), "g"),
	),
	reject(
		"an extension that changes the packet",
		"r2 = 0\ncall bpf_skb_pull_data\nr0 = 0\nexit",
		"Extension program changes packet data, while original does not",
		ext((b) => func(b, "x", BTF_FUNC_GLOBAL, [ctxPtr(b, "__sk_buff")], int(b))),
	),
	reject("an extension of a program that is a struct", rest, "Subprog __sk_buff doesn't exist", {
		...ext((b) => func(b, "x", BTF_FUNC_GLOBAL, [ctxPtr(b, "__sk_buff")], int(b))),
		load: { attach_btf_id: 2 },
	}),
	accept("fentry of a program", rest, { ...fentry("f"), target }),
	reject(
		"fentry of a program that has no BTF",
		rest,
		"FENTRY/FEXIT program can only be attached to another program annotated with BTF",
		{
			...tracing(U.BPF_TRACE_FENTRY),
			target: { descr: "", asm: rest, result: "ACCEPT" },
			load: { attach_btf_id: 2 },
		},
	),
	reject(
		"a raw tracepoint of a program",
		rest,
		"Only FENTRY/FEXIT progs are attachable to another BPF prog",
		{ ...tracing(U.BPF_TRACE_RAW_TP, "f"), target },
	),
	reject("fmod_ret of a program", rest, "can't modify return codes of BPF programs", {
		...tracing(U.BPF_MODIFY_RETURN, "f"),
		target,
	}),
	reject("an extension of an extension", rest, "Cannot recursively attach", {
		...ext((b) => func(b, "x", BTF_FUNC_GLOBAL, [ctxPtr(b, "__sk_buff")], int(b)), "y"),
		target: {
			...ext((b) => func(b, "y", BTF_FUNC_GLOBAL, [ctxPtr(b, "__sk_buff")], int(b))),
			descr: "",
			asm: rest,
			result: "ACCEPT",
		},
	}),
	reject("an extension of a main function with other arguments", rest, "Cannot replace static functions", {
		...ext((b) => func(b, "x", BTF_FUNC_GLOBAL, [], int(b)), "y"),
		target: tracer("y", false),
	}),
	reject("an extension of fentry", rest, "Cannot extend fentry/fexit", {
		...ext((b) => tracerFunc(b, "x", true), "y"),
		target: tracer("y", true),
	}),
	reject("fentry of fentry of fentry", rest, "Cannot nest tracing program attach more than once", {
		...fentry("z"),
		target: {
			...fentry("y"),
			descr: "",
			asm: rest,
			result: "ACCEPT",
			btf: (b) => one(b, func(b, "z", BTF_FUNC_GLOBAL, [], int(b))),
			target: {
				...fentry("bpf_fentry_test1"),
				descr: "",
				asm: rest,
				result: "ACCEPT",
				btf: (b) => one(b, func(b, "y", BTF_FUNC_GLOBAL, [], int(b))),
			},
		},
	}),
];

const structOps = (
	expected_attach_type: number,
	more: Partial<VerifierTest> = {},
): Partial<VerifierTest> => ({
	prog_type: U.BPF_PROG_TYPE_STRUCT_OPS,
	expected_attach_type,
	priv_only: true,
	attach_id: (b) => b.find_by_name("bpf_dummy_ops"),
	...more,
});

const operations: readonly VerifierTest[] = [
	accept("an operation", rest, structOps(0)),
	reject(
		"an operation without a free licence",
		rest,
		"struct ops programs must have a GPL compatible license",
		structOps(0, { license: "Proprietary" }),
	),
	reject(
		"operations of a struct without",
		rest,
		"is not a supported struct",
		structOps(0, { attach_id: (b) => b.find_by_name("task_struct") }),
	),
	reject(
		"an operation that there is not",
		rest,
		"attach to invalid member idx 99 of struct bpf_dummy_ops",
		structOps(99),
	),
	reject(
		"a member that is no function",
		rest,
		"attach to invalid member name(@idx 11) of struct tcp_congestion_ops",
		structOps(11, { attach_id: (b) => b.find_by_name("tcp_congestion_ops") }),
	),
	reject(
		"a write where the state has no member",
		`r1 = *(u64 *)(r1 + 0)\nif r1 == 0 goto out\n*(u64 *)(r1 + 8) = 0\nout: ${rest}`,
		"write access at off 8 with size 8",
		structOps(0),
	),
	reject(
		"a write of a socket that is not for programs",
		`r1 = *(u64 *)(r1 + 0)\n*(u32 *)(r1 + 0) = 0\n${rest}`,
		"no write support to tcp_sock at off 0",
		structOps(0, { attach_id: (b) => b.find_by_name("tcp_congestion_ops") }),
	),
];

/** BTF of functions, and of maps in fd_array (check_btf.ts, resolve.ts). */
const two = "call f\nr0 = 0\nexit\nf: r0 = 0\nexit";
const infos = (func_info: (b: Btf) => number[][], asm: string = two): Partial<VerifierTest> => ({
	asm,
	prog_type: U.BPF_PROG_TYPE_SCHED_CLS,
	priv_only: true,
	btf: (b) => ({ func_info: func_info(b) }),
});
const main = (b: Btf, more: (b: Btf, i: number) => number[][]): number[][] => {
	const i = int(b);
	return [[0, func(b, "main_prog", BTF_FUNC_GLOBAL, [ctxPtr(b, "__sk_buff")], i)], ...more(b, i)];
};
const lines = (line_info: number[][], asm: string = two): Partial<VerifierTest> => ({
	asm,
	prog_type: U.BPF_PROG_TYPE_SCHED_CLS,
	priv_only: true,
	btf: (b) => {
		const name = b.add_str("line");
		const rows = line_info.map(([off, line = -1]) => [off!, line < 0 ? name : line, name, 1 << 10]);
		return { func_info: main(b, (b, i) => [[3, func(b, "f", BTF_FUNC_STATIC, [], i)]]), line_info: rows };
	},
});
const load = (more: VerifierTest["load"]): Partial<VerifierTest> => ({
	...infos((b) => main(b, (b, i) => [[3, func(b, "f", BTF_FUNC_STATIC, [], i)]])),
	load: more ?? {},
});

const records: readonly VerifierTest[] = [
	accept("functions and lines", two, lines([[0], [3]])),
	reject("records that are too small", two, "invalid func info rec size 4", load({ func_info_rec_size: 4 })),
	reject(
		"records with a tail",
		two,
		"nonzero tailing record in func info",
		load({ func_info_rec_size: 12, func_info_cnt: 1 }),
	),
	reject(
		"a first function that is not at 0",
		two,
		"nonzero insn_off 1 for the first func info record",
		infos((b) => main(b, () => []).map(([, id]) => [1, id!])),
	),
	reject(
		"functions that are not in order",
		two,
		"same or smaller insn offset (0) than previous func info record (0)",
		infos((b) => main(b, (b, i) => [[0, func(b, "f", BTF_FUNC_STATIC, [], i)]])),
	),
	reject(
		"a function that is a number",
		two,
		"invalid type id 1 in func info",
		infos((b) => main(b, () => [[3, 1]])),
	),
	reject(
		"a function too few",
		two,
		"number of funcs in func_info doesn't match number of subprogs",
		infos((b) => main(b, () => [])),
	),
	reject(
		"a function elsewhere",
		two,
		"func_info BTF section doesn't match subprog layout in BPF program",
		infos((b) => main(b, (b, i) => [[2, func(b, "f", BTF_FUNC_STATIC, [], i)]])),
	),
	reject(
		"a packet's byte in a function that returns no int",
		two,
		"LD_ABS is only allowed in functions that return 'int'.",
		infos(
			(b) =>
				main(b, (b) => {
					const p = ctxPtr(b, "s");
					return [[4, func(b, "f", BTF_FUNC_STATIC, [], p)]];
				}),
			"r6 = r1\ncall f\nr0 = 0\nexit\nf: r6 = r1\nr0 = *(u8 *)skb[0]\nexit",
		),
	),
	reject(
		"a packet's byte in a function without BTF",
		"r6 = r1\ncall f\nr0 = 0\nexit\nf: r6 = r1\nr0 = *(u8 *)skb[0]\nexit",
		"LD_ABS is not allowed in subprogs without BTF",
		{ prog_type: U.BPF_PROG_TYPE_SCHED_CLS, priv_only: true },
	),
	reject(
		"a tail call in a function that returns no int",
		two,
		"tail_call is only allowed in functions that return 'int'.",
		{
			...infos(
				(b) =>
					main(b, (b) => {
						const p = ctxPtr(b, "s");
						return [[3, func(b, "f", BTF_FUNC_STATIC, [], p)]];
					}),
				"call f\nr0 = 0\nexit\nf: r2 = map[0] ll\nr3 = 0\ncall bpf_tail_call\nr0 = 0\nexit",
			),
			maps: [{ type: U.BPF_MAP_TYPE_PROG_ARRAY, key: 4, value: 4, max: 1 }],
		},
	),
	reject(
		"a tail call behind a large frame",
		two,
		"tail_calls are not allowed when call stack of previous frames is 400 bytes. Too large",
		{
			...infos(
				(b) => main(b, (b, i) => [[4, func(b, "f", BTF_FUNC_STATIC, [], i)]]),
				"*(u64 *)(r10 - 400) = 0\ncall f\nr0 = 0\nexit\nf: r2 = map[0] ll\nr3 = 0\ncall bpf_tail_call\nr0 = 0\nexit",
			),
			maps: [{ type: U.BPF_MAP_TYPE_PROG_ARRAY, key: 4, value: 4, max: 1 }],
			jit_only: true,
		},
	),
	reject(
		"lines out of order",
		two,
		"Invalid line_info[1].insn_off:0 (prev_offset:0 prog->len:5)",
		lines([[0], [0]]),
	),
	reject("a line behind the program", two, "Invalid line_info[1].insn_off:9", lines([[0], [9]])),
	reject(
		"a line in the middle of a wide load",
		two,
		"Invalid insn code at line_info[2].insn_off",
		lines([[0], [3], [4]], "call f\nr0 = 0\nexit\nf: r0 = 1 ll\nexit"),
	),
	reject(
		"a line without text",
		two,
		"Invalid line_info[1].line_off or .file_name_off",
		lines([[0], [3, 100000]]),
	),
	reject(
		"a function without lines",
		two,
		"missing bpf_line_info for 1 funcs starting from func#1",
		lines([[0]]),
	),
	reject("a first function without lines", two, "missing bpf_line_info for func#0", lines([[1], [3]])),
	reject("line records with a tail", two, "nonzero tailing record in line_info", {
		...lines([[0], [3]]),
		load: { line_info_rec_size: 20, line_info_cnt: 1 },
	}),
];

const fds: readonly VerifierTest[] = [
	reject(
		"a map by index, of a descriptor that is none",
		`.8byte 0x0000000000005118\n.8byte 0\n${rest}`,
		"fd 99 is not pointing to valid bpf_map",
		{ load: { fd_array: [99] } },
	),
	reject(
		"a kernel function of a module without fd_array",
		`.8byte 0x0000000500012085\n${rest}`,
		"kfunc offset > 0 without fd_array is invalid",
		{ priv_only: true },
	),
	reject(
		"a kernel function of a module that is none",
		`.8byte 0x0000000500012085\n${rest}`,
		"invalid module BTF fd specified",
		{ priv_only: true, load: { fd_array: [0, 0] } },
	),
	reject(
		"a kernel function before the modules",
		`.8byte 0x00000005ffff2085\n${rest}`,
		"negative offset disallowed for kernel module function call",
		{ priv_only: true },
	),
	reject(
		"a kernel function that is a type",
		`.8byte 0x0000000100002085\n${rest}`,
		"kernel btf_id 1 is not a function",
		{ priv_only: true },
	),
	reject(
		"a kernel function that programs may not call",
		`call kfunc[schedule]\n${rest}`,
		"calling kernel function schedule is not allowed",
		{ priv_only: true },
	),
	reject(
		"kernel functions without a free licence",
		`call kfunc[bpf_rcu_read_lock]\n${rest}`,
		"cannot call kernel function from non-GPL compatible program",
		{ priv_only: true, license: "Proprietary" },
	),
	reject(
		"a kernel variable that is a number",
		`.8byte 0x0000000100003118\n.8byte 0\n${rest}`,
		"pseudo btf_id 1 in ldimm64 isn't KIND_VAR or KIND_FUNC",
		{ priv_only: true },
	),
	reject(
		"a kernel variable that there is not",
		`.8byte 0x000fffff00003118\n.8byte 0\n${rest}`,
		"ldimm64 insn specifies invalid btf_id 1048575.",
		{ priv_only: true },
	),
	reject(
		"a kernel variable of a module that is none",
		`.8byte 0x0000000100003118\n.8byte 0x0000006300000000\n${rest}`,
		"invalid module BTF object FD specified.",
		{ priv_only: true },
	),
	accept(
		"a kernel variable per CPU",
		`r1 = ksym[bpf_prog_active] ll\ncall bpf_this_cpu_ptr\nr0 = *(u32 *)(r0 + 0)\n${rest}`,
		{ prog_type: U.BPF_PROG_TYPE_RAW_TRACEPOINT, priv_only: true },
	),
	reject(
		"a kernel variable per CPU read as it is",
		`r1 = ksym[bpf_prog_active] ll\nr0 = *(u32 *)(r1 + 0)\n${rest}`,
		"R1 is ptr_rq access percpu memory: off=0",
		{
			prog_type: U.BPF_PROG_TYPE_RAW_TRACEPOINT,
			priv_only: true,
			asm: `r1 = ksym[runqueues] ll\nr0 = *(u32 *)(r1 + 0)\n${rest}`,
		},
	),
];

export const attachVerifierTests: readonly VerifierTest[] = [
	...targets,
	...contexts,
	...extensions,
	...operations,
	...records,
	...fds,
];
