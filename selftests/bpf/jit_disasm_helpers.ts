// SPDX-License-Identifier: GPL-2.0-only
/** The machine code of a program as text: tools/testing/selftests/bpf/jit_disasm_helpers.c. */
import { EINVAL, EOPNOTSUPP } from "../../include/uapi/asm-generic/errno.ts";
import { bpf_prog_get_info_by_fd, type Libbpf } from "../../tools/lib/bpf/libbpf.ts";
import { type LlvmDisasm, type LookupSymbol, open_llvm_disasm } from "./llvm.ts";

const MAX_LOCAL_LABELS = 32;
/** Columns for the bytes of an instruction. */
const BYTES_WIDTH = 12;

/** Where LLVM knows no instruction. */
export class CannotDisasm extends Error {}

function disasm_insn(ctx: LlvmDisasm, image: Uint8Array, pc: number, lookup: LookupSymbol) {
	const insn = ctx.insn(image, pc, lookup);
	if (insn) return insn;
	const bytes = Buffer.from(image.subarray(pc, pc + 16))
		.toString("hex")
		.replace(/../g, " $&");
	throw new CannotDisasm(`Can't disasm instruction at offset ${pc}:${bytes}`);
}

/**
 * tools/testing/selftests/bpf/jit_disasm_helpers.c: disasm_one_func: `PC:\tBYTES LABEL:\tinsn` a line; places
 * of the function that its branches reach are L0, L1, … Throws CannotDisasm.
 */
export function disasm_one_func(ctx: LlvmDisasm, image: Uint8Array): string {
	const found: number[] = [];
	for (let pc = 0; pc < image.length; ) {
		pc += disasm_insn(ctx, image, pc, (target) => {
			if (found.length < MAX_LOCAL_LABELS && target < BigInt(image.length)) found.push(Number(target));
			return null;
		}).length;
	}
	found.sort((a, b) => a - b);
	// A branch has the first name of its target, the target the one that a binary search comes upon.
	const name_of = (target: bigint): string | null => {
		const at = found.indexOf(Number(target));
		return at < 0 ? null : `L${at}`;
	};
	const label_of = (pc: number): string => {
		let low = 0;
		let high = found.length;
		while (low < high) {
			const mid = (low + high) >> 1;
			if (found[mid] === pc) return `L${mid}:`;
			if (found[mid]! > pc) high = mid;
			else low = mid + 1;
		}
		return "";
	};
	let out = "";
	for (let pc = 0; pc < image.length; ) {
		const insn = disasm_insn(ctx, image, pc, name_of);
		const bytes = Buffer.from(image.subarray(pc, pc + insn.length))
			.toString("hex")
			.replace(/../g, "$& ");
		out += `${pc.toString(16)}:\t${bytes.padEnd(BYTES_WIDTH * 3)}${label_of(pc)}${insn.text}\n`;
		pc += insn.length;
	}
	return out;
}

/**
 * tools/testing/selftests/bpf/jit_disasm_helpers.c: get_jited_program_text: every function of a program.
 * A negative errno where that fails: EOPNOTSUPP without an LLVM library. Throws CannotDisasm.
 */
export function get_jited_program_text(lib: Libbpf, fd: number): string | number {
	const info = bpf_prog_get_info_by_fd(lib, fd);
	if (typeof info === "number") return info;
	const image = info.jited_prog_insns;
	const lens = info.jited_func_lens;
	if (lens.reduce((n, l) => n + l, 0) !== image.length) return -EINVAL;
	const ctx = open_llvm_disasm(lib.sys.arch);
	if (!ctx) return -EOPNOTSUPP;
	try {
		let out = "";
		let pc = 0;
		for (const [i, len] of lens.entries()) {
			out += `func #${i}:\n${disasm_one_func(ctx, image.subarray(pc, pc + len))}\n`;
			pc += len;
		}
		return out;
	} finally {
		ctx.close();
	}
}
