// SPDX-License-Identifier: GPL-2.0-only
/** Networking program types: helpers, prologues and operation tables (net/core/filter.c). */
import { PTR_TO_BTF_ID, PTR_TRUSTED } from "../../include/linux/bpf.ts";
import { BPF_REG_CTX } from "../../include/linux/filter.ts";
import { EACCES } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_ALU64,
	BPF_CALL,
	BPF_CGROUP_INET4_BIND,
	BPF_CGROUP_INET4_CONNECT,
	BPF_CGROUP_INET4_GETPEERNAME,
	BPF_CGROUP_INET4_GETSOCKNAME,
	BPF_CGROUP_INET6_BIND,
	BPF_CGROUP_INET6_CONNECT,
	BPF_CGROUP_INET6_GETPEERNAME,
	BPF_CGROUP_INET6_GETSOCKNAME,
	BPF_CGROUP_UDP4_RECVMSG,
	BPF_CGROUP_UDP4_SENDMSG,
	BPF_CGROUP_UDP6_RECVMSG,
	BPF_CGROUP_UDP6_SENDMSG,
	BPF_CGROUP_UNIX_CONNECT,
	BPF_CGROUP_UNIX_GETPEERNAME,
	BPF_CGROUP_UNIX_GETSOCKNAME,
	BPF_CGROUP_UNIX_RECVMSG,
	BPF_CGROUP_UNIX_SENDMSG,
	BPF_EXIT,
	BPF_FUNC_bind,
	BPF_FUNC_getsockopt,
	BPF_FUNC_setsockopt,
	BPF_FUNC_skb_pull_data,
	BPF_FUNC_skb_set_tunnel_key,
	BPF_FUNC_skb_set_tunnel_opt,
	BPF_FUNC_skc_to_mptcp_sock,
	BPF_FUNC_skc_to_tcp_request_sock,
	BPF_FUNC_skc_to_tcp_sock,
	BPF_FUNC_skc_to_tcp_timewait_sock,
	BPF_FUNC_skc_to_tcp6_sock,
	BPF_FUNC_skc_to_udp6_sock,
	BPF_FUNC_skc_to_unix_sock,
	BPF_FUNC_trace_printk,
	BPF_JSGE,
	BPF_MOV,
	BPF_REG_0,
	BPF_REG_1,
	BPF_REG_2,
	BPF_REG_6,
	SK_DROP,
} from "../../include/uapi/linux/bpf.ts";
import {
	BPF_ADD,
	BPF_ALU,
	BPF_AND,
	BPF_B,
	BPF_H,
	BPF_IND,
	BPF_JEQ,
	BPF_JMP,
	BPF_K,
	BPF_X,
	BPF_XOR,
} from "../../include/uapi/linux/bpf_common.ts";
import { bpf_nf_ctx } from "../../include/uapi/linux/bpf_ctx.ts";
import { bpf_base_func_proto, bpf_prog_capable } from "../../kernel/bpf/base_proto.ts";
import type {
	bpf_func_proto,
	bpf_insn_access_aux,
	bpf_prog,
	bpf_verifier_ops,
} from "../../kernel/bpf/bpf_types.ts";
import { bpf_insn } from "../../kernel/bpf/bpf_types.ts";
import { btf_type_by_id } from "../../kernel/bpf/btf.ts";
import { btf_id_of, offsetof, sizeof_field } from "../../kernel/bpf/btf_ids.ts";
import {
	cgroup_common_func_proto,
	cgroup_current_func_proto,
	cgroup_func_proto,
} from "../../kernel/bpf/cgroup_proto.ts";
import { CtxEmitter, in_range } from "../../kernel/bpf/ctx_access.ts";
import { bpf_log } from "../../kernel/bpf/log.ts";
import type { bpf_reg_state } from "../../kernel/bpf/reg_state.ts";
import type { bpf_verifier_log } from "../../kernel/bpf/verifier_types.ts";
import { CAP_PERFMON } from "../../kernel/task.ts";
import { bpf_trace_printk_proto } from "../../kernel/trace/bpf_trace_proto.ts";
import * as access from "./filter_access.ts";
import * as convert from "./filter_convert.ts";
import * as proto from "./filter_proto.ts";
import * as sets from "./filter_sets.ts";

