// SPDX-License-Identifier: GPL-2.0-only
/**
 * Types for the built-in vmlinux BTF that programs seldom name but rewritten instructions and kernel
 * code reach into: what lies inside skb->cb, and the hot per-CPU data.
 */

export const vmlinux_skb_cb = `
struct qdisc_skb_cb {
	unsigned int pkt_len @0;
	unsigned char data[20] @8;
} @28;
struct bpf_skb_data_end {
	struct qdisc_skb_cb qdisc_cb @0;
	void *data_meta @32;
	void *data_end @40;
} @48;
`;

/** arch/x86/include/asm/current.h: struct pcpu_hot */
export const vmlinux_pcpu_hot = `
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
percpu struct pcpu_hot pcpu_hot;
`;
