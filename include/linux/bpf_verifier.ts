// SPDX-License-Identifier: GPL-2.0-only
/** Constants of the verifier (include/linux/bpf_verifier.h). */

// enum INSN_F_FRAMENO_MASK
export const INSN_F_FRAMENO_MASK = 7;
export const INSN_F_SPI_MASK = 63;
export const INSN_F_SPI_SHIFT = 3;
export const INSN_F_STACK_ACCESS = 512;
export const INSN_F_DST_REG_STACK = 1024;
export const INSN_F_SRC_REG_STACK = 2048;

// enum bpf_iter_state
export const BPF_ITER_STATE_INVALID = 0;
export const BPF_ITER_STATE_ACTIVE = 1;
export const BPF_ITER_STATE_DRAINED = 2;

// enum bpf_reg_liveness
export const REG_LIVE_NONE = 0;
export const REG_LIVE_READ32 = 1;
export const REG_LIVE_READ64 = 2;
export const REG_LIVE_READ = 3;
export const REG_LIVE_WRITTEN = 4;
export const REG_LIVE_DONE = 8;

// enum bpf_stack_slot_type
export const STACK_INVALID = 0;
export const STACK_SPILL = 1;
export const STACK_MISC = 2;
export const STACK_ZERO = 3;
export const STACK_DYNPTR = 4;
export const STACK_ITER = 5;

// enum insn_type
export const CALL = 0;
export const NOP = 1;
export const JMP = 2;
export const RET = 3;
export const JCC = 4;

// enum priv_stack_mode
export const PRIV_STACK_UNKNOWN = 0;
export const NO_PRIV_STACK = 1;
export const PRIV_STACK_ADAPTIVE = 2;

// macros of include/linux/bpf_verifier.h
export const BPF_MAX_VAR_OFF = 536870912;
export const BPF_MAX_VAR_SIZ = 536870912;
export const TMP_STR_BUF_LEN = 320;
export const INSN_BUF_SIZE = 32;
export const BPF_ADD_CONST = 2147483648;
export const BPF_REG_SIZE = 8;
export const BPF_REGMASK_ARGS = 62;
export const BPF_DYNPTR_SIZE = 16;
export const BPF_DYNPTR_NR_SLOTS = 2;
export const MAX_CALL_FRAMES = 8;
export const BPF_ID_MAP_SIZE = 600;
export const BPF_ALU_SANITIZE_SRC = 1;
export const BPF_ALU_SANITIZE_DST = 2;
export const BPF_ALU_NEG_VALUE = 4;
export const BPF_ALU_NON_POINTER = 8;
export const BPF_ALU_IMMEDIATE = 16;
export const BPF_ALU_SANITIZE = 3;
export const MAX_USED_MAPS = 64;
export const MAX_USED_BTFS = 64;
export const BPF_VERIFIER_TMP_LOG_SIZE = 1024;
export const BPF_LOG_LEVEL1 = 1;
export const BPF_LOG_LEVEL2 = 2;
export const BPF_LOG_STATS = 4;
export const BPF_LOG_FIXED = 8;
export const BPF_LOG_LEVEL = 3;
export const BPF_LOG_MASK = 15;
export const BPF_LOG_KERNEL = 16;
export const BPF_LOG_MIN_ALIGNMENT = 8;
export const BPF_LOG_ALIGNMENT = 40;
export const BPF_MAX_SUBPROGS = 256;
export const BPF_BASE_TYPE_MASK = 255;
export const BPF_REG_TRUSTED_MODIFIERS = 5767168;
