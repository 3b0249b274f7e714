// SPDX-License-Identifier: GPL-2.0-only
/** Corners: partial privileges, exception callbacks, arenas, walks through kernel structs, limits. */
import * as U from "../../../include/uapi/linux/bpf.ts";
import {
	BTF_FUNC_GLOBAL,
	BTF_FUNC_STATIC,
	BTF_INT_SIGNED,
	BTF_KIND_FUNC,
} from "../../../include/uapi/linux/btf.ts";
import type { Btf } from "../../../tools/lib/bpf/btf.ts";
import type { VerifierTest } from "../test_verifier.ts";
import { accept, array48, onValue, priv, reject, tc } from "./table.ts";

const rest = "r0 = 0\nexit";
const CAP_NET_ADMIN = 12;
const CAP_SYS_ADMIN = 21;
const CAP_PERFMON = 38;
const CAP_BPF = 39;
/** Networking programs without a view of kernel addresses. */
const noPerfmon: Partial<VerifierTest> = { ...tc, caps: [CAP_BPF, CAP_NET_ADMIN] };
const task: Partial<VerifierTest> = {
	prog_type: U.BPF_PROG_TYPE_TRACING,
	expected_attach_type: U.BPF_TRACE_RAW_TP,
	attach: "sched_wakeup",
	priv_only: true,
};
const fentry = (attach: string): Partial<VerifierTest> => ({
	...task,
	expected_attach_type: U.BPF_TRACE_FENTRY,
	attach,
});
const packet = (body: string) =>
	`r2 = *(u32 *)(r1 + 76)\nr3 = *(u32 *)(r1 + 80)\nr4 = r2\nr4 += 14\nif r4 > r3 goto out\n${body}\nout: ${rest}`;

const privileges: readonly VerifierTest[] = [
	accept(
		"a lookup in a device map that nothing is in",
		"*(u32 *)(r10 - 4) = 0\nr2 = r10\nr2 += -4\nr1 = map[0] ll\ncall bpf_map_lookup_elem\nif r0 == 0 goto out\nr0 = 7\nexit\nout: r0 = 2\nexit",
		{
			prog_type: U.BPF_PROG_TYPE_XDP,
			priv_only: true,
			maps: [{ type: U.BPF_MAP_TYPE_DEVMAP, key: 4, value: 4, max: 1 }],
			retval: 2,
		},
	),
	reject("an address in a packet", packet("*(u64 *)(r2 + 0) = r10"), "R10 leaks addr into packet", noPerfmon),
	reject(
		"an address in flow keys",
		`r6 = *(u64 *)(r1 + 144)\n*(u64 *)(r6 + 0) = r10\n${rest}`,
		"R10 leaks addr into flow keys",
		{ ...noPerfmon, prog_type: U.BPF_PROG_TYPE_FLOW_DISSECTOR },
	),
	reject(
		"an address of a socket returned",
		"r0 = *(u64 *)(r1 + 168)\nexit",
		"R0 leaks addr as return value",
		noPerfmon,
	),
	reject(
		"an arena without a view of addresses",
		`r1 = map[0] ll\n${rest}`,
		"CAP_BPF and CAP_PERFMON are required to use arena",
		{
			...noPerfmon,
			maps: [{ type: U.BPF_MAP_TYPE_ARENA, key: 0, value: 0, max: 1, flags: U.BPF_F_MMAPABLE }],
		},
	),
	reject(
		"a destructive kernel function",
		`r1 = 0\ncall kfunc[crash_kexec]\n${rest}`,
		"destructive kfunc calls require CAP_SYS_BOOT capability",
		{ ...fentry("bpf_fentry_test1"), caps: [CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN] },
	),
	reject(
		"two maps for a tail call",
		"r3 = *(u32 *)(r1 + 0)\nr2 = map[0] ll\nif r3 == 0 goto call\nr2 = map[1] ll\ncall: r3 = 0\ncall bpf_tail_call\nr0 = 0\nexit",
		"",
		{
			maps: [0, 1].map(() => ({ type: U.BPF_MAP_TYPE_PROG_ARRAY, key: 4, value: 4, max: 1 })),
			result: "ACCEPT",
			result_unpriv: "REJECT",
			errstr_unpriv: "tail_call abusing map_ptr",
		},
	),
];

