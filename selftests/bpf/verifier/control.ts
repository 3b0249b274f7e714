// SPDX-License-Identifier: GPL-2.0-only
/** Instructions, jumps, loops, calls and what programs return (cfg.ts, verifier.ts, check_ld.ts, func_call.ts). */
import * as U from "../../../include/uapi/linux/bpf.ts";
import type { VerifierTest } from "../test_verifier.ts";
import { accept, array48, onValue, priv, raw, reject, tc, unprivReject } from "./table.ts";

const value = { maps: [array48], priv_only: true } as const;
const rest = "r0 = 0\nexit";

const reserved: readonly VerifierTest[] = [
	reject("stx", `r1 = 0\n${raw(0x7b, 10, 1, -8, 5)}\n${rest}`, "BPF_STX uses reserved fields"),
	reject("st", `${raw(0x7a, 10, 1, -8, 5)}\n${rest}`, "BPF_ST uses reserved fields"),
	reject("ldx", `${raw(0x79, 0, 10, -8, 5)}\n${rest}`, "BPF_LDX uses reserved fields"),
	reject("a call's destination", `${raw(0x85, 1, 0, 0, 7)}\n${rest}`, "BPF_CALL uses reserved fields"),
	reject("a call's offset", `${raw(0x85, 0, 0, 5, 7)}\n${rest}`, "BPF_CALL uses reserved fields"),
	reject("ja", `${raw(0x05, 1, 0, 0, 0)}\n${rest}`, "BPF_JA uses reserved fields"),
	reject("gotol's offset", `${raw(0x06, 0, 0, 1, 0)}\n${rest}`, "BPF_JA uses reserved fields"),
	reject("exit", raw(0x95, 0, 0, 0, 3), "BPF_EXIT uses reserved fields"),
	reject(
		"a jump by register",
		`r0 = 0\n${raw(0x1d, 0, 0, 0, 5)}\nexit`,
		"BPF_JMP/JMP32 uses reserved fields",
	),
	reject(
		"a jump by immediate",
		`r0 = 0\n${raw(0x15, 0, 1, 0, 5)}\nexit`,
		"BPF_JMP/JMP32 uses reserved fields",
	),
	reject("may_goto", `${raw(0xe5, 0, 0, 0, 7)}\n${rest}`, "invalid may_goto off 0 imm 7", priv),
	reject(
		"the first half of a wide load",
		`${raw(0x18, 0, 0, 1, 0)}\n.8byte 0\nexit`,
		"invalid bpf_ld_imm64 insn",
		{
			errstr: "BPF_LD_IMM64 uses reserved fields",
		},
	),
	reject(
		"the second half of a wide load",
		`${raw(0x18, 0, 0, 0, 0)}\n${raw(0, 1, 0, 0, 0)}\nexit`,
		"invalid bpf_ld_imm64 insn",
	),
	reject(
		"a wide load that ends with the program",
		`r0 = 0\nif r0 == 0 goto +1\nexit\n${raw(0x18, 0, 0, 0, 0)}`,
		"last insn is not an exit or jmp",
	),
	reject(
		"a wide load of a kind there is not",
		`${raw(0x18, 0, 9, 0, 0)}\n.8byte 0\n${rest}`,
		"unrecognized bpf_ld_imm64 insn",
	),
	reject(
		"a wide load with a map and an offset",
		`${raw(0x18, 1, 1, 0, 0)}\n${raw(0, 0, 0, 0, 5)}\n${rest}`,
		"unrecognized bpf_ld_imm64 insn",
	),
	reject(
		"a map that there is not",
		`${raw(0x18, 1, 1, 0, 77)}\n.8byte 0\n${rest}`,
		"fd 77 is not pointing to valid bpf_map",
	),
	reject(
		"a map by index without fd_array",
		`${raw(0x18, 1, 5, 0, 0)}\n.8byte 0\n${rest}`,
		"fd_idx without fd_array is invalid",
	),
	reject("an offset of a map's value that is too large", `${raw(0x18, 1, 2, 0, 0)}`, "", {
		asm: "r1 = map_value[0]+4096 ll\nr0 = 0\nexit",
		errstr: "invalid access to map value pointer, value_size=48 off=4096",
		maps: [array48],
	}),
	reject(
		"an offset of a map's value without end",
		"r1 = map_value[0]+536870912 ll\nr0 = 0\nexit",
		"direct value offset of 536870912 is not allowed",
		{ maps: [array48] },
	),
	reject(
		"the value of a map of many",
		"r1 = map_value[0] ll\nr0 = 0\nexit",
		"invalid access to map value pointer, value_size=8 off=0",
		{ maps: [{ type: U.BPF_MAP_TYPE_HASH, key: 4, value: 8, max: 1 }], err: -22, errstr: "" },
	),
	reject("fetch that reads half", `${raw(0x61, 0, 10, -8, 0)}`, "", { asm: "exit", errstr: "R0 !read_ok" }),
	reject(
		"ld_abs in a program without packets",
		"r6 = r1\nr0 = *(u8 *)skb[0]\nexit",
		"BPF_LD_[ABS|IND] instructions not allowed for this program type",
		{ prog_type: U.BPF_PROG_TYPE_XDP, priv_only: true },
	),
	reject("ld_abs", `r6 = r1\n${raw(0x20, 1, 0, 0, 0)}\nexit`, "BPF_LD_[ABS|IND] uses reserved fields"),
	reject(
		"ld_abs of 64 bits",
		`r6 = r1\n${raw(0x38, 0, 0, 0, 0)}\nexit`,
		"BPF_LD_[ABS|IND] uses reserved fields",
		{ errstr: "unknown opcode 38" },
	),
	reject(
		"ld_abs with something else in r6",
		"r6 = 0\nr0 = *(u8 *)skb[0]\nexit",
		"at the time of BPF_LD_ABS|IND R6 != pointer to skb",
	),
	reject(
		"ld_abs with a context that was moved",
		"r6 = r1\nr6 += 4\nr0 = *(u8 *)skb[0]\nexit",
		"dereference of modified ctx ptr R6 off=4 disallowed",
	),
	reject("ld_ind by a register that holds nothing", "r6 = r1\nr0 = *(u8 *)skb[r3]\nexit", "R3 !read_ok"),
	reject(
		"ld_abs forgets the scratch registers",
		"r6 = r1\nr2 = 1\nr0 = *(u8 *)skb[0]\nr0 = r2\nexit",
		"R2 !read_ok",
	),
	reject("a register that there is not", `${raw(0xbf, 0, 12, 0, 0)}\nexit`, "R12 is invalid"),
	reject("a destination that there is not", `${raw(0xb7, 13, 0, 0, 0)}\nexit`, "R13 is invalid"),
	reject("BPF_LD of a mode there is not", `${raw(0x78, 0, 0, 0, 0)}\nexit`, "unknown opcode 78"),
	reject(
		"kernel functions that are not there",
		`${raw(0x85, 0, 2, 0, 0)}\n${rest}`,
		"invalid kernel function call not eliminated in verifier pass",
		priv,
	),
];

