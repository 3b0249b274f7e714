// SPDX-License-Identifier: GPL-2.0-only
/** net/bpf/test_run.c: what test runs of several program types share: data and context in and out, the run itself. */
import { EFAULT, EINVAL, ENOMEM, ENOSPC } from "../../include/uapi/asm-generic/errno.ts";
import { ATTR_OFF, type bpf_attr } from "../../include/uapi/linux/bpf_attr.ts";
import { bpf_check_uarg_tail_zero } from "../../kernel/bpf/attr.ts";
import type { bpf_prog } from "../../kernel/bpf/bpf_types.ts";
import { check_and_init_map_value, round_up } from "../../kernel/bpf/map.ts";
import { bpf_prog_run } from "../../kernel/bpf/prog.ts";
import { USER_BPFPTR, u64_to_user_ptr } from "../../kernel/bpfptr.ts";
import { impl, type KernelImpl } from "../../kernel/kernel_impl.ts";
import { SKB_DATA_ALIGN } from "../core/skb.ts";

export const PAGE_SIZE = 4096;

/** memdup_user(): a copy in kernel memory, or a negative errno between -4095 and -1. */
export function memdup_user(k: KernelImpl, addr: number, size: number): number {
	const at = k.kmem.kzalloc(size);
	if (!at) return -ENOMEM;
	const bytes = k.copy_from_user(addr, size);
	if (!bytes) {
		k.kmem.kfree(at);
		return -EFAULT;
	}
	k.kmem.write(at, bytes);
	return at;
}

export function failed(ptr: number): boolean {
	return ptr < 0 && ptr > -4096;
}

/** kernel/bpf/local_storage.c: bpf_cgroup_storage_alloc, for both types: shared, and a per-CPU pointer; 0 without a map. */
function bpf_cgroup_storage_alloc(k: KernelImpl, prog: bpf_prog): [number, number] | number {
	const [shared_map, percpu_map] = prog.aux.cgroup_storage;
	const shared = shared_map ? k.kmem.kzalloc(shared_map.value_size) : 0;
	if (shared_map && !shared) return -ENOMEM;
	if (shared_map) check_and_init_map_value(shared_map, shared);
	const percpu = percpu_map ? k.kmem.alloc_percpu(round_up(percpu_map.value_size, 8), 8) : 0;
	if (!percpu_map || percpu) return [shared, percpu];
	if (shared) k.kmem.kfree(shared);
	return -ENOMEM;
}

/** net/bpf/test_run.c: bpf_test_run: `repeat` times, `before` each of them; the duration is the mean of the virtual time it took. */
export function bpf_test_run(
	prog: bpf_prog,
	ctx: number,
	repeat: number,
	before?: () => void,
): { retval: number; duration: number } | number {
	const k = impl(prog.kernel);
	const n = repeat || 1;
	let retval = 0;
	const storage = bpf_cgroup_storage_alloc(k, prog);
	if (typeof storage === "number") return storage;
	const outer = k.bpf.cgroup_storage;
	k.bpf.cgroup_storage = storage;
	k.rcu.read_lock();
	const begin = k.time.now;
	try {
		for (let i = 0; i < n; i++) {
			before?.();
			retval = Number(bpf_prog_run(prog, ctx) & 0xffffffffn);
		}
	} finally {
		k.rcu.read_unlock();
		k.bpf.cgroup_storage = outer;
		if (storage[0]) k.kmem.kfree(storage[0]);
		if (storage[1]) k.kmem.free_percpu(storage[1]);
	}
	return { retval, duration: Number((k.time.now - begin) / BigInt(n)) };
}

/** trace_bpf_test_finish() */
export function finish(k: KernelImpl, err: number): number {
	if (k.tracepoints.enabled("bpf_test_finish")) {
		const at = k.kmem.kzalloc(8);
		k.kmem.w32(at, err);
		k.tracepoints.fire("bpf_test_finish", [BigInt.asUintN(64, BigInt(at))]);
		k.kmem.kfree(at);
	}
	return err;
}

