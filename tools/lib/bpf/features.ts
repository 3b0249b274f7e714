// SPDX-License-Identifier: GPL-2.0-only
/**
 * What the kernel can do, found out by trying: tools/lib/bpf/features.c. With `known_kernel` the answers
 * are those of v6.12, and nothing is tried.
 */
import { EBADF, EINVAL } from "../../../include/uapi/asm-generic/errno.ts";
import {
	BPF_CGROUP_INET_SOCK_CREATE,
	BPF_F_MMAPABLE,
	BPF_FUNC_get_attach_cookie,
	BPF_FUNC_get_func_ip,
	BPF_FUNC_ktime_get_coarse_ns,
	BPF_FUNC_probe_read_kernel,
	BPF_MAP_TYPE_ARRAY,
	BPF_PERF_EVENT,
	BPF_PROG_TYPE_CGROUP_SOCK,
	BPF_PROG_TYPE_KPROBE,
	BPF_PROG_TYPE_SOCKET_FILTER,
	BPF_PROG_TYPE_TRACEPOINT,
	BPF_PSEUDO_CALL,
	BPF_PSEUDO_MAP_VALUE,
	BPF_TRACE_UPROBE_MULTI,
} from "../../../include/uapi/linux/bpf.ts";
import {
	BTF_FUNC_GLOBAL,
	BTF_INT_SIGNED,
	BTF_KIND_ENUM64,
	BTF_VAR_STATIC,
} from "../../../include/uapi/linux/btf.ts";
import {
	bpf_btf_get_info_by_fd,
	bpf_btf_load,
	bpf_link_create,
	bpf_map_create,
	bpf_prog_bind_map,
	bpf_prog_load,
} from "./bpf.ts";
import { Btf, btf_type_info } from "./btf.ts";
import { CALL, LDIMM64, set_insn } from "./insn.ts";
import {
	FEAT_ARG_CTX_TAG,
	FEAT_ARRAY_MMAP,
	FEAT_BPF_COOKIE,
	FEAT_BTF,
	FEAT_BTF_DATASEC,
	FEAT_BTF_DECL_TAG,
	FEAT_BTF_ENUM64,
	FEAT_BTF_FLOAT,
	FEAT_BTF_FUNC,
	FEAT_BTF_GLOBAL_FUNC,
	FEAT_BTF_QMARK_DATASEC,
	FEAT_BTF_TYPE_TAG,
	FEAT_EXP_ATTACH_TYPE,
	FEAT_GLOBAL_DATA,
	FEAT_MEMCG_ACCOUNT,
	FEAT_MODULE_BTF,
	FEAT_PERF_LINK,
	FEAT_PROBE_READ_KERN,
	FEAT_PROG_BIND_MAP,
	FEAT_PROG_NAME,
	FEAT_SYSCALL_WRAPPER,
	FEAT_UPROBE_MULTI_LINK,
	type Libbpf,
	libbpf_strerror_r,
} from "./libbpf_internal.ts";

type Insn = readonly [code: number, dst: number, src: number, off: number, imm: number];
const MOV64_R0_0: Insn = [0xb7, 0, 0, 0, 0];
const EXIT: Insn = [0x95, 0, 0, 0, 0];
const call = (helper: number): Insn => [CALL, 0, 0, 0, helper];

function code(...insns: readonly Insn[]): Uint8Array {
	const bytes = new Uint8Array(insns.length * 8);
	insns.forEach(([c, dst_reg, src_reg, off, imm], i) => {
		set_insn(bytes, i, { code: c, dst_reg, src_reg, off, imm });
	});
	return bytes;
}

function probe_fd(lib: Libbpf, fd: number): boolean {
	if (fd >= 0) lib.sys.close(fd);
	return fd >= 0;
}

/** Whether the kernel takes a BTF. */
function probe_btf(lib: Libbpf, make: (btf: Btf) => void): boolean {
	const btf = new Btf(null);
	make(btf);
	return probe_fd(lib, bpf_btf_load(lib, btf.raw_data()));
}

const int32 = (btf: Btf): number => btf.add_int("int", 4, BTF_INT_SIGNED);

/** int x(int a) */
function func(btf: Btf, linkage: number): void {
	const int = int32(btf);
	const proto = btf.add_func_proto(0);
	btf.add_func_param("a", int);
	btf.add_func("x", linkage, proto);
}

/** static int x, in a section */
function datasec(btf: Btf, name: string): void {
	const v = btf.add_var("x", BTF_VAR_STATIC, int32(btf));
	btf.add_datasec(name, 4);
	btf.add_datasec_var_info(v, 0, 4);
}

