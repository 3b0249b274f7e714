// SPDX-License-Identifier: GPL-2.0-only
/**
 * The kernel's dynptr (kernel/bpf/helpers.c, include/linux/bpf.h): data, size and offset.
 *
 *   0        8              12
 *   | data   | size, flags  | offset |
 *   size: 31 read-only | 30-28 type | 23-0 bytes
 */
import {
	BPF_DYNPTR_TYPE_INVALID,
	BPF_DYNPTR_TYPE_LOCAL,
	BPF_DYNPTR_TYPE_RINGBUF,
} from "../../include/linux/bpf.ts";
import { E2BIG } from "../../include/uapi/asm-generic/errno.ts";
import type { Kmem } from "../kmem.ts";

export const DYNPTR_MAX_SIZE = (1 << 24) - 1;
const DYNPTR_TYPE_SHIFT = 28;
const DYNPTR_SIZE_MASK = 0xffffff;
const DYNPTR_RDONLY_BIT = 0x80000000;

/** kernel/bpf/helpers.c: bpf_dynptr_check_size */
export function bpf_dynptr_check_size(size: number): number {
	return size > DYNPTR_MAX_SIZE ? -E2BIG : 0;
}

/** kernel/bpf/helpers.c: bpf_dynptr_init */
export function bpf_dynptr_init(
	kmem: Kmem,
	ptr: number,
	data: number,
	type: number,
	offset: number,
	size: number,
): void {
	kmem.wptr(ptr, data);
	kmem.w32(ptr + 8, (size | (type << DYNPTR_TYPE_SHIFT)) >>> 0);
	kmem.w32(ptr + 12, offset);
}

/** kernel/bpf/helpers.c: bpf_dynptr_set_null */
export function bpf_dynptr_set_null(kmem: Kmem, ptr: number): void {
	kmem.fill(ptr, 16, 0);
}

/** kernel/bpf/helpers.c: bpf_dynptr_set_rdonly */
export function bpf_dynptr_set_rdonly(kmem: Kmem, ptr: number): void {
	kmem.w32(ptr + 8, (kmem.r32(ptr + 8) | DYNPTR_RDONLY_BIT) >>> 0);
}

/** A dynptr's fields. */
export interface dynptr {
	data: number;
	size: number;
	offset: number;
	type: number;
	rdonly: boolean;
}

/** Read the fields of a struct bpf_dynptr_kern. */
export function bpf_dynptr_read_kern(kmem: Kmem, ptr: number): dynptr {
	const word = kmem.r32(ptr + 8);
	return {
		data: kmem.rptr(ptr),
		size: word & DYNPTR_SIZE_MASK,
		offset: kmem.r32(ptr + 12),
		type: (word & ~DYNPTR_RDONLY_BIT) >>> DYNPTR_TYPE_SHIFT,
		rdonly: (word & DYNPTR_RDONLY_BIT) !== 0,
	};
}

/** kernel/bpf/helpers.c: bpf_dynptr_set_size */
export function bpf_dynptr_set_size(kmem: Kmem, ptr: number, size: number): void {
	kmem.w32(ptr + 8, ((kmem.r32(ptr + 8) & ~DYNPTR_SIZE_MASK) | size) >>> 0);
}

/** kernel/bpf/helpers.c: bpf_dynptr_check_off_len */
export function bpf_dynptr_check_off_len(d: dynptr, offset: bigint, len: bigint): number {
	const size = BigInt(d.size);
	return len > size || offset > size - len ? -E2BIG : 0;
}

/** The types whose data is plain kernel memory. */
export function dynptr_is_local(type: number): boolean {
	return type === BPF_DYNPTR_TYPE_LOCAL || type === BPF_DYNPTR_TYPE_RINGBUF;
}
export { BPF_DYNPTR_TYPE_INVALID };
