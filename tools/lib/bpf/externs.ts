// SPDX-License-Identifier: GPL-2.0-only
/**
 * Externs get their values: kernel configuration, kernel version, symbols, kfuncs and variables of the
 * kernel's BTF. tools/lib/bpf/libbpf.c: bpf_object__resolve_externs and what it calls.
 */
import { gunzipSync } from "node:zlib";
import { E2BIG, EINVAL, ENOENT, ERANGE, ESRCH } from "../../../include/uapi/asm-generic/errno.ts";
import { BTF_KIND_FUNC, BTF_KIND_VAR } from "../../../include/uapi/linux/btf.ts";
import { bpf_core_types_are_compat } from "../../../lib/relo_core.ts";
import { btf_is_var, btf_kind_str } from "./btf.ts";
import { kernel_supports } from "./features.ts";
import { FEAT_BPF_COOKIE, FEAT_SYSCALL_WRAPPER, get_kernel_version } from "./libbpf_internal.ts";
import {
	type bpf_object,
	EXT_KCFG,
	EXT_KSYM,
	type extern_desc,
	KCFG_BOOL,
	KCFG_CHAR,
	KCFG_CHAR_ARR,
	KCFG_INT,
	KCFG_TRISTATE,
} from "./libbpf_types.ts";
import { find_ksym_btf_id } from "./module_btf.ts";
import { find_extern_by_name } from "./open.ts";
import { core_ctx } from "./relocate.ts";

// enum libbpf_tristate
const TRI_NO = 0;
const TRI_YES = 1;
const TRI_MODULE = 2;

function store(data: Uint8Array, at: number, size: number, value: bigint): void {
	for (let i = 0; i < size; i++) data[at + i] = Number((value >> BigInt(i * 8)) & 0xffn);
}

function set_kcfg_value_tri(obj: bpf_object, ext: extern_desc, data: Uint8Array, value: string): number {
	const at = ext.kcfg.data_off;
	switch (ext.kcfg.type) {
		case KCFG_BOOL:
			if (value === "m") {
				obj.lib.pr_warn(`extern (kcfg) '${ext.name}': value '${value}' implies tristate or char type\n`);
				return -EINVAL;
			}
			data[at] = value === "y" ? 1 : 0;
			break;
		case KCFG_TRISTATE:
			store(data, at, 4, BigInt(value === "y" ? TRI_YES : value === "m" ? TRI_MODULE : TRI_NO));
			break;
		case KCFG_CHAR:
			data[at] = value.charCodeAt(0);
			break;
		default:
			obj.lib.pr_warn(`extern (kcfg) '${ext.name}': value '${value}' implies bool, tristate, or char type\n`);
			return -EINVAL;
	}
	ext.is_set = true;
	return 0;
}

function set_kcfg_value_str(obj: bpf_object, ext: extern_desc, data: Uint8Array, value: string): number {
	if (ext.kcfg.type !== KCFG_CHAR_ARR) {
		obj.lib.pr_warn(`extern (kcfg) '${ext.name}': value '${value}' implies char array type\n`);
		return -EINVAL;
	}
	if (value.length < 2 || !value.endsWith('"')) {
		obj.lib.pr_warn(`extern (kcfg) '${ext.name}': invalid string config '${value}'\n`);
		return -EINVAL;
	}
	let bytes = new TextEncoder().encode(value.slice(1, -1));
	if (bytes.length >= ext.kcfg.sz) {
		obj.lib.pr_warn(
			`extern (kcfg) '${ext.name}': long string '${value}' of (${bytes.length} bytes) truncated to ${ext.kcfg.sz - 1} bytes\n`,
		);
		bytes = bytes.subarray(0, ext.kcfg.sz - 1);
	}
	data.set(bytes, ext.kcfg.data_off);
	data[ext.kcfg.data_off + bytes.length] = 0;
	ext.is_set = true;
	return 0;
}

function is_kcfg_value_in_range(ext: extern_desc, v: bigint): boolean {
	const bits = ext.kcfg.sz * 8;
	if (ext.kcfg.sz === 8) return true;
	if (ext.kcfg.is_signed) return BigInt.asUintN(64, v + (1n << BigInt(bits - 1))) < 1n << BigInt(bits);
	return v >> BigInt(bits) === 0n;
}

