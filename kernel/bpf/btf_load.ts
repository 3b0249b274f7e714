// SPDX-License-Identifier: GPL-2.0-only
/**
 * BTF objects as user space and modules bring them (kernel/bpf/btf.c: btf_parse(), btf_new_fd(),
 * btf_get_info_by_fd(), btf_parse_vmlinux(), btf_parse_module() …).
 */
import { E2BIG, EBADF, EFAULT, EINVAL, ENOENT, ENOSPC } from "../../include/uapi/asm-generic/errno.ts";
import { ATTR_OFF, type bpf_attr, bpf_btf_info } from "../../include/uapi/linux/bpf_attr.ts";
import { IS_ERR } from "../../lib/err.ts";
import {
	type bpfptr_t,
	copy_from_bpfptr,
	copy_from_bpfptr_offset,
	copy_to_bpfptr_offset,
	make_bpfptr,
	USER_BPFPTR,
	u64_to_user_ptr,
} from "../bpfptr.ts";
import { anon_inode_getfd, fdget, type file_operations, O_CLOEXEC, O_RDONLY } from "../file.ts";
import type { Kernel } from "../kernel.ts";
import { impl } from "../kernel_impl.ts";
import { btf_check_type_tags, btf_parse_hdr, btf_parse_str_sec, btf_parse_type_sec } from "./btf_check.ts";
import { purge_cand_cache } from "./btf_core.ts";
import { btf_check_and_fixup_fields, btf_parse_struct_metas } from "./btf_fields.ts";
import { btf_get, btf_obj, btf_open_trusted, btf_put } from "./btf_obj.ts";
import { btf_relocate } from "./btf_relocate.ts";
import type { btf, kmodule } from "./btf_types.ts";
import { type btf_verifier_env, CHECK_META, RESOLVE_TBD } from "./btf_verify.ts";
import { btf_register_tables } from "./kfunc_sets.ts";
import { bpf_vlog_finalize, bpf_vlog_init, new_verifier_log } from "./log.ts";
import type { bpf_verifier_log, UserLogBuffer } from "./verifier_types.ts";

const BTF_MAX_SIZE = 16 * 1024 * 1024;

/** kernel/bpf/btf.c: btf_release */
export const btf_fops: file_operations = {
	name: "btf",
	release: (f) => btf_put(f.private_data as btf),
	show_fdinfo: (f) => `btf_id:\t${(f.private_data as btf).id}\n`,
};

/** kernel/bpf/btf.c: btf_alloc_id: 0 or a negative errno */
export function btf_alloc_id(kernel: Kernel, b: btf): number {
	const id = impl(kernel).bpf.btf_idr.alloc_cyclic(b);
	if (id < 0) return id;
	b.id = id;
	return 0;
}

/**
 * The checks of btf_parse() on bytes that are there: header, strings, types, type tags, special fields. The
 * log is set up by the caller. Returns the BTF or a negative errno.
 */
export function btf_parse_bytes(
	kernel: Kernel | null,
	data: Uint8Array,
	log: bpf_verifier_log,
): btf_obj | number {
	const b = new btf_obj(data, kernel);
	const env: btf_verifier_env = {
		btf: b,
		visit_states: new Uint8Array(0),
		stack: [],
		log,
		log_type_id: 0,
		phase: CHECK_META,
		resolve_mode: RESOLVE_TBD,
	};
	const err =
		btf_parse_hdr(env) || btf_parse_str_sec(env) || btf_parse_type_sec(env) || btf_check_type_tags(env, b, 1);
	if (err) return err;
	const metas = btf_parse_struct_metas(b);
	if (typeof metas === "number") return metas;
	b.struct_meta_tab = metas;
	for (const meta of metas ?? []) {
		const ret = btf_check_and_fixup_fields(b, meta.record);
		if (ret < 0) return ret;
	}
	return b;
}

