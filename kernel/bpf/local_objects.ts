// SPDX-License-Identifier: GPL-2.0-only
/**
 * Objects that programs allocate, and the lists and trees that own them (kernel/bpf/helpers.c:
 * bpf_obj_new, bpf_refcount_acquire, bpf_list_*, bpf_rbtree_*), with what frees them.
 */
import { BPF_KPTR_PERCPU, BPF_KPTR_REF, BPF_LIST_HEAD, BPF_RB_ROOT } from "../../include/linux/bpf.ts";
import { EINVAL } from "../../include/uapi/asm-generic/errno.ts";
import { addr_to_u64, u64_to_addr } from "../../lib/addr.ts";
import { RbTree } from "../../lib/rbtree.ts";
import type { KernelImpl } from "../kernel_impl.ts";
import { btf_find_struct_meta, btf_is_kernel } from "./btf.ts";
import type { btf_record } from "./btf_types.ts";
import { struct_meta_at } from "./fixups.ts";
import { bpf_obj_free_fields, bpf_obj_init, guest_spin_lock, guest_spin_unlock } from "./map.ts";

/** What marks a node as being added: BPF_PTR_POISON. */
const BPF_PTR_POISON = 0xeb9f;
/** Offset of `owner` in struct bpf_list_node_kern and struct bpf_rb_node_kern. */
const LIST_OWNER = 16;
const RB_OWNER = 24;

/** kernel/bpf/helpers.c: __bpf_obj_drop_impl */
export function __bpf_obj_drop_impl(
	k: KernelImpl,
	obj: number,
	rec: btf_record | null,
	percpu: boolean,
): void {
	const { kmem } = k;
	if (rec && rec.refcount_off >= 0) {
		const at = obj + rec.refcount_off;
		const left = (kmem.r32(at) - 1) >>> 0;
		kmem.w32(at, left);
		if (left !== 0) return;
	}
	if (rec) bpf_obj_free_fields(k, rec, obj);
	k.rcu_tasks_trace.call(() => {
		if (percpu) kmem.free_percpu(kmem.rptr(obj));
		kmem.kfree(obj);
	});
}

function INIT_LIST_HEAD(k: KernelImpl, h: number): void {
	k.kmem.wptr(h, h);
	k.kmem.wptr(h + 8, h);
}

/** Put `n` between `prev` and `next` (struct list_head: next, prev). */
function list_link(k: KernelImpl, n: number, prev: number, next: number): void {
	k.kmem.wptr(next + 8, n);
	k.kmem.wptr(n, next);
	k.kmem.wptr(n + 8, prev);
	k.kmem.wptr(prev, n);
}

