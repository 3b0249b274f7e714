// SPDX-License-Identifier: GPL-2.0-only
/** What the JIT and the trampolines of arm64 write code with (arch/arm64/net/bpf_jit_comp.c: struct jit_ctx). */
import * as A from "../lib/insn.ts";

export const TMP = 10;
export const SZ_128M = 128 << 20;

/** The kernel's JIT gives up on this program. */
export class JitError extends Error {}

/** struct jit_ctx, the part that knows of code alone. */
export class CodeBuf {
	words = new Uint32Array(0);
	idx = 0;
	write = true;
	/** There is an image, at this address; passes before that only count. */
	protected image = false;
	protected addr = 0;

	protected emit(word: number): void {
		if (this.image && this.write) this.words[this.idx] = word;
		this.idx++;
	}

	/** emit_a64_mov_i() */
	protected mov_i(sf: number, reg: number, val: number): void {
		const hi = (val >>> 16) & 0xffff;
		const lo = val & 0xffff;
		if (hi & 0x8000) {
			if (hi === 0xffff) this.emit(A.movn(sf, reg, ~lo, 0));
			else {
				this.emit(A.movn(sf, reg, ~hi, 16));
				if (lo !== 0xffff) this.emit(A.movk(sf, reg, lo, 0));
			}
		} else {
			this.emit(A.movz(sf, reg, lo, 0));
			if (hi) this.emit(A.movk(sf, reg, hi, 16));
		}
	}

	/** emit_a64_mov_i64(): by movz or movn, whichever leaves fewer halves to set. */
	protected mov_i64(reg: number, val: bigint): void {
		if (val >> 32n === 0n) {
			this.mov_i(0, reg, Number(val) | 0);
			return;
		}
		const half = (v: bigint, shift: number) => Number((v >> BigInt(shift)) & 0xffffn);
		const blocks = (skip: number) => [0, 16, 32, 48].filter((s) => half(val, s) !== skip).length;
		const inverse = blocks(0xffff) < blocks(0);
		const first = inverse ? BigInt.asUintN(64, ~val) : val;
		const top = first === 0n ? 0 : first.toString(2).length - 1;
		let shift = Math.max(top & ~15, 0);
		if (inverse) this.emit(A.movn(1, reg, half(first, shift), shift));
		else this.emit(A.movz(1, reg, half(val, shift), shift));
		for (shift -= 16; shift >= 0; shift -= 16)
			if (half(val, shift) !== (inverse ? 0xffff : 0)) this.emit(A.movk(1, reg, half(val, shift), shift));
	}

	/** emit_addr_mov_i64(): an address in three instructions whatever it is; its upper 16 bits are ones. */
	protected addr_mov_i64(reg: number, val: bigint): void {
		this.emit(A.movn(1, reg, Number(~val & 0xffffn), 0));
		for (const shift of [16, 32]) this.emit(A.movk(1, reg, Number((val >> BigInt(shift)) & 0xffffn), shift));
	}

	protected emit_call(target: number): void {
		const d = target - (this.addr + 4 * this.idx);
		if (!this.image || target === 0 || d < -SZ_128M || d >= SZ_128M) {
			this.addr_mov_i64(TMP, BigInt.asUintN(64, BigInt(target)));
			this.emit(A.blr(TMP));
		} else {
			this.emit(A.bl(d / 4));
		}
	}
}
