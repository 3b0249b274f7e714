// SPDX-License-Identifier: GPL-2.0-only
/** kernel/bpf/btf.c: everything of it, gathered from the files that hold its parts. */
export * from "./btf_obj.ts";