/** The bodies, and the freeing of kptrs, lists and trees. */
export function register_local_objects(k: KernelImpl): void {
	const { bodies, field_free } = k.bpf;
	const { kmem } = k;
	const p = u64_to_addr;
	const rec_of = (meta: bigint): btf_record | null => struct_meta_at(k, meta)?.record ?? null;

	bodies.set("bpf_obj_new_impl", (_c, size, meta) => {
		const obj = kmem.kzalloc(Number(size));
		if (!obj) return 0n;
		bpf_obj_init(kmem, rec_of(meta), obj);
		return addr_to_u64(obj);
	});
	bodies.set("bpf_percpu_obj_new_impl", (_c, size) => {
		const cell = kmem.kzalloc(8);
		if (!cell) return 0n;
		const pptr = kmem.alloc_percpu(Number(size), 8);
		if (!pptr) {
			kmem.kfree(cell);
			return 0n;
		}
		kmem.wptr(cell, pptr);
		return addr_to_u64(cell);
	});
	bodies.set("bpf_obj_drop_impl", (_c, obj, meta) => {
		__bpf_obj_drop_impl(k, p(obj), rec_of(meta), false);
		return 0n;
	});
	bodies.set("bpf_percpu_obj_drop_impl", (_c, obj) => {
		__bpf_obj_drop_impl(k, p(obj), null, true);
		return 0n;
	});
	bodies.set("bpf_refcount_acquire_impl", (_c, obj, meta) => {
		const rec = rec_of(meta);
		if (!rec) return 0n;
		const at = p(obj) + rec.refcount_off;
		const n = kmem.r32(at);
		if (n === 0) return 0n;
		kmem.w32(at, n + 1);
		return obj;
	});

	// ---- lists
	const list_add = (head64: bigint, node64: bigint, meta: bigint, off: bigint, tail: boolean): bigint => {
		const h = p(head64);
		const n = p(node64);
		if (kmem.rptr(h) === 0) INIT_LIST_HEAD(k, h);
		if (kmem.rptr(n + LIST_OWNER) !== 0) {
			__bpf_obj_drop_impl(k, n - Number(BigInt.asIntN(64, off)), rec_of(meta), false);
			return BigInt(-EINVAL);
		}
		kmem.wptr(n + LIST_OWNER, BPF_PTR_POISON);
		if (tail) list_link(k, n, kmem.rptr(h + 8), h);
		else list_link(k, n, h, kmem.rptr(h));
		kmem.wptr(n + LIST_OWNER, h);
		return 0n;
	};
	bodies.set("bpf_list_push_front_impl", (_c, head, node, meta, off) =>
		list_add(head, node, meta, off, false),
	);
	bodies.set("bpf_list_push_back_impl", (_c, head, node, meta, off) => list_add(head, node, meta, off, true));
	const list_del = (head64: bigint, tail: boolean): bigint => {
		const h = p(head64);
		if (kmem.rptr(h) === 0) INIT_LIST_HEAD(k, h);
		if (kmem.rptr(h) === h) return 0n;
		const n = kmem.rptr(tail ? h + 8 : h);
		if (kmem.rptr(n + LIST_OWNER) !== h) return 0n;
		const next = kmem.rptr(n);
		const prev = kmem.rptr(n + 8);
		kmem.wptr(prev, next);
		kmem.wptr(next + 8, prev);
		INIT_LIST_HEAD(k, n);
		kmem.wptr(n + LIST_OWNER, 0);
		return addr_to_u64(n);
	};
	bodies.set("bpf_list_pop_front", (_c, head) => list_del(head, false));
	bodies.set("bpf_list_pop_back", (_c, head) => list_del(head, true));

	// ---- trees
	bodies.set("bpf_rbtree_add_impl", (_c, root64, node64, less, meta, off) => {
		const root = p(root64);
		const n = p(node64);
		if (kmem.rptr(n + RB_OWNER) !== 0) {
			__bpf_obj_drop_impl(k, n - Number(BigInt.asIntN(64, off)), rec_of(meta), false);
			return BigInt(-EINVAL);
		}
		kmem.wptr(n + RB_OWNER, BPF_PTR_POISON);
		const tree = new RbTree(kmem, root);
		let link = root;
		let parent = 0;
		let leftmost = true;
		for (let at = kmem.rptr(link); at; at = kmem.rptr(link)) {
			parent = at;
			if (k.call_guest(less, [node64, addr_to_u64(parent), 0n, 0n, 0n]) !== 0n) link = parent + 16;
			else {
				link = parent + 8;
				leftmost = false;
			}
		}
		tree.insert(n, parent, link, leftmost);
		kmem.wptr(n + RB_OWNER, root);
		return 0n;
	});
	bodies.set("bpf_rbtree_remove", (_c, root64, node64) => {
		const root = p(root64);
		const n = p(node64);
		if (kmem.rptr(n + RB_OWNER) !== root) return 0n;
		new RbTree(kmem, root).erase(n);
		kmem.wptr(n, n); // RB_CLEAR_NODE
		kmem.wptr(n + RB_OWNER, 0);
		return node64;
	});
	bodies.set("bpf_rbtree_first", (_c, root) => addr_to_u64(kmem.rptr(p(root) + 8)));

	// ---- freeing what a map value or an object owns
	const free_kptr = (percpu: boolean): void => {
		field_free.set(percpu ? BPF_KPTR_PERCPU : BPF_KPTR_REF, (_k, _rec, field, obj) => {
			const at = obj + field.offset;
			const old = kmem.rptr(at);
			kmem.w64(at, 0n);
			if (!old || !field.kptr) return;
			if (!btf_is_kernel(field.kptr.btf)) {
				const meta = btf_find_struct_meta(field.kptr.btf, field.kptr.btf_id);
				__bpf_obj_drop_impl(k, old, meta?.record ?? null, percpu);
			} else if (field.kptr.dtor) k.call_body(field.kptr.dtor, [addr_to_u64(old)]);
		});
	};
	free_kptr(false);
	free_kptr(true);
	field_free.set(BPF_LIST_HEAD, (_k, rec, field, obj) => {
		const h = obj + field.offset;
		const lock = obj + rec.spin_lock_off;
		guest_spin_lock(k, lock);
		let at = kmem.rptr(h);
		if (at === 0) at = h;
		INIT_LIST_HEAD(k, h);
		guest_spin_unlock(k, lock);
		while (at !== h) {
			const next = kmem.rptr(at);
			__bpf_obj_drop_impl(k, at - field.graph_root!.node_offset, field.graph_root!.value_rec, false);
			at = next;
		}
	});
	field_free.set(BPF_RB_ROOT, (_k, rec, field, obj) => {
		const root = obj + field.offset;
		const lock = obj + rec.spin_lock_off;
		guest_spin_lock(k, lock);
		const nodes = new RbTree(kmem, root).postorder();
		kmem.fill(root, 16, 0);
		guest_spin_unlock(k, lock);
		for (const n of nodes)
			__bpf_obj_drop_impl(k, n - field.graph_root!.node_offset, field.graph_root!.value_rec, false);
	});
}