function map_probe(lib: Libbpf, what: string, fn: (map: number) => boolean): boolean {
	const map = bpf_map_create(lib, BPF_MAP_TYPE_ARRAY, what, 4, 32, 1);
	if (map < 0) {
		lib.pr_warn(`Error in ${what}():${libbpf_strerror_r(map)}(${-map}). Couldn't create simple array map.\n`);
		return false;
	}
	const ret = fn(map);
	lib.sys.close(map);
	return ret;
}

/** tools/lib/bpf/features.c: probe_kern_arg_ctx_tag */
function probe_arg_ctx_tag(lib: Libbpf): boolean {
	const btf = new Btf(null);
	const int = btf.add_int("a", 4, BTF_INT_SIGNED);
	const ptr = btf.add_ptr(0);
	const main_proto = btf.add_func_proto(int);
	btf.add_func_param("a", ptr);
	const main = btf.add_func("a", BTF_FUNC_GLOBAL, main_proto);
	const sub_proto = btf.add_func_proto(int);
	btf.add_func_param("b", ptr);
	const sub = btf.add_func("b", BTF_FUNC_GLOBAL, sub_proto);
	btf.add_decl_tag("arg:ctx", sub, 0);
	const btf_fd = bpf_btf_load(lib, btf.raw_data());
	if (btf_fd < 0) return false;
	const func_info = new Uint8Array(16);
	const dv = new DataView(func_info.buffer);
	dv.setUint32(4, main, true);
	dv.setUint32(8, 2, true);
	dv.setUint32(12, sub, true);
	const insns = code([CALL, 0, BPF_PSEUDO_CALL, 0, 1], EXIT, call(BPF_FUNC_get_func_ip), EXIT);
	const fd = bpf_prog_load(lib, BPF_PROG_TYPE_KPROBE, "det_arg_ctx", "GPL", insns, {
		prog_btf_fd: btf_fd,
		func_info,
		func_info_cnt: 2,
		func_info_rec_size: 8,
	});
	lib.sys.close(btf_fd);
	return probe_fd(lib, fd);
}

/** Before loading the probe's link must fail for its bad target, not for a command it does not know. */
function probe_perf_link(lib: Libbpf): boolean {
	const prog = bpf_prog_load(lib, BPF_PROG_TYPE_TRACEPOINT, null, "GPL", code(MOV64_R0_0, EXIT));
	if (prog < 0) return false;
	const link = bpf_link_create(lib, prog, -1, BPF_PERF_EVENT);
	if (link >= 0) lib.sys.close(link);
	lib.sys.close(prog);
	return link === -EBADF;
}

function probe_uprobe_multi(lib: Libbpf): boolean {
	const prog = bpf_prog_load(lib, BPF_PROG_TYPE_KPROBE, null, "GPL", code(MOV64_R0_0, EXIT), {
		expected_attach_type: BPF_TRACE_UPROBE_MULTI,
	});
	if (prog < 0) return false;
	const uprobe_multi = { path: "/", offsets: [0n] };
	let link = bpf_link_create(lib, prog, -1, BPF_TRACE_UPROBE_MULTI, { uprobe_multi });
	let ok = false;
	if (link === -EBADF) {
		link = bpf_link_create(lib, prog, -1, BPF_TRACE_UPROBE_MULTI, {
			uprobe_multi: { ...uprobe_multi, pid: -1 },
		});
		ok = link === -EINVAL;
	}
	if (link >= 0) lib.sys.close(link);
	lib.sys.close(prog);
	return ok;
}

const load = (lib: Libbpf, type: number, name: string | null, insns: Uint8Array, opts = {}): boolean =>
	probe_fd(lib, bpf_prog_load(lib, type, name, "GPL", insns, opts));

