// SPDX-License-Identifier: GPL-2.0-only
/**
 * Perf buffers (prog_tests/perf_buffer.c), and what upstream leaves to perf's own tests: lost records, wrapping,
 * wake-ups, polling, the mapping's rights, and the bytes of records.
 */

import { UserFault } from "../../../include/sys.ts";
import { E2BIG, EBADF, EINVAL, ENOENT, ENOSPC, EOPNOTSUPP } from "../../../include/uapi/asm-generic/errno.ts";
import { MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE } from "../../../include/uapi/asm-generic/mman.ts";
import * as P from "../../../include/uapi/linux/perf_event.ts";
import {
	bpf_map__fd,
	bpf_map_update_elem,
	bpf_prog_test_run_opts,
	type perf_buffer,
	perf_buffer__buffer,
	perf_buffer__buffer_cnt,
	perf_buffer__buffer_fd,
	perf_buffer__consume,
	perf_buffer__consume_buffer,
	perf_buffer__epoll_fd,
	perf_buffer__free,
	perf_buffer__new,
	perf_buffer__new_raw,
	perf_buffer__poll,
} from "../../../tools/lib/bpf/libbpf.ts";
import { eventAttr, perfEventOpen, readEvent } from "../perf.ts";
import { key32, read32, Skel } from "../skel.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

const BPF_OUTPUT: { type: number; config: number } = {
	type: P.PERF_TYPE_SOFTWARE,
	config: P.PERF_COUNT_SW_BPF_OUTPUT,
};

function open(
	t: TestEnv,
	pages: number,
	sample: (cpu: number, data: Uint8Array) => void,
	object?: Uint8Array,
): [Skel, perf_buffer] | null {
	const skel = Skel.openAndLoad(t, "test_perf_buffer", object);
	if (!skel) return null;
	const pid = t.sys.getpid();
	// upstream's has a map of it
	if (object) bpf_map_update_elem(skel.lib, bpf_map__fd(skel.map("my_pid_map")), key32(0), key32(pid));
	else skel.set("my_pid", pid);
	const pb = perf_buffer__new(skel.lib, bpf_map__fd(skel.map("perf_buf_map")), pages, sample, null);
	if (t.ASSERT_OK_PTR(pb, "perf_buf__new") && typeof pb !== "number") return [skel, pb];
	skel.destroy();
	return null;
}

/** As upstream, with our own object or upstream's: a sample on each CPU, in that CPU's ring. */
export async function everyCpu(t: TestEnv, object?: Uint8Array): Promise<void> {
	const { sys } = t;
	const seen = new Set<number>();
	const sample = (cpu: number, data: Uint8Array): void => {
		t.ASSERT_EQ(read32(data), cpu, "check_cpu_data");
		seen.add(cpu);
	};
	const opened = open(t, 1, sample, object);
	if (!opened) return;
	const [skel, pb] = opened;
	t.ASSERT_GE(perf_buffer__epoll_fd(pb), 0, "epoll_fd");
	if (t.ASSERT_OK(skel.attach(), "attach")) {
		for (let cpu = 0; cpu < sys.nrCpus; cpu++) {
			t.ASSERT_OK(sys.setCpu(cpu), "set_affinity");
			await sys.nanosleep(1000);
		}
		t.ASSERT_EQ(await perf_buffer__poll(pb, 100), sys.nrCpus, "perf_buffer__poll");
		t.ASSERT_EQ(seen.size, sys.nrCpus, "seen_cpu_cnt");
		t.ASSERT_EQ(perf_buffer__buffer_cnt(pb), sys.nrCpus, "buf_cnt");
		let last = -1;
		for (let i = 0; i < sys.nrCpus; i++) {
			const fd = perf_buffer__buffer_fd(pb, i);
			t.ASSERT_GE(fd, 0, "fd");
			t.ASSERT_NEQ(fd, last, "fd_check");
			last = fd;
			t.ASSERT_OK(perf_buffer__consume_buffer(pb, i), "drain_buf");
			seen.delete(i);
			sys.setCpu(i);
			await sys.nanosleep(1000);
			t.ASSERT_OK(perf_buffer__consume_buffer(pb, i), "consume_buf");
			t.ASSERT_TRUE(seen.has(i), `cpu ${i} seen`);
		}
		t.ASSERT_EQ(perf_buffer__consume_buffer(pb, sys.nrCpus), -EINVAL, "no_such_buf");
	}
	perf_buffer__free(pb);
	skel.destroy();
	sys.setCpu(0);
}

