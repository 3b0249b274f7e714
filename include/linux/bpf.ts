// SPDX-License-Identifier: GPL-2.0-only
/** Kernel-internal constants: argument, return and register types, map flags (include/linux/bpf.h). */

// enum BPF_MAX_LOOPS
export const BPF_MAX_LOOPS = 8388608;

// enum BPF_MAX_TRAMP_LINKS
export const BPF_MAX_TRAMP_LINKS = 38;

// enum BTF_FIELDS_MAX
export const BTF_FIELDS_MAX = 11;

// enum bpf_access_type
export const BPF_READ = 1;
export const BPF_WRITE = 2;

// enum bpf_arg_type
export const ARG_DONTCARE = 0;
export const ARG_CONST_MAP_PTR = 1;
export const ARG_PTR_TO_MAP_KEY = 2;
export const ARG_PTR_TO_MAP_VALUE = 3;
export const ARG_PTR_TO_MEM = 4;
export const ARG_PTR_TO_ARENA = 5;
export const ARG_CONST_SIZE = 6;
export const ARG_CONST_SIZE_OR_ZERO = 7;
export const ARG_PTR_TO_CTX = 8;
export const ARG_ANYTHING = 9;
export const ARG_PTR_TO_SPIN_LOCK = 10;
export const ARG_PTR_TO_SOCK_COMMON = 11;
export const ARG_PTR_TO_SOCKET = 12;
export const ARG_PTR_TO_BTF_ID = 13;
export const ARG_PTR_TO_RINGBUF_MEM = 14;
export const ARG_CONST_ALLOC_SIZE_OR_ZERO = 15;
export const ARG_PTR_TO_BTF_ID_SOCK_COMMON = 16;
export const ARG_PTR_TO_PERCPU_BTF_ID = 17;
export const ARG_PTR_TO_FUNC = 18;
export const ARG_PTR_TO_STACK = 19;
export const ARG_PTR_TO_CONST_STR = 20;
export const ARG_PTR_TO_TIMER = 21;
export const ARG_KPTR_XCHG_DEST = 22;
export const ARG_PTR_TO_DYNPTR = 23;
export const __BPF_ARG_TYPE_MAX = 24;
export const ARG_PTR_TO_MAP_VALUE_OR_NULL = 259;
export const ARG_PTR_TO_MEM_OR_NULL = 260;
export const ARG_PTR_TO_CTX_OR_NULL = 264;
export const ARG_PTR_TO_SOCKET_OR_NULL = 268;
export const ARG_PTR_TO_STACK_OR_NULL = 275;
export const ARG_PTR_TO_BTF_ID_OR_NULL = 269;
export const ARG_PTR_TO_UNINIT_MEM = 67141636;
export const ARG_PTR_TO_FIXED_SIZE_MEM = 262148;
export const __BPF_ARG_TYPE_LIMIT = 134217727;

// enum bpf_cgroup_storage_type
export const BPF_CGROUP_STORAGE_SHARED = 0;
export const BPF_CGROUP_STORAGE_PERCPU = 1;
export const __BPF_CGROUP_STORAGE_MAX = 2;

// enum bpf_dynptr_type
export const BPF_DYNPTR_TYPE_INVALID = 0;
export const BPF_DYNPTR_TYPE_LOCAL = 1;
export const BPF_DYNPTR_TYPE_RINGBUF = 2;
export const BPF_DYNPTR_TYPE_SKB = 3;
export const BPF_DYNPTR_TYPE_XDP = 4;

// enum bpf_iter_feature
export const BPF_ITER_RESCHED = 1;

// enum bpf_iter_task_type
export const BPF_TASK_ITER_ALL = 0;
export const BPF_TASK_ITER_TID = 1;
export const BPF_TASK_ITER_TGID = 2;

// enum bpf_jit_poke_reason
export const BPF_POKE_REASON_TAIL_CALL = 0;

// enum bpf_reg_type
export const NOT_INIT = 0;
export const SCALAR_VALUE = 1;
export const PTR_TO_CTX = 2;
export const CONST_PTR_TO_MAP = 3;
export const PTR_TO_MAP_VALUE = 4;
export const PTR_TO_MAP_KEY = 5;
export const PTR_TO_STACK = 6;
export const PTR_TO_PACKET_META = 7;
export const PTR_TO_PACKET = 8;
export const PTR_TO_PACKET_END = 9;
export const PTR_TO_FLOW_KEYS = 10;
export const PTR_TO_SOCKET = 11;
export const PTR_TO_SOCK_COMMON = 12;
export const PTR_TO_TCP_SOCK = 13;
export const PTR_TO_TP_BUFFER = 14;
export const PTR_TO_XDP_SOCK = 15;
export const PTR_TO_BTF_ID = 16;
export const PTR_TO_MEM = 17;
export const PTR_TO_ARENA = 18;
export const PTR_TO_BUF = 19;
export const PTR_TO_FUNC = 20;
export const CONST_PTR_TO_DYNPTR = 21;
export const __BPF_REG_TYPE_MAX = 22;
export const PTR_TO_MAP_VALUE_OR_NULL = 260;
export const PTR_TO_SOCKET_OR_NULL = 267;
export const PTR_TO_SOCK_COMMON_OR_NULL = 268;
export const PTR_TO_TCP_SOCK_OR_NULL = 269;
export const PTR_TO_BTF_ID_OR_NULL = 272;
export const __BPF_REG_TYPE_LIMIT = 134217727;

