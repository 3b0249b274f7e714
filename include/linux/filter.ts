// SPDX-License-Identifier: GPL-2.0-only
/** Internal opcodes and registers of include/linux/filter.h. */

// macros of include/linux/filter.h
export const BPF_REG_ARG1 = 1;
export const BPF_REG_ARG2 = 2;
export const BPF_REG_ARG3 = 3;
export const BPF_REG_ARG4 = 4;
export const BPF_REG_ARG5 = 5;
export const BPF_REG_CTX = 6;
export const BPF_REG_FP = 10;
export const BPF_REG_A = 0;
export const BPF_REG_X = 7;
export const BPF_REG_TMP = 2;
export const BPF_REG_D = 8;
export const BPF_REG_H = 9;
export const BPF_REG_AX = 11;
export const MAX_BPF_EXT_REG = 12;
export const MAX_BPF_JIT_REG = 12;
export const BPF_TAIL_CALL = 240;
export const BPF_PROBE_MEM = 32;
export const BPF_PROBE_MEMSX = 64;
export const BPF_PROBE_MEM32 = 160;
export const BPF_PROBE_ATOMIC = 224;
export const BPF_CALL_ARGS = 224;
export const BPF_NOSPEC = 192;
export const BPF_SYM_ELF_TYPE = 116;
export const MAX_BPF_STACK = 512;
export const BPF_ADDR_PERCPU = -1;
export const BPF_IMAGE_ALIGNMENT = 8;
export const BPF_RI_F_RF_NO_DIRECT = 1;
export const BPF_RI_F_RI_INIT = 2;
export const BPF_RI_F_CPU_MAP_INIT = 4;
export const BPF_RI_F_DEV_MAP_INIT = 8;
export const BPF_RI_F_XSK_MAP_INIT = 16;
export const BPF_ANC = 32768;
export const BPF_SOCKOPT_KERN_BUF_SIZE = 32;
