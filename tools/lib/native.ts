// SPDX-License-Identifier: GPL-2.0-only
/** Machine code for a process: the text of an ELF object, put into its memory, its functions to be called by name. */
import type { Sys } from "../../include/sys.ts";
import { UserFault } from "../../include/sys.ts";
import { PROT_EXEC, PROT_READ, PROT_WRITE } from "../../include/uapi/asm-generic/mman.ts";

const PAGE_SIZE = 4096;
const MAP_PRIVATE_ANONYMOUS = 0x22;
const SHT_SYMTAB = 2;
const SHT_RELA = 4;
const SHF_EXECINSTR = 4;
const STT_FUNC = 2;
/** e_machine */
const MACHINE: Readonly<Record<Sys["arch"], number>> = { x86_64: 62, arm64: 183 };

interface Section {
	readonly type: number;
	readonly flags: number;
	readonly off: number;
	readonly size: number;
	readonly link: number;
	readonly info: number;
}

/** Functions of an object in a process. */
export class Native {
	private readonly sys: Sys;
	private readonly funcs: ReadonlyMap<string, number>;
	private readonly base: number;
	private readonly size: number;

	private constructor(sys: Sys, base: number, size: number, funcs: ReadonlyMap<string, number>) {
		this.sys = sys;
		this.base = base;
		this.size = size;
		this.funcs = funcs;
	}

	/** Whether a process can run machine code by this. */
	static possible(sys: Sys): boolean {
		return sys.callNative !== undefined;
	}

	/** Load an object without data and relocations; throws an Error that says what is wrong with it. */
	static load(sys: Sys, object: Uint8Array): Native {
		try {
			return Native.read(sys, object);
		} catch (e) {
			if (e instanceof RangeError || e instanceof TypeError) throw new Error("a damaged ELF object");
			throw e;
		}
	}

	private static read(sys: Sys, object: Uint8Array): Native {
		const dv = new DataView(object.buffer, object.byteOffset, object.byteLength);
		const u64 = (at: number): number => Number(dv.getBigUint64(at, true));
		if (object.length < 64 || dv.getUint32(0, false) !== 0x7f454c46) throw new Error("no ELF object");
		if (dv.getUint16(18, true) !== MACHINE[sys.arch])
			throw new Error(`an object for another machine than ${sys.arch}`);
		const shoff = u64(40);
		const sections: Section[] = [];
		for (let i = 0; i < dv.getUint16(60, true); i++) {
			const at = shoff + 64 * i;
			sections.push({
				type: dv.getUint32(at + 4, true),
				flags: u64(at + 8),
				off: u64(at + 24),
				size: u64(at + 32),
				link: dv.getUint32(at + 40, true),
				info: dv.getUint32(at + 44, true),
			});
		}
		const text = sections.findIndex((s) => s.flags & SHF_EXECINSTR && s.size > 0);
		if (text < 0) throw new Error("no code in the object");
		if (sections.some((s) => s.type === SHT_RELA && s.info === text && s.size > 0))
			throw new Error("code with relocations: it needs data or functions of elsewhere");
		const { off, size } = sections[text]!;
		if (off + size > object.length) throw new Error("a damaged ELF object");
		const len = Math.ceil(size / PAGE_SIZE) * PAGE_SIZE;
		const base = sys.mmap(0, len, PROT_READ | PROT_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
		if (base < 0) throw new Error(`no memory for code: ${base}`);
		sys.store(base, object.subarray(off, off + size));
		sys.mprotect(base, len, PROT_READ | PROT_EXEC);
		const funcs = new Map<string, number>();
		const symtab = sections.find((s) => s.type === SHT_SYMTAB)!;
		const names = sections[symtab.link]!.off;
		for (let at = symtab.off; at < symtab.off + symtab.size; at += 24) {
			if ((object[at + 4]! & 15) !== STT_FUNC || dv.getUint16(at + 6, true) !== text) continue;
			const from = names + dv.getUint32(at, true);
			const name = Buffer.from(object.subarray(from, object.indexOf(0, from))).toString("latin1");
			funcs.set(name, base + u64(at + 8));
		}
		return new Native(sys, base, len, funcs);
	}

	/** Call a function by name. */
	call(name: string, ...args: (number | bigint)[]): bigint {
		const addr = this.funcs.get(name);
		if (addr === undefined) throw new Error(`no function ${name} in the object`);
		return this.sys.callNative!(addr, ...args);
	}

	/** The signal that a call ends with; null when it returns. */
	signal(name: string, ...args: (number | bigint)[]): string | null {
		try {
			this.call(name, ...args);
			return null;
		} catch (e) {
			if (e instanceof UserFault) return e.signal;
			throw e;
		}
	}

	unload(): void {
		this.sys.munmap(this.base, this.size);
	}
}
