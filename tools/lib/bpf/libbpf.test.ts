// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, it } from "vitest";
import { get_insn, insn_code, insn_imm, insn_src } from "./insn.ts";
import {
	bpf_map__set_autocreate,
	bpf_map__set_max_entries,
	type bpf_object,
	bpf_object__close,
	bpf_object__find_map_by_name,
	bpf_object__find_program_by_name,
	bpf_object__load,
	bpf_object__open_mem,
	bpf_object__programs,
	bpf_program__set_autoload,
} from "./libbpf.ts";
import { object_bytes, test_process } from "./testing.ts";

const CALL = 0x85;
const PSEUDO_CALL = 1;

function open(p = test_process()): { p: ReturnType<typeof test_process>; obj: bpf_object } {
	const obj = bpf_object__open_mem(p.lib, object_bytes("test_libbpf"), { object_name: "test_libbpf" });
	if (typeof obj === "number") throw new Error(`open: ${obj} ${p.said.join("")}`);
	return { p, obj };
}

/** Loads one program alone; what BPF_PROG_LOAD was given for it. */
function load(name: string) {
	const { p, obj } = open();
	for (const prog of bpf_object__programs(obj)) bpf_program__set_autoload(prog, prog.name === name);
	const err = bpf_object__load(obj);
	const prog = bpf_object__find_program_by_name(obj, name)!;
	return { ...p, obj, prog, err, load: p.sys.loads.at(-1)! };
}

/** Indices of the instructions of a kind of call. */
function calls(insns: Uint8Array, src: number): number[] {
	const out: number[] = [];
	for (let i = 0; i < insns.length / 8; i++)
		if (insn_code(insns, i) === CALL && insn_src(insns, i) === src) out.push(i);
	return out;
}

describe("programs", () => {
	it("come in the order of their sections, with what the section's name says", () => {
		const { obj } = open();
		const found = bpf_object__programs(obj).map((p) => [p.name, p.sec_name, p.autoload, p.type]);
		expect(found).toEqual([
			["calls", "raw_tp/sys_enter", true, 17],
			["callbacks", "tc", false, 3],
			["externs", "syscall", false, 31],
			["core", "raw_tp", false, 17],
			["core_gone", "raw_tp", false, 17],
			["uses_maps", "xdp.frags", false, 6],
		]);
	});

	it("get each subprogram once, behind the main program, in the order of first use", () => {
		const { load: l, prog } = load("calls");
		// calls: 14, hidden: 4, middle: 14, leaf: 6
		expect(prog.insns.length / 8).toBe(14 + 4 + 14 + 6);
		const targets = calls(l.insns, PSEUDO_CALL).map((i) => i + 1 + insn_imm(l.insns, i));
		const [hidden, middle, leaf] = [14, 18, 32];
		expect(targets).toEqual([hidden, leaf, middle, middle, leaf, leaf]);
		expect(l.func_info_cnt).toBe(4);
		expect(l.line_info_cnt).toBeGreaterThan(4);
	});

	it("have function and line records renumbered to where the subprograms went", () => {
		const { prog } = load("calls");
		const dv = new DataView(prog.func_info!.buffer, prog.func_info!.byteOffset);
		const offs = Array.from({ length: prog.func_info_cnt }, (_, i) =>
			dv.getUint32(i * prog.func_info_rec_size, true),
		);
		expect(offs).toEqual([0, 14, 18, 32]);
		const lv = new DataView(prog.line_info!.buffer, prog.line_info!.byteOffset);
		let last = -1;
		for (let i = 0; i < prog.line_info_cnt; i++) {
			const off = lv.getUint32(i * prog.line_info_rec_size, true);
			expect(off).toBeGreaterThan(last);
			last = off;
		}
		expect(last).toBeLessThan(prog.insns.length / 8);
	});

	it("load addresses of callbacks as BPF_PSEUDO_FUNC, relative to the instruction", () => {
		const { load: l } = load("callbacks");
		const at = 1;
		expect(get_insn(l.insns, at)).toMatchObject({ code: 0x18, src_reg: 4 });
		// callback lies at 8, leaf behind it
		expect(at + 1 + insn_imm(l.insns, at)).toBe(8);
		expect(l.insns.length / 8).toBe(8 + 11 + 6);
	});

	it("that nobody asks for are not loaded", () => {
		const { p, obj } = open();
		expect(bpf_object__load(obj)).toBe(0);
		expect(p.sys.loads.map((l) => l.name)).toEqual(["calls"]);
	});

	it("of xdp.frags ask for BPF_F_XDP_HAS_FRAGS, syscall programs for BPF_F_SLEEPABLE", () => {
		expect(load("uses_maps").load.prog_flags).toBe(1 << 5);
		expect(load("externs").load.prog_flags).toBe(1 << 4);
		expect(load("calls").load.prog_flags).toBe(0);
	});
});

