// SPDX-License-Identifier: GPL-2.0-only
/**
 * JITing with another kernel's addresses: images go where the record's went, helpers are at its symbols, and
 * what the code loads by address (maps, per-CPU data) is loaded from where that kernel had it, as read off
 * the record's image. The result must then be its image byte for byte.
 */
import { Arm64Jit } from "../arch/arm64/net/bpf_jit_comp.ts";
import type {
	ImageAlloc,
	Jit,
	JitImage,
	JitInsn,
	JitProgram,
	TrampImage,
	TrampRequest,
} from "../arch/jit.ts";
import { X86Jit } from "../arch/x86/net/bpf_jit_comp.ts";
import { ENOTSUPP } from "../include/uapi/asm-generic/errno.ts";
import type { JitMemory } from "../kernel/bpf/arch_jit.ts";
import type { bpf_prog } from "../kernel/bpf/bpf_types.ts";
import { koffsetof } from "../kernel/bpf/layout.ts";
import type { KernelImpl } from "../kernel/kernel_impl.ts";
import type { RecordLoad } from "../tools/upstream/records.ts";
import { Arm64RecordCompiler, function_lengths } from "./record_jit_arm64.ts";
import { RecordProgramJit } from "./record_trampoline.ts";

const LDIMM64 = 0x18;
const CALL = 0x85;
const MOV64 = 0xbf;
const ADDR_SPACE_CAST = 1;
/** imm of a cast from address space 0 to 1 */
const CAST_USER = 1 << 16;
const PSEUDO_CALL = 1;
const PSEUDO_FUNC = 4;
const PSEUDO_MAP_FD = 1;
const KERNEL = 0xff00_0000_0000_0000n;

export interface RecordImage {
	addr: bigint;
	code: Buffer;
}

function record_images(load: RecordLoad): RecordImage[] {
	const jited = Buffer.from(load.jited ?? "", "hex");
	let at = 0;
	return (load.jited_ksyms ?? []).map((addr, i) => {
		const len = load.jited_func_lens?.[i] ?? 0;
		const code = jited.subarray(at, at + len);
		at += len;
		return { addr: BigInt(`0x${addr}`), code };
	});
}

/**
 * Where the function that the verifier adds for exceptions went: the kernel lets it write its address into
 * the first line of the program's own table, which it does not belong to.
 */
function hidden_address(load: RecordLoad): bigint | undefined {
	const images = record_images(load);
	for (const [, text] of load.jited_lines ?? []) {
		const addr = BigInt(`0x${text}`);
		if (!images.some((x) => addr >= x.addr && addr < x.addr + BigInt(x.code.length))) return addr;
	}
	return undefined;
}

/** Addresses that only stand in for ones that kallsyms does not have (functions and data of modules). */
export interface StandIns {
	readonly from: bigint;
	readonly to: bigint;
}

export const STAND_INS: Readonly<Record<"x86_64" | "arm64", StandIns>> = {
	x86_64: { from: 0xffffffffc0800000n, to: 0xffffffffc1000000n },
	// as far from programs as modules are: too far for a plain branch
	arm64: { from: 0xffff800079800000n, to: 0xffff80007a000000n },
};

/** mov r12, imm64 */
const MOV_R12 = Buffer.from([0x49, 0xbc]);

/** Where the record's kernel had the arena: from the load of r12, and what casts to user space put on top. */
function arena_of(
	prog: JitProgram,
	image: JitImage,
	code: Buffer,
): Pick<JitProgram, "arena_vm_start" | "user_vm_start"> | null {
	if (!prog.arena_vm_start || image.code.length !== code.length) return null;
	let { arena_vm_start, user_vm_start } = prog;
	const load = Buffer.alloc(10);
	MOV_R12.copy(load);
	load.writeBigUInt64LE(arena_vm_start, 2);
	const at = Buffer.from(image.code).indexOf(load);
	if (at >= 0 && code.subarray(at, at + 2).equals(MOV_R12)) arena_vm_start = code.readBigUInt64LE(at + 2);
	for (const [i, insn] of prog.insns.entries()) {
		if (insn.code !== MOV64 || insn.off !== ADDR_SPACE_CAST || insn.imm !== CAST_USER) continue;
		const ours = Buffer.alloc(4);
		ours.writeUInt32LE(Number(user_vm_start >> 32n));
		const where = Buffer.from(image.code).indexOf(ours, image.addrs[i]!);
		if (where < 0 || where + 4 > image.addrs[i + 1]!) continue;
		user_vm_start = BigInt(code.readUInt32LE(where)) << 32n;
		break;
	}
	return { arena_vm_start, user_vm_start };
}

/** A compiler that reads the other kernel's addresses off its image and compiles again with them. */
class RecordCompiler implements Jit {
	private readonly jit: Jit;
	images: RecordImage[] = [];
	/** Our addresses and theirs. */
	readonly learned = new Map<bigint, bigint>();
	private readonly call_base: bigint;
	constructor(jit: Jit, call_base: bigint) {
		this.jit = jit;
		this.call_base = call_base;
	}

