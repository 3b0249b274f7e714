// SPDX-License-Identifier: GPL-2.0-only
/**
 * Layouts of the contexts that programs see (include/uapi/linux/bpf.h and its kin): for each member
 * its offset and its size in bytes.
 */

/** struct __sk_buff: 192 bytes */
export const __sk_buff = {
	sizeof: 192,
	len: [0, 4],
	pkt_type: [4, 4],
	mark: [8, 4],
	queue_mapping: [12, 4],
	protocol: [16, 4],
	vlan_present: [20, 4],
	vlan_tci: [24, 4],
	vlan_proto: [28, 4],
	priority: [32, 4],
	ingress_ifindex: [36, 4],
	ifindex: [40, 4],
	tc_index: [44, 4],
	cb: [48, 20],
	hash: [68, 4],
	tc_classid: [72, 4],
	data: [76, 4],
	data_end: [80, 4],
	napi_id: [84, 4],
	family: [88, 4],
	remote_ip4: [92, 4],
	local_ip4: [96, 4],
	remote_ip6: [100, 16],
	local_ip6: [116, 16],
	remote_port: [132, 4],
	local_port: [136, 4],
	data_meta: [140, 4],
	flow_keys: [144, 8],
	tstamp: [152, 8],
	wire_len: [160, 4],
	gso_segs: [164, 4],
	sk: [168, 8],
	gso_size: [176, 4],
	tstamp_type: [180, 1],
	hwtstamp: [184, 8],
} as const;

/** struct bpf_sock: 80 bytes */
export const bpf_sock = {
	sizeof: 80,
	bound_dev_if: [0, 4],
	family: [4, 4],
	type: [8, 4],
	protocol: [12, 4],
	mark: [16, 4],
	priority: [20, 4],
	src_ip4: [24, 4],
	src_ip6: [28, 16],
	src_port: [44, 4],
	dst_port: [48, 2],
	dst_ip4: [52, 4],
	dst_ip6: [56, 16],
	state: [72, 4],
	rx_queue_mapping: [76, 4],
} as const;

/** struct bpf_tcp_sock: 112 bytes */
export const bpf_tcp_sock = {
	sizeof: 112,
	snd_cwnd: [0, 4],
	srtt_us: [4, 4],
	rtt_min: [8, 4],
	snd_ssthresh: [12, 4],
	rcv_nxt: [16, 4],
	snd_nxt: [20, 4],
	snd_una: [24, 4],
	mss_cache: [28, 4],
	ecn_flags: [32, 4],
	rate_delivered: [36, 4],
	rate_interval_us: [40, 4],
	packets_out: [44, 4],
	retrans_out: [48, 4],
	total_retrans: [52, 4],
	segs_in: [56, 4],
	data_segs_in: [60, 4],
	segs_out: [64, 4],
	data_segs_out: [68, 4],
	lost_out: [72, 4],
	sacked_out: [76, 4],
	bytes_received: [80, 8],
	bytes_acked: [88, 8],
	dsack_dups: [96, 4],
	delivered: [100, 4],
	delivered_ce: [104, 4],
	icsk_retransmits: [108, 4],
} as const;

/** struct bpf_xdp_sock: 4 bytes */
export const bpf_xdp_sock = {
	sizeof: 4,
	queue_id: [0, 4],
} as const;

/** struct xdp_md: 24 bytes */
export const xdp_md = {
	sizeof: 24,
	data: [0, 4],
	data_end: [4, 4],
	data_meta: [8, 4],
	ingress_ifindex: [12, 4],
	rx_queue_index: [16, 4],
	egress_ifindex: [20, 4],
} as const;

/** struct bpf_sock_addr: 72 bytes */
export const bpf_sock_addr = {
	sizeof: 72,
	user_family: [0, 4],
	user_ip4: [4, 4],
	user_ip6: [8, 16],
	user_port: [24, 4],
	family: [28, 4],
	type: [32, 4],
	protocol: [36, 4],
	msg_src_ip4: [40, 4],
	msg_src_ip6: [44, 16],
	sk: [64, 8],
} as const;

