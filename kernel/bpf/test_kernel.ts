// SPDX-License-Identifier: GPL-2.0-only
/**
 * A kernel for tests of the verifier: no CPU, no machine code; programs of raw instructions and maps
 * go through bpf(2), their BTF written by hand.
 */

import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from "../../include/uapi/asm-generic/mman.ts";
import * as U from "../../include/uapi/linux/bpf.ts";
import { bpf_attr } from "../../include/uapi/linux/bpf_attr.ts";
import { BPF_JMP } from "../../include/uapi/linux/bpf_common.ts";
import {
	BTF_INT_SIGNED,
	BTF_KIND_ARRAY,
	BTF_KIND_DECL_TAG,
	BTF_KIND_FUNC,
	BTF_KIND_FUNC_PROTO,
	BTF_KIND_INT,
	BTF_KIND_PTR,
	BTF_KIND_STRUCT,
	BTF_KIND_TYPE_TAG,
	BTF_MAGIC,
} from "../../include/uapi/linux/btf.ts";
import { boot } from "../boot.ts";
import type { KernelImpl } from "../kernel_impl.ts";
import { type bpf_insn, type bpf_prog, encode_insns } from "./bpf_types.ts";
import { btf_find_by_name_kind } from "./btf.ts";
import { BPF_RAW_INSN } from "./insn_macros.ts";
import { sys_bpf } from "./syscall.ts";

/** Writes a BTF blob, a type at a time. */
export class BtfWriter {
	private readonly words: number[] = [];
	private strings = "\0";
	private nr = 0;

	private str(s: string): number {
		if (s === "") return 0;
		const at = this.strings.indexOf(`\0${s}\0`);
		if (at >= 0) return at + 1;
		const off = this.strings.length;
		this.strings += `${s}\0`;
		return off;
	}
	private add(name: string, kind: number, vlen: number, size: number, ...rest: number[]): number {
		this.words.push(this.str(name), (kind << 24) | vlen, size, ...rest);
		return ++this.nr;
	}
	int(name: string, size: number, signed: boolean): number {
		return this.add(name, BTF_KIND_INT, 0, size, ((signed ? BTF_INT_SIGNED : 0) << 24) | (size * 8));
	}
	ptr(type: number): number {
		return this.add("", BTF_KIND_PTR, 0, type);
	}
	/** `type` under __attribute__((btf_type_tag(name))) */
	tag(name: string, type: number): number {
		return this.add(name, BTF_KIND_TYPE_TAG, 0, type);
	}
	array(type: number, index: number, n: number): number {
		return this.add("", BTF_KIND_ARRAY, 0, 0, type, index, n);
	}
	/** Members are name, type, bit offset. */
	struct(name: string, size: number, members: readonly [string, number, number][]): number {
		const rest = members.flatMap(([n, t, off]) => [this.str(n), t, off]);
		return this.add(name, BTF_KIND_STRUCT, members.length, size, ...rest);
	}
	/** __attribute__((btf_decl_tag(name))) on a type, or on its member. */
	decl_tag(name: string, type: number, member = -1): number {
		return this.add(name, BTF_KIND_DECL_TAG, 0, type, member);
	}
	/** A function of such a prototype; returns the id of the function. */
	func(name: string, ret: number, params: readonly [string, number][], linkage: number): number {
		const rest = params.flatMap(([n, t]) => [this.str(n), t]);
		const proto = this.add("", BTF_KIND_FUNC_PROTO, params.length, ret, ...rest);
		return this.add(name, BTF_KIND_FUNC, linkage, proto);
	}
	bytes(): Uint8Array {
		const str = Buffer.from(this.strings, "latin1");
		const types = this.words.length * 4;
		const out = Buffer.alloc(24 + types + str.length);
		out.writeUInt16LE(BTF_MAGIC, 0);
		out.writeUInt8(1, 2);
		out.writeUInt32LE(24, 4);
		out.writeUInt32LE(0, 8);
		out.writeUInt32LE(types, 12);
		out.writeUInt32LE(types, 16);
		out.writeUInt32LE(str.length, 20);
		for (const [i, w] of this.words.entries()) out.writeUInt32LE(w >>> 0, 24 + i * 4);
		str.copy(out, 24 + types);
		return new Uint8Array(out);
	}
}

