// SPDX-License-Identifier: GPL-2.0-only
/** The state-embedding check finds what it is there for: values that the verifier did not expect. */
import { describe, expect, it } from "vitest";
import * as U from "../../../include/uapi/linux/bpf.ts";
import { Asm } from "./asm.ts";
import { Subject } from "./fuzz.ts";
import type { FuzzProgram } from "./gen.ts";

function program(write: (a: Asm) => void): FuzzProgram {
	const a = new Asm();
	write(a);
	return {
		type: U.BPF_PROG_TYPE_SOCKET_FILTER,
		privilege: "root",
		insns: a.bytes(),
		maps: 0,
		input: new Uint8Array(64),
		wild: false,
	};
}

const interpreter = (): Subject =>
	new Subject({
		cpus: 1,
		memory: 64 << 20,
		cpu: "none",
		config: { bpf_jit_enable: false, bpf_jit_always_on: false, state_embedding: true },
	});
const jit = (arch: "x86_64" | "arm64" = "x86_64"): Subject =>
	new Subject({ arch, cpus: 1, memory: 64 << 20, cpu: "unicorn", config: { state_embedding: true } });

/** r0 = 5; r0 += 1; exit */
const five = program((a) => {
	a.insn(0xb7, 0, 0, 0, 5);
	a.insn(0x07, 0, 0, 0, 1);
	a.insn(0x95, 0, 0, 0, 0);
});

/** *(u64 *)(fp - 8) = 7; r0 = *(u64 *)(fp - 8); exit */
const spilled = program((a) => {
	a.insn(0xb7, 1, 0, 0, 7);
	a.insn(0x7b, 10, 1, -8, 0);
	a.insn(0x79, 0, 10, -8, 0);
	a.insn(0x95, 0, 0, 0, 0);
});

/** A loop of four turns and a byte of the packet, with a subprogram. */
const longer = program((a) => {
	const sub = a.label();
	a.insn(0xbf, 6, 1, 0, 0);
	a.insn(0xb7, 7, 0, 0, 0);
	const loop = a.label();
	a.bind(loop);
	a.insn(0x30, 0, 0, 0, 3);
	a.insn(0xbf, 1, 0, 0, 0);
	a.insn(0xbf, 2, 7, 0, 0);
	a.jump(0x85, 0, 1, 0, sub, true);
	a.insn(0x07, 7, 0, 0, 1);
	a.jump(0xa5, 7, 0, 4, loop);
	a.insn(0x95, 0, 0, 0, 0);
	a.bind(sub);
	a.insn(0x0f, 1, 2, 0, 0);
	a.insn(0xbf, 0, 1, 0, 0);
	a.insn(0x95, 0, 0, 0, 0);
});

/** Load, change the program behind the verifier's back, run: the violations. */
function tampered(s: Subject, p: FuzzProgram, tamper: (s: Subject) => void): string[] {
	const { fd } = s.load(p, 0, 0);
	expect(fd).toBeGreaterThan(0);
	expect(s.run(fd, p).err).toBe(0);
	expect(s.mirror.stateViolations()).toEqual([]);
	tamper(s);
	s.run(fd, p);
	return s.mirror.stateViolations();
}

/** The one program that is loaded. */
function loaded(s: Subject) {
	return [...s.mirror.kernel.bpf.progs.values()].at(-1)!;
}

/** Replace bytes of the image. */
function poke(s: Subject, from: number[], to: number[]): void {
	const { bpf_func, image } = loaded(s);
	const at = Buffer.from(image!).indexOf(Buffer.from(from));
	expect(at).toBeGreaterThan(0);
	s.mirror.kernel.machine!.text_poke(Number(BigInt.asIntN(64, bpf_func)) + at, Uint8Array.from(to));
}

describe("state embedding", () => {
	it("sees a register outside of its state on the interpreter", () => {
		const found = tampered(interpreter(), five, (s) => {
			loaded(s).insnsi[0]!.imm = 9;
		});
		expect(found[0]).toMatch(
			/insn 1 .*R0 is 0x9, and none of 1 recorded states .* R0=type 1\(.*umin=5,umax=5/,
		);
	});

	it("sees a stack slot outside of its state", () => {
		const found = tampered(interpreter(), spilled, (s) => {
			loaded(s).insnsi[0]!.imm = 8;
		});
		expect(found.some((l) => /insn 2 .*fp-8 is 0x8/.test(l))).toBe(true);
	});

	it("sees a register outside of its state in JITed code", () => {
		// mov eax, 5
		const found = tampered(jit(), five, (s) => poke(s, [0xb8, 5, 0, 0, 0], [0xb8, 9, 0, 0, 0]));
		expect(found[0]).toMatch(/insn 1 .*R0 is 0x9, and none of 1 recorded states/);
	});

	it("follows loops, rewritten loads and subprograms on all engines", () => {
		for (const s of [interpreter(), jit(), jit("arm64")]) {
			const { fd } = s.load(longer, 0, 0);
			expect(fd).toBeGreaterThan(0);
			expect(s.run(fd, longer)).toMatchObject({ err: 0, retval: 3 });
			expect(s.mirror.stateViolations()).toEqual([]);
			// 4 turns of at least 7 instructions that read something
			expect(s.mirror.kernel.bpf.embedding!.checked).toBeGreaterThan(28);
		}
	});

	it("costs nothing that shows when it is off: the log is the same", () => {
		const off = new Subject({
			cpus: 1,
			memory: 64 << 20,
			cpu: "none",
			config: { bpf_jit_enable: false, bpf_jit_always_on: false },
		});
		expect(off.mirror.kernel.bpf.embedding).toBeNull();
		const log = off.load(longer, 2, 0).log;
		expect(interpreter().load(longer, 2, 0).log).toBe(log);
	});
});
