// SPDX-License-Identifier: GPL-2.0-only
/** The other instructions of RFC 9669: moves, byte swaps, loads and stores, atomics, calls, wide jumps. */
import { BPF_MAP_TYPE_ARRAY } from "../../../include/uapi/linux/bpf.ts";
import type { VerifierTest } from "../test_verifier.ts";

/** A program that leaves a 64-bit value in r1, and the value: it returns 1 when they agree. */
function value(descr: string, body: string, want: bigint): VerifierTest {
	return {
		descr,
		asm: `${body}
			r2 = ${BigInt.asUintN(64, want)} ll
			r0 = 1
			if r1 == r2 goto out
			r0 = 0
			out: exit`,
		result: "ACCEPT",
		retval: 1,
	};
}

const stored = "r1 = 0x8182838485868788 ll\n*(u64 *)(r10 - 8) = r1\n";

const moves: readonly VerifierTest[] = [
	value("mov64 register", "r3 = 0x1122334455667788 ll\nr1 = r3", 0x1122334455667788n),
	value("mov32 register clears the upper half", "r3 = 0x1122334455667788 ll\nw1 = w3", 0x55667788n),
	value("mov64 immediate is sign extended", "r1 = -1", -1n),
	value("mov32 immediate is zero extended", "w1 = -1", 0xffffffffn),
	value("movsx 8 to 64", "r3 = 0x1ff80 ll\nr1 = (s8)r3", -128n),
	value("movsx 16 to 64", "r3 = 0x18000 ll\nr1 = (s16)r3", -32768n),
	value("movsx 32 to 64", "r3 = 0x180000000 ll\nr1 = (s32)r3", -2147483648n),
	value("movsx 8 to 32", "r3 = 0x80 ll\nw1 = (s8)w3", 0xffffff80n),
	value("movsx 16 to 32", "r3 = 0x8000 ll\nw1 = (s16)w3", 0xffff8000n),
	value("neg 64", "r1 = 5\nr1 = -r1", -5n),
	value("neg 32", "w1 = 5\nw1 = -w1", 0xfffffffbn),
];

const swaps: readonly VerifierTest[] = [
	value("be16", `${stored}r1 = be16 r1`, 0x8887n),
	value("be32", `${stored}r1 = be32 r1`, 0x88878685n),
	value("be64", `${stored}r1 = be64 r1`, 0x8887868584838281n),
	value("le16", `${stored}r1 = le16 r1`, 0x8788n),
	value("le32", `${stored}r1 = le32 r1`, 0x85868788n),
	value("le64", `${stored}r1 = le64 r1`, 0x8182838485868788n),
	value("bswap16", `${stored}r1 = bswap16 r1`, 0x8887n),
	value("bswap32", `${stored}r1 = bswap32 r1`, 0x88878685n),
	value("bswap64", `${stored}r1 = bswap64 r1`, 0x8887868584838281n),
];

const loads: readonly VerifierTest[] = [
	value("ldx u8", `${stored}r1 = *(u8 *)(r10 - 8)`, 0x88n),
	value("ldx u16", `${stored}r1 = *(u16 *)(r10 - 8)`, 0x8788n),
	value("ldx u32", `${stored}r1 = *(u32 *)(r10 - 8)`, 0x85868788n),
	value("ldx u64", `${stored}r1 = *(u64 *)(r10 - 8)`, 0x8182838485868788n),
	value("ldx s8", `${stored}r1 = *(s8 *)(r10 - 8)`, -0x78n),
	value("ldx s16", `${stored}r1 = *(s16 *)(r10 - 8)`, -0x7878n),
	value("ldx s32", `${stored}r1 = *(s32 *)(r10 - 8)`, -0x7a797878n),
	value("stx u8", `${stored}r3 = 0x7f\n*(u8 *)(r10 - 7) = r3\nr1 = *(u64 *)(r10 - 8)`, 0x8182838485867f88n),
	value(
		"stx u16",
		`${stored}r3 = 0x7fff\n*(u16 *)(r10 - 6) = r3\nr1 = *(u64 *)(r10 - 8)`,
		0x818283847fff8788n,
	),
	value(
		"stx u32",
		`${stored}r3 = 0x1234\n*(u32 *)(r10 - 4) = r3\nr1 = *(u64 *)(r10 - 8)`,
		0x0000123485868788n,
	),
	value("st u8", `${stored}*(u8 *)(r10 - 8) = 1\nr1 = *(u64 *)(r10 - 8)`, 0x8182838485868701n),
	value("st u16", `${stored}*(u16 *)(r10 - 8) = 258\nr1 = *(u64 *)(r10 - 8)`, 0x8182838485860102n),
	value("st u32", `${stored}*(u32 *)(r10 - 8) = -2\nr1 = *(u64 *)(r10 - 8)`, 0x81828384fffffffen),
	value("st u64 is sign extended", `${stored}*(u64 *)(r10 - 8) = -2\nr1 = *(u64 *)(r10 - 8)`, -2n),
];

