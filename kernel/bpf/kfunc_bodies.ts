// SPDX-License-Identifier: GPL-2.0-only
/**
 * Bodies of the common kfuncs (kernel/bpf/helpers.c, kernel/bpf/bpf_iter.c): dynptrs, number and bit
 * iterators, RCU and preemption sections, tasks. Local objects, lists, trees, timers and work queues
 * are in local_objects.ts and timer.ts.
 */
import {
	BPF_DYNPTR_TYPE_LOCAL,
	BPF_DYNPTR_TYPE_RINGBUF,
	BPF_DYNPTR_TYPE_SKB,
	BPF_DYNPTR_TYPE_XDP,
	BPF_MAX_LOOPS,
} from "../../include/linux/bpf.ts";
import { E2BIG, EFAULT, EINVAL, ENOMEM, ERANGE } from "../../include/uapi/asm-generic/errno.ts";
import { addr_to_u64, u64_to_addr } from "../../lib/addr.ts";
import { sk_buff, xdp_buff } from "../../net/core/skb.ts";
import { register_sock_helpers } from "../../net/core/sock_helpers.ts";
import type { KernelImpl } from "../kernel_impl.ts";
import { task_image } from "../task_image.ts";
import { register_btf_printf } from "../trace/btf_printf.ts";
import { register_local_storage } from "./bpf_local_storage.ts";
import { register_cpumask } from "./cpumask.ts";
import { register_crypto } from "./crypto.ts";
import {
	bpf_dynptr_check_off_len,
	bpf_dynptr_init,
	bpf_dynptr_read_kern,
	bpf_dynptr_set_null,
	bpf_dynptr_set_rdonly,
	bpf_dynptr_set_size,
} from "./dynptr.ts";
import { register_task_iter } from "./task_iter.ts";
import { register_test_kfuncs } from "./testmod_bodies.ts";
import { register_throw } from "./throw.ts";

const BITS_ITER_NR_WORDS_MAX = 511;
const BPF_F_PAD_ZEROS = 1n;
const err = (e: number): bigint => BigInt(-e);
const lo = (v: bigint): number => Number(v & 0xffffffffn);
const s32 = (v: bigint): number => Number(BigInt.asIntN(32, v));

/** Hang the bodies on the kernel. */
export function register_kfuncs(k: KernelImpl): void {
	register_dynptr_kfuncs(k);
	register_iterators(k);
	register_sections(k);
	register_test_kfuncs(k);
	register_sock_helpers(k);
	register_local_storage(k);
	register_btf_printf(k);
	register_cpumask(k);
	register_crypto(k);
	register_task_iter(k);
	register_throw(k);
}

