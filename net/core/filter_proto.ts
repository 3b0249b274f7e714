// SPDX-License-Identifier: GPL-2.0-only
/**
 * Prototypes of helpers, as the verifier sees them, of:
 * net/core/filter.c, net/core/sock_map.c, net/core/bpf_sk_storage.c, net/ipv4/bpf_tcp_ca.c, drivers/media/rc/bpf-lirc.c
 */
import {
	ARG_ANYTHING,
	ARG_CONST_MAP_PTR,
	ARG_CONST_SIZE,
	ARG_CONST_SIZE_OR_ZERO,
	ARG_PTR_TO_BTF_ID,
	ARG_PTR_TO_BTF_ID_OR_NULL,
	ARG_PTR_TO_BTF_ID_SOCK_COMMON,
	ARG_PTR_TO_CTX,
	ARG_PTR_TO_CTX_OR_NULL,
	ARG_PTR_TO_FIXED_SIZE_MEM,
	ARG_PTR_TO_MAP_KEY,
	ARG_PTR_TO_MAP_VALUE_OR_NULL,
	ARG_PTR_TO_MEM,
	ARG_PTR_TO_SOCK_COMMON,
	ARG_PTR_TO_SOCKET_OR_NULL,
	ARG_PTR_TO_UNINIT_MEM,
	MEM_ALIGNED,
	MEM_RDONLY,
	MEM_WRITE,
	OBJ_RELEASE,
	PTR_MAYBE_NULL,
	RET_INTEGER,
	RET_PTR_TO_BTF_ID_OR_NULL,
	RET_PTR_TO_MAP_VALUE_OR_NULL,
	RET_PTR_TO_SOCK_COMMON_OR_NULL,
	RET_PTR_TO_SOCKET_OR_NULL,
	RET_PTR_TO_TCP_SOCK_OR_NULL,
} from "../../include/linux/bpf.ts";
import type { bpf_func_proto } from "../../kernel/bpf/bpf_types.ts";
import { bpf_sk_storage_tracing_allowed } from "./filter_allowed.ts";

