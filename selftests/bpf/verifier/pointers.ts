// SPDX-License-Identifier: GPL-2.0-only
/** Arithmetic on pointers: what it may do to their offset, and to whom (alu.ts). */
import type { VerifierTest } from "../test_verifier.ts";
import { accept, array48, lookup, onValue, priv, raw, reject, unprivReject } from "./table.ts";

const value = { maps: [array48], priv_only: true } as const;
const valueUnpriv = { maps: [array48] } as const;
/** r3 = a number that nothing is known of. */
const unknown = "r3 = *(u64 *)(r0 + 0)";

const offsets: readonly VerifierTest[] = [
	reject(
		"a constant too large for a map value",
		onValue("r0 += 0x20000000\nr1 = *(u8 *)(r0 + 0)"),
		"math between map_value pointer and 536870912 is not allowed",
		value,
	),
	reject(
		"constants that add up to too much",
		onValue("r0 += 0x1fffffff\nr0 += 0x1fffffff\nr1 = *(u8 *)(r0 + 0)"),
		"map_value pointer offset 1073741822 is not allowed",
		value,
	),
	reject(
		"a number that may be negative without end",
		onValue(`${unknown}\nr0 += r3\nr1 = *(u8 *)(r0 + 0)`),
		"math between map_value pointer and register with unbounded min value is not allowed",
		value,
	),
	reject(
		"a number that is too large at least",
		onValue(`${unknown}\nr3 &= 1\nr3 += 0x20000000\nr0 += r3\nr1 = *(u8 *)(r0 + 0)`),
		"value 536870912 makes map_value pointer be out of bounds",
		value,
	),
	reject(
		"a number without an upper bound",
		onValue(`${unknown}\nr3 >>= 1\nr0 += r3\nr1 = *(u8 *)(r0 + 0)`),
		"R0 unbounded memory access, make sure to bounds check any such access",
		value,
	),
	reject(
		"a bound that leaves room before the value",
		onValue(`${unknown}\nif r3 s> 8 goto out\nif r3 s< -8 goto out\nr0 += r3\nr1 = *(u8 *)(r0 + 0)`),
		"R0 min value is negative, either use unsigned index or do a if (index >=0) check.",
		value,
	),
	reject(
		"a bound that leaves room behind the value",
		onValue(`${unknown}\nif r3 > 48 goto out\nr0 += r3\nr1 = *(u8 *)(r0 + 0)`),
		"invalid access to map value, value_size=48 off=48 size=1\tR0 max value is outside of the allowed memory range",
		value,
	),
	accept("a bound that fits", onValue(`${unknown}\nif r3 > 40 goto out\nr0 += r3\nr1 = *(u64 *)(r0 + 0)`), {
		...value,
		retval: 0,
	}),
	accept(
		"bounds by tnum: masked and shifted",
		onValue(`${unknown}\nr3 &= 5\nr3 <<= 3\nr0 += r3\nr1 = *(u64 *)(r0 + 0)`),
		{ ...value, retval: 0 },
	),
	accept(
		"bounds of 32 bits carry over where the upper half is zero",
		onValue(`w3 = *(u32 *)(r0 + 0)\nif w3 > 40 goto out\nr0 += r3\nr1 = *(u64 *)(r0 + 0)`),
		{ ...value, retval: 0 },
	),
	reject(
		"bounds of 32 bits say nothing of the upper half",
		onValue(`${unknown}\nif w3 > 40 goto out\nr0 += r3\nr1 = *(u64 *)(r0 + 0)`),
		"math between map_value pointer and register with unbounded min value",
		value,
	),
	accept(
		"sign extension keeps the range of a small number",
		onValue(
			`r3 = *(s8 *)(r0 + 0)\nif r3 s< 0 goto out\nif r3 s> 40 goto out\nr0 += r3\nr1 = *(u64 *)(r0 + 0)`,
		),
		{ ...value, retval: 0 },
	),
	reject(
		"sign extension makes a negative number",
		onValue("r3 = *(s8 *)(r0 + 0)\nr0 += r3\nr1 = *(u8 *)(r0 + 0)"),
		"R0 min value is negative",
		value,
	),
	reject(
		"a subtraction leaves the unsigned range unknown",
		onValue(`${unknown}\nif r3 > 40 goto out\nr0 += 40\nr0 -= r3\nr1 = *(u64 *)(r0 + 0)`),
		"R0 unbounded memory access, make sure to bounds check any such access",
		value,
	),
	accept(
		"linked registers share what a comparison learns",
		onValue(`${unknown}\nr4 = r3\nif r4 > 40 goto out\nr0 += r3\nr1 = *(u64 *)(r0 + 0)`),
		{ ...value, retval: 0 },
	),
];