const walks: readonly VerifierTest[] = [
	reject(
		"between the members of a struct",
		`r2 = *(u64 *)(r1 + 0)\nr3 = *(u8 *)(r2 + 40)\n${rest}`,
		"struct task_struct doesn't have field at offset 40",
		task,
	),
	reject(
		"over the end of a member",
		`r2 = *(u64 *)(r1 + 0)\nr3 = *(u64 *)(r2 + 44)\n${rest}`,
		"access beyond the end of member flags (mend:48) in struct task_struct with off 44 size 8",
		task,
	),
	reject(
		"a pointer to a pointer",
		`r2 = *(u64 *)(r1 + 16)\n${rest}`,
		"func 'bpf_lsm_getprocattr' arg2 type PTR is not a struct",
		fentry("bpf_lsm_getprocattr"),
	),
	reject(
		"a struct of the kernel for a helper to write",
		`r1 = *(u64 *)(r1 + 0)\nr2 = 8\nr3 = 0\ncall bpf_probe_read_kernel\n${rest}`,
		"bpf_probe_read_kernel() may write into memory pointed by R1 type=trusted_ptr_",
		task,
	),
	reject(
		"the traced function's address without a trampoline",
		`call bpf_get_func_ip\n${rest}`,
		"func bpf_get_func_ip#173 supported only for fentry/fexit/fmod_ret programs",
		task,
	),
	reject(
		"a helper that few functions may use",
		`call bpf_d_path\n${rest}`,
		"helper call is not allowed in probe",
		fentry("schedule"),
	),
	reject(
		"an allocation without BTF",
		`r1 = 1\nr2 = 0\ncall kfunc[bpf_obj_new_impl]\n${rest}`,
		"bpf_obj_new/bpf_percpu_obj_new requires prog BTF",
		tc,
	),
	reject(
		"a function pointer without BTF",
		"r1 = 5\nr2 = func[f] ll\nr3 = 0\nr4 = 0\ncall bpf_loop\nr0 = 0\nexit\nf: r0 = 0\nexit",
		"missing btf func_info",
		tc,
	),
	reject(
		"an atomic operation on the stack at an offset that varies",
		onValue(
			"r3 = *(u32 *)(r0 + 0)\nr3 &= 8\nr2 = r10\nr2 += -24\nr2 += r3\nr1 = 1\nlock *(u64 *)(r2 + 0) += r1",
		),
		"variable offset stack pointer cannot be passed into helper function; var_off=",
		{ ...priv, maps: [array48] },
	),
	reject(
		"a map that sleeping programs may not use",
		`r1 = map[0] ll\n${rest}`,
		"Sleepable programs can only use array, hash, ringbuf and local storage maps",
		{
			prog_type: U.BPF_PROG_TYPE_KPROBE,
			prog_flags: U.BPF_F_SLEEPABLE,
			priv_only: true,
			maps: [{ type: U.BPF_MAP_TYPE_BLOOM_FILTER, key: 0, value: 8, max: 8 }],
		},
	),
];

const ARENA = {
	type: U.BPF_MAP_TYPE_ARENA,
	key: 0,
	value: 0,
	max: 1,
	flags: U.BPF_F_MMAPABLE,
	extra: 1n << 44n,
} as const;
const arenas: readonly VerifierTest[] = [
	accept(
		"an arena",
		`r1 = map[0] ll\nr2 = 64\nr2 = addr_space_cast(r2, 0, 1)\n*(u32 *)(r2 + 0) = 1\nr0 = *(u32 *)(r2 + 0)\n${rest}`,
		{ ...tc, maps: [ARENA] },
	),
	reject("two arenas", `r1 = map[0] ll\nr1 = map[1] ll\n${rest}`, "Only one arena per program", {
		...tc,
		maps: [ARENA, ARENA],
	}),
	reject(
		"an arena without an address",
		`r1 = map[0] ll\n${rest}`,
		"arena's user address must be set via map_extra or mmap()",
		{ ...tc, maps: [{ ...ARENA, extra: 0n }] },
	),
	reject(
		"a sign-extending load from an arena",
		`r1 = map[0] ll\nr2 = 64\nr2 = addr_space_cast(r2, 0, 1)\nr0 = *(s8 *)(r2 + 0)\n${rest}`,
		"sign extending loads from arena are not supported yet",
		{ ...tc, maps: [ARENA] },
	),
];

const limits: readonly VerifierTest[] = [
	reject(
		"a jump over what grows",
		`r6 = r1\nr7 = *(u32 *)(r1 + 0)\nif r7 == 0 goto out\n${"r0 = *(u32 *)(r6 + 4)\n".repeat(20000)}out: r0 = 0\nexit`,
		"cannot be patched due to 16-bit range",
		priv,
	),
	accept(
		"a precise number on the stack of a path that is pruned",
		onValue(
			"r6 = *(u32 *)(r0 + 0)\nr7 = 8\nif r6 == 0 goto join\nr7 = 8\njoin: *(u64 *)(r10 - 16) = r7\nr8 = r0\nr7 = 0\nr3 = *(u64 *)(r10 - 16)\nr8 += r3\nr1 = *(u64 *)(r8 + 0)",
		),
		{ priv_only: true, maps: [array48], log_level: 2, prog_flags: 8 },
	),
];

