// SPDX-License-Identifier: GPL-2.0-only
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { GFP_KERNEL } from "../../mm/gfp.ts";
import { MachineKmem } from "../../mm/kmem.ts";
import { create_machine, type Machine } from "../../mm/machine.ts";
import { PAGE_SIZE } from "../../virt/ram.ts";
import { type Fault, KernelOops, PROT_KERNEL_RO, PROT_KERNEL_ROX, Stall } from "../arch.ts";
import { assembler } from "../testing.ts";
import { LSE, st_op } from "./lib/insn.ts";

let m: Machine;
let n = 0;
beforeEach(() => {
	m = create_machine({ arch: "arm64", cpus: 2, memory: 64 << 20 });
});
afterEach(() => m.close());

const asm = await assembler("arm64");
const bytes = (text: string): Uint8Array => Uint8Array.from(asm(text));
const code = (text: string): number => m.text.define_code(`code_${n++}`, bytes(text));
/** 64 bits into a register. */
function mov(r: string, v: number): string {
	const part = (i: number) => (BigInt.asUintN(64, BigInt(v)) >> BigInt(16 * i)) & 0xffffn;
	const movk = [1, 2, 3].map((i) => `movk ${r}, #${part(i)}, lsl #${16 * i}`);
	return [`movz ${r}, #${part(0)}`, ...movk].join("; ");
}
const call = (addr: number): string =>
	`stp x29, x30, [sp, #-16]!; ${mov("x9", addr)}; blr x9; ldp x29, x30, [sp], #16; ret`;
const LOAD = "ldr x0, [x0]; ret";
const STORE = "str x1, [x0]; ret";

function fault(fn: () => unknown): Fault {
	try {
		fn();
	} catch (e) {
		if (e instanceof KernelOops) return e.fault;
		throw e;
	}
	throw new Error("no oops");
}

