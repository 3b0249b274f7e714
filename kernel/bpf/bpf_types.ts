// SPDX-License-Identifier: GPL-2.0-only
/**
 * The structures of include/linux/bpf.h and include/linux/filter.h that the whole subsystem shares:
 * instructions, programs, maps, helper prototypes and the verifier's operations.
 */
import type { Ref } from "../../lib/err.ts";
import type { Kernel } from "../kernel.ts";
import type {
	BtfIdRef,
	btf,
	btf_func_model,
	btf_mod_pair,
	btf_record,
	btf_type,
	kmodule,
} from "./btf_types.ts";
import type { bpf_reg_state } from "./reg_state.ts";
import type { bpf_trampoline } from "./trampoline.ts";
import type { bpf_func_state, bpf_verifier_env, bpf_verifier_log } from "./verifier_types.ts";

/**
 * struct bpf_insn, decoded.
 *
 *   63                32 31        16 15   12 11    8 7        0
 *   | imm (s32)         | off (s16)  | src   | dst   | code    |
 */
export class bpf_insn {
	code: number;
	dst_reg: number;
	src_reg: number;
	off: number;
	imm: number;
	constructor(code = 0, dst_reg = 0, src_reg = 0, off = 0, imm = 0) {
		this.code = code;
		this.dst_reg = dst_reg;
		this.src_reg = src_reg;
		this.off = off;
		this.imm = imm;
	}
	/** `*this = *o` */
	assign(o: bpf_insn): void {
		this.code = o.code;
		this.dst_reg = o.dst_reg;
		this.src_reg = o.src_reg;
		this.off = o.off;
		this.imm = o.imm;
	}
	clone(): bpf_insn {
		return new bpf_insn(this.code, this.dst_reg, this.src_reg, this.off, this.imm);
	}
}

/** Bytes of one instruction. */
export const BPF_INSN_SIZE = 8;

/** Decode instructions (little endian, 8 bytes each; a trailing partial one is an error of the caller). */
export function decode_insns(bytes: Uint8Array): bpf_insn[] {
	const dv = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	const n = Math.floor(bytes.byteLength / BPF_INSN_SIZE);
	const out = new Array<bpf_insn>(n);
	for (let i = 0; i < n; i++) {
		const at = i * BPF_INSN_SIZE;
		const regs = dv.getUint8(at + 1);
		out[i] = new bpf_insn(
			dv.getUint8(at),
			regs & 15,
			regs >> 4,
			dv.getInt16(at + 2, true),
			dv.getInt32(at + 4, true),
		);
	}
	return out;
}

/** Encode instructions (little endian, 8 bytes each). */
export function encode_insns(insns: readonly bpf_insn[]): Uint8Array {
	const bytes = new Uint8Array(insns.length * BPF_INSN_SIZE);
	const dv = new DataView(bytes.buffer);
	for (let i = 0; i < insns.length; i++) {
		const at = i * BPF_INSN_SIZE;
		const insn = insns[i]!;
		dv.setUint8(at, insn.code);
		dv.setUint8(at + 1, (insn.src_reg << 4) | insn.dst_reg);
		dv.setInt16(at + 2, insn.off, true);
		dv.setInt32(at + 4, insn.imm, true);
	}
	return bytes;
}

/** Marks an argument whose BTF id the verifier refines itself (BPF_PTR_POISON). */
export const BPF_PTR_POISON = "BPF_PTR_POISON" as const;

/**
 * struct bpf_func_proto: the verifier's view of a helper. `func` is the kernel symbol of its body
 * (`bpf_user_rnd_u32` for bpf_get_prandom_u32): the symbol table gives its address, the table of
 * helper bodies what it does.
 */
