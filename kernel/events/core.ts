// SPDX-License-Identifier: GPL-2.0-only
/**
 * perf_event_open(2) and the files that it gives (kernel/events/core.c): attributes, groups, control, reading,
 * polling, the mapped buffer, and the programs that hang on events. What counts is in sw_pmus.ts, when it
 * counts in perf.ts.
 *
 * Not here: events that children inherit, call chains, registers and stacks in samples, filters, AUX areas,
 * breakpoints, uprobes.
 */
import {
	E2BIG,
	EACCES,
	EBADF,
	EEXIST,
	EFAULT,
	EINVAL,
	ENODEV,
	ENOENT,
	ENOMEM,
	ENOSPC,
	ENOTTY,
	EOPNOTSUPP,
	EPERM,
	ESRCH,
} from "../../include/uapi/asm-generic/errno.ts";
import * as U from "../../include/uapi/linux/bpf.ts";
import * as P from "../../include/uapi/linux/perf_event.ts";
import { within_error_injection_list } from "../bpf/attach.ts";
import type { bpf_prog } from "../bpf/bpf_types.ts";
import { bpf_prog_get, bpf_prog_put } from "../bpf/prog.ts";
import {
	anon_inode_getfile,
	EPOLLHUP,
	fd_install,
	fdget,
	fget,
	type file,
	type file_operations,
	fput,
	get_unused_fd_flags,
	O_CLOEXEC,
	O_RDWR,
	type poll_table,
	put_unused_fd,
} from "../file.ts";
import type { Kernel } from "../kernel.ts";
import { impl, type KernelImpl, type Task } from "../kernel_impl.ts";
import { PAGE_SIZE, VM_DONTCOPY, VM_DONTEXPAND, VM_SHARED, VM_WRITE, type vm_area_struct } from "../kmem.ts";
import { perfmon_capable } from "../task.ts";
import { BPF_TRACE_MAX_PROGS } from "../trace/trace_events.ts";
import {
	PERF_EVENT_STATE_ACTIVE,
	PERF_EVENT_STATE_EXIT,
	perf_event,
	perf_event_read_size,
	perf_read_values,
	SAMPLE_TYPES_PORTED,
} from "./perf_event.ts";
import { type perf_buffer, RING_BUFFER_WRITABLE, rb_alloc, ring_buffer_put } from "./ring_buffer.ts";
import { PERF_TYPE_UPROBE } from "./sw_pmus.ts";

const PERF_FLAG_ALL =
	P.PERF_FLAG_FD_NO_GROUP | P.PERF_FLAG_FD_OUTPUT | P.PERF_FLAG_PID_CGROUP | P.PERF_FLAG_FD_CLOEXEC;
/** sysctl kernel.perf_event_max_sample_rate */
const SAMPLE_RATE = 100_000n;
const USHRT_MAX = 0xffff;
const VM_FAULT_SIGBUS = -1;
const CLOCK_MONOTONIC = 1;

/** perf_copy_attr(): the attributes, or a negative errno. */
function perf_copy_attr(k: KernelImpl, uattr: number): P.perf_event_attr | number {
	const head = k.copy_from_user(uattr, 8);
	if (!head) return -EFAULT;
	let size = new DataView(head.buffer, head.byteOffset).getUint32(4, true);
	if (size === 0) size = P.PERF_ATTR_SIZE_VER0;
	const bad_size = (): number => {
		k.put_user32(uattr + 4, P.PERF_ATTR_SIZE);
		return -E2BIG;
	};
	if (size < P.PERF_ATTR_SIZE_VER0 || size > PAGE_SIZE) return bad_size();
	const given = k.copy_from_user(uattr, size);
	if (!given) return -EFAULT;
	if (given.subarray(P.PERF_ATTR_SIZE).some((b) => b !== 0)) return bad_size();
	const attr = new P.perf_event_attr();
	attr.bytes.set(given.subarray(0, P.PERF_ATTR_SIZE));
	attr.size = size;
	if (attr.reserved) return -EINVAL;
	if (attr.sample_type & ~(BigInt(P.PERF_SAMPLE_MAX) - 1n)) return -EINVAL;
	if (attr.read_format & ~(BigInt(P.PERF_FORMAT_MAX) - 1n)) return -EINVAL;
	const type = Number(attr.sample_type);
	if (type & P.PERF_SAMPLE_BRANCH_STACK) {
		const mask = attr.branch_sample_type;
		if (mask & ~0xfffffn) return -EINVAL;
		if (!(mask & ~7n)) return -EINVAL;
	}
	if (type & P.PERF_SAMPLE_STACK_USER) {
		if (attr.sample_stack_user >= USHRT_MAX || attr.sample_stack_user % 8) return -EINVAL;
	}
	if (type & P.PERF_SAMPLE_WEIGHT && type & P.PERF_SAMPLE_WEIGHT_STRUCT) return -EINVAL;
	if (!attr.bit("inherit") && attr.bit("inherit_thread")) return -EINVAL;
	if (attr.bit("remove_on_exec") && attr.bit("enable_on_exec")) return -EINVAL;
	if (attr.bit("sigtrap") && !attr.bit("remove_on_exec")) return -EINVAL;
	return attr;
}

