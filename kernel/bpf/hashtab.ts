// SPDX-License-Identifier: GPL-2.0-only
/**
 * kernel/bpf/hashtab.c: hash, per-CPU hash, their LRU forms, and hash of maps. Elements (key, value,
 * hash, reference bit) lie in the guest as struct htab_elem, so that a lookup's result and the
 * instructions behind it work as in the kernel; buckets and free lists are objects here, in the
 * kernel's order, so that walks and evictions give the kernel's sequence for a given seed.
 */
import { BPF_F_ACCESS_MASK, BPF_SPIN_LOCK, BPF_TIMER, BPF_WORKQUEUE } from "../../include/linux/bpf.ts";
import {
	E2BIG,
	EBUSY,
	EEXIST,
	EFAULT,
	EINVAL,
	ENOENT,
	ENOMEM,
	ENOSPC,
	ENOTSUPP,
	EOPNOTSUPP,
	EPERM,
} from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_DW,
	BPF_EXIST,
	BPF_F_LOCK,
	BPF_F_NO_COMMON_LRU,
	BPF_F_NO_PREALLOC,
	BPF_F_NUMA_NODE,
	BPF_F_ZERO_SEED,
	BPF_JNE,
	BPF_MAP_TYPE_HASH_OF_MAPS,
	BPF_MAP_TYPE_LRU_HASH,
	BPF_MAP_TYPE_LRU_PERCPU_HASH,
	BPF_MAP_TYPE_PERCPU_HASH,
	BPF_NOEXIST,
	BPF_REG_0,
	BPF_REG_1,
} from "../../include/uapi/linux/bpf.ts";
import { ATTR_OFF, type bpf_attr } from "../../include/uapi/linux/bpf_attr.ts";
import { BPF_ADD, BPF_B, BPF_JEQ } from "../../include/uapi/linux/bpf_common.ts";
import { addr_to_u64 } from "../../lib/addr.ts";
import { jhash, jhash2 } from "../../lib/jhash.ts";
import { u64_to_user_ptr } from "../bpfptr.ts";
import type { file } from "../file.ts";
import type { Kernel } from "../kernel.ts";
import { impl } from "../kernel_impl.ts";
import type { Kmem } from "../kmem.ts";
import { bpf_bypass_spec_v1 } from "../security.ts";
import { CAP_SYS_ADMIN, capable } from "../task.ts";
import { bpf_lru, bpf_lru_node } from "./bpf_lru_list.ts";
import { type bpf_insn, bpf_map } from "./bpf_types.ts";
import { map_set_for_each_callback_args } from "./func_call.ts";
import {
	BPF_ALU64_IMM,
	BPF_EMIT_CALL,
	BPF_JMP_IMM,
	BPF_LDX_MEM,
	BPF_MOV64_PERCPU_REG,
	BPF_ST_MEM,
} from "./insn_macros.ts";
import { bpf_jit_supports_percpu_insn } from "./jit_caps.ts";
import { koffsetof, ksizeof } from "./layout.ts";
import {
	bpf_map_area_alloc,
	bpf_map_area_free,
	bpf_map_attr_numa_node,
	bpf_map_flags_access_ok,
	bpf_map_init_from_attr,
	bpf_obj_free_fields,
	btf_record_has_field,
	check_and_init_map_value,
	copy_map_value,
	copy_map_value_locked,
	copy_map_value_long,
	IS_ERR_VALUE,
	kvfree,
	kvzalloc,
	map_image_add,
	map_image_del,
	type map_ops,
	ops_of,
	round_up,
	zero_map_value,
} from "./map.ts";
import { map_check_no_btf } from "./map_create.ts";
import {
	bpf_map_fd_get_ptr,
	bpf_map_fd_put_ptr,
	bpf_map_fd_sys_lookup_elem,
	bpf_map_meta_alloc,
	bpf_map_meta_equal,
	bpf_map_meta_free,
} from "./map_in_map.ts";
import { generic_map_delete_batch, generic_map_update_batch } from "./map_syscall.ts";

const HTAB_CREATE_FLAG_MASK =
	BPF_F_NO_PREALLOC | BPF_F_NO_COMMON_LRU | BPF_F_NUMA_NODE | BPF_F_ACCESS_MASK | BPF_F_ZERO_SEED;
const HASHTAB_MAP_LOCK_COUNT = 8;
const KMALLOC_MAX_SIZE = 4 << 20;
const PCPU_MIN_UNIT_SIZE = 32 << 10;
const U32_MAX = 0xffffffff;
const LOCK = BigInt(BPF_F_LOCK);
const EXIST = BigInt(BPF_EXIST);
const NOEXIST = BigInt(BPF_NOEXIST);

/** struct htab_elem: the guest's at `addr`; its place in a bucket, a free list or an LRU list is here. */
export class htab_elem extends bpf_lru_node {
	readonly kmem: Kmem;
	readonly addr: number;
	private readonly off: elem_layout;
	/** next in the bucket */
	link: htab_elem | null = null;
	private hash_ = 0;
	/** per-CPU pointer of an element that was not preallocated */
	pptr = 0;
	constructor(kmem: Kmem, addr: number, off: elem_layout) {
		super();
		this.kmem = kmem;
		this.addr = addr;
		this.off = off;
	}
	get hash(): number {
		return this.hash_;
	}
	set hash(v: number) {
		this.hash_ = v;
		this.kmem.w32(this.addr + this.off.hash, v);
	}
	get ref(): boolean {
		return this.kmem.r8(this.addr + this.off.ref) !== 0;
	}
	set ref(v: boolean) {
		this.kmem.w8(this.addr + this.off.ref, v ? 1 : 0);
	}
	get key(): number {
		return this.addr + this.off.key;
	}
}

/** Offsets in struct htab_elem. */
interface elem_layout {
	readonly hash: number;
	readonly key: number;
	readonly ref: number;
	readonly size: number;
}

function elem_layout_of(kernel: Kernel): elem_layout {
	return {
		hash: koffsetof(kernel, "htab_elem", "hash"),
		key: koffsetof(kernel, "htab_elem", "key"),
		ref: koffsetof(kernel, "htab_elem", "lru_node") + koffsetof(kernel, "bpf_lru_node", "ref"),
		size: ksizeof(kernel, "htab_elem"),
	};
}

/** A CPU's stack of free preallocated elements; those never used yet are only a range. */
interface pcpu_freelist_head {
	readonly pushed: htab_elem[];
	lo: number;
	hi: number;
}

