// SPDX-License-Identifier: GPL-2.0-only
/**
 * libbpf's interface (tools/lib/bpf/libbpf.h): objects, programs, maps. Functions have libbpf's names and
 * take what libbpf takes, with a `Libbpf` (one process's) where C has hidden state. What returns a
 * pointer there returns the object or a negative errno here, or null where C says NULL for "none".
 */
import { EBUSY, EINVAL, ENOENT, EOPNOTSUPP } from "../../../include/uapi/asm-generic/errno.ts";
import {
	BPF_MAP_TYPE_ARENA,
	BPF_MAP_TYPE_ARRAY,
	BPF_MAP_TYPE_LRU_PERCPU_HASH,
	BPF_MAP_TYPE_PERCPU_ARRAY,
	BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE,
	BPF_MAP_TYPE_PERCPU_HASH,
} from "../../../include/uapi/linux/bpf.ts";
import {
	bpf_map_delete_elem,
	bpf_map_get_next_key,
	bpf_map_lookup_and_delete_elem,
	bpf_map_lookup_elem,
	bpf_map_update_elem,
} from "./bpf.ts";
import {
	btf_array,
	btf_is_array,
	btf_is_datasec,
	btf_var_secinfo_at,
	btf_vlen,
	set_btf_var_secinfo,
} from "./btf.ts";
import {
	adjust_ringbuf_sz,
	bpf_map__is_struct_ops,
	bpf_map__name,
	bpf_map_type__is_map_in_map,
	map_is_ringbuf,
} from "./init_maps.ts";
import { roundup } from "./libbpf_internal.ts";
import {
	type bpf_map,
	type bpf_object,
	type bpf_program,
	LIBBPF_MAP_KCONFIG,
	prog_is_subprog,
} from "./libbpf_types.ts";
import { bpf_object__load_vmlinux_btf, bpf_object_load, bpf_object_unload } from "./load.ts";
import { find_kernel_btf_id, libbpf_find_prog_btf_id } from "./module_btf.ts";

export * from "./attach_probe.ts";
export * from "./bpf.ts";
export { bpf_map__pin, bpf_map__reuse_fd } from "./create_maps.ts";
export { bpf_map__name, bpf_object__find_map_by_name } from "./init_maps.ts";
export type { libbpf_print_fn_t } from "./libbpf_internal.ts";
export { LIBBPF_DEBUG, LIBBPF_INFO, LIBBPF_WARN, Libbpf, libbpf_strerror_r } from "./libbpf_internal.ts";
export type { bpf_map, bpf_object, bpf_program } from "./libbpf_types.ts";
export { bpf_map__is_internal } from "./libbpf_types.ts";
export * from "./link.ts";
export { read_log } from "./load.ts";
export { btf__load_vmlinux_btf, libbpf_find_vmlinux_btf_id } from "./module_btf.ts";
export { bpf_object__open_file, bpf_object__open_mem, type bpf_object_open_opts } from "./open.ts";
export * from "./perf_buffer.ts";
export * from "./ringbuf.ts";
export { type bpf_sec_def, find_sec_def } from "./sec_def.ts";

/** Load everything that is not told otherwise: 0 or a negative errno. */
export function bpf_object__load(obj: bpf_object): number {
	return bpf_object_load(obj, 0, null);
}

/** Closes what the object holds open. Links are the caller's. */
export function bpf_object__close(obj: bpf_object): void {
	bpf_object_unload(obj);
	if (obj.btf && obj.btf.fd >= 0) {
		obj.lib.sys.close(obj.btf.fd);
		obj.btf.fd = -1;
	}
	for (const map of obj.maps) {
		if (map.mmaped) obj.lib.sys.munmap(map.mmaped, bpf_map__mmap_size(map));
		map.mmaped = 0;
	}
}

export const bpf_object__name = (obj: bpf_object): string => obj.name;
export const bpf_object__btf_fd = (obj: bpf_object): number => obj.btf?.fd ?? -1;

/** The programs that can be loaded; subprograms are not among them. */
export function bpf_object__programs(obj: bpf_object): bpf_program[] {
	return obj.programs.filter((p) => !prog_is_subprog(obj, p));
}

export function bpf_object__find_program_by_name(obj: bpf_object, name: string): bpf_program | null {
	return bpf_object__programs(obj).find((p) => p.name === name) ?? null;
}