const loops: readonly VerifierTest[] = [
	unprivReject(
		"a loop that counts",
		"r1 = 0\ntop: r1 += 1\nif r1 < 100 goto top\nr0 = r1\nexit",
		"back-edge from insn 2 to 1",
		{ retval: 100 },
	),
	unprivReject(
		"a loop by a 32-bit counter",
		"w1 = 0\ntop: w1 += 1\nif w1 < 64 goto top\nr0 = r1\nexit",
		"back-edge from insn 2 to 1",
		{ retval: 64 },
	),
	unprivReject(
		"a loop of loops",
		"r0 = 0\nr1 = 0\nouter: r2 = 0\ninner: r0 += 1\nr2 += 1\nif r2 < 5 goto inner\nr1 += 1\nif r1 < 4 goto outer\nexit",
		"back-edge from insn 7 to 2",
		{ retval: 20 },
	),
	reject(
		"a loop without progress",
		"r1 = 0\ntop: if r1 == 0 goto top\nr0 = 0\nexit",
		"infinite loop detected at insn 1",
		{ errstr_unpriv: "back-edge" },
	),
	reject(
		"a loop that never ends but changes",
		onValue("top: r1 = *(u64 *)(r0 + 0)\nr2 = r10\nif r1 != 0 goto top"),
		"infinite loop detected at insn",
		value,
	),
	reject(
		"a loop too long",
		"r1 = 0\ntop: r1 += 1\nif r1 < 2000000 goto top\nr0 = 0\nexit",
		"BPF program is too large. Processed 1000001 insn",
		priv,
	),
	reject("too many jumps on a path", "r1 = 0\nr2 = *(u32 *)(r1 + 0)\nexit", "", {
		...priv,
		asm: `r6 = r1\nr7 = 0\ntop: r2 = *(u32 *)(r6 + 0)\nr7 += 1\nif r2 == 5 goto +0\nif r7 < 20000 goto top\nr0 = 0\nexit`,
		errstr: "The sequence of 8193 jumps is too complex.",
	}),
	accept("may_goto ends a loop", "r0 = 0\ntop: may_goto out\nr0 += 1\nif r0 != 5 goto top\nout: exit", {
		...priv,
		retval: 5,
	}),
	reject("may_goto around nothing", "r0 = 0\nmay_goto +0\nexit", "invalid may_goto off 0 imm 0", priv),
	reject("a jump before the program", "r0 = 0\ngoto -3\nexit", "jump out of range from insn 1 to -1"),
	reject(
		"a branch out of the program",
		"r0 = 0\nif r0 == 0 goto +9\nexit",
		"jump out of range from insn 1 to 11",
	),
	reject("the last instruction is a branch", "r0 = 0\nif r0 == 0 goto -1", "last insn is not an exit or jmp"),
	accept("the last instruction is a jump", "r0 = 3\ngoto end\nback: exit\nend: goto back", { retval: 3 }),
	unprivReject(
		"dead code behind a condition that is known",
		"r0 = 1\nif r0 == 1 goto out\nr0 = *(u64 *)(r3 + 0)\nout: exit",
		"R3 !read_ok",
		{ retval: 1 },
	),
	unprivReject(
		"a 32-bit condition that is known",
		"w0 = 1\nif w0 < 2 goto out\nr0 = *(u64 *)(r3 + 0)\nout: exit",
		"R3 !read_ok",
		{ retval: 1 },
	),
	unprivReject(
		"a signed condition that is known",
		"r0 = -1\nif r0 s< 0 goto out\nr0 = *(u64 *)(r3 + 0)\nout: exit",
		"R3 !read_ok",
		{ retval: -1 },
	),
	unprivReject(
		"bits that are known",
		"r0 = 6\nif r0 & 2 goto out\nr0 = *(u64 *)(r3 + 0)\nout: exit",
		"R3 !read_ok",
		{ retval: 6 },
	),
	unprivReject(
		"precision: a branch decided by a spilled number",
		"r6 = 3\n*(u64 *)(r10 - 8) = r6\nr7 = *(u64 *)(r10 - 8)\nif r7 == 3 goto out\nr0 = *(u64 *)(r3 + 0)\nout: r0 = 0\nexit",
		"R3 !read_ok",
		{ retval: 0, log_level: 2 },
	),
];