export { bpf_helper_changes_pkt_data } from "./filter_changes.ts";

const TC_ACT_SHOT = 2;

/** net/core/filter.c: bpf_sk_base_func_proto */
export function bpf_sk_base_func_proto(func_id: number, prog: bpf_prog): bpf_func_proto | null {
	let func: bpf_func_proto;
	switch (func_id) {
		case BPF_FUNC_skc_to_tcp6_sock:
			func = proto.bpf_skc_to_tcp6_sock_proto;
			break;
		case BPF_FUNC_skc_to_tcp_sock:
			func = proto.bpf_skc_to_tcp_sock_proto;
			break;
		case BPF_FUNC_skc_to_tcp_timewait_sock:
			func = proto.bpf_skc_to_tcp_timewait_sock_proto;
			break;
		case BPF_FUNC_skc_to_tcp_request_sock:
			func = proto.bpf_skc_to_tcp_request_sock_proto;
			break;
		case BPF_FUNC_skc_to_udp6_sock:
			func = proto.bpf_skc_to_udp6_sock_proto;
			break;
		case BPF_FUNC_skc_to_unix_sock:
			func = proto.bpf_skc_to_unix_sock_proto;
			break;
		case BPF_FUNC_skc_to_mptcp_sock:
			func = proto.bpf_skc_to_mptcp_sock_proto;
			break;
		default:
			return sets.bpf_sk_base_helpers.get(func_id) ?? bpf_base_func_proto(func_id, prog);
	}
	return bpf_prog_capable(prog, CAP_PERFMON) ? func : null;
}

type FuncProto = (func_id: number, prog: bpf_prog) => bpf_func_proto | null;

/** A type's own helpers first, then those of `next`. */
function own_then(own: ReadonlyMap<number, bpf_func_proto>, next: FuncProto): FuncProto {
	return (func_id, prog) => own.get(func_id) ?? next(func_id, prog);
}

const sk_filter_func_proto = own_then(sets.sk_filter_helpers, bpf_sk_base_func_proto);
const flow_dissector_func_proto = own_then(sets.flow_dissector_helpers, bpf_sk_base_func_proto);
const lwt_out_func_proto = own_then(sets.lwt_out_helpers, bpf_sk_base_func_proto);

/** net/core/filter.c: bpf_get_skb_set_tunnel_proto: these share one set-up with the tunnels' metadata. */
function with_tunnel(next: FuncProto): FuncProto {
	return (func_id, prog) => {
		if (func_id === BPF_FUNC_skb_set_tunnel_key) return proto.bpf_skb_set_tunnel_key_proto;
		if (func_id === BPF_FUNC_skb_set_tunnel_opt) return proto.bpf_skb_set_tunnel_opt_proto;
		return next(func_id, prog);
	};
}

const cg_skb_func_proto: FuncProto = (func_id, prog) =>
	cgroup_common_func_proto(func_id, prog) ??
	sets.cg_skb_helpers.get(func_id) ??
	sk_filter_func_proto(func_id, prog);

const sock_ops_func_proto: FuncProto = (func_id, prog) =>
	cgroup_common_func_proto(func_id, prog) ??
	sets.sock_ops_helpers.get(func_id) ??
	bpf_sk_base_func_proto(func_id, prog);

/** Attach types whose programs may use bpf_setsockopt() and bpf_getsockopt() on the socket. */
const sockopt_attach_types: ReadonlySet<number> = new Set([
	BPF_CGROUP_INET4_BIND,
	BPF_CGROUP_INET6_BIND,
	BPF_CGROUP_INET4_CONNECT,
	BPF_CGROUP_INET6_CONNECT,
	BPF_CGROUP_UNIX_CONNECT,
	BPF_CGROUP_UDP4_RECVMSG,
	BPF_CGROUP_UDP6_RECVMSG,
	BPF_CGROUP_UNIX_RECVMSG,
	BPF_CGROUP_UDP4_SENDMSG,
	BPF_CGROUP_UDP6_SENDMSG,
	BPF_CGROUP_UNIX_SENDMSG,
	BPF_CGROUP_INET4_GETPEERNAME,
	BPF_CGROUP_INET6_GETPEERNAME,
	BPF_CGROUP_UNIX_GETPEERNAME,
	BPF_CGROUP_INET4_GETSOCKNAME,
	BPF_CGROUP_INET6_GETSOCKNAME,
	BPF_CGROUP_UNIX_GETSOCKNAME,
]);