/** struct bpf_htab */
export class bpf_htab extends bpf_map {
	readonly kmem: Kmem;
	readonly off: elem_layout;
	n_buckets = 0;
	elem_size = 0;
	hashrnd = 0;
	buckets: (htab_elem | null)[] = [];
	/** guest area of the preallocated elements, and of the buckets */
	elems = 0;
	buckets_area = 0;
	lru: bpf_lru | null = null;
	freelist: pcpu_freelist_head[] = [];
	extra_elems: htab_elem[] = [];
	/** elements that were freed, a stack each CPU: the next allocation takes the newest (bpf_mem_alloc) */
	cache: htab_elem[][] = [];
	count = 0;
	readonly map_locked: Int32Array;
	private readonly count_at: number;
	private readonly prealloc_elems: (htab_elem | null)[] = [];

	constructor(kernel: Kernel, ops: map_ops, addr: number) {
		super(kernel, ops);
		this.kmem = impl(kernel).kmem;
		this.off = elem_layout_of(kernel);
		this.map_locked = new Int32Array(HASHTAB_MAP_LOCK_COUNT * kernel.config.cpus);
		this.count_at = addr + koffsetof(kernel, "bpf_htab", "count");
	}
	get prealloc(): boolean {
		return !(this.map_flags & BPF_F_NO_PREALLOC);
	}
	get is_lru(): boolean {
		return this.map_type === BPF_MAP_TYPE_LRU_HASH || this.map_type === BPF_MAP_TYPE_LRU_PERCPU_HASH;
	}
	get is_percpu(): boolean {
		return this.map_type === BPF_MAP_TYPE_PERCPU_HASH || this.map_type === BPF_MAP_TYPE_LRU_PERCPU_HASH;
	}
	get has_extra_elems(): boolean {
		return !this.is_percpu && !this.is_lru;
	}
	get cpu(): number {
		return impl(this.kernel).cpu;
	}
	/** The preallocated element `i`. */
	elem(i: number): htab_elem {
		let l = this.prealloc_elems[i];
		if (!l) {
			l = new htab_elem(this.kmem, this.elems + i * this.elem_size, this.off);
			this.prealloc_elems[i] = l;
		}
		return l;
	}
	/** Address of the value, or of the pointer to it. */
	value_of(l: htab_elem): number {
		return l.addr + this.off.key + round_up(this.key_size, 8);
	}
	pptr_of(l: htab_elem): number {
		return this.kmem.rptr(this.value_of(l));
	}
	/** htab->count, where programs may read it */
	add_count(by: number): void {
		this.count += by;
		if (!this.prealloc) this.kmem.w32(this.count_at, this.count);
	}
	/** __pcpu_freelist_pop() */
	pop(): htab_elem | null {
		const n = this.freelist.length;
		for (let i = 0; i < n; i++) {
			const head = this.freelist[(this.cpu + i) % n]!;
			const l = head.pushed.pop();
			if (l) return l;
			if (head.hi > head.lo) return this.elem(--head.hi);
		}
		return null;
	}
	/** pcpu_freelist_push() */
	push(l: htab_elem): void {
		this.freelist[this.cpu]!.pushed.push(l);
	}
}

function htab_of(map: bpf_map): bpf_htab {
	return map as bpf_htab;
}

/** kernel/bpf/hashtab.c: htab_lock_bucket: -EBUSY when this CPU is inside a bucket of the same lock class. */
function htab_lock_bucket(htab: bpf_htab, hash: number): number {
	const i =
		htab.cpu * HASHTAB_MAP_LOCK_COUNT + (hash & Math.min(HASHTAB_MAP_LOCK_COUNT - 1, htab.n_buckets - 1));
	if (htab.map_locked[i] !== 0) return -EBUSY;
	impl(htab.kernel).local_irq_save();
	htab.map_locked[i] = 1;
	return 0;
}

function htab_unlock_bucket(htab: bpf_htab, hash: number): void {
	const i =
		htab.cpu * HASHTAB_MAP_LOCK_COUNT + (hash & Math.min(HASHTAB_MAP_LOCK_COUNT - 1, htab.n_buckets - 1));
	htab.map_locked[i] = 0;
	impl(htab.kernel).local_irq_restore();
}

/** hlist_nulls_add_head_rcu() */
function add_head(htab: bpf_htab, l: htab_elem): void {
	const i = bucket_of(htab, l.hash);
	l.link = htab.buckets[i] ?? null;
	htab.buckets[i] = l;
}

/** hlist_nulls_del_rcu(): false when it is in no bucket. */
function del_elem(htab: bpf_htab, l: htab_elem): boolean {
	const i = bucket_of(htab, l.hash);
	let prev: htab_elem | null = null;
	for (let p = htab.buckets[i] ?? null; p; p = p.link) {
		if (p === l) {
			if (prev) prev.link = l.link;
			else htab.buckets[i] = l.link;
			return true;
		}
		prev = p;
	}
	return false;
}

function bucket_of(htab: bpf_htab, hash: number): number {
	return (hash & (htab.n_buckets - 1)) >>> 0;
}

/** kernel/bpf/hashtab.c: htab_map_hash */
function htab_map_hash(key: Uint8Array, hashrnd: number): number {
	return key.length % 4 === 0 ? jhash2(key, hashrnd) : jhash(key, hashrnd);
}

/** kernel/bpf/hashtab.c: lookup_elem_raw */
function lookup_elem_raw(htab: bpf_htab, hash: number, key: Uint8Array): htab_elem | null {
	for (let l = htab.buckets[bucket_of(htab, hash)] ?? null; l; l = l.link)
		if (l.hash === hash && key_equal(htab, l, key)) return l;
	return null;
}

function key_equal(htab: bpf_htab, l: htab_elem, key: Uint8Array): boolean {
	const k = htab.kmem.read(l.key, key.length);
	for (let i = 0; i < key.length; i++) if (k[i] !== key[i]) return false;
	return true;
}

function lookup(map: bpf_map, key: number): htab_elem | null {
	const htab = htab_of(map);
	const k = htab.kmem.read(key, map.key_size);
	return lookup_elem_raw(htab, htab_map_hash(k, htab.hashrnd), k);
}

// ---- allocation