/** perf_init_event(): find the PMU that takes the event. */
function perf_init_event(k: KernelImpl, event: perf_event): number {
	const { pmus } = k.perf;
	let { type } = event.attr;
	if (type === P.PERF_TYPE_HARDWARE || type === P.PERF_TYPE_HW_CACHE) {
		type = Number(event.attr.config >> 32n);
		// the type of a PMU of hardware, which is not there
		type ||= P.PERF_TYPE_RAW;
	}
	if (event.attr.type === P.PERF_TYPE_BREAKPOINT || event.attr.type === PERF_TYPE_UPROBE) {
		k.bpf.not_ported(event.attr.type === PERF_TYPE_UPROBE ? "uprobes" : "hardware breakpoints");
		return -EOPNOTSUPP;
	}
	for (let tries = 0; tries < 2; tries++) {
		const pmu = pmus.find((p) => p.type === type);
		if (!pmu) break;
		const ret = pmu.event_init(event);
		if (ret === 0) event.pmu = pmu;
		if (ret !== -ENOENT || event.attr.type === type) return ret;
		type = event.attr.type;
	}
	for (const pmu of pmus) {
		const ret = pmu.event_init(event);
		if (ret === 0) event.pmu = pmu;
		if (ret !== -ENOENT) return ret;
	}
	return -ENOENT;
}

/** What the mirror cannot do for an event, or null. */
function missing(attr: P.perf_event_attr): string | null {
	if (attr.bit("inherit")) return "perf events that children inherit";
	if (attr.bit("sigtrap")) return "SIGTRAP of perf events";
	if (attr.sample_type & ~BigInt(SAMPLE_TYPES_PORTED))
		return `perf samples of type 0x${attr.sample_type.toString(16)}`;
	if (attr.bit("use_clockid") && attr.clockid !== CLOCK_MONOTONIC)
		return `clock ${attr.clockid} of perf events`;
	const clock = attr.type === P.PERF_TYPE_SOFTWARE && attr.config <= BigInt(P.PERF_COUNT_SW_TASK_CLOCK);
	if (attr.bit("freq") && attr.sample_period && !clock)
		return "a sampling frequency of events without a clock";
	return null;
}

/** perf_event_alloc() */
function perf_event_alloc(
	k: KernelImpl,
	attr: P.perf_event_attr,
	cpu: number,
	task: Task | null,
	leader: perf_event | null,
): perf_event | number {
	if (cpu < 0 || cpu >= k.config.cpus) if (!task || cpu !== -1) return -EINVAL;
	if (attr.bit("sigtrap") && !task) return -EINVAL;
	const lacks = missing(attr);
	if (lacks) {
		k.bpf.not_ported(lacks);
		return -EOPNOTSUPP;
	}
	const event = new perf_event(k, attr, cpu, task, k.perf.next_id());
	if (leader) event.group_leader = leader;
	const err = perf_init_event(k, event);
	if (err) return err;
	if (attr.bit("aux_output")) {
		event.destroy?.(event);
		return -EOPNOTSUPP;
	}
	return event;
}