describe("an arm64 machine", () => {
	it("calls and is called, nested, on several CPUs", () => {
		const f = { at: 0 };
		const rec = m.text.define("rec", (cpu) => {
			const k = cpu.argp(0);
			return k === 0 ? 0 : Number(m.run(1 - cpu.id, f.at, [k - 1])) + 1;
		});
		f.at = code(call(rec));
		expect(m.run(0, f.at, [20])).toBe(20n);
		const seen: bigint[] = [];
		const args = m.text.define("args", (cpu) => {
			for (let i = 0; i < 6; i++) seen.push(cpu.arg(i));
			expect(cpu.caller).toBe(g + 6 * 4);
			return -1;
		});
		const g = code(call(args));
		expect(m.run(0, g, [1, -1, 2 ** 40, 0xffffffffffffffffn, 5, 6])).toBe(0xffffffffffffffffn);
		expect(seen).toEqual([1n, 0xffffffffffffffffn, 2n ** 40n, 0xffffffffffffffffn, 5n, 6n]);
	});

	it("has images in reach of bl from the text", () => {
		const image = m.modules.__vmalloc(PAGE_SIZE, GFP_KERNEL, PROT_KERNEL_ROX);
		const stub = m.text.define("near");
		expect(image - stub).toBeGreaterThan(0);
		expect(image - stub).toBeLessThan(128 << 20);
	});

	it("reports faults, and mends those an exception table has", () => {
		const load = code(LOAD);
		const store = code(STORE);
		for (let i = 8; i < 12; i++)
			expect(fault(() => m.run(0, load, [i]))).toMatchObject({
				page_fault: true,
				addr: i,
				write: false,
				present: false,
				user: false,
				pc: load,
			});
		expect(fault(() => m.run(0, store, [-4096, 1]))).toMatchObject({ addr: -4096, write: true, exec: false });
		expect(() => m.run(0, load, [8])).toThrow(/NULL pointer dereference at virtual address 0000000000000008/);
		expect(fault(() => m.run(0, 0, []))).toMatchObject({ addr: 0, exec: true });
		expect(() => m.run(0, code("brk #0"), [])).toThrow(/BRK/);
		expect(() => m.run(0, m.text.define_code("udf", new Uint8Array(4)), [])).toThrow(/Undefined instruction/);
		// the fixup word: clear x0, go on after the access
		m.arch.add_extable(m, [m.arch.bpf_extable_entry(load, (0 << 27) | 16)]);
		expect(m.run(0, load, [8])).toBe(0n);
		m.arch.add_extable(m, [m.arch.bpf_extable_entry(load, ((5 << 27) | 16) >>> 0)]);
		expect(m.run(0, load, [8])).toBe(8n);
		m.arch.remove_extable(m);
		expect(() => m.run(0, load, [8])).toThrow(KernelOops);
	});

	it("keeps the rights of pages, and sees new code", () => {
		const va = m.vmalloc.vzalloc(PAGE_SIZE);
		const load = code(LOAD);
		const store = code(STORE);
		m.run(0, store, [va, 7]);
		m.vmalloc.set_memory(va, 1, PROT_KERNEL_RO);
		expect(m.run(0, load, [va])).toBe(7n);
		expect(fault(() => m.run(0, store, [va, 8]))).toMatchObject({ present: true, write: true });
		expect(fault(() => m.run(0, va, []))).toMatchObject({ present: true, exec: true });
		m.vmalloc.vfree(va);
		expect(fault(() => m.run(0, load, [va]))).toMatchObject({ present: false });
		const image = m.modules.__vmalloc(PAGE_SIZE, 0, PROT_KERNEL_ROX);
		for (let i = 1; i < 5; i++) {
			m.text_poke(image, bytes(`mov x0, #${i}; ret`));
			for (const cpu of [0, 1]) expect(m.run(cpu, image, [])).toBe(BigInt(i));
		}
		m.modules.vfree(image);
	});

	it("has percpu bases, current, and atomics on percpu memory", () => {
		const p = m.percpu.alloc_percpu(8);
		// an LSE atomic is younger than the assembler: stadd x1, [x0]
		const stadd = `.word 0x${st_op(1, LSE.ADD, 0, 1).toString(16)}`;
		const f = code(`mrs x9, tpidr_el1; add x0, x0, x9; mov x1, #1; ${stadd}; ldr x0, [x0]; ret`);
		for (let i = 1; i < 4; i++) for (const cpu of [0, 1]) expect(m.run(cpu, f, [p])).toBe(BigInt(i));
		expect(m.mem.r64(m.percpu.per_cpu_ptr(p, 1))).toBe(3n);
		m.arch.set_current(0, 0x1234000);
		expect(m.run(0, code("mrs x0, sp_el0; ret"), [])).toBe(0x1234000n);
		m.percpu.free_percpu(p);
	});

	it("executes loads and stores once in what runs long", () => {
		// x1 counts in memory, x2 in a register; x3 goes through a chain of pointers
		const f = code(
			"sub sp, sp, #16; str xzr, [sp]; mov x2, #0; mov x3, sp; str x3, [sp, #8];" +
				"again: ldr x1, [sp]; add x1, x1, #1; str x1, [sp]; add x2, x2, #1;" +
				"add x3, sp, #8; ldr x3, [x3]; ldr x3, [x3]; subs x0, x0, #1; b.ne again;" +
				"ldr x0, [sp]; sub x1, x2, x0; add x0, x0, x1, lsl #40; add sp, sp, #16; ret",
		);
		for (let i = 0; i < 10; i++) expect(m.run(0, f, [10_000_000])).toBe(10_000_000n);
	});

	it("ends loops by time and by count", () => {
		const cpu = m.arch.cpus[0]!;
		cpu.stall_ms = 300;
		expect(() => m.run(0, code("again: b again"), [])).toThrow(Stall);
		const id = m.text.define("id", (c) => c.argp(0));
		const f = code(call(id));
		m.run(0, f, [1]);
		cpu.insn_budget = 100;
		m.run(0, f, [1]);
		// stp, four moves, blr, wfi; ldp, ret, wfi
		expect(cpu.insn_budget).toBe(90);
		expect(() => m.run(0, code("again: b again"), [])).toThrow(/budget/);
	});

	it("is not disturbed by the watchdog in the middle of an instruction", () => {
		// a load into its own base, on a new page each time: executed again, it would go astray
		const f = code(
			"mov x2, #0; mov x3, #0; again: and x4, x3, #0xfff; lsl x4, x4, #12; add x5, x0, x4; ldr x5, [x5]; " +
				"cmp x5, #0; b.eq next; add x2, x2, #100; next: add x2, x2, #1; add x3, x3, #1; cmp x3, x1; b.lo again; mov x0, x2; ret",
		);
		const t = performance.now();
		let rounds = 0;
		for (; performance.now() - t < 1000; rounds++)
			expect(m.run(0, f, [m.arch.layout.direct_map + (32 << 20), 3_000_000])).toBe(3_000_000n);
		expect(rounds).toBeGreaterThan(0);
	});

	it("runs user code apart from the kernel", () => {
		const k = new MachineKmem(m, { cur_cpu: () => 0 });
		const base = m.pages_in_use();
		const mm = k.new_mm();
		const text = mm.mmap(0, PAGE_SIZE, 7, 0x22, null, 0);
		const stack = mm.mmap(0, 2 * PAGE_SIZE, 3, 0x22, null, 0);
		mm.write(text, bytes("mov x8, #5; svc #0; str x0, [sp, #-16]!; svc #0; brk #0; ldr x0, [x1]"));
		const regs = m.arch.new_user_regs();
		const add = code("add x0, x0, x1; ret");
		for (const cpu of [0, 1]) {
			regs.pc = text;
			regs.tls = 0x5555000;
			regs.gpr[31] = BigInt(stack + 2 * PAGE_SIZE);
			expect(m.arch.run_user(cpu, mm.table, regs)).toEqual({ kind: "syscall", nr: 5 });
			expect(regs.pc).toBe(text + 8);
			regs.gpr[0] = BigInt(77 + cpu);
			expect(m.run(cpu, add, [40, 2])).toBe(42n);
			expect(m.arch.run_user(cpu, mm.table, regs)).toEqual({ kind: "syscall", nr: 5 });
			expect(mm.user.r32(stack + 2 * PAGE_SIZE - 16)).toBe(77 + cpu);
			expect(regs.tls).toBe(0x5555000);
			expect(m.arch.run_user(cpu, mm.table, regs)).toMatchObject({ kind: "trap" });
			regs.pc = text + 20;
			regs.gpr[1] = BigInt(m.pages.direct_map + PAGE_SIZE);
			expect(m.arch.run_user(cpu, mm.table, regs)).toMatchObject({
				kind: "fault",
				fault: { user: true, write: false },
			});
			regs.pc = text + 20;
			regs.gpr[1] = 0x1234n;
			expect(m.arch.run_user(cpu, mm.table, regs)).toMatchObject({
				kind: "fault",
				fault: { user: true, addr: 0x1234 },
			});
			// PAN, PXN
			m.arch.switch_table(cpu, mm.table);
			expect(fault(() => m.run(cpu, code(LOAD), [stack + 2 * PAGE_SIZE - 16]))).toMatchObject({
				present: true,
			});
			expect(fault(() => m.run(cpu, text, []))).toMatchObject({ present: true, exec: true });
		}
		mm.exit();
		expect(m.pages_in_use()).toBe(base);
	});
});