/** net/bpf/test_run.c: bpf_test_finish; `frags` are the packet's further pieces. */
export function bpf_test_finish(
	k: KernelImpl,
	attr: bpf_attr,
	uattr: number,
	data: number,
	frags: { addr: number; size: number }[],
	size: number,
	run: { retval: number; duration: number },
): number {
	const data_out = u64_to_user_ptr(attr.test_data_out);
	let err = -EFAULT;
	let copy_size = size;
	if (attr.test_data_size_out && copy_size > attr.test_data_size_out) {
		copy_size = attr.test_data_size_out;
		err = -ENOSPC;
	}
	const body = (): number => {
		if (data_out) {
			const frags_size = frags.reduce((s, f) => s + f.size, 0);
			const len = copy_size - frags_size;
			if (len < 0) return -ENOSPC;
			if (!k.copy_to_user(data_out, k.kmem.read(data, len))) return err;
			let offset = len;
			for (const f of frags) {
				if (offset >= copy_size) {
					err = -ENOSPC;
					break;
				}
				const n = Math.min(copy_size - offset, f.size);
				if (!k.copy_to_user(data_out + offset, k.kmem.read(f.addr, n))) return err;
				offset += n;
			}
		}
		if (!k.put_user32(uattr + ATTR_OFF.test_data_size_out, size)) return err;
		if (!k.put_user32(uattr + ATTR_OFF.test_retval, run.retval)) return err;
		if (!k.put_user32(uattr + ATTR_OFF.test_duration, run.duration)) return err;
		return err === -ENOSPC ? err : 0;
	};
	return finish(k, body());
}

/** net/bpf/test_run.c: bpf_test_init: the packet's buffer, or a negative errno; `total` is its size. */
export function bpf_test_init(
	k: KernelImpl,
	attr: bpf_attr,
	user_size: number,
	size: number,
	headroom: number,
	tailroom: number,
): { data: number; total: number } | number {
	if (user_size > PAGE_SIZE - headroom - tailroom) return -EINVAL;
	const total = SKB_DATA_ALIGN(size) + headroom + tailroom;
	const data = k.kmem.kzalloc(total);
	if (!data) return -ENOMEM;
	const bytes = k.copy_from_user(u64_to_user_ptr(attr.test_data_in), user_size);
	if (!bytes) {
		k.kmem.kfree(data);
		return -EFAULT;
	}
	k.kmem.write(data + headroom, bytes);
	return { data, total };
}

/** net/bpf/test_run.c: bpf_ctx_init: the context's bytes, null when there are none, or a negative errno. */
export function bpf_ctx_init(k: KernelImpl, attr: bpf_attr, max_size: number): Uint8Array | null | number {
	const data_in = u64_to_user_ptr(attr.test_ctx_in);
	const data_out = u64_to_user_ptr(attr.test_ctx_out);
	if (!data_in && !data_out) return null;
	const data = new Uint8Array(max_size);
	if (data_in) {
		const err = bpf_check_uarg_tail_zero(k, USER_BPFPTR(data_in), max_size, attr.test_ctx_size_in);
		if (err) return err;
		const bytes = k.copy_from_user(data_in, Math.min(max_size, attr.test_ctx_size_in));
		if (!bytes) return -EFAULT;
		data.set(bytes);
	}
	return data;
}

/** net/bpf/test_run.c: bpf_ctx_finish */
export function bpf_ctx_finish(
	k: KernelImpl,
	attr: bpf_attr,
	uattr: number,
	data: Uint8Array | null,
): number {
	const data_out = u64_to_user_ptr(attr.test_ctx_out);
	if (!data || !data_out) return 0;
	let err = -EFAULT;
	let copy_size = data.length;
	if (copy_size > attr.test_ctx_size_out) {
		copy_size = attr.test_ctx_size_out;
		err = -ENOSPC;
	}
	if (!k.copy_to_user(data_out, data.subarray(0, copy_size))) return err;
	if (!k.put_user32(uattr + ATTR_OFF.test_ctx_size_out, data.length)) return err;
	return err === -ENOSPC ? err : 0;
}