function set_kcfg_value_num(obj: bpf_object, ext: extern_desc, data: Uint8Array, value: bigint): number {
	const { lib } = obj;
	const { type, sz } = ext.kcfg;
	if (type !== KCFG_INT && type !== KCFG_CHAR && type !== KCFG_BOOL) {
		lib.pr_warn(`extern (kcfg) '${ext.name}': value '${value}' implies integer, char, or boolean type\n`);
		return -EINVAL;
	}
	if (type === KCFG_BOOL && value > 1n) {
		lib.pr_warn(`extern (kcfg) '${ext.name}': value '${value}' isn't boolean compatible\n`);
		return -EINVAL;
	}
	if (!is_kcfg_value_in_range(ext, value)) {
		lib.pr_warn(`extern (kcfg) '${ext.name}': value '${value}' doesn't fit in ${sz} bytes\n`);
		return -ERANGE;
	}
	store(data, ext.kcfg.data_off, sz, value);
	ext.is_set = true;
	return 0;
}

/** strtoull(3) with base 0 on a whole string: decimal, 0x… or 0…; a minus wraps. */
function parse_u64(text: string): bigint | null {
	const m = /^\s*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)$/.exec(text);
	if (!m) return null;
	const digits = m[2]!;
	const n = /^0[0-7]+$/.test(digits) ? BigInt(`0o${digits.slice(1)}`) : BigInt(digits);
	if (n >= 1n << 64n) return null;
	return BigInt.asUintN(64, m[1] === "-" ? -n : n);
}

/** tools/lib/bpf/libbpf.c: bpf_object__process_kconfig_line */
function process_kconfig_line(obj: bpf_object, line: string, data: Uint8Array): number {
	const { lib } = obj;
	if (!line.startsWith("CONFIG_")) return 0;
	const sep = line.indexOf("=");
	if (sep < 0) {
		lib.pr_warn(`failed to parse '${line}': no separator\n`);
		return -EINVAL;
	}
	const value = line.slice(sep + 1);
	if (value === "") {
		lib.pr_warn(`failed to parse '${line}': no value\n`);
		return -EINVAL;
	}
	const ext = find_extern_by_name(obj, line.slice(0, sep));
	if (!ext || ext.is_set) return 0;
	let err: number;
	if (/^[ynm]/.test(value)) {
		err = set_kcfg_value_tri(obj, ext, data, value[0]!);
	} else if (value.startsWith('"')) {
		err = set_kcfg_value_str(obj, ext, data, value);
	} else {
		const num = parse_u64(value);
		if (num === null) {
			lib.pr_warn(`failed to parse '${value}' as integer completely\n`);
			lib.pr_warn(`extern (kcfg) '${ext.name}': value '${value}' isn't a valid integer\n`);
			return -EINVAL;
		}
		if (ext.kcfg.type !== KCFG_INT && ext.kcfg.type !== KCFG_CHAR) {
			lib.pr_warn(`extern (kcfg) '${ext.name}': value '${value}' implies integer type\n`);
			return -EINVAL;
		}
		err = set_kcfg_value_num(obj, ext, data, num);
	}
	if (err) return err;
	lib.pr_debug(() => `extern (kcfg) '${ext.name}': set to ${value}\n`);
	return 0;
}

function read_kconfig_text(obj: bpf_object, text: string, data: Uint8Array, what: string): number {
	for (const line of text.split("\n")) {
		const err = process_kconfig_line(obj, line, data);
		if (err) {
			obj.lib.pr_warn(`error parsing ${what} Kconfig line '${line}': ${err}\n`);
			return err;
		}
	}
	return 0;
}

/** tools/lib/bpf/libbpf.c: bpf_object__read_kconfig_file */
function read_kconfig_file(obj: bpf_object, data: Uint8Array): number {
	const { lib } = obj;
	let bytes: Uint8Array | number = lib.sys.readFile(`/boot/config-${lib.release()}`);
	if (typeof bytes === "number") bytes = lib.sys.readFile("/proc/config.gz");
	if (typeof bytes === "number") {
		lib.pr_warn("failed to open system Kconfig\n");
		return -ENOENT;
	}
	if (bytes[0] === 0x1f && bytes[1] === 0x8b) bytes = gunzipSync(bytes);
	return read_kconfig_text(obj, new TextDecoder().decode(bytes), data, "system");
}

