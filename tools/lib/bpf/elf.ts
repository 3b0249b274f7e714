// SPDX-License-Identifier: GPL-2.0-only
/**
 * A reader of 64-bit little-endian ELF files, with what libbpf uses of libelf. Nothing here trusts
 * the file: every offset is checked, and a function that cannot answer returns null and leaves
 * libelf's message in `errmsg`.
 */

export const ET_REL = 1;
export const EM_BPF = 247;
export const ELFCLASS64 = 2;
export const ELFDATA2LSB = 1;

export const SHT_PROGBITS = 1;
export const SHT_SYMTAB = 2;
export const SHT_STRTAB = 3;
export const SHT_NOBITS = 8;
export const SHT_REL = 9;
export const SHT_LLVM_ADDRSIG = 0x6fff4c03;
export const SHF_EXECINSTR = 4;
export const SHN_UNDEF = 0;
export const SHN_LORESERVE = 0xff00;
const SHN_XINDEX = 0xffff;

export const STB_LOCAL = 0;
export const STB_GLOBAL = 1;
export const STB_WEAK = 2;
export const STT_NOTYPE = 0;
export const STT_OBJECT = 1;
export const STT_FUNC = 2;
export const STT_SECTION = 3;
export const STV_DEFAULT = 0;
export const STV_INTERNAL = 1;
export const STV_HIDDEN = 2;

export const ELF64_SYM_SZ = 24;
export const ELF64_REL_SZ = 16;
const EHDR_SZ = 64;
const SHDR_SZ = 64;

/** Elf64_Shdr, with its index. */
export interface Elf64_Shdr {
	readonly index: number;
	readonly sh_name: number;
	readonly sh_type: number;
	readonly sh_flags: number;
	readonly sh_offset: number;
	readonly sh_size: number;
	readonly sh_link: number;
	readonly sh_info: number;
	readonly sh_addralign: number;
	readonly sh_entsize: number;
}

/** Elf64_Sym */
export interface Elf64_Sym {
	readonly st_name: number;
	readonly st_info: number;
	readonly st_other: number;
	readonly st_shndx: number;
	readonly st_value: number;
	readonly st_size: number;
}

/** Elf64_Rel */
export interface Elf64_Rel {
	readonly r_offset: number;
	/** ELF64_R_SYM(r_info) */
	readonly r_sym: number;
	readonly r_type: number;
}

/** Elf_Data: the bytes of a section; a section without bytes in the file (.bss) has only a size. */
export interface Elf_Data {
	readonly d_buf: Uint8Array | null;
	readonly d_size: number;
}

export const ELF64_ST_BIND = (info: number): number => info >> 4;
export const ELF64_ST_TYPE = (info: number): number => info & 0xf;
export const ELF64_ST_VISIBILITY = (other: number): number => other & 3;

/** A 64-bit word as a number; what a double cannot hold is beyond every file anyway. */
function word(dv: DataView, off: number): number {
	return Number(dv.getBigUint64(off, true));
}

export class Elf {
	readonly bytes: Uint8Array;
	readonly dv: DataView;
	/** elf_errmsg(-1) */
	errmsg = "no error";
	readonly shnum: number;
	readonly shstrndx: number;
	private readonly headers: (Elf64_Shdr | undefined)[] = [];

	private constructor(bytes: Uint8Array, shnum: number, shstrndx: number) {
		this.bytes = bytes;
		this.dv = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
		this.shnum = shnum;
		this.shstrndx = shstrndx;
	}

	/**
	 * elf_memory(3): an Elf; null when the bytes are no ELF file at all; a message when they start as
	 * one and the header makes no sense.
	 */
	static memory(bytes: Uint8Array): Elf | null | string {
		if (bytes.length < 16) return null;
		if (bytes[0] !== 0x7f || bytes[1] !== 0x45 || bytes[2] !== 0x4c || bytes[3] !== 0x46) return null;
		if (bytes[4] !== ELFCLASS64) return new Elf(bytes, 0, 0);
		if (bytes.length < EHDR_SZ) return "invalid ELF file data";
		if (bytes[5] !== ELFDATA2LSB) return new Elf(bytes, 0, 0);
		const dv = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
		const shoff = word(dv, 40);
		let shnum = dv.getUint16(60, true);
		let shstrndx = dv.getUint16(62, true);
		if (shoff !== 0) {
			if (shoff + SHDR_SZ > bytes.length) return "invalid section header";
			if (shnum === 0) shnum = word(dv, shoff + 32);
			if (shstrndx === SHN_XINDEX) shstrndx = dv.getUint32(shoff + 40, true);
			if (shnum > (bytes.length - shoff) / SHDR_SZ) return "invalid section header";
		} else {
			shnum = 0;
		}
		return new Elf(bytes, shnum, shstrndx);
	}

