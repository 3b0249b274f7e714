// SPDX-License-Identifier: GPL-2.0-only
/** Loading an object: tools/lib/bpf/libbpf.c: bpf_object_load and what it calls. */
import { EINVAL, ENOSPC, EOPNOTSUPP } from "../../../include/uapi/asm-generic/errno.ts";
import {
	BPF_F_MMAPABLE,
	BPF_F_SLEEPABLE,
	BPF_F_XDP_HAS_FRAGS,
	BPF_FUNC_probe_read,
	BPF_FUNC_probe_read_kernel,
	BPF_FUNC_probe_read_kernel_str,
	BPF_FUNC_probe_read_str,
	BPF_FUNC_probe_read_user,
	BPF_FUNC_probe_read_user_str,
	BPF_MAP_TYPE_PROG_ARRAY,
	BPF_PROG_TYPE_EXT,
	BPF_PROG_TYPE_LSM,
	BPF_PROG_TYPE_SOCKET_FILTER,
	BPF_PROG_TYPE_STRUCT_OPS,
	BPF_PROG_TYPE_TRACEPOINT,
	BPF_PROG_TYPE_TRACING,
	BPF_PROG_TYPE_UNSPEC,
	BPF_PROG_TYPE_XDP,
	BPF_TRACE_UPROBE_MULTI,
} from "../../../include/uapi/linux/bpf.ts";
import {
	BTF_FUNC_GLOBAL,
	BTF_FUNC_STATIC,
	BTF_KIND_CONST,
	BTF_KIND_ENUM,
	BTF_KIND_FUNC,
	BTF_KIND_INT,
	BTF_KIND_STRUCT,
	BTF_KIND_TYPEDEF,
	BTF_KIND_UNION,
} from "../../../include/uapi/linux/btf.ts";
import { bpf_btf_load, bpf_prog_bind_map, bpf_prog_load, type bpf_prog_load_opts } from "./bpf.ts";
import {
	type Btf,
	btf__new,
	btf_func_linkage,
	btf_is_datasec,
	btf_is_decl_tag,
	btf_is_enum,
	btf_is_enum64,
	btf_is_float,
	btf_is_func,
	btf_is_func_proto,
	btf_is_type_tag,
	btf_is_var,
	btf_kind,
	btf_type_info,
	btf_var_secinfo_at,
	btf_vlen,
} from "./btf.ts";
import { bpf_object__create_maps, init_slots } from "./create_maps.ts";
import { bpf_object__resolve_externs } from "./externs.ts";
import { kernel_supports } from "./features.ts";
import { fixup_verifier_log } from "./fixup_log.ts";
import { bpf_map__is_struct_ops } from "./init_maps.ts";
import { insn_helper, set_imm } from "./insn.ts";
import {
	BPF_LOG_BUF_SIZE,
	cstring,
	FEAT_ARRAY_MMAP,
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
	FEAT_PROBE_READ_KERN,
	FEAT_PROG_BIND_MAP,
	FEAT_PROG_NAME,
	FEAT_UPROBE_MULTI_LINK,
	type Libbpf,
	libbpf_strerror_r,
} from "./libbpf_internal.ts";
import {
	type bpf_map,
	bpf_map__is_internal,
	type bpf_object,
	type bpf_program,
	EXT_KSYM,
	LIBBPF_MAP_RODATA,
	prog_is_subprog,
} from "./libbpf_types.ts";
import { btf__load_vmlinux_btf, find_kernel_btf_id, libbpf_find_prog_btf_id } from "./module_btf.ts";
import { bpf_object__relocate, bpf_program__set_map_fds } from "./relocate.ts";
import { SEC_ATTACH_BTF, SEC_EXP_ATTACH_OPT, SEC_SLEEPABLE, SEC_USDT, SEC_XDP_FRAGS } from "./sec_def.ts";
import {
	bpf_object__init_kern_struct_ops_maps,
	bpf_object_adjust_struct_ops_autoload,
	bpf_object_prepare_struct_ops,
} from "./struct_ops.ts";

const UINT_MAX = 0xffffffff;

