// SPDX-License-Identifier: GPL-2.0-only
/** Writes instructions, with labels for jumps and calls that lead forward. */

export interface Label {
	at: number;
	/** Instructions that want it, and whether in imm (calls, gotol) or off. */
	readonly uses: { insn: number; wide: boolean }[];
}

export class Asm {
	private buf = new Uint8Array(8 * 64);
	private dv = new DataView(this.buf.buffer);
	n = 0;

	insn(code: number, dst: number, src: number, off: number, imm: number): void {
		if ((this.n + 1) * 8 > this.buf.length) {
			const more = new Uint8Array(this.buf.length * 2);
			more.set(this.buf);
			this.buf = more;
			this.dv = new DataView(more.buffer);
		}
		const at = this.n++ * 8;
		this.buf[at] = code;
		this.buf[at + 1] = (src << 4) | dst;
		this.dv.setInt16(at + 2, off, true);
		this.dv.setInt32(at + 4, imm, true);
	}
	/** 64-bit immediate: two instructions. */
	ld_imm64(dst: number, src: number, lo: number, hi: number): void {
		this.insn(0x18, dst, src, 0, lo);
		this.insn(0, 0, 0, 0, hi);
	}
	label(): Label {
		return { at: -1, uses: [] };
	}
	/** A jump to a label; `wide` keeps the distance in imm. */
	jump(code: number, dst: number, src: number, imm: number, to: Label, wide = false): void {
		if (to.at >= 0) {
			const d = to.at - this.n - 1;
			this.insn(code, dst, src, wide ? 0 : d, wide ? d : imm);
			return;
		}
		to.uses.push({ insn: this.n, wide });
		this.insn(code, dst, src, 0, imm);
	}
	bind(label: Label): void {
		label.at = this.n;
		for (const { insn, wide } of label.uses) {
			const d = this.n - insn - 1;
			if (wide) this.dv.setInt32(insn * 8 + 4, d, true);
			else this.dv.setInt16(insn * 8 + 2, d, true);
		}
		label.uses.length = 0;
	}
	/** A label that was only called and is bound here counts from the call on. */
	bytes(): Uint8Array {
		return this.buf.slice(0, this.n * 8);
	}
}
