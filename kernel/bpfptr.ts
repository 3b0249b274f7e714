// SPDX-License-Identifier: GPL-2.0-only
/** Pointers that are a user's or the kernel's (include/linux/bpfptr.h). */
import { EFAULT } from "../include/uapi/asm-generic/errno.ts";
import { GuestFault } from "../mm/guest_memory.ts";
import type { Kernel } from "./kernel.ts";
import { impl } from "./kernel_impl.ts";

/** bpfptr_t */
export interface bpfptr_t {
	readonly addr: number;
	readonly is_kernel: boolean;
}

/** KERNEL_BPFPTR() */
export function KERNEL_BPFPTR(addr: number): bpfptr_t {
	return { addr, is_kernel: true };
}

/** USER_BPFPTR() */
export function USER_BPFPTR(addr: number): bpfptr_t {
	return { addr, is_kernel: false };
}

/** u64_to_user_ptr(): a user pointer; values that no user address can have stay impossible. */
export function u64_to_user_ptr(v: bigint): number {
	return v < 0x8000000000000000n ? Number(v) : Number(BigInt.asIntN(64, v));
}

/** make_bpfptr() */
export function make_bpfptr(addr: bigint, is_kernel: boolean): bpfptr_t {
	return { addr: is_kernel ? Number(BigInt.asIntN(64, addr)) : u64_to_user_ptr(addr), is_kernel };
}

/** bpfptr_is_null() */
export function bpfptr_is_null(p: bpfptr_t): boolean {
	return p.addr === 0;
}

/** copy_from_bpfptr_offset(): the bytes, or -EFAULT. */
export function copy_from_bpfptr_offset(
	kernel: Kernel,
	src: bpfptr_t,
	offset: number,
	size: number,
): Uint8Array | number {
	if (!src.is_kernel) return impl(kernel).copy_from_user(src.addr + offset, size) ?? -EFAULT;
	try {
		return impl(kernel).kmem.read(src.addr + offset, size);
	} catch (e) {
		if (e instanceof GuestFault) return -EFAULT;
		throw e;
	}
}

/** copy_from_bpfptr(), kvmemdup_bpfptr(): the bytes, or -EFAULT. */
export function copy_from_bpfptr(kernel: Kernel, src: bpfptr_t, size: number): Uint8Array | number {
	return copy_from_bpfptr_offset(kernel, src, 0, size);
}

/** copy_to_bpfptr_offset(): 0 or -EFAULT. */
export function copy_to_bpfptr_offset(
	kernel: Kernel,
	dst: bpfptr_t,
	offset: number,
	bytes: Uint8Array,
): number {
	if (!dst.is_kernel) return impl(kernel).copy_to_user(dst.addr + offset, bytes) ? 0 : -EFAULT;
	try {
		impl(kernel).kmem.write(dst.addr + offset, bytes);
		return 0;
	} catch (e) {
		if (e instanceof GuestFault) return -EFAULT;
		throw e;
	}
}

/** strncpy_from_bpfptr(): the text before NUL, at most `count` bytes; -EFAULT. */
export function strncpy_from_bpfptr(kernel: Kernel, src: bpfptr_t, count: number): Uint8Array | number {
	if (!src.is_kernel) return impl(kernel).strncpy_from_user(src.addr, count) ?? -EFAULT;
	try {
		const s = impl(kernel).kmem.cstring(src.addr, count);
		return Uint8Array.from(s, (c) => c.charCodeAt(0));
	} catch (e) {
		if (e instanceof GuestFault) return -EFAULT;
		throw e;
	}
}
