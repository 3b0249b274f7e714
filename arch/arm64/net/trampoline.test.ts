// SPDX-License-Identifier: GPL-2.0-only
import { Capstone, Const, loadCapstone } from "capstone-wasm";
import { beforeAll, describe, expect, it } from "vitest";
import {
	BPF_TRAMP_F_CALL_ORIG,
	BPF_TRAMP_F_INDIRECT,
	BPF_TRAMP_F_IP_ARG,
	BPF_TRAMP_F_RESTORE_REGS,
	BPF_TRAMP_F_RET_FENTRY_RET,
	BPF_TRAMP_F_SKIP_FRAME,
	BTF_FMODEL_STRUCT_ARG,
} from "../../../include/linux/bpf.ts";
import { EINVAL, ENOTSUPP } from "../../../include/uapi/asm-generic/errno.ts";
import type { JitKernel, TrampProg, TrampRequest } from "../../jit.ts";
import { Arm64Jit } from "./bpf_jit_comp.ts";

const IMAGE = 0xffff800000100000n;
/** Within reach of a branch, but for the last. */
const SYMBOLS: Readonly<Record<string, bigint>> = {
	__bpf_call_base: 0xffff800000000000n,
	__bpf_tramp_enter: 0xffff800000000100n,
	__bpf_tramp_exit: 0xffff800000000110n,
	enter: 0xffff800000000200n,
	exit: 0xffff800080000210n,
};
const NAMES = new Map(Object.entries(SYMBOLS).map(([name, addr]) => [addr, name]));

const kernel: JitKernel = {
	symbol: (name) => SYMBOLS[name],
	offsetof: (_s, member) => (member === "saved_run_ctx" ? 8 : 0),
	kconfig: () => false,
	printk: () => {},
};

function jit(bti = false): Arm64Jit {
	return new Arm64Jit(kernel, { lse_atomics: true, bti, pac: false, vhe: true });
}

function prog(n: number): TrampProg {
	NAMES.set(0xffff800000200000n + BigInt(n) * 64n, `prog${n}`);
	return {
		prog: 0xffff800001000000n + BigInt(n) * 4096n,
		bpf_func: 0xffff800000200000n + BigInt(n) * 64n,
		cookie: BigInt(n),
		enter: SYMBOLS.enter!,
		exit: SYMBOLS.exit!,
	};
}

function request(more: Partial<TrampRequest> & { args?: number[]; structs?: number[] }): TrampRequest {
	const { args = [], structs = [], ...rest } = more;
	return {
		im: 0xffff000001234000n,
		model: {
			nr_args: args.length,
			arg_size: args,
			arg_flags: args.map((_a, i) => (structs.includes(i) ? BTF_FMODEL_STRUCT_ARG : 0)),
			ret_size: 8,
			ret_flags: 0,
		},
		flags: BPF_TRAMP_F_RESTORE_REGS,
		fentry: [],
		fexit: [],
		fmod_ret: [],
		func_addr: 0xffff800080001000n,
		endbr: false,
		image: IMAGE,
		room: 1024,
		sizing: false,
		...rest,
	};
}

let cs: Capstone;
beforeAll(async () => {
	await loadCapstone();
	cs = new Capstone(Const.CS_ARCH_ARM64, Const.CS_MODE_ARM);
});

/** A line an instruction, calls by name, branches as +offset, up to what only fills. */
function lines(req: TrampRequest, j = jit()): string[] {
	const r = j.trampoline(req);
	if (typeof r === "number") throw new Error(`trampoline: ${r}`);
	const out: string[] = [];
	for (const i of cs.disasm(r.code, { address: IMAGE })) {
		if (i.mnemonic === "brk") break;
		const m = /^(.*)#(0x[0-9a-f]{8,})$/.exec(i.opStr);
		const target = m ? BigInt(m[2]!) : 0n;
		const at = target >= IMAGE && target < IMAGE + 4096n ? `+${target - IMAGE}` : (NAMES.get(target) ?? "?");
		out.push(`${i.mnemonic} ${m ? m[1] + at : i.opStr}`.trim());
	}
	return out;
}

/** What runs program 1 to 15; __bpf_prog_exit is out of reach of a branch. */
function invoke(n: number, args: string, skip: number): string[] {
	return [
		`mov w10, #${n}`,
		"str x10, [sp]",
		`mov x19, #-0x${(0x10000 - n * 0x1000).toString(16)}`,
		"movk x19, #0x100, lsl #16",
		"movk x19, #0x8000, lsl #32",
		"add x0, x19, #0",
		"mov x1, sp",
		"bl enter",
		"add x20, x0, #0",
		`cbz x0, +${skip}`,
		`add x0, sp, #${args}`,
		`bl prog${n}`,
		"add x0, x19, #0",
		"add x1, x20, #0",
		"mov x2, sp",
		"mov x10, #-0xfdf0",
		"movk x10, #0x8000, lsl #16",
		"movk x10, #0x8000, lsl #32",
		"blr x10",
	];
}

