// SPDX-License-Identifier: GPL-2.0-only
/** Making the maps of an object: tools/lib/bpf/libbpf.c: bpf_object__create_maps and what it calls. */
import { EEXIST, EINVAL, ENOENT } from "../../../include/uapi/asm-generic/errno.ts";
import { MAP_FIXED, MAP_SHARED, PROT_READ, PROT_WRITE } from "../../../include/uapi/asm-generic/mman.ts";
import {
	BPF_F_MMAPABLE,
	BPF_F_RDONLY_PROG,
	BPF_F_VTYPE_BTF_OBJ_FD,
	BPF_MAP_TYPE_ARENA,
	BPF_MAP_TYPE_ARRAY_OF_MAPS,
	BPF_MAP_TYPE_CGROUP_ARRAY,
	BPF_MAP_TYPE_CPUMAP,
	BPF_MAP_TYPE_DEVMAP,
	BPF_MAP_TYPE_DEVMAP_HASH,
	BPF_MAP_TYPE_HASH_OF_MAPS,
	BPF_MAP_TYPE_PERF_EVENT_ARRAY,
	BPF_MAP_TYPE_PROG_ARRAY,
	BPF_MAP_TYPE_QUEUE,
	BPF_MAP_TYPE_SOCKHASH,
	BPF_MAP_TYPE_SOCKMAP,
	BPF_MAP_TYPE_STACK,
	BPF_MAP_TYPE_STACK_TRACE,
	BPF_MAP_TYPE_STRUCT_OPS,
	BPF_MAP_TYPE_XSKMAP,
} from "../../../include/uapi/linux/bpf.ts";
import {
	bpf_map_create,
	type bpf_map_create_opts,
	bpf_map_freeze,
	bpf_map_get_info_by_fd,
	bpf_map_update_elem,
	bpf_obj_get,
	bpf_obj_pin,
} from "./bpf.ts";
import { kernel_supports } from "./features.ts";
import {
	bpf_map__is_struct_ops,
	bpf_map__name,
	bpf_map_mmap_sz,
	bpf_map_type__is_map_in_map,
} from "./init_maps.ts";
import { BPF_OBJ_NAME_LEN, FEAT_GLOBAL_DATA, FEAT_PROG_NAME, libbpf_strerror_r } from "./libbpf_internal.ts";
import {
	type bpf_map,
	bpf_map__is_internal,
	type bpf_object,
	type bpf_program,
	LIBBPF_MAP_KCONFIG,
	LIBBPF_MAP_RODATA,
} from "./libbpf_types.ts";

function u32_bytes(v: number): Uint8Array {
	const b = new Uint8Array(4);
	new DataView(b.buffer).setUint32(0, v >>> 0, true);
	return b;
}

function map_set_def_max_entries(map: bpf_map): number {
	if (map.def.type === BPF_MAP_TYPE_PERF_EVENT_ARRAY && !map.def.max_entries) {
		const n = map.obj.lib.sys.nrCpus;
		map.obj.lib.pr_debug(() => `map '${map.name}': setting size to ${n}\n`);
		map.def.max_entries = n;
	}
	return 0;
}