/** The user's log buffer at an address of the caller's address space. */
function user_log_buffer(kernel: Kernel, addr: bigint): UserLogBuffer | null {
	if (addr === 0n) return null;
	const p = USER_BPFPTR(u64_to_user_ptr(addr));
	return {
		write: (at, bytes) => copy_to_bpfptr_offset(kernel, p, at, bytes) === 0,
		read(at, len) {
			const r = copy_from_bpfptr_offset(kernel, p, at, len);
			return typeof r === "number" ? null : r;
		},
	};
}

/** kernel/bpf/btf.c: finalize_log */
function finalize_log(kernel: Kernel, log: bpf_verifier_log, uattr: bpfptr_t, uattr_size: number): number {
	const true_size = { val: 0 };
	let err = bpf_vlog_finalize(log, true_size);
	if (uattr_size >= ATTR_OFF.btf_log_true_size + 4) {
		const out = new Uint8Array(4);
		new DataView(out.buffer).setUint32(0, true_size.val, true);
		if (copy_to_bpfptr_offset(kernel, uattr, ATTR_OFF.btf_log_true_size, out)) err = -EFAULT;
	}
	return err;
}

/** kernel/bpf/btf.c: btf_parse: what BPF_BTF_LOAD loads */
function btf_parse(kernel: Kernel, attr: bpf_attr, uattr: bpfptr_t, uattr_size: number): btf | number {
	if (attr.btf_size > BTF_MAX_SIZE) return -E2BIG;
	const log = new_verifier_log(kernel.message_tap);
	// the user could ask for a level but give no buffer: then only the size of the log is told
	const err = bpf_vlog_init(
		log,
		attr.btf_log_level,
		user_log_buffer(kernel, attr.btf_log_buf),
		attr.btf_log_size,
	);
	if (err) return err;
	const data = copy_from_bpfptr(kernel, make_bpfptr(attr.btf, uattr.is_kernel), attr.btf_size);
	const b = typeof data === "number" ? -EFAULT : btf_parse_bytes(kernel, data, log);
	const ret = finalize_log(kernel, log, uattr, uattr_size);
	return ret || b;
}

/** kernel/bpf/btf.c: __btf_new_fd */
export function __btf_new_fd(kernel: Kernel, b: btf): number {
	return anon_inode_getfd(kernel, "btf", btf_fops, b, O_RDONLY | O_CLOEXEC);
}

/** kernel/bpf/btf.c: btf_new_fd: BPF_BTF_LOAD; a descriptor or a negative errno */
export function btf_new_fd(kernel: Kernel, attr: bpf_attr, uattr: bpfptr_t, uattr_size: number): number {
	const b = btf_parse(kernel, attr, uattr, uattr_size);
	if (IS_ERR(b)) return b;
	const o = b as btf;
	const err = btf_alloc_id(kernel, o);
	if (err) return err;
	// the id is visible before the descriptor is
	const fd = __btf_new_fd(kernel, o);
	if (fd < 0) btf_put(o);
	return fd;
}

/** kernel/bpf/btf.c: btf_get_by_fd: the BTF behind a descriptor, with a reference */
export function btf_get_by_fd(kernel: Kernel, fd: number): btf | number {
	const f = fdget(kernel, fd);
	if (!f) return -EBADF;
	if (f.f_op !== btf_fops) return -EINVAL;
	const b = f.private_data as btf;
	btf_get(b);
	return b;
}