export const bpf_program__name = (prog: bpf_program): string => prog.name;
export const bpf_program__section_name = (prog: bpf_program): string => prog.sec_name;
export const bpf_program__autoload = (prog: bpf_program): boolean => prog.autoload;
export function bpf_program__set_autoload(prog: bpf_program, autoload: boolean): number {
	if (prog.obj.loaded) return -EINVAL;
	prog.autoload = autoload;
	return 0;
}
export const bpf_program__autoattach = (prog: bpf_program): boolean => prog.autoattach;
export function bpf_program__set_autoattach(prog: bpf_program, autoattach: boolean): void {
	prog.autoattach = autoattach;
}
export const bpf_program__insns = (prog: bpf_program): Uint8Array => prog.insns;
export const bpf_program__insn_cnt = (prog: bpf_program): number => prog.insns.length / 8;
/** A descriptor, or -ENOENT when not loaded. */
export const bpf_program__fd = (prog: bpf_program): number => (prog.fd < 0 ? -ENOENT : prog.fd);
export const bpf_program__type = (prog: bpf_program): number => prog.type;
export function bpf_program__set_type(prog: bpf_program, type: number): number {
	if (prog.obj.loaded) return -EBUSY;
	if (prog.type === type) return 0;
	prog.type = type;
	prog.sec_def = null;
	return 0;
}
export const bpf_program__expected_attach_type = (prog: bpf_program): number => prog.expected_attach_type;
export function bpf_program__set_expected_attach_type(prog: bpf_program, type: number): number {
	if (prog.obj.loaded) return -EBUSY;
	prog.expected_attach_type = type;
	return 0;
}
export const bpf_program__flags = (prog: bpf_program): number => prog.prog_flags;
export function bpf_program__set_flags(prog: bpf_program, flags: number): number {
	if (prog.obj.loaded) return -EBUSY;
	prog.prog_flags = flags;
	return 0;
}
export function bpf_program__set_log_level(prog: bpf_program, log_level: number): number {
	if (prog.obj.loaded) return -EBUSY;
	prog.log_level = log_level;
	return 0;
}
/** The log goes to memory of the caller's in the process. */
export function bpf_program__set_log_buf(prog: bpf_program, addr: number, size: number): number {
	if (size && !addr) return -EINVAL;
	if (prog.obj.loaded) return -EBUSY;
	prog.log_buf = addr;
	prog.log_size = size;
	return 0;
}

/** tools/lib/bpf/libbpf.c: bpf_program__set_attach_target */
export function bpf_program__set_attach_target(
	prog: bpf_program,
	attach_prog_fd: number,
	attach_func_name: string | null,
): number {
	const { obj } = prog;
	if (obj.loaded) return -EINVAL;
	if (attach_prog_fd && attach_func_name === null) {
		// The function is that of the section's name, found when the program is loaded.
		prog.attach_prog_fd = attach_prog_fd;
		return 0;
	}
	let btf_obj_fd = 0;
	let btf_id: number;
	if (attach_prog_fd) {
		btf_id = libbpf_find_prog_btf_id(obj.lib, attach_func_name!, attach_prog_fd);
		if (btf_id < 0) return btf_id;
	} else {
		if (attach_func_name === null) return -EINVAL;
		const err = bpf_object__load_vmlinux_btf(obj, true);
		if (err) return err;
		const found = find_kernel_btf_id(obj, attach_func_name, prog.expected_attach_type);
		if (typeof found === "number") return found;
		({ btf_obj_fd, btf_type_id: btf_id } = found);
	}
	prog.attach_btf_id = btf_id;
	prog.attach_btf_obj_fd = btf_obj_fd;
	prog.attach_prog_fd = attach_prog_fd;
	return 0;
}

const map_is_created = (map: bpf_map): boolean => map.obj.loaded || map.reused;