const set64 = "r1 = 0x110 ll\n*(u64 *)(r10 - 8) = r1\nr3 = 0x11 ll\n";
const load = "\nr1 = *(u64 *)(r10 - 8)";

function atomics(): VerifierTest[] {
	const tests: VerifierTest[] = [];
	const ops = [
		["+=", "add", 0x121n],
		["|=", "or", 0x111n],
		["&=", "and", 0x10n],
		["^=", "xor", 0x101n],
	] as const;
	for (const [op, name, want] of ops) {
		tests.push(value(`lock ${op} u64`, `${set64}lock *(u64 *)(r10 - 8) ${op} r3${load}`, want));
		tests.push(value(`lock ${op} u32`, `${set64}lock *(u32 *)(r10 - 8) ${op} w3${load}`, want));
		tests.push(
			value(`fetch ${name} u64`, `${set64}r3 = atomic_fetch_${name}((u64 *)(r10 - 8), r3)${load}`, want),
		);
		tests.push(
			value(
				`fetch ${name} u64 gives the old value`,
				`${set64}r3 = atomic_fetch_${name}((u64 *)(r10 - 8), r3)\nr1 = r3`,
				0x110n,
			),
		);
		tests.push(
			value(`fetch ${name} u32`, `${set64}w3 = atomic_fetch_${name}((u32 *)(r10 - 8), w3)${load}`, want),
		);
		tests.push(
			value(
				`fetch ${name} u32 zero extends`,
				`${set64}r3 = -1\nw3 = atomic_fetch_${name}((u32 *)(r10 - 8), w3)\nr1 = r3`,
				0x110n,
			),
		);
	}
	tests.push(
		value("xchg u64", `${set64}r3 = xchg((u64 *)(r10 - 8), r3)\nr1 = *(u64 *)(r10 - 8)\nr1 += r3`, 0x121n),
	);
	tests.push(
		value("xchg u32", `${set64}w3 = xchg((u32 *)(r10 - 8), w3)\nr1 = *(u64 *)(r10 - 8)\nr1 += r3`, 0x121n),
	);
	tests.push(
		value("cmpxchg u64 swaps", `${set64}r0 = 0x110\nr0 = cmpxchg((u64 *)(r10 - 8), r0, r3)${load}`, 0x11n),
	);
	tests.push(
		value("cmpxchg u64 leaves", `${set64}r0 = 7\nr0 = cmpxchg((u64 *)(r10 - 8), r0, r3)${load}`, 0x110n),
	);
	tests.push(
		value(
			"cmpxchg u64 gives the old value",
			`${set64}r0 = 7\nr0 = cmpxchg((u64 *)(r10 - 8), r0, r3)\nr1 = r0`,
			0x110n,
		),
	);
	tests.push(
		value("cmpxchg u32 swaps", `${set64}w0 = 0x110\nw0 = cmpxchg((u32 *)(r10 - 8), w0, w3)${load}`, 0x11n),
	);
	return tests;
}

/** Functions are for the privileged. */
const noCalls = {
	result_unpriv: "REJECT",
	errstr_unpriv: "loading/calling other bpf or kernel functions are allowed for CAP_BPF and CAP_SYS_ADMIN",
} as const;

