// SPDX-License-Identifier: GPL-2.0-only
/** What a task may do to BPF objects (include/linux/bpf.h, include/linux/capability.h). */
import { ENOMEM } from "../include/uapi/asm-generic/errno.ts";
import type { bpf_map, bpf_prog } from "./bpf/bpf_types.ts";
import { prog_image } from "./bpf/prog.ts";
import type { Kernel } from "./kernel.ts";
import { impl } from "./kernel_impl.ts";
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

/** An LSM hook that answers with an int: 0 unless a program refuses. */
function call_int_hook(kernel: Kernel, hook: string, args: readonly (number | bigint)[]): number {
	return Number(
		BigInt.asIntN(
			32,
			impl(kernel).ftrace.call(`bpf_lsm_${hook}`, args, () => 0),
		),
	);
}

function hooked(kernel: Kernel, hook: string): boolean {
	const { traced } = impl(kernel).ftrace;
	return traced.size > 0 && traced.has(`bpf_lsm_${hook}`);
}

/** security/security.c: security_bpf: bpf(2) with a copy of its attributes */
export function security_bpf(kernel: Kernel, cmd: number, attr: Uint8Array, size: number): number {
	if (!hooked(kernel, "bpf")) return 0;
	const { kmem } = impl(kernel);
	const at = kmem.kzalloc(attr.length);
	if (!at) return -ENOMEM;
	kmem.write(at, attr);
	try {
		return call_int_hook(kernel, "bpf", [cmd, at, size]);
	} finally {
		kmem.kfree(at);
	}
}

/** security/security.c: security_bpf_map: a descriptor of a map is made */
export function security_bpf_map(map: bpf_map, fmode: number): number {
	return hooked(map.kernel, "bpf_map") ? call_int_hook(map.kernel, "bpf_map", [map.addr, fmode]) : 0;
}

/** security/security.c: security_bpf_prog: a descriptor of a program is made */
export function security_bpf_prog(prog: bpf_prog): number {
	return hooked(prog.kernel, "bpf_prog") ? call_int_hook(prog.kernel, "bpf_prog", [prog_image(prog)]) : 0;
}