/** kernel/bpf/hashtab.c: htab_map_alloc_check */
function htab_map_alloc_check(kernel: Kernel, attr: bpf_attr): number {
	const percpu = attr.map_type === BPF_MAP_TYPE_PERCPU_HASH || attr.map_type === BPF_MAP_TYPE_LRU_PERCPU_HASH;
	const lru = attr.map_type === BPF_MAP_TYPE_LRU_HASH || attr.map_type === BPF_MAP_TYPE_LRU_PERCPU_HASH;
	const percpu_lru = (attr.map_flags & BPF_F_NO_COMMON_LRU) !== 0;
	const prealloc = !(attr.map_flags & BPF_F_NO_PREALLOC);
	const numa_node = bpf_map_attr_numa_node(attr);
	if (attr.map_flags & BPF_F_ZERO_SEED && !capable(kernel.current, CAP_SYS_ADMIN)) return -EPERM;
	if (attr.map_flags & ~HTAB_CREATE_FLAG_MASK || !bpf_map_flags_access_ok(attr.map_flags)) return -EINVAL;
	if (!lru && percpu_lru) return -EINVAL;
	if (lru && !prealloc) return -ENOTSUPP;
	if (numa_node !== -1 && (percpu || percpu_lru)) return -EINVAL;
	if (attr.max_entries === 0 || attr.key_size === 0 || attr.value_size === 0) return -EINVAL;
	if (attr.key_size + attr.value_size >= KMALLOC_MAX_SIZE - ksizeof(kernel, "htab_elem")) return -E2BIG;
	return percpu && round_up(attr.value_size, 8) > PCPU_MIN_UNIT_SIZE ? -E2BIG : 0;
}

/** kernel/bpf/hashtab.c: prealloc_init */
function prealloc_init(htab: bpf_htab): number {
	const { kernel, kmem } = htab;
	const { cpus } = kernel.config;
	let num_entries = htab.max_entries;
	if (htab.has_extra_elems) num_entries += cpus;
	htab.elems = bpf_map_area_alloc(kernel, htab.elem_size * num_entries);
	if (!htab.elems) return -ENOMEM;
	if (htab.is_percpu) {
		for (let i = 0; i < num_entries; i++) {
			const pptr = kmem.alloc_percpu(round_up(htab.value_size, 8), 8);
			if (!pptr) {
				for (let j = 0; j < i; j++) kmem.free_percpu(htab.pptr_of(htab.elem(j)));
				bpf_map_area_free(kernel, htab.elems);
				return -ENOMEM;
			}
			kmem.wptr(htab.value_of(htab.elem(i)), pptr);
		}
	}
	if (htab.is_lru) {
		htab.lru = new bpf_lru(kernel, (htab.map_flags & BPF_F_NO_COMMON_LRU) !== 0, (node) =>
			htab_lru_map_delete_node(htab, node as htab_elem),
		);
		const nodes: htab_elem[] = [];
		for (let i = 0; i < num_entries; i++) nodes.push(htab.elem(i));
		htab.lru.populate(nodes);
		return 0;
	}
	const n = Math.floor(num_entries / cpus);
	const m = num_entries % cpus;
	let at = 0;
	for (let cpu = 0; cpu < cpus; cpu++) {
		const share = n + (cpu < m ? 1 : 0);
		htab.freelist.push({ pushed: [], lo: at, hi: at + share });
		at += share;
	}
	return 0;
}

/** kernel/bpf/hashtab.c: htab_map_alloc */
function htab_map_alloc(kernel: Kernel, attr: bpf_attr, ops: map_ops): bpf_map | number {
	const k = impl(kernel);
	const { kmem } = k;
	const { cpus } = kernel.config;
	const addr = bpf_map_area_alloc(kernel, ksizeof(kernel, "bpf_htab"));
	if (addr === 0) return -ENOMEM;
	const fail = (err: number): number => {
		bpf_map_area_free(kernel, addr);
		return err;
	};
	const htab = new bpf_htab(kernel, ops, addr);
	bpf_map_init_from_attr(htab, attr);
	htab.bypass_spec_v1 = bpf_bypass_spec_v1(kernel);
	if (attr.map_flags & BPF_F_NO_COMMON_LRU) {
		htab.max_entries = (Math.ceil(attr.max_entries / cpus) * cpus) >>> 0;
		if (htab.max_entries < attr.max_entries) htab.max_entries = Math.floor(attr.max_entries / cpus) * cpus;
	}
	if (htab.max_entries > 2 ** 31) return fail(-E2BIG);
	htab.n_buckets = 2 ** Math.ceil(Math.log2(htab.max_entries));
	htab.elem_size = htab.off.size + round_up(htab.key_size, 8);
	htab.elem_size += htab.is_percpu ? 8 : round_up(htab.value_size, 8);
	const bucket_size = ksizeof(kernel, "bucket");
	if (htab.n_buckets > Math.floor(U32_MAX / bucket_size)) return fail(-E2BIG);
	htab.buckets_area = bpf_map_area_alloc(kernel, htab.n_buckets * bucket_size);
	if (!htab.buckets_area) return fail(-ENOMEM);
	htab.hashrnd = htab.map_flags & BPF_F_ZERO_SEED ? 0 : k.random.u32();
	if (htab.prealloc) {
		const err = prealloc_init(htab);
		if (err) {
			bpf_map_area_free(kernel, htab.buckets_area);
			return fail(err);
		}
		if (htab.has_extra_elems) {
			// each CPU's spare element comes off the booting CPU's list first
			for (let cpu = 0; cpu < cpus; cpu++) htab.extra_elems.push(htab.pop()!);
		}
	} else for (let cpu = 0; cpu < cpus; cpu++) htab.cache.push([]);
	kmem.w32(addr + koffsetof(kernel, "bpf_htab", "n_buckets"), htab.n_buckets);
	kmem.w32(addr + koffsetof(kernel, "bpf_htab", "elem_size"), htab.elem_size);
	kmem.w32(addr + koffsetof(kernel, "bpf_htab", "hashrnd"), htab.hashrnd);
	kmem.wptr(addr + koffsetof(kernel, "bpf_htab", "elems"), htab.elems);
	kmem.wptr(addr + koffsetof(kernel, "bpf_htab", "buckets"), htab.buckets_area);
	map_image_add(htab, addr);
	return htab;
}

/** kernel/bpf/hashtab.c: check_and_free_fields */
function check_and_free_fields(htab: bpf_htab, l: htab_elem): void {
	if (!htab.record) return;
	if (!htab.is_percpu) {
		bpf_obj_free_fields(htab.kernel, htab.record, htab.value_of(l));
		return;
	}
	const pptr = htab.pptr_of(l);
	for (let cpu = 0; cpu < htab.kernel.config.cpus; cpu++)
		bpf_obj_free_fields(htab.kernel, htab.record, htab.kmem.per_cpu_ptr(pptr, cpu));
}

/** kernel/bpf/hashtab.c: htab_lru_map_delete_node */
function htab_lru_map_delete_node(htab: bpf_htab, l: htab_elem): boolean {
	if (htab_lock_bucket(htab, l.hash)) return false;
	const found = del_elem(htab, l);
	if (found) {
		check_and_free_fields(htab, l);
		htab.add_count(-1);
	}
	htab_unlock_bucket(htab, l.hash);
	return found;
}