/** perf_event_validate_size(): a read of the group may not grow without bound. */
function validate_size(event: perf_event): boolean {
	const n = event.group_leader.siblings.length + 1;
	const max = 16 * 1024;
	return (
		perf_event_read_size(Number(event.attr.read_format), n) <= max &&
		perf_event_read_size(Number(event.group_leader.attr.read_format), n) <= max
	);
}

/** perf_fget_light(): the event behind a descriptor. */
function perf_of_fd(kernel: Kernel, fd: number): perf_event | null {
	const f = fdget(kernel, fd);
	return f && f.f_op === perf_fops ? (f.private_data as perf_event) : null;
}

/** kernel/events/core.c: perf_event_get: the file, with a reference. */
export function perf_event_get(kernel: Kernel, fd: number): file | number {
	const f = fget(kernel, fd);
	if (!f) return -EBADF;
	if (f.f_op === perf_fops) return f;
	fput(f);
	return -EBADF;
}

/** kernel/events/core.c: perf_get_event: the event of a file; null when it is another file. */
export function perf_get_event(f: file): perf_event | null {
	return f.f_op === perf_fops ? (f.private_data as perf_event) : null;
}

/** kernel/events/core.c: perf_event_open */
export function sys_perf_event_open(
	kernel: Kernel,
	uattr: number,
	pid: number,
	cpu: number,
	group_fd: number,
	flags: number,
): number {
	const k = impl(kernel);
	if (flags & ~PERF_FLAG_ALL) return -EINVAL;
	const attr = perf_copy_attr(k, uattr);
	if (typeof attr === "number") return attr;
	// perf_allow_kernel(): sysctl_perf_event_paranoid is 2
	const allowed = perfmon_capable(k.current);
	if (!attr.bit("exclude_kernel") && !allowed) return -EACCES;
	if (attr.bit("namespaces") && !allowed) return -EACCES;
	if (attr.bit("freq")) {
		if (attr.sample_period > SAMPLE_RATE) return -EINVAL;
	} else if (attr.sample_period >> 63n) return -EINVAL;
	if (Number(attr.sample_type) & P.PERF_SAMPLE_PHYS_ADDR && !allowed) return -EACCES;
	if (flags & P.PERF_FLAG_PID_CGROUP && (pid === -1 || cpu === -1)) return -EINVAL;
	const event_fd = get_unused_fd_flags(kernel, O_RDWR);
	if (event_fd < 0) return event_fd;
	const fail = (err: number): number => {
		put_unused_fd(kernel, event_fd);
		return err;
	};
	let leader: perf_event | null = null;
	let output: perf_event | null = null;
	if (group_fd !== -1) {
		leader = perf_of_fd(kernel, group_fd);
		if (!leader) return fail(-EBADF);
		if (flags & P.PERF_FLAG_FD_OUTPUT) output = leader;
		if (flags & P.PERF_FLAG_FD_NO_GROUP) leader = null;
	}
	let task: Task | null = null;
	if (flags & P.PERF_FLAG_PID_CGROUP) {
		k.bpf.not_ported("perf events of cgroups");
		return fail(-EOPNOTSUPP);
	}
	if (pid !== -1) {
		task = pid === 0 ? k.task : (k.tasks.get(pid) ?? null);
		if (!task) return fail(-ESRCH);
	}
	const event = perf_event_alloc(k, attr, cpu, task, leader);
	if (typeof event === "number") return fail(event);
	const undo = (err: number): number => {
		event.destroy?.(event);
		return fail(err);
	};
	if (!task) {
		// perf_allow_cpu()
		if (!allowed) return undo(-EACCES);
		if (cpu >= k.config.cpus) return undo(-ENODEV);
	} else if (task.uid !== k.task.uid && !allowed) return undo(-EACCES);
	if (leader) {
		if (leader.group_leader !== leader) return undo(-EINVAL);
		if (leader.cpu !== event.cpu || leader.target !== event.target) return undo(-EINVAL);
		if (attr.bit("exclusive") || attr.bit("pinned")) return undo(-EINVAL);
	}
	if (output) {
		const err = perf_event_set_output(event, output);
		if (err) return undo(err);
	}
	if (!validate_size(event)) {
		if (output) ring_buffer_attach(event, null);
		return undo(-E2BIG);
	}
	const f = anon_inode_getfile(
		kernel,
		"[perf_event]",
		perf_fops,
		event,
		O_RDWR | (flags & P.PERF_FLAG_FD_CLOEXEC ? O_CLOEXEC : 0),
	);
	if (leader) {
		leader.siblings.push(event);
		leader.set_sizes();
	}
	event.set_sizes();
	k.perf.install(event);
	fd_install(kernel, event_fd, f);
	return event_fd;
}