/** The descriptor; -1 before the map is made. */
export const bpf_map__fd = (map: bpf_map): number => (map_is_created(map) ? map.fd : -1);
export const bpf_map__type = (map: bpf_map): number => map.def.type;
export const bpf_map__key_size = (map: bpf_map): number => map.def.key_size;
export const bpf_map__value_size = (map: bpf_map): number => map.def.value_size;
export const bpf_map__max_entries = (map: bpf_map): number => map.def.max_entries;
export const bpf_map__map_flags = (map: bpf_map): number => map.def.map_flags;
export const bpf_map__map_extra = (map: bpf_map): bigint => map.map_extra;
export const bpf_map__autocreate = (map: bpf_map): boolean => map.autocreate;
export function bpf_map__set_autocreate(map: bpf_map, autocreate: boolean): number {
	if (map.obj.loaded) return -EBUSY;
	map.autocreate = autocreate;
	return 0;
}
export function bpf_map__set_autoattach(map: bpf_map, autoattach: boolean): number {
	if (!bpf_map__is_struct_ops(map)) return -EINVAL;
	map.autoattach = autoattach;
	return 0;
}
export function bpf_map__set_type(map: bpf_map, type: number): number {
	if (map_is_created(map)) return -EBUSY;
	map.def.type = type;
	return 0;
}
export function bpf_map__set_max_entries(map: bpf_map, max_entries: number): number {
	if (map.obj.loaded) return -EBUSY;
	map.def.max_entries = map_is_ringbuf(map) ? adjust_ringbuf_sz(map.obj.lib, max_entries) : max_entries;
	return 0;
}
export function bpf_map__set_map_flags(map: bpf_map, flags: number): number {
	if (map_is_created(map)) return -EBUSY;
	map.def.map_flags = flags;
	return 0;
}
export function bpf_map__set_map_extra(map: bpf_map, map_extra: bigint): number {
	if (map_is_created(map)) return -EBUSY;
	map.map_extra = map_extra;
	return 0;
}
export function bpf_map__set_numa_node(map: bpf_map, numa_node: number): number {
	if (map_is_created(map)) return -EBUSY;
	map.numa_node = numa_node;
	return 0;
}
export function bpf_map__set_key_size(map: bpf_map, size: number): number {
	if (map_is_created(map)) return -EBUSY;
	map.def.key_size = size;
	return 0;
}
export function bpf_map__set_pin_path(map: bpf_map, path: string | null): number {
	map.pin_path = path;
	return 0;
}

/** tools/lib/bpf/libbpf.c: bpf_map__set_value_size, with the last array of a data section grown or shrunk. */
export function bpf_map__set_value_size(map: bpf_map, size: number): number {
	if (map_is_created(map)) return -EBUSY;
	if (map.init_data) {
		if (map.def.type !== BPF_MAP_TYPE_ARRAY) return -EOPNOTSUPP;
		const data = new Uint8Array(size);
		data.set(map.init_data.subarray(0, Math.min(size, map.init_data.length)));
		map.init_data = data;
		const err = map_btf_datasec_resize(map, size);
		if (err && err !== -ENOENT) {
			map.obj.lib.pr_warn(
				`map '${bpf_map__name(map)}': failed to adjust resized BTF, clearing BTF key/value info: ${err}\n`,
			);
			map.btf_value_type_id = 0;
			map.btf_key_type_id = 0;
		}
	}
	map.def.value_size = size;
	return 0;
}

function map_btf_datasec_resize(map: bpf_map, size: number): number {
	const { btf, lib } = map.obj;
	if (!btf) return -ENOENT;
	const warn = (text: string): number => {
		lib.pr_warn(`map '${bpf_map__name(map)}': cannot be resized, ${text}\n`);
		return -EINVAL;
	};
	const datasec = btf.type_by_id(map.btf_value_type_id)!;
	if (!btf_is_datasec(datasec)) return warn("map value type is not a datasec");
	const last = btf_vlen(datasec) - 1;
	if (last < 0) return warn("map value datasec is empty");
	const v = btf_var_secinfo_at(datasec, last);
	const array_type = btf.skip_mods_and_typedefs(btf.type_by_id(v.type)!.type);
	if (!btf_is_array(array_type)) return warn("last var must be an array");
	const array = btf_array(array_type);
	const elem = btf.resolve_size(array.type);
	if (elem <= 0 || (size - v.offset) % elem !== 0)
		return warn(`element size (${elem}) doesn't align with new total size (${size})`);
	const id = btf.add_array(array.index_type, array.type, (size - v.offset) / elem);
	const sec = btf.type_by_id(map.btf_value_type_id)!;
	sec.size = size;
	set_btf_var_secinfo(sec, last, { ...v, size: size - v.offset });
	btf.type_by_id(v.type)!.type = id;
	return 0;
}

