// SPDX-License-Identifier: GPL-2.0-only
/**
 * Types of the in-kernel BTF code (include/linux/btf.h, include/linux/bpf.h, kernel/bpf/btf.c).
 * The functions on them are in btf.ts and its neighbours.
 */

/**
 * struct btf_type. `info` and `size`/`type` are the raw words; what follows the header in the kernel
 * (members, params, …) is reached through the functions named as the kernel's: btf_type_member(), btf_params(), ….
 *
 *   info:  31        30-29    28-24   23-16    15-0
 *          kind_flag unused   kind    unused   vlen
 */
export interface btf_type {
	readonly name_off: number;
	readonly info: number;
	/** The union word `size` (int, enum, struct, union, datasec, float) or `type` (ptr, typedef, modifiers, func, var, …). */
	readonly size: number;
	readonly type: number;
	/** Byte offset of this type within the types section of the btf that holds it. */
	readonly off: number;
	/** The btf whose data holds this type (the kernel derives it from context). */
	readonly btf: btf;
	/** The type's id. */
	readonly id: number;
}

export interface btf_member {
	readonly name_off: number;
	readonly type: number;
	/** Bit offset; with kind_flag: bitfield_size << 24 | bit_offset. */
	readonly offset: number;
}

export interface btf_param {
	readonly name_off: number;
	readonly type: number;
}

export interface btf_array {
	readonly type: number;
	readonly index_type: number;
	readonly nelems: number;
}

export interface btf_enum {
	readonly name_off: number;
	readonly val: number;
}

export interface btf_enum64 {
	readonly name_off: number;
	readonly val_lo32: number;
	readonly val_hi32: number;
}

export interface btf_var_secinfo {
	readonly type: number;
	readonly offset: number;
	readonly size: number;
}

/** What the kernel knows of a loadable module that carries BTF and kfuncs. */
export interface kmodule {
	readonly name: string;
}

/** A parsed BTF object: kernel/bpf/btf.c: struct btf. `btf.ts` makes and owns it. */
export interface btf {
	readonly data: Uint8Array;
	readonly base_btf: btf | null;
	/** First type id in this BTF (0 for base BTF). */
	readonly start_id: number;
	readonly start_str_off: number;
	/** Number of types; includes VOID for base BTF. */
	readonly nr_types: number;
	/** Object id as BPF_BTF_GET_FD_BY_ID knows it; 0 before it is given out. */
	id: number;
	refcnt: number;
	name: string;
	kernel_btf: boolean;
	module: kmodule | null;
}

/** How a table names a type of the vmlinux BTF that it wants (BTF_ID(struct, task_struct)). */
export interface BtfIdRef {
	readonly kind: "struct" | "union" | "enum" | "typedef" | "func" | "datasec" | "var";
	readonly name: string;
}

/** struct btf_field_kptr */
export interface btf_field_kptr {
	btf: btf;
	module: kmodule | null;
	/** Symbol of the destructor kfunc, or null. */
	dtor: string | null;
	btf_id: number;
}

/** struct btf_field_graph_root */
export interface btf_field_graph_root {
	btf: btf;
	value_btf_id: number;
	node_offset: number;
	value_rec: btf_record | null;
}

/** struct btf_field: a special field (spin lock, timer, kptr, list, …) of a map value or local object. */
export interface btf_field {
	offset: number;
	size: number;
	/** BPF_SPIN_LOCK, BPF_TIMER, … */
	type: number;
	kptr: btf_field_kptr | null;
	graph_root: btf_field_graph_root | null;
}

/** struct btf_record: the special fields of one type, sorted by offset. Offsets are -EINVAL when absent. */
export interface btf_record {
	cnt: number;
	field_mask: number;
	spin_lock_off: number;
	timer_off: number;
	wq_off: number;
	refcount_off: number;
	fields: btf_field[];
}

/** struct btf_struct_meta: the record of a program-allocated type. */
export interface btf_struct_meta {
	btf_id: number;
	record: btf_record;
	/** The pointer that instructions carry for it (fixups.ts: struct_meta_addr). */
	addr?: bigint;
}

/** struct btf_func_model (include/linux/bpf.h) */
export interface btf_func_model {
	ret_size: number;
	ret_flags: number;
	nr_args: number;
	arg_size: number[];
	arg_flags: number[];
}

/** struct btf_mod_pair */
export interface btf_mod_pair {
	btf: btf;
	module: kmodule | null;
}
