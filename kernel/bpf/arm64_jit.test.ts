// SPDX-License-Identifier: GPL-2.0-only
/** What arm64's JIT makes of the choices of CPU and configuration: LSE or LL/SC atomics, BTI, PAC. */
import { Capstone, Const, loadCapstone } from "capstone-wasm";
import { beforeAll, describe, expect, it } from "vitest";
import * as U from "../../include/uapi/linux/bpf.ts";
import { assemble } from "../../lib/bpf_asm.ts";
import { boot } from "../boot.ts";
import type { KernelImpl } from "../kernel_impl.ts";
import { Process } from "../testing.ts";
import { decode_insns } from "./bpf_types.ts";

let cs: Capstone;
beforeAll(async () => {
	await loadCapstone();
	cs = new Capstone(Const.CS_ARCH_ARM64, Const.CS_MODE_ARM);
});

const PLAIN = { lse_atomics: true, bti: false, pac: false, va_bits: 48 as const };

interface Loaded {
	readonly kernel: KernelImpl;
	readonly p: Process;
	readonly fd: number;
	/** Of each function: its instructions. */
	readonly code: string[][];
}

function load(source: string, arm64: Partial<typeof PLAIN>, jit = true): Loaded {
	const kernel = boot({
		arch: "arm64",
		cpu: jit ? "unicorn" : "none",
		cpus: 1,
		memory: 64 << 20,
		config: { arm64: { ...PLAIN, ...arm64 }, bpf_jit_enable: jit, bpf_jit_always_on: jit },
	});
	const p = new Process(kernel);
	const fd = p.load(U.BPF_PROG_TYPE_SCHED_CLS, decode_insns(assemble(source).bytes));
	const [prog] = [...kernel.bpf.progs.values()];
	const funcs = prog!.aux.func?.length ? prog!.aux.func : [prog!];
	const code = jit
		? funcs.map((f) => cs.disasm(f.image!, { address: 0 }).map((i) => `${i.mnemonic} ${i.opStr}`.trim()))
		: [];
	return { kernel, p, fd, code };
}

/** Every atomic in both widths, on a word of the stack, results mixed into r0. */
const ATOMICS = [8, 4]
	.flatMap((bytes) => {
		const u = `u${bytes * 8}`;
		const at = `(${u} *)(r10 - 8)`;
		const r = bytes === 8 ? "r" : "w";
		const value = "r1 = 0x8070605040302011 ll";
		const mix = [`r2 = *(u64 *)(r10 - 8)`, "r6 *= 31", "r6 += r2", "r6 += r1", "r6 += r0"];
		const one = (...insns: string[]) => ["r0 = 0", value, ...insns, ...mix];
		return [
			...["+=", "|=", "&=", "^="].flatMap((op) => one(`lock *${at} ${op} ${r}1`)),
			...["add", "or", "and", "xor"].flatMap((op) => one(`${r}1 = atomic_fetch_${op}(${at}, ${r}1)`)),
			...one(`${r}1 = xchg(${at}, ${r}1)`),
			// one that fails and one that does not
			...one(`${r}0 = cmpxchg(${at}, ${r}0, ${r}1)`),
			...one("r0 = *(u64 *)(r10 - 8)", `${r}0 = cmpxchg(${at}, ${r}0, ${r}1)`),
		];
	})
	.join("\n");
const PROGRAM = `r6 = 7\nr1 = 0x1122334455667788 ll\n*(u64 *)(r10 - 8) = r1\n${ATOMICS}\nr0 = r6\nr6 >>= 32\nr0 ^= r6\nexit`;

const retval = (l: Loaded): number => {
	const r = l.p.run(l.fd, new Uint8Array(64));
	if (r.ret < 0) throw new Error(`run: ${r.ret}`);
	return r.retval >>> 0;
};