/** tools/lib/bpf/libbpf.c: bpf_object__probe_loading: can anything be loaded at all? */
function bpf_object__probe_loading(obj: bpf_object): number {
	const { lib } = obj;
	if (lib.known_kernel) return 0;
	const insns = Uint8Array.of(0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0);
	let ret = bpf_prog_load(lib, BPF_PROG_TYPE_SOCKET_FILTER, null, "GPL", insns);
	if (ret < 0) ret = bpf_prog_load(lib, BPF_PROG_TYPE_TRACEPOINT, null, "GPL", insns);
	if (ret < 0) {
		lib.pr_warn(
			`Error in bpf_object__probe_loading():${libbpf_strerror_r(ret)}(${-ret}). Couldn't load trivial BPF program. Make sure your kernel supports BPF (CONFIG_BPF_SYSCALL=y) and/or that RLIMIT_MEMLOCK is set to big enough value.\n`,
		);
		return ret;
	}
	lib.sys.close(ret);
	return 0;
}

function prog_needs_vmlinux_btf(prog: bpf_program): boolean {
	if (prog.type === BPF_PROG_TYPE_STRUCT_OPS || prog.type === BPF_PROG_TYPE_LSM) return true;
	return prog.type === BPF_PROG_TYPE_TRACING && !prog.attach_prog_fd;
}

function obj_needs_vmlinux_btf(obj: bpf_object): boolean {
	if (obj.btf_ext && obj.btf_ext.core_relo_info.len > 0 && !obj.btf_custom_path) return true;
	if (obj.externs.some((e) => e.type === EXT_KSYM && e.ksym.type_id !== 0)) return true;
	if (obj.programs.some((p) => p.autoload && prog_needs_vmlinux_btf(p))) return true;
	return obj.maps.some(bpf_map__is_struct_ops);
}

/** tools/lib/bpf/libbpf.c: bpf_object__load_vmlinux_btf */
export function bpf_object__load_vmlinux_btf(obj: bpf_object, force: boolean): number {
	if (obj.btf_vmlinux) return 0;
	if (!force && !obj_needs_vmlinux_btf(obj)) return 0;
	const btf = btf__load_vmlinux_btf(obj.lib);
	if (typeof btf === "number") {
		obj.lib.pr_warn(`Error loading vmlinux BTF: ${btf}\n`);
		return btf;
	}
	obj.btf_vmlinux = btf;
	return 0;
}

/** tools/lib/bpf/libbpf.c: bpf_object__sanitize_btf: what an older kernel does not know becomes something it does. */
function bpf_object__sanitize_btf(lib: Libbpf, btf: Btf): void {
	const has = (feat: number): boolean => kernel_supports(lib, feat);
	let placeholder = 0;
	const rename = (at: number, change: (c: number) => number): void => {
		for (let i = at - btf.start_str_off; btf.strs[i] !== 0; i++) btf.strs[i] = change(btf.strs[i]!);
	};
	const n = btf.type_cnt();
	for (let i = 1; i < n; i++) {
		let t = btf.type_by_id(i)!;
		const vlen = btf_vlen(t);
		if ((!has(FEAT_BTF_DATASEC) && btf_is_var(t)) || (!has(FEAT_BTF_DECL_TAG) && btf_is_decl_tag(t))) {
			t.info = btf_type_info(BTF_KIND_INT, 0, false);
			t.size = 1;
			t.set_word(0, 8);
		} else if (!has(FEAT_BTF_DATASEC) && btf_is_datasec(t)) {
			rename(t.name_off, (c) => (c === 46 || c === 63 ? 95 : c));
			t.info = btf_type_info(BTF_KIND_STRUCT, vlen, false);
			for (let j = 0; j < vlen; j++) {
				const v = btf_var_secinfo_at(t, j);
				t.set_word(j * 3, btf.type_by_id(v.type)!.name_off);
				t.set_word(j * 3 + 1, v.type);
				t.set_word(j * 3 + 2, v.offset * 8);
			}
		} else if (!has(FEAT_BTF_QMARK_DATASEC) && btf_is_datasec(t) && btf.name(t.name_off).startsWith("?")) {
			btf.strs[t.name_off - btf.start_str_off] = 95;
		} else if (!has(FEAT_BTF_FUNC) && btf_is_func_proto(t)) {
			t.info = btf_type_info(BTF_KIND_ENUM, vlen, false);
			t.size = 4;
		} else if (!has(FEAT_BTF_FUNC) && btf_is_func(t)) {
			t.info = btf_type_info(BTF_KIND_TYPEDEF, 0, false);
		} else if (!has(FEAT_BTF_GLOBAL_FUNC) && btf_is_func(t)) {
			t.info = btf_type_info(BTF_KIND_FUNC, 0, false);
		} else if (!has(FEAT_BTF_FLOAT) && btf_is_float(t)) {
			t.name_off = 0;
			t.info = btf_type_info(BTF_KIND_STRUCT, 0, false);
		} else if (!has(FEAT_BTF_TYPE_TAG) && btf_is_type_tag(t)) {
			t.name_off = 0;
			t.info = btf_type_info(BTF_KIND_CONST, 0, false);
		} else if (!has(FEAT_BTF_ENUM64) && btf_is_enum(t)) {
			t.info = btf_type_info(btf_kind(t), vlen, false);
		} else if (!has(FEAT_BTF_ENUM64) && btf_is_enum64(t)) {
			if (placeholder === 0) {
				placeholder = btf.add_int("enum64_placeholder", 1, 0);
				t = btf.type_by_id(i)!;
			}
			t.info = btf_type_info(BTF_KIND_UNION, vlen, false);
			for (let j = 0; j < vlen; j++) {
				t.set_word(j * 3 + 1, placeholder);
				t.set_word(j * 3 + 2, 0);
			}
		}
	}
}