const calls: readonly VerifierTest[] = [
	accept(
		"a function with five arguments",
		"r1 = 1\nr2 = 2\nr3 = 3\nr4 = 4\nr5 = 5\ncall f\nexit\nf: r0 = r1\nr0 += r2\nr0 += r3\nr0 += r4\nr0 += r5\nexit",
		{ ...priv, retval: 15 },
	),
	reject("an argument that was not set", "call f\nexit\nf: r0 = r3\nexit", "R3 !read_ok", priv),
	reject(
		"scratch registers after a call",
		"r1 = 1\ncall f\nr0 = r1\nexit\nf: r0 = 0\nexit",
		"R1 !read_ok",
		priv,
	),
	reject("a caller's register in the callee", "r6 = 1\ncall f\nexit\nf: r0 = r6\nexit", "R6 !read_ok", priv),
	reject(
		"a call out of the program",
		`${raw(0x85, 0, 1, 0, 100)}\n${rest}`,
		"call to invalid destination",
		priv,
	),
	reject("recursion", "call f\nexit\nf: call f\nexit", "the call stack of 9 frames is too deep", priv),
	reject(
		"a jump from one function into another",
		"r0 = 0\nif r0 == 0 goto inside\ncall f\nexit\nf: r0 = 0\ninside: exit",
		"jump out of range from insn 1 to 5",
		priv,
	),
	reject(
		"a function that falls into the next",
		"call f\ncall g\nexit\nf: r0 = 0\ng: r0 = 1\nexit",
		"last insn is not an exit or jmp",
		priv,
	),
	reject("a function that returns nothing", "call f\nexit\nf: exit", "R0 !read_ok", priv),
	reject(
		"a frame that is too large with what it calls",
		"call f\nexit\nf: *(u64 *)(r10 - 512) = 0\nr0 = 0\nexit",
		"combined stack size of 2 calls is",
		{ ...priv, asm: "*(u64 *)(r10 - 8) = 0\ncall f\nexit\nf: *(u64 *)(r10 - 512) = 0\nr0 = 0\nexit" },
	),
	reject(
		"too many functions",
		`${Array.from({ length: 300 }, (_, i) => `call f${i}`).join("\n")}\n${rest}\n${Array.from({ length: 300 }, (_, i) => `f${i}: r0 = 0\nexit`).join("\n")}`,
		"too many subprograms",
		priv,
	),
	reject(
		"a tail call of a function without BTF",
		"r6 = r1\n*(u64 *)(r10 - 400) = 0\ncall f\nexit\nf: r2 = map[0] ll\nr3 = 0\ncall bpf_tail_call\nr0 = 0\nexit",
		"tail_call is not allowed in subprogs without BTF",
		{ ...tc, maps: [{ type: U.BPF_MAP_TYPE_PROG_ARRAY, key: 4, value: 4, max: 1 }] },
	),
	accept("a tail call to nothing goes on", "r2 = map[0] ll\nr3 = 0\ncall bpf_tail_call\nr0 = 7\nexit", {
		maps: [{ type: U.BPF_MAP_TYPE_PROG_ARRAY, key: 4, value: 4, max: 1 }],
		retval: 7,
	}),
	reject(
		"a tail call into a map of another kind",
		"r2 = map[0] ll\nr3 = 0\ncall bpf_tail_call\nr0 = 7\nexit",
		"kernel subsystem misconfigured verifier",
		{ maps: [array48] },
	),
	reject("a call of a number", "r0 = 0\n.8byte 0x000000630000008d\nexit", "unknown opcode 8d", {}),
];

