// SPDX-License-Identifier: GPL-2.0-only
/** Programs on perf events: clocks that sample, counters that programs read, and links (prog_tests/perf_link.c). */
import { EBADF, EEXIST, EINVAL, EOPNOTSUPP } from "../../../include/uapi/asm-generic/errno.ts";
import {
	BPF_LINK_TYPE_PERF_EVENT,
	BPF_PERF_EVENT,
	BPF_PERF_EVENT_EVENT,
} from "../../../include/uapi/linux/bpf.ts";
import * as P from "../../../include/uapi/linux/perf_event.ts";
import {
	bpf_link__destroy,
	bpf_link_create,
	bpf_link_detach,
	bpf_link_update,
	bpf_map__fd,
	bpf_map_update_elem,
	bpf_obj_get_info_by_fd,
	bpf_program__attach_perf_event_opts,
} from "../../../tools/lib/bpf/libbpf.ts";
import { burnCpu, perfEventOpen } from "../perf.ts";
import { key32, read32, Skel } from "../skel.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

const CLOCK = { type: P.PERF_TYPE_SOFTWARE, config: P.PERF_COUNT_SW_CPU_CLOCK };

/** As upstream: samples while the link is there, none after. */
async function link(t: TestEnv): Promise<void> {
	const skel = Skel.openAndLoad(t, "test_perf_link");
	if (!skel) return;
	const { lib } = skel;
	const { sys } = t;
	const prog = skel.prog("handler").fd;
	const other = skel.prog("other").fd;
	const pfd = perfEventOpen(lib, { ...CLOCK, freq: 1000 });
	if (t.ASSERT_GE(pfd, 0, "perf_fd")) {
		t.ASSERT_EQ(bpf_link_create(lib, prog, sys.epollCreate1(0), BPF_PERF_EVENT), -EBADF, "no perf event");
		t.ASSERT_EQ(bpf_link_create(lib, prog, pfd, BPF_PERF_EVENT, { flags: 1 }), -EINVAL, "flags");
		const fd = bpf_link_create(lib, prog, pfd, BPF_PERF_EVENT);
		t.ASSERT_GE(fd, 0, "link_fd");
		const info = new Uint8Array(64);
		t.ASSERT_GE(bpf_obj_get_info_by_fd(lib, fd, info), 0, "link_get_info");
		t.ASSERT_EQ(read32(info, 0), BPF_LINK_TYPE_PERF_EVENT, "link_type");
		t.ASSERT_GT(read32(info, 4), 0, "link_id");
		t.ASSERT_GT(read32(info, 8), 0, "link_prog_id");
		t.ASSERT_EQ(read32(info, 16), BPF_PERF_EVENT_EVENT, "perf_event_type");
		// an event has one program; a perf link neither changes it nor lets go of it before its time
		t.ASSERT_EQ(bpf_link_create(lib, other, pfd, BPF_PERF_EVENT), -EEXIST, "second program");
		t.ASSERT_EQ(sys.ioctl(pfd, P.PERF_EVENT_IOC_SET_BPF, other), -EEXIST, "second by ioctl");
		t.ASSERT_EQ(bpf_link_update(lib, fd, other), -EINVAL, "update");
		t.ASSERT_EQ(bpf_link_detach(lib, fd), -EOPNOTSUPP, "detach");
		burnCpu(sys, 10_000_000);
		t.ASSERT_GE(skel.get("run_cnt"), 9, "run_cnt");
		t.ASSERT_EQ(skel.get("period"), 1_000_000, "period");
		t.ASSERT_EQ(skel.get("value_err"), 0, "bpf_perf_prog_read_value");
		const value = skel.bytes("value");
		t.ASSERT_TRUE(
			value.some((b) => b !== 0),
			"counter",
		);
		sys.close(fd);
		const before = skel.get("run_cnt");
		burnCpu(sys, 10_000_000);
		t.ASSERT_EQ(skel.get("run_cnt"), before, "run_cnt_before_after");
		sys.close(pfd);
	}
	skel.destroy();
}