/** int name(args) */
function func(b: Btf, name: string, linkage: number, args: readonly number[]): number {
	const proto = b.add_func_proto(1);
	args.forEach((t, i) => {
		b.add_func_param(`a${i}`, t);
	});
	return b.add_func(name, linkage, proto);
}
/** A program that throws, with an exception callback behind it that its BTF names. */
const throws = "r1 = 0\ncall kfunc[bpf_throw]\nr0 = 0\nexit\ncb: r0 = 0\nexit";
function exception(tag: string, linkage: number, cbInfo: number | null): Partial<VerifierTest> {
	return {
		...tc,
		asm: throws,
		btf: (b) => {
			b.add_int("int", 4, BTF_INT_SIGNED);
			const u64 = b.add_int("unsigned long long", 8, 0);
			const main = func(b, "main_prog", BTF_FUNC_GLOBAL, [b.add_ptr(b.add_struct("__sk_buff", 8))]);
			const cb = func(b, "cb", linkage, [u64]);
			func(b, "unused", BTF_FUNC_GLOBAL, [u64]);
			b.add_decl_tag(`exception_callback:${tag}`, main, -1);
			return {
				func_info:
					cbInfo === null
						? [[0, main]]
						: [
								[0, main],
								[cbInfo, cb],
							],
			};
		},
	};
}
const withCb = exception("cb", BTF_FUNC_GLOBAL, 4);
const exceptions: readonly VerifierTest[] = [
	accept("an exception callback", throws, withCb),
	reject(
		"an exception callback that there is not",
		throws,
		"exception callback 'nothing' could not be found in BTF",
		exception("nothing", BTF_FUNC_GLOBAL, 4),
	),
	reject(
		"a static exception callback",
		throws,
		"exception callback 'cb' must have global linkage",
		exception("cb", BTF_FUNC_STATIC, 4),
	),
	reject(
		"the program as its own exception callback",
		throws,
		"invalid exception callback insn_off in func_info: 0",
		exception("main_prog", BTF_FUNC_GLOBAL, 4),
	),
	reject(
		"an exception callback without code",
		throws,
		"exception callback type id not found in func_info",
		exception("unused", BTF_FUNC_GLOBAL, 4),
	),
	reject(
		"fentry of an exception callback",
		rest,
		"FENTRY/FEXIT programs cannot attach to exception callback",
		{ ...fentry("cb"), target: accept("", throws, withCb) },
	),
	reject(
		"a global function with six arguments",
		"call f\nr0 = 0\nexit\nf: r0 = 0\nexit",
		"Global function f() with 6 > 5 args. Buggy compiler.",
		{
			...tc,
			btf: (b) => {
				b.add_int("int", 4, BTF_INT_SIGNED);
				const main = func(b, "main_prog", BTF_FUNC_GLOBAL, [b.add_ptr(b.add_struct("__sk_buff", 8))]);
				return {
					func_info: [
						[0, main],
						[3, func(b, "f", BTF_FUNC_GLOBAL, [1, 1, 1, 1, 1, 1])],
					],
				};
			},
		},
	),
	reject("an extension with a wider argument", rest, "arg1 in x() has size 8 while f() has 4", {
		prog_type: U.BPF_PROG_TYPE_EXT,
		priv_only: true,
		attach: "f",
		target: accept("", "r2 = 1\ncall f\nr0 = 0\nexit\nf: r0 = 0\nexit", {
			...tc,
			btf: (b) => {
				b.add_int("int", 4, BTF_INT_SIGNED);
				const ctx = b.add_ptr(b.add_struct("__sk_buff", 8));
				return {
					func_info: [
						[0, func(b, "main_prog", BTF_FUNC_GLOBAL, [ctx])],
						[4, func(b, "f", BTF_FUNC_GLOBAL, [ctx, 1])],
					],
				};
			},
		}),
		btf: (b) => {
			b.add_int("int", 4, BTF_INT_SIGNED);
			const long = b.add_int("long", 8, BTF_INT_SIGNED);
			const ctx = b.add_ptr(b.add_struct("__sk_buff", 8));
			return { func_info: [[0, func(b, "x", BTF_FUNC_GLOBAL, [ctx, long])]] };
		},
	}),
	reject(
		"kernel functions of BTF that is no module's",
		`.8byte 0x0000000500012085\n${rest}`,
		"BTF fd for kfunc is not a module BTF",
		{
			...tc,
			load: { fd_array: [0, -1] },
			btf: (b) => {
				b.add_int("int", 4, BTF_INT_SIGNED);
				return {
					func_info: [[0, func(b, "main_prog", BTF_FUNC_GLOBAL, [b.add_ptr(b.add_struct("__sk_buff", 8))])]],
				};
			},
		},
	),
];

