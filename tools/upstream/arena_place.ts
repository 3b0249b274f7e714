// SPDX-License-Identifier: GPL-2.0-only
/**
 * Where user space maps an arena is the address space's choice, and programs that name variables of the
 * arena have it in their code. To be held against a record they are loaded with the arena mapped where it was
 * in the record's process: read off the difference of the two codes.
 */
import type { Sys } from "../../include/sys.ts";
import { MAP_SHARED } from "../../include/uapi/asm-generic/mman.ts";
import { BPF_MAP_TYPE_ARENA } from "../../include/uapi/linux/bpf.ts";

const LDIMM64 = 0x18;
const INSN = 8;
const PAGE = 4096n;
const TASK_SIZE = 2n ** 48n;

/** The value of the two-part load of a plain number at an instruction; null where there is none. */
function imm64(insns: Uint8Array, at: number): bigint | null {
	if (insns[at] !== LDIMM64 || insns[at + 1]! >> 4 !== 0 || at + 2 * INSN > insns.length) return null;
	const dv = new DataView(insns.buffer, insns.byteOffset, insns.byteLength);
	return BigInt(dv.getUint32(at + 4, true)) | (BigInt(dv.getUint32(at + INSN + 4, true)) << 32n);
}

/** By how much all user addresses of `theirs` lie above those of `ours`; 0 where that is not one number. */
function shift(ours: Uint8Array, theirs: Uint8Array): number {
	if (ours.length !== theirs.length) return 0;
	let by: bigint | null = null;
	for (let at = 0; at < ours.length; at += INSN) {
		const a = imm64(ours, at);
		const b = imm64(theirs, at);
		if (a === null || b === null) continue;
		at += INSN;
		const user = a >= PAGE && a < TASK_SIZE && b >= PAGE && b < TASK_SIZE;
		if (a === b || !user) continue;
		if (by !== null && by !== b - a) return 0;
		by = b - a;
	}
	return by !== null && by % PAGE === 0n ? Number(by) : 0;
}

/** By what /proc says of a descriptor. */
function is_arena(sys: Sys, fd: number): boolean {
	const info = sys.readFile(`/proc/self/fdinfo/${fd}`);
	return (
		typeof info !== "number" &&
		new RegExp(`^map_type:\\t${BPF_MAP_TYPE_ARENA}$`, "m").test(Buffer.from(info).toString())
	);
}

/** Watches a process map arenas, and maps them elsewhere when told. */
export class ArenaPlace {
	/** Where the next one goes; 0 leaves it to the address space. */
	want = 0;
	private last = 0;

	constructor(sys: Sys) {
		const mmap = sys.mmap.bind(sys);
		sys.mmap = (addr, len, prot, flags, fd, off) => {
			const mine = addr === 0 && flags === MAP_SHARED && is_arena(sys, fd);
			const at = mmap(mine ? this.want : addr, len, prot, flags, fd, off);
			if (mine) this.last = at;
			return at;
		};
	}

	/** Where the record's process had its arena, by what the same program became there; 0 when as here. */
	of_record(ours: Uint8Array | undefined, xlated: string | undefined): number {
		if (!ours || !xlated) return 0;
		const by = shift(ours, Buffer.from(xlated, "hex"));
		return by === 0 ? 0 : this.last + by;
	}
}