/** kernel/events/core.c: ring_buffer_attach: writes its records there from now on (null: nowhere). */
function ring_buffer_attach(event: perf_event, rb: perf_buffer | null): void {
	const old = event.rb;
	old?.event_list.delete(event);
	rb?.event_list.add(event);
	event.rb = rb;
	if (old) {
		ring_buffer_put(old);
		event.waitq.wake_up_all();
	}
}

/** kernel/events/core.c: perf_event_set_output */
function perf_event_set_output(event: perf_event, output: perf_event | null): number {
	if (output) {
		if (event === output) return -EINVAL;
		if (output.cpu !== event.cpu) return -EINVAL;
		if (output.cpu === -1 && output.target !== event.target) return -EINVAL;
		if (output.attr.bit("write_backward") !== event.attr.bit("write_backward")) return -EINVAL;
	}
	if (event.mmap_count) return -EINVAL;
	let rb: perf_buffer | null = null;
	if (output) {
		rb = output.rb;
		if (!rb?.mmap_count) return -EINVAL;
		rb.refcount++;
	}
	ring_buffer_attach(event, rb);
	return 0;
}

/** kernel/events/core.c: perf_event_update_userpage */
function perf_event_update_userpage(event: perf_event): void {
	const { rb } = event;
	if (!rb) return;
	const { kmem } = rb.kernel;
	const { enabled, running } = event.times();
	const at = (off: number): number => rb.addr + off;
	const lock = kmem.r32(at(P.PERF_MMAP.lock));
	kmem.w32(at(P.PERF_MMAP.index), 0);
	kmem.w64(at(P.PERF_MMAP.offset), BigInt.asUintN(64, event.count));
	kmem.w64(at(P.PERF_MMAP.time_enabled), enabled);
	kmem.w64(at(P.PERF_MMAP.time_running), running);
	kmem.w32(at(P.PERF_MMAP.lock), (lock + 2) >>> 0);
}

/** kernel/events/core.c: perf_mmap */
function perf_mmap(f: file, vma: vm_area_struct): number {
	const event = f.private_data as perf_event;
	const k = event.kernel;
	if (!(vma.vm_flags & VM_SHARED)) return -EINVAL;
	const vma_size = vma.vm_end - vma.vm_start;
	// an AUX area: no PMU here fills one
	if (vma.vm_pgoff !== 0) return -EINVAL;
	const nr_pages = vma_size / PAGE_SIZE - 1;
	if (nr_pages !== 0 && (nr_pages & (nr_pages - 1)) !== 0) return -EINVAL;
	if (event.rb) {
		if (event.rb.nr_pages !== nr_pages) return -EINVAL;
		event.rb.mmap_count++;
	} else {
		const flags = vma.vm_flags & VM_WRITE ? RING_BUFFER_WRITABLE : 0;
		const watermark = event.attr.bit("watermark") ? event.attr.wakeup_events : 0;
		const rb = rb_alloc(k, nr_pages, watermark, flags);
		if (!rb) return -ENOMEM;
		rb.mmap_count = 1;
		// the reference of rb_alloc() is the event's
		rb.event_list.add(event);
		event.rb = rb;
		// cap_bit0_is_deprecated
		k.kmem.w64(rb.addr + P.PERF_MMAP.capabilities, 2n);
		k.kmem.w32(rb.addr + P.PERF_MMAP.size, P.PERF_MMAP_SIZE);
		k.kmem.w64(rb.addr + P.PERF_MMAP.data_offset, BigInt(PAGE_SIZE));
		k.kmem.w64(rb.addr + P.PERF_MMAP.data_size, BigInt(rb.data_size));
		perf_event_update_userpage(event);
	}
	event.mmap_count++;
	vma.vm_flags |= VM_DONTCOPY | VM_DONTEXPAND;
	vma.vm_ops = {
		open() {
			event.mmap_count++;
			event.rb!.mmap_count++;
		},
		/** kernel/events/core.c: perf_mmap_close */
		close() {
			const rb = event.rb!;
			const last = --rb.mmap_count === 0;
			if (--event.mmap_count > 0) return;
			ring_buffer_attach(event, null);
			// nobody sees the buffer any more: other events must not write to it
			if (last) for (const e of [...rb.event_list]) ring_buffer_attach(e, null);
		},
		/** kernel/events/core.c: perf_mmap_fault */
		fault(v, addr, write) {
			const pgoff = v.vm_pgoff + (addr - v.vm_start) / PAGE_SIZE;
			const { rb } = event;
			if (!rb || (pgoff && write) || pgoff > rb.nr_pages) return VM_FAULT_SIGBUS;
			const pfn = rb.pages[pgoff]!;
			k.kmem.get_page(pfn);
			return pfn;
		},
		may_split: () => -EINVAL,
		page_mkwrite: (v, addr) => v.vm_pgoff + (addr - v.vm_start) / PAGE_SIZE === 0,
	};
	return 0;
}

