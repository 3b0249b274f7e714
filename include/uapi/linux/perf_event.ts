// SPDX-License-Identifier: GPL-2.0-only
/** include/uapi/linux/perf_event.h: what perf_event_open(2) takes and the mapped buffer shows. */

export const PERF_TYPE_HARDWARE = 0;
export const PERF_TYPE_SOFTWARE = 1;
export const PERF_TYPE_TRACEPOINT = 2;
export const PERF_TYPE_HW_CACHE = 3;
export const PERF_TYPE_RAW = 4;
export const PERF_TYPE_BREAKPOINT = 5;

export const PERF_COUNT_SW_CPU_CLOCK = 0;
export const PERF_COUNT_SW_TASK_CLOCK = 1;
export const PERF_COUNT_SW_PAGE_FAULTS = 2;
export const PERF_COUNT_SW_CONTEXT_SWITCHES = 3;
export const PERF_COUNT_SW_CPU_MIGRATIONS = 4;
export const PERF_COUNT_SW_PAGE_FAULTS_MIN = 5;
export const PERF_COUNT_SW_PAGE_FAULTS_MAJ = 6;
export const PERF_COUNT_SW_ALIGNMENT_FAULTS = 7;
export const PERF_COUNT_SW_EMULATION_FAULTS = 8;
export const PERF_COUNT_SW_DUMMY = 9;
export const PERF_COUNT_SW_BPF_OUTPUT = 10;
export const PERF_COUNT_SW_CGROUP_SWITCHES = 11;
export const PERF_COUNT_SW_MAX = 12;

export const PERF_SAMPLE_IP = 1 << 0;
export const PERF_SAMPLE_TID = 1 << 1;
export const PERF_SAMPLE_TIME = 1 << 2;
export const PERF_SAMPLE_ADDR = 1 << 3;
export const PERF_SAMPLE_READ = 1 << 4;
export const PERF_SAMPLE_CALLCHAIN = 1 << 5;
export const PERF_SAMPLE_ID = 1 << 6;
export const PERF_SAMPLE_CPU = 1 << 7;
export const PERF_SAMPLE_PERIOD = 1 << 8;
export const PERF_SAMPLE_STREAM_ID = 1 << 9;
export const PERF_SAMPLE_RAW = 1 << 10;
export const PERF_SAMPLE_BRANCH_STACK = 1 << 11;
export const PERF_SAMPLE_REGS_USER = 1 << 12;
export const PERF_SAMPLE_STACK_USER = 1 << 13;
export const PERF_SAMPLE_WEIGHT = 1 << 14;
export const PERF_SAMPLE_DATA_SRC = 1 << 15;
export const PERF_SAMPLE_IDENTIFIER = 1 << 16;
export const PERF_SAMPLE_TRANSACTION = 1 << 17;
export const PERF_SAMPLE_REGS_INTR = 1 << 18;
export const PERF_SAMPLE_PHYS_ADDR = 1 << 19;
export const PERF_SAMPLE_AUX = 1 << 20;
export const PERF_SAMPLE_CGROUP = 1 << 21;
export const PERF_SAMPLE_DATA_PAGE_SIZE = 1 << 22;
export const PERF_SAMPLE_CODE_PAGE_SIZE = 1 << 23;
export const PERF_SAMPLE_WEIGHT_STRUCT = 1 << 24;
export const PERF_SAMPLE_MAX = 1 << 25;

export const PERF_FORMAT_TOTAL_TIME_ENABLED = 1 << 0;
export const PERF_FORMAT_TOTAL_TIME_RUNNING = 1 << 1;
export const PERF_FORMAT_ID = 1 << 2;
export const PERF_FORMAT_GROUP = 1 << 3;
export const PERF_FORMAT_LOST = 1 << 4;
export const PERF_FORMAT_MAX = 1 << 5;

export const PERF_ATTR_SIZE_VER0 = 64;
/** sizeof(struct perf_event_attr) */
export const PERF_ATTR_SIZE = 136;

export const PERF_FLAG_FD_NO_GROUP = 1 << 0;
export const PERF_FLAG_FD_OUTPUT = 1 << 1;
export const PERF_FLAG_PID_CGROUP = 1 << 2;
export const PERF_FLAG_FD_CLOEXEC = 1 << 3;

export const PERF_EVENT_IOC_ENABLE = 0x2400;
export const PERF_EVENT_IOC_DISABLE = 0x2401;
export const PERF_EVENT_IOC_REFRESH = 0x2402;
export const PERF_EVENT_IOC_RESET = 0x2403;
export const PERF_EVENT_IOC_PERIOD = 0x40082404;
export const PERF_EVENT_IOC_SET_OUTPUT = 0x2405;
export const PERF_EVENT_IOC_SET_FILTER = 0x40082406;
export const PERF_EVENT_IOC_ID = 0x80082407;
export const PERF_EVENT_IOC_SET_BPF = 0x40042408;
export const PERF_EVENT_IOC_PAUSE_OUTPUT = 0x40042409;
export const PERF_EVENT_IOC_QUERY_BPF = 0xc008240a;
export const PERF_EVENT_IOC_MODIFY_ATTRIBUTES = 0x4008240b;
export const PERF_IOC_FLAG_GROUP = 1;

