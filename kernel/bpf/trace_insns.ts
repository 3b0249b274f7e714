// SPDX-License-Identifier: GPL-2.0-only
/**
 * Every instruction that programs run, one by one: machine instructions of images with the BPF instruction that
 * each is part of, or, interpreted, BPF instructions with the registers that they changed. For people who want
 * to see (`bpf-mirror run --trace`); the kernel has nothing like it. Nothing is kept or hooked while it is off.
 */

import { BPF_CALL } from "../../include/uapi/linux/bpf.ts";
import { BPF_JMP } from "../../include/uapi/linux/bpf_common.ts";
import { u64_to_addr } from "../../lib/addr.ts";
import type { KernelImpl } from "../kernel_impl.ts";
import type { bpf_insn, bpf_prog } from "./bpf_types.ts";
import { print_bpf_insn } from "./disasm.ts";

/** One instruction of an image, about to run. */
export interface MachineStep {
	readonly kind: "machine";
	readonly prog: string;
	/** Its address, its offset in the image, and the code from there to the image's end. */
	readonly pc: bigint;
	readonly offset: number;
	readonly code: Uint8Array;
	/** The BPF instruction; -1: the prologue; null: behind the last one, the epilogue. */
	readonly insn: number | null;
	/** The BPF instruction as text, where it is another than that of the step before. */
	readonly text: string | null;
}

/** One BPF instruction that the interpreter ran. */
export interface InterpStep {
	readonly kind: "interp";
	readonly prog: string;
	readonly insn: number;
	readonly text: string;
	/** Registers that it changed; of a call of another function those are in the step before the next one. */
	readonly changed: readonly (readonly [number, bigint])[];
}

export type Step = MachineStep | InterpStep;
export type StepSink = (step: Step) => void;

interface Image {
	readonly prog: bpf_prog;
	readonly start: number;
	readonly code: Uint8Array;
	/** Byte offset of the end of each instruction; index 0: of the prologue. */
	readonly ends: Int32Array;
}

/** BPF instruction at a byte offset: the first that ends behind it. */
function insn_at(ends: Int32Array, offset: number): number | null {
	if (offset < ends[0]!) return -1;
	let lo = 0;
	let hi = ends.length - 1;
	while (lo < hi) {
		const mid = (lo + hi) >> 1;
		if (ends[mid + 1]! > offset) hi = mid;
		else lo = mid + 1;
	}
	return lo < ends.length - 1 ? lo : null;
}

/** Reports what the programs loaded now do, until stop(). */
export class InsnTrace {
	private readonly kernel: KernelImpl;
	private readonly sink: StepSink;
	private images: Image[] = [];
	private last: Image | null = null;
	private last_insn: number | null = null;
	private readonly frames = new WeakMap<BigUint64Array, BigUint64Array>();
	private pending: { prog: bpf_prog; idx: number; regs: BigUint64Array } | null = null;

	constructor(kernel: KernelImpl, sink: StepSink) {
		this.kernel = kernel;
		this.sink = sink;
		for (const prog of kernel.bpf.ksyms) {
			const ends = kernel.bpf.jit?.insn_ends?.(prog);
			if (!ends || !prog.image) continue;
			this.images.push({ prog, start: u64_to_addr(prog.bpf_func), code: prog.image, ends });
		}
		for (const cpu of kernel.machine?.arch.cpus ?? []) cpu.trace = (pc) => this.machine(pc);
		kernel.runner?.trace_interp?.((prog, idx, regs) => this.interp(prog, idx, regs));
	}

	stop(): void {
		this.flush(null);
		for (const cpu of this.kernel.machine?.arch.cpus ?? []) cpu.trace = null;
		this.kernel.runner?.trace_interp?.(null);
	}

	private machine(pc: number): void {
		let image = this.last;
		if (!image || pc < image.start || pc >= image.start + image.code.length) {
			image = this.images.find((i) => pc >= i.start && pc < i.start + i.code.length) ?? null;
			if (!image) return;
			this.last = image;
			this.last_insn = null;
		}
		const offset = pc - image.start;
		const insn = insn_at(image.ends, offset);
		const same = insn === this.last_insn;
		this.last_insn = insn;
		this.sink({
			kind: "machine",
			prog: this.name(image.prog),
			pc: BigInt.asUintN(64, BigInt(pc)),
			offset,
			code: image.code.subarray(offset),
			insn,
			text: same || insn === null || insn < 0 ? null : this.text(image.prog, insn),
		});
	}

	private interp(prog: bpf_prog, idx: number, regs: BigUint64Array): void {
		this.flush(regs);
		this.pending = { prog, idx, regs };
		this.frames.set(regs, regs.slice());
	}

	/** The instruction before has run; in another frame than the next one, its registers are not there yet. */
	private flush(now: BigUint64Array | null): void {
		const { pending } = this;
		if (!pending) return;
		this.pending = null;
		const before = this.frames.get(pending.regs)!;
		const changed: [number, bigint][] = [];
		if (now === pending.regs || now === null)
			for (let r = 0; r <= 10; r++) if (before[r] !== pending.regs[r]) changed.push([r, pending.regs[r]!]);
		this.sink({
			kind: "interp",
			prog: this.name(pending.prog),
			insn: pending.idx,
			text: this.text(pending.prog, pending.idx),
			changed,
		});
	}

	private name(prog: bpf_prog): string {
		return this.kernel.symbols.lookup(prog.bpf_func)?.name ?? prog.aux.name;
	}

	/** A function of the program: the JIT knows it by its number, the interpreter by its distance. */
	private callee(prog: bpf_prog, insn: bpf_insn): string {
		const func = prog.jited ? prog.aux.func?.[insn.off] : null;
		return func ? this.name(func) : `pc${insn.off >= 0 ? "+" : ""}${insn.off}`;
	}

	private text(prog: bpf_prog, idx: number): string {
		const insn = prog.insnsi[idx];
		if (!insn) return "?";
		let out = "";
		const base = this.kernel.symbols.addr("__bpf_call_base") ?? 0n;
		const name_of = (i: bpf_insn): string | null =>
			this.kernel.symbols.lookup(BigInt.asUintN(64, base + BigInt(i.imm)))?.name ?? null;
		print_bpf_insn(
			{
				private_data: null,
				cb_print: (_p, text) => {
					out += text;
				},
				cb_call: (_p, i) => (i.src_reg === 1 ? this.callee(prog, i) : name_of(i)),
				cb_imm: (_p, _i, imm) => `0x${BigInt.asUintN(64, imm).toString(16)}`,
			},
			insn,
			true,
			prog.insnsi[idx + 1],
		);
		// what is near __bpf_call_base would be taken for a helper's number
		const to = insn.code === (BPF_JMP | BPF_CALL) && insn.src_reg === 0 ? name_of(insn) : null;
		return to === null ? out.trimEnd() : `(85) call ${to}`;
	}
}
