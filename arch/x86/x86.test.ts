// SPDX-License-Identifier: GPL-2.0-only
import { afterEach, describe, expect, it } from "vitest";
import { create_machine, type Machine } from "../../mm/machine.ts";
import { PAGE_SIZE } from "../../virt/ram.ts";
import { KernelOops, PROT_KERNEL, PROT_KERNEL_RO, PROT_KERNEL_ROX, Stall } from "../arch.ts";
import { assembler, imm64 } from "../testing.ts";
import { parse_extable } from "./extable.ts";
import { call, framed, le } from "./testing.ts";

const asm = await assembler("x86_64");

let m: Machine;
let n = 0;
function machine(cpus = 1): Machine {
	m = create_machine({ arch: "x86_64", cpus, memory: 64 << 20 });
	return m;
}
function code(text: string): number {
	return m.text.define_code(`code_${n++}`, Uint8Array.from(asm(text)));
}
afterEach(() => m.close());

const LOAD = "mov rax, [rdi]; ret";
const STORE = "mov [rdi], rsi; ret";

function oops(fn: () => unknown): KernelOops {
	try {
		fn();
	} catch (e) {
		if (e instanceof KernelOops) return e;
		throw e;
	}
	throw new Error("no oops");
}

describe("calls", () => {
	it("pass arguments and results both ways, with every width and sign", () => {
		machine();
		const seen: unknown[] = [];
		const helper = m.text.define("helper", (cpu) => {
			seen.push(cpu.arg(0), cpu.argp(1), cpu.arg32(2), cpu.args32(3), cpu.arg(4), cpu.argp(5));
			return -2;
		});
		const f = code(framed(call(helper)));
		expect(m.run(0, f, [0xfedcba9876543210n, -0x778000000000, -1, -1, 5n, 2 ** 47])).toBe(
			0xfffffffffffffffen,
		);
		expect(seen).toEqual([0xfedcba9876543210n, -0x778000000000, 0xffffffff, -1, 5n, 2 ** 47]);
	});

	it("keep the return register when a handler returns nothing", () => {
		machine();
		const nothing = m.text.define("nothing", () => undefined);
		// mov rax,addr; call rax returns the address itself
		expect(m.run(0, code(framed(call(nothing))), [])).toBe(BigInt.asUintN(64, BigInt(nothing)));
	});

	it("nest: a handler runs machine code, and its caller's registers survive", () => {
		machine();
		let depth = 0;
		let deepest = 0;
		let f = 0;
		const rec = m.text.define("rec", (cpu) => {
			const k = cpu.argp(0);
			deepest = Math.max(deepest, ++depth);
			const r = k === 0 ? 0n : m.run(0, f, [k - 1]) + 1n;
			depth--;
			return r;
		});
		f = code(`push rbx; mov rbx, rdi; ${call(rec)}; add rax, rbx; pop rbx; ret`);
		// f(k) = k + rec(k), rec(k) = f(k - 1) + 1
		expect(m.run(0, f, [60])).toBe(BigInt((60 * 61) / 2 + 60));
		expect(deepest).toBe(61);
	});

	it("survive an oops below: the handler that catches it goes on", () => {
		machine();
		const load = code(LOAD);
		const guarded = m.text.define("guarded", () => {
			expect(() => m.run(0, load, [8])).toThrow(KernelOops);
			return 7;
		});
		const f = code(`push rbx; mov ebx, 35; ${call(guarded)}; add rax, rbx; pop rbx; ret`);
		expect(m.run(0, f, [])).toBe(42n);
	});

	it("pass JavaScript exceptions through machine code and leave the CPU usable", () => {
		machine();
		const bad = m.text.define("bad", () => {
			throw new TypeError("from a handler");
		});
		const f = code(framed(call(bad)));
		for (let i = 0; i < 3; i++) expect(() => m.run(0, f, [])).toThrow("from a handler");
		expect(m.run(0, code("mov eax, 1; ret"), [])).toBe(1n);
	});

	it("say which function is not ported", () => {
		machine();
		const f = code(framed(call(m.text.define("some_kernel_function"))));
		expect(() => m.run(0, f, [])).toThrow(/not ported.*some_kernel_function/);
		m.arch.on_call = (cpu, addr) => (addr === m.text.va("some_kernel_function") ? 3 : Number(cpu.id));
		expect(m.run(0, f, [])).toBe(3n);
	});

	it("jump: a handler can leave its caller for good", () => {
		machine();
		const landing = code("mov rax, rdi; add rsp, 16; ret"); // drops two slots
		const unwind = m.text.define("unwind", (cpu) => {
			cpu.set_reg(7, 99n);
			cpu.jump(landing);
		});
		expect(m.run(0, code(framed(`${call(unwind)}; ud2`)), [])).toBe(99n);
	});
});