/** tools/lib/bpf/libbpf.c: bpf_object__create_map */
function bpf_object__create_map(obj: bpf_object, map: bpf_map): number {
	const { lib } = obj;
	const { def } = map;
	const map_name = kernel_supports(lib, FEAT_PROG_NAME) ? map.name : null;
	const create_attr: bpf_map_create_opts = {
		map_ifindex: map.map_ifindex,
		map_flags: def.map_flags,
		numa_node: map.numa_node,
		map_extra: map.map_extra,
	};
	if (bpf_map__is_struct_ops(map)) {
		create_attr.btf_vmlinux_value_type_id = map.btf_vmlinux_value_type_id;
		if (map.mod_btf_fd >= 0) {
			create_attr.value_type_btf_obj_fd = map.mod_btf_fd;
			create_attr.map_flags = def.map_flags | BPF_F_VTYPE_BTF_OBJ_FD;
		}
	}
	if (obj.btf && obj.btf.fd >= 0) {
		create_attr.btf_fd = obj.btf.fd;
		create_attr.btf_key_type_id = map.btf_key_type_id;
		create_attr.btf_value_type_id = map.btf_value_type_id;
	}
	if (bpf_map_type__is_map_in_map(def.type)) {
		if (map.inner_map) {
			let err = map_set_def_max_entries(map.inner_map);
			if (err) return err;
			err = bpf_object__create_map(obj, map.inner_map);
			if (err) {
				lib.pr_warn(`map '${map.name}': failed to create inner map: ${err}\n`);
				return err;
			}
			map.inner_map_fd = map.inner_map.fd;
		}
		if (map.inner_map_fd >= 0) create_attr.inner_map_fd = map.inner_map_fd;
	}
	switch (def.type) {
		case BPF_MAP_TYPE_PERF_EVENT_ARRAY:
		case BPF_MAP_TYPE_CGROUP_ARRAY:
		case BPF_MAP_TYPE_STACK_TRACE:
		case BPF_MAP_TYPE_ARRAY_OF_MAPS:
		case BPF_MAP_TYPE_HASH_OF_MAPS:
		case BPF_MAP_TYPE_DEVMAP:
		case BPF_MAP_TYPE_DEVMAP_HASH:
		case BPF_MAP_TYPE_CPUMAP:
		case BPF_MAP_TYPE_XSKMAP:
		case BPF_MAP_TYPE_SOCKMAP:
		case BPF_MAP_TYPE_SOCKHASH:
		case BPF_MAP_TYPE_QUEUE:
		case BPF_MAP_TYPE_STACK:
		case BPF_MAP_TYPE_ARENA:
			create_attr.btf_fd = 0;
			create_attr.btf_key_type_id = 0;
			create_attr.btf_value_type_id = 0;
			map.btf_key_type_id = 0;
			map.btf_value_type_id = 0;
			break;
		case BPF_MAP_TYPE_STRUCT_OPS:
			create_attr.btf_value_type_id = 0;
			break;
		default:
			break;
	}
	const create = (): number =>
		bpf_map_create(lib, def.type, map_name, def.key_size, def.value_size, def.max_entries, create_attr);
	let map_fd = create();
	if (map_fd < 0 && (create_attr.btf_key_type_id || create_attr.btf_value_type_id)) {
		lib.pr_warn(
			`Error in bpf_create_map_xattr(${map.name}):${libbpf_strerror_r(map_fd)}(${map_fd}). Retrying without BTF.\n`,
		);
		create_attr.btf_fd = 0;
		create_attr.btf_key_type_id = 0;
		create_attr.btf_value_type_id = 0;
		map.btf_key_type_id = 0;
		map.btf_value_type_id = 0;
		map_fd = create();
	}
	if (map.inner_map) {
		if (map.inner_map.fd >= 0) lib.sys.close(map.inner_map.fd);
		map.inner_map = null;
	}
	if (map_fd < 0) return map_fd;
	map.fd = map_fd;
	return 0;
}

/** tools/lib/bpf/libbpf.c: bpf_object__populate_internal_map */
function bpf_object__populate_internal_map(obj: bpf_object, map: bpf_map): number {
	const { lib } = obj;
	let err = bpf_map_update_elem(lib, map.fd, u32_bytes(0), map.init_data!);
	if (err) {
		lib.pr_warn(`map '${bpf_map__name(map)}': failed to set initial contents: ${libbpf_strerror_r(err)}\n`);
		return err;
	}
	if (map.libbpf_type === LIBBPF_MAP_RODATA || map.libbpf_type === LIBBPF_MAP_KCONFIG) {
		err = bpf_map_freeze(lib, map.fd);
		if (err) {
			lib.pr_warn(`map '${bpf_map__name(map)}': failed to freeze as read-only: ${libbpf_strerror_r(err)}\n`);
			return err;
		}
	}
	if (map.def.map_flags & BPF_F_MMAPABLE) {
		const prot = map.def.map_flags & BPF_F_RDONLY_PROG ? PROT_READ : PROT_READ | PROT_WRITE;
		const addr = lib.sys.mmap(0, bpf_map_mmap_sz(map), prot, MAP_SHARED, map.fd, 0);
		if (addr < 0) {
			lib.pr_warn(`map '${bpf_map__name(map)}': failed to re-mmap() contents: ${addr}\n`);
			return addr;
		}
		map.mmaped = addr;
	}
	return 0;
}