// net/core/filter.c
export const bpf_skb_store_bytes_proto: bpf_func_proto = {
	func: "bpf_skb_store_bytes",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE, ARG_ANYTHING],
};
export const bpf_skb_load_bytes_proto: bpf_func_proto = {
	func: "bpf_skb_load_bytes",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE],
};
export const bpf_flow_dissector_load_bytes_proto: bpf_func_proto = {
	func: "bpf_flow_dissector_load_bytes",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE],
};
export const bpf_skb_load_bytes_relative_proto: bpf_func_proto = {
	func: "bpf_skb_load_bytes_relative",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE, ARG_ANYTHING],
};
export const bpf_skb_pull_data_proto: bpf_func_proto = {
	func: "bpf_skb_pull_data",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING],
};
export const bpf_sk_fullsock_proto: bpf_func_proto = {
	func: "bpf_sk_fullsock",
	ret_type: RET_PTR_TO_SOCKET_OR_NULL,
	arg_type: [ARG_PTR_TO_SOCK_COMMON],
};
export const sk_skb_pull_data_proto: bpf_func_proto = {
	func: "sk_skb_pull_data",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING],
};
export const bpf_l3_csum_replace_proto: bpf_func_proto = {
	func: "bpf_l3_csum_replace",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_ANYTHING, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_l4_csum_replace_proto: bpf_func_proto = {
	func: "bpf_l4_csum_replace",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_ANYTHING, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_csum_diff_proto: bpf_func_proto = {
	func: "bpf_csum_diff",
	pkt_access: true,
	ret_type: RET_INTEGER,
	arg_type: [
		ARG_PTR_TO_MEM | PTR_MAYBE_NULL | MEM_RDONLY,
		ARG_CONST_SIZE_OR_ZERO,
		ARG_PTR_TO_MEM | PTR_MAYBE_NULL | MEM_RDONLY,
		ARG_CONST_SIZE_OR_ZERO,
		ARG_ANYTHING,
	],
};
export const bpf_csum_update_proto: bpf_func_proto = {
	func: "bpf_csum_update",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING],
};
export const bpf_csum_level_proto: bpf_func_proto = {
	func: "bpf_csum_level",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING],
};
export const bpf_clone_redirect_proto: bpf_func_proto = {
	func: "bpf_clone_redirect",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_redirect_proto: bpf_func_proto = {
	func: "bpf_redirect",
	ret_type: RET_INTEGER,
	arg_type: [ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_redirect_peer_proto: bpf_func_proto = {
	func: "bpf_redirect_peer",
	ret_type: RET_INTEGER,
	arg_type: [ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_redirect_neigh_proto: bpf_func_proto = {
	func: "bpf_redirect_neigh",
	ret_type: RET_INTEGER,
	arg_type: [
		ARG_ANYTHING,
		ARG_PTR_TO_MEM | PTR_MAYBE_NULL | MEM_RDONLY,
		ARG_CONST_SIZE_OR_ZERO,
		ARG_ANYTHING,
	],
};
export const bpf_msg_apply_bytes_proto: bpf_func_proto = {
	func: "bpf_msg_apply_bytes",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING],
};
export const bpf_msg_cork_bytes_proto: bpf_func_proto = {
	func: "bpf_msg_cork_bytes",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING],
};
export const bpf_msg_pull_data_proto: bpf_func_proto = {
	func: "bpf_msg_pull_data",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_msg_push_data_proto: bpf_func_proto = {
	func: "bpf_msg_push_data",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_msg_pop_data_proto: bpf_func_proto = {
	func: "bpf_msg_pop_data",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_get_cgroup_classid_curr_proto: bpf_func_proto = {
	func: "bpf_get_cgroup_classid_curr",
	ret_type: RET_INTEGER,
	arg_type: [],
};
export const bpf_skb_cgroup_classid_proto: bpf_func_proto = {
	func: "bpf_skb_cgroup_classid",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX],
};
export const bpf_get_cgroup_classid_proto: bpf_func_proto = {
	func: "bpf_get_cgroup_classid",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX],
};
export const bpf_get_route_realm_proto: bpf_func_proto = {
	func: "bpf_get_route_realm",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX],
};
export const bpf_get_hash_recalc_proto: bpf_func_proto = {
	func: "bpf_get_hash_recalc",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX],
};
export const bpf_set_hash_invalid_proto: bpf_func_proto = {
	func: "bpf_set_hash_invalid",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX],
};
export const bpf_set_hash_proto: bpf_func_proto = {
	func: "bpf_set_hash",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING],
};
export const bpf_skb_vlan_push_proto: bpf_func_proto = {
	func: "bpf_skb_vlan_push",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_skb_vlan_pop_proto: bpf_func_proto = {
	func: "bpf_skb_vlan_pop",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX],
};
export const bpf_skb_change_proto_proto: bpf_func_proto = {
	func: "bpf_skb_change_proto",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_skb_change_type_proto: bpf_func_proto = {
	func: "bpf_skb_change_type",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING],
};
export const sk_skb_adjust_room_proto: bpf_func_proto = {
	func: "sk_skb_adjust_room",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_skb_adjust_room_proto: bpf_func_proto = {
	func: "bpf_skb_adjust_room",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_skb_change_tail_proto: bpf_func_proto = {
	func: "bpf_skb_change_tail",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_ANYTHING],
};
export const sk_skb_change_tail_proto: bpf_func_proto = {
	func: "sk_skb_change_tail",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_skb_change_head_proto: bpf_func_proto = {
	func: "bpf_skb_change_head",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_ANYTHING],
};
export const sk_skb_change_head_proto: bpf_func_proto = {
	func: "sk_skb_change_head",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_xdp_get_buff_len_proto: bpf_func_proto = {
	func: "bpf_xdp_get_buff_len",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX],
};
export const bpf_xdp_get_buff_len_trace_proto: bpf_func_proto = {
	func: "bpf_xdp_get_buff_len",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_BTF_ID],
	arg_btf_id: { 0: { kind: "struct", name: "xdp_buff" } },
};
export const bpf_xdp_adjust_head_proto: bpf_func_proto = {
	func: "bpf_xdp_adjust_head",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING],
};
export const bpf_xdp_load_bytes_proto: bpf_func_proto = {
	func: "bpf_xdp_load_bytes",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE],
};
export const bpf_xdp_store_bytes_proto: bpf_func_proto = {
	func: "bpf_xdp_store_bytes",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE],
};
export const bpf_xdp_adjust_tail_proto: bpf_func_proto = {
	func: "bpf_xdp_adjust_tail",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING],
};
export const bpf_xdp_adjust_meta_proto: bpf_func_proto = {
	func: "bpf_xdp_adjust_meta",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING],
};
export const bpf_xdp_redirect_proto: bpf_func_proto = {
	func: "bpf_xdp_redirect",
	ret_type: RET_INTEGER,
	arg_type: [ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_xdp_redirect_map_proto: bpf_func_proto = {
	func: "bpf_xdp_redirect_map",
	ret_type: RET_INTEGER,
	arg_type: [ARG_CONST_MAP_PTR, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_skb_event_output_proto: bpf_func_proto = {
	func: "bpf_skb_event_output",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [
		ARG_PTR_TO_CTX,
		ARG_CONST_MAP_PTR,
		ARG_ANYTHING,
		ARG_PTR_TO_MEM | MEM_RDONLY,
		ARG_CONST_SIZE_OR_ZERO,
	],
};
export const bpf_skb_output_proto: bpf_func_proto = {
	func: "bpf_skb_event_output",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [
		ARG_PTR_TO_BTF_ID,
		ARG_CONST_MAP_PTR,
		ARG_ANYTHING,
		ARG_PTR_TO_MEM | MEM_RDONLY,
		ARG_CONST_SIZE_OR_ZERO,
	],
	arg_btf_id: { 0: { kind: "struct", name: "sk_buff" } },
};
export const bpf_skb_get_tunnel_key_proto: bpf_func_proto = {
	func: "bpf_skb_get_tunnel_key",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE, ARG_ANYTHING],
};
export const bpf_skb_get_tunnel_opt_proto: bpf_func_proto = {
	func: "bpf_skb_get_tunnel_opt",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE],
};
export const bpf_skb_set_tunnel_key_proto: bpf_func_proto = {
	func: "bpf_skb_set_tunnel_key",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE, ARG_ANYTHING],
};
export const bpf_skb_set_tunnel_opt_proto: bpf_func_proto = {
	func: "bpf_skb_set_tunnel_opt",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE],
};
export const bpf_skb_under_cgroup_proto: bpf_func_proto = {
	func: "bpf_skb_under_cgroup",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_CONST_MAP_PTR, ARG_ANYTHING],
};
export const bpf_skb_cgroup_id_proto: bpf_func_proto = {
	func: "bpf_skb_cgroup_id",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX],
};
export const bpf_skb_ancestor_cgroup_id_proto: bpf_func_proto = {
	func: "bpf_skb_ancestor_cgroup_id",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING],
};
export const bpf_sk_cgroup_id_proto: bpf_func_proto = {
	func: "bpf_sk_cgroup_id",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_BTF_ID_SOCK_COMMON],
};
export const bpf_sk_ancestor_cgroup_id_proto: bpf_func_proto = {
	func: "bpf_sk_ancestor_cgroup_id",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_BTF_ID_SOCK_COMMON, ARG_ANYTHING],
};
export const bpf_xdp_event_output_proto: bpf_func_proto = {
	func: "bpf_xdp_event_output",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [
		ARG_PTR_TO_CTX,
		ARG_CONST_MAP_PTR,
		ARG_ANYTHING,
		ARG_PTR_TO_MEM | MEM_RDONLY,
		ARG_CONST_SIZE_OR_ZERO,
	],
};
export const bpf_xdp_output_proto: bpf_func_proto = {
	func: "bpf_xdp_event_output",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [
		ARG_PTR_TO_BTF_ID,
		ARG_CONST_MAP_PTR,
		ARG_ANYTHING,
		ARG_PTR_TO_MEM | MEM_RDONLY,
		ARG_CONST_SIZE_OR_ZERO,
	],
	arg_btf_id: { 0: { kind: "struct", name: "xdp_buff" } },
};
export const bpf_get_socket_cookie_proto: bpf_func_proto = {
	func: "bpf_get_socket_cookie",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX],
};
export const bpf_get_socket_cookie_sock_addr_proto: bpf_func_proto = {
	func: "bpf_get_socket_cookie_sock_addr",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX],
};
export const bpf_get_socket_cookie_sock_proto: bpf_func_proto = {
	func: "bpf_get_socket_cookie_sock",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX],
};
export const bpf_get_socket_ptr_cookie_proto: bpf_func_proto = {
	func: "bpf_get_socket_ptr_cookie",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_BTF_ID_SOCK_COMMON | PTR_MAYBE_NULL],
};
export const bpf_get_socket_cookie_sock_ops_proto: bpf_func_proto = {
	func: "bpf_get_socket_cookie_sock_ops",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX],
};
export const bpf_get_netns_cookie_sock_proto: bpf_func_proto = {
	func: "bpf_get_netns_cookie_sock",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX_OR_NULL],
};
export const bpf_get_netns_cookie_sock_addr_proto: bpf_func_proto = {
	func: "bpf_get_netns_cookie_sock_addr",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX_OR_NULL],
};
export const bpf_get_netns_cookie_sock_ops_proto: bpf_func_proto = {
	func: "bpf_get_netns_cookie_sock_ops",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX_OR_NULL],
};
export const bpf_get_netns_cookie_sk_msg_proto: bpf_func_proto = {
	func: "bpf_get_netns_cookie_sk_msg",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX_OR_NULL],
};
export const bpf_get_socket_uid_proto: bpf_func_proto = {
	func: "bpf_get_socket_uid",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX],
};
export const bpf_sk_setsockopt_proto: bpf_func_proto = {
	func: "bpf_sk_setsockopt",
	ret_type: RET_INTEGER,
	arg_type: [
		ARG_PTR_TO_BTF_ID_SOCK_COMMON,
		ARG_ANYTHING,
		ARG_ANYTHING,
		ARG_PTR_TO_MEM | MEM_RDONLY,
		ARG_CONST_SIZE,
	],
};
export const bpf_sk_getsockopt_proto: bpf_func_proto = {
	func: "bpf_sk_getsockopt",
	ret_type: RET_INTEGER,
	arg_type: [
		ARG_PTR_TO_BTF_ID_SOCK_COMMON,
		ARG_ANYTHING,
		ARG_ANYTHING,
		ARG_PTR_TO_UNINIT_MEM,
		ARG_CONST_SIZE,
	],
};
export const bpf_unlocked_sk_setsockopt_proto: bpf_func_proto = {
	func: "bpf_unlocked_sk_setsockopt",
	ret_type: RET_INTEGER,
	arg_type: [
		ARG_PTR_TO_BTF_ID_SOCK_COMMON,
		ARG_ANYTHING,
		ARG_ANYTHING,
		ARG_PTR_TO_MEM | MEM_RDONLY,
		ARG_CONST_SIZE,
	],
};
export const bpf_unlocked_sk_getsockopt_proto: bpf_func_proto = {
	func: "bpf_unlocked_sk_getsockopt",
	ret_type: RET_INTEGER,
	arg_type: [
		ARG_PTR_TO_BTF_ID_SOCK_COMMON,
		ARG_ANYTHING,
		ARG_ANYTHING,
		ARG_PTR_TO_UNINIT_MEM,
		ARG_CONST_SIZE,
	],
};
export const bpf_sock_addr_setsockopt_proto: bpf_func_proto = {
	func: "bpf_sock_addr_setsockopt",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_ANYTHING, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE],
};
export const bpf_sock_addr_getsockopt_proto: bpf_func_proto = {
	func: "bpf_sock_addr_getsockopt",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_ANYTHING, ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE],
};
export const bpf_sock_ops_setsockopt_proto: bpf_func_proto = {
	func: "bpf_sock_ops_setsockopt",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_ANYTHING, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE],
};
export const bpf_sock_ops_getsockopt_proto: bpf_func_proto = {
	func: "bpf_sock_ops_getsockopt",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_ANYTHING, ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE],
};
export const bpf_sock_ops_cb_flags_set_proto: bpf_func_proto = {
	func: "bpf_sock_ops_cb_flags_set",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING],
};
export const bpf_bind_proto: bpf_func_proto = {
	func: "bpf_bind",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE],
};
export const bpf_skb_get_xfrm_state_proto: bpf_func_proto = {
	func: "bpf_skb_get_xfrm_state",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE, ARG_ANYTHING],
};
export const bpf_xdp_fib_lookup_proto: bpf_func_proto = {
	func: "bpf_xdp_fib_lookup",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_MEM, ARG_CONST_SIZE, ARG_ANYTHING],
};
export const bpf_skb_fib_lookup_proto: bpf_func_proto = {
	func: "bpf_skb_fib_lookup",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_MEM, ARG_CONST_SIZE, ARG_ANYTHING],
};
export const bpf_skb_check_mtu_proto: bpf_func_proto = {
	func: "bpf_skb_check_mtu",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [
		ARG_PTR_TO_CTX,
		ARG_ANYTHING,
		ARG_PTR_TO_FIXED_SIZE_MEM | MEM_WRITE | MEM_ALIGNED,
		ARG_ANYTHING,
		ARG_ANYTHING,
	],
	arg_size: { 2: 4 },
};
export const bpf_xdp_check_mtu_proto: bpf_func_proto = {
	func: "bpf_xdp_check_mtu",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [
		ARG_PTR_TO_CTX,
		ARG_ANYTHING,
		ARG_PTR_TO_FIXED_SIZE_MEM | MEM_WRITE | MEM_ALIGNED,
		ARG_ANYTHING,
		ARG_ANYTHING,
	],
	arg_size: { 2: 4 },
};
export const bpf_lwt_in_push_encap_proto: bpf_func_proto = {
	func: "bpf_lwt_in_push_encap",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE],
};
export const bpf_lwt_xmit_push_encap_proto: bpf_func_proto = {
	func: "bpf_lwt_xmit_push_encap",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE],
};
export const bpf_lwt_seg6_store_bytes_proto: bpf_func_proto = {
	func: "bpf_lwt_seg6_store_bytes",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE],
};
export const bpf_lwt_seg6_action_proto: bpf_func_proto = {
	func: "bpf_lwt_seg6_action",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE],
};
export const bpf_lwt_seg6_adjust_srh_proto: bpf_func_proto = {
	func: "bpf_lwt_seg6_adjust_srh",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_skc_lookup_tcp_proto: bpf_func_proto = {
	func: "bpf_skc_lookup_tcp",
	pkt_access: true,
	ret_type: RET_PTR_TO_SOCK_COMMON_OR_NULL,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE_OR_ZERO, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_sk_lookup_tcp_proto: bpf_func_proto = {
	func: "bpf_sk_lookup_tcp",
	pkt_access: true,
	ret_type: RET_PTR_TO_SOCKET_OR_NULL,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE_OR_ZERO, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_sk_lookup_udp_proto: bpf_func_proto = {
	func: "bpf_sk_lookup_udp",
	pkt_access: true,
	ret_type: RET_PTR_TO_SOCKET_OR_NULL,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE_OR_ZERO, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_tc_skc_lookup_tcp_proto: bpf_func_proto = {
	func: "bpf_tc_skc_lookup_tcp",
	pkt_access: true,
	ret_type: RET_PTR_TO_SOCK_COMMON_OR_NULL,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE_OR_ZERO, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_tc_sk_lookup_tcp_proto: bpf_func_proto = {
	func: "bpf_tc_sk_lookup_tcp",
	pkt_access: true,
	ret_type: RET_PTR_TO_SOCKET_OR_NULL,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE_OR_ZERO, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_tc_sk_lookup_udp_proto: bpf_func_proto = {
	func: "bpf_tc_sk_lookup_udp",
	pkt_access: true,
	ret_type: RET_PTR_TO_SOCKET_OR_NULL,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE_OR_ZERO, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_sk_release_proto: bpf_func_proto = {
	func: "bpf_sk_release",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_BTF_ID_SOCK_COMMON | OBJ_RELEASE],
};
export const bpf_xdp_sk_lookup_udp_proto: bpf_func_proto = {
	func: "bpf_xdp_sk_lookup_udp",
	pkt_access: true,
	ret_type: RET_PTR_TO_SOCKET_OR_NULL,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE_OR_ZERO, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_xdp_skc_lookup_tcp_proto: bpf_func_proto = {
	func: "bpf_xdp_skc_lookup_tcp",
	pkt_access: true,
	ret_type: RET_PTR_TO_SOCK_COMMON_OR_NULL,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE_OR_ZERO, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_xdp_sk_lookup_tcp_proto: bpf_func_proto = {
	func: "bpf_xdp_sk_lookup_tcp",
	pkt_access: true,
	ret_type: RET_PTR_TO_SOCKET_OR_NULL,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE_OR_ZERO, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_sock_addr_skc_lookup_tcp_proto: bpf_func_proto = {
	func: "bpf_sock_addr_skc_lookup_tcp",
	ret_type: RET_PTR_TO_SOCK_COMMON_OR_NULL,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE_OR_ZERO, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_sock_addr_sk_lookup_tcp_proto: bpf_func_proto = {
	func: "bpf_sock_addr_sk_lookup_tcp",
	ret_type: RET_PTR_TO_SOCKET_OR_NULL,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE_OR_ZERO, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_sock_addr_sk_lookup_udp_proto: bpf_func_proto = {
	func: "bpf_sock_addr_sk_lookup_udp",
	ret_type: RET_PTR_TO_SOCKET_OR_NULL,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE_OR_ZERO, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_tcp_sock_proto: bpf_func_proto = {
	func: "bpf_tcp_sock",
	ret_type: RET_PTR_TO_TCP_SOCK_OR_NULL,
	arg_type: [ARG_PTR_TO_SOCK_COMMON],
};
export const bpf_get_listener_sock_proto: bpf_func_proto = {
	func: "bpf_get_listener_sock",
	ret_type: RET_PTR_TO_SOCKET_OR_NULL,
	arg_type: [ARG_PTR_TO_SOCK_COMMON],
};
export const bpf_skb_ecn_set_ce_proto: bpf_func_proto = {
	func: "bpf_skb_ecn_set_ce",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX],
};
export const bpf_tcp_check_syncookie_proto: bpf_func_proto = {
	func: "bpf_tcp_check_syncookie",
	gpl_only: true,
	pkt_access: true,
	ret_type: RET_INTEGER,
	arg_type: [
		ARG_PTR_TO_BTF_ID_SOCK_COMMON,
		ARG_PTR_TO_MEM | MEM_RDONLY,
		ARG_CONST_SIZE,
		ARG_PTR_TO_MEM | MEM_RDONLY,
		ARG_CONST_SIZE,
	],
};
export const bpf_tcp_gen_syncookie_proto: bpf_func_proto = {
	func: "bpf_tcp_gen_syncookie",
	gpl_only: true,
	pkt_access: true,
	ret_type: RET_INTEGER,
	arg_type: [
		ARG_PTR_TO_BTF_ID_SOCK_COMMON,
		ARG_PTR_TO_MEM | MEM_RDONLY,
		ARG_CONST_SIZE,
		ARG_PTR_TO_MEM | MEM_RDONLY,
		ARG_CONST_SIZE,
	],
};
export const bpf_sk_assign_proto: bpf_func_proto = {
	func: "bpf_sk_assign",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_BTF_ID_SOCK_COMMON, ARG_ANYTHING],
};
export const bpf_sock_ops_load_hdr_opt_proto: bpf_func_proto = {
	func: "bpf_sock_ops_load_hdr_opt",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_MEM | MEM_WRITE, ARG_CONST_SIZE, ARG_ANYTHING],
};
export const bpf_sock_ops_store_hdr_opt_proto: bpf_func_proto = {
	func: "bpf_sock_ops_store_hdr_opt",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE, ARG_ANYTHING],
};
export const bpf_sock_ops_reserve_hdr_opt_proto: bpf_func_proto = {
	func: "bpf_sock_ops_reserve_hdr_opt",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_skb_set_tstamp_proto: bpf_func_proto = {
	func: "bpf_skb_set_tstamp",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_tcp_raw_gen_syncookie_ipv4_proto: bpf_func_proto = {
	func: "bpf_tcp_raw_gen_syncookie_ipv4",
	gpl_only: true,
	pkt_access: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_FIXED_SIZE_MEM, ARG_PTR_TO_MEM, ARG_CONST_SIZE_OR_ZERO],
	arg_size: { 0: 20 },
};
export const bpf_tcp_raw_gen_syncookie_ipv6_proto: bpf_func_proto = {
	func: "bpf_tcp_raw_gen_syncookie_ipv6",
	gpl_only: true,
	pkt_access: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_FIXED_SIZE_MEM, ARG_PTR_TO_MEM, ARG_CONST_SIZE_OR_ZERO],
	arg_size: { 0: 40 },
};
export const bpf_tcp_raw_check_syncookie_ipv4_proto: bpf_func_proto = {
	func: "bpf_tcp_raw_check_syncookie_ipv4",
	gpl_only: true,
	pkt_access: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_FIXED_SIZE_MEM, ARG_PTR_TO_FIXED_SIZE_MEM],
	arg_size: { 0: 20, 1: 20 },
};
export const bpf_tcp_raw_check_syncookie_ipv6_proto: bpf_func_proto = {
	func: "bpf_tcp_raw_check_syncookie_ipv6",
	gpl_only: true,
	pkt_access: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_FIXED_SIZE_MEM, ARG_PTR_TO_FIXED_SIZE_MEM],
	arg_size: { 0: 40, 1: 20 },
};
export const sk_select_reuseport_proto: bpf_func_proto = {
	func: "sk_select_reuseport",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_CONST_MAP_PTR, ARG_PTR_TO_MAP_KEY, ARG_ANYTHING],
};
export const sk_reuseport_load_bytes_proto: bpf_func_proto = {
	func: "sk_reuseport_load_bytes",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE],
};
export const sk_reuseport_load_bytes_relative_proto: bpf_func_proto = {
	func: "sk_reuseport_load_bytes_relative",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE, ARG_ANYTHING],
};
export const bpf_sk_lookup_assign_proto: bpf_func_proto = {
	func: "bpf_sk_lookup_assign",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_SOCKET_OR_NULL, ARG_ANYTHING],
};
export const bpf_skc_to_tcp6_sock_proto: bpf_func_proto = {
	func: "bpf_skc_to_tcp6_sock",
	ret_type: RET_PTR_TO_BTF_ID_OR_NULL,
	arg_type: [ARG_PTR_TO_BTF_ID_SOCK_COMMON],
	ret_btf_id: { kind: "struct", name: "tcp6_sock" },
};
export const bpf_skc_to_tcp_sock_proto: bpf_func_proto = {
	func: "bpf_skc_to_tcp_sock",
	ret_type: RET_PTR_TO_BTF_ID_OR_NULL,
	arg_type: [ARG_PTR_TO_BTF_ID_SOCK_COMMON],
	ret_btf_id: { kind: "struct", name: "tcp_sock" },
};
export const bpf_skc_to_tcp_timewait_sock_proto: bpf_func_proto = {
	func: "bpf_skc_to_tcp_timewait_sock",
	ret_type: RET_PTR_TO_BTF_ID_OR_NULL,
	arg_type: [ARG_PTR_TO_BTF_ID_SOCK_COMMON],
	ret_btf_id: { kind: "struct", name: "tcp_timewait_sock" },
};
export const bpf_skc_to_tcp_request_sock_proto: bpf_func_proto = {
	func: "bpf_skc_to_tcp_request_sock",
	ret_type: RET_PTR_TO_BTF_ID_OR_NULL,
	arg_type: [ARG_PTR_TO_BTF_ID_SOCK_COMMON],
	ret_btf_id: { kind: "struct", name: "tcp_request_sock" },
};
export const bpf_skc_to_udp6_sock_proto: bpf_func_proto = {
	func: "bpf_skc_to_udp6_sock",
	ret_type: RET_PTR_TO_BTF_ID_OR_NULL,
	arg_type: [ARG_PTR_TO_BTF_ID_SOCK_COMMON],
	ret_btf_id: { kind: "struct", name: "udp6_sock" },
};
export const bpf_skc_to_unix_sock_proto: bpf_func_proto = {
	func: "bpf_skc_to_unix_sock",
	ret_type: RET_PTR_TO_BTF_ID_OR_NULL,
	arg_type: [ARG_PTR_TO_BTF_ID_SOCK_COMMON],
	ret_btf_id: { kind: "struct", name: "unix_sock" },
};
export const bpf_skc_to_mptcp_sock_proto: bpf_func_proto = {
	func: "bpf_skc_to_mptcp_sock",
	ret_type: RET_PTR_TO_BTF_ID_OR_NULL,
	arg_type: [ARG_PTR_TO_SOCK_COMMON],
	ret_btf_id: { kind: "struct", name: "mptcp_sock" },
};
export const bpf_sock_from_file_proto: bpf_func_proto = {
	func: "bpf_sock_from_file",
	ret_type: RET_PTR_TO_BTF_ID_OR_NULL,
	arg_type: [ARG_PTR_TO_BTF_ID],
	arg_btf_id: { 0: { kind: "struct", name: "file" } },
	ret_btf_id: { kind: "struct", name: "socket" },
};

// net/core/sock_map.c
export const bpf_sock_map_update_proto: bpf_func_proto = {
	func: "bpf_sock_map_update",
	pkt_access: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_CONST_MAP_PTR, ARG_PTR_TO_MAP_KEY, ARG_ANYTHING],
};
export const bpf_sk_redirect_map_proto: bpf_func_proto = {
	func: "bpf_sk_redirect_map",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_CONST_MAP_PTR, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_msg_redirect_map_proto: bpf_func_proto = {
	func: "bpf_msg_redirect_map",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_CONST_MAP_PTR, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_sock_hash_update_proto: bpf_func_proto = {
	func: "bpf_sock_hash_update",
	pkt_access: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_CONST_MAP_PTR, ARG_PTR_TO_MAP_KEY, ARG_ANYTHING],
};
export const bpf_sk_redirect_hash_proto: bpf_func_proto = {
	func: "bpf_sk_redirect_hash",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_CONST_MAP_PTR, ARG_PTR_TO_MAP_KEY, ARG_ANYTHING],
};
export const bpf_msg_redirect_hash_proto: bpf_func_proto = {
	func: "bpf_msg_redirect_hash",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_CONST_MAP_PTR, ARG_PTR_TO_MAP_KEY, ARG_ANYTHING],
};

