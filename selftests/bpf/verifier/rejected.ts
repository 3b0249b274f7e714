// SPDX-License-Identifier: GPL-2.0-only
/** Programs that the verifier turns down, and what it says of them. */
import {
	BPF_MAP_TYPE_ARRAY,
	BPF_MAP_TYPE_HASH,
	BPF_PROG_TYPE_SCHED_CLS,
	BPF_PROG_TYPE_XDP,
} from "../../../include/uapi/linux/bpf.ts";
import type { VerifierTest } from "../test_verifier.ts";

const hash8 = { type: BPF_MAP_TYPE_HASH, key: 8, value: 8, max: 1 } as const;
const array48 = { type: BPF_MAP_TYPE_ARRAY, key: 4, value: 48, max: 1 } as const;

function reject(descr: string, asm: string, errstr: string, more: Partial<VerifierTest> = {}): VerifierTest {
	return { descr, asm, result: "REJECT", errstr, ...more };
}

const lookup48 = `*(u32 *)(r10 - 4) = 0
	r2 = r10
	r2 += -4
	r1 = map[0] ll
	call bpf_map_lookup_elem`;

export const rejectedVerifierTests: readonly VerifierTest[] = [
	reject("empty exit: R0 was never set", "exit", "R0 !read_ok"),
	reject("no exit", "r0 = 0", "last insn is not an exit or jmp"),
	reject("jump out of the program", "goto +5\nexit", "jump out of range from insn 0 to 6"),
	reject("unreachable instruction", "r0 = 0\nexit\nr0 = 1\nexit", "unreachable insn 2"),
	reject("endless loop", "r0 = 0\ntop: goto top\nexit", "unreachable insn 2", {
		errstr_unpriv: "back-edge from insn 1 to 1",
	}),
	reject(
		"a loop that never ends",
		"r0 = 0\ntop: if r0 == 0 goto top\nexit",
		"infinite loop detected at insn 1",
		{
			errstr_unpriv: "back-edge from insn 1 to 1",
		},
	),
	reject("register that holds nothing", "r0 = r3\nexit", "R3 !read_ok"),
	reject("the frame pointer is read only", "r10 = 0\nexit", "frame pointer is read only"),
	reject(
		"stack out of bounds",
		"*(u64 *)(r10 + 8) = 0\nr0 = 0\nexit",
		"invalid write to stack R10 off=8 size=8",
	),
	reject(
		"stack too deep",
		"*(u64 *)(r10 - 520) = 0\nr0 = 0\nexit",
		"invalid write to stack R10 off=-520 size=8",
	),
	reject("misaligned stack access", "*(u64 *)(r10 - 9) = 0\nr0 = 0\nexit", "misaligned stack access off"),
	reject("division by an immediate of zero", "r0 = 1\nr0 /= 0\nexit", "div by zero"),
	reject("shift too far", "r0 = 1\nr0 <<= 64\nexit", "invalid shift 64"),
	reject("32-bit shift too far", "w0 = 1\nw0 >>= 32\nexit", "invalid shift 32"),
	reject("unknown opcode", ".8byte 0xff\nexit", "unknown opcode ff"),
	reject("reserved fields of exit", ".8byte 0x0000000100000095", "BPF_EXIT uses reserved fields"),
	reject("helper that does not exist", "call 9999\nexit", "invalid func unknown#9999"),
	reject(
		"helper of another program type",
		"r2 = 0\ncall bpf_xdp_adjust_head\nr0 = 0\nexit",
		"program of this type cannot use helper bpf_xdp_adjust_head#44",
	),
	reject(
		"a look-up's result without a test for NULL",
		`${lookup48}\nr0 = *(u64 *)(r0 + 0)\nexit`,
		"R0 invalid mem access 'map_value_or_null'",
		{ maps: [array48] },
	),
	reject(
		"beyond a map's value",
		`${lookup48}\nif r0 == 0 goto out\nr0 = *(u64 *)(r0 + 48)\nout: exit`,
		"invalid access to map value, value_size=48 off=48 size=8",
		{ maps: [array48] },
	),
	reject(
		"before a map's value",
		`${lookup48}\nif r0 == 0 goto out\nr0 += -4\n*(u32 *)(r0 + 0) = 1\nout: r0 = 0\nexit`,
		"invalid access to map value, value_size=48 off=-4 size=4",
		{ maps: [array48], errstr_unpriv: "R0 pointer arithmetic of map value goes out of range" },
	),
	reject(
		"key from memory that was not written",
		"r2 = r10\nr2 += -8\nr1 = map[0] ll\ncall bpf_map_lookup_elem\nr0 = 0\nexit",
		"invalid indirect read from stack R2 off -8+0 size 8",
		{
			maps: [hash8],
			result: "ACCEPT",
			result_unpriv: "REJECT",
			errstr_unpriv: "invalid indirect read from stack R2 off -8+0 size 8",
		},
	),
	reject(
		"context write where only reading is allowed",
		"*(u32 *)(r1 + 0) = 0\nr0 = 0\nexit",
		"invalid bpf_context access off=0 size=4",
	),
	reject(
		"context beyond its end",
		"r0 = *(u32 *)(r1 + 400)\nexit",
		"invalid bpf_context access off=400 size=4",
	),
	reject(
		"misaligned context access",
		"r0 = *(u32 *)(r1 + 2)\nexit",
		"invalid bpf_context access off=2 size=4",
	),
	reject(
		"packet without a check of its end",
		"r2 = *(u32 *)(r1 + 76)\nr0 = *(u8 *)(r2 + 0)\nexit",
		"invalid access to packet, off=0 size=1, R2(id=0,off=0,r=0)",
		{ prog_type: BPF_PROG_TYPE_SCHED_CLS, priv_only: true },
	),
	reject(
		"XDP context: a pointer loaded with the wrong size",
		"r0 = *(u64 *)(r1 + 0)\nexit",
		"invalid bpf_context access off=0 size=8",
		{ prog_type: BPF_PROG_TYPE_XDP, priv_only: true },
	),
	reject(
		"return value that may be anything, where it matters",
		"r0 = r10\nexit",
		"At program exit the register R0 is not a known value",
		{
			result: "ACCEPT",
			result_unpriv: "REJECT",
			errstr_unpriv: "R0 leaks addr as return value",
		},
	),
	reject(
		"arithmetic on the context pointer",
		"r1 *= 2\nr0 = 0\nexit",
		"R1 pointer arithmetic with *= operator prohibited",
	),
	reject(
		"32-bit arithmetic on a pointer",
		"w1 += 1\nr0 = 0\nexit",
		"R1 32-bit pointer arithmetic prohibited",
	),
	reject("two pointers added", "r1 += r10\nr0 = 0\nexit", "R1 pointer += pointer prohibited"),
	reject(
		"call depth",
		"call f1\nexit\nf1: call f2\nexit\nf2: call f3\nexit\nf3: call f4\nexit\nf4: call f5\nexit\nf5: call f6\nexit\nf6: call f7\nexit\nf7: call f8\nexit\nf8: r0 = 0\nexit",
		"the call stack of 9 frames is too deep",
		{ priv_only: true },
	),
	reject(
		"combined stack of two functions",
		"*(u64 *)(r10 - 300) = 0\ncall f\nexit\nf: *(u64 *)(r10 - 300) = 0\nr0 = 0\nexit",
		"combined stack size of 2 calls is\tToo large",
		{
			priv_only: true,
			asm: "*(u64 *)(r10 - 304) = 0\ncall f\nexit\nf: *(u64 *)(r10 - 304) = 0\nr0 = 0\nexit",
		},
	),
	reject("ld_abs needs the context in r6", "r0 = *(u8 *)skb[0]\nexit", "R6 !read_ok"),
	reject(
		"jump into the middle of a wide load",
		"r0 = 0\nif r0 == 0 goto +1\nr1 = 1 ll\nexit",
		"jump into the middle of ldimm64 insn 2",
	),
];
