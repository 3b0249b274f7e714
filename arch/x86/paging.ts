// SPDX-License-Identifier: GPL-2.0-only
/**
 * x86-64 page-table entries (Intel SDM volume 3, 4.5; arch/x86/include/asm/pgtable_types.h):
 *
 *     63 NX | 51:12 frame | 8 global | 7 large page | 6 dirty | 5 accessed | 2 user | 1 write | 0 present
 *
 * Accessed and dirty are set from the start, so that the CPU has nothing to write.
 */
import { type Prot, WALK_EXEC, WALK_USER, WALK_WRITE } from "../arch.ts";
import type { PteFormat } from "../paging.ts";

const PRESENT = 1;
const RW = 2;
const USER = 4;
const ACCESSED = 0x20;
const DIRTY = 0x40;
const LARGE = 0x80;
/** NX, in the upper half of an entry */
const NX_HI = 0x80000000;

export const X86_PTE: PteFormat = {
	table: PRESENT | RW | USER | ACCESSED | DIRTY,
	leaf_lo: (prot: Prot, large: boolean) =>
		PRESENT | ACCESSED | DIRTY | (prot.write ? RW : 0) | (prot.user ? USER : 0) | (large ? LARGE : 0),
	leaf_hi: (prot: Prot) => (prot.exec ? 0 : NX_HI),
	is_large: (lo: number) => (lo & LARGE) !== 0,
	rights: (lo: number, hi: number) =>
		(lo & RW ? WALK_WRITE : 0) | (lo & USER ? WALK_USER : 0) | (hi & NX_HI ? 0 : WALK_EXEC),
	shared_root: true,
};