// enum bpf_return_type
export const RET_INTEGER = 0;
export const RET_VOID = 1;
export const RET_PTR_TO_MAP_VALUE = 2;
export const RET_PTR_TO_SOCKET = 3;
export const RET_PTR_TO_TCP_SOCK = 4;
export const RET_PTR_TO_SOCK_COMMON = 5;
export const RET_PTR_TO_MEM = 6;
export const RET_PTR_TO_MEM_OR_BTF_ID = 7;
export const RET_PTR_TO_BTF_ID = 8;
export const __BPF_RET_TYPE_MAX = 9;
export const RET_PTR_TO_MAP_VALUE_OR_NULL = 258;
export const RET_PTR_TO_SOCKET_OR_NULL = 259;
export const RET_PTR_TO_TCP_SOCK_OR_NULL = 260;
export const RET_PTR_TO_SOCK_COMMON_OR_NULL = 261;
export const RET_PTR_TO_RINGBUF_MEM_OR_NULL = 1286;
export const RET_PTR_TO_DYNPTR_MEM_OR_NULL = 262;
export const RET_PTR_TO_BTF_ID_OR_NULL = 264;
export const RET_PTR_TO_BTF_ID_TRUSTED = 1048584;
export const __BPF_RET_TYPE_LIMIT = 134217727;

// enum bpf_struct_ops_state
export const BPF_STRUCT_OPS_STATE_INIT = 0;
export const BPF_STRUCT_OPS_STATE_INUSE = 1;
export const BPF_STRUCT_OPS_STATE_TOBEFREE = 2;
export const BPF_STRUCT_OPS_STATE_READY = 3;

// enum bpf_text_poke_type
export const BPF_MOD_CALL = 0;
export const BPF_MOD_JUMP = 1;

// enum bpf_tramp_prog_type
export const BPF_TRAMP_FENTRY = 0;
export const BPF_TRAMP_FEXIT = 1;
export const BPF_TRAMP_MODIFY_RETURN = 2;
export const BPF_TRAMP_MAX = 3;
export const BPF_TRAMP_REPLACE = 4;

// enum bpf_type_flag
export const PTR_MAYBE_NULL = 256;
export const MEM_RDONLY = 512;
export const MEM_RINGBUF = 1024;
export const MEM_USER = 2048;
export const MEM_PERCPU = 4096;
export const OBJ_RELEASE = 8192;
export const PTR_UNTRUSTED = 16384;
export const MEM_UNINIT = 32768;
export const DYNPTR_TYPE_LOCAL = 65536;
export const DYNPTR_TYPE_RINGBUF = 131072;
export const MEM_FIXED_SIZE = 262144;
export const MEM_ALLOC = 524288;
export const PTR_TRUSTED = 1048576;
export const MEM_RCU = 2097152;
export const NON_OWN_REF = 4194304;
export const DYNPTR_TYPE_SKB = 8388608;
export const DYNPTR_TYPE_XDP = 16777216;
export const MEM_ALIGNED = 33554432;
export const MEM_WRITE = 67108864;
export const __BPF_TYPE_FLAG_MAX = 67108865;
export const __BPF_TYPE_LAST_FLAG = 67108864;

// enum btf_field_type
export const BPF_SPIN_LOCK = 1;
export const BPF_TIMER = 2;
export const BPF_KPTR_UNREF = 4;
export const BPF_KPTR_REF = 8;
export const BPF_KPTR_PERCPU = 16;
export const BPF_KPTR = 28;
export const BPF_LIST_HEAD = 32;
export const BPF_LIST_NODE = 64;
export const BPF_RB_ROOT = 128;
export const BPF_RB_NODE = 256;
export const BPF_GRAPH_NODE = 320;
export const BPF_GRAPH_ROOT = 160;
export const BPF_REFCOUNT = 512;
export const BPF_WORKQUEUE = 1024;

// macros of include/linux/bpf.h
export const MAX_BPF_CGROUP_STORAGE_TYPE = 2;
export const BPF_BASE_TYPE_BITS = 8;
export const DYNPTR_TYPE_FLAG_MASK = 25362432;
export const BPF_BASE_TYPE_LIMIT = 256;
export const BPF_TYPE_LIMIT = 134217727;
export const MAX_BPF_FUNC_ARGS = 12;
export const MAX_BPF_FUNC_REG_ARGS = 5;
export const BTF_FMODEL_STRUCT_ARG = 1;
export const BTF_FMODEL_SIGNED_ARG = 2;
export const BPF_TRAMP_F_RESTORE_REGS = 1;
export const BPF_TRAMP_F_CALL_ORIG = 2;
export const BPF_TRAMP_F_SKIP_FRAME = 4;
export const BPF_TRAMP_F_IP_ARG = 8;
export const BPF_TRAMP_F_RET_FENTRY_RET = 16;
export const BPF_TRAMP_F_ORIG_STACK = 32;
export const BPF_TRAMP_F_SHARE_IPMODIFY = 64;
export const BPF_TRAMP_F_TAIL_CALL_CTX = 128;
export const BPF_TRAMP_F_INDIRECT = 256;
export const BPF_DISPATCHER_MAX = 48;
export const BPF_STRUCT_OPS_MAX_NR_MEMBERS = 64;
export const BPF_COMPLEXITY_LIMIT_INSNS = 1000000;
export const MAX_TAIL_CALL_CNT = 33;
export const BPF_F_ACCESS_MASK = 408;
export const BPF_MAP_CAN_READ = 1;
export const BPF_MAP_CAN_WRITE = 2;
export const BPF_MAX_USER_RINGBUF_SAMPLES = 131072;
export const BPF_RET_BIND_NO_CAP_NET_BIND_SERVICE = 1;
export const BPF_RET_SET_CN = 1;
export const BPF_ITER_CTX_ARG_MAX = 2;
export const MAX_BPRINTF_VARARGS = 12;
export const MAX_BPRINTF_BUF = 1024;
