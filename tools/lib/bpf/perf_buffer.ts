// SPDX-License-Identifier: GPL-2.0-only
/** Perf buffers: one ring for each CPU, filled by bpf_perf_event_output() (tools/lib/bpf/libbpf.c: perf_buffer__*). */
import { EINVAL, ENOENT } from "../../../include/uapi/asm-generic/errno.ts";
import { MAP_SHARED, PROT_READ, PROT_WRITE } from "../../../include/uapi/asm-generic/mman.ts";
import { BPF_MAP_TYPE_PERF_EVENT_ARRAY } from "../../../include/uapi/linux/bpf.ts";
import {
	PERF_ATTR_SIZE,
	PERF_COUNT_SW_BPF_OUTPUT,
	PERF_EVENT_IOC_DISABLE,
	PERF_EVENT_IOC_ENABLE,
	PERF_FLAG_FD_CLOEXEC,
	PERF_MMAP,
	PERF_RECORD_LOST,
	PERF_RECORD_SAMPLE,
	PERF_SAMPLE_RAW,
	PERF_TYPE_SOFTWARE,
	perf_event_attr,
} from "../../../include/uapi/linux/perf_event.ts";
import { bpf_map_delete_elem, bpf_map_get_info_by_fd, bpf_map_update_elem } from "./bpf.ts";
import { type Libbpf, libbpf_strerror_r } from "./libbpf_internal.ts";

const EPOLLIN = 1;
const EPOLL_CTL_ADD = 1;
const EPOLL_CLOEXEC = 0o2000000;

/** enum bpf_perf_event_ret */
export const LIBBPF_PERF_EVENT_DONE = 0;
export const LIBBPF_PERF_EVENT_ERROR = -1;
export const LIBBPF_PERF_EVENT_CONT = -2;

/** A sample's data, as the program gave them and padding. */
export type perf_buffer_sample_fn = (cpu: number, data: Uint8Array, size: number) => void;
/** So many samples found no room. */
export type perf_buffer_lost_fn = (cpu: number, cnt: bigint) => void;
/** A whole record, header and all; LIBBPF_PERF_EVENT_*. */
export type perf_buffer_event_fn = (cpu: number, event: Uint8Array) => number;

export interface perf_buffer_opts {
	/** Wake the consumer up every so many samples (1). */
	readonly sample_period?: number;
}

export interface perf_buffer_raw_opts {
	/** Which CPUs' buffers stand under which keys; all of them by default. */
	readonly cpus?: readonly number[];
	readonly map_keys?: readonly number[];
}

/** struct perf_cpu_buf */
interface perf_cpu_buf {
	/** Address of the mapping; 0: none */
	base: number;
	fd: number;
	readonly cpu: number;
	readonly map_key: number;
}

/** struct perf_buffer */
export interface perf_buffer {
	readonly lib: Libbpf;
	readonly event_cb: perf_buffer_event_fn | null;
	readonly sample_cb: perf_buffer_sample_fn | null;
	readonly lost_cb: perf_buffer_lost_fn | null;
	readonly page_size: number;
	readonly mmap_size: number;
	readonly cpu_bufs: perf_cpu_buf[];
	epoll_fd: number;
	readonly map_fd: number;
}

function key_bytes(v: number): Uint8Array {
	return new Uint8Array(Int32Array.of(v).buffer);
}

function free_cpu_buf(pb: perf_buffer, b: perf_cpu_buf): void {
	const { sys } = pb.lib;
	if (b.base && sys.munmap(b.base, pb.mmap_size + pb.page_size))
		pb.lib.pr_warn(`failed to munmap cpu_buf #${b.cpu}\n`);
	if (b.fd >= 0) {
		sys.ioctl(b.fd, PERF_EVENT_IOC_DISABLE, 0);
		sys.close(b.fd);
	}
}

export function perf_buffer__free(pb: perf_buffer | number | null): void {
	if (pb === null || typeof pb === "number") return;
	for (const b of pb.cpu_bufs) {
		bpf_map_delete_elem(pb.lib, pb.map_fd, key_bytes(b.map_key));
		free_cpu_buf(pb, b);
	}
	pb.cpu_bufs.length = 0;
	if (pb.epoll_fd >= 0) pb.lib.sys.close(pb.epoll_fd);
	pb.epoll_fd = -1;
}