const f = "At program exit the register R0 has";
const returns: readonly VerifierTest[] = (
	[
		[
			"cgroup socket",
			U.BPF_PROG_TYPE_CGROUP_SOCK,
			U.BPF_CGROUP_INET_SOCK_CREATE,
			"r0 = 2",
			`${f} smin=2 smax=2 should have been in [0, 1]`,
		],
		[
			"cgroup device",
			U.BPF_PROG_TYPE_CGROUP_DEVICE,
			U.BPF_CGROUP_DEVICE,
			"r0 = -1",
			`${f} smin=-1 smax=-1 should have been in [0, 1]`,
		],
		[
			"recvmsg",
			U.BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
			U.BPF_CGROUP_UDP4_RECVMSG,
			"r0 = 0",
			`${f} smin=0 smax=0 should have been in [1, 1]`,
		],
		[
			"bind",
			U.BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
			U.BPF_CGROUP_INET4_BIND,
			"r0 = 4",
			`${f} smin=4 smax=4 should have been in [0, 3]`,
		],
		[
			"egress",
			U.BPF_PROG_TYPE_CGROUP_SKB,
			U.BPF_CGROUP_INET_EGRESS,
			"r0 = 4",
			`${f} smin=4 smax=4 should have been in [0, 3]`,
		],
		[
			"sk_lookup",
			U.BPF_PROG_TYPE_SK_LOOKUP,
			U.BPF_SK_LOOKUP,
			"r0 = 2",
			`${f} smin=2 smax=2 should have been in [0, 1]`,
		],
		[
			"netfilter",
			U.BPF_PROG_TYPE_NETFILTER,
			U.BPF_NETFILTER,
			"r0 = 5",
			`${f} smin=5 smax=5 should have been in [0, 1]`,
		],
		[
			"a context",
			U.BPF_PROG_TYPE_CGROUP_SOCK,
			U.BPF_CGROUP_INET_SOCK_CREATE,
			"r0 = r1",
			"At program exit the register R0 is not a known value (ctx)",
		],
		[
			"any number",
			U.BPF_PROG_TYPE_CGROUP_SOCK,
			U.BPF_CGROUP_INET_SOCK_CREATE,
			"r0 = *(u32 *)(r1 + 8)",
			`${f} smin=0 smax=4294967295 should have been in [0, 1]`,
		],
		[
			"64 bits of any number",
			U.BPF_PROG_TYPE_CGROUP_SOCK,
			U.BPF_CGROUP_INET_SOCK_CREATE,
			"*(u64 *)(r10 - 8) = r1\ncall bpf_get_current_pid_tgid",
			`${f} unknown scalar value should have been in [0, 1]`,
		],
	] as const
).map(([descr, prog_type, expected_attach_type, asm, errstr]) =>
	reject(`returns: ${descr}`, `${asm}\nexit`, errstr, { prog_type, expected_attach_type, priv_only: true }),
);

const accepts: readonly VerifierTest[] = [
	accept("egress may say 3", "r0 = 3\nexit", {
		prog_type: U.BPF_PROG_TYPE_CGROUP_SKB,
		expected_attach_type: U.BPF_CGROUP_INET_EGRESS,
		priv_only: true,
	}),
	accept("bind may say 3", "r0 = 3\nexit", {
		prog_type: U.BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
		expected_attach_type: U.BPF_CGROUP_INET6_BIND,
		priv_only: true,
	}),
	accept("a range by bounds", "r0 = *(u32 *)(r1 + 8)\nr0 &= 1\nexit", {
		prog_type: U.BPF_PROG_TYPE_CGROUP_SOCK,
		expected_attach_type: U.BPF_CGROUP_INET_SOCK_CREATE,
		priv_only: true,
	}),
];

export const controlVerifierTests: readonly VerifierTest[] = [
	...reserved,
	...loops,
	...calls,
	...returns,
	...accepts,
];
