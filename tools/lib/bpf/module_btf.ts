// SPDX-License-Identifier: GPL-2.0-only
/** The kernel's BTF and that of its modules, and names looked up in them (tools/lib/bpf/libbpf.c, btf.c). */
import { readFileSync } from "node:fs";
import {
	EINVAL,
	EIO,
	ENAMETOOLONG,
	ENODATA,
	ENOENT,
	EPERM,
	ESRCH,
} from "../../../include/uapi/asm-generic/errno.ts";
import {
	BPF_LSM_CGROUP,
	BPF_LSM_MAC,
	BPF_TRACE_ITER,
	BPF_TRACE_RAW_TP,
} from "../../../include/uapi/linux/bpf.ts";
import { BTF_KIND_FUNC, BTF_KIND_TYPEDEF } from "../../../include/uapi/linux/btf.ts";
import {
	bpf_btf_get_fd_by_id,
	bpf_btf_get_info_by_fd,
	bpf_btf_get_next_id,
	bpf_prog_get_info_by_fd,
} from "./bpf.ts";
import { type Btf, btf__new } from "./btf.ts";
import { Elf } from "./elf.ts";
import { kernel_supports } from "./features.ts";
import { FEAT_MODULE_BTF, LIBBPF_ERRNO__FORMAT, type Libbpf, libbpf_strerror_r } from "./libbpf_internal.ts";
import type { bpf_object, module_btf } from "./libbpf_types.ts";

const BTF_MAX_NAME_SIZE = 128;

/** tools/lib/bpf/btf.c: btf__load_vmlinux_btf; parsed once for the process. */
export function btf__load_vmlinux_btf(lib: Libbpf): Btf | number {
	if (lib.btf_vmlinux) return lib.btf_vmlinux;
	const path = "/sys/kernel/btf/vmlinux";
	const raw = lib.sys.readFile(path);
	if (typeof raw === "number") {
		lib.pr_warn(`kernel BTF is missing at '${path}', was CONFIG_DEBUG_INFO_BTF enabled?\n`);
		lib.pr_warn("failed to find valid kernel BTF\n");
		return -ESRCH;
	}
	const btf = btf__new(lib, raw);
	if (typeof btf === "number") {
		lib.pr_warn(`failed to read kernel BTF from '${path}': ${btf}\n`);
		return btf;
	}
	btf.ptr_sz = btf.determine_ptr_size();
	lib.pr_debug(() => `loaded kernel BTF from '${path}'\n`);
	lib.btf_vmlinux = btf;
	return btf;
}

/** tools/lib/bpf/btf.c: btf__parse: a raw BTF file, or the .BTF of an ELF object, of the machine this runs on. */
export function btf__parse(lib: Libbpf, path: string): Btf | number {
	let bytes: Uint8Array;
	try {
		bytes = new Uint8Array(readFileSync(path));
	} catch (e) {
		const err = (e as NodeJS.ErrnoException).errno ?? -EIO;
		lib.pr_warn(`failed to open ${path}: ${libbpf_strerror_r(err)}\n`);
		return err;
	}
	const elf = Elf.memory(bytes);
	if (elf === null) return btf__new(lib, bytes);
	const bad = (what: string): number => {
		lib.pr_warn(`failed to get ${what} from ${path}\n`);
		return -LIBBPF_ERRNO__FORMAT;
	};
	if (typeof elf === "string") return bad("EHDR");
	for (let i = 1; i < elf.shnum; i++) {
		const sh = elf.shdr(i);
		if (!sh) return bad(`section(${i}) header`);
		const name = elf.strptr(elf.shstrndx, sh.sh_name);
		if (name === null) return bad(`section(${i}) name`);
		if (name !== ".BTF") continue;
		const data = elf.data(sh);
		if (!data?.d_buf) return bad(`section(${i}, ${name}) data`);
		return btf__new(lib, data.d_buf);
	}
	lib.pr_warn(`failed to find '.BTF' ELF section in ${path}\n`);
	return -ENODATA;
}

/** tools/lib/bpf/btf.c: btf_get_from_fd */
export function btf_get_from_fd(lib: Libbpf, fd: number, base_btf: Btf | null): Btf | number {
	const info = bpf_btf_get_info_by_fd(lib, fd, true);
	return typeof info === "number" ? info : btf__new(lib, info.btf, base_btf);
}

/** tools/lib/bpf/btf.c: btf__load_from_kernel_by_id */
export function btf__load_from_kernel_by_id(
	lib: Libbpf,
	id: number,
	base_btf: Btf | null = null,
): Btf | number {
	const fd = bpf_btf_get_fd_by_id(lib, id);
	if (fd < 0) return fd;
	const btf = btf_get_from_fd(lib, fd, base_btf);
	lib.sys.close(fd);
	return btf;
}

