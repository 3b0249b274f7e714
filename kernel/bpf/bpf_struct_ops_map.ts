// SPDX-License-Identifier: GPL-2.0-only
/**
 * kernel/bpf/bpf_struct_ops.c: maps of type BPF_MAP_TYPE_STRUCT_OPS, whose one value is a structure of
 * functions: user space writes descriptors of programs, the kernel's copy of it holds trampolines; and links
 * that register such a structure. Which structures there are is in struct_ops_tables.ts. Modules are never
 * unloaded here, so nobody counts who holds them.
 */
import { BPF_TRAMP_F_INDIRECT, BPF_TRAMP_F_RET_FENTRY_RET } from "../../include/linux/bpf.ts";
import {
	E2BIG,
	EBUSY,
	EFAULT,
	EINPROGRESS,
	EINVAL,
	ENOENT,
	ENOLINK,
	ENOMEM,
	ENOTSUPP,
	EOPNOTSUPP,
	EPERM,
} from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_F_LINK,
	BPF_F_VTYPE_BTF_OBJ_FD,
	BPF_LINK_TYPE_STRUCT_OPS,
	BPF_MAP_TYPE_STRUCT_OPS,
	BPF_PROG_TYPE_STRUCT_OPS,
} from "../../include/uapi/linux/bpf.ts";
import type { bpf_attr, bpf_link_info } from "../../include/uapi/linux/bpf_attr.ts";
import { BTF_KIND_STRUCT } from "../../include/uapi/linux/btf.ts";
import { u64_to_addr } from "../../lib/addr.ts";
import { EPOLLHUP, type file, type poll_table } from "../file.ts";
import type { Kernel } from "../kernel.ts";
import { impl, type KernelImpl } from "../kernel_impl.ts";
import { wait_queue_head } from "../wait.ts";
import {
	bpf_link,
	bpf_link_cleanup,
	type bpf_link_ops,
	bpf_link_prime,
	bpf_link_put,
	bpf_link_settle,
	bpf_tramp_link,
} from "./bpf_link.ts";
import {
	type bpf_struct_ops_desc,
	bpf_struct_ops_find_value,
	type StructOpsValue,
} from "./bpf_struct_ops.ts";
import { bpf_map } from "./bpf_types.ts";
import { btf_get_by_fd, btf_obj_id, btf_put } from "./btf.ts";
import { btf_vmlinux } from "./btf_find.ts";
import { btf_try_get_module } from "./btf_kfunc.ts";
import {
	btf_find_by_name_kind,
	btf_is_module,
	btf_member_bit_offset,
	btf_name_by_offset,
	btf_resolve_size,
	btf_type_by_id,
	btf_type_is_func_proto,
	btf_type_member,
	btf_type_resolve_func_ptr,
	btf_type_resolve_ptr,
} from "./btf_obj.ts";
import type { btf, btf_func_model, btf_type } from "./btf_types.ts";
import { koffsetof, ksizeof } from "./layout.ts";
import {
	bpf_map_area_alloc,
	bpf_map_area_free,
	bpf_map_init_from_attr,
	map_image_add,
	map_image_del,
	type map_ops,
} from "./map.ts";
import { bpf_map_get, bpf_map_inc, bpf_map_put } from "./map_create.ts";
import { bpf_prog_get, bpf_prog_put } from "./prog.ts";
import { tramp_prog } from "./trampoline.ts";

const PAGE_SIZE = 4096;
const MAX_TRAMP_IMAGE_PAGES = 8;
/** (0xeB9F << 2) + POISON_POINTER_DELTA */
const BPF_MODULE_OWNER = 0xdead000000000000n + (0xeb9fn << 2n);

// enum bpf_struct_ops_state
export const BPF_STRUCT_OPS_STATE_INIT = 0;
export const BPF_STRUCT_OPS_STATE_INUSE = 1;
export const BPF_STRUCT_OPS_STATE_TOBEFREE = 2;
export const BPF_STRUCT_OPS_STATE_READY = 3;

/** struct bpf_ksym of a trampoline */
interface TrampKsym {
	name: string;
	addr: number;
	size: number;
}