const LD_IMM64 = 0x18;

/** What a program load needs; the rest is as bpf_prog_load() has it in its simplest form. */
export interface LoadOpts {
	type: number;
	insns: bpf_insn[];
	license?: string;
	expected_attach_type?: number;
	/** A function of the kernel to attach to. */
	attach_func?: string | undefined;
	flags?: number;
	/** Descriptor of the program's BTF, and the id of the function at each instruction. */
	btf_fd?: number | undefined;
	func_info?: readonly (readonly [number, number])[] | undefined;
	log_level?: number;
}

interface MapOpts {
	type: number;
	key: number;
	value: number;
	max: number;
	flags?: number;
	btf?: { fd: number; key: number; value: number };
}

/** Where subprograms begin: the targets of calls and of pointers to functions. */
export function subprog_starts(insns: readonly bpf_insn[]): number[] {
	const starts = new Set([0]);
	for (const [i, insn] of insns.entries()) {
		const is_call = insn.code === (BPF_JMP | U.BPF_CALL) && insn.src_reg === U.BPF_PSEUDO_CALL;
		const is_func = insn.code === LD_IMM64 && insn.src_reg === U.BPF_PSEUDO_FUNC;
		if (is_call || is_func) starts.add(i + insn.imm + 1);
	}
	return [...starts].sort((a, b) => a - b);
}

/** Places in the process's memory. */
const INSNS = 0x1000;
const SMALL = 0xf0000;
const BTF = 0x100000;
const FUNC_INFO = 0x140000;
const LOG = 0x180000;
const LOG_SIZE = 0x280000;
const SIZE = LOG + LOG_SIZE;

export class TestKernel {
	readonly kernel: KernelImpl;
	/** Base of the process's memory. */
	private readonly at: number;

	constructor() {
		this.kernel = boot({ cpus: 2, memory: 32 << 20, kconfig: "CONFIG_UNWINDER_ORC=y\n" });
		this.kernel.bpf.jit = {
			bpf_int_jit_compile(prog: bpf_prog): bpf_prog {
				prog.jited = true;
				prog.bpf_func = 0xffffffffa0000000n;
				prog.jited_len = 1;
				return prog;
			},
			live_image: (_, len) => new Uint8Array(len),
		};
		const at = this.kernel.task.mm.mmap(
			0,
			SIZE,
			PROT_READ | PROT_WRITE,
			MAP_ANONYMOUS | MAP_PRIVATE,
			null,
			0,
		);
		if (at < 0) throw new Error(`mmap: ${at}`);
		this.at = at;
	}

	private put(off: number, bytes: Uint8Array): bigint {
		if (!this.kernel.copy_to_user(this.at + off, bytes)) throw new Error("copy_to_user");
		return BigInt(this.at + off);
	}
	private bpf(cmd: number, attr: bpf_attr): number {
		this.put(0, attr.bytes);
		return sys_bpf(this.kernel, cmd, this.at, attr.bytes.length);
	}
	private named(name: string): Uint8Array {
		return Uint8Array.from({ length: 16 }, (_, i) => (i < 15 ? name.charCodeAt(i) || 0 : 0));
	}

	btf_load(b: BtfWriter): number {
		const bytes = b.bytes();
		const attr = new bpf_attr();
		attr.btf = this.put(BTF, bytes);
		attr.btf_size = bytes.length;
		attr.btf_log_buf = this.put(LOG, new Uint8Array(1));
		attr.btf_log_size = LOG_SIZE;
		attr.btf_log_level = 1;
		const fd = this.bpf(U.BPF_BTF_LOAD, attr);
		if (fd < 0) throw new Error(`BPF_BTF_LOAD: ${fd}\n${this.log()}`);
		return fd;
	}

	/** A map; returns its descriptor. */
	map(name: string, o: MapOpts): number {
		const attr = new bpf_attr();
		attr.map_type = o.type;
		attr.key_size = o.key;
		attr.value_size = o.value;
		attr.max_entries = o.max;
		attr.map_flags = o.flags ?? 0;
		attr.bytes.set(this.named(name), 28);
		if (o.btf) {
			attr.btf_fd = o.btf.fd;
			attr.btf_key_type_id = o.btf.key;
			attr.btf_value_type_id = o.btf.value;
		}
		const fd = this.bpf(U.BPF_MAP_CREATE, attr);
		if (fd < 0) throw new Error(`BPF_MAP_CREATE ${name}: ${fd}`);
		return fd;
	}