	compile(prog: JitProgram, alloc: ImageAlloc, prev?: JitImage): JitImage | null {
		const first = this.jit.compile(prog, alloc, prev);
		if (!first) return null;
		const record = this.images.find((x) => x.addr === first.addr);
		if (!record) return first;
		const insns = this.substitute(prog.insns, first, record.code);
		const arena = arena_of(prog, first, record.code);
		return insns || arena
			? this.jit.compile({ ...prog, ...arena, insns: insns ?? prog.insns }, () => first.addr, first)
			: first;
	}

	/** The instructions with the record's addresses in them; null when there are none. */
	private substitute(insns: readonly JitInsn[], image: JitImage, code: Buffer): JitInsn[] | null {
		if (image.code.length !== code.length) return null;
		const out = [...insns];
		let changed = false;
		for (let i = 0; i < insns.length; i++) {
			const lo = insns[i]!;
			if (lo.code === CALL && lo.src_reg !== PSEUDO_CALL) {
				const ours = this.call_base + BigInt(lo.imm);
				const { from, to } = STAND_INS.x86_64;
				if (ours < from || ours >= to) continue;
				const end = image.addrs[i + 1]!;
				const theirs = image.addr + BigInt(end) + BigInt(code.readInt32LE(Math.max(0, end - 4)));
				if (!this.learned.has(ours)) this.learned.set(ours, theirs);
				out[i] = { ...lo, imm: Number(this.learned.get(ours)! - this.call_base) };
				changed = true;
				continue;
			}
			if (lo.code !== LDIMM64) continue;
			const hi = insns[i + 1]!;
			const ours = (BigInt(hi.imm >>> 0) << 32n) | BigInt(lo.imm >>> 0);
			if (lo.src_reg !== PSEUDO_FUNC && ours >= KERNEL) {
				const end = image.addrs[i + 2]!;
				if (end >= 10 && end <= code.length) {
					// a load of 32 bits with their sign, or of all 64
					const short = (code[end - 7]! & 0xfe) === 0x48 && code[end - 6] === 0xc7;
					const theirs = short
						? BigInt.asUintN(64, BigInt(code.readInt32LE(end - 4)))
						: code.readBigUInt64LE(end - 8);
					if (theirs >= KERNEL && !this.learned.has(ours)) this.learned.set(ours, theirs);
				}
				const to = this.learned.get(ours);
				if (to !== undefined) {
					out[i] = { ...lo, imm: Number(BigInt.asIntN(32, to)) };
					out[i + 1] = { ...hi, imm: Number(BigInt.asIntN(32, to >> 32n)) };
					changed = true;
				}
			}
			i++;
		}
		return changed ? out : null;
	}

	forget(): void {
		this.learned.clear();
	}

	trampoline(request: TrampRequest): TrampImage | number {
		return this.jit.trampoline?.(request) ?? -ENOTSUPP;
	}

	/** Jumps to other programs, which have addresses of their own there: read off the record's image too. */
	patch(ip: bigint, target: bigint | null, call: boolean): Uint8Array | null {
		if (target === null) return this.jit.patch(ip, null, call);
		const image = this.images.find((x) => ip >= x.addr && ip + 5n <= x.addr + BigInt(x.code.length));
		if (image && !this.learned.has(target)) {
			const at = Number(ip - image.addr);
			if (image.code[at] === (call ? 0xe8 : 0xe9))
				this.learned.set(target, ip + 5n + BigInt(image.code.readInt32LE(at + 1)));
		}
		return this.jit.patch(ip, this.learned.get(target) ?? target, call);
	}
}

/** Where images go that are not of a record, or of one that does not say: within reach of helpers by a plain branch. */
const IMAGES: Readonly<Record<"x86_64" | "arm64", bigint>> = {
	x86_64: 0xffffffffc0000000n,
	arm64: 0xffff800082200000n,
};
/** For each function. */
const ROOM = 0x10_0000n;

/** Bytes that text poking writes at most. */
const MAX_PATCH = 8;

/** Image memory that is nowhere but here. */
export class RecordMemory implements JitMemory {
	private readonly images = new Map<bigint, Uint8Array>();
	/** How many images that others took the place of are still to be freed, by address. */
	private readonly replaced = new Map<bigint, number>();
	private next: bigint;
	constructor(next: bigint) {
		this.next = next;
	}
	load: RecordLoad | null = null;
	/** Name of the program that was asked for; others in the same object are none of the record's. */
	name = "";
	/** Whether that is the one being loaded now. */
	at_it = false;

