// SPDX-License-Identifier: GPL-2.0-only
/**
 * Trampolines with another kernel's addresses: where it had its own, and the programs that it calls. The addresses
 * of structs that only the kernel itself knows (bpf_tramp_image, bpf_prog) are read off its image where ours has
 * them, one for one; all the rest must then be the same.
 */
import type { Jit, TrampImage, TrampProg } from "../arch/jit.ts";
import { type JitMemory, ProgramJit } from "../kernel/bpf/arch_jit.ts";
import type { bpf_prog } from "../kernel/bpf/bpf_types.ts";
import type { TrampSpec } from "../kernel/bpf/jit.ts";
import { moved_value, row_from } from "../tools/upstream/arm64_moves.ts";
import type { RecordTrampoline } from "../tools/upstream/records.ts";

const KERNEL = 0xff00_0000_0000_0000n;
const NONE = 0xffff_ffff_ffff_f000n;

/** The other kernel's trampoline, and ours as we would make it there. */
interface Held {
	readonly record: RecordTrampoline;
	readonly code: Buffer;
	made: TrampImage | null;
}

/** The value that code has at the place where ours has `value`; null where ours does not have it. */
function read_off(ours: Buffer, theirs: Buffer, value: bigint, arm64: boolean): bigint | null {
	if (arm64) {
		for (let at = row_from(ours, 0, ours.length); at >= 0; at = row_from(ours, at + 4, ours.length))
			if (moved_value(ours, at) === value) return moved_value(theirs, at);
		return null;
	}
	const bytes = Buffer.alloc(8);
	bytes.writeBigUInt64LE(value);
	const at = ours.indexOf(bytes);
	return at >= 0 && at + 8 <= theirs.length ? theirs.readBigUInt64LE(at) : null;
}

/** The compiler of a mirror that is held against another kernel. */
export class RecordProgramJit extends ProgramJit {
	private readonly arm64: boolean;
	private held: Held | null = null;
	/** Code of programs, ours and theirs. */
	private readonly funcs = new Map<bigint, bigint>();
	/** Structs of programs, ours and theirs. */
	private readonly structs = new Map<bigint, bigint>();

	constructor(jit: Jit, memory: JitMemory, arm64: boolean) {
		super(jit, memory);
		this.arm64 = arm64;
	}

	/** Images of several records may be given the same address, one after the other: each program keeps its own. */
	override live_image(prog: bpf_prog, len: number): Uint8Array {
		return prog.image?.subarray(0, len) ?? super.live_image(prog, len);
	}

	/** Programs of an object are going to be attached. */
	begin_attaching(): void {
		this.funcs.clear();
		this.structs.clear();
		this.held = null;
	}

	/** The next trampoline is to be like this one; the program that is attached for it has its code at `func` here. */
	hold(record: RecordTrampoline): void {
		this.held = { record, code: Buffer.from(record.code ?? "", "hex"), made: null };
	}

	/** Where a program's code is here and there. */
	program_at(ours: bigint, theirs: bigint): void {
		this.funcs.set(ours, theirs);
	}

	/** The trampoline that was made last, with the other kernel's addresses. */
	get made(): TrampImage | null {
		return this.held?.made ?? null;
	}

	/** The kernel's own functions begin as the record's; nothing of them is here. */
	protected override head(ip: bigint): Uint8Array {
		const head = this.held?.record.head;
		return head !== undefined && ip === this.func_addr ? Buffer.from(head, "hex") : super.head(ip);
	}
	private func_addr = 0n;

	private translated(t: TrampSpec): TrampSpec {
		const progs = (list: readonly TrampProg[]): TrampProg[] =>
			list.map((p) => ({
				...p,
				prog: this.structs.get(p.prog) ?? p.prog,
				bpf_func: this.funcs.get(p.bpf_func) ?? p.bpf_func,
			}));
		return {
			...t,
			im: this.structs.get(t.im) ?? t.im,
			fentry: progs(t.fentry),
			fexit: progs(t.fexit),
			fmod_ret: progs(t.fmod_ret),
		};
	}

	protected override trampoline(
		t: TrampSpec,
		image: bigint,
		room: number,
		sizing: boolean,
	): TrampImage | number {
		this.func_addr = t.func_addr;
		return super.trampoline(this.held ? this.translated(t) : t, image, room, sizing);
	}

	override arch_alloc_bpf_trampoline(size: number): bigint {
		const addr = this.held?.record.addr;
		return addr === undefined ? super.arch_alloc_bpf_trampoline(size) : BigInt(`0x${addr}`);
	}

	override arch_free_bpf_trampoline(): void {}

	override arch_prepare_bpf_trampoline(image: bigint, size: number, t: TrampSpec): TrampImage | number {
		const { held } = this;
		let made = this.trampoline(t, image, size, false);
		if (!held) return made;
		const unknown = [t.im, ...[...t.fentry, ...t.fexit, ...t.fmod_ret].map((p) => p.prog)];
		const taken = new Set(this.structs.values());
		for (const ours of unknown) {
			if (typeof made === "number") return made;
			if (this.structs.has(ours)) continue;
			const theirs = read_off(Buffer.from(made.code), held.code, ours, this.arm64);
			if (theirs === null || theirs < KERNEL || theirs >= NONE || taken.has(theirs)) continue;
			this.structs.set(ours, theirs);
			taken.add(theirs);
			made = this.trampoline(t, image, size, false);
		}
		// this struct is the image's own: another may be there once it is freed, here and there
		this.structs.delete(t.im);
		if (typeof made !== "number") held.made = made;
		return made;
	}

	/** Where the kernel's text is patched, nothing is here. */
	override bpf_arch_text_poke(
		ip: bigint,
		type: number,
		old_addr: bigint | null,
		new_addr: bigint | null,
	): number {
		if (this.held) return 0;
		return super.bpf_arch_text_poke(ip, type, old_addr, new_addr);
	}
}