/** Which errors bpf_perf_event_output() gives. */
function errors(t: TestEnv): void {
	const { sys } = t;
	const skel = Skel.openAndLoad(t, "test_perf_buffer");
	if (!skel) return;
	const { lib } = skel;
	const map = bpf_map__fd(skel.map("perf_buf_map"));
	skel.set("my_pid", sys.getpid());
	if (t.ASSERT_OK(skel.attach(), "attach")) {
		const out = (flags: bigint): bigint => {
			skel.set("flags", flags);

			sys.getpgid(0);
			return skel.get("ret");
		};
		t.ASSERT_EQ(out(0xffffffffn), -ENOENT, "no event");
		t.ASSERT_EQ(out(BigInt(sys.nrCpus)), -E2BIG, "beyond the map");
		t.ASSERT_EQ(out(1n << 32n), -EINVAL, "bits above the index");
		// elements must be perf events, and of the right kind
		const fd = sys.epollCreate1(0);
		t.ASSERT_EQ(bpf_map_update_elem(lib, map, key32(0), key32(fd)), -EBADF, "no perf event");
		sys.close(fd);
		const dummy = perfEventOpen(lib, { type: P.PERF_TYPE_SOFTWARE, config: P.PERF_COUNT_SW_DUMMY });
		t.ASSERT_OK(bpf_map_update_elem(lib, map, key32(0), key32(dummy)), "dummy");
		t.ASSERT_EQ(out(0n), -EINVAL, "not an output event");
		const other = perfEventOpen(lib, { ...BPF_OUTPUT, sample_type: P.PERF_SAMPLE_RAW }, -1, 1);
		t.ASSERT_OK(bpf_map_update_elem(lib, map, key32(0), key32(other)), "of cpu 1");
		t.ASSERT_EQ(out(0n), -EOPNOTSUPP, "another CPU's");
		const off = perfEventOpen(lib, { ...BPF_OUTPUT, sample_type: P.PERF_SAMPLE_RAW, disabled: true });
		t.ASSERT_OK(bpf_map_update_elem(lib, map, key32(0), key32(off)), "disabled");
		t.ASSERT_EQ(out(0n), -EOPNOTSUPP, "an event that is off");
		t.ASSERT_OK(sys.ioctl(off, P.PERF_EVENT_IOC_ENABLE, 0), "enable");
		t.ASSERT_EQ(out(0n), -ENOSPC, "an event without a buffer");
		for (const e of [dummy, other, off]) sys.close(e);
	}
	skel.destroy();
}

/** Records are bytes: header, size, data, padding; those that find no room are counted. */
async function records(t: TestEnv): Promise<void> {
	const { sys } = t;
	const seen: Uint8Array[] = [];
	let lost = 0n;
	const skel = Skel.openAndLoad(t, "test_perf_buffer");
	if (!skel) return;
	const map = bpf_map__fd(skel.map("perf_buf_map"));
	skel.set("my_pid", sys.getpid());
	const pb = perf_buffer__new(
		skel.lib,
		map,
		1,
		(_cpu, data) => seen.push(data.slice()),
		(_cpu, n) => {
			lost += n;
		},
	);
	if (!t.ASSERT_OK_PTR(pb, "perf_buf__new") || typeof pb === "number") return skel.destroy();
	const { buf } = perf_buffer__buffer(pb, 0) as { buf: number };
	const head = (): number => Number(sys.load64(buf + P.PERF_MMAP.data_head));
	t.ASSERT_EQ(sys.load64(buf + P.PERF_MMAP.data_offset), sys.pageSize, "data_offset");
	t.ASSERT_EQ(sys.load64(buf + P.PERF_MMAP.data_size), sys.pageSize, "data_size");
	const raw = new Uint8Array(512).map((_, i) => (i * 7) & 255);
	skel.setBytes("data", raw);
	if (t.ASSERT_OK(skel.attach(), "attach")) {
		skel.set("size", 5);
		const before = head();
		sys.getpgid(0);
		t.ASSERT_OK(Number(skel.get("ret")), "output");
		// 8 of the header, 4 of the size, 5 of data, padded to 8
		t.ASSERT_EQ(head() - before, 24, "record size");
		const rec = sys.load(buf + sys.pageSize + (before % sys.pageSize), 24);
		t.ASSERT_EQ(read32(rec, 0), P.PERF_RECORD_SAMPLE, "type");
		t.ASSERT_EQ(read32(rec, 4), (24 << 16) | P.PERF_RECORD_MISC_KERNEL, "misc and size");
		t.ASSERT_EQ(read32(rec, 8), 12, "raw size");
		t.ASSERT_BYTES(rec.subarray(16, 17), raw.subarray(4, 5), "data");
		perf_buffer__consume(pb);

		// go round often, so that records are cut at the end of the ring
		seen.length = 0;
		skel.set("size", 301);
		for (let i = 0; i < 100; i++) {
			sys.getpgid(0);
			perf_buffer__consume(pb);
		}
		t.ASSERT_GE(seen.length, 100, "all arrived");
		t.ASSERT_TRUE(
			seen.every((s) => s.length === 308 && Buffer.compare(s.subarray(4, 301), raw.subarray(4, 301)) === 0),
			"whole",
		);
		t.ASSERT_EQ(lost, 0, "none lost");

		// until it is full
		seen.length = 0;
		let n = 0;
		do {
			sys.getpgid(0);
			n++;
		} while (skel.get("ret") === 0n);
		t.ASSERT_EQ(skel.get("ret"), -ENOSPC, "full");
		t.ASSERT_OK(perf_buffer__consume(pb), "consume");
		t.ASSERT_EQ(seen.length, n - 1, "what fitted");
		t.ASSERT_EQ(lost, 0, "losses are told with the next record");
		sys.getpgid(0);
		t.ASSERT_OK(perf_buffer__consume(pb), "consume");
		t.ASSERT_EQ(lost, 1, "one lost");
		t.ASSERT_EQ(seen.length, n, "and the next one arrives");
	}
	perf_buffer__free(pb);
	skel.destroy();
}