/** kernel/bpf/hashtab.c: free_htab_elem */
function free_htab_elem(htab: bpf_htab, l: htab_elem): void {
	const ops = ops_of(htab);
	if (ops.map_fd_put_ptr) ops.map_fd_put_ptr(htab, htab.kmem.rptr(htab.value_of(l)), true);
	htab.add_count(-1);
	check_and_free_fields(htab, l);
	if (htab.prealloc) htab.push(l);
	else htab.cache[htab.cpu]!.push(l);
}

/** Give an element's memory back for good. */
function release_elem(htab: bpf_htab, l: htab_elem): void {
	if (l.pptr) htab.kmem.free_percpu(l.pptr);
	htab.kmem.kfree(l.addr);
}

/** kernel/bpf/hashtab.c: pcpu_copy_value */
function pcpu_copy_value(htab: bpf_htab, pptr: number, value: number, onallcpus: boolean): void {
	const { kmem, kernel } = htab;
	if (!onallcpus) {
		const ptr = kmem.this_cpu_ptr(pptr);
		copy_map_value(htab, ptr, value);
		bpf_obj_free_fields(kernel, htab.record, ptr);
		return;
	}
	const size = round_up(htab.value_size, 8);
	for (let cpu = 0; cpu < kernel.config.cpus; cpu++) {
		const ptr = kmem.per_cpu_ptr(pptr, cpu);
		copy_map_value_long(htab, ptr, value + cpu * size);
		bpf_obj_free_fields(kernel, htab.record, ptr);
	}
}

/** kernel/bpf/hashtab.c: pcpu_init_value */
function pcpu_init_value(htab: bpf_htab, pptr: number, value: number, onallcpus: boolean): void {
	if (onallcpus) {
		pcpu_copy_value(htab, pptr, value, true);
		return;
	}
	for (let cpu = 0; cpu < htab.kernel.config.cpus; cpu++) {
		const ptr = htab.kmem.per_cpu_ptr(pptr, cpu);
		if (cpu === htab.cpu) copy_map_value(htab, ptr, value);
		else zero_map_value(htab, ptr);
	}
}

/** kernel/bpf/hashtab.c: alloc_htab_elem */
function alloc_htab_elem(
	htab: bpf_htab,
	key: number,
	value: number,
	hash: number,
	percpu: boolean,
	onallcpus: boolean,
	old_elem: htab_elem | null,
): htab_elem | number {
	const { kmem } = htab;
	let l: htab_elem;
	if (htab.prealloc) {
		if (old_elem) {
			l = htab.extra_elems[htab.cpu]!;
			htab.extra_elems[htab.cpu] = old_elem;
		} else {
			const got = htab.pop();
			if (!got) return -E2BIG;
			l = got;
			htab.add_count(1);
		}
	} else {
		if (htab.count >= htab.max_entries && !old_elem) return -E2BIG;
		const cached = htab.cache[htab.cpu]!.pop();
		if (cached) l = cached;
		else {
			const addr = kmem.kzalloc(htab.elem_size);
			if (!addr) return -ENOMEM;
			l = new htab_elem(kmem, addr, htab.off);
			if (percpu) {
				l.pptr = kmem.alloc_percpu(round_up(htab.value_size, 8), 8);
				if (!l.pptr) {
					kmem.kfree(addr);
					return -ENOMEM;
				}
			}
		}
		htab.add_count(1);
	}
	kmem.copy(l.key, key, htab.key_size);
	if (percpu) {
		const pptr = htab.prealloc ? htab.pptr_of(l) : l.pptr;
		pcpu_init_value(htab, pptr, value, onallcpus);
		if (!htab.prealloc) kmem.wptr(htab.value_of(l), pptr);
	} else if (htab.map_type === BPF_MAP_TYPE_HASH_OF_MAPS) kmem.copy(htab.value_of(l), value, 8);
	else copy_map_value(htab, htab.value_of(l), value);
	l.hash = hash;
	return l;
}

/** kernel/bpf/hashtab.c: check_flags */
function check_flags(l_old: htab_elem | null, map_flags: bigint): number {
	const f = map_flags & ~LOCK;
	if (l_old && f === NOEXIST) return -EEXIST;
	if (!l_old && f === EXIST) return -ENOENT;
	return 0;
}

function flags_over(map_flags: bigint): boolean {
	return BigInt.asUintN(64, map_flags & ~LOCK) > EXIST;
}

// ---- operations

function htab_map_lookup_elem(map: bpf_map, key: number): number {
	const l = lookup(map, key);
	return l ? htab_of(map).value_of(l) : 0;
}

/** kernel/bpf/hashtab.c: __htab_map_lookup_elem: the element, for the inlined lookups. */
export function __htab_map_lookup_elem(map: bpf_map, key: number): number {
	return lookup(map, key)?.addr ?? 0;
}

function elem_value_off(map: bpf_map): number {
	return koffsetof(map.kernel, "htab_elem", "key") + round_up(map.key_size, 8);
}

/** kernel/bpf/hashtab.c: htab_map_gen_lookup */
function htab_map_gen_lookup(map: bpf_map): bpf_insn[] {
	return [
		BPF_EMIT_CALL(map.kernel, "__htab_map_lookup_elem"),
		BPF_JMP_IMM(BPF_JEQ, BPF_REG_0, 0, 1),
		BPF_ALU64_IMM(BPF_ADD, BPF_REG_0, elem_value_off(map)),
	];
}

/** kernel/bpf/hashtab.c: htab_lru_map_gen_lookup */
function htab_lru_map_gen_lookup(map: bpf_map): bpf_insn[] {
	const ref = elem_layout_of(map.kernel).ref;
	return [
		BPF_EMIT_CALL(map.kernel, "__htab_map_lookup_elem"),
		BPF_JMP_IMM(BPF_JEQ, BPF_REG_0, 0, 4),
		BPF_LDX_MEM(BPF_B, BPF_REG_1, BPF_REG_0, ref),
		BPF_JMP_IMM(BPF_JNE, BPF_REG_1, 0, 1),
		BPF_ST_MEM(BPF_B, BPF_REG_0, ref, 1),
		BPF_ALU64_IMM(BPF_ADD, BPF_REG_0, elem_value_off(map)),
	];
}

/** kernel/bpf/hashtab.c: htab_percpu_map_gen_lookup */
function htab_percpu_map_gen_lookup(map: bpf_map): bpf_insn[] | number {
	if (!bpf_jit_supports_percpu_insn(map.kernel)) return -EOPNOTSUPP;
	return [
		BPF_EMIT_CALL(map.kernel, "__htab_map_lookup_elem"),
		BPF_JMP_IMM(BPF_JEQ, BPF_REG_0, 0, 3),
		BPF_ALU64_IMM(BPF_ADD, BPF_REG_0, elem_value_off(map)),
		BPF_LDX_MEM(BPF_DW, BPF_REG_0, BPF_REG_0, 0),
		BPF_MOV64_PERCPU_REG(BPF_REG_0, BPF_REG_0),
	];
}

