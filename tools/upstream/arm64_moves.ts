// SPDX-License-Identifier: GPL-2.0-only
/** Numbers in arm64 code: the rows of wide moves that make them. */

const ALL = 0xffff_ffff_ffff_ffffn;
const SF = 0x8000_0000;

export const MOVN = 0;
export const MOVZ = 2;
export const MOVK = 3;

/** A wide move: which, where to, what. */
export function wide_move(word: number): { op: number; rd: number; shift: bigint; imm: bigint } | null {
	if ((word & 0x1f80_0000) !== 0x1280_0000) return null;
	return {
		op: (word >>> 29) & 3,
		rd: word & 31,
		shift: BigInt(((word >>> 21) & 3) * 16),
		imm: BigInt((word >>> 5) & 0xffff),
	};
}

/** The value that the row of moves at a place makes, of 64 or of 32 bits; null where there is none. */
export function moved_value(code: Buffer, at: number): bigint | null {
	const word = (pos: number): number => (pos + 4 <= code.length ? code.readUInt32LE(pos) : 0);
	const first = wide_move(word(at));
	if (!first || first.op === MOVK) return null;
	const bits = word(at) & SF ? ALL : 0xffff_ffffn;
	let value = first.imm << first.shift;
	if (first.op === MOVN) value = ~value & bits;
	for (let pos = at + 4; ; pos += 4) {
		const next = wide_move(word(pos));
		if (!next || next.op !== MOVK || next.rd !== first.rd) return value;
		value = (value & ~(0xffffn << next.shift)) | (next.imm << next.shift);
	}
}

/** The first place at or after `from` where a row of moves begins. */
export function row_from(code: Buffer, from: number, end: number): number {
	for (let at = from; at + 4 <= Math.min(end, code.length); at += 4) {
		const move = wide_move(code.readUInt32LE(at));
		if (move && (move.op === MOVN || move.op === MOVZ)) return at;
	}
	return -1;
}
