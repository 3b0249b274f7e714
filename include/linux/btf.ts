// SPDX-License-Identifier: GPL-2.0-only
/** Kernel-internal BTF constants: special fields and kfunc flags (include/linux/btf.h). */

// enum btf_field_iter_kind
export const BTF_FIELD_ITER_IDS = 0;
export const BTF_FIELD_ITER_STRS = 1;

// macros of include/linux/btf.h
export const KF_ACQUIRE = 1;
export const KF_RELEASE = 2;
export const KF_RET_NULL = 4;
export const KF_TRUSTED_ARGS = 16;
export const KF_SLEEPABLE = 32;
export const KF_DESTRUCTIVE = 64;
export const KF_RCU = 128;
export const KF_ITER_NEW = 256;
export const KF_ITER_NEXT = 512;
export const KF_ITER_DESTROY = 1024;
export const KF_RCU_PROTECTED = 2048;
export const BTF_SHOW_COMPACT = 1;
export const BTF_SHOW_NONAME = 2;
export const BTF_SHOW_PTR_RAW = 4;
export const BTF_SHOW_ZERO = 8;
export const BTF_SHOW_UNSAFE = 16;
