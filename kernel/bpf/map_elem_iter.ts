// SPDX-License-Identifier: GPL-2.0-only
/**
 * The iterator over a map's elements (kernel/bpf/map_iter.c), and how arrays and hash tables are gone through
 * (kernel/bpf/arraymap.c and hashtab.c: iter_seq_info).
 */
import { EACCES, EBADF, EINVAL, ENOMEM } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_MAP_TYPE_ARRAY,
	BPF_MAP_TYPE_HASH,
	BPF_MAP_TYPE_LRU_HASH,
	BPF_MAP_TYPE_LRU_PERCPU_HASH,
	BPF_MAP_TYPE_PERCPU_ARRAY,
	BPF_MAP_TYPE_PERCPU_HASH,
} from "../../include/uapi/linux/bpf.ts";
import type { bpf_array } from "./arraymap.ts";
import {
	type bpf_iter_aux_info,
	type bpf_iter_link_info,
	type bpf_iter_reg,
	type bpf_iter_seq_info,
	bpf_iter_show,
} from "./bpf_iter_run.ts";
import type { bpf_map, bpf_prog } from "./bpf_types.ts";
import type { bpf_htab, htab_elem } from "./hashtab.ts";
import { check_and_init_map_value, copy_map_value_long, kmem_of, round_up } from "./map.ts";
import { bpf_map_get_with_uref, bpf_map_inc_with_uref, bpf_map_put_with_uref } from "./map_create.ts";

function is_percpu(map: bpf_map): boolean {
	const t = map.map_type;
	return (
		t === BPF_MAP_TYPE_PERCPU_HASH || t === BPF_MAP_TYPE_LRU_PERCPU_HASH || t === BPF_MAP_TYPE_PERCPU_ARRAY
	);
}

/** What both kinds of maps keep: the map, and for per-CPU ones room for the values of all CPUs. */
interface MapPosition {
	readonly map: bpf_map;
	readonly percpu_value_buf: number;
}

function init_map(map: bpf_map): MapPosition | number {
	let buf = 0;
	if (is_percpu(map)) {
		buf = kmem_of(map).kzalloc(round_up(map.value_size, 8) * map.kernel.config.cpus);
		if (!buf) return -ENOMEM;
	}
	// the link's reference may go away while elements are gone through
	bpf_map_inc_with_uref(map);
	return { map, percpu_value_buf: buf };
}

function fini_map(info: MapPosition): void {
	const { map, percpu_value_buf } = info;
	if (percpu_value_buf) kmem_of(map).kfree(percpu_value_buf);
	bpf_map_put_with_uref(map);
}

/** All CPUs' values, copied behind one another. */
function percpu_values(info: MapPosition, pptr: number): number {
	const { map, percpu_value_buf: buf } = info;
	const size = round_up(map.value_size, 8);
	for (let cpu = 0; cpu < map.kernel.config.cpus; cpu++) {
		copy_map_value_long(map, buf + cpu * size, kmem_of(map).per_cpu_ptr(pptr, cpu));
		check_and_init_map_value(map, buf + cpu * size);
	}
	return buf;
}

// ---- kernel/bpf/arraymap.c

/** struct bpf_iter_seq_array_map_info; `key` is where programs see the index */
interface ArrayPosition extends MapPosition {
	index: number;
	readonly key: number;
}

/** The element at the index: its value, or the per-CPU pointer. */
function array_elem(info: ArrayPosition): number | null {
	const a = info.map as bpf_array;
	if (info.index >= a.max_entries) return null;
	const i = (info.index & a.index_mask) >>> 0;
	return info.percpu_value_buf ? a.pptrs[i]! : a.value + a.elem_size * i;
}

const array_seq_info: bpf_iter_seq_info<ArrayPosition, number> = {
	init_seq_private(_kernel, aux) {
		const info = init_map(aux.map!);
		if (typeof info === "number") return info;
		return { ...info, index: 0, key: kmem_of(info.map).kzalloc(4) };
	},
	fini_seq_private(_kernel, info) {
		kmem_of(info.map).kfree(info.key);
		fini_map(info);
	},
	seq_ops: {
		start(seq) {
			const v = array_elem(seq.priv.target_private);
			if (v !== null && seq.index === 0) seq.index++;
			return v;
		},
		next(seq) {
			seq.index++;
			seq.priv.target_private.index++;
			return array_elem(seq.priv.target_private);
		},
		show(seq, v) {
			const info = seq.priv.target_private;
			return bpf_iter_show(seq, false, () => {
				kmem_of(info.map).w32(info.key, info.index);
				return {
					map: info.map.addr,
					key: info.key,
					value: info.percpu_value_buf ? percpu_values(info, v) : v,
				};
			});
		},
		stop(seq, v) {
			if (v === null) bpf_iter_show(seq, true, () => ({ map: seq.priv.target_private.map.addr }));
		},
	},
};

