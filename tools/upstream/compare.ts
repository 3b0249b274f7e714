// SPDX-License-Identifier: GPL-2.0-only
/** Comparisons with a real kernel's records: instructions and logs, with what may differ named or masked. */

/** A map of a record: its name and the descriptor that instructions have. */
export interface RecordMap {
	name: string;
	fd: number;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/**
 * Instructions given to BPF_PROG_LOAD against a record's. Descriptors of maps are compared by the maps'
 * names, those of BTF objects not at all. Null when equal, else the first difference.
 */
export function compare_insns(
	ours: Uint8Array,
	theirs: Uint8Array,
	our_map: (insn_idx: number, fd: number) => string | undefined,
	their_maps: readonly RecordMap[],
): string | null {
	const n = Math.min(ours.length, theirs.length) / 8;
	const dv = new DataView(ours.buffer, ours.byteOffset, ours.byteLength);
	const tv = new DataView(theirs.buffer, theirs.byteOffset, theirs.byteLength);
	for (let i = 0; i < n; i++) {
		const a = ours.subarray(i * 8, i * 8 + 8);
		const b = theirs.subarray(i * 8, i * 8 + 8);
		if (hex(a) === hex(b)) continue;
		const src = a[1]! >> 4;
		if (a[0] === 0x18 && hex(a.subarray(0, 4)) === hex(b.subarray(0, 4)) && (src === 1 || src === 2)) {
			const mine = our_map(i, dv.getInt32(i * 8 + 4, true))?.slice(0, 15);
			const fd = tv.getInt32(i * 8 + 4, true);
			const real = their_maps.find((m) => m.fd === fd)?.name;
			// A record lists its maps after they were given back to the kernel by short names.
			if (their_maps.length === 0 || (mine !== undefined && real?.slice(0, 15) === mine)) continue;
			return `insn ${i}: map ${mine}, real ${real}`;
		}
		// second half of a BTF id load: the descriptor of the module's BTF
		if (i > 0 && ours[i * 8 - 8] === 0x18 && ours[i * 8 - 7]! >> 4 === 3) continue;
		return `insn ${i}: ${hex(a)}, real ${hex(b)}`;
	}
	if (ours.length !== theirs.length) return `${ours.length / 8} insns, real ${theirs.length / 8}`;
	return null;
}

/** Numbers that no two kernels share, and the kernel's own addresses. */
export function mask_log(log: string): string {
	return log
		.replace(/0xff[0-9a-f]{14}\b/g, "0xffPOINTER........")
		.replace(/verification time \d+ usec/g, "verification time N usec");
}

/**
 * A log in which the kernel's own addresses are numbered in the order of their appearance: logs of two kernels
 * are equal then only if one address of the one is one address of the other throughout.
 */
export function canonical_log(log: string): string {
	const numbers = new Map<string, number>();
	return log
		.replace(/0xff[0-9a-f]{14}\b/g, (addr) => {
			const n = numbers.get(addr) ?? numbers.size + 1;
			numbers.set(addr, n);
			return `0xff…#${n}`;
		})
		.replace(/verification time \d+ usec/g, "verification time N usec");
}

/** Where two texts part. */
export interface TextDiff {
	/** Line number from 1. */
	line: number;
	before: string[];
	ours: string[];
	theirs: string[];
}

/** The first line in which two texts differ; null when they are equal. */
export function first_line_diff(ours: string, theirs: string, context = 3, after = 3): TextDiff | null {
	if (ours === theirs) return null;
	const a = ours.split("\n");
	const b = theirs.split("\n");
	let i = 0;
	while (i < a.length && i < b.length && a[i] === b[i]) i++;
	return {
		line: i + 1,
		before: a.slice(Math.max(0, i - context), i),
		ours: a.slice(i, i + after),
		theirs: b.slice(i, i + after),
	};
}

interface Insn {
	code: number;
	regs: number;
	off: number;
	imm: number;
}

function decode(bytes: Uint8Array): Insn[] {
	const dv = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	return Array.from({ length: Math.floor(bytes.length / 8) }, (_, i) => ({
		code: bytes[i * 8]!,
		regs: bytes[i * 8 + 1]!,
		off: dv.getInt16(i * 8 + 2, true),
		imm: dv.getInt32(i * 8 + 4, true),
	}));
}

const show = (i: Insn | undefined): string =>
	i
		? `code=${i.code.toString(16).padStart(2, "0")} dst=r${i.regs & 15} src=r${i.regs >> 4} off=${i.off} imm=${i.imm} (0x${(i.imm >>> 0).toString(16)})`
		: "nothing";

/** Names of things that have numbers of their own in each kernel: the same one must have the same other. */
class Pairs {
	private readonly there = new Map<string, string>();
	private readonly back = new Map<string, string>();
	same(a: string, b: string): boolean {
		const x = this.there.get(a);
		const y = this.back.get(b);
		if (x === undefined && y === undefined) {
			this.there.set(a, b);
			this.back.set(b, a);
			return true;
		}
		return x === b && y === a;
	}
}

const is_kernel_address = (hi: number): boolean => hi >>> 24 === 0xff;

/**
 * Rewritten instructions against a record's: map ids and kernel addresses stand for what they name, and
 * must do so in the same way throughout, and so must calls to what has only a stand-in's address here.
 * Null when equal, else the first difference.
 */
export function compare_xlated(
	ours: Uint8Array,
	theirs: Uint8Array,
	stand_in: (imm: number) => boolean,
): string | null {
	const a = decode(ours);
	const b = decode(theirs);
	const pairs = new Pairs();
	for (let i = 0; i < Math.max(a.length, b.length); i++) {
		const x = a[i];
		const y = b[i];
		const different = `insn ${i}: ${show(x)}, real ${show(y)}`;
		if (!x || !y || x.code !== y.code || x.regs !== y.regs || x.off !== y.off) return different;
		if (x.code === 0x18) {
			const x2 = a[i + 1];
			const y2 = b[i + 1];
			if (!x2 || !y2) return different;
			const src = x.regs >> 4;
			if (src === 1 || src === 2) {
				if (!pairs.same(`map ${x.imm}`, `map ${y.imm}`) || x2.imm !== y2.imm) return different;
				i++;
				continue;
			}
			if (is_kernel_address(x2.imm) && is_kernel_address(y2.imm)) {
				if (!pairs.same(`${x2.imm} ${x.imm}`, `${y2.imm} ${y.imm}`)) return different;
				i++;
				continue;
			}
		}
		if (x.imm === y.imm) continue;
		if (x.code !== 0x85 || !stand_in(x.imm) || !pairs.same(`call ${x.imm}`, `call ${y.imm}`))
			return different;
	}
	return null;
}

type Operand = { start: number; kind: "imm64" | "imm32" | "rel32" };

/** The operand that holds a byte of x86 code, of a call or of a load of an address; null when it is none. */
function operand_at(code: Uint8Array, at: number): Operand | null {
	for (let start = at; start > at - 8 && start >= 2; start--) {
		const op = code[start - 1]!;
		const wide = (code[start - 2]! & 0xfe) === 0x48 && op >= 0xb8 && op <= 0xbf;
		if (wide && start + 8 <= code.length) return { start, kind: "imm64" };
	}
	for (let start = at; start > at - 4 && start >= 1; start--) {
		if (start + 4 > code.length) continue;
		const extended = start >= 3 && (code[start - 3]! & 0xfe) === 0x48 && code[start - 2] === 0xc7;
		if (extended && code[start - 1]! >> 3 === 0x18) return { start, kind: "imm32" };
		if ((code[start - 1]! & 0xfe) === 0xe8) return { start, kind: "rel32" };
	}
	return null;
}

/**
 * x86 images of which it is not known where they were: what calls and loads of addresses have may differ, but
 * the same thing must be the same other thing throughout a function. `lens`: of the functions, in order.
 */
export function compare_moved(ours: Uint8Array, theirs: Uint8Array, lens: readonly number[]): string | null {
	if (ours.length !== theirs.length) return `jited ${ours.length} bytes, real ${theirs.length}`;
	const dv = new DataView(ours.buffer, ours.byteOffset, ours.byteLength);
	const tv = new DataView(theirs.buffer, theirs.byteOffset, theirs.byteLength);
	let pairs = new Pairs();
	let func = 0;
	let end = lens[0] ?? ours.length;
	for (let at = 0; at < ours.length; at++) {
		while (at >= end && func < lens.length) {
			end += lens[++func] ?? ours.length;
			pairs = new Pairs();
		}
		if (ours[at] === theirs[at]) continue;
		const operand = operand_at(ours, at);
		const value = (of: DataView): string => {
			const { start, kind } = operand!;
			if (kind === "imm64") return of.getBigUint64(start, true).toString(16);
			return kind === "imm32" ? `${of.getInt32(start, true)}` : `to ${of.getInt32(start, true) + start}`;
		};
		if (!operand || !pairs.same(value(dv), value(tv))) {
			const from = Math.max(0, at - 8);
			return `jited byte ${at}: ${hex(ours.subarray(from, at))}[${hex(ours.subarray(at, at + 16))}], real [${hex(theirs.subarray(at, at + 16))}]`;
		}
		at = operand.start + (operand.kind === "imm64" ? 7 : 3);
	}
	return null;
}