/** kernel/bpf/btf.c: btf_get_info_by_fd; `uattr` is the user's address of the attributes */
export function btf_get_info_by_fd(kernel: Kernel, b: btf, attr: bpf_attr, uattr: number): number {
	const k = impl(kernel);
	const uinfo = u64_to_user_ptr(attr.info_info);
	const info_copy = Math.min(attr.info_info_len, bpf_btf_info.SIZE);
	const given = k.copy_from_user(uinfo, info_copy);
	if (!given) return -EFAULT;
	const info = new bpf_btf_info();
	info.bytes.set(given);

	info.id = b.id;
	const btf_copy = Math.min(b.data.length, info.btf_size);
	if (!k.copy_to_user(u64_to_user_ptr(info.btf), b.data.subarray(0, btf_copy))) return -EFAULT;
	info.btf_size = b.data.length;
	info.kernel_btf = b.kernel_btf ? 1 : 0;

	const uname = info.name;
	const uname_len = info.name_len;
	if ((uname === 0n) !== (uname_len === 0)) return -EINVAL;
	const name = Buffer.from(`${b.name}\0`, "latin1");
	info.name_len = name.length - 1;
	let ret = 0;
	if (uname !== 0n) {
		const to = u64_to_user_ptr(uname);
		if (uname_len >= name.length) {
			if (!k.copy_to_user(to, name)) return -EFAULT;
		} else {
			if (!k.copy_to_user(to, name.subarray(0, uname_len - 1))) return -EFAULT;
			if (!k.copy_to_user(to + uname_len - 1, Uint8Array.of(0))) return -EFAULT;
			// what fits, and the size that would
			ret = -ENOSPC;
		}
	}
	if (
		!k.copy_to_user(uinfo, info.bytes.subarray(0, info_copy)) ||
		!k.put_user32(uattr + ATTR_OFF.info_info_len, info_copy)
	)
		return -EFAULT;
	return ret;
}

/** kernel/bpf/btf.c: btf_get_fd_by_id */
export function btf_get_fd_by_id(kernel: Kernel, id: number): number {
	const b = kernel.bpf.btfs.get(id);
	if (!b || b.refcnt === 0) return -ENOENT;
	btf_get(b);
	const fd = __btf_new_fd(kernel, b);
	if (fd < 0) btf_put(b);
	return fd;
}

/**
 * kernel/bpf/btf.c: btf_parse_vmlinux: open the kernel's own types, give them an id, and register the kernel's
 * kfuncs and destructors. The bytes are trusted: they are the kernel's own or plugged in.
 */
export function btf_parse_vmlinux(kernel: Kernel, data: Uint8Array): btf | number {
	const b = btf_open_trusted(kernel, data, "vmlinux");
	if (typeof b === "number") return b;
	const err = btf_alloc_id(kernel, b);
	if (err) return err;
	impl(kernel).bpf.btf_fd = (m) => __btf_new_fd(kernel, m);
	btf_register_tables(b);
	return b;
}

/**
 * kernel/bpf/btf.c: btf_parse_module and btf_module_notify: the BTF of a module that comes in. The caller
 * enters it into kernel.bpf.module_btfs.
 */
export function btf_parse_module(
	kernel: Kernel,
	module: kmodule,
	data: Uint8Array,
	base_data: Uint8Array | null = null,
): btf | number {
	const vmlinux = kernel.bpf.bpf_get_btf_vmlinux();
	if (IS_ERR(vmlinux)) return vmlinux;
	if (!vmlinux) return -EINVAL;
	// a module built apart from the kernel brings the types it was built against, distilled
	const base = base_data ? btf_open_trusted(kernel, base_data, ".BTF.base") : vmlinux;
	if (typeof base === "number") return base;
	const b = btf_open_trusted(kernel, data, module.name, base);
	if (typeof b === "number") return b;
	let err = base_data ? btf_relocate(b, vmlinux) : 0;
	if (err) return err;
	err = btf_alloc_id(kernel, b);
	if (err) return err;
	b.module = module;
	b.module_live = true;
	purge_cand_cache(vmlinux, null);
	btf_register_tables(b);
	return b;
}

/** kernel/bpf/btf.c: btf_module_notify, MODULE_STATE_GOING */
export function btf_module_going(kernel: Kernel, name: string): void {
	const entry = kernel.bpf.module_btfs.get(name);
	if (!entry) return;
	kernel.bpf.module_btfs.delete(name);
	kernel.bpf.btfs.delete(entry.btf.id);
	entry.btf.id = 0;
	const vmlinux = kernel.bpf.bpf_get_btf_vmlinux();
	if (!IS_ERR(vmlinux) && vmlinux) purge_cand_cache(vmlinux, entry.btf);
	btf_put(entry.btf);
}

/** kernel/bpf/verifier.c: bpf_get_btf_vmlinux */
export function bpf_get_btf_vmlinux(kernel: Kernel): btf | number {
	return kernel.bpf.bpf_get_btf_vmlinux();
}