/** kernel/events/core.c: perf_poll */
function perf_poll(f: file, pt: poll_table | null): number {
	const event = f.private_data as perf_event;
	pt?.wait(f, event.waitq);
	if (event.state <= PERF_EVENT_STATE_EXIT) return EPOLLHUP;
	const { rb } = event;
	if (!rb) return EPOLLHUP;
	const events = rb.poll;
	rb.poll = 0;
	return events;
}

/** kernel/events/core.c: __perf_read */
function perf_read(f: file, buf: number, count: number): number {
	const event = f.private_data as perf_event;
	if (count < event.read_size) return -ENOSPC;
	const values = perf_read_values(event);
	const out = new Uint8Array(8 * values.length);
	const dv = new DataView(out.buffer);
	for (const [i, v] of values.entries()) dv.setBigUint64(8 * i, BigInt.asUintN(64, v), true);
	return event.kernel.copy_to_user(buf, out) ? out.length : -EFAULT;
}

/** kernel/events/core.c: perf_release, _free_event */
function perf_release(f: file): void {
	const event = f.private_data as perf_event;
	const k = event.kernel;
	k.perf.remove(event);
	const leader = event.group_leader;
	if (leader !== event) leader.siblings.splice(leader.siblings.indexOf(event), 1);
	// perf_group_detach(): without their leader the members are on their own
	for (const sub of event.siblings.splice(0)) {
		sub.group_leader = sub;
		k.perf.sched(sub);
	}
	if (event.rb) ring_buffer_attach(event, null);
	perf_event_free_bpf_prog(event);
	event.destroy?.(event);
}

/** kernel/events/core.c: _perf_event_period */
function perf_event_period(event: perf_event, arg: number): number {
	const k = event.kernel;
	const b = k.copy_from_user(arg, 8);
	if (!b) return -EFAULT;
	const value = new DataView(b.buffer, b.byteOffset).getBigUint64(0, true);
	if (!event.sampling || !value) return -EINVAL;
	if (event.attr.bit("freq")) {
		if (value > SAMPLE_RATE) return -EINVAL;
	} else if (value >> 63n) return -EINVAL;
	event.attr.sample_period = value;
	if (!event.attr.bit("freq")) event.sample_period = value;
	const active = event.state === PERF_EVENT_STATE_ACTIVE;
	if (active) event.pmu.del(event);
	event.period_left = 0n;
	if (active) event.pmu.add(event);
	return 0;
}

