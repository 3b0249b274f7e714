// SPDX-License-Identifier: GPL-2.0-only
/** perf_event_open(2) (kernel/events/core.c): only its checks; there is no PMU and no software event here. */
import { E2BIG, EFAULT, EINVAL, EOPNOTSUPP } from "../../include/uapi/asm-generic/errno.ts";
import type { Kernel } from "../kernel.ts";
import { impl } from "../kernel_impl.ts";

const PERF_ATTR_SIZE_VER0 = 64;
const PERF_ATTR_SIZE = 136;
const PERF_FLAG_ALL = 0xf;

/** kernel/events/core.c: perf_event_open, perf_copy_attr */
export function sys_perf_event_open(
	kernel: Kernel,
	uattr: number,
	pid: number,
	cpu: number,
	_group_fd: number,
	flags: number,
): number {
	const k = impl(kernel);
	if (flags & ~PERF_FLAG_ALL) return -EINVAL;
	const head = k.copy_from_user(uattr, 8);
	if (!head) return -EFAULT;
	let size = new DataView(head.buffer, head.byteOffset).getUint32(4, true);
	if (size === 0) size = PERF_ATTR_SIZE_VER0;
	if (size < PERF_ATTR_SIZE_VER0 || size > 4096) {
		k.put_user32(uattr + 4, PERF_ATTR_SIZE);
		return -E2BIG;
	}
	const attr = k.copy_from_user(uattr, size);
	if (!attr) return -EFAULT;
	if (size > PERF_ATTR_SIZE && attr.subarray(PERF_ATTR_SIZE).some((b) => b !== 0)) {
		k.put_user32(uattr + 4, PERF_ATTR_SIZE);
		return -E2BIG;
	}
	if (pid === -1 && cpu === -1) return -EINVAL;
	k.bpf.not_ported("perf events");
	return -EOPNOTSUPP;
}