const kinds: readonly VerifierTest[] = [
	reject(
		"a look-up's result before it is compared with NULL",
		`${lookup}\nr0 += 8\nr0 = 0\nexit`,
		"R0 pointer arithmetic on map_value_or_null prohibited, null-check it first",
		valueUnpriv,
	),
	reject(
		"the address of a map",
		"r1 = map[0] ll\nr1 += 8\nr0 = 0\nexit",
		"R1 pointer arithmetic on map_ptr prohibited",
		valueUnpriv,
	),
	reject(
		"a number less a pointer",
		"r1 = 1\nr1 -= r10\nr0 = 0\nexit",
		"R1 tried to subtract pointer from scalar",
	),
	reject(
		"a subtraction from the frame pointer's copy",
		"r2 = r10\nr2 -= 8\nr0 = 0\nexit",
		"R2 subtraction from stack pointer prohibited",
	),
	reject(
		"a mask on a pointer",
		"r2 = r10\nr2 &= -8\nr0 = 0\nexit",
		"R2 bitwise operator &= on pointer prohibited",
	),
	unprivReject(
		"the negative of a pointer",
		"r2 = r10\nr2 = -r2\nr0 = 0\nexit",
		"R2 pointer arithmetic prohibited",
	),
	unprivReject(
		"a swapped pointer",
		"r2 = r10\nr2 = be64 r2\nr0 = 0\nexit",
		"R2 pointer arithmetic prohibited",
	),
	unprivReject("a sign-extended pointer", "r2 = (s8)r10\nr0 = 0\nexit", "R10 sign-extension part of pointer"),
	unprivReject("half of a pointer", "w2 = w10\nr0 = 0\nexit", "R10 partial copy of pointer"),
	reject(
		"a pointer in 32 bits",
		"r2 = r10\nw2 += 4\nr0 = 0\nexit",
		"R2 32-bit pointer arithmetic prohibited",
	),
	reject(
		"an address space that there is not",
		"r2 = addr_space_cast(r1, 2, 1)\nr0 = 0\nexit",
		"addr_space_cast insn can only convert between address space 1 and 0",
		priv,
	),
	reject(
		"an arena's address without an arena",
		"r1 = 0\nr2 = addr_space_cast(r1, 0, 1)\nr0 = 0\nexit",
		"addr_space_cast insn can only be used in a program that has an associated arena",
		priv,
	),
	reject(
		"reserved fields of a byte swap",
		`r0 = 0\n${raw(0xdc, 0, 0, 1, 16)}\nexit`,
		"BPF_END uses reserved fields",
	),
	reject(
		"a byte swap of a width there is not",
		`r0 = 0\n${raw(0xdc, 0, 0, 0, 24)}\nexit`,
		"BPF_END uses reserved fields",
	),
	reject("reserved fields of neg", `r0 = 0\n${raw(0x87, 0, 1, 0, 0)}\nexit`, "BPF_NEG uses reserved fields"),
	reject("reserved fields of mov", `r0 = 0\n${raw(0xbf, 0, 1, 5, 0)}\nexit`, "BPF_MOV uses reserved fields"),
	reject(
		"reserved fields of mov by immediate",
		`${raw(0xb7, 0, 1, 0, 0)}\nexit`,
		"BPF_MOV uses reserved fields",
	),
	reject(
		"reserved fields of add",
		`r0 = 0\nr1 = 0\n${raw(0x0f, 0, 1, 0, 5)}\nexit`,
		"BPF_ALU uses reserved fields",
	),
	reject(
		"reserved fields of add by immediate",
		`r0 = 0\n${raw(0x07, 0, 1, 0, 5)}\nexit`,
		"BPF_ALU uses reserved fields",
	),
];

/** What speculation may not see. */
const speculation: readonly VerifierTest[] = [
	unprivReject(
		"a register added to a context",
		"r2 = 0\nr1 += r2\nr0 = 0\nexit",
		"R1 has pointer with unsupported alu operation, pointer arithmetic with it prohibited for !root",
	),
	unprivReject(
		"a pointer that comes from two places",
		`r4 = *(u32 *)(r1 + 0)
			r2 = r10
			r2 += -16
			r3 = 1
			if r4 == 0 goto join
			r3 = 2
			join: r2 += r3
			r0 = 0
			exit`,
		"R2 tried to add from different maps, paths or scalars, pointer arithmetic with it prohibited for !root",
	),
	unprivReject(
		"a pointer at the end of the stack",
		"r2 = r10\nr2 += -512\nr3 = 1\nr2 += r3\nr0 = 0\nexit",
		"R2 tried to add beyond pointer bounds, pointer arithmetic with it prohibited for !root",
	),
	unprivReject(
		"the stack at a place that is not known",
		"r3 = *(u32 *)(r1 + 0)\nr3 &= 8\nr2 = r10\nr2 += -16\nr2 += r3\nr0 = 0\nexit",
		"R2 variable stack access prohibited for !root, var_off=",
	),
	unprivReject(
		"a pointer above the stack",
		"r2 = r10\nr2 += 8\nr0 = 0\nexit",
		"R2 stack pointer arithmetic goes out of range, prohibited for !root; off=8",
	),
	unprivReject(
		"bounds of mixed signs",
		onValue(`${unknown}\nif r3 s> 1 goto out\nif r3 s< -1 goto out\nr0 += r3`),
		"R3 has unknown scalar with mixed signed bounds, pointer arithmetic with it prohibited for !root",
		valueUnpriv,
	),
	unprivReject(
		"before a map's value",
		onValue("r0 += -1"),
		"R0 pointer arithmetic of map value goes out of range, prohibited for !root",
		valueUnpriv,
	),
	unprivReject(
		"a pointer compared with a number",
		"r0 = 0\nif r1 == 5 goto out\nout: exit",
		"R1 pointer comparison prohibited",
	),
	unprivReject(
		"pointers compared",
		"r0 = 0\nif r1 == r10 goto out\nout: exit",
		"R1 pointer comparison prohibited",
		{
			errstr_unpriv: "R10 pointer comparison prohibited",
		},
	),
	unprivReject(
		"the difference of pointers",
		"r2 = r10\nr2 -= r10\nr0 = 0\nexit",
		"R2 pointer -= pointer prohibited",
	),
	accept(
		"arithmetic that is masked",
		onValue(`${unknown}\nr3 &= 7\nr0 += r3\nr1 = *(u8 *)(r0 + 0)`),
		valueUnpriv,
	),
];

export const pointerVerifierTests: readonly VerifierTest[] = [...offsets, ...kinds, ...speculation];