describe("atomics", () => {
	it("are single instructions with LSE, loops of exclusive loads and stores without; both do what the interpreter does", () => {
		const lse = load(PROGRAM, {});
		const llsc = load(PROGRAM, { lse_atomics: false });
		const interp = load(PROGRAM, {}, false);
		const names = (l: Loaded): Set<string> => new Set(l.code.flat().map((i) => i.split(" ")[0]!));
		for (const n of [
			"stadd",
			"stset",
			"stclr",
			"steor",
			"ldaddal",
			"ldsetal",
			"ldclral",
			"ldeoral",
			"swpal",
			"casal",
		])
			expect(names(lse)).toContain(n);
		expect([...names(lse)].filter((n) => /^(ldxr|ldaxr|stxr|stlxr|dmb)$/.test(n))).toEqual([]);
		for (const n of ["ldxr", "stxr", "stlxr", "dmb"]) expect(names(llsc)).toContain(n);
		expect([...names(llsc)].filter((n) => /^(st|ld)(add|set|clr|eor)|^(swp|cas)/.test(n))).toEqual([]);
		const want = retval(interp);
		expect([retval(lse), retval(llsc)]).toEqual([want, want]);
	});
});

/** capstone's names of the landing pads that branches and calls, and that branches may reach. */
const BTI_JC = "hint #0x26";
const BTI_J = "hint #0x24";
const CALLS = "r1 = 5\ncall twice\nr0 += 1\nexit\ntwice:\nr0 = r1\nr0 += r1\nexit";

describe("landing pads and signed return addresses", () => {
	it.each([
		{ bti: false, pac: false },
		{ bti: true, pac: false },
		{ bti: false, pac: true },
		{ bti: true, pac: true },
	])("BTI $bti, PAC $pac", ({ bti, pac }) => {
		const l = load(CALLS, { bti, pac });
		expect(l.code).toHaveLength(2);
		for (const code of l.code) {
			// the landing pad, the patchable pair, then the frame
			const entry = bti ? [BTI_JC] : [];
			const sign = pac ? ["paciasp"] : [];
			expect(code.slice(0, entry.length + sign.length + 3)).toEqual([
				...entry,
				"add x9, x30, #0",
				"nop",
				...sign,
				"stp x29, x30, [sp, #-0x10]!",
			]);
			const ret = code.indexOf("ret");
			expect(code[ret - 1]).toBe(pac ? "autiasp" : "add x0, x7, #0");
		}
		// tail calls land behind the prologue of a program, where a branch may
		expect(l.code[0]!.filter((i) => i === BTI_J)).toHaveLength(bti ? 1 : 0);
		expect(retval(l)).toBe(11);
	});
});

describe("per-CPU data", () => {
	it("is reached through tpidr_el1, and the CPU's number through sp_el0", () => {
		const kernel = boot({ arch: "arm64", cpu: "unicorn", cpus: 2, memory: 64 << 20 });
		const p = new Process(kernel);
		const map = p.map(U.BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, 1);
		const fill = new Uint8Array(16);
		fill[0] = 30;
		fill[8] = 50;
		expect(p.update(map, new Uint8Array(4), fill)).toBe(0);
		const source = `call 8\nr6 = r0\n*(u32 *)(r10 - 4) = 0\nr2 = r10\nr2 += -4\nr1 = 0 ll\ncall 1\nif r0 == 0 goto out\nr1 = *(u64 *)(r0 + 0)\nr6 += r1\nout:\nr0 = r6\nexit`;
		const insns = decode_insns(assemble(source).bytes);
		const ld = insns.findIndex((i) => i.code === 0x18);
		insns[ld]!.src_reg = U.BPF_PSEUDO_MAP_FD;
		insns[ld]!.imm = map;
		const fd = p.load(U.BPF_PROG_TYPE_SCHED_CLS, insns);
		const [prog] = [...kernel.bpf.progs.values()];
		const code = cs.disasm(prog!.image!, { address: 0 }).map((i) => `${i.mnemonic} ${i.opStr}`);
		expect(code).toContain("mrs x10, tpidr_el1");
		expect(code).toContain("mrs x10, sp_el0");
		expect(p.run(fd, new Uint8Array(64)).retval).toBe(30);
		p.sys.task.cpu = 1;
		expect(p.run(fd, new Uint8Array(64)).retval).toBe(51);
	});
});
