// SPDX-License-Identifier: GPL-2.0-only
/** kernel/bpf/btf.c: everything of it, gathered from the files that hold its parts. */
export * from "./btf_access.ts";
export * from "./btf_check.ts";
export * from "./btf_core.ts";
export * from "./btf_ctx.ts";
export * from "./btf_fields.ts";
export * from "./btf_find.ts";
export * from "./btf_func.ts";
export * from "./btf_ids.ts";
export * from "./btf_kfunc.ts";
export * from "./btf_load.ts";
export * from "./btf_obj.ts";
export * from "./btf_relocate.ts";
export * from "./btf_show.ts";
export * from "./kfunc_sets.ts";
