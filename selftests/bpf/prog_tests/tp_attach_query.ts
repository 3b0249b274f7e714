// SPDX-License-Identifier: GPL-2.0-only
/** Trace events: which programs stand on one, what it shows them, how far they may read (prog_tests/tp_attach_query.c). */
import { E2BIG, EACCES, EFAULT, EINVAL, ENOSPC } from "../../../include/uapi/asm-generic/errno.ts";
import { BPF_FD_TYPE_TRACEPOINT, BPF_TASK_FD_QUERY } from "../../../include/uapi/linux/bpf.ts";
import * as P from "../../../include/uapi/linux/perf_event.ts";
import { bpf_prog_get_info_by_fd, bpf_program__attach } from "../../../tools/lib/bpf/libbpf.ts";
import { perfEventOpen } from "../perf.ts";
import { nrGetpgid, Skel } from "../skel.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

const NUM_PROGS = 3;

function eventId(t: TestEnv, path: string): number {
	const b = t.sys.readFile(`/sys/kernel/tracing/events/${path}/id`);
	return typeof b === "number" ? b : Number(new TextDecoder().decode(b));
}

function query(t: TestEnv): void {
	const { sys } = t;
	const config = eventId(t, "sched/sched_switch");
	if (!t.ASSERT_GT(config, 0, "id")) return;
	const spec = {
		type: P.PERF_TYPE_TRACEPOINT,
		config,
		sample_type: P.PERF_SAMPLE_RAW,
		period: 1,
		wakeup_events: 1,
	};
	const skels: Skel[] = [];
	const fds: number[] = [];
	const ids: number[] = [];
	for (let i = 0; i < NUM_PROGS; i++) {
		const skel = Skel.openAndLoad(t, "test_tracepoint");
		if (!skel) break;
		skels.push(skel);
		const { lib } = skel;
		const prog = skel.prog("oncpu").fd;
		const info = bpf_prog_get_info_by_fd(lib, prog);
		if (typeof info === "number") break;
		ids.push(info.id);
		const fd = perfEventOpen(lib, spec);
		if (!t.ASSERT_GE(fd, 0, "perf_event_open")) break;
		fds.push(fd);
		t.ASSERT_OK(sys.ioctl(fd, P.PERF_EVENT_IOC_ENABLE, 0), "perf_event_ioc_enable");
		const at = lib.heap.zalloc(8 + 4 * NUM_PROGS);
		const ask = (ids_len: number): number => {
			sys.store32(at, ids_len);
			return sys.ioctl(fd, P.PERF_EVENT_IOC_QUERY_BPF, at);
		};
		if (i === 0) {
			t.ASSERT_OK(ask(NUM_PROGS), "no programs");
			t.ASSERT_EQ(sys.load32(at + 4), 0, "prog_cnt");
		}
		t.ASSERT_OK(sys.ioctl(fd, P.PERF_EVENT_IOC_SET_BPF, prog), "perf_event_ioc_set_bpf");
		if (i === 1) {
			t.ASSERT_OK(ask(0), "how many");
			t.ASSERT_EQ(sys.load32(at + 4), 2, "prog_cnt");
			t.ASSERT_EQ(sys.ioctl(fd, P.PERF_EVENT_IOC_QUERY_BPF, 1), -EFAULT, "bad pointer");
			t.ASSERT_EQ(ask(1), -ENOSPC, "room for one");
			t.ASSERT_EQ(sys.load32(at + 4), 2, "prog_cnt");
			t.ASSERT_EQ(ask(65), -E2BIG, "more than an event takes");
		}
		t.ASSERT_OK(ask(NUM_PROGS), "query");
		t.ASSERT_EQ(sys.load32(at + 4), i + 1, "prog_cnt");
		for (let j = 0; j <= i; j++) t.ASSERT_EQ(sys.load32(at + 8 + 4 * j), ids[j]!, `id ${j}`);
		// the task's descriptor tells the same program
		const attr = lib.heap.zalloc(48);
		const name = lib.heap.zalloc(32);
		sys.store32(attr, sys.getpid());
		sys.store32(attr + 4, fd);
		sys.store32(attr + 12, 32);
		sys.store64(attr + 16, BigInt(name));
		t.ASSERT_OK(sys.bpf(BPF_TASK_FD_QUERY, attr, 48), "task_fd_query");
		t.ASSERT_EQ(sys.load32(attr + 24), ids[i]!, "prog_id");
		t.ASSERT_EQ(sys.load32(attr + 28), BPF_FD_TYPE_TRACEPOINT, "fd_type");
		t.ASSERT_BYTES(sys.load(name, 13), new TextEncoder().encode("sched_switch\0"), "name");
		for (const a of [at, attr, name]) lib.heap.free(a);
	}
	for (const fd of fds) sys.close(fd);
	for (const skel of skels) skel.destroy();
}