	get ei_class(): number {
		return this.bytes[4]!;
	}
	get ei_data(): number {
		return this.bytes[5]!;
	}
	get e_type(): number {
		return this.dv.getUint16(16, true);
	}
	get e_machine(): number {
		return this.dv.getUint16(18, true);
	}

	/** elf_getscn and elf64_getshdr */
	shdr(index: number): Elf64_Shdr | null {
		if (!(index >= 0 && index < this.shnum)) {
			this.errmsg = "invalid section index";
			return null;
		}
		let h = this.headers[index];
		if (!h) {
			const dv = this.dv;
			const at = word(dv, 40) + index * SHDR_SZ;
			h = {
				index,
				sh_name: dv.getUint32(at, true),
				sh_type: dv.getUint32(at + 4, true),
				sh_flags: word(dv, at + 8),
				sh_offset: word(dv, at + 24),
				sh_size: word(dv, at + 32),
				sh_link: dv.getUint32(at + 40, true),
				sh_info: dv.getUint32(at + 44, true),
				sh_addralign: word(dv, at + 48),
				sh_entsize: word(dv, at + 56),
			};
			this.headers[index] = h;
		}
		return h;
	}

	/** elf_getdata */
	data(h: Elf64_Shdr): Elf_Data | null {
		if (h.sh_type === SHT_NOBITS) return { d_buf: null, d_size: h.sh_size };
		if (h.sh_offset > this.bytes.length || h.sh_size > this.bytes.length - h.sh_offset) {
			this.errmsg = "invalid data";
			return null;
		}
		if (
			(h.sh_type === SHT_SYMTAB && h.sh_size % ELF64_SYM_SZ) ||
			(h.sh_type === SHT_REL && h.sh_size % ELF64_REL_SZ)
		) {
			this.errmsg = "invalid data";
			return null;
		}
		return { d_buf: this.bytes.subarray(h.sh_offset, h.sh_offset + h.sh_size), d_size: h.sh_size };
	}

	/** elf_strptr: a string of a string table; it must end within the table. */
	strptr(section: number, offset: number): string | null {
		const h = this.shdr(section);
		if (!h) return null;
		if (h.sh_type !== SHT_STRTAB) {
			this.errmsg = "invalid section";
			return null;
		}
		const data = this.data(h);
		if (!data?.d_buf) return null;
		if (offset >= data.d_size) {
			this.errmsg = "offset out of range";
			return null;
		}
		const end = data.d_buf.indexOf(0, offset);
		if (end < 0) {
			this.errmsg = "invalid string table";
			return null;
		}
		return Buffer.from(data.d_buf.buffer, data.d_buf.byteOffset + offset, end - offset).toString("utf8");
	}
}

/** The symbol at an index of a symbol table, null beyond its end. */
export function elf_sym(data: Elf_Data, idx: number): Elf64_Sym | null {
	if (!data.d_buf || idx >= Math.floor(data.d_size / ELF64_SYM_SZ)) return null;
	const dv = new DataView(data.d_buf.buffer, data.d_buf.byteOffset + idx * ELF64_SYM_SZ, ELF64_SYM_SZ);
	return {
		st_name: dv.getUint32(0, true),
		st_info: dv.getUint8(4),
		st_other: dv.getUint8(5),
		st_shndx: dv.getUint16(6, true),
		st_value: word(dv, 8),
		st_size: word(dv, 16),
	};
}

/** The relocation at an index of a SHT_REL section, null beyond its end. */
export function elf_rel(data: Elf_Data, idx: number): Elf64_Rel | null {
	if (!data.d_buf || idx >= Math.floor(data.d_size / ELF64_REL_SZ)) return null;
	const dv = new DataView(data.d_buf.buffer, data.d_buf.byteOffset + idx * ELF64_REL_SZ, ELF64_REL_SZ);
	return { r_offset: word(dv, 0), r_type: dv.getUint32(8, true), r_sym: dv.getUint32(12, true) };
}