/** Who is woken up, and when. */
async function wakeups(t: TestEnv): Promise<void> {
	const { sys } = t;
	const skel = Skel.openAndLoad(t, "test_perf_buffer");
	if (!skel) return;
	const map = bpf_map__fd(skel.map("perf_buf_map"));
	const spec = { ...BPF_OUTPUT, sample_type: P.PERF_SAMPLE_RAW };
	const sample = (): void => {
		skel.set("my_pid", pid);
		sys.getpgid(0);
		skel.set("my_pid", 0);
	};
	const pid = sys.getpid();
	const one = async (what: string, s: Parameters<typeof eventAttr>[0], n: number): Promise<void> => {
		let seen = 0;
		const pb = perf_buffer__new_raw(
			skel.lib,
			map,
			1,
			eventAttr(s),
			() => {
				seen++;
				return -2;
			},
			{ cpus: [0], map_keys: [0] },
		);
		if (!t.ASSERT_OK_PTR(pb, what) || typeof pb === "number") return;
		t.ASSERT_EQ(await perf_buffer__poll(pb, 0), 0, `${what}: nothing yet`);
		if (t.ASSERT_OK(skel.attach(), "attach")) {
			for (let i = 0; i < n - 1; i++) sample();
			t.ASSERT_EQ(await perf_buffer__poll(pb, 0), 0, `${what}: ${n - 1} samples`);
			skel.set("my_pid", pid);
			const last = sys.thread(async (other) => {
				await other.yieldCpu();
				other.getpgid(0);
			});
			t.ASSERT_EQ(await perf_buffer__poll(pb, 10000), 1, `${what}: woken`);
			await last;
			skel.set("my_pid", 0);
			t.ASSERT_EQ(seen, n, `${what}: samples`);
			skel.detach();
		}
		perf_buffer__free(pb);
	};
	await one("wakeup_events", { ...spec, wakeup_events: 3 }, 3);
	skel.set("size", 500);
	// a record of 512 bytes: more than 1100 bytes are there with the third
	await one("watermark", { ...spec, watermark: 1100 }, 3);
	skel.destroy();
}

