// SPDX-License-Identifier: GPL-2.0-only
/** Trampolines of the mirror, made as another kernel made its own, and held against them. */
import { EBUSY, ENOTSUPP } from "../include/uapi/asm-generic/errno.ts";
import type { RecordTrampoline } from "../tools/upstream/records.ts";
import type { ObjectFile, ProgramOf } from "../tools/upstream/take_record.ts";
import { Attaching } from "../tools/upstream/trampolines.ts";
import { code_difference, first_byte_diff } from "./code_diff.ts";
import type { Machine } from "./record_machine.ts";

/** bpf_arch_text_poke() of a kernel function that ftrace does not know. */
const UNPATCHABLE: Readonly<Record<Machine["sys"]["arch"], number>> = { x86_64: -EBUSY, arm64: -ENOTSUPP };

/** Programs of one object that are attached on a mirror, as they are on the kernel that it is held against. */
export class MirrorTrampolines {
	private readonly machine: Machine;
	private readonly attaching: Attaching;
	private names: string[] = [];

	constructor(machine: Machine, object: ObjectFile) {
		this.machine = machine;
		this.attaching = new Attaching(machine, object);
		machine.kernel.jit.begin_attaching();
	}

	/** A program goes on; what there was to say against it, or its negative errno. */
	private attach(p: ProgramOf | null, func: string): number | string {
		if (!p) return "the object has no such program";
		const { kernel } = this.machine;
		// its code is where there is room here; the trampoline gets the other kernel's address for it
		kernel.prepare({ map_fixups: [], flags: 0, level: 0, err: 0, processed: 0 }, "");
		const got = this.attaching.attach(p, (ours) => kernel.jit.program_at(ours, BigInt(`0x${func}`)));
		if (!got) return "does not load to be attached";
		if (got.err === 0) this.names.push(p.prog);
		return got.err;
	}

	/**
	 * Attaches a program on top of those that were attached there, and compares: null when equal, undefined where
	 * nothing can be said. A function that ftrace does not know cannot be patched there, and no symbol tells which
	 * these are.
	 */
	compare(
		prog: string,
		theirs: RecordTrampoline,
		program: (name: string) => ProgramOf | null,
	): string | null | undefined {
		const { jit } = this.machine.kernel;
		const before = theirs.attached.filter(([name]) => name !== prog);
		if (this.names.join() !== before.map(([name]) => name).join()) {
			this.end();
			jit.begin_attaching();
			for (const [name, func] of before) {
				jit.hold({ err: 0, attached: [] });
				this.attach(program(name), func);
			}
		}
		jit.hold(theirs);
		const got = this.attach(program(prog), theirs.attached.find(([name]) => name === prog)?.[1] ?? "0");
		if (typeof got === "string") return got;
		if (got === 0 && theirs.err === UNPATCHABLE[this.machine.sys.arch]) return undefined;
		if (got !== theirs.err) return `attaching: err ${got}, real ${theirs.err}`;
		if (theirs.err) return null;
		if (theirs.code === undefined) return "the real kernel's trampoline was not found in its memory";
		const { made } = jit;
		if (!made) return "no trampoline is made";
		const real = Buffer.from(theirs.code, "hex").subarray(0, made.code.length);
		const at = first_byte_diff(made.code, real);
		if (at < 0) return null;
		const { names } = this.machine.kernel;
		return `trampoline byte ${at} of ${made.code.length}: ${code_difference(made.code, real, at, BigInt(`0x${theirs.addr ?? "0"}`), names)}`;
	}

	/** Bytes of the trampoline that was made last. */
	get size(): number {
		return this.machine.kernel.jit.made?.code.length ?? 0;
	}

	end(): void {
		this.attaching.end();
		this.names = [];
	}
}