/** kernel/bpf/hashtab.c: htab_of_map_gen_lookup */
function htab_of_map_gen_lookup(map: bpf_map): bpf_insn[] {
	return [
		BPF_EMIT_CALL(map.kernel, "__htab_map_lookup_elem"),
		BPF_JMP_IMM(BPF_JEQ, BPF_REG_0, 0, 2),
		BPF_ALU64_IMM(BPF_ADD, BPF_REG_0, elem_value_off(map)),
		BPF_LDX_MEM(BPF_DW, BPF_REG_0, BPF_REG_0, 0),
	];
}

function htab_lru_map_lookup_elem(map: bpf_map, key: number): number {
	const l = lookup(map, key);
	if (!l) return 0;
	if (!l.ref) l.ref = true;
	return htab_of(map).value_of(l);
}

function htab_percpu_map_lookup_elem(map: bpf_map, key: number): number {
	const htab = htab_of(map);
	const l = lookup(map, key);
	return l ? htab.kmem.this_cpu_ptr(htab.pptr_of(l)) : 0;
}

function htab_lru_percpu_map_lookup_elem(map: bpf_map, key: number): number {
	const htab = htab_of(map);
	const l = lookup(map, key);
	if (!l) return 0;
	if (!l.ref) l.ref = true;
	return htab.kmem.this_cpu_ptr(htab.pptr_of(l));
}

function htab_percpu_map_lookup_percpu_elem(map: bpf_map, key: number, cpu: number): number {
	const htab = htab_of(map);
	if (cpu >= map.kernel.config.cpus) return 0;
	const l = lookup(map, key);
	if (!l) return 0;
	if (htab.is_lru && !l.ref) l.ref = true;
	return htab.kmem.per_cpu_ptr(htab.pptr_of(l), cpu);
}

/** kernel/bpf/hashtab.c: htab_map_get_next_key */
function htab_map_get_next_key(map: bpf_map, key: number, next_key: number): number {
	const htab = htab_of(map);
	let i = 0;
	if (key) {
		const l = lookup(map, key);
		if (l) {
			if (l.link) {
				htab.kmem.copy(next_key, l.link.key, map.key_size);
				return 0;
			}
			i = bucket_of(htab, l.hash) + 1;
		}
	}
	for (; i < htab.n_buckets; i++) {
		const first = htab.buckets[i];
		if (first) {
			htab.kmem.copy(next_key, first.key, map.key_size);
			return 0;
		}
	}
	return -ENOENT;
}

/** kernel/bpf/hashtab.c: htab_map_update_elem */
function htab_map_update_elem(map: bpf_map, key: number, value: number, map_flags: bigint): number {
	const htab = htab_of(map);
	const ops = ops_of(map);
	if (flags_over(map_flags)) return -EINVAL;
	const kb = htab.kmem.read(key, map.key_size);
	const hash = htab_map_hash(kb, htab.hashrnd);
	const lock = (map_flags & LOCK) !== 0n;
	if (lock) {
		if (!btf_record_has_field(map.record, BPF_SPIN_LOCK)) return -EINVAL;
		const l = lookup_elem_raw(htab, hash, kb);
		const ret = check_flags(l, map_flags);
		if (ret) return ret;
		if (l) {
			copy_map_value_locked(map, htab.value_of(l), value, false);
			return 0;
		}
	}
	const busy = htab_lock_bucket(htab, hash);
	if (busy) return busy;
	let old_map_ptr = 0;
	let l_old: htab_elem | null = null;
	try {
		l_old = lookup_elem_raw(htab, hash, kb);
		const ret = check_flags(l_old, map_flags);
		if (ret) return ret;
		const l_new = alloc_htab_elem(htab, key, value, hash, false, false, l_old);
		if (typeof l_new === "number") return l_new;
		add_head(htab, l_new);
		if (l_old) {
			del_elem(htab, l_old);
			if (htab.prealloc) {
				if (ops.map_fd_put_ptr) old_map_ptr = htab.kmem.rptr(htab.value_of(l_old));
				check_and_free_fields(htab, l_old);
			}
		}
	} finally {
		htab_unlock_bucket(htab, hash);
	}
	if (l_old) {
		if (old_map_ptr) ops.map_fd_put_ptr!(map, old_map_ptr, true);
		if (!htab.prealloc) free_htab_elem(htab, l_old);
	}
	return 0;
}

/** kernel/bpf/hashtab.c: htab_lru_push_free */
function htab_lru_push_free(htab: bpf_htab, l: htab_elem): void {
	check_and_free_fields(htab, l);
	htab.add_count(-1);
	htab.lru!.push_free(l);
}

/** kernel/bpf/hashtab.c: prealloc_lru_pop */
function prealloc_lru_pop(htab: bpf_htab, key: number, hash: number): htab_elem | null {
	const l = htab.lru!.pop_free(hash) as htab_elem | null;
	if (!l) return null;
	htab.add_count(1);
	htab.kmem.copy(l.key, key, htab.key_size);
	return l;
}

/** kernel/bpf/hashtab.c: htab_lru_map_update_elem */
function htab_lru_map_update_elem(map: bpf_map, key: number, value: number, map_flags: bigint): number {
	const htab = htab_of(map);
	if (map_flags > EXIST) return -EINVAL;
	const kb = htab.kmem.read(key, map.key_size);
	const hash = htab_map_hash(kb, htab.hashrnd);
	const l_new = prealloc_lru_pop(htab, key, hash);
	if (!l_new) return -ENOMEM;
	copy_map_value(htab, htab.value_of(l_new), value);
	let l_old: htab_elem | null = null;
	let ret = htab_lock_bucket(htab, hash);
	if (!ret) {
		l_old = lookup_elem_raw(htab, hash, kb);
		ret = check_flags(l_old, map_flags);
		if (!ret) {
			add_head(htab, l_new);
			if (l_old) {
				if (!l_new.ref) l_new.ref = true;
				del_elem(htab, l_old);
			}
		}
		htab_unlock_bucket(htab, hash);
	}
	if (ret) htab_lru_push_free(htab, l_new);
	else if (l_old) htab_lru_push_free(htab, l_old);
	return ret;
}