/** tools/lib/bpf/libbpf.c: perf_buffer__open_cpu_buf */
function open_cpu_buf(
	pb: perf_buffer,
	attr: perf_event_attr,
	cpu: number,
	map_key: number,
): perf_cpu_buf | number {
	const { lib } = pb;
	const { sys } = lib;
	const b: perf_cpu_buf = { base: 0, fd: -1, cpu, map_key };
	const fail = (err: number, what: string): number => {
		lib.pr_warn(`failed to ${what} on cpu #${cpu}: ${libbpf_strerror_r(err)}\n`);
		free_cpu_buf(pb, b);
		return err;
	};
	b.fd = lib.heap.scope((s) => sys.perfEventOpen(s.bytes(attr.bytes), -1, cpu, -1, PERF_FLAG_FD_CLOEXEC));
	if (b.fd < 0) return fail(b.fd, "open perf buffer event");
	const base = sys.mmap(0, pb.mmap_size + pb.page_size, PROT_READ | PROT_WRITE, MAP_SHARED, b.fd, 0);
	if (base < 0) return fail(base, "mmap perf buffer");
	b.base = base;
	const err = sys.ioctl(b.fd, PERF_EVENT_IOC_ENABLE, 0);
	return err < 0 ? fail(err, "enable perf buffer event") : b;
}

/** The CPUs of a mask file: `0-3,5`. */
function parse_cpu_mask(lib: Libbpf, file: string): boolean[] | number {
	const bytes = lib.sys.readFile(file);
	if (typeof bytes === "number") {
		lib.pr_warn(`Failed to open cpu mask file ${file}: ${bytes}\n`);
		return bytes;
	}
	const mask: boolean[] = [];
	const text = new TextDecoder().decode(bytes).trim();
	for (const part of text.split(",")) {
		const m = /^(\d+)(?:-(\d+))?$/.exec(part);
		if (!m) {
			lib.pr_warn(`Failed to get CPU range ${part}: 0\n`);
			return -EINVAL;
		}
		const start = Number(m[1]);
		const end = Number(m[2] ?? m[1]);
		if (start > end) {
			lib.pr_warn(`Invalid CPU range [${start},${end}] in ${part}\n`);
			return -EINVAL;
		}
		while (mask.length <= end) mask.push(false);
		mask.fill(true, start, end + 1);
	}
	return mask;
}

interface params {
	readonly attr: perf_event_attr;
	readonly event_cb?: perf_buffer_event_fn;
	readonly sample_cb?: perf_buffer_sample_fn | null;
	readonly lost_cb?: perf_buffer_lost_fn | null;
	readonly cpus?: readonly number[];
	readonly map_keys?: readonly number[];
}

/** tools/lib/bpf/libbpf.c: perf_buffer__new: a ring of `page_cnt` pages for each CPU, or a negative errno. */
export function perf_buffer__new(
	lib: Libbpf,
	map_fd: number,
	page_cnt: number,
	sample_cb: perf_buffer_sample_fn | null,
	lost_cb: perf_buffer_lost_fn | null,
	opts: perf_buffer_opts = {},
): perf_buffer | number {
	const attr = new perf_event_attr();
	attr.size = PERF_ATTR_SIZE;
	attr.config = BigInt(PERF_COUNT_SW_BPF_OUTPUT);
	attr.type = PERF_TYPE_SOFTWARE;
	attr.sample_type = BigInt(PERF_SAMPLE_RAW);
	attr.wakeup_events = opts.sample_period || 1;
	return __perf_buffer__new(lib, map_fd, page_cnt, { attr, sample_cb, lost_cb });
}

/** tools/lib/bpf/libbpf.c: perf_buffer__new_raw: with the caller's own attributes, and records as they are. */
export function perf_buffer__new_raw(
	lib: Libbpf,
	map_fd: number,
	page_cnt: number,
	attr: perf_event_attr,
	event_cb: perf_buffer_event_fn,
	opts: perf_buffer_raw_opts = {},
): perf_buffer | number {
	return __perf_buffer__new(lib, map_fd, page_cnt, { attr, event_cb, ...opts });
}