describe("externs", () => {
	it("of the configuration, the version and kallsyms get their values", () => {
		const { obj, load: l, err } = load("externs");
		expect(err).toBe(0);
		const kconfig = obj.maps[obj.kconfig_map_idx]!;
		const at = (name: string): number => obj.externs.find((e) => e.name === name)!.kcfg.data_off;
		const dv = new DataView(kconfig.init_data!.buffer);
		expect(dv.getInt32(at("LINUX_KERNEL_VERSION"), true)).toBe((6 << 16) + (12 << 8) + 95);
		expect(dv.getUint8(at("CONFIG_BPF_SYSCALL"))).toBe(1);
		expect(dv.getInt32(at("CONFIG_HZ"), true)).toBe(250);
		expect(dv.getInt32(at("CONFIG_NOT_THERE"), true)).toBe(0);
		const name = kconfig.init_data!.subarray(at("CONFIG_DEFAULT_HOSTNAME"));
		expect(Buffer.from(name.subarray(0, 7)).toString("latin1")).toBe("(none)\0");
		// some_symbol, then missing_symbol
		expect(insn_imm(l.insns, 26) >>> 0).toBe(0x82345678);
		expect(insn_imm(l.insns, 27)).toBe(-1);
		expect([insn_imm(l.insns, 28), insn_imm(l.insns, 29)]).toEqual([0, 0]);
	});

	it("are laid out by falling alignment, then by size and name", () => {
		const { obj } = open();
		expect(obj.externs.filter((e) => e.type === 1).map((e) => [e.name, e.kcfg.data_off])).toEqual([
			["CONFIG_HZ", 0],
			["CONFIG_NOT_THERE", 4],
			["LINUX_KERNEL_VERSION", 8],
			["CONFIG_BPF_SYSCALL", 12],
			["CONFIG_DEFAULT_HOSTNAME", 13],
		]);
	});

	it("that are kfuncs become calls by BTF id; weak ones that are missing are poisoned", () => {
		const { load: l, obj } = load("externs");
		const idx = obj.externs.findIndex((e) => e.name === "missing_kfunc");
		const [known] = calls(l.insns, 2);
		expect(get_insn(l.insns, known!)).toMatchObject({ imm: 5, off: 0 });
		expect(calls(l.insns, 0).map((i) => insn_imm(l.insns, i))).toEqual([2002000000 + idx]);
	});

	it("that must be there and are not end the load", () => {
		const p = test_process();
		p.sys.files.set("/proc/kallsyms", Buffer.from("ffffffff81000000 T _stext\n"));
		const { obj } = open(p);
		expect(bpf_object__load(obj)).toBe(-3);
		expect(p.said).toEqual([
			"libbpf: extern 'some_symbol' (strong): not resolved\n",
			"libbpf: failed to load object 'test_libbpf'\n",
		]);
	});

	it("that stand twice in kallsyms are ambiguous", () => {
		const p = test_process();
		p.sys.files.set(
			"/proc/kallsyms",
			Buffer.from("0000000000000010 T some_symbol\n0000000000000020 t some_symbol\n"),
		);
		const { obj } = open(p);
		expect(bpf_object__load(obj)).toBe(-22);
		expect(p.said[0]).toBe("libbpf: extern (ksym) 'some_symbol': resolution is ambiguous: 0x10 or 0x20\n");
	});
});

describe("CO-RE", () => {
	it("moves members and enumerators to where the kernel has them", () => {
		const { load: l } = load("core");
		const loads = Array.from({ length: l.insns.length / 8 }, (_, i) => get_insn(l.insns, i)).filter(
			(i) => i.code === 0x61,
		);
		expect(loads.map((i) => i.off).sort((a, b) => a - b)).toEqual([8, 16]);
		const imms = Array.from({ length: l.insns.length / 8 }, (_, i) => insn_imm(l.insns, i));
		expect(imms).toContain(41);
	});

	it("poisons an access to what the kernel does not have", () => {
		const { load: l } = load("core_gone");
		expect(get_insn(l.insns, 0)).toEqual({ code: CALL, dst_reg: 0, src_reg: 0, off: 0, imm: 195896080 });
	});
});