export function bpf_map__set_inner_map_fd(map: bpf_map, fd: number): number {
	if (!bpf_map_type__is_map_in_map(map.def.type)) {
		map.obj.lib.pr_warn("error: unsupported map type\n");
		return -EINVAL;
	}
	if (map.inner_map_fd !== -1) {
		map.obj.lib.pr_warn("error: inner_map_fd already specified\n");
		return -EINVAL;
	}
	map.inner_map = null;
	map.inner_map_fd = fd;
	return 0;
}

export function bpf_map__set_initial_value(map: bpf_map, data: Uint8Array): number {
	if (map_is_created(map)) return -EBUSY;
	if (!map.init_data || map.libbpf_type === LIBBPF_MAP_KCONFIG || data.length !== map.init_data.length)
		return -EINVAL;
	map.init_data.set(data);
	return 0;
}

/** What the map will start with (it may be written to before the load); null when the map has none. */
export function bpf_map__initial_value(map: bpf_map): Uint8Array | null {
	return map.st_ops ? map.st_ops.data : map.init_data;
}

/** Bytes of the mapping that `map.mmaped` points to. */
export function bpf_map__mmap_size(map: bpf_map): number {
	const { sys } = map.obj.lib;
	if (map.def.type === BPF_MAP_TYPE_ARENA) return sys.pageSize * map.def.max_entries;
	return roundup(roundup(map.def.value_size, 8) * map.def.max_entries, sys.pageSize);
}

function validate_key(map: bpf_map, key_sz: number): number {
	if (!map_is_created(map)) return -ENOENT;
	if (map.def.key_size !== key_sz) {
		map.obj.lib.pr_warn(
			`map '${map.name}': unexpected key size ${key_sz} provided, expected ${map.def.key_size}\n`,
		);
		return -EINVAL;
	}
	if (map.fd < 0) {
		map.obj.lib.pr_warn(`map '${map.name}': can't use BPF map without FD (was it created?)\n`);
		return -EINVAL;
	}
	return 0;
}

const PER_CPU: ReadonlySet<number> = new Set([
	BPF_MAP_TYPE_PERCPU_HASH,
	BPF_MAP_TYPE_PERCPU_ARRAY,
	BPF_MAP_TYPE_LRU_PERCPU_HASH,
	BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE,
]);

function validate_map_op(map: bpf_map, key_sz: number, value_sz: number): number {
	const err = validate_key(map, key_sz);
	if (err) return err;
	const { lib } = map.obj;
	if (PER_CPU.has(map.def.type)) {
		const n = lib.sys.nrCpus;
		const elem = roundup(map.def.value_size, 8);
		if (value_sz !== n * elem) {
			lib.pr_warn(
				`map '${map.name}': unexpected value size ${value_sz} provided for per-CPU map, expected ${n} * ${elem} = ${n * elem}\n`,
			);
			return -EINVAL;
		}
	} else if (map.def.value_size !== value_sz) {
		lib.pr_warn(
			`map '${map.name}': unexpected value size ${value_sz} provided, expected ${map.def.value_size}\n`,
		);
		return -EINVAL;
	}
	return 0;
}

export function bpf_map__lookup_elem(map: bpf_map, key: Uint8Array, value: Uint8Array, flags = 0): number {
	return (
		validate_map_op(map, key.length, value.length) ||
		bpf_map_lookup_elem(map.obj.lib, map.fd, key, value, flags)
	);
}
export function bpf_map__update_elem(map: bpf_map, key: Uint8Array, value: Uint8Array, flags = 0): number {
	return (
		validate_map_op(map, key.length, value.length) ||
		bpf_map_update_elem(map.obj.lib, map.fd, key, value, flags)
	);
}
export function bpf_map__delete_elem(map: bpf_map, key: Uint8Array, flags = 0): number {
	return validate_key(map, key.length) || bpf_map_delete_elem(map.obj.lib, map.fd, key, flags);
}
export function bpf_map__lookup_and_delete_elem(
	map: bpf_map,
	key: Uint8Array,
	value: Uint8Array,
	flags = 0,
): number {
	return (
		validate_map_op(map, key.length, value.length) ||
		bpf_map_lookup_and_delete_elem(map.obj.lib, map.fd, key, value, flags)
	);
}
export function bpf_map__get_next_key(
	map: bpf_map,
	cur_key: Uint8Array | null,
	next_key: Uint8Array,
): number {
	return validate_key(map, next_key.length) || bpf_map_get_next_key(map.obj.lib, map.fd, cur_key, next_key);
}