/** kernel/bpf/hashtab.c: __htab_percpu_map_update_elem */
function __htab_percpu_map_update_elem(
	map: bpf_map,
	key: number,
	value: number,
	map_flags: bigint,
	onallcpus: boolean,
): number {
	const htab = htab_of(map);
	if (map_flags > EXIST) return -EINVAL;
	const kb = htab.kmem.read(key, map.key_size);
	const hash = htab_map_hash(kb, htab.hashrnd);
	const busy = htab_lock_bucket(htab, hash);
	if (busy) return busy;
	try {
		const l_old = lookup_elem_raw(htab, hash, kb);
		const ret = check_flags(l_old, map_flags);
		if (ret) return ret;
		if (l_old) pcpu_copy_value(htab, htab.pptr_of(l_old), value, onallcpus);
		else {
			const l_new = alloc_htab_elem(htab, key, value, hash, true, onallcpus, null);
			if (typeof l_new === "number") return l_new;
			add_head(htab, l_new);
		}
		return 0;
	} finally {
		htab_unlock_bucket(htab, hash);
	}
}

/** kernel/bpf/hashtab.c: __htab_lru_percpu_map_update_elem */
function __htab_lru_percpu_map_update_elem(
	map: bpf_map,
	key: number,
	value: number,
	map_flags: bigint,
	onallcpus: boolean,
): number {
	const htab = htab_of(map);
	if (map_flags > EXIST) return -EINVAL;
	const kb = htab.kmem.read(key, map.key_size);
	const hash = htab_map_hash(kb, htab.hashrnd);
	let l_new: htab_elem | null = null;
	if (map_flags !== EXIST) {
		l_new = prealloc_lru_pop(htab, key, hash);
		if (!l_new) return -ENOMEM;
	}
	let ret = htab_lock_bucket(htab, hash);
	if (!ret) {
		const l_old = lookup_elem_raw(htab, hash, kb);
		ret = check_flags(l_old, map_flags);
		if (!ret) {
			if (l_old) {
				if (!l_old.ref) l_old.ref = true;
				pcpu_copy_value(htab, htab.pptr_of(l_old), value, onallcpus);
			} else {
				pcpu_init_value(htab, htab.pptr_of(l_new!), value, onallcpus);
				add_head(htab, l_new!);
				l_new = null;
			}
		}
		htab_unlock_bucket(htab, hash);
	}
	if (l_new) {
		htab.add_count(-1);
		htab.lru!.push_free(l_new);
	}
	return ret;
}

function htab_percpu_map_update_elem(map: bpf_map, key: number, value: number, flags: bigint): number {
	return __htab_percpu_map_update_elem(map, key, value, flags, false);
}

function htab_lru_percpu_map_update_elem(map: bpf_map, key: number, value: number, flags: bigint): number {
	return __htab_lru_percpu_map_update_elem(map, key, value, flags, false);
}

/** kernel/bpf/hashtab.c: htab_map_delete_elem, htab_lru_map_delete_elem */
function htab_map_delete_elem(map: bpf_map, key: number): number {
	const htab = htab_of(map);
	const kb = htab.kmem.read(key, map.key_size);
	const hash = htab_map_hash(kb, htab.hashrnd);
	const busy = htab_lock_bucket(htab, hash);
	if (busy) return busy;
	const l = lookup_elem_raw(htab, hash, kb);
	if (l) del_elem(htab, l);
	htab_unlock_bucket(htab, hash);
	if (!l) return -ENOENT;
	if (htab.is_lru) htab_lru_push_free(htab, l);
	else free_htab_elem(htab, l);
	return 0;
}

/** All elements there are, bucket by bucket. */
function* elements(htab: bpf_htab): Generator<htab_elem> {
	for (let i = 0; i < htab.n_buckets; i++) {
		for (let l = htab.buckets[i] ?? null; l; ) {
			const { link } = l as htab_elem;
			yield l;
			l = link;
		}
	}
}

/** kernel/bpf/hashtab.c: htab_map_free_timers_and_wq */
function htab_map_free_timers_and_wq(map: bpf_map): void {
	const htab = htab_of(map);
	if (!btf_record_has_field(map.record, BPF_TIMER | BPF_WORKQUEUE)) return;
	const { field_free } = impl(map.kernel).bpf;
	for (const l of elements(htab))
		for (const f of map.record!.fields)
			if (f.type === BPF_TIMER || f.type === BPF_WORKQUEUE)
				field_free.get(f.type)?.(map.kernel, map.record!, f, htab.value_of(l));
}

/** kernel/bpf/hashtab.c: htab_map_free */
function htab_map_free(map: bpf_map): void {
	const htab = htab_of(map);
	const { kernel, kmem } = htab;
	if (!htab.prealloc) {
		for (const l of elements(htab)) {
			check_and_free_fields(htab, l);
			release_elem(htab, l);
		}
		for (const list of htab.cache) for (const l of list) release_elem(htab, l);
	} else {
		let num = htab.max_entries;
		if (htab.has_extra_elems) num += kernel.config.cpus;
		if (htab.record || htab.is_percpu) {
			for (let i = 0; i < num; i++) {
				const l = htab.elem(i);
				check_and_free_fields(htab, l);
				if (htab.is_percpu) kmem.free_percpu(htab.pptr_of(l));
			}
		}
		bpf_map_area_free(kernel, htab.elems);
	}
	htab.buckets = [];
	bpf_map_area_free(kernel, htab.buckets_area);
	map_image_del(map);
	bpf_map_area_free(kernel, map.addr);
}

/** Copy an element's value for user space: all CPUs' of a per-CPU map; the special fields come out as zeroes. */
function copy_value_out(htab: bpf_htab, l: htab_elem, dst: number, flags: bigint): void {
	const { kmem } = htab;
	if (htab.is_percpu) {
		const size = round_up(htab.value_size, 8);
		const pptr = htab.pptr_of(l);
		for (let cpu = 0; cpu < htab.kernel.config.cpus; cpu++) {
			copy_map_value_long(htab, dst + cpu * size, kmem.per_cpu_ptr(pptr, cpu));
			check_and_init_map_value(htab, dst + cpu * size);
		}
		return;
	}
	const value = htab.value_of(l);
	if (htab.map_type === BPF_MAP_TYPE_HASH_OF_MAPS)
		kmem.w32(dst, bpf_map_fd_sys_lookup_elem(htab, kmem.rptr(value)));
	else if (flags & LOCK) copy_map_value_locked(htab, dst, value, true);
	else copy_map_value(htab, dst, value);
	check_and_init_map_value(htab, dst);
}

/** kernel/bpf/hashtab.c: __htab_map_lookup_and_delete_elem */
function htab_map_lookup_and_delete_elem(map: bpf_map, key: number, value: number, flags: bigint): number {
	const htab = htab_of(map);
	const kb = htab.kmem.read(key, map.key_size);
	const hash = htab_map_hash(kb, htab.hashrnd);
	const busy = htab_lock_bucket(htab, hash);
	if (busy) return busy;
	const l = lookup_elem_raw(htab, hash, kb);
	if (l) {
		copy_value_out(htab, l, value, flags);
		del_elem(htab, l);
		if (!htab.is_lru) free_htab_elem(htab, l);
	}
	htab_unlock_bucket(htab, hash);
	if (!l) return -ENOENT;
	if (htab.is_lru) htab_lru_push_free(htab, l);
	return 0;
}