describe("maps", () => {
	it("have every attribute of their declaration", () => {
		const { obj } = open();
		const of = (name: string) => bpf_object__find_map_by_name(obj, name)!;
		expect(of("first").def).toEqual({ type: 2, key_size: 4, value_size: 8, max_entries: 4, map_flags: 0 });
		expect(of("sized")).toMatchObject({
			def: { type: 1, key_size: 12, value_size: 20, max_entries: 7, map_flags: 1 },
			numa_node: 1,
			map_extra: 9n,
			btf_key_type_id: 0,
		});
		expect(of("outer").inner_map!.def).toEqual({
			type: 2,
			key_size: 4,
			value_size: 8,
			max_entries: 4,
			map_flags: 0,
		});
		expect(of("outer").init_slots.map((m) => m?.name ?? null)).toEqual(["first", null, "second"]);
		// ring buffers are a power of two of pages
		expect(of("rb").def.max_entries).toBe(8192);
		bpf_map__set_max_entries(of("rb"), 4096);
		expect(of("rb").def.max_entries).toBe(4096);
	});

	it("of data sections are named after object and section, and can be mapped when they hold globals", () => {
		const { obj } = open();
		const internal = obj.maps
			.filter((m) => m.real_name)
			.map((m) => [m.name, m.def.map_flags, m.def.value_size]);
		const [MMAPABLE, RDONLY_PROG] = [1 << 10, 1 << 7];
		expect(internal).toEqual([
			["test_lib.rodata", RDONLY_PROG | MMAPABLE, 4],
			["test_lib.data", MMAPABLE, 4],
			["test_lib.bss", MMAPABLE, 16],
			["test_li.kconfig", RDONLY_PROG | MMAPABLE, 21],
		]);
		expect(bpf_object__find_map_by_name(obj, ".bss")!.name).toBe("test_lib.bss");
	});

	it("are loaded by descriptor, data with its offset", () => {
		const { load: l, sys, prog } = load("calls");
		for (const { insn_idx, map } of prog.map_fd_insns) {
			expect(insn_imm(l.insns, insn_idx)).toBeGreaterThan(0);
			expect(sys.map_name(insn_imm(l.insns, insn_idx))).toBe(map.name);
		}
		const [limit] = prog.map_fd_insns;
		expect(get_insn(l.insns, limit!.insn_idx)).toMatchObject({ code: 0x18, src_reg: 2 });
		expect(limit!.map.name).toBe("test_lib.rodata");
	});

	it("that are not made leave a call that the log explains", () => {
		const { p, obj } = open();
		for (const prog of bpf_object__programs(obj)) bpf_program__set_autoload(prog, prog.name === "uses_maps");
		const first = bpf_object__find_map_by_name(obj, "second")!;
		expect(bpf_map__set_autocreate(bpf_object__find_map_by_name(obj, "outer")!, false)).toBe(0);
		expect(first.autocreate).toBe(true);
		expect(bpf_object__load(obj)).toBe(0);
		const { insns } = p.sys.loads.at(-1)!;
		const idx = obj.maps.findIndex((m) => m.name === "outer");
		const poisoned = calls(insns, 0).filter((i) => insn_imm(insns, i) === 2001000000 + idx);
		expect(poisoned.length).toBe(2);
		expect(bpf_map__set_autocreate(first, false)).toBe(-16);
	});

	it("and programs are closed with the object", () => {
		const { p, obj } = open();
		expect(bpf_object__load(obj)).toBe(0);
		expect(p.sys.open_fds()).toBeGreaterThan(5);
		bpf_object__close(obj);
		expect(p.sys.open_fds()).toBe(0);
	});
});

it("an object is loaded once", () => {
	const { p, obj } = open();
	expect(bpf_object__load(obj)).toBe(0);
	expect(bpf_object__load(obj)).toBe(-22);
	expect(p.said).toEqual(["libbpf: object 'test_libbpf': load can't be attempted twice\n"]);
});