/** tools/lib/bpf/features.c: feature_probes */
const probes: Readonly<Record<number, (lib: Libbpf) => boolean>> = {
	[FEAT_PROG_NAME]: (lib) =>
		load(lib, BPF_PROG_TYPE_SOCKET_FILTER, "libbpf_nametest", code(MOV64_R0_0, EXIT)),
	[FEAT_GLOBAL_DATA]: (lib) =>
		map_probe(lib, "libbpf_global", (map) =>
			load(
				lib,
				BPF_PROG_TYPE_SOCKET_FILTER,
				null,
				code(
					[LDIMM64, 1, BPF_PSEUDO_MAP_VALUE, 0, map],
					[0, 0, 0, 0, 16],
					[0x7a, 1, 0, 0, 42],
					MOV64_R0_0,
					EXIT,
				),
			),
		),
	[FEAT_BTF]: (lib) => probe_btf(lib, int32),
	[FEAT_BTF_FUNC]: (lib) => probe_btf(lib, (btf) => func(btf, 0)),
	[FEAT_BTF_GLOBAL_FUNC]: (lib) => probe_btf(lib, (btf) => func(btf, BTF_FUNC_GLOBAL)),
	[FEAT_BTF_DATASEC]: (lib) => probe_btf(lib, (btf) => datasec(btf, ".data")),
	[FEAT_BTF_QMARK_DATASEC]: (lib) => probe_btf(lib, (btf) => datasec(btf, "?.data")),
	[FEAT_BTF_FLOAT]: (lib) => probe_btf(lib, (btf) => btf.add_float("float", 4)),
	[FEAT_BTF_DECL_TAG]: (lib) =>
		probe_btf(lib, (btf) => {
			btf.add_decl_tag("tag", btf.add_var("tag", BTF_VAR_STATIC, int32(btf)), -1);
		}),
	[FEAT_BTF_TYPE_TAG]: (lib) =>
		probe_btf(lib, (btf) => {
			btf.add_ptr(btf.add_type_tag("tag", int32(btf)));
		}),
	[FEAT_BTF_ENUM64]: (lib) =>
		probe_btf(lib, (btf) => {
			btf.add_type("enum64", btf_type_info(BTF_KIND_ENUM64, 0, false), 8);
		}),
	[FEAT_ARRAY_MMAP]: (lib) =>
		probe_fd(
			lib,
			bpf_map_create(lib, BPF_MAP_TYPE_ARRAY, "libbpf_mmap", 4, 4, 1, { map_flags: BPF_F_MMAPABLE }),
		),
	[FEAT_EXP_ATTACH_TYPE]: (lib) =>
		load(lib, BPF_PROG_TYPE_CGROUP_SOCK, null, code(MOV64_R0_0, EXIT), {
			expected_attach_type: BPF_CGROUP_INET_SOCK_CREATE,
		}),
	[FEAT_PROBE_READ_KERN]: (lib) =>
		load(
			lib,
			BPF_PROG_TYPE_TRACEPOINT,
			null,
			code(
				[0xbf, 1, 10, 0, 0],
				[0x07, 1, 0, 0, -8],
				[0xb7, 2, 0, 0, 8],
				[0xb7, 3, 0, 0, 0],
				call(BPF_FUNC_probe_read_kernel),
				EXIT,
			),
		),
	[FEAT_PROG_BIND_MAP]: (lib) =>
		map_probe(lib, "libbpf_det_bind", (map) => {
			const prog = bpf_prog_load(lib, BPF_PROG_TYPE_SOCKET_FILTER, null, "GPL", code(MOV64_R0_0, EXIT));
			if (prog < 0) return false;
			const ret = bpf_prog_bind_map(lib, prog, map);
			lib.sys.close(prog);
			return ret >= 0;
		}),
	[FEAT_MODULE_BTF]: (lib) => {
		const btf = new Btf(null);
		int32(btf);
		const fd = bpf_btf_load(lib, btf.raw_data());
		if (fd < 0) return false;
		const info = bpf_btf_get_info_by_fd(lib, fd, false);
		lib.sys.close(fd);
		return typeof info !== "number";
	},
	[FEAT_PERF_LINK]: probe_perf_link,
	[FEAT_MEMCG_ACCOUNT]: (lib) =>
		load(lib, BPF_PROG_TYPE_SOCKET_FILTER, null, code(call(BPF_FUNC_ktime_get_coarse_ns), EXIT)),
	[FEAT_BPF_COOKIE]: (lib) =>
		load(lib, BPF_PROG_TYPE_TRACEPOINT, null, code(call(BPF_FUNC_get_attach_cookie), EXIT)),
	[FEAT_SYSCALL_WRAPPER]: (lib) => {
		const kallsyms = lib.sys.readFile("/proc/kallsyms");
		if (typeof kallsyms === "number") return false;
		const name = lib.sys.arch === "arm64" ? "__arm64_sys_bpf" : "__x64_sys_bpf";
		return Buffer.from(kallsyms.buffer, kallsyms.byteOffset, kallsyms.byteLength).includes(` ${name}\n`);
	},
	[FEAT_UPROBE_MULTI_LINK]: probe_uprobe_multi,
	[FEAT_ARG_CTX_TAG]: probe_arg_ctx_tag,
};

/** tools/lib/bpf/features.c: feat_supported; asked once for each. */
export function feat_supported(lib: Libbpf, feat: number): boolean {
	let known = lib.features[feat];
	if (known === undefined) {
		known = lib.known_kernel ? true : probes[feat]!(lib);
		lib.features[feat] = known;
	}
	return known;
}

/** tools/lib/bpf/libbpf.c: kernel_supports (without tokens) */
export function kernel_supports(lib: Libbpf, feat: number): boolean {
	return feat_supported(lib, feat);
}
