// SPDX-License-Identifier: GPL-2.0-only
/** Helpers after which packet pointers are stale (net/core/filter.c: bpf_helper_changes_pkt_data). */
import {
	BPF_FUNC_clone_redirect,
	BPF_FUNC_l3_csum_replace,
	BPF_FUNC_l4_csum_replace,
	BPF_FUNC_lwt_push_encap,
	BPF_FUNC_lwt_seg6_action,
	BPF_FUNC_lwt_seg6_adjust_srh,
	BPF_FUNC_lwt_seg6_store_bytes,
	BPF_FUNC_msg_pop_data,
	BPF_FUNC_msg_pull_data,
	BPF_FUNC_msg_push_data,
	BPF_FUNC_skb_adjust_room,
	BPF_FUNC_skb_change_head,
	BPF_FUNC_skb_change_proto,
	BPF_FUNC_skb_change_tail,
	BPF_FUNC_skb_pull_data,
	BPF_FUNC_skb_store_bytes,
	BPF_FUNC_skb_vlan_pop,
	BPF_FUNC_skb_vlan_push,
	BPF_FUNC_store_hdr_opt,
	BPF_FUNC_tail_call,
	BPF_FUNC_xdp_adjust_head,
	BPF_FUNC_xdp_adjust_meta,
	BPF_FUNC_xdp_adjust_tail,
} from "../../include/uapi/linux/bpf.ts";

/** net/core/filter.c: bpf_helper_changes_pkt_data; a tail-called program could do any of it */
export function bpf_helper_changes_pkt_data(func_id: number): boolean {
	switch (func_id) {
		case BPF_FUNC_clone_redirect:
		case BPF_FUNC_l3_csum_replace:
		case BPF_FUNC_l4_csum_replace:
		case BPF_FUNC_lwt_push_encap:
		case BPF_FUNC_lwt_seg6_action:
		case BPF_FUNC_lwt_seg6_adjust_srh:
		case BPF_FUNC_lwt_seg6_store_bytes:
		case BPF_FUNC_msg_pop_data:
		case BPF_FUNC_msg_pull_data:
		case BPF_FUNC_msg_push_data:
		case BPF_FUNC_skb_adjust_room:
		case BPF_FUNC_skb_change_head:
		case BPF_FUNC_skb_change_proto:
		case BPF_FUNC_skb_change_tail:
		case BPF_FUNC_skb_pull_data:
		case BPF_FUNC_skb_store_bytes:
		case BPF_FUNC_skb_vlan_pop:
		case BPF_FUNC_skb_vlan_push:
		case BPF_FUNC_store_hdr_opt:
		case BPF_FUNC_tail_call:
		case BPF_FUNC_xdp_adjust_head:
		case BPF_FUNC_xdp_adjust_meta:
		case BPF_FUNC_xdp_adjust_tail:
			return true;
		default:
			return false;
	}
}
