// SPDX-License-Identifier: GPL-2.0-only
/**
 * The kernel's types as the mirror declares them, third part: sockets, memory, network devices and what hangs on them
 * (see vmlinux_types.ts).
 */
export const vmlinux_socket_types = `
struct inet_sock {
	struct sock sk @0;
	__be16 inet_sport @790;
	__u8 tos @804;
} @984;
struct fastopen_queue {
	struct request_sock *rskq_rst_head;
	struct request_sock *rskq_rst_tail;
	spinlock_t lock;
	int qlen;
	int max_qlen;
	struct tcp_fastopen_context *ctx;
};
struct request_sock_queue {
	struct fastopen_queue fastopenq @40;
} @80;
struct inet_connection_sock {
	struct inet_sock icsk_inet @0;
	struct request_sock_queue icsk_accept_queue @984;
	unsigned long icsk_timeout @1080;
	__u32 icsk_rto @1168;
	__u8 icsk_ca_state : 5 @1232;
	__u8 icsk_retransmits @1233;
	__u8 icsk_pending @1234;
	__u8 icsk_probes_out @1237;
	struct {
		__u8 pending;
		__u8 quick;
		__u8 pingpong;
		__u8 retry;
		__u32 ato : 8;
		__u32 lrcv_flowlabel : 20;
		__u32 dst_quick_ack : 1;
		__u32 unused : 3;
		unsigned long timeout;
		__u32 lrcvtime;
		__u16 last_seg_size;
		__u16 rcv_mss;
	} icsk_ack @1240;
	u64 icsk_ca_priv[13] @1288;
} @1392;
struct minmax_sample {
	u32 t;
	u32 v;
};
struct minmax {
	struct minmax_sample s[3];
};
struct tcp_sock {
	struct inet_connection_sock inet_conn @0;
	u32 reordering @1400;
	u16 gso_segs @1408;
	u32 mss_cache @1440;
	u32 snd_cwnd @1444;
	u32 prr_out @1448;
	u32 lost_out @1452;
	u32 sacked_out @1456;
	u8 is_cwnd_limited : 1 @1463.5;
	u32 copied_seq @1464;
	u32 retrans_out @1484;
	struct minmax rtt_min @1496;
	u32 snd_ssthresh @1528;
	u32 segs_out @1536;
	u32 data_segs_out @1540;
	u32 write_seq @1572;
	u32 lsndtime @1580;
	u8 ecn_flags @1624;
	u64 tcp_mstamp @1640;
	u32 rcv_nxt @1648;
	u32 snd_nxt @1652;
	u32 snd_una @1656;
	u32 window_clamp @1660;
	u32 srtt_us @1664;
	u32 packets_out @1668;
	u32 delivered @1676;
	u32 delivered_ce @1680;
	u32 app_limited @1684;
	u64 bytes_received @1720;
	u32 segs_in @1728;
	u32 data_segs_in @1732;
	u32 max_packets_out @1740;
	u32 rate_delivered @1748;
	u32 rate_interval_us @1752;
	u64 bytes_acked @1776;
	u32 dsack_dups @1816;
	u32 snd_cwnd_cnt @1884;
	u32 snd_cwnd_stamp @1896;
	u32 prior_cwnd @1900;
	u32 prr_delivered @1904;
	u32 high_seq @2128;
	u32 total_retrans @2152;
	u8 bpf_sock_ops_cb_flags @2184;
	bool is_mptcp @2208;
} @2304;
struct device @760;
struct net_device {
	unsigned int mtu @56;
	unsigned long state @168;
	unsigned int flags @176;
	int ifindex @224;
	possible_net_t nd_net @280;
	char name[16] @296;
	struct dev_ifalias *ifalias @320;
	unsigned short type @552;
	struct device dev @1360;
} @2432;
typedef unsigned long pgdval_t;
typedef struct {
	pgdval_t pgd;
} pgd_t;
struct rw_semaphore @40;
struct seqcount {
	unsigned int sequence;
};
typedef struct seqcount seqcount_t;
typedef struct {
	u64 ctx_id;
	atomic64_t tlb_gen;
	unsigned long next_trim_cpumask;
	struct rw_semaphore ldt_usr_sem;
	struct ldt_struct *ldt;
	unsigned long flags;
	struct mutex lock;
	void *vdso;
	const struct vdso_image *vdso_image;
	atomic_t perf_rdpmc_allowed;
	u16 pkey_allocation_map;
	s16 execute_only_pkey;
} mm_context_t;
struct uprobes_state {
	struct xol_area *xol_area;
};
struct mm_struct {
	struct {
		struct {
			atomic_t mm_count;
		} @64;
		struct maple_tree mm_mt @64;
		unsigned long mmap_base @80;
		unsigned long mmap_legacy_base @88;
		unsigned long task_size @96;
		pgd_t *pgd @104;
		atomic_t membarrier_state @112;
		atomic_t mm_users @116;
		struct mm_cid *pcpu_cid @120;
		unsigned long mm_cid_next_scan @128;
		atomic_long_t pgtables_bytes @136;
		int map_count @144;
		spinlock_t page_table_lock @148;
		struct rw_semaphore mmap_lock @152;
		struct list_head mmlist @192;
		seqcount_t mm_lock_seq @208;
		unsigned long hiwater_rss @216;
		unsigned long hiwater_vm @224;
		unsigned long total_vm @232;
		unsigned long locked_vm @240;
		atomic64_t pinned_vm @248;
		unsigned long data_vm @256;
		unsigned long exec_vm @264;
		unsigned long stack_vm @272;
		unsigned long def_flags @280;
		seqcount_t write_protect_seq @288;
		spinlock_t arg_lock @292;
		unsigned long start_code @296;
		unsigned long end_code @304;
		unsigned long start_data @312;
		unsigned long end_data @320;
		unsigned long start_brk @328;
		unsigned long brk @336;
		unsigned long start_stack @344;
		unsigned long arg_start @352;
		unsigned long arg_end @360;
		unsigned long env_start @368;
		unsigned long env_end @376;
		unsigned long saved_auxv[50] @384;
		struct percpu_counter rss_stat[4] @784;
		struct linux_binfmt *binfmt @944;
		mm_context_t context @952;
		unsigned long flags @1088;
		spinlock_t ioctx_lock @1096;
		struct kioctx_table *ioctx_table @1104;
		struct task_struct *owner @1112;
		struct user_namespace *user_ns @1120;
		struct file *exe_file @1128;
		unsigned long numa_next_scan @1136;
		unsigned long numa_scan_offset @1144;
		int numa_scan_seq @1152;
		atomic_t tlb_flush_pending @1156;
		atomic_t tlb_flush_batched @1160;
		struct uprobes_state uprobes_state @1168;
		atomic_long_t hugetlb_usage @1176;
		struct work_struct async_put_work @1184;
		unsigned long ksm_merging_pages @1216;
		unsigned long ksm_rmap_items @1224;
		atomic_long_t ksm_zero_pages @1232;
	} @1280;
	unsigned long cpu_bitmap[0] @1280;
} @1280;
typedef unsigned long vm_flags_t;
struct vm_area_struct {
	union {
		struct {
			unsigned long vm_start @0;
			unsigned long vm_end @8;
		};
	} @16 @0;
	struct mm_struct *vm_mm @16;
	union {
		const vm_flags_t vm_flags;
	} @8 @32;
	unsigned long vm_pgoff @120;
	struct file *vm_file @128;
} @176;
typedef unsigned int fmode_t;
struct file {
	fmode_t f_mode @12;
	const struct file_operations *f_op @16;
	struct inode *f_inode @40;
	unsigned int f_flags @48;
	struct path f_path @64;
	union {
		struct callback_head f_task_work;
	} @32 @152;
} @184;
struct inode {
	umode_t i_mode @0;
	struct super_block *i_sb @40;
	unsigned long i_ino @64;
} @616;
struct dentry {
	struct dentry *d_parent @24;
	struct qstr d_name @32;
	struct inode *d_inode @48;
	unsigned char d_iname[40] @56;
	struct super_block *d_sb @104;
} @192;
struct cgroup_subsys_state {
	struct cgroup *cgroup @0;
	struct cgroup_subsys *ss @8;
	struct percpu_ref refcnt @16;
	int id @80;
	unsigned int flags @84;
	struct cgroup_subsys_state *parent @192;
} @208;
struct cgroup_bpf @720;
struct cgroup {
	struct cgroup_subsys_state self @0;
	unsigned long flags @208;
	int level @216;
	struct kernfs_node *kn @256;
	struct cgroup_subsys_state *subsys[10] @384;
	struct cgroup_root *root @504;
	struct cgroup *old_dom_cgrp @696;
	struct cgroup_rstat_cpu *rstat_cpu @704;
	struct cgroup_bpf bpf @976;
} @1728;
struct css_set {
	struct cgroup_subsys_state *subsys[10] @0;
	struct cgroup *dfl_cgrp @96;
} @496;
struct rt_rq @1664;
struct rq {
	struct rt_rq rt @640;
	int cpu @3240;
	int online @3244;
} @3776;
struct super_block {
	dev_t s_dev @16;
	struct callback_head rcu @1216;
} @1408;
struct linux_binprm {
	struct vm_area_struct *vma @0;
	struct mm_struct *mm @24;
	unsigned long p @32;
	struct file *file @64;
	const char *filename @96;
	char buf[256] @160;
} @416;
struct xdp_rxq_info {
	struct net_device *dev;
	u32 queue_index;
	u32 reg_state;
	struct xdp_mem_info mem;
	unsigned int napi_id;
	u32 frag_size;
} @64;
struct xdp_frame {
	void *data @0;
	u16 len @8;
	struct xdp_mem_info mem @16;
	u32 frame_sz @32;
	u32 flags @36;
} @40;
struct sk_psock {
	struct sock *sk @0;
	struct sk_psock_progs progs @40;
	u32 copied_seq @360;
	unsigned long state @416;
	struct list_head link @424;
	refcount_t refcnt @444;
} @696;
typedef enum { SS_FREE, SS_UNCONNECTED, SS_CONNECTING, SS_CONNECTED, SS_DISCONNECTING } socket_state;
struct socket {
	socket_state state @0;
	short type @4;
	unsigned long flags @8;
	struct file *file @16;
	struct sock *sk @24;
} @128;
struct request_sock {
	struct sock_common __req_common @0;
	u16 mss @144;
	u8 num_timeout : 7 @147.1;
	struct timer_list rsk_timer @152;
	struct sock *sk @200;
	u32 timeout @224;
} @232;
struct inet_request_sock {
	struct request_sock req @0;
	u16 snd_wscale : 4 @232;
	u16 rcv_wscale : 4 @232.4;
	u16 tstamp_ok : 1 @233;
	u16 sack_ok : 1 @233.1;
	u16 wscale_ok : 1 @233.2;
	u16 ecn_ok : 1 @233.3;
} @256;
struct tcp_request_sock {
	struct inet_request_sock req @0;
	bool is_mptcp @273;
	u32 rcv_nxt @296;
} @304;
struct inet_timewait_sock {
	struct sock_common __tw_common @0;
	unsigned char tw_substate @140;
	__be16 tw_sport @142;
	struct timer_list tw_timer @160;
} @216;
struct tcp_timewait_sock {
	struct inet_timewait_sock tw_sk @0;
} @248;
struct unix_sock {
	struct sock sk @0;
	struct unix_address *addr @768;
	struct path path @776;
	spinlock_t lock @880;
} @1024;
struct udp_sock {
	struct inet_sock inet @0;
	int pending @992;
	__u16 len @998;
	__u16 gso_size @1000;
	int forward_deficit @1112;
} @1152;
struct ipv6_pinfo @160;
struct udp6_sock {
	struct udp_sock udp;
	struct ipv6_pinfo inet6;
} @1344;
struct tcp6_sock {
	struct tcp_sock tcp;
	struct ipv6_pinfo inet6;
} @2496;
struct mptcp_sock {
	struct inet_connection_sock sk @0;
	u64 write_seq @1408;
	u64 snd_nxt @1424;
	u64 bytes_received @1432;
	u64 ack_seq @1440;
	u64 bytes_acked @1504;
	u64 snd_una @1512;
	u32 token @1552;
	unsigned long flags @1560;
	struct sock *first @1736;
	char ca_name[16] @1940;
} @1960;
struct netlink_callback @128;
struct rhash_head {
	struct rhash_head *next;
};
struct netlink_sock {
	struct sock sk @0;
	unsigned long flags @768;
	u32 portid @776;
	unsigned long *groups @800;
	unsigned long state @808;
	bool cb_running @849;
	struct netlink_callback cb @856;
	struct rhash_head node @1056;
	struct callback_head rcu @1064;
} @1080;
struct rt6key {
	struct in6_addr addr;
	int plen;
};
struct fib_nh_common {
	struct net_device *nhc_dev @0;
	u8 nhc_gw_family @14;
	union {
		__be32 ipv4;
		struct in6_addr ipv6;
	} nhc_gw @24;
} @72;
struct fib6_nh {
	struct fib_nh_common nh_common;
	unsigned long last_probe;
	struct rt6_info **rt6i_pcpu;
	struct rt6_exception_bucket *rt6i_exception_bucket;
};
struct fib6_info {
	refcount_t fib6_ref @44;
	unsigned long expires @48;
	struct rt6key fib6_dst @80;
	u32 fib6_flags @100;
	struct rt6key fib6_src @104;
	u32 fib6_metric @144;
	u8 trap @151;
	struct callback_head rcu @160;
	struct nexthop *nh @176;
	struct fib6_nh fib6_nh[0] @184;
} @184;
struct inet_timewait_death_row {
	refcount_t tw_refcount;
	struct inet_hashinfo *hashinfo @64;
	int sysctl_max_tw_buckets @72;
} @128;
struct netns_ipv4 {
	struct inet_timewait_death_row tcp_death_row @128;
	struct udp_table *udp_table @256;
} @832;
struct netns_ipv6 @832;
struct netns_bpf {
	struct bpf_prog_array *run_array[2];
	struct bpf_prog *progs[2];
	struct list_head links[2];
};
struct netns_xdp {
	struct mutex lock;
	struct hlist_head list;
};
struct net {
	u32 ifindex @12;
	struct ns_common ns @120;
	u32 hash_mix @344;
	struct netns_ipv4 ipv4 @704;
	struct netns_ipv6 ipv6 @1536;
	struct netns_bpf bpf @2792;
	struct netns_xdp xdp @3880;
} @3968;
struct signal_struct {
	atomic_t live @4;
	unsigned int flags @116;
} @1088;
typedef void __signalfn_t(int);
typedef __signalfn_t *__sighandler_t;
typedef void __restorefn_t(void);
typedef __restorefn_t *__sigrestore_t;
struct sigaction {
	__sighandler_t sa_handler;
	unsigned long sa_flags;
	__sigrestore_t sa_restorer;
	sigset_t sa_mask;
};
struct k_sigaction {
	struct sigaction sa;
};
struct sighand_struct {
	spinlock_t siglock;
	refcount_t count;
	wait_queue_head_t signalfd_wqh;
	struct k_sigaction action[64];
};
struct nsproxy {
	refcount_t count @0;
	struct cgroup_namespace *cgroup_ns @64;
} @72;
struct kernfs_elem_dir {
	unsigned long subdirs;
	struct rb_root children;
	struct kernfs_root *root;
	unsigned long rev;
};
struct kernfs_node {
	atomic_t count @0;
	atomic_t active @4;
	struct kernfs_node *parent @8;
	const char *name @16;
	struct rb_node rb @24;
	const void *ns @48;
	unsigned int hash @56;
	unsigned short flags @60;
	union {
		struct kernfs_elem_dir dir;
	} @32 @64;
	u64 id @96;
	struct kernfs_iattrs *iattr @112;
	struct callback_head rcu @120;
} @136;
typedef struct {
	uid_t val;
} kuid_t;
typedef struct {
	u64 val;
} kernel_cap_t;
struct cred {
	kuid_t uid @8;
	kernel_cap_t cap_effective @64;
	union {
		struct callback_head rcu;
	} @16 @168;
} @184;
struct nexthop {
	struct net *net @88;
	u32 id @96;
	u8 protocol @100;
	refcount_t refcnt @104;
	struct callback_head rcu @112;
	union {
		struct nh_info *nh_info;
	} @8 @128;
} @136;
struct fib_nh @104;
struct nh_info {
	struct hlist_node dev_hash;
	struct nexthop *nh_parent;
	u8 family;
	bool reject_nh;
	bool fdb_nh;
	union {
		struct fib_nh_common fib_nhc;
		struct fib_nh fib_nh;
		struct fib6_nh fib6_nh;
	};
};
struct socket_alloc {
	struct socket socket;
	struct inode vfs_inode;
} @768;
struct unix_address {
	refcount_t refcnt;
	int len;
	struct sockaddr_un name[0];
};
struct cgroup_rstat_cpu {
	struct cgroup *updated_children @128;
} @144;
struct dev_ifalias {
	struct callback_head rcuhead;
	char ifalias[0];
};
struct sockaddr_ll {
	__be16 sll_protocol @2;
} @20;
struct cgroup_namespace {
	struct ns_common ns;
	struct user_namespace *user_ns;
	struct ucounts *ucounts;
	struct css_set *root_cset;
};
struct cgroup_subsys {
	int id @164;
	const char *name @168;
	struct cgroup_root *root @184;
} @256;
struct cgroup_root {
	struct kernfs_root *kf_root @0;
	struct callback_head rcu @32;
	unsigned int flags @1804;
	char name[64] @5904;
} @6016;
struct kernfs_root {
	struct kernfs_node *kn @0;
	unsigned int flags @8;
	struct callback_head rcu @216;
} @232;
typedef __s64 time64_t;
struct timespec64 {
	time64_t tv_sec;
	long tv_nsec;
};
struct kernfs_iattrs {
	struct timespec64 ia_mtime @24;
} @80;
struct iattr {
	struct timespec64 ia_mtime @40;
} @80;
struct udp_table {
	struct udp_hslot *hash;
	struct udp_hslot *hash2;
	unsigned int mask;
	unsigned int log;
};
struct sched_domain {
	struct sched_domain *parent @0;
	struct sched_group *groups @16;
	int flags @60;
	int level @64;
	char *name @264;
	union {
		struct callback_head rcu;
	} @16 @272;
	unsigned long span[0] @304;
} @304;
struct bpf_ct_opts {
	s32 netns_id @0;
	s32 error @4;
	u8 dir @9;
	u16 ct_zone_id @10;
	u8 ct_zone_dir @12;
	u8 reserved[3] @13;
} @16;
struct bpf_tcp_req_attrs {
	u32 rcv_tsval @0;
	u32 rcv_tsecr @4;
	u16 mss @8;
	u8 rcv_wscale @10;
	u8 snd_wscale @11;
	u8 ecn_ok @12;
	u8 wscale_ok @13;
	u8 sack_ok @14;
	u8 tstamp_ok @15;
	u8 reserved[3] @17;
} @20;
struct bpf_tunnel_key {
	__u32 tunnel_id @0;
	union {
		__u32 remote_ipv4;
		__u32 remote_ipv6[4];
	} @16 @4;
	__u8 tunnel_tos @20;
	__u8 tunnel_ttl @21;
	union {
		__be16 tunnel_flags;
	} @2 @22;
	__u32 tunnel_label @24;
	union {
		__u32 local_ipv4;
		__u32 local_ipv6[4];
	} @16 @28;
} @44;
struct erspan_md2 {
	__be32 timestamp @0;
	__u8 hwid_upper : 2 @6;
	__u8 p : 1 @6.7;
	__u8 o : 1 @7;
	__u8 dir : 1 @7.3;
	__u8 hwid : 4 @7.4;
} @8;
struct erspan_metadata {
	int version;
	union {
		__be32 index;
		struct erspan_md2 md2;
	} u;
};
struct vxlan_metadata {
	u32 gbp;
};
struct geneve_opt {
	__be16 opt_class @0;
	u8 type @2;
	u8 length : 5 @3;
	u8 r3 : 1 @3.5;
	u8 r2 : 1 @3.6;
	u8 r1 : 1 @3.7;
	u8 opt_data[0] @4;
} @4;
struct bpf_fou_encap {
	__be16 sport;
	__be16 dport;
};
struct bpf_xfrm_state {
	__u32 reqid;
	__u32 spi;
	__u16 family;
	__u16 ext;
	union {
		__u32 remote_ipv4;
		__u32 remote_ipv6[4];
	};
};
typedef union {
	__be32 a4;
	__be32 a6[4];
	struct in6_addr in6;
} xfrm_address_t;
struct bpf_xfrm_state_opts {
	s32 error @0;
	s32 netns_id @4;
	u32 mark @8;
	xfrm_address_t daddr @12;
	__be32 spi @28;
	u8 proto @32;
	u16 family @34;
} @36;
struct ip_esp_hdr {
	__be32 spi;
	__be32 seq_no;
	__u8 enc_data[0];
};
struct xfrm_id {
	xfrm_address_t daddr;
	__be32 spi;
	__u8 proto;
};
struct xfrm_mark {
	__u32 v;
	__u32 m;
};
struct xfrm_state {
	refcount_t refcnt @104;
	spinlock_t lock @108;
	struct xfrm_id id @116;
	struct xfrm_mark mark @196;
	u32 if_id @204;
	struct xfrm_replay_state_esn *replay_esn @472;
	const struct xfrm_type *type @736;
	void *data @776;
	u8 dir @784;
} @792;
struct xfrm_replay_state_esn {
	__u32 seq @8;
	__u32 replay_window @20;
} @24;
typedef long long __kernel_time64_t;
struct __kernel_timespec {
	__kernel_time64_t tv_sec;
	long long tv_nsec;
};
struct nf_hook_state {
	u8 pf @1;
	struct sock *sk @24;
	struct net *net @32;
} @48;
struct seqcount_spinlock {
	seqcount_t seqcount;
};
typedef struct seqcount_spinlock seqcount_spinlock_t;
struct fs_struct {
	int users @0;
	spinlock_t lock @4;
	seqcount_spinlock_t seq @8;
	struct path root @24;
	struct path pwd @40;
} @56;
struct flow_ports {
	__be16 source;
	__be16 dest;
};
struct bpf_xfrm_info {
	u32 if_id;
	int link;
};
struct  {
	int counter;
};
struct bpf_cg_run_ctx {
	struct bpf_run_ctx run_ctx;
	const struct bpf_prog_array_item *prog_item;
	int retval;
};
struct qdisc_skb_cb {
	struct {
		unsigned int pkt_len;
		u16 slave_dev_queue_mapping;
		u16 tc_classid;
	};
	unsigned char data[20];
};
struct bpf_skb_data_end {
	struct qdisc_skb_cb qdisc_cb;
	void *data_meta;
	void *data_end;
};
struct bpf_struct_ops {
	int (*reg)(void *, struct bpf_link *) @32;
	int (*update)(void *, void *, struct bpf_link *) @48;
	const char *name @80;
} @1816;
struct cpu {
	int node_id;
	int hotpluggable;
	struct device dev;
};
struct flow_dissector {
	unsigned long long used_keys;
	unsigned short offset[33];
};
struct flow_keys {

} @80;
struct hash {
	int ino;
	int minor;
	int major;
	umode_t mode;
	struct hash *next;
	char name[4098];
};
struct id {
	__u16 id;
	__be16 proto;
};
struct key {
	kuid_t uid @104;
	short state @120;
	unsigned long flags @128;
	union {
		struct {
			unsigned long hash @0;
			struct key_type *type @16;
		} @40;
	} @40 @136;
} @216;
typedef u8 kprobe_opcode_t;
struct kprobe {
	kprobe_opcode_t *addr @40;
	unsigned int offset @56;
	u32 flags @120;
} @128;
struct netkit {
	struct bpf_mprog_entry *active @8;
} @1616;
struct node {
	struct device dev;
	struct list_head access_list;
};
struct pcpu_hot {
	union {
		struct {
			struct task_struct *current_task;
			int preempt_count;
			int cpu_number;
			unsigned long top_of_stack;
			void *hardirq_stack_ptr;
			u16 softirq_pending;
			bool hardirq_stack_inuse;
		};
		u8 pad[64];
	};
};
enum perf_event_state { PERF_EVENT_STATE_DEAD = -4, PERF_EVENT_STATE_EXIT, PERF_EVENT_STATE_ERROR, PERF_EVENT_STATE_OFF, PERF_EVENT_STATE_INACTIVE, PERF_EVENT_STATE_ACTIVE };
struct perf_event {
	struct perf_event *group_leader @144;
	enum perf_event_state state @168;
	local64_t count @176;
	u64 tstamp @208;
	struct perf_event_context *ctx @552;
	struct perf_event *parent @640;
	int cpu @652;
	struct perf_buffer *rb @720;
	struct pid_namespace *ns @976;
	u64 id @984;
	struct bpf_prog *prog @1024;
} @1312;
struct perf_sample_data {
	u64 period @8;
	u64 type @24;
	u64 id @48;
	u64 ip @64;
	u64 cgroup @176;
	u64 addr @184;
} @256;
struct sk_filter {
	refcount_t refcnt;
	struct callback_head rcu;
	struct bpf_prog *prog;
};
struct scatterlist @32;
struct sk_msg_sg {
	u32 start @0;
	u32 end @8;
	u32 size @12;
	struct scatterlist data[19] @32;
} @640;
struct strp_msg {
	int full_len;
	int offset;
};
struct _strp_msg {
	struct strp_msg strp;
	int accum_len;
};
struct tls_msg {
	u8 control;
};
struct sk_skb_cb {
	unsigned char data[20];
	unsigned char pad[4];
	struct _strp_msg strp;
	struct tls_msg tls;
	u64 temp_reg;
};
struct sockaddr_in {
	__kernel_sa_family_t sin_family;
	__be16 sin_port;
	struct in_addr sin_addr;
	unsigned char __pad[8];
};
struct tcp_skb_cb {
	__u32 seq @0;
	__u8 tcp_flags @12;
	__u32 ack_seq @16;
} @48;
struct static_key {
	atomic_t enabled;
	union {
		unsigned long type;
		struct jump_entry *entries;
		struct static_key_mod *next;
	};
};
struct tracepoint {
	const char *name @0;
	struct static_key key @8;
} @80;
struct xdp_sock {
	struct sock sk @0;
	struct net_device *dev @776;
	u16 queue_id @816;
	enum { XSK_READY, XSK_BOUND, XSK_UNBOUND } state @820;
	struct sk_buff *skb @880;
} @960;
typedef u64 uint64_t;
typedef struct {
	u64 key[2];
} siphash_key_t;
`;
