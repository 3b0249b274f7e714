// SPDX-License-Identifier: GPL-2.0-only
/** net/bpf/test_run.c: BPF_PROG_TEST_RUN of each program type. */
import type { bpf_attr } from "../../include/uapi/linux/bpf_attr.ts";
import type { bpf_prog } from "../../kernel/bpf/bpf_types.ts";

/** bpf_prog_ops.test_run */
export type test_run_fn = (prog: bpf_prog, attr: bpf_attr, uattr: number) => number;

/** The test_run of a program type; undefined: -ENOTSUPP. */
export function test_run_of(_prog_type: number): test_run_fn | undefined {
	return undefined;
}
