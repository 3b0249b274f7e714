// SPDX-License-Identifier: GPL-2.0-only
import { Capstone, Const, loadCapstone } from "capstone-wasm";
import { expect, test } from "vitest";
import { create_machine } from "../mm/machine.ts";
import { STUB_SOURCES, stubs_of } from "./stubs.ts";
import { assembler } from "./testing.ts";

test.each(["x86_64", "arm64"] as const)("what runs on %s is what keystone assembles", async (arch) => {
	const asm = await assembler(arch);
	const stubs = stubs_of(arch);
	for (const [name, text] of Object.entries(STUB_SOURCES[arch]))
		expect(stubs[name as keyof typeof stubs], name).toEqual(asm(text));
	const m = create_machine({ arch, cpus: 1, memory: 64 << 20 });
	try {
		const bytes = (va: number, n: number): number[] => [...m.mem.read(va, n)];
		const plain = m.text.define("plain");
		const traced = m.text.make_traceable("traced");
		const { stop, hook, trap } = stubs;
		expect(bytes(plain, stop.length)).toEqual(asm(STUB_SOURCES[arch].stop));
		expect(bytes(traced, hook.length + stop.length)).toEqual([...hook, ...stop]);
		expect(bytes(plain + 16 - trap.length, trap.length)).toEqual([...trap]);
	} finally {
		m.close();
	}
});

test("the bytes that keystone was given are the instructions that are meant", async () => {
	await loadCapstone();
	const text = (cs: Capstone, code: readonly number[]) =>
		cs.disasm(Uint8Array.from(code), { address: 0 }).map((i) => `${i.mnemonic} ${i.opStr}`.trim());
	const x86 = new Capstone(Const.CS_ARCH_X86, Const.CS_MODE_64);
	const arm64 = new Capstone(Const.CS_ARCH_ARM64, Const.CS_MODE_ARM);
	expect(text(x86, stubs_of("x86_64").hook)).toEqual(["endbr64", "nop dword ptr [rax + rax]"]);
	expect(text(x86, stubs_of("x86_64").sysret)).toEqual(["sysretq"]);
	expect(text(arm64, stubs_of("arm64").direct_call)).toEqual(["ldr x17, #8", "br x17"]);
	expect(text(arm64, stubs_of("arm64").dummy_tramp)).toEqual(["mov x10, x30", "mov x30, x9", "ret x10"]);
});