/** kernel/bpf/hashtab.c: __htab_map_lookup_and_delete_batch: whole buckets at a time. */
function __htab_map_lookup_and_delete_batch(
	map: bpf_map,
	attr: bpf_attr,
	uattr: number,
	do_delete: boolean,
): number {
	const htab = htab_of(map);
	const k = impl(map.kernel);
	const { kmem } = k;
	const elem_flags = attr.batch_elem_flags;
	if (elem_flags & ~LOCK || (elem_flags & LOCK && !btf_record_has_field(map.record, BPF_SPIN_LOCK)))
		return -EINVAL;
	if (attr.batch_flags) return -EINVAL;
	const max_count = attr.batch_count;
	if (!max_count) return 0;
	if (!k.put_user32(uattr + ATTR_OFF.batch_count, 0)) return -EFAULT;
	let batch = 0;
	const ubatch = u64_to_user_ptr(attr.batch_in_batch);
	if (ubatch) {
		const b = k.copy_from_user(ubatch, 4);
		if (!b) return -EFAULT;
		batch = (b[0]! | (b[1]! << 8) | (b[2]! << 16) | (b[3]! << 24)) >>> 0;
	}
	if (batch >= htab.n_buckets) return -ENOENT;
	const ukeys = u64_to_user_ptr(attr.batch_keys);
	const uvalues = u64_to_user_ptr(attr.batch_values);
	const { key_size } = map;
	const value_size = htab.is_percpu ? round_up(map.value_size, 8) * map.kernel.config.cpus : map.value_size;
	let total = 0;
	let ret = 0;
	for (;;) {
		const bucket: htab_elem[] = [];
		for (let l = htab.buckets[batch] ?? null; l; l = l.link) bucket.push(l);
		if (bucket.length > max_count - total) {
			if (total === 0) ret = -ENOSPC;
			break;
		}
		if (bucket.length > 0) {
			const values = kvzalloc(map.kernel, round_up(value_size, 8) * bucket.length);
			const keys = kvzalloc(map.kernel, key_size * bucket.length);
			if (!values || !keys) {
				if (values) kvfree(map.kernel, values);
				if (keys) kvfree(map.kernel, keys);
				ret = -ENOMEM;
				break;
			}
			ret = htab_lock_bucket(htab, batch);
			if (!ret) {
				bucket.forEach((l, i) => {
					kmem.copy(keys + i * key_size, l.key, key_size);
					copy_value_out(htab, l, values + i * value_size, elem_flags);
					if (do_delete) del_elem(htab, l);
				});
				htab_unlock_bucket(htab, batch);
				if (do_delete) {
					for (const l of bucket.reverse()) {
						if (htab.is_lru) htab_lru_push_free(htab, l);
						else free_htab_elem(htab, l);
					}
				}
				if (
					!k.copy_to_user(ukeys + total * key_size, kmem.read(keys, key_size * bucket.length)) ||
					!k.copy_to_user(uvalues + total * value_size, kmem.read(values, value_size * bucket.length))
				)
					ret = -EFAULT;
			}
			kvfree(map.kernel, values);
			kvfree(map.kernel, keys);
			if (ret) break;
		}
		total += bucket.length;
		batch++;
		if (batch >= htab.n_buckets) {
			ret = -ENOENT;
			break;
		}
	}
	if (ret === -EFAULT) return ret;
	if (
		!k.put_user32(u64_to_user_ptr(attr.batch_out_batch), batch) ||
		!k.put_user32(uattr + ATTR_OFF.batch_count, total)
	)
		return -EFAULT;
	return ret;
}

/** kernel/bpf/hashtab.c: bpf_for_each_hash_elem */
function bpf_for_each_hash_elem(
	map: bpf_map,
	callback_fn: bigint,
	callback_ctx: bigint,
	flags: bigint,
): number {
	const htab = htab_of(map);
	const k = impl(map.kernel);
	if (flags !== 0n) return -EINVAL;
	let num_elems = 0;
	for (const l of elements(htab)) {
		const val = htab.is_percpu ? htab.kmem.this_cpu_ptr(htab.pptr_of(l)) : htab.value_of(l);
		num_elems++;
		const ret = k.call_guest(callback_fn, [
			map.kaddr,
			addr_to_u64(l.key),
			addr_to_u64(val),
			callback_ctx,
			0n,
		]);
		if (ret !== 0n) break;
	}
	return num_elems;
}

/** kernel/bpf/hashtab.c: htab_map_mem_usage */
function htab_map_mem_usage(map: bpf_map): bigint {
	const htab = htab_of(map);
	const { cpus } = map.kernel.config;
	const value_size = round_up(map.value_size, 8);
	let usage = ksizeof(map.kernel, "bpf_htab");
	usage += ksizeof(map.kernel, "bucket") * htab.n_buckets;
	usage += 4 * cpus * HASHTAB_MAP_LOCK_COUNT;
	if (htab.prealloc) {
		const num = map.max_entries + (htab.has_extra_elems ? cpus : 0);
		usage += htab.elem_size * num;
		if (htab.is_percpu) usage += value_size * cpus * num;
		else if (!htab.is_lru) usage += 8 * cpus;
	} else {
		usage += (htab.elem_size + 8) * htab.count;
		if (htab.is_percpu) usage += 16 * htab.count + value_size * cpus * htab.count;
	}
	return BigInt(usage);
}

/** kernel/bpf/hashtab.c: bpf_percpu_hash_copy */
export function bpf_percpu_hash_copy(map: bpf_map, key: number, value: number): number {
	const l = lookup(map, key);
	if (!l) return -ENOENT;
	copy_value_out(htab_of(map), l, value, 0n);
	return 0;
}

/** kernel/bpf/hashtab.c: bpf_percpu_hash_update */
export function bpf_percpu_hash_update(map: bpf_map, key: number, value: number, map_flags: bigint): number {
	return htab_of(map).is_lru
		? __htab_lru_percpu_map_update_elem(map, key, value, map_flags, true)
		: __htab_percpu_map_update_elem(map, key, value, map_flags, true);
}

/** kernel/bpf/hashtab.c: bpf_fd_htab_map_lookup_elem */
export function bpf_fd_htab_map_lookup_elem(map: bpf_map, key: number, value: number): number {
	const ops = ops_of(map);
	const htab = htab_of(map);
	if (!ops.map_fd_sys_lookup_elem) return -ENOTSUPP;
	const ptr = htab_map_lookup_elem(map, key);
	if (!ptr) return -ENOENT;
	htab.kmem.w32(value, ops.map_fd_sys_lookup_elem(map, htab.kmem.rptr(ptr)));
	return 0;
}