/** kernel/trace/bpf_trace.c: perf_event_query_prog_array */
function perf_event_query_prog_array(event: perf_event, info: number): number {
	const k = event.kernel;
	if (!perfmon_capable(k.current)) return -EPERM;
	if (event.attr.type !== P.PERF_TYPE_TRACEPOINT) return -EINVAL;
	const head = k.copy_from_user(info, 8);
	if (!head) return -EFAULT;
	const ids_len = new DataView(head.buffer, head.byteOffset).getUint32(0, true);
	if (ids_len > BPF_TRACE_MAX_PROGS) return -E2BIG;
	const ids = event.tp_event!.prog_array.map((i) => i.prog.aux.id);
	// bpf_prog_array_copy_info()
	const n = Math.min(ids.length, ids_len);
	const ret = ids_len && ids.length > ids_len ? -ENOSPC : 0;
	const out = new Uint8Array(Uint32Array.from(ids.slice(0, n)).buffer);
	const zeros = new Uint8Array(4 * (ids_len - n));
	if (!k.put_user32(info + 4, ids.length)) return -EFAULT;
	if (!k.copy_to_user(info + 8, out) || !k.copy_to_user(info + 8 + out.length, zeros)) return -EFAULT;
	return ret;
}

/** kernel/events/core.c: _perf_ioctl */
function perf_ioctl(f: file, cmd: number, arg: number): number {
	const event = f.private_data as perf_event;
	const k = event.kernel;
	const { perf } = k;
	let func: (e: perf_event) => void;
	switch (cmd) {
		case P.PERF_EVENT_IOC_ENABLE:
			func = (e) => perf.enable(e);
			break;
		case P.PERF_EVENT_IOC_DISABLE:
			func = (e) => perf.disable(e);
			break;
		case P.PERF_EVENT_IOC_RESET:
			func = (e) => {
				if (e.state === PERF_EVENT_STATE_ACTIVE) e.pmu.read(e);
				e.count = 0n;
				perf_event_update_userpage(e);
			};
			break;
		case P.PERF_EVENT_IOC_REFRESH:
			if (!event.sampling) return -EINVAL;
			event.event_limit += arg | 0;
			perf.enable(event);
			return 0;
		case P.PERF_EVENT_IOC_PERIOD:
			return perf_event_period(event, arg);
		case P.PERF_EVENT_IOC_ID:
			return k.put_user64(arg, BigInt(event.id)) ? 0 : -EFAULT;
		case P.PERF_EVENT_IOC_SET_OUTPUT: {
			if (arg === -1) return perf_event_set_output(event, null);
			const output = perf_of_fd(k, arg);
			return output ? perf_event_set_output(event, output) : -EBADF;
		}
		case P.PERF_EVENT_IOC_SET_FILTER:
			k.bpf.not_ported("filters of perf events");
			return -EOPNOTSUPP;
		case P.PERF_EVENT_IOC_SET_BPF: {
			const prog = bpf_prog_get(k, arg);
			if (typeof prog === "number") return prog;
			const err = perf_event_set_bpf_prog(event, prog, 0n);
			if (err) bpf_prog_put(prog);
			return err;
		}
		case P.PERF_EVENT_IOC_PAUSE_OUTPUT: {
			const { rb } = event;
			if (!rb?.nr_pages) return -EINVAL;
			// rb_toggle_paused()
			rb.paused = arg !== 0;
			return 0;
		}
		case P.PERF_EVENT_IOC_QUERY_BPF:
			return perf_event_query_prog_array(event, arg);
		case P.PERF_EVENT_IOC_MODIFY_ATTRIBUTES: {
			const attr = perf_copy_attr(k, arg);
			if (typeof attr === "number") return attr;
			return attr.type !== event.attr.type ? -EINVAL : -EOPNOTSUPP;
		}
		default:
			return -ENOTTY;
	}
	if (arg & P.PERF_IOC_FLAG_GROUP) {
		// perf_event_for_each(): from the leader on
		const leader = event.group_leader;
		for (const e of [leader, ...leader.siblings]) func(e);
	} else func(event);
	return 0;
}

const perf_fops: file_operations = {
	name: "perf_event",
	release: perf_release,
	read: perf_read,
	poll: perf_poll,
	unlocked_ioctl: perf_ioctl,
	mmap: perf_mmap,
	write: () => -EINVAL,
};

// ---- programs