/** struct bpf_struct_ops_map */
export class bpf_struct_ops_map extends bpf_map {
	readonly st_ops_desc: bpf_struct_ops_desc;
	readonly btf_of_type: btf;
	readonly funcs_cnt: number;
	/** Programs behind the functions of the kernel's value. */
	links: bpf_tramp_link[] = [];
	ksyms: TrampKsym[] = [];
	/** The ksyms are among the kernel's symbols. */
	ksyms_added = false;
	image_pages: bigint[] = [];
	/** Guest address of what user space wrote, with ids of programs instead of descriptors. */
	uvalue = 0;
	/** Guest address of the kernel's value, in the struct of the map. */
	kvalue = 0;
	constructor(kernel: Kernel, ops: map_ops, desc: bpf_struct_ops_desc, b: btf) {
		super(kernel, ops);
		this.st_ops_desc = desc;
		this.btf_of_type = b;
		this.funcs_cnt = count_func_ptrs(b, desc.type);
	}
	/** kvalue.data: the structure that is registered. */
	get kdata(): number {
		return this.kvalue + data_off(this.kernel);
	}
	/** kvalue.common.state */
	get state(): number {
		return impl(this.kernel).kmem.r32(this.kvalue + common_off(this.kernel, "state"));
	}
	set state(v: number) {
		impl(this.kernel).kmem.w32(this.kvalue + common_off(this.kernel, "state"), v);
	}
}

function common_off(kernel: Kernel, field: "state" | "refcnt"): number {
	return koffsetof(kernel, "bpf_struct_ops_common_value", field);
}

function data_off(kernel: Kernel): number {
	return koffsetof(kernel, "bpf_struct_ops_value", "data");
}

const st_map_of = (map: bpf_map): bpf_struct_ops_map => map as bpf_struct_ops_map;

/** kernel/bpf/bpf_struct_ops.c: count_func_ptrs */
function count_func_ptrs(b: btf, t: btf_type): number {
	return btf_type_member(t).filter((m) => btf_type_resolve_func_ptr(b, m.type, null)).length;
}

// ---- trampolines

/** Pages of trampolines under construction. */
export interface StructOpsImage {
	/** 0n: none yet. */
	image: bigint;
	image_off: number;
}

/** kernel/bpf/bpf_struct_ops.c: bpf_struct_ops_image_alloc: 0n when there is no memory */
function bpf_struct_ops_image_alloc(k: KernelImpl): bigint {
	return k.bpf.jit?.arch_alloc_bpf_trampoline?.(PAGE_SIZE) ?? 0n;
}

/** kernel/bpf/bpf_struct_ops.c: bpf_struct_ops_image_free */
export function bpf_struct_ops_image_free(kernel: Kernel, image: bigint): void {
	if (image) impl(kernel).bpf.jit!.arch_free_bpf_trampoline!(image);
}

/** The model of a member whose stub came after the registration. */
export const NO_MODEL: btf_func_model = {
	ret_size: 0,
	ret_flags: 0,
	nr_args: 0,
	arg_size: [],
	arg_flags: [],
};

/**
 * kernel/bpf/bpf_struct_ops.c: bpf_struct_ops_prepare_trampoline: code at at.image + at.image_off, which goes on to
 * where the next one may begin; on a new page when this one is full and `allow_alloc`. A negative errno.
 */