/** struct bpf_sock_ops: 224 bytes */
export const bpf_sock_ops = {
	sizeof: 224,
	op: [0, 4],
	args: [4, 16],
	reply: [4, 4],
	replylong: [4, 16],
	family: [20, 4],
	remote_ip4: [24, 4],
	local_ip4: [28, 4],
	remote_ip6: [32, 16],
	local_ip6: [48, 16],
	remote_port: [64, 4],
	local_port: [68, 4],
	is_fullsock: [72, 4],
	snd_cwnd: [76, 4],
	srtt_us: [80, 4],
	bpf_sock_ops_cb_flags: [84, 4],
	state: [88, 4],
	rtt_min: [92, 4],
	snd_ssthresh: [96, 4],
	rcv_nxt: [100, 4],
	snd_nxt: [104, 4],
	snd_una: [108, 4],
	mss_cache: [112, 4],
	ecn_flags: [116, 4],
	rate_delivered: [120, 4],
	rate_interval_us: [124, 4],
	packets_out: [128, 4],
	retrans_out: [132, 4],
	total_retrans: [136, 4],
	segs_in: [140, 4],
	data_segs_in: [144, 4],
	segs_out: [148, 4],
	data_segs_out: [152, 4],
	lost_out: [156, 4],
	sacked_out: [160, 4],
	sk_txhash: [164, 4],
	bytes_received: [168, 8],
	bytes_acked: [176, 8],
	sk: [184, 8],
	skb_data: [192, 8],
	skb_data_end: [200, 8],
	skb_len: [208, 4],
	skb_tcp_flags: [212, 4],
	skb_hwtstamp: [216, 8],
} as const;

/** struct sk_msg_md: 80 bytes */
export const sk_msg_md = {
	sizeof: 80,
	data: [0, 8],
	data_end: [8, 8],
	family: [16, 4],
	remote_ip4: [20, 4],
	local_ip4: [24, 4],
	remote_ip6: [28, 16],
	local_ip6: [44, 16],
	remote_port: [60, 4],
	local_port: [64, 4],
	size: [68, 4],
	sk: [72, 8],
} as const;

/** struct sk_reuseport_md: 56 bytes */
export const sk_reuseport_md = {
	sizeof: 56,
	data: [0, 8],
	data_end: [8, 8],
	len: [16, 4],
	eth_protocol: [20, 4],
	ip_protocol: [24, 4],
	bind_inany: [28, 4],
	hash: [32, 4],
	sk: [40, 8],
	migrating_sk: [48, 8],
} as const;

/** struct bpf_sk_lookup: 72 bytes */
export const bpf_sk_lookup = {
	sizeof: 72,
	sk: [0, 8],
	cookie: [0, 8],
	family: [8, 4],
	protocol: [12, 4],
	remote_ip4: [16, 4],
	remote_ip6: [20, 16],
	remote_port: [36, 2],
	local_ip4: [40, 4],
	local_ip6: [44, 16],
	local_port: [60, 4],
	ingress_ifindex: [64, 4],
} as const;

/** struct bpf_perf_event_data: 184 bytes */
export const bpf_perf_event_data = {
	sizeof: 184,
	regs: [0, 168],
	sample_period: [168, 8],
	addr: [176, 8],
} as const;

/** struct bpf_cgroup_dev_ctx: 12 bytes */
export const bpf_cgroup_dev_ctx = {
	sizeof: 12,
	access_type: [0, 4],
	major: [4, 4],
	minor: [8, 4],
} as const;

/** struct bpf_sysctl: 8 bytes */
export const bpf_sysctl = {
	sizeof: 8,
	write: [0, 4],
	file_pos: [4, 4],
} as const;

/** struct bpf_sockopt: 40 bytes */
export const bpf_sockopt = {
	sizeof: 40,
	sk: [0, 8],
	optval: [8, 8],
	optval_end: [16, 8],
	level: [24, 4],
	optname: [28, 4],
	optlen: [32, 4],
	retval: [36, 4],
} as const;

/** struct bpf_flow_keys: 56 bytes */
export const bpf_flow_keys = {
	sizeof: 56,
	nhoff: [0, 2],
	thoff: [2, 2],
	addr_proto: [4, 2],
	is_frag: [6, 1],
	is_first_frag: [7, 1],
	is_encap: [8, 1],
	ip_proto: [9, 1],
	n_proto: [10, 2],
	sport: [12, 2],
	dport: [14, 2],
	ipv4_src: [16, 4],
	ipv4_dst: [20, 4],
	ipv6_src: [16, 16],
	ipv6_dst: [32, 16],
	flags: [48, 4],
	flow_label: [52, 4],
} as const;

/** struct bpf_nf_ctx: 16 bytes */
export const bpf_nf_ctx = {
	sizeof: 16,
	state: [0, 8],
	skb: [8, 8],
} as const;
