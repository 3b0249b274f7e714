// SPDX-License-Identifier: GPL-2.0-only
/**
 * Freeing of the special fields of map values and local objects (kernel/bpf/syscall.c:
 * bpf_obj_free_fields and what it calls in kernel/bpf/helpers.c).
 */
import {
	BPF_KPTR_PERCPU,
	BPF_KPTR_REF,
	BPF_KPTR_UNREF,
	BPF_LIST_HEAD,
	BPF_LIST_NODE,
	BPF_RB_NODE,
	BPF_RB_ROOT,
	BPF_REFCOUNT,
	BPF_SPIN_LOCK,
	BPF_TIMER,
	BPF_WORKQUEUE,
} from "../../include/linux/bpf.ts";
import { addr_to_u64 } from "../../lib/addr.ts";
import type { Kernel } from "../kernel.ts";
import { impl } from "../kernel_impl.ts";
import type { btf_field, btf_record } from "./btf_types.ts";

/** One field of kernel/bpf/syscall.c: bpf_obj_free_fields */
export function bpf_obj_free_field(kernel: Kernel, rec: btf_record, field: btf_field, obj: number): void {
	const k = impl(kernel);
	const ptr = obj + field.offset;
	switch (field.type) {
		case BPF_SPIN_LOCK:
		case BPF_LIST_NODE:
		case BPF_RB_NODE:
		case BPF_REFCOUNT:
			break;
		case BPF_KPTR_UNREF:
			k.kmem.w64(ptr, 0n);
			break;
		case BPF_TIMER:
		case BPF_WORKQUEUE:
		case BPF_KPTR_REF:
		case BPF_KPTR_PERCPU:
		case BPF_LIST_HEAD:
		case BPF_RB_ROOT: {
			const free = k.bpf.field_free.get(field.type);
			if (free) free(kernel, rec, field, obj);
			else if (k.kmem.r64(ptr) !== 0n && k.kmem.r64(ptr) !== addr_to_u64(ptr))
				k.bpf.not_ported(`freeing of special field ${field.type}`);
			break;
		}
		default:
			kernel.printk(`WARNING: bpf_obj_free_fields: field type ${field.type}`);
	}
}
