// SPDX-License-Identifier: GPL-2.0-only
/** What every command of bpf(2) does with its attributes first (kernel/bpf/syscall.c, kernel/bpf/token.c). */
import { E2BIG, EBADF, EFAULT, EINVAL } from "../../include/uapi/asm-generic/errno.ts";
import type { bpf_attr } from "../../include/uapi/linux/bpf_attr.ts";
import { type bpfptr_t, copy_from_bpfptr_offset } from "../bpfptr.ts";
import { fdget } from "../file.ts";
import type { Kernel } from "../kernel.ts";
import { PAGE_SIZE } from "../kmem.ts";

/** kernel/bpf/syscall.c: bpf_check_uarg_tail_zero */
export function bpf_check_uarg_tail_zero(
	kernel: Kernel,
	uaddr: bpfptr_t,
	expected_size: number,
	actual_size: number,
): number {
	if (actual_size > PAGE_SIZE) return -E2BIG;
	if (actual_size <= expected_size) return 0;
	const tail = copy_from_bpfptr_offset(kernel, uaddr, expected_size, actual_size - expected_size);
	if (typeof tail === "number") return -EFAULT;
	return tail.every((b) => b === 0) ? 0 : -E2BIG;
}

/** kernel/bpf/syscall.c: CHECK_ATTR: bytes behind the command's last field (ATTR_END) that are not 0. */
export function attr_tail_nonzero(attr: bpf_attr, end: number): boolean {
	const { bytes } = attr;
	for (let i = end; i < bytes.length; i++) if (bytes[i] !== 0) return true;
	return false;
}

/** kernel/bpf/token.c: bpf_token_get_from_fd: tokens come from bpffs, which is not there. */
export function bpf_token_get_from_fd(kernel: Kernel, ufd: number): number {
	return fdget(kernel, ufd) ? -EINVAL : -EBADF;
}