describe("faults", () => {
	it("are oopses when nothing provides for them", () => {
		machine();
		const load = code(LOAD);
		const store = code(STORE);
		const nul = oops(() => m.run(0, load, [8]));
		expect(nul.message).toMatch(/^BUG: kernel NULL pointer dereference, address: 0000000000000008/);
		expect(nul.fault).toMatchObject({
			vector: 14,
			addr: 8,
			write: false,
			present: false,
			user: false,
			error_code: 0,
		});
		expect(nul.fault.pc).toBe(load);
		const wr = oops(() => m.run(0, store, [-0x370000000000, 1]));
		expect(wr.fault).toMatchObject({ addr: -0x370000000000, write: true, error_code: 2 });
		expect(wr.message).toMatch(/unable to handle page fault.*ffffc90000000000.*write access/);
		expect(oops(() => m.run(0, load, [0x4141414141414141n])).message).toMatch(/general protection fault/);
		expect(oops(() => m.run(0, 0, [])).fault).toMatchObject({ vector: 14, addr: 0, exec: true });
		expect(oops(() => m.run(0, code("ud2"), [])).message).toMatch(/invalid opcode/);
		expect(oops(() => m.run(0, code("int3"), [])).message).toMatch(/int3/);
	});

	it("stay single: an engine that is not told would turn the second into a double fault", () => {
		machine();
		const load = code(LOAD);
		for (let i = 1; i < 6; i++)
			expect(oops(() => m.run(0, load, [i])).fault).toMatchObject({ vector: 14, addr: i });
	});

	it("go through the exception table in BPF's format", () => {
		machine();
		const before = "mov eax, 5; mov ecx, 100";
		// the load clears rcx (pt_regs offset 88) and is skipped
		const f = code(`${before}; mov rcx, [rdi]; add rax, rcx; ret`);
		const insn = f + asm(before).length;
		const table_at = f + 0x1000;
		const bytes = Uint8Array.from([...le(insn - table_at, 4), ...le((88 << 8) | 3, 4), ...le(7, 4)]);
		const owner = {};
		m.arch.add_extable(owner, parse_extable(bytes, table_at));
		const p = m.slab.kzalloc(8, 0);
		m.mem.w64(p, 37n);
		expect(m.run(0, f, [p])).toBe(42n);
		for (const bad of [8n, 0x4141414141414141n, 0xffffc90000000000n]) expect(m.run(0, f, [bad])).toBe(5n);
		// DONT_CLEAR: the register keeps its value
		m.arch.add_extable(
			owner,
			parse_extable(Uint8Array.from([...bytes.subarray(0, 4), ...le((1 << 8) | 3, 4), 7, 0, 0, 0]), table_at),
		);
		expect(m.run(0, f, [8])).toBe(105n);
		m.arch.remove_extable(owner);
		expect(() => m.run(0, f, [8])).toThrow(KernelOops);
	});

	it("refuse what a guest page does not allow", () => {
		machine();
		const va = m.vmalloc.vzalloc(PAGE_SIZE);
		const load = code(LOAD);
		const store = code(STORE);
		m.run(0, store, [va, 0x1234]);
		expect(m.mem.r64(va)).toBe(0x1234n);
		// NX
		expect(oops(() => m.run(0, va, [])).fault).toMatchObject({ exec: true, present: true, error_code: 0x11 });
		// WP: the kernel's own writes respect read-only pages
		m.vmalloc.set_memory(va, 1, PROT_KERNEL_RO);
		expect(m.run(0, load, [va])).toBe(0x1234n);
		expect(oops(() => m.run(0, store, [va, 1])).fault).toMatchObject({
			write: true,
			present: true,
			error_code: 3,
		});
		expect(() => m.mem.w32(va, 1)).toThrow(/protection fault/);
		m.vmalloc.set_memory(va, 1, PROT_KERNEL);
		m.run(0, store, [va, 2]);
		expect(m.mem.r32(va)).toBe(2);
		// the guard page after the area, also for an access that crosses into it
		expect(oops(() => m.run(0, load, [va + PAGE_SIZE - 4])).fault).toMatchObject({ addr: va + PAGE_SIZE });
		expect(() => m.mem.r64(va + PAGE_SIZE - 4)).toThrow(/not present/);
		m.vmalloc.vfree(va);
		expect(oops(() => m.run(0, load, [va])).fault).toMatchObject({ present: false });
		expect(() => m.mem.r8(va)).toThrow(/not present/);
	});

	it("stop a kernel stack at its guard page", () => {
		machine();
		const f = code("f: sub rsp, 1024; call f");
		const o = oops(() => m.run(0, f, []));
		expect(o.fault).toMatchObject({ vector: 14, write: true, present: false });
		expect(m.run(0, code("mov eax, 1; ret"), [])).toBe(1n);
	});
});