	/** A frozen read-only array of one value: what `.rodata` is. */
	rodata(text: string): number {
		const fd = this.map(".rodata", {
			type: U.BPF_MAP_TYPE_ARRAY,
			key: 4,
			value: text.length,
			max: 1,
			flags: U.BPF_F_RDONLY_PROG,
		});
		const attr = new bpf_attr();
		attr.map_fd = fd;
		attr.key = this.put(SMALL, new Uint8Array(4));
		attr.value = this.put(SMALL + 16, new Uint8Array(Buffer.from(text, "latin1")));
		let err = this.bpf(U.BPF_MAP_UPDATE_ELEM, attr);
		const freeze = new bpf_attr();
		freeze.map_fd = fd;
		err ||= this.bpf(U.BPF_MAP_FREEZE, freeze);
		if (err) throw new Error(`.rodata: ${err}`);
		return fd;
	}

	/** The call of a kfunc of the kernel. */
	kfunc(name: string): bpf_insn {
		return BPF_RAW_INSN(BPF_JMP | U.BPF_CALL, 0, U.BPF_PSEUDO_KFUNC_CALL, 0, this.id_of(name, BTF_KIND_FUNC));
	}

	/** The id of a type of the kernel. */
	id_of(name: string, kind: number = BTF_KIND_STRUCT): number {
		const vmlinux = this.kernel.bpf.bpf_get_btf_vmlinux();
		if (typeof vmlinux === "number") throw new Error(`vmlinux BTF: ${vmlinux}`);
		const id = btf_find_by_name_kind(vmlinux, name, kind);
		if (id <= 0) throw new Error(`the kernel's BTF has no ${name}`);
		return id;
	}

	private log(): string {
		const bytes = this.kernel.copy_from_user(this.at + LOG, LOG_SIZE);
		const text = Buffer.from(bytes ?? []).toString("latin1");
		return text.slice(0, text.indexOf("\0"));
	}

	/** BPF_PROG_LOAD: 0 or the errno, and the verifier's log. */
	load(o: LoadOpts): { err: number; log: string } {
		const attr = new bpf_attr();
		attr.prog_type = o.type;
		attr.insns = this.put(INSNS, encode_insns(o.insns));
		attr.insn_cnt = o.insns.length;
		attr.license = this.put(SMALL, new Uint8Array(Buffer.from(`${o.license ?? "GPL"}\0`)));
		attr.log_buf = this.put(LOG, new Uint8Array(1));
		attr.log_size = LOG_SIZE;
		attr.log_level = o.log_level ?? 2;
		attr.prog_flags = o.flags ?? 0;
		attr.expected_attach_type = o.expected_attach_type ?? 0;
		if (o.attach_func) attr.attach_btf_id = this.id_of(o.attach_func, BTF_KIND_FUNC);
		let { btf_fd, func_info } = o;
		if (btf_fd === undefined && o.insns.some((x) => x.code === LD_IMM64 && x.src_reg === U.BPF_PSEUDO_FUNC)) {
			/* Pointers to functions need the functions' BTF: static ones of no particular type will do. */
			const b = new BtfWriter();
			const long = b.int("long", 8, true);
			func_info = subprog_starts(o.insns).map((off, i) => [off, b.func(`f${i}`, long, [["a", long]], 0)]);
			btf_fd = this.btf_load(b);
		}
		if (btf_fd !== undefined) {
			attr.prog_btf_fd = btf_fd;
			const info = new Uint8Array(Uint32Array.from((func_info ?? []).flat()).buffer);
			attr.func_info = this.put(FUNC_INFO, info);
			attr.func_info_cnt = func_info?.length ?? 0;
			attr.func_info_rec_size = 8;
		}
		const fd = this.bpf(U.BPF_PROG_LOAD, attr);
		return { err: Math.min(fd, 0), log: this.log() };
	}
}