export interface bpf_func_proto {
	readonly func: string;
	readonly gpl_only?: boolean;
	readonly pkt_access?: boolean;
	readonly might_sleep?: boolean;
	readonly allow_fastcall?: boolean;
	readonly ret_type: number;
	/** arg1_type … arg5_type; missing ones are ARG_DONTCARE. */
	readonly arg_type: readonly number[];
	/** argN_btf_id, by argument (0-based). */
	readonly arg_btf_id?: Readonly<Record<number, BtfIdRef | typeof BPF_PTR_POISON>>;
	/** argN_size, by argument (0-based). */
	readonly arg_size?: Readonly<Record<number, number>>;
	readonly ret_btf_id?: BtfIdRef | typeof BPF_PTR_POISON;
	/** `allowed` of the kernel's proto. */
	readonly allowed?: (prog: bpf_prog) => boolean;
}

/** struct bpf_insn_access_aux */
export interface bpf_insn_access_aux {
	reg_type: number;
	is_ldsx: boolean;
	ctx_field_size: number;
	btf: btf | null;
	btf_id: number;
	log: bpf_verifier_log;
	is_retval: boolean;
}

/** struct bpf_ctx_arg_aux */
export interface bpf_ctx_arg_aux {
	offset: number;
	reg_type: number;
	btf: btf | null;
	btf_id: number;
}

/** struct bpf_verifier_ops: what a program type allows and how its context is rewritten. */
export interface bpf_verifier_ops {
	get_func_proto?(func_id: number, prog: bpf_prog): bpf_func_proto | null;
	is_valid_access?(
		off: number,
		size: number,
		type: number,
		prog: bpf_prog,
		info: bpf_insn_access_aux,
	): boolean;
	/** Returns the instructions of the prologue; empty when there is none. The last is a copy of the program's first. */
	gen_prologue?(direct_write: boolean, prog: bpf_prog): bpf_insn[];
	gen_epilogue?(prog: bpf_prog, ctx_stack_off: number): bpf_insn[];
	gen_ld_abs?(orig: bpf_insn, prog: bpf_prog): bpf_insn[];
	/** Returns the instructions that replace the access; empty means "bpf verifier is misconfigured". */
	convert_ctx_access?(type: number, src: bpf_insn, prog: bpf_prog, target_size: Ref<number>): bpf_insn[];
	btf_struct_access?(
		log: bpf_verifier_log,
		reg: bpf_reg_state,
		off: number,
		size: number,
		prog: bpf_prog,
	): number;
}

/**
 * struct bpf_map_ops. Keys and values of the functions that programs call too are guest addresses in
 * the kernel's half (`number`); lookups return a guest address or 0 (NULL). Errors are negative errnos.
 */
export interface bpf_map_ops {
	map_lookup_elem?(map: bpf_map, key: number): number;
	map_update_elem?(map: bpf_map, key: number, value: number, flags: bigint): number;
	map_delete_elem?(map: bpf_map, key: number): number;
	map_push_elem?(map: bpf_map, value: number, flags: bigint): number;
	map_pop_elem?(map: bpf_map, value: number): number;
	map_peek_elem?(map: bpf_map, value: number): number;
	map_lookup_percpu_elem?(map: bpf_map, key: number, cpu: number): number;
	/** Symbols of the bodies above, as the verifier's inlining of map helpers calls them (`htab_map_update_elem`). */
	readonly symbols: Readonly<Record<string, string>>;
	map_get_next_key?(map: bpf_map, key: number, next_key: number): number;
	map_free?(map: bpf_map): void;
	map_gen_lookup?(map: bpf_map): bpf_insn[] | number;
	map_check_btf?(map: bpf_map, btf: btf, key_type: btf_type, value_type: btf_type): number;
	/** imm is the u64 that the instruction gets. */
	map_direct_value_addr?(map: bpf_map, imm: Ref<bigint>, off: number): number;
	map_direct_value_meta?(map: bpf_map, imm: bigint, off: Ref<number>): number;
	map_set_for_each_callback_args?(
		env: bpf_verifier_env,
		caller: bpf_func_state,
		callee: bpf_func_state,
	): number;
	map_meta_equal?(meta0: bpf_map, meta1: bpf_map): boolean;
	/** map_redirect: present where bpf_redirect_map() knows the map type. */
	map_redirect?(map: bpf_map, key: bigint, flags: bigint): number;
	map_for_each_callback?(map: bpf_map, callback_fn: bigint, callback_ctx: bigint, flags: bigint): number;
	map_poke_track?(map: bpf_map, aux: bpf_prog_aux): number;
	map_poke_untrack?(map: bpf_map, aux: bpf_prog_aux): void;
	/** The program in a slot of a prog array (array->ptrs[key]). */
	prog_at?(map: bpf_map, key: number): bpf_prog | null;
	map_mem_usage?(map: bpf_map): bigint;
	/** The struct that map_alloc makes (`bpf_array`), for PTR_TO_MAP access through BTF. */
	readonly map_btf_name?: string;
}