describe("mappings", () => {
	it("show one page at two addresses", () => {
		machine();
		const a = m.vmalloc.vzalloc(PAGE_SIZE);
		const pfn = m.vmalloc.vmalloc_to_page(a);
		const b = m.vmalloc.vmap([pfn, pfn]);
		const store = code(STORE);
		const load = code(LOAD);
		m.run(0, store, [b, 0x1122334455667788n]);
		expect(m.run(0, load, [b + PAGE_SIZE])).toBe(0x1122334455667788n);
		expect(m.mem.r64(a)).toBe(0x1122334455667788n);
		expect(m.mem.r64(m.pages.page_to_virt(pfn))).toBe(0x1122334455667788n);
		// across the seam the last bytes and the first are neighbours
		m.run(0, store, [b + PAGE_SIZE - 4, 0xaabbccdd00112233n]);
		expect(m.mem.r32(a)).toBe(0xaabbccdd);
		expect(m.mem.r32(a + PAGE_SIZE - 4)).toBe(0x00112233);
		m.vmalloc.vunmap(b);
		m.vmalloc.vfree(a);
	});

	it("let new code take the place of old code", () => {
		machine(2);
		const image = m.modules.__vmalloc(PAGE_SIZE, 0, PROT_KERNEL_ROX);
		const ret = (v: number) => Uint8Array.from(asm(`mov eax, ${v}; ret`));
		for (let i = 1; i < 6; i++) {
			m.text_poke(image, ret(i));
			for (let cpu = 0; cpu < 2; cpu++)
				for (let k = 0; k < 3; k++) expect(m.run(cpu, image, [])).toBe(BigInt(i));
		}
		// the same address with another page behind it
		m.modules.vfree(image);
		expect(() => m.run(0, image, [])).toThrow(KernelOops);
		const other = m.modules.__vmalloc(PAGE_SIZE, 0, PROT_KERNEL_ROX);
		expect(other).toBe(image);
		m.text_poke(other, ret(77));
		for (let cpu = 0; cpu < 2; cpu++) expect(m.run(cpu, other, [])).toBe(77n);
	});

	it("let new code written through another mapping be seen after a flush", () => {
		machine();
		const image = m.modules.__vmalloc(PAGE_SIZE, 0, PROT_KERNEL_ROX);
		const direct = m.pages.page_to_virt(m.modules.vmalloc_to_page(image));
		m.mem.write(direct, Uint8Array.from(asm("mov eax, 1; ret")));
		m.arch.flush_icache(image, image + 6);
		expect(m.run(0, image, [])).toBe(1n);
		m.mem.write(direct, Uint8Array.from(asm("mov eax, 2; ret")));
		m.arch.flush_icache_all();
		expect(m.run(0, image, [])).toBe(2n);
		// guest stores to a page with code are noticed by the engine itself
		m.run(0, code("mov byte ptr [rdi + 1], 3; ret"), [direct]);
		expect(m.run(0, image, [])).toBe(3n);
	});
});

