// SPDX-License-Identifier: GPL-2.0-only
/**
 * Running programs: through the interpreter on a kernel without a CPU, and how helpers' bodies are
 * entered from either.
 */
import type { KernelImpl, ProgRunner } from "../kernel_impl.ts";
import type { bpf_array } from "./arraymap.ts";
import type { bpf_prog } from "./bpf_types.ts";
import type { HelperBody, HelperContext } from "./helper_types.ts";
import { type InterpHost, Interpreter } from "./interp.ts";
import { prog_array_at } from "./prog.ts";

const U64 = (v: bigint): bigint => BigInt.asUintN(64, v);

/** What a body sees of the CPU. */
class RunContext implements HelperContext {
	readonly kernel: KernelImpl;
	constructor(kernel: KernelImpl) {
		this.kernel = kernel;
	}
	get cpu(): number {
		return this.kernel.cpu;
	}
	call(addr: bigint, args: readonly bigint[]): bigint {
		return this.kernel.call_guest(addr, args);
	}
}

/** Enter the body of a helper, kfunc or map operation by its symbol; one that is missing says so. */
export class BodyCaller {
	private readonly kernel: KernelImpl;
	private readonly ctx: RunContext;
	constructor(kernel: KernelImpl) {
		this.kernel = kernel;
		this.ctx = new RunContext(kernel);
	}
	call(name: string, r1: bigint, r2: bigint, r3: bigint, r4: bigint, r5: bigint): bigint {
		const body: HelperBody | undefined = this.kernel.bpf.bodies.get(name);
		if (!body) throw new Error(`not ported: ${name}`);
		const { explore } = this.kernel;
		if (explore)
			return explore.helper(name, [r1, r2, r3, r4, r5], () => U64(body(this.ctx, r1, r2, r3, r4, r5)));
		return U64(body(this.ctx, r1, r2, r3, r4, r5));
	}
}

/** Programs by the interpreter, their stacks and helpers on this kernel. */
export class InterpRunner implements ProgRunner {
	private readonly kernel: KernelImpl;
	private readonly interp: Interpreter;
	private readonly bodies: BodyCaller;
	private base = 0n;
	private readonly names: Map<number, string> = new Map();

	constructor(kernel: KernelImpl) {
		this.kernel = kernel;
		this.bodies = new BodyCaller(kernel);
		const { kmem } = kernel;
		const host: InterpHost = {
			mem: kmem,
			call: (imm, r1, r2, r3, r4, r5) => this.bodies.call(this.name_of(imm), r1, r2, r3, r4, r5),
			tail_call_target: (map, index) => {
				const m = kernel.bpf.map_of(map) as bpf_array;
				return index >= m.max_entries ? null : prog_array_at(m, m.value, index);
			},
			stack_alloc: (size) => kmem.kzalloc(size),
			stack_free: (addr) => kmem.kfree(addr),
		};
		this.interp = new Interpreter(host);
		const { embedding } = kernel.bpf;
		if (embedding)
			this.interp.trace = (prog, idx, regs) => embedding.insn(prog, prog.aux, idx, (r) => regs[r]!);
	}

	trace_interp(fn: Interpreter["trace"]): void {
		this.interp.trace = fn;
	}

	/** The kernel function at __bpf_call_base + imm. */
	private name_of(imm: number): string {
		let name = this.names.get(imm);
		if (name === undefined) {
			if (this.base === 0n) this.base = this.kernel.symbols.addr("__bpf_call_base") ?? 0n;
			const at = U64(this.base + BigInt(imm));
			const sym = this.kernel.symbols.lookup(at);
			if (sym?.offset !== 0n) throw new Error(`call to 0x${at.toString(16)}, which is no function`);
			name = sym.name;
			this.names.set(imm, name);
		}
		return name;
	}

	run(prog: bpf_prog, ctx: bigint): bigint {
		return U64(this.interp.run(prog, ctx));
	}

	call(addr: bigint, args: readonly bigint[]): bigint {
		for (const prog of this.kernel.bpf.ksyms)
			if (prog.bpf_func === addr) return U64(this.interp.run(prog, args[0] ?? 0n));
		throw new Error(`not ported: calling back 0x${addr.toString(16)} through the interpreter`);
	}
}