export function bpf_struct_ops_prepare_trampoline(
	link: bpf_tramp_link,
	model: btf_func_model,
	stub_func: string,
	at: StructOpsImage,
	allow_alloc: boolean,
): number {
	const k = impl(link.kernel);
	const { jit } = k.bpf;
	if (!jit?.arch_bpf_trampoline_size || !jit.arch_prepare_bpf_trampoline || !link.prog!.jited) {
		k.bpf.not_ported("trampolines for interpreted programs");
		return -EOPNOTSUPP;
	}
	let { image, image_off } = at;
	const spec = {
		im: 0n,
		model,
		flags: BPF_TRAMP_F_INDIRECT | (model.ret_size > 0 ? BPF_TRAMP_F_RET_FENTRY_RET : 0),
		fentry: [tramp_prog(k, link)],
		fexit: [],
		fmod_ret: [],
		func_addr: k.symbols.addr(stub_func) ?? k.symbols.addr("__bpf_call_base")!,
	};
	const size = jit.arch_bpf_trampoline_size(spec);
	if (size <= 0) return size || -EFAULT;
	if (!image || size > PAGE_SIZE - image_off) {
		if (!allow_alloc) return -E2BIG;
		image = bpf_struct_ops_image_alloc(k);
		if (!image) return -ENOMEM;
		image_off = 0;
	}
	const made = jit.arch_prepare_bpf_trampoline(image + BigInt(image_off), size, spec);
	if (typeof made === "number") {
		if (image !== at.image) bpf_struct_ops_image_free(link.kernel, image);
		return made || -EFAULT;
	}
	at.image = image;
	at.image_off = image_off + made.size;
	return 0;
}

/** kernel/bpf/bpf_struct_ops.c: bpf_struct_ops_link_lops: of the links that hold the programs of a map */
const bpf_struct_ops_link_lops: bpf_link_ops = {
	release(): void {},
	dealloc(): void {},
};

/** A link that holds a program; takes over the caller's reference. */
export function struct_ops_prog_link(kernel: Kernel, prog: bpf_tramp_link["prog"]): bpf_tramp_link {
	return new bpf_tramp_link(kernel, BPF_LINK_TYPE_STRUCT_OPS, bpf_struct_ops_link_lops, prog);
}

// ---- symbols

function add_ksyms(st_map: bpf_struct_ops_map): void {
	for (const s of st_map.ksyms) impl(st_map.kernel).machine?.text.add(s.name, s.addr, s.size);
	st_map.ksyms_added = true;
}

function del_ksyms(st_map: bpf_struct_ops_map): void {
	if (!st_map.ksyms_added) return;
	for (const s of st_map.ksyms) impl(st_map.kernel).machine?.text.remove(s.addr);
	st_map.ksyms_added = false;
}

// ---- the value

/** kernel/bpf/bpf_struct_ops.c: bpf_struct_ops_map_get_next_key */
function bpf_struct_ops_map_get_next_key(map: bpf_map, key: number, next_key: number): number {
	const { kmem } = impl(map.kernel);
	if (key && kmem.r32(key) === 0) return -ENOENT;
	kmem.w32(next_key, 0);
	return 0;
}

/** kernel/bpf/bpf_struct_ops.c: bpf_struct_ops_map_sys_lookup_elem */
export function bpf_struct_ops_map_sys_lookup_elem(map: bpf_map, key: number, value: number): number {
	const { kernel } = map;
	const { kmem } = impl(kernel);
	const st_map = st_map_of(map);
	if (kmem.r32(key) !== 0) return -ENOENT;
	const { state } = st_map;
	if (state === BPF_STRUCT_OPS_STATE_INIT) {
		kmem.fill(value, map.value_size, 0);
		return 0;
	}
	kmem.copy(value, st_map.uvalue, map.value_size);
	kmem.w32(value + common_off(kernel, "state"), state);
	// how many users there are besides descriptors
	kmem.w32(value + common_off(kernel, "refcnt"), Math.max(map.refcnt - map.usercnt, 0));
	return 0;
}

function memchr_inv(k: KernelImpl, addr: number, len: number): boolean {
	return k.kmem.read(addr, len).some((b) => b !== 0);
}

/** kernel/bpf/bpf_struct_ops.c: check_zero_holes: between members, and behind the last */
function check_zero_holes(k: KernelImpl, b: btf, t: btf_type, data: number): number {
	let prev_mend = 0;
	for (const [i, member] of btf_type_member(t).entries()) {
		const moff = btf_member_bit_offset(t, i) >>> 3;
		if (moff > prev_mend && memchr_inv(k, data + prev_mend, moff - prev_mend)) return -EINVAL;
		const msize = { val: 0 };
		const mtype = btf_resolve_size(b, btf_type_by_id(b, member.type)!, msize);
		if (typeof mtype === "number") return mtype;
		prev_mend = moff + msize.val;
	}
	return t.size > prev_mend && memchr_inv(k, data + prev_mend, t.size - prev_mend) ? -EINVAL : 0;
}