/**
 * struct bpf_map, the part that TypeScript code works on; the guest sees a struct bpf_map at `addr`,
 * laid out by the kernel's types. Map types extend this class.
 */
export class bpf_map {
	readonly kernel: Kernel;
	ops: bpf_map_ops;
	map_type = 0;
	key_size = 0;
	value_size = 0;
	max_entries = 0;
	map_extra = 0n;
	map_flags = 0;
	id = 0;
	name = "";
	inner_map_meta: bpf_map | null = null;
	record: btf_record | null = null;
	btf: btf | null = null;
	btf_key_type_id = 0;
	btf_value_type_id = 0;
	btf_vmlinux_value_type_id = 0;
	bypass_spec_v1 = false;
	frozen = false;
	free_after_mult_rcu_gp = false;
	free_after_rcu_gp = false;
	refcnt = 1;
	usercnt = 1;
	writecnt = 0;
	sleepable_refcnt = 0;
	/** Tells cgroup storage maps apart in tail call checks; unique from 1. */
	cookie = 0n;
	numa_node = -1;
	/** struct bpf_map_owner: what a prog_array (and its kin) accepts. */
	owner: {
		type: number;
		jited: boolean;
		xdp_has_frags: boolean;
		expected_attach_type: number;
		attach_func_proto: btf_type | null;
		storage_cookie: bigint[];
	} | null = null;
	/** Guest address of the struct bpf_map (0: none). */
	addr = 0;
	/** The address to show and to embed when it is not `addr` (another kernel's, from a record). */
	foreign_addr: bigint | null = null;
	constructor(kernel: Kernel, ops: bpf_map_ops) {
		this.kernel = kernel;
		this.ops = ops;
	}
	/** The address that instructions embed. */
	get kaddr(): bigint {
		return this.foreign_addr ?? BigInt.asUintN(64, BigInt(this.addr));
	}
}

/** struct bpf_func_info / bpf_line_info as user space gives them */
export interface bpf_func_info {
	insn_off: number;
	type_id: number;
}
export interface bpf_line_info {
	insn_off: number;
	file_name_off: number;
	line_off: number;
	line_col: number;
}

/** struct bpf_func_info_aux */
export interface bpf_func_info_aux {
	linkage: number;
	unreliable: boolean;
	called: boolean;
	verified: boolean;
}

/** struct bpf_jit_poke_descriptor */
export interface bpf_jit_poke_descriptor {
	tailcall_target: bigint;
	tailcall_bypass: bigint;
	bypass_addr: bigint;
	aux: bpf_prog_aux | null;
	tail_call: { map: bpf_map; key: number };
	tailcall_target_stable: boolean;
	adj_off: number;
	reason: number;
	insn_idx: number;
}

/** struct exception_table_entry, resolved: absolute addresses, architecture's own data word. */
export interface exception_table_entry {
	insn: bigint;
	fixup: bigint;
	data: number;
}

/** struct bpf_kfunc_desc */
export interface bpf_kfunc_desc {
	func_model: btf_func_model;
	func_id: number;
	imm: number;
	offset: number;
	addr: bigint;
}