function __perf_buffer__new(lib: Libbpf, map_fd: number, page_cnt: number, p: params): perf_buffer | number {
	const { sys } = lib;
	if (page_cnt === 0 || page_cnt & (page_cnt - 1)) {
		lib.pr_warn(`page count should be power of two, but is ${page_cnt}\n`);
		return -EINVAL;
	}
	const map = bpf_map_get_info_by_fd(lib, map_fd);
	let max_entries = 0;
	if (typeof map === "number") {
		if (map !== -EINVAL) {
			lib.pr_warn(`failed to get map info for map FD ${map_fd}: ${libbpf_strerror_r(map)}\n`);
			return map;
		}
		lib.pr_debug(() => `failed to get map info for FD ${map_fd}; API not supported? Ignoring...\n`);
	} else {
		if (map.type !== BPF_MAP_TYPE_PERF_EVENT_ARRAY) {
			lib.pr_warn(`map '${map.name}' should be BPF_MAP_TYPE_PERF_EVENT_ARRAY\n`);
			return -EINVAL;
		}
		max_entries = map.max_entries;
	}
	const pb: perf_buffer = {
		lib,
		event_cb: p.event_cb ?? null,
		sample_cb: p.sample_cb ?? null,
		lost_cb: p.lost_cb ?? null,
		page_size: sys.pageSize,
		mmap_size: sys.pageSize * page_cnt,
		cpu_bufs: [],
		epoll_fd: sys.epollCreate1(EPOLL_CLOEXEC),
		map_fd,
	};
	if (pb.epoll_fd < 0) {
		lib.pr_warn(`failed to create epoll instance: ${libbpf_strerror_r(pb.epoll_fd)}\n`);
		return pb.epoll_fd;
	}
	const fail = (err: number): number => {
		perf_buffer__free(pb);
		return err;
	};
	const given = p.cpus?.length ?? 0;
	let cpu_cnt = given;
	if (!given) {
		const possible = parse_cpu_mask(lib, "/sys/devices/system/cpu/possible");
		if (typeof possible === "number") return fail(possible);
		cpu_cnt = possible.filter((on) => on).length;
		if (max_entries && max_entries < cpu_cnt) cpu_cnt = max_entries;
	}
	const online = parse_cpu_mask(lib, "/sys/devices/system/cpu/online");
	if (typeof online === "number") {
		lib.pr_warn(`failed to get online CPU mask: ${online}\n`);
		return fail(online);
	}
	for (let i = 0; i < cpu_cnt; i++) {
		const cpu = given ? p.cpus![i]! : i;
		const map_key = given ? (p.map_keys?.[i] ?? 0) : i;
		if (!given && !online[cpu]) continue;
		const b = open_cpu_buf(pb, p.attr, cpu, map_key);
		if (typeof b === "number") return fail(b);
		pb.cpu_bufs.push(b);
		let err = bpf_map_update_elem(lib, map_fd, key_bytes(map_key), key_bytes(b.fd));
		if (err) {
			lib.pr_warn(
				`failed to set cpu #${cpu}, key ${map_key} -> perf FD ${b.fd}: ${libbpf_strerror_r(err)}\n`,
			);
			return fail(err);
		}
		const data = BigInt(pb.cpu_bufs.length - 1);
		err = sys.epollCtl(pb.epoll_fd, EPOLL_CTL_ADD, b.fd, { events: EPOLLIN, data });
		if (err < 0) {
			lib.pr_warn(`failed to epoll_ctl cpu #${cpu} perf FD ${b.fd}: ${libbpf_strerror_r(err)}\n`);
			return fail(err);
		}
	}
	return pb;
}

/** tools/lib/bpf/libbpf.c: perf_buffer__process_record */
function process_record(pb: perf_buffer, b: perf_cpu_buf, type: number, rec: Uint8Array): number {
	if (pb.event_cb) return pb.event_cb(b.cpu, rec);
	const dv = new DataView(rec.buffer, rec.byteOffset, rec.byteLength);
	switch (type) {
		case PERF_RECORD_SAMPLE: {
			const size = dv.getUint32(8, true);
			pb.sample_cb?.(b.cpu, rec.subarray(12, 12 + size), size);
			return LIBBPF_PERF_EVENT_CONT;
		}
		case PERF_RECORD_LOST:
			pb.lost_cb?.(b.cpu, dv.getBigUint64(16, true));
			return LIBBPF_PERF_EVENT_CONT;
		default:
			pb.lib.pr_warn(`unknown perf sample type ${type}\n`);
			return LIBBPF_PERF_EVENT_ERROR;
	}
}