/** kernel/bpf/hashtab.c: bpf_fd_htab_map_update_elem */
export function bpf_fd_htab_map_update_elem(
	map: bpf_map,
	map_file: file,
	key: number,
	value: number,
	map_flags: bigint,
): number {
	const ops = ops_of(map);
	const { kmem } = htab_of(map);
	const ptr = ops.map_fd_get_ptr!(map, map_file, kmem.r32(value));
	if (IS_ERR_VALUE(ptr)) return ptr;
	const tmp = kmem.kzalloc(8);
	kmem.wptr(tmp, ptr);
	const ret = htab_map_update_elem(map, key, tmp, map_flags);
	kmem.kfree(tmp);
	if (ret) ops.map_fd_put_ptr!(map, ptr, false);
	return ret;
}

const common = {
	map_meta_equal: bpf_map_meta_equal,
	map_alloc_check: htab_map_alloc_check,
	map_alloc: htab_map_alloc,
	map_free: htab_map_free,
	map_get_next_key: htab_map_get_next_key,
	map_delete_elem: htab_map_delete_elem,
	map_lookup_and_delete_elem: htab_map_lookup_and_delete_elem,
	map_set_for_each_callback_args,
	map_for_each_callback: bpf_for_each_hash_elem,
	map_mem_usage: htab_map_mem_usage,
	map_lookup_batch: (map: bpf_map, attr: bpf_attr, uattr: number) =>
		__htab_map_lookup_and_delete_batch(map, attr, uattr, false),
	map_lookup_and_delete_batch: (map: bpf_map, attr: bpf_attr, uattr: number) =>
		__htab_map_lookup_and_delete_batch(map, attr, uattr, true),
	map_update_batch: generic_map_update_batch,
	map_delete_batch: generic_map_delete_batch,
	map_btf_name: "bpf_htab",
};

export const htab_map_ops: map_ops = {
	...common,
	symbols: {
		map_lookup_elem: "htab_map_lookup_elem",
		map_update_elem: "htab_map_update_elem",
		map_delete_elem: "htab_map_delete_elem",
		map_for_each_callback: "bpf_for_each_hash_elem",
	},
	map_release_uref: htab_map_free_timers_and_wq,
	map_lookup_elem: htab_map_lookup_elem,
	map_update_elem: htab_map_update_elem,
	map_gen_lookup: htab_map_gen_lookup,
};

export const htab_lru_map_ops: map_ops = {
	...common,
	symbols: {
		map_lookup_elem: "htab_lru_map_lookup_elem",
		map_update_elem: "htab_lru_map_update_elem",
		map_delete_elem: "htab_lru_map_delete_elem",
		map_for_each_callback: "bpf_for_each_hash_elem",
	},
	map_release_uref: htab_map_free_timers_and_wq,
	map_lookup_elem: htab_lru_map_lookup_elem,
	map_lookup_elem_sys_only: htab_map_lookup_elem,
	map_update_elem: htab_lru_map_update_elem,
	map_gen_lookup: htab_lru_map_gen_lookup,
};

export const htab_percpu_map_ops: map_ops = {
	...common,
	symbols: {
		map_lookup_elem: "htab_percpu_map_lookup_elem",
		map_update_elem: "htab_percpu_map_update_elem",
		map_delete_elem: "htab_map_delete_elem",
		map_lookup_percpu_elem: "htab_percpu_map_lookup_percpu_elem",
		map_for_each_callback: "bpf_for_each_hash_elem",
	},
	map_lookup_elem: htab_percpu_map_lookup_elem,
	map_update_elem: htab_percpu_map_update_elem,
	map_lookup_percpu_elem: htab_percpu_map_lookup_percpu_elem,
	map_gen_lookup: htab_percpu_map_gen_lookup,
};

export const htab_lru_percpu_map_ops: map_ops = {
	...common,
	symbols: {
		map_lookup_elem: "htab_lru_percpu_map_lookup_elem",
		map_update_elem: "htab_lru_percpu_map_update_elem",
		map_delete_elem: "htab_lru_map_delete_elem",
		map_lookup_percpu_elem: "htab_lru_percpu_map_lookup_percpu_elem",
		map_for_each_callback: "bpf_for_each_hash_elem",
	},
	map_lookup_elem: htab_lru_percpu_map_lookup_elem,
	map_update_elem: htab_lru_percpu_map_update_elem,
	map_lookup_percpu_elem: htab_percpu_map_lookup_percpu_elem,
};

// ---- hash of maps

function fd_htab_map_free(map: bpf_map): void {
	const htab = htab_of(map);
	for (const l of elements(htab)) ops_of(map).map_fd_put_ptr!(map, htab.kmem.rptr(htab.value_of(l)), false);
	htab_map_free(map);
}

function htab_of_map_alloc(kernel: Kernel, attr: bpf_attr, ops: map_ops): bpf_map | number {
	const inner_map_meta = bpf_map_meta_alloc(kernel, attr.inner_map_fd);
	if (typeof inner_map_meta === "number") return inner_map_meta;
	const map = htab_map_alloc(kernel, attr, ops);
	if (typeof map === "number") {
		bpf_map_meta_free(inner_map_meta);
		return map;
	}
	map.inner_map_meta = inner_map_meta;
	return map;
}

export const htab_of_maps_map_ops: map_ops = {
	symbols: {
		map_lookup_elem: "htab_of_map_lookup_elem",
		map_delete_elem: "htab_map_delete_elem",
	},
	map_alloc_check: (kernel, attr) => (attr.value_size !== 4 ? -EINVAL : htab_map_alloc_check(kernel, attr)),
	map_alloc: htab_of_map_alloc,
	map_free: (map) => {
		bpf_map_meta_free(map.inner_map_meta!);
		fd_htab_map_free(map);
	},
	map_get_next_key: htab_map_get_next_key,
	map_lookup_elem: (map, key) => {
		const p = htab_map_lookup_elem(map, key);
		return p ? htab_of(map).kmem.rptr(p) : 0;
	},
	map_delete_elem: htab_map_delete_elem,
	map_fd_get_ptr: bpf_map_fd_get_ptr,
	map_fd_put_ptr: bpf_map_fd_put_ptr,
	map_fd_sys_lookup_elem: bpf_map_fd_sys_lookup_elem,
	map_gen_lookup: htab_of_map_gen_lookup,
	map_check_btf: map_check_no_btf,
	map_mem_usage: htab_map_mem_usage,
	map_lookup_batch: common.map_lookup_batch,
	map_lookup_and_delete_batch: common.map_lookup_and_delete_batch,
	map_update_batch: generic_map_update_batch,
	map_delete_batch: generic_map_delete_batch,
	map_btf_name: "bpf_htab",
};
