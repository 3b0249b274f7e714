// SPDX-License-Identifier: GPL-2.0-only
/** Accesses through typed pointers, contexts of attached programs, models of functions, kfunc sets. */
import { describe, expect, it } from "vitest";
import {
	MEM_ALLOC,
	MEM_PERCPU,
	MEM_RCU,
	MEM_USER,
	PTR_TO_BTF_ID,
	PTR_UNTRUSTED,
	SCALAR_VALUE,
} from "../../include/linux/bpf.ts";
import { KF_ACQUIRE, KF_SLEEPABLE } from "../../include/linux/btf.ts";
import {
	BPF_PROG_TYPE_KPROBE,
	BPF_PROG_TYPE_LSM,
	BPF_PROG_TYPE_SCHED_CLS,
	BPF_PROG_TYPE_TRACING,
	BPF_PROG_TYPE_XDP,
	BPF_TRACE_KPROBE_SESSION,
} from "../../include/uapi/linux/bpf.ts";
import { BTF_KIND_FUNC, BTF_KIND_STRUCT, BTF_KIND_TYPEDEF } from "../../include/uapi/linux/btf.ts";
import type { bpf_prog } from "./bpf_types.ts";
import {
	btf_distill_func_proto,
	btf_find_by_name_kind,
	btf_kfunc_id_set_contains,
	btf_kfunc_is_modify_return,
	type btf_obj,
	btf_open_trusted,
	btf_register_kfuncs,
	btf_register_tables,
	btf_struct_access,
	btf_struct_ids_match,
	btf_type_by_id,
	btf_type_ids_nocast_alias,
} from "./btf.ts";
import type { btf_func_model } from "./btf_types.ts";
import { btf_from_c } from "./btf_writer.ts";
import { bpf_vlog_finalize, new_verifier_log } from "./log.ts";
import type { bpf_reg_state } from "./reg_state.ts";
import type { bpf_verifier_log } from "./verifier_types.ts";
import { builtin_vmlinux_btf } from "./vmlinux_btf.ts";

function open(text: string): btf_obj {
	const b = btf_open_trusted(null, btf_from_c(text), "vmlinux");
	if (typeof b === "number") throw new Error(String(b));
	return b;
}

/** A log that keeps its text. */
function logger(): { log: bpf_verifier_log; text(): string } {
	const buf = new Uint8Array(1 << 16);
	const log = new_verifier_log();
	log.level = 1;
	log.len_total = buf.length;
	log.ubuf = {
		write(at, bytes) {
			buf.set(bytes, at);
			return true;
		},
		read: (at, len) => buf.slice(at, at + len),
	};
	return {
		log,
		text() {
			bpf_vlog_finalize(log, { val: 0 });
			return Buffer.from(buf.subarray(0, buf.indexOf(0))).toString("latin1");
		},
	};
}

const b = open(`
	struct other { long x; };
	struct leaf { int a; struct other *ptr; };
	struct s {
		int first;
		int bit : 3, more : 7;
		struct leaf in[2];
		struct other __rcu *rcu;
		struct other __user *user;
		struct other __percpu *percpu;
		union { struct other *u; long l; };
		void *nothing;
		char name[8];
		struct leaf flex[];
	};
`);
const id = (name: string): number => btf_find_by_name_kind(b, name, BTF_KIND_STRUCT);

function access(off: number, size: number, type = PTR_TO_BTF_ID): [number, string | number, number, string] {
	const { log, text } = logger();
	const reg = { btf: b, btf_id: id("s"), type } as unknown as bpf_reg_state;
	const next = { val: 0 };
	const flag = { val: 0 };
	const field: { val: string | null } = { val: null };
	const ret = btf_struct_access(log, reg, off, size, 1, next, flag, field);
	return [ret, ret === PTR_TO_BTF_ID ? field.val! : "", flag.val, text()];
}

