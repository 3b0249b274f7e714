// SPDX-License-Identifier: GPL-2.0-only
/**
 * arm64 stage 1 descriptors, 4 KiB granule (Arm ARM D8.3; arch/arm64/include/asm/pgtable-hwdef.h):
 *
 *     54 UXN | 53 PXN | 47:12 frame | 11 nG | 10 AF | 9:8 SH | 7 AP[2] read-only | 6 AP[1] user | 4:2 attributes | 1 table or page | 0 valid
 */
import { type Prot, WALK_EXEC, WALK_USER, WALK_WRITE } from "../arch.ts";
import type { PteFormat } from "../paging.ts";

const VALID = 1;
const TABLE_OR_PAGE = 2;
const USER = 0x40;
const RDONLY = 0x80;
const SHARED = 0x300;
const AF = 0x400;
const NG = 0x800;
/** in the upper half */
const PXN_HI = 1 << 21;
const UXN_HI = 1 << 22;

export const ARM64_PTE: PteFormat = {
	table: VALID | TABLE_OR_PAGE,
	leaf_lo: (prot: Prot, large: boolean) =>
		VALID |
		(large ? 0 : TABLE_OR_PAGE) |
		SHARED |
		AF |
		(prot.user ? USER | NG : 0) |
		(prot.write ? 0 : RDONLY),
	// what the kernel may run the user may not, and the other way round
	leaf_hi: (prot: Prot) => (prot.exec ? (prot.user ? PXN_HI : UXN_HI) : PXN_HI | UXN_HI),
	is_large: (lo: number) => (lo & TABLE_OR_PAGE) === 0,
	rights: (lo: number, hi: number) =>
		(lo & RDONLY ? 0 : WALK_WRITE) |
		(lo & USER ? WALK_USER : 0) |
		((hi & (lo & USER ? UXN_HI : PXN_HI)) !== 0 ? 0 : WALK_EXEC),
	shared_root: false,
};