/** What a process may do with the mapping, and events that share one. */
function mapping(t: TestEnv): void {
	const { sys } = t;
	const skel = Skel.openAndLoad(t, "test_perf_buffer");
	if (!skel) return;
	const { lib } = skel;
	const page = sys.pageSize;
	const spec = { ...BPF_OUTPUT, sample_type: P.PERF_SAMPLE_RAW };
	const e = perfEventOpen(lib, spec);
	const rw = PROT_READ | PROT_WRITE;
	t.ASSERT_EQ(sys.mmap(0, 2 * page, rw, MAP_PRIVATE, e, 0), -EINVAL, "private");
	t.ASSERT_EQ(sys.mmap(0, 4 * page, rw, MAP_SHARED, e, 0), -EINVAL, "three pages of data");
	t.ASSERT_EQ(sys.mmap(0, 2 * page, rw, MAP_SHARED, e, page), -EINVAL, "an offset");
	const at = sys.mmap(0, 3 * page, rw, MAP_SHARED, e, 0);
	if (t.ASSERT_GT(at, 0, "mmap")) {
		t.ASSERT_EQ(sys.mmap(0, 2 * page, rw, MAP_SHARED, e, 0), -EINVAL, "another size");
		sys.store64(at + P.PERF_MMAP.data_tail, 0n);
		t.ASSERT_EQ(sys.load64(at + page), 0, "data begin empty");
		let signal = "";
		try {
			sys.store64(at + page, 1n);
		} catch (err) {
			if (!(err instanceof UserFault)) throw err;
			signal = err.signal;
		}
		t.ASSERT_STREQ(signal, "SIGBUS", "data may not be written");
		t.ASSERT_EQ(sys.munmap(at, page), -EINVAL, "no split");
		// two events, one buffer
		const e2 = perfEventOpen(lib, spec);
		const e3 = perfEventOpen(lib, spec, -1, 1);
		t.ASSERT_OK(sys.ioctl(e2, P.PERF_EVENT_IOC_SET_OUTPUT, e), "set_output");
		t.ASSERT_EQ(sys.ioctl(e3, P.PERF_EVENT_IOC_SET_OUTPUT, e), -EINVAL, "of another CPU");
		t.ASSERT_EQ(sys.ioctl(e, P.PERF_EVENT_IOC_SET_OUTPUT, e2), -EINVAL, "mapped itself");
		skel.set("my_pid", sys.getpid());
		t.ASSERT_OK(
			bpf_map_update_elem(lib, bpf_map__fd(skel.map("perf_buf_map")), key32(0), key32(e2)),
			"update",
		);
		if (t.ASSERT_OK(skel.attach(), "attach")) {
			sys.getpgid(0);
			const before = sys.load64(at + P.PERF_MMAP.data_head);
			t.ASSERT_GT(before, 0, "written through the other event");
			t.ASSERT_OK(sys.ioctl(e2, P.PERF_EVENT_IOC_PAUSE_OUTPUT, 1), "pause");
			const paused = sys.load64(at + P.PERF_MMAP.data_head);
			sys.getpgid(0);
			t.ASSERT_EQ(sys.load64(at + P.PERF_MMAP.data_head), paused, "paused");
			t.ASSERT_OK(sys.munmap(at, 3 * page), "munmap");
			sys.getpgid(0);
			t.ASSERT_EQ(skel.get("ret"), -ENOSPC, "the buffer went with its mapping");
		}
		sys.close(e2);
		sys.close(e3);
	}
	sys.close(e);
	// without PROT_WRITE old records are overwritten; backward they begin at the end
	for (const backward of [false, true]) {
		const o = perfEventOpen(lib, { ...spec, write_backward: backward });
		const m = sys.mmap(0, 2 * page, PROT_READ, MAP_SHARED, o, 0);
		if (t.ASSERT_GT(m, 0, "mmap read-only")) {
			t.ASSERT_OK(
				bpf_map_update_elem(lib, bpf_map__fd(skel.map("perf_buf_map")), key32(0), key32(o)),
				"update",
			);
			skel.set("size", 496);
			for (let i = 0; i < 20; i++) sys.getpgid(0);
			t.ASSERT_OK(Number(skel.get("ret")), "overwrites");
			const head = BigInt.asIntN(64, sys.load64(m + P.PERF_MMAP.data_head));
			t.ASSERT_TRUE(backward ? head < -4096n : head > 4096n, `head ${head}`);
			sys.munmap(m, 2 * page);
		}
		sys.close(o);
	}
	skel.destroy();
}

/** A packet's bytes behind the program's. */
function packet(t: TestEnv): void {
	const seen: Uint8Array[] = [];
	const opened = open(t, 1, (_cpu, data) => seen.push(data.slice()));
	if (!opened) return;
	const [skel, pb] = opened;
	const data_in = new Uint8Array(64).map((_, i) => i + 1);
	const run = (len: number): bigint => {
		skel.set("flags", 0xffffffffn | (BigInt(len) << 32n));
		t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog("packet").fd, { data_in, repeat: 1 }), "test_run");
		return skel.get("ret");
	};
	t.ASSERT_EQ(run(20), 0, "output");
	t.ASSERT_EQ(run(65), -14, "more than there is");
	perf_buffer__consume(pb);
	t.ASSERT_EQ(seen.length, 1, "one sample");
	t.ASSERT_EQ(read32(seen[0]!), 0x1234, "meta");
	t.ASSERT_BYTES(seen[0]!.subarray(4, 24), data_in.subarray(0, 20), "packet");
	perf_buffer__free(pb);
	skel.destroy();
}

