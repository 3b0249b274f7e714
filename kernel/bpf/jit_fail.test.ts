// SPDX-License-Identifier: GPL-2.0-only
/** Programs that the JIT was asked to compile and did not. */
import { describe, expect, it } from "vitest";
import { BPF_CALL, BPF_PROG_TYPE_SCHED_CLS, BPF_PSEUDO_CALL } from "../../include/uapi/linux/bpf.ts";
import { BPF_JMP } from "../../include/uapi/linux/bpf_common.ts";
import type { bpf_prog } from "./bpf_types.ts";
import { BPF_EXIT_INSN, BPF_MOV64_IMM, BPF_RAW_INSN } from "./insn_macros.ts";
import { TestKernel } from "./test_kernel.ts";

function load(
	kernel: TestKernel,
	jit: (prog: bpf_prog) => bpf_prog,
	kfunc: boolean,
): { err: number; log: string } {
	kernel.kernel.bpf.jit = { bpf_int_jit_compile: jit, live_image: (_, len) => new Uint8Array(len) };
	const call = BPF_RAW_INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, kfunc ? 4 : 2);
	const kfuncs = kfunc ? [kernel.kfunc("bpf_rcu_read_lock"), kernel.kfunc("bpf_rcu_read_unlock")] : [];
	const insns = [call, ...kfuncs, BPF_MOV64_IMM(0, 0), BPF_EXIT_INSN(), BPF_MOV64_IMM(0, 0), BPF_EXIT_INSN()];
	return kernel.load({ type: BPF_PROG_TYPE_SCHED_CLS, insns });
}

describe("a JIT that fails", () => {
	const kernel = new TestKernel();
	kernel.kernel.config.bpf_jit_always_on = false;

	it("leaves kernel functions to nobody", () => {
		const { err, log } = load(kernel, (prog) => prog, true);
		expect(err, log).toBe(-22);
		expect(log).toContain("calling kernel functions are not allowed in non-JITed programs");
	});

	it("must not move a function when it links the calls", () => {
		let at = 0xffffffffa0000000n;
		const moving = (prog: bpf_prog): bpf_prog => {
			prog.jited = true;
			prog.bpf_func = at;
			prog.jited_len = 1;
			at += 0x1000n;
			return prog;
		};
		const { log } = load(kernel, moving, false);
		expect(log).toContain("JIT doesn't support bpf-to-bpf calls");
	});
});