// first 0, bits at 4, in at 8 (two of 16), rcu 40, user 48, percpu 56, union 64, nothing 72, name 80, flex 88
describe("btf_struct_access", () => {
	it("tells scalars from pointers, with what tags say of them", () => {
		expect(access(0, 4)[0]).toBe(SCALAR_VALUE);
		expect(access(16, 8).slice(0, 3)).toEqual([PTR_TO_BTF_ID, "ptr", 0]);
		expect(access(32, 8).slice(0, 3)).toEqual([PTR_TO_BTF_ID, "ptr", 0]);
		expect(access(40, 8).slice(0, 3)).toEqual([PTR_TO_BTF_ID, "rcu", MEM_RCU]);
		expect(access(48, 8).slice(0, 3)).toEqual([PTR_TO_BTF_ID, "user", MEM_USER]);
		expect(access(56, 8).slice(0, 3)).toEqual([PTR_TO_BTF_ID, "percpu", MEM_PERCPU]);
		// what a union holds is not known
		expect(access(64, 8).slice(0, 3)).toEqual([PTR_TO_BTF_ID, "u", PTR_UNTRUSTED]);
		// void * is a number
		expect(access(72, 8)[0]).toBe(SCALAR_VALUE);
	});

	it("reads several bitfields at once, but no part of one", () => {
		expect(access(4, 4)[0]).toBe(SCALAR_VALUE);
		expect(access(4, 1)).toEqual([SCALAR_VALUE, "", 0, ""]);
		expect(access(5, 1)).toEqual([-22, "", 0, "struct s doesn't have field at offset 5\n"]);
	});

	it("goes into elements of arrays, and of the array at the end", () => {
		expect(access(28, 4)).toEqual([-22, "", 0, "struct leaf doesn't have field at offset 4\n"]);
		expect(access(88 + 3 * 16 + 8, 8).slice(0, 2)).toEqual([PTR_TO_BTF_ID, "ptr"]);
		expect(access(88 + 3 * 16, 4)[0]).toBe(SCALAR_VALUE);
	});

	it("refuses parts of pointers and what is beyond a member", () => {
		expect(access(40, 4)).toEqual([
			-13,
			"",
			0,
			"cannot access ptr member rcu with moff 40 in struct s with off 40 size 4\n",
		]);
		expect(access(84, 8)).toEqual([-13, "", 0, "access beyond struct s at off 84 size 8\n"]);
		expect(access(0, 8)[3]).toBe(
			"access beyond the end of member first (mend:4) in struct s with off 0 size 8\n",
		);
	});

	it("follows no pointer of an allocated object", () => {
		expect(access(40, 8, PTR_TO_BTF_ID | MEM_ALLOC)[0]).toBe(SCALAR_VALUE);
	});
});

describe("types that match", () => {
	it("by what is nested at the offset, unless it must be the type itself", () => {
		const match = (off: number, need: string, strict: boolean): boolean =>
			btf_struct_ids_match(logger().log, b, id("s"), off, b, id(need), strict);
		expect(match(0, "s", true)).toBe(true);
		expect(match(8, "leaf", false)).toBe(true);
		expect(match(24, "leaf", false)).toBe(true);
		expect(match(8, "leaf", true)).toBe(false);
		expect(match(8, "other", false)).toBe(false);
		expect(match(12, "leaf", false)).toBe(false);
	});

	it("by name but for ___init", () => {
		const c = open("struct nf { int a; }; struct nf___init { int a; }; struct nf___init2 { int a; };");
		const alias = (x: string, y: string): boolean =>
			btf_type_ids_nocast_alias(
				logger().log,
				c,
				btf_find_by_name_kind(c, x, BTF_KIND_STRUCT),
				c,
				btf_find_by_name_kind(c, y, BTF_KIND_STRUCT),
			);
		expect(alias("nf", "nf___init")).toBe(true);
		expect(alias("nf___init", "nf")).toBe(true);
		expect(alias("nf", "nf")).toBe(false);
		expect(alias("nf", "nf___init2")).toBe(false);
	});
});

