// SPDX-License-Identifier: GPL-2.0-only
import { Capstone, Const, loadCapstone } from "capstone-wasm";
import { beforeAll, describe, expect, it } from "vitest";
import {
	BPF_TRAMP_F_CALL_ORIG,
	BPF_TRAMP_F_INDIRECT,
	BPF_TRAMP_F_IP_ARG,
	BPF_TRAMP_F_ORIG_STACK,
	BPF_TRAMP_F_RESTORE_REGS,
	BPF_TRAMP_F_RET_FENTRY_RET,
	BPF_TRAMP_F_SKIP_FRAME,
	BPF_TRAMP_F_TAIL_CALL_CTX,
	BTF_FMODEL_STRUCT_ARG,
} from "../../../include/linux/bpf.ts";
import { EFAULT, EINVAL, ENOTSUPP } from "../../../include/uapi/asm-generic/errno.ts";
import type { JitKernel, TrampProg, TrampRequest } from "../../jit.ts";
import { X86Jit, type X86JitConfig } from "./bpf_jit_comp.ts";
import { arch_prepare_bpf_dispatcher, get_nr_used_regs } from "./trampoline.ts";

const SYMBOLS: Readonly<Record<string, bigint>> = {
	__bpf_call_base: 0xffffffff81000000n,
	__bpf_tramp_enter: 0xffffffff81000100n,
	__bpf_tramp_exit: 0xffffffff81000110n,
	enter: 0xffffffff81000200n,
	exit: 0xffffffff81000210n,
	__x86_return_thunk: 0xffffffff81000300n,
	func: 0xffffffff81001000n,
};
const NAMES = new Map(Object.entries(SYMBOLS).map(([name, addr]) => [addr, name]));
const IMAGE = 0xffffffffa0000000n;

const kernel: JitKernel = {
	symbol: (name) => SYMBOLS[name],
	offsetof: (_s, member) => (member === "saved_run_ctx" ? 8 : 0),
	kconfig: () => false,
	printk: () => {},
};

function jit(more: Partial<X86JitConfig> = {}): X86Jit {
	return new X86Jit(kernel, {
		ibt: true,
		retpoline: "off",
		rethunk: false,
		sls: false,
		bmi2: true,
		pgtable_levels: 4,
		clear_bhb: false,
		...more,
	});
}

/** The n-th program: its image, struct and cookie tell which it is. */
function prog(n: number): TrampProg {
	NAMES.set(0xffffffffa0100000n + BigInt(n) * 64n, `prog${n}`);
	return {
		prog: 0xffffc90000000000n + BigInt(n) * 4096n,
		bpf_func: 0xffffffffa0100000n + BigInt(n) * 64n,
		cookie: BigInt(n),
		enter: SYMBOLS.enter!,
		exit: SYMBOLS.exit!,
	};
}

function request(more: Partial<TrampRequest> & { args?: number[]; structs?: number[] }): TrampRequest {
	const { args = [], structs = [], ...rest } = more;
	return {
		im: 0xffff888001234000n,
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
		func_addr: SYMBOLS.func!,
		endbr: true,
		image: IMAGE,
		room: 4096,
		sizing: false,
		...rest,
	};
}

const AROUND = BPF_TRAMP_F_CALL_ORIG | BPF_TRAMP_F_SKIP_FRAME;

let cs: Capstone;
beforeAll(async () => {
	await loadCapstone();
	cs = new Capstone(Const.CS_ARCH_X86, Const.CS_MODE_64);
});

/** A line an instruction; calls by name, jumps as +offset, NOPs by length. */
function disasm(code: Uint8Array, at = IMAGE): string[] {
	const out: string[] = [];
	for (const i of cs.disasm(code, { address: at })) {
		if (i.mnemonic === "nop") {
			out.push(`nop${i.size}`);
			continue;
		}
		const target = /^0x[0-9a-f]{6,}$/.test(i.opStr) ? BigInt(i.opStr) : null;
		if (target === null) out.push(`${i.mnemonic} ${i.opStr}`.trim());
		else if (target >= at && target < at + BigInt(code.length)) out.push(`${i.mnemonic} +${target - at}`);
		else {
			const name = NAMES.get(target) ?? (NAMES.has(target - 9n) ? `${NAMES.get(target - 9n)}+9` : i.opStr);
			out.push(`${i.mnemonic} ${name}`);
		}
	}
	return out;
}

function made(
	req: TrampRequest,
	j = jit(),
): { lines: string[]; after: number; epilogue: number; size: number } {
	const r = j.trampoline(req);
	if (typeof r === "number") throw new Error(`trampoline: ${r}`);
	const off = (a: bigint): number => (a ? Number(a - IMAGE) : -1);
	return {
		lines: disasm(r.code),
		after: off(r.ip_after_call),
		epilogue: off(r.ip_epilogue),
		size: r.size - r.code.length,
	};
}