const ENTER = ["stp x29, x9, [sp, #-0x10]!", "mov x29, sp", "stp x29, x30, [sp, #-0x10]!", "mov x29, sp"];
const LEAVE = ["mov sp, x29", "ldp x29, x30, [sp], #0x10", "ldp x29, x9, [sp], #0x10"];
const TO_CALLER = ["add x30, x9, #0", "ret x9"];
const INTO_FUNCTION = ["add x10, x30, #0", "add x30, x9, #0", "ret x10"];

describe("arch_prepare_bpf_trampoline", () => {
	it("runs a program before the function and restores its arguments", () => {
		expect(lines(request({ args: [4, 8], fentry: [prog(1)] }))).toEqual([
			...ENTER,
			"sub sp, sp, #0x40",
			"mov x10, #2",
			"str x10, [sp, #0x10]",
			"str x0, [sp, #0x18]",
			"str x1, [sp, #0x20]",
			"str x19, [sp, #0x28]",
			"str x20, [sp, #0x30]",
			...invoke(1, "0x18", 92),
			"ldr x0, [sp, #0x18]",
			"ldr x1, [sp, #0x20]",
			"ldr x19, [sp, #0x28]",
			"ldr x20, [sp, #0x30]",
			...LEAVE,
			...INTO_FUNCTION,
		]);
	});

	it("calls the function between programs, unless one has answered for it", () => {
		const flags = BPF_TRAMP_F_CALL_ORIG | BPF_TRAMP_F_SKIP_FRAME | BPF_TRAMP_F_IP_ARG;
		const im = ["mov x0, #-0x1000000000000", "movk x0, #0x123, lsl #16", "movk x0, #0x4000"];
		const got = lines(request({ args: [8], flags, fmod_ret: [prog(2)], fexit: [prog(3)] }));
		expect(got.filter((l) => /^(bl |cbn?z|adr|ret|nop)/.test(l))).toEqual([
			"bl __bpf_tramp_enter",
			"bl enter",
			"cbz x0, +128",
			"bl prog2",
			"cbnz x10, +188",
			"adr x30, +180",
			"ret x10",
			"nop",
			"bl enter",
			"cbz x0, +236",
			"bl prog3",
			"bl __bpf_tramp_exit",
			"ret x9",
		]);
		expect(got.slice(4, 9)).toEqual([
			"sub sp, sp, #0x40",
			"mov x10, #-0xf000",
			"movk x10, #0x8000, lsl #16",
			"movk x10, #0x8000, lsl #32",
			"str x10, [sp, #0x10]",
		]);
		expect(got.join("\n")).toContain(im.join("\n"));
		expect(got.slice(-5)).toEqual([...LEAVE, ...TO_CALLER]);
	});

	it("takes a structure's registers each", () => {
		const got = lines(request({ args: [8, 16], structs: [1], fentry: [prog(1)] }));
		expect(got).toContain("mov x10, #3");
		expect(got.filter((l) => /^str x[012], /.test(l))).toHaveLength(3);
	});

	it("has no frame for a caller where it is called as a function", () => {
		const flags = BPF_TRAMP_F_INDIRECT | BPF_TRAMP_F_RET_FENTRY_RET;
		const got = lines(request({ flags, fentry: [prog(1)] }), jit(true));
		expect(got.slice(0, 3)).toEqual(["hint #0x26", "stp x29, x30, [sp, #-0x10]!", "mov x29, sp"]);
		expect(got.slice(-2)).toEqual(["ldp x29, x30, [sp], #0x10", "ret"]);
	});

	it("counts with calls and addresses at their longest", () => {
		const req = request({ args: [8], flags: BPF_TRAMP_F_CALL_ORIG, fexit: [prog(1)] });
		const sized = jit().trampoline({ ...req, sizing: true });
		if (typeof sized === "number") throw new Error(`size: $sized`);
		const made = lines({ ...req, room: sized.size });
		expect(sized.size).toBeGreaterThan(4 * made.length);
		expect(jit().trampoline({ ...req, room: 64 })).toBe(-EINVAL);
	});

	it("refuses more arguments than registers", () => {
		expect(jit().trampoline(request({ args: Array(9).fill(8) }))).toBe(-ENOTSUPP);
		expect(jit().trampoline(request({ args: [16, 16, 16, 16, 8], structs: [0, 1, 2, 3] }))).toBe(-ENOTSUPP);
	});
});