/** kernel/bpf/bpf_struct_ops.c: bpf_struct_ops_map_put_progs */
function put_progs(st_map: bpf_struct_ops_map): void {
	for (const link of st_map.links) bpf_link_put(link);
	st_map.links = [];
}

/** kernel/bpf/bpf_struct_ops.c: bpf_struct_ops_map_free_image */
function free_image(st_map: bpf_struct_ops_map): void {
	for (const image of st_map.image_pages) bpf_struct_ops_image_free(st_map.kernel, image);
	st_map.image_pages = [];
}

/** What came of filling the kernel's value: whether it stands, and what the system call answers if not. */
interface Filled {
	ok: boolean;
	err: number;
}

/** Programs into the functions of the kernel's value, one member after another. */
function fill_value(st_map: bpf_struct_ops_map): Filled {
	const { kernel, st_ops_desc } = st_map;
	const k = impl(kernel);
	const { kmem } = k;
	const b = st_map.btf_of_type;
	const { st_ops, type: t } = st_ops_desc;
	const udata = st_map.uvalue + data_off(kernel);
	const { kdata } = st_map;
	const tname = btf_name_by_offset(b, t.name_off);
	const vmlinux = btf_vmlinux(kernel)!;
	const module_type = btf_type_by_id(vmlinux, btf_find_by_name_kind(vmlinux, "module", BTF_KIND_STRUCT));
	const at: StructOpsImage = { image: 0n, image_off: 0 };
	const bad = (err: number): Filled => ({ ok: false, err });
	let err = 0;
	for (const [i, member] of btf_type_member(t).entries()) {
		const moff = btf_member_bit_offset(t, i) >>> 3;
		const mname = btf_name_by_offset(b, member.name_off) ?? "";
		const ptype = btf_type_resolve_ptr(b, member.type, null);
		if (ptype && ptype === module_type) {
			// The kernel gives up here without an error of its own: what the member before it left is the answer.
			if (kmem.r64(udata + moff)) return bad(err);
			kmem.w64(kdata + moff, BPF_MODULE_OWNER);
			continue;
		}
		err = st_ops.init_member(member, { kernel, btf: b, type: t, kdata, udata });
		if (err < 0) return bad(err);
		if (err > 0) continue;
		if (!ptype || !btf_type_is_func_proto(ptype)) {
			const msize = { val: 0 };
			const mtype = btf_resolve_size(b, btf_type_by_id(b, member.type)!, msize);
			if (typeof mtype === "number") return bad(mtype);
			if (memchr_inv(k, udata + moff, msize.val)) return bad(-EINVAL);
			continue;
		}
		const prog_fd = Number(BigInt.asIntN(32, kmem.r64(udata + moff)));
		if (!prog_fd) continue;
		const prog = bpf_prog_get(kernel, prog_fd);
		if (typeof prog === "number") return bad(prog);
		if (
			prog.type !== BPF_PROG_TYPE_STRUCT_OPS ||
			prog.aux.attach_btf_id !== st_ops_desc.type_id ||
			prog.expected_attach_type !== i
		) {
			bpf_prog_put(prog);
			return bad(-EINVAL);
		}
		const link = struct_ops_prog_link(kernel, prog);
		st_map.links.push(link);

		const before = at.image;
		const start = at.image_off;
		err = bpf_struct_ops_prepare_trampoline(
			link,
			st_ops.func_models[i] ?? NO_MODEL,
			st_ops.cfi_stubs[mname] ?? "",
			at,
			st_map.image_pages.length < MAX_TRAMP_IMAGE_PAGES,
		);
		if (err) return bad(err);
		const on_new_page = at.image !== before;
		if (on_new_page) st_map.image_pages.push(at.image);
		const off = on_new_page ? 0 : start;
		const code = at.image + BigInt(off);
		kmem.w64(kdata + moff, code);
		kmem.w64(udata + moff, BigInt(prog.aux.id));
		st_map.ksyms.push({
			name: `bpf__${tname}_${mname}`,
			addr: u64_to_addr(code),
			size: at.image_off - off,
		});
	}
	err = st_ops.validate?.({ kernel, btf: b, type: t, kdata, udata }) ?? 0;
	return { ok: err === 0, err };
}