/** tools/lib/bpf/btf.c: btf_load_into_kernel: a load that fails is tried again with a log, to show it. */
function btf_load_into_kernel(obj: bpf_object, btf: Btf): number {
	const { lib } = obj;
	const raw = btf.raw_data();
	let log_level = obj.log_level ? 1 : 0;
	let buf = 0;
	let buf_sz = 0;
	for (;;) {
		if (log_level && !obj.log_buf) {
			if (buf) lib.heap.free(buf);
			buf_sz = Math.max(BPF_LOG_BUF_SIZE, buf_sz * 2);
			buf = lib.heap.alloc(buf_sz);
			lib.sys.store8(buf, 0);
		}
		const opts = log_level
			? { log_buf: obj.log_buf || buf, log_size: obj.log_buf ? obj.log_size : buf_sz, log_level }
			: {};
		const fd = bpf_btf_load(lib, raw, opts);
		if (fd >= 0) {
			if (buf) lib.heap.free(buf);
			btf.fd = fd;
			return 0;
		}
		if (log_level === 0) {
			log_level = 1;
			continue;
		}
		if (!obj.log_buf && fd === -ENOSPC && buf_sz <= UINT_MAX / 2) continue;
		lib.pr_warn(`BTF loading error: ${fd}\n`);
		if (buf) {
			const text = read_log(lib, buf, buf_sz);
			if (text) lib.pr_warn(`-- BEGIN BTF LOAD LOG ---\n${text}\n-- END BTF LOAD LOG --\n`);
			lib.heap.free(buf);
		}
		return fd;
	}
}

/** A NUL-terminated text in the process. */
export function read_log(lib: Libbpf, addr: number, size: number): string {
	const parts: string[] = [];
	for (let at = 0; at < size; ) {
		const n = Math.min(65536, size - at);
		const bytes = lib.sys.load(addr + at, n);
		const end = bytes.indexOf(0);
		parts.push(cstring(bytes));
		if (end >= 0) break;
		at += n;
	}
	return parts.join("");
}

/** tools/lib/bpf/libbpf.c: bpf_object__sanitize_and_load_btf */
function bpf_object__sanitize_and_load_btf(obj: bpf_object): number {
	const { lib, btf } = obj;
	if (!btf) return 0;
	const report = (err: number): number => {
		if (!err) return 0;
		const mandatory = obj.efile.has_st_ops;
		lib.pr_warn(
			`Error loading .BTF into kernel: ${err}. ${mandatory ? "BTF is mandatory, can't proceed." : "BTF is optional, ignoring."}\n`,
		);
		return mandatory ? err : 0;
	};
	if (!kernel_supports(lib, FEAT_BTF)) {
		if (obj.efile.has_st_ops) return report(-EOPNOTSUPP);
		lib.pr_debug(() => "Kernel doesn't support BTF, skipping uploading it.\n");
		return 0;
	}
	// Hidden global subprograms are verified as static ones.
	for (const prog of obj.programs) {
		if (!prog.mark_btf_static || !prog_is_subprog(obj, prog)) continue;
		for (let j = 1; j < btf.type_cnt(); j++) {
			if (btf.kind_of(j) !== BTF_KIND_FUNC) continue;
			const t = btf.type_by_id(j)!;
			if (btf_func_linkage(t) !== BTF_FUNC_GLOBAL || btf.name(t.name_off) !== prog.name) continue;
			t.info = btf_type_info(BTF_KIND_FUNC, BTF_FUNC_STATIC, false);
			break;
		}
	}
	const sanitize = ![
		FEAT_BTF_GLOBAL_FUNC,
		FEAT_BTF_DATASEC,
		FEAT_BTF_FLOAT,
		FEAT_BTF_FUNC,
		FEAT_BTF_DECL_TAG,
		FEAT_BTF_TYPE_TAG,
		FEAT_BTF_ENUM64,
		FEAT_BTF_QMARK_DATASEC,
	].every((feat) => kernel_supports(lib, feat));
	if (!sanitize) return report(btf_load_into_kernel(obj, btf));
	const kern_btf = btf__new(lib, btf.raw_data());
	if (typeof kern_btf === "number") return kern_btf;
	bpf_object__sanitize_btf(lib, kern_btf);
	const err = btf_load_into_kernel(obj, kern_btf);
	btf.fd = kern_btf.fd;
	return report(err);
}