// ---- kernel/bpf/hashtab.c

/** struct bpf_iter_seq_hash_map_info */
interface HashPosition extends MapPosition {
	bucket_id: number;
	skip_elems: number;
}

/** kernel/bpf/hashtab.c: bpf_hash_map_seq_find_next */
function bpf_hash_map_seq_find_next(info: HashPosition, prev_elem: htab_elem | null): htab_elem | null {
	const htab = info.map as bpf_htab;
	let { bucket_id, skip_elems } = info;
	if (bucket_id >= htab.n_buckets) return null;
	if (prev_elem) {
		if (prev_elem.link) return prev_elem.link;
		bucket_id++;
		skip_elems = 0;
	}
	for (let i = bucket_id; i < htab.n_buckets; i++) {
		let count = 0;
		for (let l = htab.buckets[i] ?? null; l; l = l.link) {
			if (count >= skip_elems) {
				info.bucket_id = i;
				info.skip_elems = count;
				return l;
			}
			count++;
		}
		skip_elems = 0;
	}
	info.bucket_id = htab.n_buckets;
	info.skip_elems = 0;
	return null;
}

const hash_seq_info: bpf_iter_seq_info<HashPosition, htab_elem> = {
	init_seq_private(_kernel, aux) {
		const info = init_map(aux.map!);
		return typeof info === "number" ? info : { ...info, bucket_id: 0, skip_elems: 0 };
	},
	fini_seq_private: (_kernel, info) => fini_map(info),
	seq_ops: {
		start(seq) {
			const elem = bpf_hash_map_seq_find_next(seq.priv.target_private, null);
			if (elem && seq.index === 0) seq.index++;
			return elem;
		},
		next(seq, elem) {
			seq.index++;
			seq.priv.target_private.skip_elems++;
			return bpf_hash_map_seq_find_next(seq.priv.target_private, elem);
		},
		show(seq, elem) {
			const info = seq.priv.target_private;
			const htab = info.map as bpf_htab;
			return bpf_iter_show(seq, false, () => ({
				map: htab.addr,
				key: elem.key,
				value: info.percpu_value_buf ? percpu_values(info, htab.pptr_of(elem)) : htab.value_of(elem),
			}));
		},
		stop(seq, elem) {
			if (!elem) bpf_iter_show(seq, true, () => ({ map: seq.priv.target_private.map.addr }));
		},
	},
};

/** map->ops->iter_seq_info */
function iter_seq_info(map: bpf_map): bpf_iter_seq_info {
	const array = map.map_type === BPF_MAP_TYPE_ARRAY || map.map_type === BPF_MAP_TYPE_PERCPU_ARRAY;
	return (array ? array_seq_info : hash_seq_info) as bpf_iter_seq_info;
}

/** kernel/bpf/map_iter.c: bpf_iter_attach_map */
function bpf_iter_attach_map(prog: bpf_prog, linfo: bpf_iter_link_info, aux: bpf_iter_aux_info): number {
	if (!linfo.map_fd) return -EBADF;
	const map = bpf_map_get_with_uref(prog.kernel, linfo.map_fd);
	if (typeof map === "number") return map;
	const put = (err: number): number => {
		bpf_map_put_with_uref(map);
		return err;
	};
	const percpu = is_percpu(map);
	const t = map.map_type;
	if (!percpu && t !== BPF_MAP_TYPE_HASH && t !== BPF_MAP_TYPE_LRU_HASH && t !== BPF_MAP_TYPE_ARRAY)
		return put(-EINVAL);
	const value_size = percpu ? round_up(map.value_size, 8) * map.kernel.config.cpus : map.value_size;
	if (prog.aux.max_rdonly_access > map.key_size || prog.aux.max_rdwr_access > value_size) return put(-EACCES);
	aux.map = map;
	return 0;
}

export const bpf_map_elem_reg: bpf_iter_reg = {
	target: "bpf_map_elem",
	resched: false,
	attach_target: bpf_iter_attach_map,
	/** kernel/bpf/map_iter.c: bpf_iter_detach_map */
	detach_target: (aux) => bpf_map_put_with_uref(aux.map!),
	/** kernel/bpf/map_iter.c: bpf_iter_map_show_fdinfo */
	show_fdinfo: (aux) => `map_id:\t${aux.map!.id}\n`,
	/** kernel/bpf/map_iter.c: bpf_iter_map_fill_link_info */
	fill_link_info(aux, info) {
		info.iter_map_map_id = aux.map!.id;
		return 0;
	},
	seq_info: (aux) => iter_seq_info(aux.map!),
};