/** kernel/bpf/bpf_struct_ops.c: bpf_struct_ops_map_update_elem */
function bpf_struct_ops_map_update_elem(map: bpf_map, key: number, value: number, flags: bigint): number {
	const { kernel } = map;
	const k = impl(kernel);
	const { kmem } = k;
	const st_map = st_map_of(map);
	const { st_ops_desc, btf_of_type } = st_map;
	if (flags) return -EINVAL;
	if (kmem.r32(key) !== 0) return -E2BIG;
	const holes =
		check_zero_holes(k, btf_of_type, st_ops_desc.value_type, value) ||
		check_zero_holes(k, btf_of_type, st_ops_desc.type, value + data_off(kernel));
	if (holes) return holes;
	if (kmem.r32(value + common_off(kernel, "state")) || kmem.r32(value + common_off(kernel, "refcnt")))
		return -EINVAL;
	if (st_map.state !== BPF_STRUCT_OPS_STATE_INIT) return -EBUSY;
	kmem.copy(st_map.uvalue, value, map.value_size);
	const reset = (err: number): number => {
		st_map.ksyms = [];
		free_image(st_map);
		put_progs(st_map);
		kmem.fill(st_map.uvalue, map.value_size, 0);
		kmem.fill(st_map.kvalue, map.value_size, 0);
		return err;
	};
	const filled = fill_value(st_map);
	if (!filled.ok) return reset(filled.err);
	if (map.map_flags & BPF_F_LINK) {
		// registering is left to links
		st_map.state = BPF_STRUCT_OPS_STATE_READY;
	} else {
		const err = st_ops_desc.st_ops.reg(registered(st_map), null);
		if (err) return reset(err);
		bpf_map_inc(map);
		st_map.state = BPF_STRUCT_OPS_STATE_INUSE;
	}
	add_ksyms(st_map);
	return 0;
}

/** The value as a subsystem sees it. */
function registered(st_map: bpf_struct_ops_map): StructOpsValue {
	return {
		kernel: st_map.kernel,
		btf: st_map.btf_of_type,
		type: st_map.st_ops_desc.type,
		kdata: st_map.kdata,
		udata: st_map.uvalue + data_off(st_map.kernel),
	};
}

/** kernel/bpf/bpf_struct_ops.c: bpf_struct_ops_map_delete_elem */
function bpf_struct_ops_map_delete_elem(map: bpf_map, _key: number): number {
	const st_map = st_map_of(map);
	if (map.map_flags & BPF_F_LINK) return -EOPNOTSUPP;
	switch (st_map.state) {
		case BPF_STRUCT_OPS_STATE_INUSE:
			st_map.state = BPF_STRUCT_OPS_STATE_TOBEFREE;
			st_map.st_ops_desc.st_ops.unreg(registered(st_map), null);
			bpf_map_put(map);
			return 0;
		case BPF_STRUCT_OPS_STATE_TOBEFREE:
			return -EINPROGRESS;
		default:
			return -ENOENT;
	}
}

// ---- the map

/** kernel/bpf/bpf_struct_ops.c: __bpf_struct_ops_map_free */
function __bpf_struct_ops_map_free(st_map: bpf_struct_ops_map): void {
	const { kernel } = st_map;
	put_progs(st_map);
	free_image(st_map);
	if (st_map.uvalue) bpf_map_area_free(kernel, st_map.uvalue);
	map_image_del(st_map);
	bpf_map_area_free(kernel, st_map.addr);
}

/** kernel/bpf/bpf_struct_ops.c: bpf_struct_ops_map_free: what runs in its trampolines may be on its way out */
function bpf_struct_ops_map_free(map: bpf_map): void {
	const st_map = st_map_of(map);
	del_ksyms(st_map);
	impl(map.kernel).rcu.call(() => __bpf_struct_ops_map_free(st_map));
}