/** What runs a program, with the run context and the arguments at these offsets from rbp. */
function invoke(n: number, run_ctx: number, args: number, skip: number, save_ret = false): string[] {
	const struct = `movabs rdi, 0x${(0xffffc90000000000n + BigInt(n) * 4096n).toString(16)}`;
	const hex = (v: number): string => `0x${v.toString(16)}`;
	return [
		n === 0 ? "xor edi, edi" : `mov edi, ${n < 10 ? n : hex(n)}`,
		`mov qword ptr [rbp - ${hex(run_ctx)}], rdi`,
		struct,
		`lea rsi, [rbp - ${hex(run_ctx)}]`,
		"call enter",
		"mov rbx, rax",
		"test rax, rax",
		`je +${skip}`,
		`lea rdi, [rbp - ${hex(args)}]`,
		`call prog${n}`,
		...(save_ret ? ["mov qword ptr [rbp - 8], rax"] : []),
		struct,
		"mov rsi, rbx",
		`lea rdx, [rbp - ${hex(run_ctx)}]`,
		"call exit",
	];
}

describe("arch_prepare_bpf_trampoline", () => {
	it("runs a program before the function and restores its arguments", () => {
		const t = made(request({ args: [4, 8], fentry: [prog(0)] }));
		expect(t.lines).toEqual([
			"push rbp",
			"mov rbp, rsp",
			"sub rsp, 0x30",
			"mov qword ptr [rbp - 0x20], rbx",
			"mov eax, 2",
			"mov qword ptr [rbp - 0x18], rax",
			"mov qword ptr [rbp - 0x10], rdi",
			"mov qword ptr [rbp - 8], rsi",
			...invoke(0, 0x30, 0x10, 71),
			"mov rdi, qword ptr [rbp - 0x10]",
			"mov rsi, qword ptr [rbp - 8]",
			"mov rbx, qword ptr [rbp - 0x20]",
			"leave",
			"ret",
		]);
		expect(t.after).toBe(-1);
		expect(t.size).toBe(64);
	});

	it("calls the function between programs, unless one has answered for it", () => {
		const t = made(
			request({ args: [4], flags: AROUND, fentry: [prog(1)], fmod_ret: [prog(2)], fexit: [prog(3)] }),
		);
		const im = "movabs rdi, 0xffff888001234000";
		expect(t.lines).toEqual([
			"push rbp",
			"mov rbp, rsp",
			"sub rsp, 0x30",
			"mov qword ptr [rbp - 0x20], rbx",
			"mov eax, 1",
			"mov qword ptr [rbp - 0x18], rax",
			"mov qword ptr [rbp - 0x10], rdi",
			im,
			"call __bpf_tramp_enter",
			...invoke(1, 0x30, 0x10, 85),
			"xor eax, eax",
			"mov qword ptr [rbp - 8], rax",
			...invoke(2, 0x30, 0x10, 162, true),
			"cmp qword ptr [rbp - 8], 0",
			"jne +224",
			"mov rdi, qword ptr [rbp - 0x10]",
			"call func+9",
			"mov qword ptr [rbp - 8], rax",
			"nop5",
			"nop11",
			...invoke(3, 0x30, 0x10, 269),
			im,
			"call __bpf_tramp_exit",
			"mov rax, qword ptr [rbp - 8]",
			"mov rbx, qword ptr [rbp - 0x20]",
			"leave",
			"add rsp, 8",
			"ret",
		]);
		// where the way out is cut short once the programs are gone
		expect([t.after, t.epilogue]).toEqual([208, 291]);
	});

	it("stores the function's address and takes the tail call counter along", () => {
		const flags = AROUND | BPF_TRAMP_F_IP_ARG | BPF_TRAMP_F_TAIL_CALL_CTX;
		const { lines } = made(request({ args: [8], flags, fexit: [prog(1)] }));
		expect(lines.slice(2, 10)).toEqual([
			"sub rsp, 0x38",
			"push rax",
			"mov qword ptr [rbp - 0x28], rbx",
			"mov eax, 1",
			"mov qword ptr [rbp - 0x18], rax",
			"mov rax, 0xffffffff81001000",
			"mov qword ptr [rbp - 0x20], rax",
			"mov qword ptr [rbp - 0x10], rdi",
		]);
		const call = lines.indexOf("call func+9");
		expect(lines[call - 1]).toBe("mov rax, qword ptr [rbp - 0x40]");
	});

	it("passes on arguments from the stack, and clears the upper half of a small one", () => {
		const args = [4, 8, 2, 4, 8, 1, 4];
		const { lines } = made(request({ args, flags: AROUND, fexit: [prog(1)] }));
		expect(lines.slice(2, 16)).toEqual([
			"sub rsp, 0x68",
			"mov qword ptr [rbp - 0x50], rbx",
			"mov eax, 7",
			"mov qword ptr [rbp - 0x48], rax",
			"mov qword ptr [rbp - 0x40], rdi",
			"mov qword ptr [rbp - 0x38], rsi",
			"mov qword ptr [rbp - 0x30], rdx",
			"mov qword ptr [rbp - 0x28], rcx",
			"mov qword ptr [rbp - 0x20], r8",
			"mov qword ptr [rbp - 0x18], r9",
			"mov rax, qword ptr [rbp + 0x18]",
			"mov qword ptr [rbp - 0x10], rax",
			"mov dword ptr [rbp - 0xc], 0",
			"movabs rdi, 0xffff888001234000",
		]);
		const call = lines.indexOf("call func+9");
		expect(lines.slice(call - 4, call)).toEqual([
			"mov r9, qword ptr [rbp - 0x18]",
			"mov rax, qword ptr [rbp + 0x18]",
			"mov qword ptr [rbp - 0x68], rax",
			"mov dword ptr [rbp - 0x64], 0",
		]);
	});

	it("keeps a structure together, in registers or on the stack", () => {
		const args = [8, 8, 8, 8, 8, 16, 4];
		const req = request({ args, structs: [5], fentry: [prog(1)] });
		expect(get_nr_used_regs(req.model)).toBe(6);
		const { lines } = made(req);
		expect(lines.slice(4, 17)).toEqual([
			"mov eax, 8",
			"mov qword ptr [rbp - 0x48], rax",
			"mov qword ptr [rbp - 0x40], rdi",
			"mov qword ptr [rbp - 0x38], rsi",
			"mov qword ptr [rbp - 0x30], rdx",
			"mov qword ptr [rbp - 0x28], rcx",
			"mov qword ptr [rbp - 0x20], r8",
			"mov rax, qword ptr [rbp + 0x18]",
			"mov qword ptr [rbp - 0x18], rax",
			"mov rax, qword ptr [rbp + 0x20]",
			"mov qword ptr [rbp - 0x10], rax",
			// the argument behind it still finds a register
			"mov qword ptr [rbp - 8], r9",
			"mov edi, 1",
		]);
	});

	it("calls the place that it was called from where another patcher owns the entry", () => {
		const { lines } = made(request({ flags: AROUND | BPF_TRAMP_F_ORIG_STACK, fexit: [prog(1)] }));
		const call = lines.indexOf("call rbx");
		expect(lines[call - 1]).toBe("mov rbx, qword ptr [rbp + 8]");
		expect(lines).not.toContain("call func+9");
	});

	it("begins with endbr64 where it is called indirectly, and returns what the program does", () => {
		const flags = BPF_TRAMP_F_INDIRECT | BPF_TRAMP_F_RET_FENTRY_RET;
		const { lines } = made(request({ args: [8], flags, fentry: [prog(1)] }));
		expect(lines[0]).toBe("endbr64");
		expect(lines.slice(-4)).toEqual([
			"mov rax, qword ptr [rbp - 8]",
			"mov rbx, qword ptr [rbp - 0x20]",
			"leave",
			"ret",
		]);
	});

	it("returns as the configuration wants", () => {
		const req = request({ fentry: [prog(1)] });
		expect(made(req, jit({ rethunk: true })).lines.at(-1)).toBe("jmp __x86_return_thunk");
		expect(made(req, jit({ sls: true })).lines.slice(-2)).toEqual(["ret", "int3"]);
	});

	it("refuses what does not fit", () => {
		expect(jit().trampoline(request({ args: Array(13).fill(8) }))).toBe(-ENOTSUPP);
		expect(jit().trampoline(request({ args: [16], structs: [0], room: 100, fentry: [prog(1)] }))).toBe(
			-EFAULT,
		);
		const far = { ...prog(1), bpf_func: 0x100000000000n };
		expect(jit().trampoline(request({ fentry: [far] }))).toBe(-EINVAL);
	});

	it("has room for as many programs as a function takes", () => {
		const fexit = Array.from({ length: 38 }, (_x, i) => prog(i));
		const r = jit().trampoline(request({ args: Array(6).fill(8), flags: AROUND, fexit }));
		expect(typeof r).not.toBe("number");
		if (typeof r !== "number") expect(r.size).toBeLessThanOrEqual(4096);
	});
});

describe("arch_prepare_bpf_dispatcher", () => {
	it("searches for the program in halves", () => {
		const funcs = [3, 1, 2].map((n) => prog(n).bpf_func);
		const code = arch_prepare_bpf_dispatcher(jit(), IMAGE, funcs);
		if (typeof code === "number") throw new Error(`dispatcher: ${code}`);
		const lines = disasm(code);
		const cmp = (n: number): string => `cmp rdx, -0x${(0x60000000 - 0x100000 - n * 64).toString(16)}`;
		const leaf = (n: number): string[] => [cmp(n), `je prog${n}`, "jmp rdx"];
		// every target of a branch is aligned
		expect(lines).toEqual([
			cmp(2),
			"jg +64",
			cmp(1),
			"jg +48",
			...leaf(1),
			"nop11",
			"nop4",
			...leaf(2),
			"nop1",
			...leaf(3),
		]);
	});
});