/** kernel/events/core.c: perf_event_set_bpf_handler */
function perf_event_set_bpf_handler(event: perf_event, prog: bpf_prog, bpf_cookie: bigint): number {
	if (event.prog) return -EEXIST;
	if (prog.type !== U.BPF_PROG_TYPE_PERF_EVENT) return -EINVAL;
	event.prog = prog;
	event.bpf_cookie = bpf_cookie;
	return 0;
}

/** kernel/events/core.c: __perf_event_set_bpf_prog: the reference on prog is the event's when it succeeds. */
export function perf_event_set_bpf_prog(event: perf_event, prog: bpf_prog, bpf_cookie: bigint): number {
	if (!event.pmu.tracing) return perf_event_set_bpf_handler(event, prog, bpf_cookie);
	const call = event.tp_event!;
	const is_kprobe = call.kind === "kprobe";
	if (prog.type !== (is_kprobe ? U.BPF_PROG_TYPE_KPROBE : U.BPF_PROG_TYPE_TRACEPOINT)) return -EINVAL;
	if (is_kprobe && prog.sleepable) return -EINVAL;
	if (prog.kprobe_override && !is_kprobe) return -EINVAL;
	if (!is_kprobe && prog.aux.max_ctx_offset > call.size) return -EACCES;
	return perf_event_attach_bpf_prog(event, prog, bpf_cookie);
}

/** kernel/trace/bpf_trace.c: perf_event_attach_bpf_prog */
function perf_event_attach_bpf_prog(event: perf_event, prog: bpf_prog, bpf_cookie: bigint): number {
	const k = event.kernel;
	const call = event.tp_event!;
	if (prog.kprobe_override) {
		// trace_kprobe_on_func_entry(), trace_kprobe_error_injectable()
		const symbol = call.kprobe?.symbol ?? "";
		if (call.kprobe?.offset || !within_error_injection_list(k, symbol)) return -EINVAL;
	}
	if (event.prog) return -EEXIST;
	const err = k.trace_events.attach(call, prog, bpf_cookie);
	if (err) return err;
	event.prog = prog;
	event.bpf_cookie = bpf_cookie;
	return 0;
}

/** kernel/events/core.c: perf_event_free_bpf_prog */
export function perf_event_free_bpf_prog(event: perf_event): void {
	const { prog } = event;
	if (!prog) return;
	if (event.pmu.tracing) event.kernel.trace_events.detach(event.tp_event!, prog);
	event.prog = null;
	bpf_prog_put(prog);
}

/** kernel/events/core.c: perf_event_read_local: the counter and its times on the CPU that runs, or a negative errno. */
export function perf_event_read_local(
	event: perf_event,
): { value: bigint; enabled: bigint; running: bigint } | number {
	const k = event.kernel;
	if (event.attr.bit("inherit")) return -EOPNOTSUPP;
	if (event.target && event.target !== k.task) return -EINVAL;
	if (!event.target && event.cpu !== k.cpu) return -EINVAL;
	if (event.oncpu === k.cpu) event.pmu.read(event);
	return { value: event.count, ...event.times() };
}

/** What bpf_get_perf_event_info() tells. */
export interface perf_event_info {
	prog_id: number;
	fd_type: number;
	buf: string | null;
	probe_offset: bigint;
	probe_addr: bigint;
	missed: number;
}

/** kernel/trace/bpf_trace.c: bpf_get_perf_event_info */
export function bpf_get_perf_event_info(event: perf_event): perf_event_info | number {
	const { prog } = event;
	if (!prog) return -ENOENT;
	if (prog.type === U.BPF_PROG_TYPE_PERF_EVENT) return -EOPNOTSUPP;
	const call = event.tp_event!;
	const info = { prog_id: prog.aux.id, probe_offset: 0n, probe_addr: 0n, missed: 0 };
	const { kprobe } = call;
	if (!kprobe) return { ...info, fd_type: U.BPF_FD_TYPE_TRACEPOINT, buf: call.name };
	return {
		...info,
		fd_type: kprobe.is_return ? U.BPF_FD_TYPE_KRETPROBE : U.BPF_FD_TYPE_KPROBE,
		buf: kprobe.symbol,
		probe_offset: BigInt(kprobe.offset),
		probe_addr: kprobe.addr,
		missed: kprobe.missed,
	};
}