// net/core/bpf_sk_storage.c
export const bpf_sk_storage_get_proto: bpf_func_proto = {
	func: "bpf_sk_storage_get",
	ret_type: RET_PTR_TO_MAP_VALUE_OR_NULL,
	arg_type: [ARG_CONST_MAP_PTR, ARG_PTR_TO_BTF_ID_SOCK_COMMON, ARG_PTR_TO_MAP_VALUE_OR_NULL, ARG_ANYTHING],
};
export const bpf_sk_storage_get_cg_sock_proto: bpf_func_proto = {
	func: "bpf_sk_storage_get",
	ret_type: RET_PTR_TO_MAP_VALUE_OR_NULL,
	arg_type: [ARG_CONST_MAP_PTR, ARG_PTR_TO_CTX, ARG_PTR_TO_MAP_VALUE_OR_NULL, ARG_ANYTHING],
};
export const bpf_sk_storage_delete_proto: bpf_func_proto = {
	func: "bpf_sk_storage_delete",
	ret_type: RET_INTEGER,
	arg_type: [ARG_CONST_MAP_PTR, ARG_PTR_TO_BTF_ID_SOCK_COMMON],
};
export const bpf_sk_storage_get_tracing_proto: bpf_func_proto = {
	func: "bpf_sk_storage_get_tracing",
	ret_type: RET_PTR_TO_MAP_VALUE_OR_NULL,
	arg_type: [ARG_CONST_MAP_PTR, ARG_PTR_TO_BTF_ID_OR_NULL, ARG_PTR_TO_MAP_VALUE_OR_NULL, ARG_ANYTHING],
	arg_btf_id: { 1: { kind: "struct", name: "sock_common" } },
	allowed: bpf_sk_storage_tracing_allowed,
};
export const bpf_sk_storage_delete_tracing_proto: bpf_func_proto = {
	func: "bpf_sk_storage_delete_tracing",
	ret_type: RET_INTEGER,
	arg_type: [ARG_CONST_MAP_PTR, ARG_PTR_TO_BTF_ID_OR_NULL],
	arg_btf_id: { 1: { kind: "struct", name: "sock_common" } },
	allowed: bpf_sk_storage_tracing_allowed,
};

// net/ipv4/bpf_tcp_ca.c
export const bpf_tcp_send_ack_proto: bpf_func_proto = {
	func: "bpf_tcp_send_ack",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_BTF_ID, ARG_ANYTHING],
	arg_btf_id: { 0: { kind: "struct", name: "tcp_sock" } },
};

// drivers/media/rc/bpf-lirc.c
export const rc_repeat_proto: bpf_func_proto = {
	func: "bpf_rc_repeat",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX],
};
export const rc_keydown_proto: bpf_func_proto = {
	func: "bpf_rc_keydown",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_ANYTHING, ARG_ANYTHING],
};
export const rc_pointer_rel_proto: bpf_func_proto = {
	func: "bpf_rc_pointer_rel",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_ANYTHING],
};