/** tools/lib/bpf/libbpf.c: bpf_object__read_kallsyms_file: addresses of `void` ksyms. */
function read_kallsyms_file(obj: bpf_object): number {
	const { lib } = obj;
	const bytes = lib.sys.readFile("/proc/kallsyms");
	if (typeof bytes === "number") {
		lib.pr_warn(`failed to open /proc/kallsyms: ${bytes}\n`);
		return bytes;
	}
	const wanted = new Map<string, extern_desc>();
	for (const ext of obj.externs) {
		if (ext.type !== EXT_KSYM) continue;
		if (btf_is_var(obj.btf!.type_by_id(ext.btf_id)!)) wanted.set(ext.name, ext);
	}
	const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
	for (let at = 0; at < text.length; ) {
		let end = text.indexOf("\n", at);
		if (end < 0) end = text.length;
		// "address type name [module]"
		const line = text.slice(at, end);
		const type_at = line.indexOf(" ") + 1;
		// of the line, not of the text: a kernel without modules has no tab in a hundred thousand lines
		const tab = line.indexOf("\t", type_at);
		let name = line.slice(type_at + 2, tab < 0 ? line.length : tab).trimEnd();
		const llvm = line[type_at] === "d" ? name.indexOf(".llvm.") : -1;
		if (llvm >= 0) name = name.slice(0, llvm);
		const ext = wanted.get(name);
		if (ext) {
			const addr = BigInt(`0x${line.slice(0, type_at - 1)}`);
			if (ext.is_set && ext.ksym.addr !== addr) {
				lib.pr_warn(
					`extern (ksym) '${name}': resolution is ambiguous: 0x${ext.ksym.addr.toString(16)} or 0x${addr.toString(16)}\n`,
				);
				return -EINVAL;
			}
			ext.is_set = true;
			ext.ksym.addr = addr;
			lib.pr_debug(() => `extern (ksym) '${name}': set to 0x${addr.toString(16)}\n`);
		}
		at = end + 1;
	}
	return 0;
}

/** tools/lib/bpf/libbpf.c: bpf_object__resolve_ksym_var_btf_id */
function resolve_ksym_var_btf_id(obj: bpf_object, ext: extern_desc): number {
	const { lib } = obj;
	const found = find_ksym_btf_id(obj, ext.name, BTF_KIND_VAR);
	if (typeof found === "number") {
		if (found === -ESRCH && ext.is_weak) return 0;
		lib.pr_warn(`extern (var ksym) '${ext.name}': not found in kernel BTF\n`);
		return found;
	}
	const { btf, id, mod_btf } = found;
	const targ_var = btf.type_by_id(id)!;
	const targ_type = btf.skip_mods_and_typedefs(targ_var.type);
	const local_btf = obj.btf!;
	const local_id = ext.ksym.type_id;
	if (bpf_core_types_are_compat(core_ctx(obj, ""), local_btf, local_id, btf, targ_type.id) <= 0) {
		const local_type = local_btf.type_by_id(local_id)!;
		lib.pr_warn(
			`extern (var ksym) '${ext.name}': incompatible types, expected [${local_id}] ${btf_kind_str(local_type)} ${local_btf.name(local_type.name_off)}, but kernel has [${targ_type.id}] ${btf_kind_str(targ_type)} ${btf.name(targ_type.name_off)}\n`,
		);
		return -EINVAL;
	}
	ext.is_set = true;
	ext.ksym.kernel_btf_obj_fd = mod_btf ? mod_btf.fd : 0;
	ext.ksym.kernel_btf_id = id;
	lib.pr_debug(
		() =>
			`extern (var ksym) '${ext.name}': resolved to [${id}] ${btf_kind_str(targ_var)} ${btf.name(targ_var.name_off)}\n`,
	);
	return 0;
}

