// SPDX-License-Identifier: GPL-2.0-only
/**
 * Writes 64-bit little-endian relocatable BPF objects, laid out as libelf's elf_update() lays them out: header,
 * sections in their order, table of sections.
 */
import { EM_BPF, ET_REL, SHT_NOBITS } from "./elf.ts";

const EHDR_SZ = 64;
const SHDR_SZ = 64;
const SHDR_ALIGN = 8;

/** A section: its header, as far as the caller says it, and its bytes. */
export interface ElfSection {
	sh_name: number;
	sh_type: number;
	sh_flags: number;
	sh_link: number;
	sh_info: number;
	sh_addralign: number;
	sh_entsize: number;
	/** Bytes it has, or would have (SHT_NOBITS). */
	sh_size: number;
	data: Uint8Array | null;
}

function align_up(v: number, to: number): number {
	return Math.ceil(v / to) * to;
}

/** The file; sections[0] is section 1. */
export function write_elf(sections: readonly ElfSection[], shstrndx: number): Uint8Array {
	let size = EHDR_SZ;
	const offs = sections.map((s) => {
		size = align_up(size, s.sh_addralign || 1);
		const off = size;
		if (s.sh_type !== SHT_NOBITS) size += s.sh_size;
		return off;
	});
	const shoff = align_up(size, SHDR_ALIGN);
	const out = new Uint8Array(shoff + SHDR_SZ * (sections.length + 1));
	const dv = new DataView(out.buffer);
	const u64 = (at: number, v: number): void => dv.setBigUint64(at, BigInt(v), true);
	// e_ident: magic, ELFCLASS64, ELFDATA2LSB, EV_CURRENT
	out.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
	dv.setUint16(16, ET_REL, true);
	dv.setUint16(18, EM_BPF, true);
	dv.setUint32(20, 1, true);
	u64(40, shoff);
	dv.setUint16(52, EHDR_SZ, true);
	dv.setUint16(58, SHDR_SZ, true);
	dv.setUint16(60, sections.length + 1, true);
	dv.setUint16(62, shstrndx, true);
	for (const [i, s] of sections.entries()) {
		if (s.data && s.sh_type !== SHT_NOBITS) out.set(s.data, offs[i]!);
		const at = shoff + SHDR_SZ * (i + 1);
		dv.setUint32(at, s.sh_name, true);
		dv.setUint32(at + 4, s.sh_type, true);
		u64(at + 8, s.sh_flags);
		u64(at + 24, offs[i]!);
		u64(at + 32, s.sh_size);
		dv.setUint32(at + 40, s.sh_link, true);
		dv.setUint32(at + 44, s.sh_info, true);
		u64(at + 48, s.sh_addralign);
		u64(at + 56, s.sh_entsize);
	}
	return out;
}