/** kernel/bpf/bpf_struct_ops.c: bpf_struct_ops_map_alloc_check */
function bpf_struct_ops_map_alloc_check(_kernel: Kernel, attr: bpf_attr): number {
	return attr.key_size !== 4 ||
		attr.max_entries !== 1 ||
		attr.map_flags & ~(BPF_F_LINK | BPF_F_VTYPE_BTF_OBJ_FD) ||
		!attr.btf_vmlinux_value_type_id
		? -EINVAL
		: 0;
}

/** kernel/bpf/bpf_struct_ops.c: bpf_struct_ops_map_alloc */
function bpf_struct_ops_map_alloc(kernel: Kernel, attr: bpf_attr, ops: map_ops): bpf_map | number {
	let b: btf | number;
	if (attr.map_flags & BPF_F_VTYPE_BTF_OBJ_FD) {
		b = btf_get_by_fd(kernel, attr.value_type_btf_obj_fd);
		if (typeof b === "number") return b;
		const mod = btf_is_module(b) ? btf_try_get_module(b) : null;
		btf_put(b);
		if (!mod) return -EINVAL;
	} else {
		b = kernel.bpf.bpf_get_btf_vmlinux();
		if (typeof b === "number") return b;
	}
	const desc = bpf_struct_ops_find_value(b, attr.btf_vmlinux_value_type_id);
	if (!desc) return -ENOTSUPP;
	if (attr.value_size !== desc.value_type.size) return -EINVAL;
	const st_map = new bpf_struct_ops_map(kernel, ops, desc, b);
	const head = ksizeof(kernel, "bpf_struct_ops_map");
	const addr = bpf_map_area_alloc(
		kernel,
		head + desc.value_type.size - ksizeof(kernel, "bpf_struct_ops_value"),
	);
	if (!addr) return -ENOMEM;
	const uvalue = bpf_map_area_alloc(kernel, desc.value_type.size);
	if (!uvalue) {
		bpf_map_area_free(kernel, addr);
		return -ENOMEM;
	}
	st_map.uvalue = uvalue;
	st_map.kvalue = addr + koffsetof(kernel, "bpf_struct_ops_map", "kvalue");
	bpf_map_init_from_attr(st_map, attr);
	map_image_add(st_map, addr);
	return st_map;
}

/** kernel/bpf/bpf_struct_ops.c: bpf_struct_ops_map_mem_usage */
function bpf_struct_ops_map_mem_usage(map: bpf_map): bigint {
	const { kernel } = map;
	const { funcs_cnt, st_ops_desc } = st_map_of(map);
	const { size } = st_ops_desc.value_type;
	const head = ksizeof(kernel, "bpf_struct_ops_map") + size - ksizeof(kernel, "bpf_struct_ops_value");
	return BigInt(head + size + 16 * funcs_cnt + PAGE_SIZE);
}

export const bpf_struct_ops_map_ops: map_ops = {
	symbols: {
		map_lookup_elem: "bpf_struct_ops_map_lookup_elem",
		map_update_elem: "bpf_struct_ops_map_update_elem",
		map_delete_elem: "bpf_struct_ops_map_delete_elem",
	},
	map_alloc_check: bpf_struct_ops_map_alloc_check,
	map_alloc: bpf_struct_ops_map_alloc,
	map_free: bpf_struct_ops_map_free,
	map_get_next_key: bpf_struct_ops_map_get_next_key,
	map_lookup_elem: () => -EINVAL,
	map_update_elem: bpf_struct_ops_map_update_elem,
	map_delete_elem: bpf_struct_ops_map_delete_elem,
	map_mem_usage: bpf_struct_ops_map_mem_usage,
	map_btf_name: "bpf_struct_ops_map",
};

/** kernel/bpf/bpf_struct_ops.c: bpf_map_struct_ops_info_fill: the BTF of the value's type */
export function bpf_map_struct_ops_info_fill(map: bpf_map): number {
	return btf_obj_id(st_map_of(map).btf_of_type);
}

// ---- links

/** struct bpf_struct_ops_link */
class bpf_struct_ops_link extends bpf_link {
	/** null: detached */
	map: bpf_struct_ops_map | null = null;
	readonly wait_hup = new wait_queue_head();
	constructor(kernel: Kernel) {
		super(kernel, BPF_LINK_TYPE_STRUCT_OPS, bpf_struct_ops_map_lops, null);
	}
}