describe("limits", () => {
	it("report a loop by time", () => {
		machine();
		m.arch.cpus[0]!.stall_ms = 300;
		const t = performance.now();
		expect(() => m.run(0, code("again: jmp again"), [])).toThrow(Stall);
		expect(performance.now() - t).toBeLessThan(5000);
		expect(m.run(0, code("mov eax, 1; ret"), [])).toBe(1n);
	});

	it("report a loop whose time goes into handlers", () => {
		machine();
		m.arch.cpus[0]!.stall_ms = 300;
		const spin = m.text.define("spin", () => 0);
		expect(() => m.run(0, code(`push rax; again: ${call(spin)}; jmp again`), [])).toThrow(Stall);
	});

	it("do not make loads and stores happen twice in what runs long", () => {
		machine();
		// rax counts in memory, rdx in a register; rcx goes through a chain of pointers
		const f = code(
			"sub rsp, 24; mov qword ptr [rsp], 0; xor edx, edx; mov [rsp + 8], rsp;" +
				"again: inc qword ptr [rsp]; inc rdx; lea rcx, [rsp + 8]; mov rcx, [rcx]; mov rcx, [rcx]; dec rdi; jnz again;" +
				"mov rax, [rsp]; sub rdx, rax; shl rdx, 40; add rax, rdx; add rsp, 24; ret",
		);
		for (let i = 0; i < 10; i++) expect(m.run(0, f, [10_000_000])).toBe(10_000_000n);
	});

	it("do not disturb what runs longer than a tick", () => {
		machine();
		const f = code("mov ecx, 400000000; again: dec ecx; jnz again; mov eax, 9; ret");
		expect(m.run(0, f, [])).toBe(9n);
	});

	it("do not disturb what is in the middle of an instruction", () => {
		machine();
		// an addition to memory, executed twice, would show
		const f = code(
			"xor ecx, ecx; again: add dword ptr [rdi], 1; lock add dword ptr [rdi + 4], 1; inc ecx; cmp ecx, esi; jb again; " +
				"mov rax, qword ptr [rdi]; ret",
		);
		const at = m.arch.layout.direct_map + (32 << 20);
		const t = performance.now();
		for (let n = 0; performance.now() - t < 1500; ) {
			n += 20_000_000;
			expect(m.run(0, f, [at, 20_000_000])).toBe((BigInt(n) << 32n) | BigInt(n));
		}
	});

	it("count instructions exactly, over calls and over code translated without a count", () => {
		machine();
		const cpu = m.arch.cpus[0]!;
		const id = m.text.define("id", (c) => c.argp(0));
		const f = code(framed(`${call(id)}; nop; nop`));
		m.run(0, f, [1]);
		cpu.insn_budget = 1000;
		expect(m.run(0, f, [5])).toBe(5n);
		// sub, mov, call, hlt | ret, nop, nop, add, ret, hlt
		expect(cpu.insn_budget).toBe(1000 - 10);
		const loop = code("again: jmp again");
		expect(() => m.run(0, loop, [])).toThrow(/budget/);
		expect(cpu.insn_budget).toBe(0);
		expect(() => m.run(0, f, [5])).toThrow(/budget/);
		cpu.insn_budget = Number.POSITIVE_INFINITY;
		expect(m.run(0, f, [6])).toBe(6n);
	});

	it("trace every instruction, code translated before included", () => {
		machine();
		const f = code("nop; mov eax, 4; ret");
		expect(m.run(0, f, [])).toBe(4n);
		const pcs: number[] = [];
		m.arch.cpus[0]!.trace = (pc) => pcs.push(pc);
		m.run(0, f, []);
		m.arch.cpus[0]!.trace = null;
		m.run(0, f, []);
		expect(pcs).toEqual([f, f + 1, f + 6, m.text.va("__bpf_mirror_return")]);
	});
});