function bpf_object__sanitize_maps(obj: bpf_object): number {
	for (const m of obj.maps) {
		if (bpf_map__is_internal(m) && !kernel_supports(obj.lib, FEAT_ARRAY_MMAP))
			m.def.map_flags &= ~BPF_F_MMAPABLE;
	}
	return 0;
}

/** tools/lib/bpf/libbpf.c: bpf_object__sanitize_prog: helpers an older kernel does not have. */
function bpf_object__sanitize_prog(obj: bpf_object, prog: bpf_program): void {
	for (let i = 0; i < prog.insns.length / 8; i++) {
		switch (insn_helper(prog.insns, i)) {
			case BPF_FUNC_probe_read_kernel:
			case BPF_FUNC_probe_read_user:
				if (!kernel_supports(obj.lib, FEAT_PROBE_READ_KERN)) set_imm(prog.insns, i, BPF_FUNC_probe_read);
				break;
			case BPF_FUNC_probe_read_kernel_str:
			case BPF_FUNC_probe_read_user_str:
				if (!kernel_supports(obj.lib, FEAT_PROBE_READ_KERN)) set_imm(prog.insns, i, BPF_FUNC_probe_read_str);
				break;
			default:
				break;
		}
	}
}

/** tools/lib/bpf/libbpf.c: libbpf_find_attach_btf_id */
function libbpf_find_attach_btf_id(
	prog: bpf_program,
	attach_name: string,
): { btf_obj_fd: number; btf_type_id: number } | number {
	const { lib } = prog.obj;
	if (prog.type === BPF_PROG_TYPE_EXT || prog.attach_prog_fd) {
		if (!prog.attach_prog_fd) {
			lib.pr_warn(`prog '${prog.name}': attach program FD is not set\n`);
			return -EINVAL;
		}
		const id = libbpf_find_prog_btf_id(lib, attach_name, prog.attach_prog_fd);
		if (id < 0) {
			lib.pr_warn(
				`prog '${prog.name}': failed to find BPF program (FD ${prog.attach_prog_fd}) BTF ID for '${attach_name}': ${id}\n`,
			);
			return id;
		}
		return { btf_obj_fd: 0, btf_type_id: id };
	}
	const found = find_kernel_btf_id(prog.obj, attach_name, prog.expected_attach_type);
	if (typeof found === "number")
		lib.pr_warn(`prog '${prog.name}': failed to find kernel BTF type ID of '${attach_name}': ${found}\n`);
	return found;
}

/** tools/lib/bpf/libbpf.c: libbpf_prepare_prog_load: what the section says of the load. */
function libbpf_prepare_prog_load(prog: bpf_program, opts: bpf_prog_load_opts, def: number): number {
	const { lib } = prog.obj;
	if (def & SEC_EXP_ATTACH_OPT && !kernel_supports(lib, FEAT_EXP_ATTACH_TYPE)) opts.expected_attach_type = 0;
	if (def & SEC_SLEEPABLE) opts.prog_flags! |= BPF_F_SLEEPABLE;
	if (prog.type === BPF_PROG_TYPE_XDP && def & SEC_XDP_FRAGS) opts.prog_flags! |= BPF_F_XDP_HAS_FRAGS;
	if (def & SEC_USDT && kernel_supports(lib, FEAT_UPROBE_MULTI_LINK)) {
		prog.expected_attach_type = BPF_TRACE_UPROBE_MULTI;
		opts.expected_attach_type = BPF_TRACE_UPROBE_MULTI;
	}
	if (def & SEC_ATTACH_BTF && !prog.attach_btf_id) {
		const slash = prog.sec_name.indexOf("/");
		if (slash < 0) {
			lib.pr_warn(
				`prog '${prog.name}': no BTF-based attach target is specified, use bpf_program__set_attach_target()\n`,
			);
			return -EINVAL;
		}
		const found = libbpf_find_attach_btf_id(prog, prog.sec_name.slice(slash + 1));
		if (typeof found === "number") return found;
		prog.attach_btf_obj_fd = found.btf_obj_fd;
		prog.attach_btf_id = found.btf_type_id;
		opts.attach_btf_obj_fd = found.btf_obj_fd;
		opts.attach_btf_id = found.btf_type_id;
	}
	return 0;
}

