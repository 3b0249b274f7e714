// SPDX-License-Identifier: GPL-2.0-only
/**
 * Types, functions and tracepoints of the selftests' kernel modules (bpf_testmod and its kin), in the notation
 * of btf_writer.ts. What they do not declare is the kernel's.
 */
export const module_types: Readonly<Record<string, string>> = {
	bpf_testmod: `
typedef long long __kernel_loff_t;
typedef __kernel_loff_t loff_t;
typedef unsigned long __kernel_ulong_t;
typedef __kernel_ulong_t __kernel_size_t;
typedef __kernel_size_t size_t;
struct bpf_testmod_test_read_ctx {
	char *buf;
	loff_t off;
	size_t len;
};
struct bpf_testmod_test_write_ctx {
	char *buf;
	loff_t off;
	size_t len;
};
typedef _Bool bool;
struct bpf_testmod_test_writable_ctx {
	bool early_ret;
	int val;
};
typedef long long __s64;
typedef __s64 s64;
struct bpf_iter_testmod_seq {
	s64 value;
	int cnt;
};
struct bpf_testmod_ops {
	int (*test_1)(void);
	void (*test_2)(int, int);
	int (*test_maybe_null)(int, struct task_struct *);
	int (*unsupported_ops)(void);
	char onebyte;
	struct {
		int a;
		int b;
	} unsupported;
	int data;
	int (*tramp_1)(int);
	int (*tramp_2)(int);
	int (*tramp_3)(int);
	int (*tramp_4)(int);
	int (*tramp_5)(int);
	int (*tramp_6)(int);
	int (*tramp_7)(int);
	int (*tramp_8)(int);
	int (*tramp_9)(int);
	int (*tramp_10)(int);
	int (*tramp_11)(int);
	int (*tramp_12)(int);
	int (*tramp_13)(int);
	int (*tramp_14)(int);
	int (*tramp_15)(int);
	int (*tramp_16)(int);
	int (*tramp_17)(int);
	int (*tramp_18)(int);
	int (*tramp_19)(int);
	int (*tramp_20)(int);
	int (*tramp_21)(int);
	int (*tramp_22)(int);
	int (*tramp_23)(int);
	int (*tramp_24)(int);
	int (*tramp_25)(int);
	int (*tramp_26)(int);
	int (*tramp_27)(int);
	int (*tramp_28)(int);
	int (*tramp_29)(int);
	int (*tramp_30)(int);
	int (*tramp_31)(int);
	int (*tramp_32)(int);
	int (*tramp_33)(int);
	int (*tramp_34)(int);
	int (*tramp_35)(int);
	int (*tramp_36)(int);
	int (*tramp_37)(int);
	int (*tramp_38)(int);
	int (*tramp_39)(int);
	int (*tramp_40)(int);
};
struct bpf_testmod_ops2 {
	int (*test_1)(void);
};
typedef unsigned long long __u64;
typedef __u64 u64;
struct st_ops_args {
	u64 a;
};
struct bpf_testmod_st_ops {
	int (*test_prologue)(struct st_ops_args *);
	int (*test_epilogue)(struct st_ops_args *);
	int (*test_pro_epilogue)(struct st_ops_args *);
	struct module *owner;
};
struct prog_test_pass1 {
	int x0;
	struct {
		int x1;
		struct {
			int x2;
			struct {
				int x3;
			};
		};
	};
};
struct prog_test_pass2 {
	int len;
	short arr1[4];
	struct {
		char arr2[4];
		unsigned long arr3[8];
	} x;
};
struct prog_test_fail1 {
	void *p;
	int x;
};
struct prog_test_fail2 {
	int x8;
	struct prog_test_pass1 x;
};
struct prog_test_fail3 {
	int len;
	char arr1[2];
	char arr2[0];
};
struct init_sock_args {
	int af;
	int type;
};
struct addr_args {
	char addr[128];
	int addrlen;
};
struct sendmsg_args {
	struct addr_args addr;
	char msg[10];
	int msglen;
};
typedef struct refcount_struct refcount_t;
struct bpf_testmod_ctx {
	struct callback_head rcu;
	refcount_t usage;
};
typedef int __kernel_pid_t;
typedef __kernel_pid_t pid_t;
struct trace_event_raw_bpf_testmod_test_read {
	struct trace_entry ent;
	pid_t pid;
	char comm[16];
	loff_t off;
	size_t len;
	char __data[0];
};
struct trace_event_data_offsets_bpf_testmod_test_read {

};
typedef void (*btf_trace_bpf_testmod_test_read)(void *, struct task_struct *, struct bpf_testmod_test_read_ctx *);
typedef void (*btf_trace_bpf_testmod_test_write_bare)(void *, struct task_struct *, struct bpf_testmod_test_write_ctx *);
typedef void (*btf_trace_bpf_testmod_test_nullable_bare)(void *, struct bpf_testmod_test_read_ctx *);
typedef void (*btf_trace_bpf_testmod_test_raw_tp_null)(void *, struct sk_buff *);
typedef void (*btf_trace_bpf_testmod_test_writable_bare)(void *, struct bpf_testmod_test_writable_ctx *);
typedef int (*func_proto_typedef)(long);
typedef int (*func_proto_typedef_nested1)(func_proto_typedef);
typedef int (*func_proto_typedef_nested2)(func_proto_typedef_nested1);
struct bpf_testmod_struct_arg_1 {
	int a;
};
struct bpf_testmod_struct_arg_2 {
	long a;
	long b;
};
struct bpf_testmod_struct_arg_3 {
	int a;
	int b[0];
};
struct bpf_testmod_struct_arg_4 {
	u64 a;
	int b;
};
struct bpf_testmod_struct_arg_5 {
	char a;
	short b;
	int c;
	long d;
};
struct bpf_testmod_btf_type_tag_1 {
	int a;
};
struct bpf_testmod_btf_type_tag_2 {
	struct bpf_testmod_btf_type_tag_1 *p;
};
struct bpf_testmod_btf_type_tag_3 {
	struct bpf_testmod_btf_type_tag_1 *p;
};
struct bpf_struct_ops_bpf_testmod_ops {
	struct bpf_struct_ops_common_value common;
	struct bpf_testmod_ops data @64;
} @448;
struct bpf_struct_ops_bpf_testmod_ops2 {
	struct bpf_struct_ops_common_value common;
	struct bpf_testmod_ops2 data @64;
} @128;
struct bpf_struct_ops_bpf_testmod_st_ops {
	struct bpf_struct_ops_common_value common;
	struct bpf_testmod_st_ops data @64;
} @128;
void __bpf_trace_bpf_testmod_test_nullable_bare(void *__data, struct bpf_testmod_test_read_ctx *ctx__nullable);
void __bpf_trace_bpf_testmod_test_raw_tp_null(void *__data, struct sk_buff *skb);
void __bpf_trace_bpf_testmod_test_read(void *__data, struct task_struct *task, struct bpf_testmod_test_read_ctx *ctx);
void __bpf_trace_bpf_testmod_test_writable_bare(void *__data, struct bpf_testmod_test_writable_ctx *ctx);
void __bpf_trace_bpf_testmod_test_write_bare(void *__data, struct task_struct *task, struct bpf_testmod_test_write_ctx *ctx);
void __probestub_bpf_testmod_test_nullable_bare(void *__data, struct bpf_testmod_test_read_ctx *ctx__nullable);
void __probestub_bpf_testmod_test_raw_tp_null(void *__data, struct sk_buff *skb);
void __probestub_bpf_testmod_test_read(void *__data, struct task_struct *task, struct bpf_testmod_test_read_ctx *ctx);
void __probestub_bpf_testmod_test_writable_bare(void *__data, struct bpf_testmod_test_writable_ctx *ctx);
void __probestub_bpf_testmod_test_write_bare(void *__data, struct task_struct *task, struct bpf_testmod_test_write_ctx *ctx);
int __traceiter_bpf_testmod_test_nullable_bare(void *__data, struct bpf_testmod_test_read_ctx *ctx__nullable);
int __traceiter_bpf_testmod_test_raw_tp_null(void *__data, struct sk_buff *skb);
int __traceiter_bpf_testmod_test_read(void *__data, struct task_struct *task, struct bpf_testmod_test_read_ctx *ctx);
int __traceiter_bpf_testmod_test_writable_bare(void *__data, struct bpf_testmod_test_writable_ctx *ctx);
int __traceiter_bpf_testmod_test_write_bare(void *__data, struct task_struct *task, struct bpf_testmod_test_write_ctx *ctx);
int bpf_dummy_reg2(void *kdata, struct bpf_link *link);
void bpf_iter_testmod_seq_destroy(struct bpf_iter_testmod_seq *it);
int bpf_iter_testmod_seq_new(struct bpf_iter_testmod_seq *it, s64 value, int cnt);
s64 *bpf_iter_testmod_seq_next(struct bpf_iter_testmod_seq *it);
s64 bpf_iter_testmod_seq_value(int val, struct bpf_iter_testmod_seq *it__iter);
void bpf_kfunc_call_int_mem_release(int *p);
int bpf_kfunc_call_kernel_bind(struct addr_args *args);
int bpf_kfunc_call_kernel_connect(struct addr_args *args);
int bpf_kfunc_call_kernel_getpeername(struct addr_args *args);
int bpf_kfunc_call_kernel_getsockname(struct addr_args *args);
int bpf_kfunc_call_kernel_listen(void);
int bpf_kfunc_call_kernel_sendmsg(struct sendmsg_args *args);
void bpf_kfunc_call_memb1_release(struct prog_test_member1 *p);
struct prog_test_member *bpf_kfunc_call_memb_acquire(void);
int bpf_kfunc_call_sock_sendmsg(struct sendmsg_args *args);
typedef unsigned int __u32;
typedef __u32 u32;
u64 bpf_kfunc_call_test1(struct sock *sk, u32 a, u64 b, u32 c, u64 d);
int bpf_kfunc_call_test2(struct sock *sk, u32 a, u32 b);
struct sock *bpf_kfunc_call_test3(struct sock *sk);
long bpf_kfunc_call_test4(signed char a, short b, int c, long d);
int *bpf_kfunc_call_test_acq_rdonly_mem(struct prog_test_ref_kfunc *p, const int rdonly_buf_size);
struct prog_test_ref_kfunc *bpf_kfunc_call_test_acquire(unsigned long *scalar_ptr);
void bpf_kfunc_call_test_destructive(void);
void bpf_kfunc_call_test_fail1(struct prog_test_fail1 *p);
void bpf_kfunc_call_test_fail2(struct prog_test_fail2 *p);
void bpf_kfunc_call_test_fail3(struct prog_test_fail3 *p);
int *bpf_kfunc_call_test_get_rdonly_mem(struct prog_test_ref_kfunc *p, const int rdonly_buf_size);
int *bpf_kfunc_call_test_get_rdwr_mem(struct prog_test_ref_kfunc *p, const int rdwr_buf_size);
void bpf_kfunc_call_test_mem_len_fail1(void *mem, int len);
void bpf_kfunc_call_test_mem_len_fail2(u64 *mem, int len);
void bpf_kfunc_call_test_mem_len_pass1(void *mem, int mem__sz);
void bpf_kfunc_call_test_offset(struct prog_test_ref_kfunc *p);
void bpf_kfunc_call_test_pass1(struct prog_test_pass1 *p);
void bpf_kfunc_call_test_pass2(struct prog_test_pass2 *p);
void bpf_kfunc_call_test_pass_ctx(struct __sk_buff *skb);
void bpf_kfunc_call_test_ref(struct prog_test_ref_kfunc *p);
void bpf_kfunc_call_test_sleepable(void);
u32 bpf_kfunc_call_test_static_unused_arg(u32 arg, u32 unused);
void bpf_kfunc_close_sock(void);
void bpf_kfunc_common_test(void);
void bpf_kfunc_dynptr_test(struct bpf_dynptr *ptr, struct bpf_dynptr *ptr__nullable);
int bpf_kfunc_init_sock(struct init_sock_args *args);
struct sk_buff *bpf_kfunc_nested_acquire_nonzero_offset_test(struct sk_buff_head *ptr);
struct sk_buff *bpf_kfunc_nested_acquire_zero_offset_test(struct sock_common *ptr);
void bpf_kfunc_nested_release_test(struct sk_buff *ptr);
void bpf_kfunc_rcu_task_test(struct task_struct *ptr);
int bpf_kfunc_st_ops_inc10(struct st_ops_args *args);
int bpf_kfunc_st_ops_test_epilogue(struct st_ops_args *args);
int bpf_kfunc_st_ops_test_pro_epilogue(struct st_ops_args *args);
int bpf_kfunc_st_ops_test_prologue(struct st_ops_args *args);
void bpf_kfunc_trusted_num_test(int *ptr);
void bpf_kfunc_trusted_task_test(struct task_struct *ptr);
void bpf_kfunc_trusted_vma_test(struct vm_area_struct *ptr);
int bpf_test_mod_st_ops__test_epilogue(struct st_ops_args *args);
int bpf_test_mod_st_ops__test_pro_epilogue(struct st_ops_args *args);
int bpf_test_mod_st_ops__test_prologue(struct st_ops_args *args);
struct bpf_testmod_ctx *bpf_testmod_ctx_create(int *err);
void bpf_testmod_ctx_release(struct bpf_testmod_ctx *ctx);
void bpf_testmod_exit(void);
int bpf_testmod_fentry_test1(int a);
int bpf_testmod_fentry_test11(u64 a, void *b, short c, int d, void *e, char f, int g, unsigned int h, long i, __u64 j, unsigned long k);
int bpf_testmod_fentry_test2(int a, u64 b);
int bpf_testmod_fentry_test3(char a, int b, u64 c);
int bpf_testmod_fentry_test7(u64 a, void *b, short c, int d, void *e, char f, int g);
int bpf_testmod_init(void);
int bpf_testmod_loop_test(int n);
int bpf_testmod_ops__test_maybe_null(int dummy, struct task_struct *task__nullable);
int bpf_testmod_ops_init(struct btf *btf);
int bpf_testmod_ops_init_member(const struct btf_type *t, const struct btf_member *member, void *kdata, const void *udata);
struct file *bpf_testmod_return_ptr(int arg);
int bpf_testmod_test_1(void);
void bpf_testmod_test_2(int a, int b);
int bpf_testmod_test_arg_ptr_to_struct(struct bpf_testmod_struct_arg_1 *a);
int bpf_testmod_test_btf_type_tag_percpu_1(struct bpf_testmod_btf_type_tag_1 *arg);
int bpf_testmod_test_btf_type_tag_percpu_2(struct bpf_testmod_btf_type_tag_3 *arg);
int bpf_testmod_test_btf_type_tag_user_1(struct bpf_testmod_btf_type_tag_1 *arg);
int bpf_testmod_test_btf_type_tag_user_2(struct bpf_testmod_btf_type_tag_2 *arg);
void bpf_testmod_test_mod_kfunc(int i);
typedef long __kernel_long_t;
typedef __kernel_long_t __kernel_ssize_t;
typedef __kernel_ssize_t ssize_t;
ssize_t bpf_testmod_test_read(struct file *file, struct kobject *kobj, struct bin_attribute *bin_attr, char *buf, loff_t off, size_t len);
int bpf_testmod_test_struct_arg_1(struct bpf_testmod_struct_arg_2 a, int b, int c);
int bpf_testmod_test_struct_arg_2(int a, struct bpf_testmod_struct_arg_2 b, int c);
int bpf_testmod_test_struct_arg_3(int a, int b, struct bpf_testmod_struct_arg_2 c);
int bpf_testmod_test_struct_arg_4(struct bpf_testmod_struct_arg_1 a, int b, int c, int d, struct bpf_testmod_struct_arg_2 e);
int bpf_testmod_test_struct_arg_5(void);
int bpf_testmod_test_struct_arg_6(struct bpf_testmod_struct_arg_3 *a);
int bpf_testmod_test_struct_arg_7(u64 a, void *b, short c, int d, void *e, struct bpf_testmod_struct_arg_4 f);
int bpf_testmod_test_struct_arg_8(u64 a, void *b, short c, int d, void *e, struct bpf_testmod_struct_arg_4 f, int g);
int bpf_testmod_test_struct_arg_9(u64 a, void *b, short c, int d, void *e, char f, short g, struct bpf_testmod_struct_arg_5 h, long i);
ssize_t bpf_testmod_test_write(struct file *file, struct kobject *kobj, struct bin_attribute *bin_attr, char *buf, loff_t off, size_t len);
int bpf_testmod_tramp(int value);
ssize_t bpf_testmod_uprobe_write(struct file *file, struct kobject *kobj, struct bin_attribute *bin_attr, char *buf, loff_t off, size_t len);
void perf_trace_bpf_testmod_test_read(void *__data, struct task_struct *task, struct bpf_testmod_test_read_ctx *ctx);
int st_ops_btf_struct_access(struct bpf_verifier_log *log, const struct bpf_reg_state *reg, int off, int size);
typedef short __s16;
typedef __s16 s16;
int st_ops_gen_epilogue(struct bpf_insn *insn_buf, const struct bpf_prog *prog, s16 ctx_stack_off);
int st_ops_gen_prologue(struct bpf_insn *insn_buf, bool direct_write, const struct bpf_prog *prog);
int st_ops_init(struct btf *btf);
int st_ops_init_member(const struct btf_type *t, const struct btf_member *member, void *kdata, const void *udata);
int st_ops_reg(void *kdata, struct bpf_link *link);
void st_ops_unreg(void *kdata, struct bpf_link *link);
void testmod_free_cb(struct callback_head *head);
void trace_event_raw_event_bpf_testmod_test_read(void *__data, struct task_struct *task, struct bpf_testmod_test_read_ctx *ctx);
int uprobe_ret_handler(struct uprobe_consumer *self, unsigned long func, struct pt_regs *regs);
percpu int bpf_testmod_ksym_percpu;
`,
	bpf_test_no_cfi: `
struct bpf_test_no_cfi_ops {
	void (*fn_1)(void);
	void (*fn_2)(void);
};
struct bpf_struct_ops_bpf_test_no_cfi_ops {
	struct bpf_struct_ops_common_value common;
	struct bpf_test_no_cfi_ops data @64;
} @128;
void bpf_test_no_cfi_exit(void);
int bpf_test_no_cfi_init(void);
void bpf_test_no_cfi_ops__fn_1(void);
void bpf_test_no_cfi_ops__fn_2(void);
int dummy_init(struct btf *btf);
int dummy_init_member(const struct btf_type *t, const struct btf_member *member, void *kdata, const void *udata);
int dummy_reg(void *kdata, struct bpf_link *link);
void dummy_unreg(void *kdata, struct bpf_link *link);
`,
	bpf_test_modorder_x: `
int bpf_test_modorder_retx(void);
void bpf_test_modorder_x_exit(void);
int bpf_test_modorder_x_init(void);
`,
	bpf_test_modorder_y: `
int bpf_test_modorder_rety(void);
void bpf_test_modorder_y_exit(void);
int bpf_test_modorder_y_init(void);
`,
};