/** What init_map_in_map_slots and init_prog_array_slots share: descriptors into the slots. */
export function init_slots(
	map: bpf_map,
	what: "map" | "prog",
	fd_of: (targ: bpf_map | bpf_program) => number,
): number {
	const { lib } = map.obj;
	for (const [i, targ] of map.init_slots.entries()) {
		if (!targ) continue;
		const fd = fd_of(targ);
		const err = bpf_map_update_elem(lib, map.fd, u32_bytes(i), u32_bytes(fd));
		if (err) {
			lib.pr_warn(
				`map '${map.name}': failed to initialize slot [${i}] to ${what} '${targ.name}' fd=${fd}: ${err}\n`,
			);
			return err;
		}
		lib.pr_debug(() => `map '${map.name}': slot [${i}] set to ${what} '${targ.name}' fd=${fd}\n`);
	}
	map.init_slots = [];
	return 0;
}

/** tools/lib/bpf/libbpf.c: bpf_object__reuse_map: a pinned map of the same shape takes this one's place. */
function bpf_object__reuse_map(map: bpf_map): number {
	const { lib } = map.obj;
	const fd = bpf_obj_get(lib, map.pin_path!);
	if (fd < 0) {
		if (fd === -ENOENT) {
			lib.pr_debug(() => `found no pinned map to reuse at '${map.pin_path}'\n`);
			return 0;
		}
		lib.pr_warn(`couldn't retrieve pinned map '${map.pin_path}': ${libbpf_strerror_r(fd)}\n`);
		return fd;
	}
	const info = bpf_map_get_info_by_fd(lib, fd);
	if (typeof info === "number")
		lib.pr_warn(`failed to get map info for map FD ${fd}: ${libbpf_strerror_r(info)}\n`);
	const dev = map.def.type === BPF_MAP_TYPE_DEVMAP || map.def.type === BPF_MAP_TYPE_DEVMAP_HASH;
	if (
		typeof info === "number" ||
		info.type !== map.def.type ||
		info.key_size !== map.def.key_size ||
		info.value_size !== map.def.value_size ||
		info.max_entries !== map.def.max_entries ||
		(dev ? info.map_flags & ~BPF_F_RDONLY_PROG : info.map_flags) !== map.def.map_flags ||
		info.map_extra !== map.map_extra
	) {
		lib.pr_warn(`couldn't reuse pinned map at '${map.pin_path}': parameter mismatch\n`);
		lib.sys.close(fd);
		return -EINVAL;
	}
	const err = bpf_map__reuse_fd(map, fd);
	lib.sys.close(fd);
	if (err) return err;
	map.pinned = true;
	lib.pr_debug(() => `reused pinned map at '${map.pin_path}'\n`);
	return 0;
}

/** tools/lib/bpf/libbpf.c: bpf_map__reuse_fd */
export function bpf_map__reuse_fd(map: bpf_map, fd: number): number {
	const { lib } = map.obj;
	const info = bpf_map_get_info_by_fd(lib, fd);
	if (typeof info === "number") return info;
	const new_fd = lib.sys.dup(fd);
	if (new_fd < 0) return new_fd;
	if (map.fd >= 0) lib.sys.close(map.fd);
	map.fd = new_fd;
	// The kernel cuts names; keep the whole one when it is the same as far as it goes.
	if (!(info.name.length === BPF_OBJ_NAME_LEN - 1 && map.name.startsWith(info.name))) map.name = info.name;
	map.def.type = info.type;
	map.def.key_size = info.key_size;
	map.def.value_size = info.value_size;
	map.def.max_entries = info.max_entries;
	map.def.map_flags = info.map_flags;
	map.btf_key_type_id = info.btf_key_type_id;
	map.btf_value_type_id = info.btf_value_type_id;
	map.reused = true;
	map.map_extra = info.map_extra;
	return 0;
}