/** tools/lib/bpf/libbpf.c: bpf_object_load_prog */
function bpf_object_load_prog(obj: bpf_object, prog: bpf_program): number {
	const { lib } = obj;
	switch (prog.type) {
		case BPF_PROG_TYPE_UNSPEC:
			lib.pr_warn(`prog '${prog.name}': missing BPF prog type, check ELF section name '${prog.sec_name}'\n`);
			return -EINVAL;
		case BPF_PROG_TYPE_STRUCT_OPS:
			if (prog.attach_btf_id === 0) {
				lib.pr_warn(
					`prog '${prog.name}': SEC("struct_ops") program isn't referenced anywhere, did you forget to use it?\n`,
				);
				return -EINVAL;
			}
			break;
		default:
			break;
	}
	if (prog.insns.length === 0) return -EINVAL;
	bpf_program__set_map_fds(prog);
	const attr: bpf_prog_load_opts = {
		attach_prog_fd: prog.attach_prog_fd,
		attach_btf_obj_fd: prog.attach_btf_obj_fd,
		attach_btf_id: prog.attach_btf_id,
		kern_version: obj.kern_version,
		prog_ifindex: prog.prog_ifindex,
		expected_attach_type: prog.expected_attach_type,
		prog_flags: prog.prog_flags,
		fd_array: obj.fd_array,
	};
	if (obj.btf && obj.btf.fd >= 0 && kernel_supports(lib, FEAT_BTF_FUNC)) {
		attr.prog_btf_fd = obj.btf.fd;
		attr.func_info = prog.func_info;
		attr.func_info_rec_size = prog.func_info_rec_size;
		attr.func_info_cnt = prog.func_info_cnt;
		attr.line_info = prog.line_info;
		attr.line_info_rec_size = prog.line_info_rec_size;
		attr.line_info_cnt = prog.line_info_cnt;
	}
	if (prog.sec_def) {
		const err = libbpf_prepare_prog_load(prog, attr, prog.sec_def.cookie);
		if (err < 0) {
			lib.pr_warn(`prog '${prog.name}': failed to prepare load attributes: ${err}\n`);
			return err;
		}
	}
	const name = kernel_supports(lib, FEAT_PROG_NAME) ? prog.name : null;
	let { log_level } = prog;
	let own = 0;
	let own_size = 0;
	let log_buf = 0;
	let log_size = 0;
	try {
		for (;;) {
			if (log_level) {
				if (prog.log_buf) {
					log_buf = prog.log_buf;
					log_size = prog.log_size;
				} else if (obj.log_buf) {
					log_buf = obj.log_buf;
					log_size = obj.log_size;
				} else {
					if (own) lib.heap.free(own);
					own_size = Math.max(BPF_LOG_BUF_SIZE, own_size * 2);
					own = lib.heap.alloc(own_size);
					lib.sys.store8(own, 0);
					log_buf = own;
					log_size = own_size;
				}
			}
			attr.log_buf = log_buf;
			attr.log_size = log_size;
			attr.log_level = log_level;
			const fd = bpf_prog_load(lib, prog.type, name, obj.license, prog.insns, attr);
			if (fd >= 0) {
				if (log_level && own) {
					lib.pr_debug(
						() =>
							`prog '${prog.name}': -- BEGIN PROG LOAD LOG --\n${read_log(lib, own, own_size)}-- END PROG LOAD LOG --\n`,
					);
				}
				bind_rodata(obj, prog, fd);
				prog.fd = fd;
				return 0;
			}
			if (log_level === 0) {
				log_level = 1;
				continue;
			}
			if (own && fd === -ENOSPC && own_size <= UINT_MAX / 2) continue;
			const text = fixup_verifier_log(prog, log_buf, log_size);
			lib.pr_warn(`prog '${prog.name}': BPF program load failed: ${libbpf_strerror_r(fd)}\n`);
			if (own && text) {
				lib.pr_warn(`prog '${prog.name}': -- BEGIN PROG LOAD LOG --\n${text}-- END PROG LOAD LOG --\n`);
			}
			return fd;
		}
	} finally {
		if (own) lib.heap.free(own);
	}
}