function register_dynptr_kfuncs(k: KernelImpl): void {
	const { bodies } = k.bpf;
	const { kmem } = k;
	const p = u64_to_addr;

	/** kernel/bpf/helpers.c: bpf_dynptr_slice */
	const slice = (ptr: bigint, offset: bigint, buffer: bigint, szk: bigint): bigint => {
		const d = bpf_dynptr_read_kern(kmem, p(ptr));
		const len = lo(szk);
		const off = d.offset + lo(offset);
		if (!d.data || bpf_dynptr_check_off_len(d, offset & 0xffffffffn, szk & 0xffffffffn)) return 0n;
		switch (d.type) {
			case BPF_DYNPTR_TYPE_LOCAL:
			case BPF_DYNPTR_TYPE_RINGBUF:
				return addr_to_u64(d.data + off);
			case BPF_DYNPTR_TYPE_SKB: {
				const skb = new sk_buff(k, d.data);
				return off + len <= skb.headlen ? addr_to_u64(skb.data + off) : 0n;
			}
			case BPF_DYNPTR_TYPE_XDP: {
				const xdp = new xdp_buff(k, d.data);
				if (off > 0xffff || len > 0xffff || off + len > xdp.buff_len) return 0n;
				const pieces = xdp.pieces(off, len);
				if (pieces.length <= 1) return addr_to_u64(pieces[0]?.addr ?? xdp.ptr("data") + off);
				if (!buffer) return 0n;
				let at = p(buffer);
				for (const { addr, n } of pieces) {
					kmem.copy(at, addr, n);
					at += n;
				}
				return buffer;
			}
			default:
				return 0n;
		}
	};
	bodies.set("bpf_dynptr_slice", (_c, ptr, offset, buffer, szk) => slice(ptr, offset, buffer, szk));
	bodies.set("bpf_dynptr_slice_rdwr", (_c, ptr, offset, buffer, szk) =>
		bpf_dynptr_read_kern(kmem, p(ptr)).rdonly ? 0n : slice(ptr, offset, buffer, szk),
	);
	bodies.set("bpf_dynptr_adjust", (_c, ptr, start64, end64) => {
		const d = bpf_dynptr_read_kern(kmem, p(ptr));
		const [start, end] = [lo(start64), lo(end64)];
		if (!d.data || start > end) return err(EINVAL);
		if (start > d.size || end > d.size) return err(ERANGE);
		kmem.w32(p(ptr) + 12, d.offset + start);
		bpf_dynptr_set_size(kmem, p(ptr), end - start);
		return 0n;
	});
	bodies.set("bpf_dynptr_is_null", (_c, ptr) => (kmem.rptr(p(ptr)) ? 0n : 1n));
	bodies.set("bpf_dynptr_is_rdonly", (_c, ptr) => {
		const d = bpf_dynptr_read_kern(kmem, p(ptr));
		return d.data && d.rdonly ? 1n : 0n;
	});
	bodies.set("bpf_dynptr_size", (_c, ptr) => {
		const d = bpf_dynptr_read_kern(kmem, p(ptr));
		return d.data ? BigInt(d.size) : BigInt.asUintN(32, err(EINVAL));
	});
	bodies.set("bpf_dynptr_clone", (_c, ptr, clone) => {
		if (!kmem.rptr(p(ptr))) {
			bpf_dynptr_set_null(kmem, p(clone));
			return err(EINVAL);
		}
		kmem.copy(p(clone), p(ptr), 16);
		return 0n;
	});
	// net/core/filter.c: bpf_dynptr_from_skb, bpf_dynptr_from_xdp and the verifier's read-only form
	const from_skb =
		(rdonly: boolean) =>
		(_c: unknown, ctx: bigint, flags: bigint, ptr: bigint): bigint => {
			if (flags) {
				bpf_dynptr_set_null(kmem, p(ptr));
				return err(EINVAL);
			}
			bpf_dynptr_init(kmem, p(ptr), p(ctx), BPF_DYNPTR_TYPE_SKB, 0, new sk_buff(k, p(ctx)).len);
			if (rdonly) bpf_dynptr_set_rdonly(kmem, p(ptr));
			return 0n;
		};
	bodies.set("bpf_dynptr_from_skb", from_skb(false));
	bodies.set("bpf_dynptr_from_skb_rdonly", from_skb(true));
	bodies.set("bpf_dynptr_from_xdp", (_c, ctx, flags, ptr) => {
		if (flags) {
			bpf_dynptr_set_null(kmem, p(ptr));
			return err(EINVAL);
		}
		bpf_dynptr_init(kmem, p(ptr), p(ctx), BPF_DYNPTR_TYPE_XDP, 0, new xdp_buff(k, p(ctx)).buff_len);
		return 0n;
	});
}