async function args(t: TestEnv): Promise<void> {
	const { sys } = t;
	const skel = Skel.openAndLoad(t, "test_tracepoint");
	if (!skel) return;
	skel.set("my_pid", sys.gettid());
	if (t.ASSERT_OK(skel.attach(), "attach")) {
		await sys.nanosleep(1000);
		t.ASSERT_GE(skel.get("switches"), 1, "switches");
		t.ASSERT_EQ(skel.get("prev_pid"), sys.gettid(), "prev_pid");
		// a real kernel has threads of its own to go on with
		if (t.kernel.isMirror) t.ASSERT_EQ(skel.get("next_pid"), 0, "next_pid: the idle task");
		else t.ASSERT_NEQ(skel.get("next_pid"), sys.gettid(), "next_pid: another task");
		t.ASSERT_GE(skel.get("raw_away"), 1, "away");
		t.ASSERT_GE(skel.get("raw_back"), 1, "and back");
		t.ASSERT_EQ(skel.get("raw_wrong"), 0, "current");
		if (t.kernel.isMirror) t.ASSERT_EQ(skel.get("raw_away"), skel.get("switches"), "as often as the event");
		const ret = sys.getpgid(sys.getpid());
		t.ASSERT_EQ(skel.get("enter_nr"), nrGetpgid(sys.arch), "nr");
		t.ASSERT_EQ(skel.get("enter_arg"), sys.getpid(), "argument");
		t.ASSERT_EQ(skel.get("exit_ret"), ret, "result");
	}
	skel.destroy();
}

/** A program that reads beyond the event's last field loads, but stands on no event. */
function tooFar(t: TestEnv): void {
	const skel = Skel.open(t, "test_tracepoint");
	if (!skel) return;
	skel.prog("too_far").autoload = true;
	if (t.ASSERT_OK(skel.load(), "load"))
		t.ASSERT_EQ(bpf_program__attach(skel.prog("too_far")) as number, -EACCES, "attach");
	skel.destroy();
}

/** Records of an event whose programs let it pass. */
function records(t: TestEnv): void {
	const { sys } = t;
	const skel = Skel.open(t, "test_tracepoint");
	if (!skel) return;
	// the event is of this CPU
	sys.setCpu(0);
	const config = eventId(t, "syscalls/sys_enter_getpgid");
	const spec = { type: P.PERF_TYPE_TRACEPOINT, config, sample_type: P.PERF_SAMPLE_RAW, period: 2 };
	const fd = perfEventOpen(skel.lib, spec);
	const at = sys.mmap(0, 2 * sys.pageSize, 3, 1, fd, 0);
	if (t.ASSERT_GT(at, 0, "mmap")) {
		for (let i = 0; i < 4; i++) sys.getpgid(i);
		// every second one: struct syscall_trace_enter with one argument, padded for the size that stands before it
		const size = 8 + 4 + 28;
		t.ASSERT_EQ(sys.load64(at + P.PERF_MMAP.data_head), 2 * size, "two records");
		const rec = at + sys.pageSize + size;
		t.ASSERT_EQ(sys.load32(rec + 8), 28, "raw size");
		t.ASSERT_EQ(sys.load32(rec + 12) & 0xffff, config, "event");
		t.ASSERT_EQ(sys.load32(rec + 16), sys.gettid(), "pid");
		t.ASSERT_EQ(sys.load32(rec + 20), nrGetpgid(sys.arch), "nr");
		t.ASSERT_EQ(sys.load64(rec + 28), 3, "argument");
		sys.munmap(at, 2 * sys.pageSize);
	}
	sys.close(fd);
	t.ASSERT_EQ(eventId(t, "sched/no_such_event"), -2, "no such event");
	t.ASSERT_EQ(sys.ioctl(fd, P.PERF_EVENT_IOC_ENABLE, 0), -9, "closed");
	t.ASSERT_EQ(perfEventOpen(skel.lib, { ...spec, config: 0 }), -EINVAL, "event 0");
	skel.destroy();
}

export const tpAttachQuery: ProgTest = {
	name: "tp_attach_query",
	attaches: true,
	async run(t) {
		if (t.startSubtest("query")) query(t);
		if (t.startSubtest("args")) await args(t);
		if (t.startSubtest("too_far")) tooFar(t);
		if (t.startSubtest("records")) records(t);
		t.endSubtest();
	},
};