const flow: readonly VerifierTest[] = [
	value("gotol", "r1 = 1\ngotol far\nnear: r1 += 0\ngoto end\nfar: gotol near\nend: r1 += 0", 1n),
	{
		descr: "call of a function in the program",
		asm: "r1 = 20\ncall twice\nr0 += 2\nexit\ntwice: r0 = r1\nr0 += r1\nexit",
		result: "ACCEPT",
		...noCalls,
		retval: 42,
	},
	{
		descr: "callee-saved registers survive a call",
		asm: "r6 = 1\nr7 = 2\nr8 = 3\nr9 = 4\ncall f\nr0 = r6\nr0 += r7\nr0 += r8\nr0 += r9\nexit\nf: r6 = 9\nr7 = 9\nr8 = 9\nr9 = 9\nr0 = 0\nexit",
		result: "ACCEPT",
		...noCalls,
		retval: 10,
	},
	{
		descr: "eight frames deep",
		asm: `r1 = 1
			call f1
			exit
			f1: call f2
			exit
			f2: r1 += 1
			call f3
			exit
			f3: r1 += 1
			call f4
			exit
			f4: r1 += 1
			call f5
			exit
			f5: r1 += 1
			call f6
			exit
			f6: r1 += 1
			call f7
			exit
			f7: r0 = r1
			exit`,
		result: "ACCEPT",
		...noCalls,
		retval: 6,
	},
	{
		descr: "a bounded loop",
		asm: "r0 = 0\nr1 = 0\ntop: r0 += r1\nr1 += 1\nif r1 < 10 goto top\nexit",
		result: "ACCEPT",
		result_unpriv: "REJECT",
		errstr_unpriv: "back-edge from insn 4 to 2",
		retval: 45,
	},
	{
		descr: "helper with five arguments: bpf_skb_load_bytes",
		asm: `r2 = 4
			r3 = r10
			r3 += -8
			r4 = 2
			call bpf_skb_load_bytes
			r0 = *(u8 *)(r10 - 7)
			exit`,
		data: new Uint8Array(64).map((_, i) => i),
		result: "ACCEPT",
		/* A socket filter's packet begins after its Ethernet header. */
		retval: 19,
	},
	{
		descr: "map look-up, an update through the pointer, and a look-up again",
		asm: `*(u32 *)(r10 - 4) = 0
			r2 = r10
			r2 += -4
			r1 = map[0] ll
			call bpf_map_lookup_elem
			if r0 == 0 goto out
			r1 = *(u64 *)(r0 + 0)
			r1 += 5
			*(u64 *)(r0 + 0) = r1
			r0 = r1
			out: exit`,
		maps: [
			{ type: BPF_MAP_TYPE_ARRAY, key: 4, value: 8, max: 1, fill: Uint8Array.of(37, 0, 0, 0, 0, 0, 0, 0) },
		],
		result: "ACCEPT",
		retval: 42,
	},
	{
		descr: "the value of a map, addressed directly",
		asm: "r1 = map_value[0]+4 ll\nr0 = *(u32 *)(r1 + 0)\nexit",
		maps: [
			{ type: BPF_MAP_TYPE_ARRAY, key: 4, value: 8, max: 1, fill: Uint8Array.of(1, 0, 0, 0, 9, 0, 0, 0) },
		],
		result: "ACCEPT",
		retval: 9,
		priv_only: true,
	},
	{
		descr: "ld_abs reads the packet, big endian",
		asm: "r6 = r1\nr0 = *(u16 *)skb[2]\nexit",
		data: new Uint8Array(64).map((_, i) => i),
		result: "ACCEPT",
		retval: 0x1011,
	},
	{
		descr: "ld_ind reads at a register",
		asm: "r6 = r1\nr7 = 5\nr0 = *(u32 *)skb[r7 + 3]\nexit",
		data: new Uint8Array(64).map((_, i) => i),
		result: "ACCEPT",
		retval: 0x16171819,
	},
	{
		descr: "ld_abs past the packet ends the program with 0",
		asm: "r6 = r1\nr0 = *(u8 *)skb[4000]\nr0 = 1\nexit",
		result: "ACCEPT",
		retval: 0,
	},
	{
		descr: "context fields are read through the kernel's struct",
		asm: "r0 = *(u32 *)(r1 + 0)\nexit",
		data: new Uint8Array(50),
		result: "ACCEPT",
		retval: 36,
	},
];

export const insnVerifierTests: readonly VerifierTest[] = [
	...moves,
	...swaps,
	...loads,
	...atomics(),
	...flow,
];