/** .rodata maps live as long as the program, whether it uses them or not. */
function bind_rodata(obj: bpf_object, prog: bpf_program, fd: number): void {
	if (!obj.has_rodata || !kernel_supports(obj.lib, FEAT_PROG_BIND_MAP)) return;
	for (const map of obj.maps) {
		if (map.libbpf_type !== LIBBPF_MAP_RODATA) continue;
		const err = bpf_prog_bind_map(obj.lib, fd, map.fd);
		if (err) {
			obj.lib.pr_warn(
				`prog '${prog.name}': failed to bind map '${map.real_name}': ${libbpf_strerror_r(err)}\n`,
			);
		}
	}
}

/** tools/lib/bpf/libbpf.c: bpf_object__load_progs */
function bpf_object__load_progs(obj: bpf_object, log_level: number): number {
	for (const prog of obj.programs) bpf_object__sanitize_prog(obj, prog);
	for (const prog of obj.programs) {
		if (prog_is_subprog(obj, prog)) continue;
		if (!prog.autoload) {
			obj.lib.pr_debug(() => `prog '${prog.name}': skipped loading\n`);
			continue;
		}
		prog.log_level |= log_level;
		const err = bpf_object_load_prog(obj, prog);
		if (err) {
			obj.lib.pr_warn(`prog '${prog.name}': failed to load: ${err}\n`);
			return err;
		}
	}
	return 0;
}

/** tools/lib/bpf/libbpf.c: bpf_object_init_prog_arrays */
function bpf_object_init_prog_arrays(obj: bpf_object): number {
	for (const map of obj.maps) {
		if (map.init_slots.length === 0 || map.def.type !== BPF_MAP_TYPE_PROG_ARRAY) continue;
		const err = init_slots(map, "prog", (targ: bpf_map | bpf_program) => targ.fd);
		if (err < 0) return err;
	}
	return 0;
}

/** tools/lib/bpf/libbpf.c: bpf_object_unload */
export function bpf_object_unload(obj: bpf_object): void {
	const { sys } = obj.lib;
	for (const map of obj.maps) {
		if (map.fd >= 0) sys.close(map.fd);
		map.fd = -1;
		if (map.st_ops) map.st_ops.kern_vdata = null;
	}
	for (const prog of obj.programs) {
		if (prog.fd >= 0) sys.close(prog.fd);
		prog.fd = -1;
		prog.func_info = null;
		prog.line_info = null;
	}
}

/** tools/lib/bpf/libbpf.c: bpf_object_load */
export function bpf_object_load(
	obj: bpf_object,
	extra_log_level: number,
	target_btf_path: string | null,
): number {
	const { lib } = obj;
	if (obj.loaded) {
		lib.pr_warn(`object '${obj.name}': load can't be attempted twice\n`);
		return -EINVAL;
	}
	const err =
		bpf_object__probe_loading(obj) ||
		bpf_object__load_vmlinux_btf(obj, false) ||
		bpf_object__resolve_externs(obj, obj.kconfig) ||
		bpf_object__sanitize_maps(obj) ||
		bpf_object__init_kern_struct_ops_maps(obj) ||
		bpf_object_adjust_struct_ops_autoload(obj) ||
		bpf_object__relocate(obj, obj.btf_custom_path ?? target_btf_path) ||
		bpf_object__sanitize_and_load_btf(obj) ||
		bpf_object__create_maps(obj) ||
		bpf_object__load_progs(obj, extra_log_level) ||
		bpf_object_init_prog_arrays(obj) ||
		bpf_object_prepare_struct_ops(obj);
	obj.fd_array = [];
	for (const mod of obj.btf_modules) lib.sys.close(mod.fd);
	obj.btf_modules = [];
	obj.btf_vmlinux = null;
	obj.loaded = true;
	if (!err) return 0;
	bpf_object_unload(obj);
	lib.pr_warn(`failed to load object '${obj.path}'\n`);
	return err;
}