export const PERF_RECORD_LOST = 2;
export const PERF_RECORD_SAMPLE = 9;
export const PERF_RECORD_MISC_KERNEL = 1;
export const PERF_RECORD_MISC_USER = 2;

/** struct perf_event_mmap_page: offsets of what is written and read here. */
export const PERF_MMAP = {
	version: 0,
	lock: 8,
	index: 12,
	offset: 16,
	time_enabled: 24,
	time_running: 32,
	capabilities: 40,
	size: 80,
	data_head: 1024,
	data_tail: 1032,
	data_offset: 1040,
	data_size: 1048,
} as const;
/** offsetof(struct perf_event_mmap_page, __reserved) */
export const PERF_MMAP_SIZE = 104;

/** Bits of the word of flags in struct perf_event_attr, in order. */
const ATTR_BITS = {
	disabled: 0,
	inherit: 1,
	pinned: 2,
	exclusive: 3,
	exclude_user: 4,
	exclude_kernel: 5,
	exclude_idle: 7,
	freq: 10,
	watermark: 14,
	sample_id_all: 18,
	use_clockid: 25,
	write_backward: 27,
	namespaces: 28,
	aux_output: 31,
	inherit_thread: 35,
	remove_on_exec: 36,
	sigtrap: 37,
	enable_on_exec: 12,
} as const;
export type PerfAttrBit = keyof typeof ATTR_BITS;
const ATTR_RESERVED_1 = 38;

/** struct perf_event_attr over its bytes. */
export class perf_event_attr {
	readonly bytes: Uint8Array;
	private readonly dv: DataView;
	constructor(bytes: Uint8Array = new Uint8Array(PERF_ATTR_SIZE)) {
		this.bytes = bytes;
		this.dv = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	}
	get type(): number {
		return this.dv.getUint32(0, true);
	}
	set type(v: number) {
		this.dv.setUint32(0, v, true);
	}
	get size(): number {
		return this.dv.getUint32(4, true);
	}
	set size(v: number) {
		this.dv.setUint32(4, v, true);
	}
	get config(): bigint {
		return this.dv.getBigUint64(8, true);
	}
	set config(v: bigint) {
		this.dv.setBigUint64(8, v, true);
	}
	/** sample_freq when `freq` is set */
	get sample_period(): bigint {
		return this.dv.getBigUint64(16, true);
	}
	set sample_period(v: bigint) {
		this.dv.setBigUint64(16, v, true);
	}
	get sample_type(): bigint {
		return this.dv.getBigUint64(24, true);
	}
	set sample_type(v: bigint) {
		this.dv.setBigUint64(24, v, true);
	}
	get read_format(): bigint {
		return this.dv.getBigUint64(32, true);
	}
	set read_format(v: bigint) {
		this.dv.setBigUint64(32, v, true);
	}
	/** A flag: `disabled`, `freq`, … */
	bit(name: PerfAttrBit): boolean {
		return ((this.dv.getBigUint64(40, true) >> BigInt(ATTR_BITS[name])) & 1n) !== 0n;
	}
	set_bit(name: PerfAttrBit, on = true): void {
		const mask = 1n << BigInt(ATTR_BITS[name]);
		const old = this.dv.getBigUint64(40, true);
		this.dv.setBigUint64(40, on ? old | mask : old & ~mask, true);
	}
	get precise_ip(): number {
		return Number((this.dv.getBigUint64(40, true) >> 15n) & 3n);
	}
	/** Bits without a meaning that are set. */
	get reserved(): boolean {
		return (
			this.dv.getBigUint64(40, true) >> BigInt(ATTR_RESERVED_1) !== 0n ||
			this.dv.getUint16(110, true) !== 0 ||
			this.dv.getUint32(116, true) >>> 3 !== 0
		);
	}
	/** wakeup_watermark when `watermark` is set */
	get wakeup_events(): number {
		return this.dv.getUint32(48, true);
	}
	set wakeup_events(v: number) {
		this.dv.setUint32(48, v, true);
	}
	/** kprobe_func, uprobe_path, bp_addr */
	get config1(): bigint {
		return this.dv.getBigUint64(56, true);
	}
	set config1(v: bigint) {
		this.dv.setBigUint64(56, v, true);
	}
	/** kprobe_addr, probe_offset, bp_len */
	get config2(): bigint {
		return this.dv.getBigUint64(64, true);
	}
	set config2(v: bigint) {
		this.dv.setBigUint64(64, v, true);
	}
	get branch_sample_type(): bigint {
		return this.dv.getBigUint64(72, true);
	}
	get sample_stack_user(): number {
		return this.dv.getUint32(88, true);
	}
	get clockid(): number {
		return this.dv.getInt32(92, true);
	}
}