const tcp = (asm: string, errstr: string, member = 0): VerifierTest =>
	reject(`congestion control: ${errstr}`, asm, errstr, {
		prog_type: U.BPF_PROG_TYPE_STRUCT_OPS,
		expected_attach_type: member,
		priv_only: true,
		attach_id: (b) => b.find_by_name("tcp_congestion_ops"),
	});
/** r0 = a connection of the connection tracker, or NULL. */
const connection =
	"r6 = r1\n*(u64 *)(r10 - 16) = 0\n*(u64 *)(r10 - 8) = 0\n*(u64 *)(r10 - 32) = 0\n*(u64 *)(r10 - 24) = 0\nr2 = r10\nr2 += -16\nr3 = 12\nr4 = r10\nr4 += -32\nr5 = 12\ncall kfunc[bpf_skb_ct_alloc]\nif r0 == 0 goto out";

const writes: readonly VerifierTest[] = [
	tcp(
		`r1 = *(u64 *)(r1 + 0)\n*(u64 *)(r1 + 1444) = 0\n${rest}`,
		"write access at off 1444 with size 8 beyond the member of tcp_sock ended at 1448",
	),
	tcp(rest, "attach to unsupported member get_info of struct tcp_congestion_ops", 10),
	reject(
		"a connection's lock",
		`${connection}\n*(u32 *)(r0 + 4) = 0\nout: ${rest}`,
		"no write support to nf_conn at off 4",
		tc,
	),
	reject(
		"a connection's mark and more",
		`${connection}\n*(u64 *)(r0 + 168) = 0\nout: ${rest}`,
		"write access at off 168 with size 8 beyond the member of nf_conn ended at 172",
		tc,
	),
	reject(
		"metadata of a device that is not bound",
		`r2 = r10\nr2 += -8\ncall kfunc[bpf_xdp_metadata_rx_timestamp]\n${rest}`,
		"metadata kfuncs require device-bound program",
		{ prog_type: U.BPF_PROG_TYPE_XDP, priv_only: true },
	),
	reject("too many kernel functions", rest, "too many different kernel function calls", {
		...tc,
		make_asm: (b) => {
			let text = "";
			let n = 0;
			for (let id = 1; id < b.type_cnt() && n < 257; id++) {
				if (b.kind_of(id) !== BTF_KIND_FUNC) continue;
				if (/^(_printk|bpf_xdp_metadata_)/.test(b.name(b.type_by_id(id)!.name_off))) continue;
				text += `.8byte 0x${((BigInt(id) << 32n) | 0x2085n).toString(16)}\n`;
				n++;
			}
			return `${text}${rest}`;
		},
	}),
	accept(
		"a precise number on the stack, seen again",
		onValue(
			"r6 = *(u32 *)(r0 + 0)\n*(u64 *)(r10 - 16) = 8\nif r6 == 0 goto join\nr6 = 0\njoin: r3 = *(u64 *)(r10 - 16)\nr0 += r3\nr1 = *(u64 *)(r0 + 0)",
		),
		{ priv_only: true, maps: [array48], log_level: 2, prog_flags: 8 },
	),
];