/** A program on a task's clock; disabled, enabled, by ioctl and by link. */
async function task(t: TestEnv): Promise<void> {
	const skel = Skel.openAndLoad(t, "test_perf_link");
	if (!skel) return;
	const { lib } = skel;
	const { sys } = t;
	const spec = { type: P.PERF_TYPE_SOFTWARE, config: P.PERF_COUNT_SW_TASK_CLOCK, period: 100_000 };
	for (const force_ioctl_attach of [false, true]) {
		const pfd = perfEventOpen(lib, { ...spec, disabled: true }, 0, -1);
		const l = bpf_program__attach_perf_event_opts(skel.prog("handler"), pfd, { force_ioctl_attach });
		if (!t.ASSERT_OK_PTR(l, "attach") || typeof l === "number") continue;
		skel.set("run_cnt", 0);
		burnCpu(sys, 1_000_000);
		t.ASSERT_GE(skel.get("run_cnt"), 8, "run_cnt");
		const before = skel.get("run_cnt");
		await sys.nanosleep(50_000_000);
		// 500 periods pass; what a process does to fall asleep and wake up takes a real kernel a few
		t.ASSERT_LE(skel.get("run_cnt") - before, t.kernel.isMirror ? 1 : 99, "no samples asleep");
		t.ASSERT_OK(sys.ioctl(pfd, P.PERF_EVENT_IOC_DISABLE, 0), "disable");
		const off = skel.get("run_cnt");
		burnCpu(sys, 1_000_000);
		t.ASSERT_EQ(skel.get("run_cnt"), off, "disabled");
		bpf_link__destroy(l);
	}
	// a sample whose program says so goes to the buffer
	const pfd = perfEventOpen(lib, { ...spec, sample_type: P.PERF_SAMPLE_TID | P.PERF_SAMPLE_PERIOD }, 0, -1);
	const at = sys.mmap(0, 2 * sys.pageSize, 3, 1, pfd, 0);
	const l = bpf_program__attach_perf_event_opts(skel.prog("handler"), pfd);
	if (t.ASSERT_OK_PTR(l, "attach") && t.ASSERT_GT(at, 0, "mmap")) {
		// what was sampled before there was a program
		const head = (): number => Number(sys.load64(at + P.PERF_MMAP.data_head));
		const before = head();
		burnCpu(sys, 500_000);
		t.ASSERT_EQ(head(), before, "kept out");
		skel.set("keep", 1);
		burnCpu(sys, 500_000);
		t.ASSERT_GT(head(), before, "kept");
		const rec = sys.load(at + sys.pageSize + before, 24);
		t.ASSERT_EQ(read32(rec, 4) >>> 16, 24, "record size");
		const mode = read32(rec, 4) & 0xffff;
		// time of the mirror passes in user space; a real CPU's clock also ends in system calls
		const modes = [P.PERF_RECORD_MISC_USER, ...(t.kernel.isMirror ? [] : [P.PERF_RECORD_MISC_KERNEL])];
		t.ASSERT_TRUE(modes.includes(mode), `mode ${mode}`);
		t.ASSERT_EQ(read32(rec, 8), sys.getpid(), "pid");
		t.ASSERT_EQ(read32(rec, 16), 100_000, "period");
		sys.munmap(at, 2 * sys.pageSize);
		bpf_link__destroy(l as Exclude<typeof l, number>);
	}
	skel.destroy();
}

/** What bpf_perf_event_read() and bpf_perf_event_read_value() give. */
function counters(t: TestEnv): void {
	const skel = Skel.openAndLoad(t, "test_perf_link");
	if (!skel) return;
	const { lib } = skel;
	const { sys } = t;
	const map = bpf_map__fd(skel.map("counters"));
	// the clock of a CPU: the one that it is read on
	sys.setCpu(0);
	const run = (): bigint => {
		sys.getpgid(0);
		return skel.get("read_err");
	};
	if (t.ASSERT_OK(skel.attach(), "attach")) {
		t.ASSERT_EQ(run(), -2, "empty");
		const clock = perfEventOpen(lib, CLOCK);
		t.ASSERT_OK(bpf_map_update_elem(lib, map, key32(0), key32(clock)), "update");
		t.ASSERT_EQ(run(), 0, "read");
		const first = skel.get("counter");
		t.ASSERT_GT(first, 0, "counter");
		burnCpu(sys, 100_000);
		run();
		t.ASSERT_GT(skel.get("counter") - first, 99_999, "it goes on");
		sys.setCpu(1);
		skel.set("cpu_index", 0);
		t.ASSERT_EQ(run(), -EINVAL, "another CPU's");
		sys.setCpu(0);
		sys.close(clock);
	}
	skel.destroy();
}

export const perfLink: ProgTest = {
	name: "perf_link",
	async run(t) {
		if (t.startSubtest("link")) await link(t);
		if (t.startSubtest("task")) await task(t);
		if (t.startSubtest("counters")) counters(t);
		t.endSubtest();
	},
};