	alloc(size: number, prog: bpf_prog | null): bigint {
		if (prog && this.at_it && this.load) {
			const ksym = this.load.jited_ksyms?.[prog.aux.func_idx];
			if (ksym !== undefined) return BigInt(`0x${ksym}`);
			const hidden = hidden_address(this.load);
			if (hidden !== undefined) return hidden;
		}
		const addr = this.next;
		this.next += BigInt(Math.ceil((size + 64) / 64) * 64);
		return addr;
	}
	write(addr: bigint, code: Uint8Array): void {
		for (const [base, image] of this.images) {
			const off = Number(addr - base);
			if (off > 0 && code.length <= MAX_PATCH && off + code.length <= image.length) {
				image.set(code, off);
				return;
			}
		}
		// Two records' programs may have been at the same place, one after the other.
		for (const [base, image] of this.images) {
			if (base >= addr + BigInt(code.length) || addr >= base + BigInt(image.length)) continue;
			this.images.delete(base);
			this.replaced.set(base, (this.replaced.get(base) ?? 0) + 1);
		}
		// Not a copy: what is patched here later shows in the program's image.
		this.images.set(addr, code);
	}
	read(addr: bigint, len: number): Uint8Array {
		for (const [base, image] of this.images) {
			const off = Number(addr - base);
			if (off >= 0 && off < image.length) return image.subarray(off, off + len);
		}
		return new Uint8Array(len);
	}
	free(addr: bigint): void {
		const replaced = this.replaced.get(addr) ?? 0;
		if (replaced > 0) this.replaced.set(addr, replaced - 1);
		else this.images.delete(addr);
	}
	set_extable(): void {}
}

/** Names of 15 characters may not tell two programs apart: whether they are the same, maps compared by name. */
function same_program(
	a: Buffer,
	b: Buffer,
	map_a: (fd: number) => string | undefined,
	map_b: (fd: number) => string | undefined,
): boolean {
	if (a.length !== b.length) return false;
	for (let at = 0; at < a.length; at += 8) {
		const wide = a[at] === LDIMM64;
		if (a.compare(b, at, at + (wide ? 2 : 8), at, at + (wide ? 2 : 8)) !== 0) return false;
		if (
			wide &&
			a[at + 1]! >> 4 === PSEUDO_MAP_FD &&
			map_a(a.readInt32LE(at + 4)) !== map_b(b.readInt32LE(at + 4))
		)
			return false;
		if (wide) at += 8;
	}
	return true;
}

export class RecordJit {
	private readonly compiler: RecordCompiler | Arm64RecordCompiler;
	private readonly memory: RecordMemory;
	readonly jit: RecordProgramJit;
	/** Names of maps, by descriptor. */
	readonly map_names = new Map<number, string>();

	constructor(kernel: KernelImpl) {
		const facts = {
			symbol: (name: string) => kernel.symbols.addr(name),
			offsetof: (struct: string, member: string) => koffsetof(kernel, struct, member),
			kconfig: (name: string) => /^[ym]$/.test(kernel.config.kconfig.get(`CONFIG_${name}`) ?? ""),
			printk: (line: string) => kernel.printk(line),
		};
		const base = kernel.symbols.addr("__bpf_call_base") ?? 0n;
		const { arch } = kernel.config;
		this.memory = new RecordMemory(IMAGES[arch]);
		this.compiler =
			arch === "arm64"
				? new Arm64RecordCompiler(
						new Arm64Jit(facts, { ...kernel.config.arm64, vhe: false }),
						base,
						STAND_INS.arm64,
					)
				: new RecordCompiler(new X86Jit(facts, kernel.config.x86), base);
		this.jit = new RecordProgramJit(this.compiler, this.memory, arch === "arm64");
	}

	/** A program goes into the kernel: the one asked for, or another of the same object. */
	begin(name: string, insns: Uint8Array): void {
		const { load } = this.memory;
		this.memory.at_it =
			name === this.memory.name &&
			(load?.insns === undefined ||
				same_program(
					Buffer.from(insns),
					Buffer.from(load.insns, "hex"),
					(fd) => this.map_names.get(fd),
					(fd) => load.maps?.find((m) => m.fd === fd)?.name.slice(0, 15),
				));
	}

	/** The next load is to get the addresses of this one. */
	prepare(record: RecordLoad, name: string): void {
		const load = this.placed(record);
		this.memory.load = load;
		this.memory.name = name.slice(0, 15);
		this.compiler.images = record_images(load);
		this.compiler.forget();
	}

	/** Where a record does not say where its images were, they get places, so that addresses are read off them. */
	private placed(load: RecordLoad): RecordLoad {
		if (load.jited === undefined || load.jited_ksyms || !(this.compiler instanceof Arm64RecordCompiler))
			return load;
		const jited_func_lens = function_lengths(Buffer.from(load.jited, "hex"));
		const place = (i: number): string => (IMAGES.arm64 + BigInt(i) * ROOM).toString(16);
		return { ...load, jited_func_lens, jited_ksyms: jited_func_lens.map((_, i) => place(i)) };
	}
}