/** tools/lib/bpf/libbpf.c: load_module_btfs. Bytes of a module's BTF are fetched once for the process. */
export function load_module_btfs(obj: bpf_object): number {
	const { lib } = obj;
	if (obj.btf_modules_loaded) return 0;
	obj.btf_modules_loaded = true;
	if (!kernel_supports(lib, FEAT_MODULE_BTF)) return 0;
	let id = 0;
	for (;;) {
		id = bpf_btf_get_next_id(lib, id);
		if (id === -ENOENT) return 0;
		if (id === -EPERM) {
			lib.pr_debug(() => "skipping module BTFs loading, missing privileges\n");
			return 0;
		}
		if (id < 0) {
			lib.pr_warn(`failed to iterate BTF objects: ${id}\n`);
			return id;
		}
		const fd = bpf_btf_get_fd_by_id(lib, id);
		if (fd < 0) {
			if (fd === -ENOENT) continue;
			lib.pr_warn(`failed to get BTF object #${id} FD: ${fd}\n`);
			return fd;
		}
		let data = lib.btf_modules.get(id);
		if (!data) {
			const info = bpf_btf_get_info_by_fd(lib, fd, false);
			if (typeof info === "number") {
				lib.pr_warn(`failed to get BTF object #${id} info: ${info}\n`);
				lib.sys.close(fd);
				return info;
			}
			if (!info.kernel_btf || info.name === "vmlinux") {
				lib.sys.close(fd);
				continue;
			}
			const btf = btf_get_from_fd(lib, fd, obj.btf_vmlinux);
			if (typeof btf === "number") {
				lib.pr_warn(`failed to load module [${info.name}]'s BTF object #${id}: ${btf}\n`);
				lib.sys.close(fd);
				return btf;
			}
			data = { name: info.name, btf };
			lib.btf_modules.set(id, data);
		}
		obj.btf_modules.push({ btf: data.btf, name: data.name, id, fd, fd_array_idx: 0 });
	}
}

/** tools/lib/bpf/libbpf.c: find_ksym_btf_id: a name in vmlinux, else in the first module that has it; -ESRCH. */
export function find_ksym_btf_id(
	obj: bpf_object,
	ksym_name: string,
	kind: number,
): { id: number; btf: Btf; mod_btf: module_btf | null } | number {
	const vmlinux = obj.btf_vmlinux;
	if (!vmlinux) return -ESRCH;
	let id = vmlinux.find_by_name_kind(ksym_name, kind);
	if (id > 0) return { id, btf: vmlinux, mod_btf: null };
	if (id === -ENOENT) {
		const err = load_module_btfs(obj);
		if (err) return err;
		for (const mod_btf of obj.btf_modules) {
			id = mod_btf.btf.find_by_name_kind_own(ksym_name, kind);
			if (id > 0) return { id, btf: mod_btf.btf, mod_btf };
			if (id !== -ENOENT) break;
		}
	}
	return -ESRCH;
}

/** tools/lib/bpf/libbpf.c: find_attach_btf_id */
export function find_attach_btf_id(btf: Btf, name: string, attach_type: number): number {
	let prefix = "";
	let kind = BTF_KIND_FUNC;
	switch (attach_type) {
		case BPF_TRACE_RAW_TP:
			prefix = "btf_trace_";
			kind = BTF_KIND_TYPEDEF;
			break;
		case BPF_LSM_MAC:
		case BPF_LSM_CGROUP:
			prefix = "bpf_lsm_";
			break;
		case BPF_TRACE_ITER:
			prefix = "bpf_iter_";
			break;
		default:
			break;
	}
	const full = prefix + name;
	return full.length >= BTF_MAX_NAME_SIZE ? -ENAMETOOLONG : btf.find_by_name_kind(full, kind);
}

/** tools/lib/bpf/libbpf.c: libbpf_find_prog_btf_id: a function of a program that is loaded. */
export function libbpf_find_prog_btf_id(lib: Libbpf, name: string, attach_prog_fd: number): number {
	const info = bpf_prog_get_info_by_fd(lib, attach_prog_fd);
	if (typeof info === "number") {
		lib.pr_warn(`failed bpf_prog_get_info_by_fd for FD ${attach_prog_fd}: ${info}\n`);
		return info;
	}
	if (!info.btf_id) {
		lib.pr_warn("The target program doesn't have BTF\n");
		return -EINVAL;
	}
	const btf = btf__load_from_kernel_by_id(lib, info.btf_id);
	if (typeof btf === "number") {
		lib.pr_warn(`Failed to get BTF ${info.btf_id} of the program: ${btf}\n`);
		return btf;
	}
	const id = btf.find_by_name_kind(name, BTF_KIND_FUNC);
	if (id <= 0) lib.pr_warn(`${name} is not found in prog's BTF\n`);
	return id;
}

/** tools/lib/bpf/libbpf.c: libbpf_find_vmlinux_btf_id */
export function libbpf_find_vmlinux_btf_id(lib: Libbpf, name: string, attach_type: number): number {
	const btf = btf__load_vmlinux_btf(lib);
	if (typeof btf === "number") {
		lib.pr_warn("vmlinux BTF is not found\n");
		return btf;
	}
	const id = find_attach_btf_id(btf, name, attach_type);
	if (id <= 0) lib.pr_warn(`${name} is not found in vmlinux BTF\n`);
	return id;
}

/** tools/lib/bpf/libbpf.c: find_kernel_btf_id: `name` or `module:name`. */
export function find_kernel_btf_id(
	obj: bpf_object,
	attach_name: string,
	attach_type: number,
): { btf_obj_fd: number; btf_type_id: number } | number {
	const colon = attach_name.indexOf(":");
	const mod_name = colon < 0 ? null : attach_name.slice(0, colon);
	const fn_name = colon < 0 ? attach_name : attach_name.slice(colon + 1);
	if ((mod_name === null || "vmlinux".startsWith(mod_name)) && obj.btf_vmlinux) {
		const ret = find_attach_btf_id(obj.btf_vmlinux, fn_name, attach_type);
		if (ret > 0) return { btf_obj_fd: 0, btf_type_id: ret };
		if (ret !== -ENOENT) return ret;
	}
	const err = load_module_btfs(obj);
	if (err) return err;
	for (const mod of obj.btf_modules) {
		if (mod_name !== null && !mod.name.startsWith(mod_name)) continue;
		const ret = find_attach_btf_id(mod.btf, fn_name, attach_type);
		if (ret > 0) return { btf_obj_fd: mod.fd, btf_type_id: ret };
		if (ret !== -ENOENT) return ret;
	}
	return -ESRCH;
}