describe("CPUs", () => {
	it("have their own percpu base, number and stack, on one RAM", () => {
		machine(4);
		const off = m.text.va("this_cpu_off");
		const f = code(`mov rax, gs:[${imm64(off)}]; ret`);
		const g = code(`mov eax, gs:[${imm64(m.text.va("pcpu_hot") + 12)}]; ret`);
		const p = m.percpu.alloc_percpu(8);
		const inc = code("inc qword ptr gs:[rdi]; ret");
		for (let cpu = 0; cpu < 4; cpu++) {
			expect(m.run(cpu, f, [])).toBe(BigInt.asUintN(64, BigInt(m.arch.per_cpu_offset(cpu))));
			expect(m.run(cpu, g, [])).toBe(BigInt(cpu));
			for (let i = 0; i <= cpu; i++) m.run(cpu, inc, [p]);
		}
		for (let cpu = 0; cpu < 4; cpu++) expect(m.mem.r64(m.percpu.per_cpu_ptr(p, cpu))).toBe(BigInt(cpu + 1));
		m.percpu.free_percpu(p);
	});

	it("run into each other's calls: a handler on one CPU runs code on another", () => {
		machine(2);
		const other = m.text.define("other", (cpu) => m.run(1, m.text.va("sum"), [cpu.argp(0), 1]));
		m.text.define_code("sum", Uint8Array.from(asm("lea rax, [rdi + rsi]; ret")));
		expect(m.run(0, code(framed(call(other))), [41])).toBe(42n);
	});
});

describe("symbols", () => {
	it("are found by name and address", () => {
		machine();
		const a = m.text.define("alpha", () => 1);
		const b = m.text.define("beta");
		const d = m.text.define_data("gamma", 100, 64);
		expect(m.text.define("alpha")).toBe(a);
		expect(m.text.addr("beta")).toBe(BigInt.asUintN(64, BigInt(b)));
		expect(m.text.lookup(BigInt.asUintN(64, BigInt(a + 3)))).toEqual({ name: "alpha", offset: 3n });
		expect(m.text.lookup(BigInt.asUintN(64, BigInt(d + 99)))).toEqual({ name: "gamma", offset: 99n });
		expect(m.text.lookup(BigInt.asUintN(64, BigInt(d + 100)))).toBeUndefined();
		expect(m.text.addr("delta")).toBeUndefined();
		expect(d % 64).toBe(-0);
		m.mem.w32(d, 5);
		expect(m.mem.r32(d)).toBe(5);
		m.text.add("bpf_prog_x", -0x5fff0000, 16);
		expect(m.text.lookup(0xffffffffa0010004n)).toEqual({ name: "bpf_prog_x", offset: 4n });
		m.text.remove(-0x5fff0000);
		expect(m.text.lookup(0xffffffffa0010004n)).toBeUndefined();
		expect(m.text.addr("bpf_prog_x")).toBeUndefined();
		expect(m.text.addr("__bpf_call_base")).toBeDefined();
	});
});