/** Groups and what read(2) tells. */
async function counting(t: TestEnv): Promise<void> {
	const skel = Skel.openAndLoad(t, "test_perf_buffer");
	if (!skel) return;
	const { lib } = skel;
	const { sys } = t;
	const fmt =
		P.PERF_FORMAT_TOTAL_TIME_ENABLED |
		P.PERF_FORMAT_TOTAL_TIME_RUNNING |
		P.PERF_FORMAT_ID |
		P.PERF_FORMAT_GROUP;
	const sw = (config: number): Parameters<typeof eventAttr>[0] => ({
		type: P.PERF_TYPE_SOFTWARE,
		config,
		read_format: fmt,
	});
	const leader = perfEventOpen(lib, { ...sw(P.PERF_COUNT_SW_CONTEXT_SWITCHES), disabled: true }, 0, -1);
	const member = perfEventOpen(lib, sw(P.PERF_COUNT_SW_TASK_CLOCK), 0, -1, leader);
	t.ASSERT_EQ(perfEventOpen(lib, sw(P.PERF_COUNT_SW_DUMMY), 0, -1, member), -EINVAL, "no group in a group");
	t.ASSERT_EQ(readEvent(lib, leader, 2) as number, -ENOSPC, "short");
	await sys.nanosleep(1000);
	const off = readEvent(lib, leader, 8) as bigint[];
	t.ASSERT_EQ(off[0]!, 2, "nr");
	t.ASSERT_EQ(off[3]!, 0, "not counted while it is off");
	t.ASSERT_OK(sys.ioctl(leader, P.PERF_EVENT_IOC_ENABLE, 0), "enable");
	const start = sys.clockMonotonic();
	for (let i = 0; i < 3; i++) await sys.nanosleep(100_000_000);
	const on = readEvent(lib, leader, 8) as bigint[];
	const awake = sys.clockMonotonic() - start - 300_000_000n;
	// a process elsewhere also waits to be told what to do
	if (t.kernel.isMirror) t.ASSERT_EQ(on[3]!, 3, "context switches");
	else t.ASSERT_GE(on[3]!, 3, "context switches");
	t.ASSERT_GT(on[5]!, 0, "task clock");
	t.ASSERT_LT(on[5]!, awake + 1_000_000n, "asleep no time passes");
	t.ASSERT_NEQ(on[4]!, on[6]!, "ids");
	t.ASSERT_OK(sys.ioctl(leader, P.PERF_EVENT_IOC_RESET, P.PERF_IOC_FLAG_GROUP), "reset");
	t.ASSERT_LT((readEvent(lib, leader, 8) as bigint[])[3]!, t.kernel.isMirror ? 1 : on[3]!, "reset");
	sys.close(member);
	sys.close(leader);
	skel.destroy();
}

/** Arguments of perf_event_open(2). */
function arguments_(t: TestEnv): void {
	const skel = Skel.openAndLoad(t, "test_perf_buffer");
	if (!skel) return;
	const { lib } = skel;
	const dummy = { type: P.PERF_TYPE_SOFTWARE, config: P.PERF_COUNT_SW_DUMMY };
	const bad = (
		what: string,
		errno: number,
		...args: Parameters<typeof perfEventOpen> extends [unknown, ...infer R] ? R : never
	): void => {
		t.ASSERT_EQ(perfEventOpen(lib, ...args), -errno, what);
	};
	bad("no task and no CPU", EINVAL, dummy, -1, -1);
	bad("no such CPU", EINVAL, dummy, -1, 99);
	bad("flags", EINVAL, dummy, -1, 0, -1, 16);
	bad("no such task", 3, dummy, 99999, -1);
	bad("no such event", ENOENT, { ...dummy, config: 99 });
	// a real machine may have counters
	if (t.kernel.isMirror) bad("no hardware", ENOENT, { type: P.PERF_TYPE_HARDWARE, config: 0 });
	bad("group of what is no event", EBADF, dummy, -1, 0, 0);
	bad("read format", EINVAL, { ...dummy, read_format: 1 << 9 });
	bad("no such tracepoint", EINVAL, { type: P.PERF_TYPE_TRACEPOINT, config: 1 << 20 });
	skel.destroy();
}

export const perfBuffer: ProgTest = {
	name: "perf_buffer",
	attaches: true,
	async run(t) {
		if (t.startSubtest("every_cpu")) await everyCpu(t);
		if (t.startSubtest("errors")) errors(t);
		if (t.startSubtest("records")) await records(t);
		if (t.startSubtest("wakeups")) await wakeups(t);
		if (t.startSubtest("mapping")) mapping(t);
		if (t.startSubtest("packet")) packet(t);
		if (t.startSubtest("counting")) await counting(t);
		if (t.startSubtest("arguments")) arguments_(t);
		t.endSubtest();
	},
};