/** A CO-RE record: at an instruction, of a type of the program's BTF, a path, a kind. */
function core(words: readonly number[], more: Partial<VerifierTest> = {}): Partial<VerifierTest> {
	return {
		...tc,
		log_level: 2,
		asm: `r1 = 0\n${rest}`,
		btf: (b) => {
			const i = b.add_int("int", 4, BTF_INT_SIGNED);
			const ctx = b.add_ptr(b.add_struct("__sk_buff", 8));
			b.add_struct("task_struct", 8);
			b.add_field("pid", i, 0);
			b.add_field("none_such", i, 32);
			b.add_struct("nobody_knows", 4);
			b.add_field("a", i, 0);
			b.add_str("0:0");
			b.add_str("0:1");
			return { func_info: [[0, func(b, "main_prog", BTF_FUNC_GLOBAL, [ctx])]] };
		},
		load: { core_relos: new Uint8Array(Uint32Array.from(words).buffer) },
		...more,
	};
}
/** Where "0:0" lies in that BTF's strings: after the names before it. */
const PATH = ["", "int", "__sk_buff", "task_struct", "pid", "none_such", "nobody_knows", "a"].reduce(
	(n, s) => n + s.length + 1,
	0,
);
const relocations: readonly VerifierTest[] = [
	{ ...accept("a field of the kernel's struct", rest, core([0, 4, PATH, 0])) },
	reject(
		"CO-RE of an instruction behind the program",
		rest,
		"Invalid core_relo[0].insn_off:800 prog->len:3",
		core([800, 4, PATH, 0]),
	),
	reject("CO-RE of a type that there is not", rest, "relo #0: bad type id 99", core([0, 99, PATH, 0])),
	reject(
		"CO-RE records with a tail",
		rest,
		"nonzero tailing record in core_relo",
		core([0, 4, PATH, 0, 7], {
			load: {
				core_relos: new Uint8Array(Uint32Array.from([0, 4, PATH, 0, 7]).buffer),
				core_relo_rec_size: 20,
			},
		}),
	),
];

export const moreVerifierTests: readonly VerifierTest[] = [
	...privileges,
	...walks,
	...arenas,
	...limits,
	...exceptions,
	...writes,
	...relocations,
];

/** On a kernel without a JIT. */
const two = "call f\nr0 = 0\nexit\nf: r0 = 0\nexit";
const interpreted = accept("", two, {
	...tc,
	btf: (b) => {
		b.add_int("int", 4, BTF_INT_SIGNED);
		const ctx = b.add_ptr(b.add_struct("__sk_buff", 8));
		return {
			func_info: [
				[0, func(b, "main_prog", BTF_FUNC_GLOBAL, [ctx])],
				[3, func(b, "f", BTF_FUNC_GLOBAL, [ctx])],
			],
		};
	},
});
export const noJitVerifierTests: readonly VerifierTest[] = [
	reject(
		"may_goto with a full stack",
		"*(u64 *)(r10 - 512) = 0\ntop: may_goto out\ngoto top\nout: r0 = 0\nexit",
		"stack size 520(extra 8) is too large",
		priv,
	),
	accept("a function, interpreted", "r1 = 20\ncall f\nr0 += 2\nexit\nf: r0 = r1\nr0 += r1\nexit", {
		...priv,
		retval: 42,
	}),
	reject("an arena without a JIT", `r1 = map[0] ll\n${rest}`, "JIT is required to use arena", {
		...tc,
		maps: [ARENA],
	}),
	reject(
		"kernel functions without a JIT",
		`call kfunc[bpf_rcu_read_lock]\n${rest}`,
		"JIT is required for calling kernel function",
		tc,
	),
	reject(
		"tail calls among functions without a JIT",
		"r6 = r1\ncall f\nr1 = r6\nr2 = map[0] ll\nr3 = 0\ncall bpf_tail_call\nr0 = 0\nexit\nf: r0 = 0\nexit",
		"tail_calls are not allowed in non-JITed programs with bpf-to-bpf calls",
		{ ...tc, maps: [{ type: U.BPF_MAP_TYPE_PROG_ARRAY, key: 4, value: 4, max: 1 }] },
	),
	reject(
		"callbacks without a JIT",
		"r1 = 5\nr2 = func[f] ll\nr3 = 0\nr4 = 0\ncall bpf_loop\nr0 = 0\nexit\nf: r0 = 0\nexit",
		"callbacks are not allowed in non-JITed programs",
		{
			...tc,
			btf: (b) => {
				b.add_int("int", 4, BTF_INT_SIGNED);
				const ctx = b.add_ptr(b.add_struct("__sk_buff", 8));
				return {
					func_info: [
						[0, func(b, "main_prog", BTF_FUNC_GLOBAL, [ctx])],
						[8, func(b, "f", BTF_FUNC_STATIC, [1, ctx])],
					],
				};
			},
		},
	),
	reject("fentry of a program that is interpreted", rest, "Can attach to only JITed progs", {
		...fentry("f"),
		target: interpreted,
	}),
	reject("an extension without a JIT", rest, "Extension programs should be JITed", {
		prog_type: U.BPF_PROG_TYPE_EXT,
		priv_only: true,
		attach: "f",
		target: interpreted,
		btf: (b) => {
			b.add_int("int", 4, BTF_INT_SIGNED);
			const ctx = b.add_ptr(b.add_struct("__sk_buff", 8));
			return { func_info: [[0, func(b, "x", BTF_FUNC_GLOBAL, [ctx])]] };
		},
	}),
];