/** kernel/bpf/bpf_struct_ops.c: bpf_struct_ops_valid_to_reg */
function bpf_struct_ops_valid_to_reg(map: bpf_map): boolean {
	return (
		map.map_type === BPF_MAP_TYPE_STRUCT_OPS &&
		(map.map_flags & BPF_F_LINK) !== 0 &&
		st_map_of(map).state === BPF_STRUCT_OPS_STATE_READY
	);
}

const bpf_struct_ops_map_lops: bpf_link_ops = {
	release(): void {},
	/** kernel/bpf/bpf_struct_ops.c: bpf_struct_ops_map_link_dealloc */
	dealloc(link: bpf_link): void {
		const st_link = link as bpf_struct_ops_link;
		if (!st_link.map) return;
		st_link.map.st_ops_desc.st_ops.unreg(registered(st_link.map), link);
		bpf_map_put(st_link.map);
		st_link.map = null;
	},
	/** kernel/bpf/bpf_struct_ops.c: bpf_struct_ops_map_link_detach */
	detach(link: bpf_link): number {
		const st_link = link as bpf_struct_ops_link;
		const { map } = st_link;
		if (!map) return 0;
		map.st_ops_desc.st_ops.unreg(registered(map), link);
		st_link.map = null;
		bpf_map_put(map);
		st_link.wait_hup.wake_up_all(EPOLLHUP);
		return 0;
	},
	show_fdinfo(link: bpf_link): string {
		const { map } = link as bpf_struct_ops_link;
		return map ? `map_id:\t${map.id}\n` : "";
	},
	fill_link_info(link: bpf_link, info: bpf_link_info): number {
		const { map } = link as bpf_struct_ops_link;
		if (map) info.struct_ops_map_id = map.id;
		return 0;
	},
	/** kernel/bpf/bpf_struct_ops.c: bpf_struct_ops_map_link_update */
	update_map(link: bpf_link, new_map: bpf_map, expected_old_map: bpf_map | null): number {
		const st_link = link as bpf_struct_ops_link;
		if (!bpf_struct_ops_valid_to_reg(new_map)) return -EINVAL;
		const st_map = st_map_of(new_map);
		const { update } = st_map.st_ops_desc.st_ops;
		if (!update) return -EOPNOTSUPP;
		const old_map = st_link.map;
		if (!old_map) return -ENOLINK;
		if (expected_old_map && old_map !== expected_old_map) return -EPERM;
		if (st_map.st_ops_desc !== old_map.st_ops_desc) return -EINVAL;
		const err = update(registered(st_map), registered(old_map), link);
		if (err) return err;
		bpf_map_inc(new_map);
		st_link.map = st_map;
		bpf_map_put(old_map);
		return 0;
	},
	/** kernel/bpf/bpf_struct_ops.c: bpf_struct_ops_map_link_poll */
	poll(f: file, pt: poll_table | null): number {
		const st_link = f.private_data as bpf_struct_ops_link;
		pt?.wait(f, st_link.wait_hup);
		return st_link.map ? 0 : EPOLLHUP;
	},
};

/** kernel/bpf/bpf_struct_ops.c: bpf_struct_ops_link_create: the descriptor, or a negative errno */
export function bpf_struct_ops_link_create(kernel: Kernel, attr: bpf_attr): number {
	const map = bpf_map_get(kernel, attr.link_create_prog_fd);
	if (typeof map === "number") return map;
	const fail = (err: number): number => {
		bpf_map_put(map);
		return err;
	};
	if (!bpf_struct_ops_valid_to_reg(map)) return fail(-EINVAL);
	const st_map = st_map_of(map);
	const link = new bpf_struct_ops_link(kernel);
	const primer = bpf_link_prime(link);
	if (typeof primer === "number") return fail(primer);
	const err = st_map.st_ops_desc.st_ops.reg(registered(st_map), link);
	if (err) {
		bpf_link_cleanup(primer);
		return fail(err);
	}
	link.map = st_map;
	return bpf_link_settle(primer);
}