/** struct bpf_prog_aux */
export class bpf_prog_aux {
	prog!: bpf_prog;
	refcnt = 1;
	id = 0;
	name = "";
	used_maps: bpf_map[] = [];
	used_btfs: btf_mod_pair[] = [];
	max_ctx_offset = 0;
	max_pkt_offset = 0;
	max_tp_access = 0;
	max_rdonly_access = 0;
	max_rdwr_access = 0;
	stack_depth = 0;
	func_cnt = 0;
	real_func_cnt = 0;
	func_idx = 0;
	func: bpf_prog[] | null = null;
	attach_btf: btf | null = null;
	attach_btf_id = 0;
	attach_func_proto: btf_type | null = null;
	attach_func_name: string | null = null;
	ctx_arg_info: bpf_ctx_arg_aux[] = [];
	dst_prog: bpf_prog | null = null;
	dst_trampoline: bpf_trampoline | null = null;
	saved_dst_prog_type = 0;
	saved_dst_attach_type = 0;
	verifier_zext = false;
	dev_bound = false;
	offload_requested = false;
	attach_btf_trace = false;
	attach_tracing_prog = false;
	func_proto_unreliable = false;
	tail_call_reachable = false;
	xdp_has_frags = false;
	exception_cb = false;
	exception_boundary = false;
	is_extended = false;
	changes_pkt_data = false;
	prog_array_member_cnt = 0;
	/** struct bpf_token; tokens cannot be made yet, so it stays null. */
	token: object | null = null;
	/** Module that holds the attachment target. */
	mod: kmodule | null = null;
	arena: bpf_map | null = null;
	poke_tab: bpf_jit_poke_descriptor[] = [];
	/** kfunc_tab: descriptors sorted as the kernel sorts them. */
	kfunc_tab: bpf_kfunc_desc[] | null = null;
	/** kfunc_btf_tab: BTFs of modules, by `offset` of the call. */
	kfunc_btf_tab: { btf: btf; module: kmodule | null; offset: number }[] | null = null;
	cgroup_storage: (bpf_map | null)[] = [null, null];
	bpf_exception_cb: bigint = 0n;
	load_time = 0n;
	/** user->uid at load time */
	created_by_uid = 0;
	verified_insns = 0;
	btf: btf | null = null;
	func_info: bpf_func_info[] = [];
	func_info_aux: bpf_func_info_aux[] = [];
	linfo: bpf_line_info[] = [];
	/** Addresses of the JITed code of each linfo entry; null before the JIT. */
	jited_linfo: bigint[] | null = null;
	linfo_idx = 0;
	extable: exception_table_entry[] = [];
	num_exentries = 0;
	ksym: { name: string; start: bigint; end: bigint } = { name: "", start: 0n, end: 0n };
	/** Guest address of the struct bpf_prog_aux (0: none). */
	addr = 0;
	foreign_addr: bigint | null = null;
	get kaddr(): bigint {
		return this.foreign_addr ?? BigInt.asUintN(64, BigInt(this.addr));
	}
}

/** struct bpf_prog */
export class bpf_prog {
	readonly kernel: Kernel;
	readonly aux: bpf_prog_aux;
	insnsi: bpf_insn[] = [];
	jited = false;
	jit_requested = false;
	gpl_compatible = false;
	cb_access = false;
	dst_needed = false;
	blinding_requested = false;
	blinded = false;
	is_func = false;
	kprobe_override = false;
	has_callchain_buf = false;
	enforce_expected_attach_type = false;
	call_get_stack = false;
	call_get_func_ip = false;
	tstamp_type_access = false;
	sleepable = false;
	type = 0;
	expected_attach_type = 0;
	jited_len = 0;
	tag: Uint8Array = new Uint8Array(8);
	/** Entry address: the JIT image, or 0n when the interpreter runs it. */
	bpf_func = 0n;
	/** The image as the JIT left it (null: none). */
	image: Uint8Array | null = null;
	/** Guest address of the struct bpf_prog (0: none). */
	addr = 0;
	constructor(kernel: Kernel) {
		this.kernel = kernel;
		this.aux = new bpf_prog_aux();
		this.aux.prog = this;
	}
	get len(): number {
		return this.insnsi.length;
	}
}
