// SPDX-License-Identifier: GPL-2.0-only
/** What a task may do to BPF objects (include/linux/bpf.h, include/linux/capability.h). */
import type { Kernel } from "./kernel.ts";
import { bpf_capable, CAP_BPF, CAP_SYS_ADMIN, capable, perfmon_capable } from "./task.ts";

/** include/linux/bpf.h: bpf_bypass_spec_v1 (no token) */
export function bpf_bypass_spec_v1(kernel: Kernel): boolean {
	return kernel.config.mitigations_off || perfmon_capable(kernel.current);
}

/** kernel/bpf/token.c: bpf_token_capable without a token */
export function bpf_token_capable(kernel: Kernel, cap: number): boolean {
	if (cap === CAP_BPF) return bpf_capable(kernel.current);
	return capable(kernel.current, cap) || (cap !== CAP_SYS_ADMIN && capable(kernel.current, CAP_SYS_ADMIN));
}

/** include/linux/filter.h: bpf_dump_raw_ok: kallsyms_show_value() */
export function bpf_dump_raw_ok(kernel: Kernel): boolean {
	switch (kernel.config.kptr_restrict) {
		case 0: // kernel.perf_event_paranoid is 2, so that perf is no way in
		case 1:
			return kernel.current.caps.has(34); // CAP_SYSLOG
		default:
			return false;
	}
}