function register_iterators(k: KernelImpl): void {
	const { bodies } = k.bpf;
	const { kmem } = k;
	const p = u64_to_addr;
	// struct bpf_iter_num_kern { int cur; int end; }
	bodies.set("bpf_iter_num_new", (_c, it, start64, end64) => {
		const [start, end] = [s32(start64), s32(end64)];
		const bad = start > end ? EINVAL : end - start > BPF_MAX_LOOPS ? E2BIG : 0;
		if (bad) {
			kmem.w64(p(it), 0n);
			return err(bad);
		}
		kmem.w32(p(it), (start - 1) >>> 0);
		kmem.w32(p(it) + 4, end >>> 0);
		return 0n;
	});
	bodies.set("bpf_iter_num_next", (_c, it) => {
		// cur + 1 wraps as an int does
		const next = (kmem.rs32(p(it)) + 1) | 0;
		if (next >= kmem.rs32(p(it) + 4)) {
			kmem.w64(p(it), 0n);
			return 0n;
		}
		kmem.w32(p(it), next >>> 0);
		return it;
	});
	bodies.set("bpf_iter_num_destroy", (_c, it) => {
		kmem.w64(p(it), 0n);
		return 0n;
	});
	// struct bpf_iter_bits_kern { u64 bits or their address; int nr_bits; int bit; }
	bodies.set("bpf_iter_bits_new", (_c, it, ptr, nr_words64) => {
		const nr_words = lo(nr_words64);
		kmem.w64(p(it), 0n);
		kmem.w32(p(it) + 8, 0);
		kmem.w32(p(it) + 12, 0xffffffff);
		if (!ptr || !nr_words) return err(EINVAL);
		if (nr_words > BITS_ITER_NR_WORDS_MAX) return err(E2BIG);
		const bytes = k.copy_from_kernel_nofault(p(ptr), nr_words * 8);
		if (nr_words === 1) {
			if (typeof bytes === "number") return err(EFAULT);
			kmem.write(p(it), bytes);
		} else {
			if (typeof bytes === "number") return BigInt(bytes);
			const at = kmem.kmalloc(nr_words * 8);
			if (!at) return err(ENOMEM);
			kmem.write(at, bytes);
			kmem.wptr(p(it), at);
		}
		kmem.w32(p(it) + 8, nr_words * 64);
		return 0n;
	});
	bodies.set("bpf_iter_bits_next", (_c, it) => {
		const nr_bits = kmem.rs32(p(it) + 8);
		let bit = kmem.rs32(p(it) + 12);
		if (!nr_bits || bit >= nr_bits) return 0n;
		const bits = nr_bits === 64 ? p(it) : kmem.rptr(p(it));
		for (bit++; bit < nr_bits; bit++) if (kmem.r8(bits + (bit >> 3)) & (1 << (bit & 7))) break;
		kmem.w32(p(it) + 12, bit);
		return bit >= nr_bits ? 0n : addr_to_u64(p(it) + 12);
	});
	bodies.set("bpf_iter_bits_destroy", (_c, it) => {
		if (kmem.rs32(p(it) + 8) > 64) kmem.kfree(kmem.rptr(p(it)));
		return 0n;
	});
}

function register_sections(k: KernelImpl): void {
	const { bodies } = k.bpf;
	const p = u64_to_addr;
	bodies.set("bpf_rcu_read_lock", () => {
		k.rcu.read_lock();
		return 0n;
	});
	bodies.set("bpf_rcu_read_unlock", () => {
		k.rcu.read_unlock();
		return 0n;
	});
	for (const name of ["bpf_preempt_disable", "bpf_preempt_enable"]) bodies.set(name, () => 0n);
	bodies.set("bpf_cast_to_kern_ctx", (_c, obj) => obj);
	bodies.set("bpf_rdonly_cast", (_c, obj) => obj);
	bodies.set("bpf_modify_return_test_tp", (_c, nonce) => {
		k.tracepoints.fire("bpf_trigger_tp", [nonce & 0xffffffffn]);
		return nonce;
	});
	// tasks: the guest's struct stays as long as the task is there
	const task_of = (ptr: bigint): boolean => [...k.tasks.values()].some((t) => t.addr === p(ptr));
	bodies.set("bpf_task_acquire", (_c, task) => (task_of(task) ? task : 0n));
	bodies.set("bpf_task_release", () => 0n);
	bodies.set("bpf_task_release_dtor", () => 0n);
	bodies.set("bpf_task_from_pid", (_c, pid) => {
		const task = k.tasks.get(s32(pid));
		return task ? addr_to_u64(task_image(k, task)) : 0n;
	});
	bodies.set("bpf_copy_from_user_str", (_c, dst, size64, src, flags) => {
		const size = lo(size64);
		if (flags & ~BPF_F_PAD_ZEROS) return err(EINVAL);
		if (!size) return 0n;
		const bytes = p(src) < 0 ? null : k.strncpy_from_user(p(src), size - 1);
		if (!bytes) {
			if (flags & BPF_F_PAD_ZEROS) k.kmem.fill(p(dst), size, 0);
			return err(EFAULT);
		}
		k.kmem.write(p(dst), bytes);
		if (flags & BPF_F_PAD_ZEROS) k.kmem.fill(p(dst) + bytes.length, size - bytes.length, 0);
		else k.kmem.w8(p(dst) + bytes.length, 0);
		return BigInt(bytes.length + 1);
	});
}