/** tools/lib/bpf/libbpf.c: bpf_object__resolve_ksym_func_btf_id */
function resolve_ksym_func_btf_id(obj: bpf_object, ext: extern_desc): number {
	const { lib } = obj;
	const found = find_ksym_btf_id(obj, ext.essent_name ?? ext.name, BTF_KIND_FUNC);
	if (typeof found === "number") {
		if (found === -ESRCH && ext.is_weak) return 0;
		lib.pr_warn(`extern (func ksym) '${ext.name}': not found in kernel or module BTFs\n`);
		return found;
	}
	const { btf, id, mod_btf } = found;
	const kfunc_proto_id = btf.type_by_id(id)!.type;
	if (bpf_core_types_are_compat(core_ctx(obj, ""), obj.btf!, ext.ksym.type_id, btf, kfunc_proto_id) <= 0) {
		if (ext.is_weak) return 0;
		lib.pr_warn(
			`extern (func ksym) '${ext.name}': func_proto [${ext.ksym.type_id}] incompatible with ${mod_btf ? mod_btf.name : "vmlinux"} [${kfunc_proto_id}]\n`,
		);
		return -EINVAL;
	}
	if (mod_btf && !mod_btf.fd_array_idx) {
		if (obj.fd_array.length === 32767) {
			lib.pr_warn(
				`extern (func ksym) '${ext.name}': module BTF fd index ${mod_btf.fd_array_idx} too big to fit in bpf_insn offset\n`,
			);
			return -E2BIG;
		}
		// Index 0 is vmlinux.
		if (obj.fd_array.length === 0) obj.fd_array.push(0);
		mod_btf.fd_array_idx = obj.fd_array.length;
		obj.fd_array.push(mod_btf.fd);
	}
	ext.is_set = true;
	ext.ksym.kernel_btf_id = id;
	ext.ksym.btf_fd_idx = mod_btf ? mod_btf.fd_array_idx : 0;
	ext.ksym.kernel_btf_obj_fd = mod_btf ? mod_btf.fd : 0;
	lib.pr_debug(
		() => `extern (func ksym) '${ext.name}': resolved to ${mod_btf ? mod_btf.name : "vmlinux"} [${id}]\n`,
	);
	return 0;
}

/** tools/lib/bpf/libbpf.c: bpf_object__resolve_externs */
export function bpf_object__resolve_externs(obj: bpf_object, extra_kconfig: string | null): number {
	const { lib } = obj;
	if (obj.externs.length === 0) return 0;
	const kcfg_data = obj.kconfig_map_idx >= 0 ? obj.maps[obj.kconfig_map_idx]!.init_data! : new Uint8Array(0);
	let need_config = false;
	let need_kallsyms = false;
	let need_vmlinux_btf = false;
	for (const ext of obj.externs) {
		if (ext.type === EXT_KSYM) {
			if (ext.ksym.type_id) need_vmlinux_btf = true;
			else need_kallsyms = true;
		} else if (ext.type === EXT_KCFG) {
			let value = 0n;
			if (ext.name.startsWith("CONFIG_")) {
				need_config = true;
				continue;
			}
			if (ext.name === "LINUX_KERNEL_VERSION") {
				value = BigInt(get_kernel_version(lib));
				if (!value) {
					lib.pr_warn(`extern (kcfg) '${ext.name}': failed to get kernel version\n`);
					return -EINVAL;
				}
			} else if (ext.name === "LINUX_HAS_BPF_COOKIE") {
				value = kernel_supports(lib, FEAT_BPF_COOKIE) ? 1n : 0n;
			} else if (ext.name === "LINUX_HAS_SYSCALL_WRAPPER") {
				value = kernel_supports(lib, FEAT_SYSCALL_WRAPPER) ? 1n : 0n;
			} else if (!ext.name.startsWith("LINUX_") || !ext.is_weak) {
				lib.pr_warn(`extern (kcfg) '${ext.name}': unrecognized virtual extern\n`);
				return -EINVAL;
			}
			const err = set_kcfg_value_num(obj, ext, kcfg_data, value);
			if (err) return err;
			lib.pr_debug(() => `extern (kcfg) '${ext.name}': set to 0x${value.toString(16)}\n`);
		} else {
			lib.pr_warn(`extern '${ext.name}': unrecognized extern kind\n`);
			return -EINVAL;
		}
	}
	if (need_config && extra_kconfig !== null) {
		if (read_kconfig_text(obj, extra_kconfig, kcfg_data, "in-memory")) return -EINVAL;
		need_config = obj.externs.some((e) => e.type === EXT_KCFG && !e.is_set);
	}
	if (need_config && read_kconfig_file(obj, kcfg_data)) return -EINVAL;
	if (need_kallsyms && read_kallsyms_file(obj)) return -EINVAL;
	if (need_vmlinux_btf) {
		for (const ext of obj.externs) {
			if (ext.type !== EXT_KSYM || !ext.ksym.type_id) continue;
			const err = btf_is_var(obj.btf!.type_by_id(ext.btf_id)!)
				? resolve_ksym_var_btf_id(obj, ext)
				: resolve_ksym_func_btf_id(obj, ext);
			if (err) return -EINVAL;
		}
	}
	for (const ext of obj.externs) {
		if (ext.is_set) continue;
		if (!ext.is_weak) {
			lib.pr_warn(`extern '${ext.name}' (strong): not resolved\n`);
			return -ESRCH;
		}
		lib.pr_debug(() => `extern '${ext.name}' (weak): not resolved, defaulting to zero\n`);
	}
	return 0;
}