const sock_addr_func_proto: FuncProto = (func_id, prog) => {
	const common = cgroup_common_func_proto(func_id, prog) ?? cgroup_current_func_proto(func_id);
	if (common) return common;
	const attach = prog.expected_attach_type;
	switch (func_id) {
		case BPF_FUNC_bind:
			return attach === BPF_CGROUP_INET4_CONNECT || attach === BPF_CGROUP_INET6_CONNECT
				? proto.bpf_bind_proto
				: null;
		case BPF_FUNC_setsockopt:
			return sockopt_attach_types.has(attach) ? proto.bpf_sock_addr_setsockopt_proto : null;
		case BPF_FUNC_getsockopt:
			return sockopt_attach_types.has(attach) ? proto.bpf_sock_addr_getsockopt_proto : null;
		default:
			return sets.sock_addr_helpers.get(func_id) ?? bpf_sk_base_func_proto(func_id, prog);
	}
};

/** net/core/filter.c: bpf_unclone_prologue: make the packet's data private before direct writes. */
function bpf_unclone_prologue(direct_write: boolean, prog: bpf_prog, drop_verdict: number): bpf_insn[] {
	if (!direct_write) return [];
	const e = new CtxEmitter(prog, new bpf_insn(), { val: 0 });
	// Not cloned: straight to the program.
	e.ldx(BPF_B, BPF_REG_6, BPF_REG_1, offsetof(prog.kernel, "sk_buff", "__cloned_offset"));
	e.alu32_imm(BPF_AND, BPF_REG_6, 1);
	e.jmp_imm(BPF_JEQ, BPF_REG_6, 0, 7);
	// Else bpf_skb_pull_data(skb, 0), and drop the packet where that fails.
	e.mov64_reg(BPF_REG_6, BPF_REG_1);
	e.alu64_reg(BPF_XOR, BPF_REG_2, BPF_REG_2);
	e.raw(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_skb_pull_data);
	e.jmp_imm(BPF_JEQ, BPF_REG_0, 0, 2);
	e.alu32_imm(BPF_MOV, BPF_REG_0, drop_verdict);
	e.raw(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	e.mov64_reg(BPF_REG_1, BPF_REG_6);
	e.insns.push(prog.insnsi[0]!.clone());
	return e.insns;
}

/** net/core/filter.c: bpf_gen_ld_abs: LD_ABS and LD_IND as calls of the no-cache load helpers. */
function bpf_gen_ld_abs(orig: bpf_insn, prog: bpf_prog): bpf_insn[] {
	const e = new CtxEmitter(prog, orig, { val: 0 });
	if ((orig.code & 0xe0) !== BPF_IND) {
		e.mov64_imm(BPF_REG_2, orig.imm);
	} else {
		e.mov64_reg(BPF_REG_2, orig.src_reg);
		if (orig.imm) e.raw(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, orig.imm);
	}
	e.mov64_reg(BPF_REG_1, BPF_REG_CTX);
	const bits = (orig.code & 0x18) === BPF_B ? 8 : (orig.code & 0x18) === BPF_H ? 16 : 32;
	const { symbols } = prog.kernel;
	const target = symbols.addr(`bpf_skb_load_helper_${bits}_no_cache`) ?? 0n;
	const base = symbols.addr("__bpf_call_base") ?? 0n;
	e.raw(BPF_JMP | BPF_CALL, 0, 0, 0, Number(BigInt.asIntN(32, target - base)));
	e.jmp_imm(BPF_JSGE, BPF_REG_0, 0, 2);
	e.raw(BPF_ALU | BPF_XOR | BPF_X, BPF_REG_0, BPF_REG_0, 0, 0);
	e.raw(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	return e.insns;
}

/** net/netfilter/nf_conntrack_bpf.c: _nf_conntrack_btf_struct_access: only the mark may be written. */
function nf_conn_btf_struct_access(
	log: bpf_verifier_log,
	reg: bpf_reg_state,
	off: number,
	size: number,
	prog: bpf_prog,
): number {
	const { kernel } = prog;
	const reg_btf = reg.btf;
	const t = reg_btf === null ? null : btf_type_by_id(reg_btf, reg.btf_id);
	const is = (name: string) =>
		t !== null &&
		reg_btf !== null &&
		btf_type_by_id(reg_btf, btf_id_of(kernel, { kind: "struct", name })) === t;
	if (!is("nf_conn") && !is("nf_conn___init")) {
		bpf_log(log, "only read is supported\n");
		return -EACCES;
	}
	const mark = offsetof(kernel, "nf_conn", "mark");
	if (off !== mark) {
		bpf_log(log, `no write support to nf_conn at off ${off}\n`);
		return -EACCES;
	}
	const end = mark + sizeof_field(kernel, "nf_conn", "mark");
	if (off + size > end) {
		bpf_log(
			log,
			`write access at off ${off} with size ${size} beyond the member of nf_conn ended at ${end}\n`,
		);
		return -EACCES;
	}
	return 0;
}

const tc_cls_act_prologue = (direct_write: boolean, prog: bpf_prog) =>
	bpf_unclone_prologue(direct_write, prog, TC_ACT_SHOT);

export const sk_filter_verifier_ops: bpf_verifier_ops = {
	get_func_proto: sk_filter_func_proto,
	is_valid_access: access.sk_filter_is_valid_access,
	convert_ctx_access: convert.bpf_convert_ctx_access,
	gen_ld_abs: bpf_gen_ld_abs,
};

export const tc_cls_act_verifier_ops: bpf_verifier_ops = {
	get_func_proto: with_tunnel(own_then(sets.tc_cls_act_helpers, bpf_sk_base_func_proto)),
	is_valid_access: access.tc_cls_act_is_valid_access,
	convert_ctx_access: convert.tc_cls_act_convert_ctx_access,
	gen_prologue: tc_cls_act_prologue,
	gen_ld_abs: bpf_gen_ld_abs,
	btf_struct_access: nf_conn_btf_struct_access,
};

export const xdp_verifier_ops: bpf_verifier_ops = {
	get_func_proto: own_then(sets.xdp_helpers, bpf_sk_base_func_proto),
	is_valid_access: access.xdp_is_valid_access,
	convert_ctx_access: convert.xdp_convert_ctx_access,
	gen_prologue: () => [],
	btf_struct_access: nf_conn_btf_struct_access,
};

export const cg_skb_verifier_ops: bpf_verifier_ops = {
	get_func_proto: cg_skb_func_proto,
	is_valid_access: access.cg_skb_is_valid_access,
	convert_ctx_access: convert.bpf_convert_ctx_access,
};

export const lwt_in_verifier_ops: bpf_verifier_ops = {
	get_func_proto: own_then(sets.lwt_in_helpers, lwt_out_func_proto),
	is_valid_access: access.lwt_is_valid_access,
	convert_ctx_access: convert.bpf_convert_ctx_access,
};

export const lwt_out_verifier_ops: bpf_verifier_ops = {
	get_func_proto: lwt_out_func_proto,
	is_valid_access: access.lwt_is_valid_access,
	convert_ctx_access: convert.bpf_convert_ctx_access,
};

export const lwt_xmit_verifier_ops: bpf_verifier_ops = {
	get_func_proto: with_tunnel(own_then(sets.lwt_xmit_helpers, lwt_out_func_proto)),
	is_valid_access: access.lwt_is_valid_access,
	convert_ctx_access: convert.bpf_convert_ctx_access,
	gen_prologue: tc_cls_act_prologue,
};

export const lwt_seg6local_verifier_ops: bpf_verifier_ops = {
	get_func_proto: own_then(sets.lwt_seg6local_helpers, lwt_out_func_proto),
	is_valid_access: access.lwt_is_valid_access,
	convert_ctx_access: convert.bpf_convert_ctx_access,
};

export const cg_sock_verifier_ops: bpf_verifier_ops = {
	get_func_proto: (func_id, prog) => cgroup_func_proto(func_id, prog, sets.sock_filter_helpers),
	is_valid_access: access.sock_filter_is_valid_access,
	convert_ctx_access: convert.bpf_sock_convert_ctx_access,
};

export const cg_sock_addr_verifier_ops: bpf_verifier_ops = {
	get_func_proto: sock_addr_func_proto,
	is_valid_access: access.sock_addr_is_valid_access,
	convert_ctx_access: convert.sock_addr_convert_ctx_access,
};

export const sock_ops_verifier_ops: bpf_verifier_ops = {
	get_func_proto: sock_ops_func_proto,
	is_valid_access: access.sock_ops_is_valid_access,
	convert_ctx_access: convert.sock_ops_convert_ctx_access,
};

export const sk_skb_verifier_ops: bpf_verifier_ops = {
	get_func_proto: own_then(sets.sk_skb_helpers, bpf_sk_base_func_proto),
	is_valid_access: access.sk_skb_is_valid_access,
	convert_ctx_access: convert.sk_skb_convert_ctx_access,
	gen_prologue: (direct_write, prog) => bpf_unclone_prologue(direct_write, prog, SK_DROP),
};

export const sk_msg_verifier_ops: bpf_verifier_ops = {
	get_func_proto: own_then(sets.sk_msg_helpers, bpf_sk_base_func_proto),
	is_valid_access: access.sk_msg_is_valid_access,
	convert_ctx_access: convert.sk_msg_convert_ctx_access,
	gen_prologue: () => [],
};

export const flow_dissector_verifier_ops: bpf_verifier_ops = {
	get_func_proto: flow_dissector_func_proto,
	is_valid_access: access.flow_dissector_is_valid_access,
	convert_ctx_access: convert.flow_dissector_convert_ctx_access,
};

export const sk_reuseport_verifier_ops: bpf_verifier_ops = {
	get_func_proto: own_then(sets.sk_reuseport_helpers, bpf_base_func_proto),
	is_valid_access: access.sk_reuseport_is_valid_access,
	convert_ctx_access: convert.sk_reuseport_convert_ctx_access,
};

export const sk_lookup_verifier_ops: bpf_verifier_ops = {
	get_func_proto: own_then(sets.sk_lookup_helpers, bpf_sk_base_func_proto),
	is_valid_access: access.sk_lookup_is_valid_access,
	convert_ctx_access: convert.sk_lookup_convert_ctx_access,
};

/** drivers/media/rc/bpf-lirc.c */
export const lirc_mode2_verifier_ops: bpf_verifier_ops = {
	get_func_proto(func_id, prog) {
		if (func_id === BPF_FUNC_trace_printk)
			return bpf_prog_capable(prog, CAP_PERFMON) ? bpf_trace_printk_proto : null;
		return sets.lirc_mode2_helpers.get(func_id) ?? null;
	},
	is_valid_access: (off, size, type) => type === 1 && off === 0 && size === 4,
};

function nf_ptr_to_btf_id(prog: bpf_prog, info: bpf_insn_access_aux, name: string): boolean {
	const vmlinux = prog.kernel.bpf.bpf_get_btf_vmlinux();
	if (typeof vmlinux === "number") return false;
	const type_id = btf_id_of(prog.kernel, { kind: "struct", name });
	if (type_id <= 0) return false;
	info.btf = vmlinux;
	info.btf_id = type_id;
	info.reg_type = PTR_TO_BTF_ID | PTR_TRUSTED;
	return true;
}

/** net/netfilter/nf_bpf_link.c */
export const netfilter_verifier_ops: bpf_verifier_ops = {
	get_func_proto: bpf_base_func_proto,
	is_valid_access(off, size, type, prog, info) {
		if (off < 0 || off >= bpf_nf_ctx.sizeof) return false;
		if (off % size !== 0) return false;
		if (type === 2) return false;
		if (in_range(off, bpf_nf_ctx.skb)) return size === 8 && nf_ptr_to_btf_id(prog, info, "sk_buff");
		if (in_range(off, bpf_nf_ctx.state)) return size === 8 && nf_ptr_to_btf_id(prog, info, "nf_hook_state");
		return false;
	},
};