describe("btf_distill_func_proto", () => {
	const c = open(`
		struct pair { long a, b; }; struct big { long a, b, c; }; enum e { A };
		typedef int ok(unsigned char c, short s, struct pair p, const void *v, enum e e);
		typedef struct pair ret(int x); typedef int va(int x, ...); typedef int large(struct big b);
		typedef void many(int a, int b, int c, int d, int e, int f, int g, int h, int i, int j, int k, int l, int m);
	`);
	const model = (name: string): { err: number; m: btf_func_model; text: string } => {
		const t = btf_type_by_id(c, btf_find_by_name_kind(c, name, BTF_KIND_TYPEDEF))!;
		const m: btf_func_model = { ret_size: 0, ret_flags: 0, nr_args: 0, arg_size: [], arg_flags: [] };
		const { log, text } = logger();
		const err = btf_distill_func_proto(log, c, btf_type_by_id(c, t.type), name, m);
		return { err, m, text: text() };
	};

	it("takes sizes and flags of arguments", () => {
		expect(model("ok")).toMatchObject({
			err: 0,
			m: { ret_size: 4, ret_flags: 2, nr_args: 5, arg_size: [1, 2, 16, 8, 4], arg_flags: [0, 2, 1, 0, 0] },
		});
	});

	it("says what it does not support", () => {
		expect(model("ret").text).toBe("The function ret return type STRUCT is unsupported.\n");
		expect(model("va").text).toBe("The function va with variable args is unsupported.\n");
		expect(model("large").text).toBe("The function large arg0 type STRUCT is unsupported.\n");
		expect(model("many").text).toBe("The function many has 13 arguments. Too many.\n");
	});

	it("stands for any function without a prototype", () => {
		const m: btf_func_model = { ret_size: 0, ret_flags: 0, nr_args: 0, arg_size: [], arg_flags: [] };
		expect(btf_distill_func_proto(logger().log, null, null, "f", m)).toBe(0);
		expect(m).toMatchObject({ nr_args: 5, ret_size: 8, arg_size: [8, 8, 8, 8, 8] });
	});
});

describe("kfunc sets", () => {
	const v = btf_open_trusted(null, builtin_vmlinux_btf("x86_64"), "vmlinux") as btf_obj;
	btf_register_tables(v);
	const prog = (type: number, expected_attach_type = 0): bpf_prog =>
		({ type, expected_attach_type, aux: { saved_dst_prog_type: 0 } }) as unknown as bpf_prog;
	const flags = (name: string, p: bpf_prog): number | null =>
		btf_kfunc_id_set_contains(v, btf_find_by_name_kind(v, name, BTF_KIND_FUNC), p);

	it("allow by program type", () => {
		expect(flags("bpf_task_from_pid", prog(BPF_PROG_TYPE_TRACING))).toBe(KF_ACQUIRE | 4);
		expect(flags("bpf_task_from_pid", prog(BPF_PROG_TYPE_KPROBE))).toBe(null);
		// for all, and without flags
		expect(flags("bpf_rcu_read_lock", prog(BPF_PROG_TYPE_KPROBE))).toBe(0);
		expect(flags("bpf_dynptr_from_skb", prog(BPF_PROG_TYPE_SCHED_CLS))).not.toBe(null);
		expect(flags("bpf_dynptr_from_skb", prog(BPF_PROG_TYPE_XDP))).toBe(null);
	});

	it("filter within a hook", () => {
		expect(flags("bpf_put_file", prog(BPF_PROG_TYPE_LSM))).not.toBe(null);
		expect(flags("bpf_put_file", prog(BPF_PROG_TYPE_TRACING))).toBe(null);
		expect(flags("bpf_session_cookie", prog(BPF_PROG_TYPE_KPROBE))).toBe(null);
		expect(flags("bpf_session_cookie", prog(BPF_PROG_TYPE_KPROBE, BPF_TRACE_KPROBE_SESSION))).toBe(0);
	});

	it("know functions that fmod_ret may change", () => {
		const f = btf_find_by_name_kind(v, "bpf_fentry_test1", BTF_KIND_FUNC);
		expect(btf_kfunc_is_modify_return(v, f, prog(BPF_PROG_TYPE_TRACING))).toBe(KF_SLEEPABLE);
	});

	it("refuse iterators of the wrong shape", () => {
		const c = open(`
			struct bpf_iter_x { long a; };
			int bpf_iter_x_new(struct bpf_iter_x *it); int *bpf_iter_x_next(struct bpf_iter_x *it);
			int bpf_iter_x_destroy(struct bpf_iter_x *it); int bpf_iter_y_new(struct bpf_iter_x *it);
		`);
		const reg = (name: string, f: number): number =>
			btf_register_kfuncs(c, 0, {
				owner: null,
				set: [{ id: btf_find_by_name_kind(c, name, BTF_KIND_FUNC), flags: f }],
			});
		expect(reg("bpf_iter_x_new", 256)).toBe(0);
		expect(reg("bpf_iter_x_next", 512)).toBe(0);
		// must return void; must be named after its struct
		expect(reg("bpf_iter_x_destroy", 1024)).toBe(-22);
		expect(reg("bpf_iter_y_new", 256)).toBe(-22);
	});
});