/** tools/lib/bpf/libbpf.c: bpf_map__pin (the bpf file system itself answers for what a path may be) */
export function bpf_map__pin(map: bpf_map, path: string | null): number {
	const { lib } = map.obj;
	if (map.fd < 0) {
		lib.pr_warn(`map '${map.name}': can't pin BPF map without FD (was it created?)\n`);
		return -EINVAL;
	}
	if (map.pin_path !== null) {
		if (path !== null && path !== map.pin_path) {
			lib.pr_warn(
				`map '${bpf_map__name(map)}' already has pin path '${map.pin_path}' different from '${path}'\n`,
			);
			return -EINVAL;
		}
		if (map.pinned) return 0;
	} else {
		if (path === null) {
			lib.pr_warn(`missing a path to pin map '${bpf_map__name(map)}' at\n`);
			return -EINVAL;
		}
		if (map.pinned) {
			lib.pr_warn(`map '${bpf_map__name(map)}' already pinned\n`);
			return -EEXIST;
		}
		map.pin_path = path;
	}
	const err = bpf_obj_pin(lib, map.fd, map.pin_path);
	if (err) {
		lib.pr_warn(`failed to pin map: ${libbpf_strerror_r(err)}\n`);
		return err;
	}
	map.pinned = true;
	lib.pr_debug(() => `pinned map '${map.pin_path}'\n`);
	return 0;
}

function create_one(obj: bpf_object, map: bpf_map): number {
	const { lib } = obj;
	for (let retried = false; ; retried = true) {
		if (map.pin_path !== null) {
			const err = bpf_object__reuse_map(map);
			if (err) {
				lib.pr_warn(`map '${map.name}': error reusing pinned map\n`);
				return err;
			}
			if (retried && map.fd < 0) {
				lib.pr_warn(`map '${map.name}': cannot find pinned map\n`);
				return -ENOENT;
			}
		}
		if (map.reused) {
			lib.pr_debug(() => `map '${map.name}': skipping creation (preset fd=${map.fd})\n`);
		} else {
			let err = bpf_object__create_map(obj, map);
			if (err) return err;
			lib.pr_debug(() => `map '${map.name}': created successfully, fd=${map.fd}\n`);
			if (bpf_map__is_internal(map)) {
				err = bpf_object__populate_internal_map(obj, map);
				if (err < 0) return err;
			} else if (map.def.type === BPF_MAP_TYPE_ARENA) {
				const want = Number(map.map_extra);
				const addr = lib.sys.mmap(
					want,
					bpf_map_mmap_sz(map),
					PROT_READ | PROT_WRITE,
					want ? MAP_SHARED | MAP_FIXED : MAP_SHARED,
					map.fd,
					0,
				);
				if (addr < 0) {
					lib.pr_warn(`map '${map.name}': failed to mmap arena: ${addr}\n`);
					return addr;
				}
				map.mmaped = addr;
				if (obj.arena_data) lib.sys.store(addr, obj.arena_data);
			}
			if (map.init_slots.length > 0 && map.def.type !== BPF_MAP_TYPE_PROG_ARRAY) {
				err = init_slots(map, "map", (targ) => targ.fd);
				if (err < 0) return err;
			}
		}
		if (map.pin_path === null || map.pinned) return 0;
		const err = bpf_map__pin(map, null);
		if (!err) return 0;
		if (retried || err !== -EEXIST) {
			lib.pr_warn(`map '${map.name}': failed to auto-pin at '${map.pin_path}': ${err}\n`);
			return err;
		}
	}
}

/** tools/lib/bpf/libbpf.c: bpf_object__create_maps */
export function bpf_object__create_maps(obj: bpf_object): number {
	const { lib } = obj;
	for (const [i, map] of obj.maps.entries()) {
		if (bpf_map__is_internal(map) && !kernel_supports(lib, FEAT_GLOBAL_DATA)) map.autocreate = false;
		if (!map.autocreate) {
			lib.pr_debug(() => `map '${map.name}': skipped auto-creating...\n`);
			continue;
		}
		const err = map_set_def_max_entries(map) || create_one(obj, map);
		if (err) {
			lib.pr_warn(`map '${map.name}': failed to create: ${libbpf_strerror_r(err)}(${err})\n`);
			for (let j = 0; j < i; j++) {
				const m = obj.maps[j]!;
				if (m.fd >= 0) lib.sys.close(m.fd);
				m.fd = -1;
			}
			return err;
		}
	}
	return 0;
}