/** tools/lib/bpf/libbpf.c: perf_event_read_simple, perf_buffer__process_records */
function process_records(pb: perf_buffer, b: perf_cpu_buf): number {
	const { sys } = pb.lib;
	const data_head = Number(sys.load64(b.base + PERF_MMAP.data_head));
	const tail_at = b.base + PERF_MMAP.data_tail;
	let data_tail = Number(sys.load64(tail_at));
	const base = b.base + pb.page_size;
	const end = base + pb.mmap_size;
	let ret = LIBBPF_PERF_EVENT_CONT;
	while (data_tail !== data_head) {
		const at = base + (data_tail % pb.mmap_size);
		const type = sys.load32(at);
		const size = sys.load32(at + 4) >>> 16;
		// a size of 0 would not let the reader get on
		if (size < 8) {
			ret = LIBBPF_PERF_EVENT_ERROR;
			break;
		}
		let rec: Uint8Array;
		if (at + size > end) {
			rec = new Uint8Array(size);
			rec.set(sys.load(at, end - at));
			rec.set(sys.load(base, size - (end - at)), end - at);
		} else rec = sys.load(at, size);
		ret = process_record(pb, b, type, rec);
		data_tail += size;
		if (ret !== LIBBPF_PERF_EVENT_CONT) break;
	}
	sys.store64(tail_at, BigInt(data_tail));
	return ret === LIBBPF_PERF_EVENT_CONT ? 0 : ret;
}

export const perf_buffer__epoll_fd = (pb: perf_buffer): number => pb.epoll_fd;

/** Waits for data for at most `timeout_ms` (-1: for ever): how many CPUs had some, or a negative errno. */
export async function perf_buffer__poll(pb: perf_buffer, timeout_ms: number): Promise<number> {
	const events = await pb.lib.sys.epollWait(pb.epoll_fd, pb.cpu_bufs.length, timeout_ms);
	if (typeof events === "number") return events;
	for (const e of events) {
		const err = process_records(pb, pb.cpu_bufs[Number(e.data)]!);
		if (err) {
			pb.lib.pr_warn(`error while processing records: ${err}\n`);
			return err;
		}
	}
	return events.length;
}

/** Slots of the map that are set up. */
export const perf_buffer__buffer_cnt = (pb: perf_buffer): number => pb.cpu_bufs.length;

function buf_at(pb: perf_buffer, idx: number): perf_cpu_buf | number {
	return idx >= pb.cpu_bufs.length ? -EINVAL : (pb.cpu_bufs[idx] ?? -ENOENT);
}

/** The descriptor of a CPU's ring: for epoll of one's own. */
export function perf_buffer__buffer_fd(pb: perf_buffer, buf_idx: number): number {
	const b = buf_at(pb, buf_idx);
	return typeof b === "number" ? b : b.fd;
}

/** Address and size of a CPU's ring in the process (the control page comes first). */
export function perf_buffer__buffer(
	pb: perf_buffer,
	buf_idx: number,
): { buf: number; size: number } | number {
	const b = buf_at(pb, buf_idx);
	return typeof b === "number" ? b : { buf: b.base, size: pb.mmap_size };
}

/** What one CPU's ring holds, without waiting. */
export function perf_buffer__consume_buffer(pb: perf_buffer, buf_idx: number): number {
	const b = buf_at(pb, buf_idx);
	return typeof b === "number" ? b : process_records(pb, b);
}

export function perf_buffer__consume(pb: perf_buffer): number {
	for (const [i, b] of pb.cpu_bufs.entries()) {
		const err = process_records(pb, b);
		if (err) {
			pb.lib.pr_warn(`perf_buffer: failed to process records in buffer #${i}: ${err}\n`);
			return err;
		}
	}
	return 0;
}
