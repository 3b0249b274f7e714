// SPDX-License-Identifier: GPL-2.0-only
/**
 * Timers and work queues of programs (kernel/bpf/helpers.c: bpf_timer_*, bpf_wq_*). The map value holds
 * the address of a small kernel object; what the object does is here.
 */
import { BPF_TIMER, BPF_WORKQUEUE } from "../../include/linux/bpf.ts";
import { EBUSY, EDEADLK, EINVAL, ENOMEM, EPERM } from "../../include/uapi/asm-generic/errno.ts";
import { BPF_F_TIMER_ABS, BPF_F_TIMER_CPU_PIN, BPF_MAP_TYPE_ARRAY } from "../../include/uapi/linux/bpf.ts";
import { addr_to_u64, u64_to_addr } from "../../lib/addr.ts";
import type { KernelImpl } from "../kernel_impl.ts";
import type { hrtimer } from "../time.ts";
import type { bpf_array } from "./arraymap.ts";
import type { bpf_map, bpf_prog } from "./bpf_types.ts";
import { round_up } from "./map.ts";
import { bpf_prog_inc_not_zero, bpf_prog_put } from "./prog.ts";

const CLOCK_REALTIME = 0;
const CLOCK_MONOTONIC = 1;
const CLOCK_BOOTTIME = 7;
const MAX_CLOCKS = 16n;

/** struct bpf_async_cb */
export interface bpf_async_cb {
	readonly addr: number;
	readonly map: bpf_map;
	readonly value: number;
	readonly wq: boolean;
	readonly clockid: number;
	prog: bpf_prog | null;
	callback_fn: bigint;
	timer: hrtimer | null;
}

/** kernel/bpf/helpers.c: bpf_timer_cb, bpf_wq_work: the callback with map, key and value. */
function run_callback(k: KernelImpl, cb: bpf_async_cb): void {
	if (!cb.callback_fn) return;
	const { map, value } = cb;
	let key: number;
	let tmp = 0;
	if (map.map_type === BPF_MAP_TYPE_ARRAY) {
		const a = map as bpf_array;
		tmp = k.kmem.kzalloc(8);
		k.kmem.w32(tmp, Math.floor((value - a.value) / a.elem_size));
		key = tmp;
	} else key = value - round_up(map.key_size, 8);
	const before = k.bpf.hrtimer_running;
	if (!cb.wq) k.bpf.hrtimer_running = cb;
	const rcu = cb.wq ? k.rcu_tasks_trace : k.rcu;
	rcu.read_lock();
	try {
		k.call_guest(cb.callback_fn, [map.kaddr, addr_to_u64(key), addr_to_u64(value), 0n, 0n]);
	} finally {
		rcu.read_unlock();
		k.bpf.hrtimer_running = before;
		if (tmp) k.kmem.kfree(tmp);
	}
}

function drop_prog_refcnt(cb: bpf_async_cb): void {
	if (!cb.prog) return;
	bpf_prog_put(cb.prog);
	cb.prog = null;
	cb.callback_fn = 0n;
}

function cancel(k: KernelImpl, cb: bpf_async_cb): boolean {
	const t = cb.timer;
	cb.timer = null;
	return t ? k.time.cancel(t) : false;
}

/** The bodies, and the freeing of these fields. */
export function register_timers(k: KernelImpl): void {
	const { bodies, asyncs, field_free } = k.bpf;
	const p = u64_to_addr;
	const err = (e: number): bigint => BigInt(-e);
	const lookup = (field: bigint): bpf_async_cb | undefined => asyncs.get(k.kmem.rptr(p(field)));

	/** kernel/bpf/helpers.c: __bpf_async_init */
	const init = (field: bigint, m: bigint, clockid: number, wq: boolean): bigint => {
		const map = k.bpf.map_of(m);
		if (k.kmem.r64(p(field)) !== 0n) return err(EBUSY);
		const addr = k.kmem.kzalloc(64);
		if (!addr) return err(ENOMEM);
		const off = wq ? map.record!.wq_off : map.record!.timer_off;
		asyncs.set(addr, {
			addr,
			map,
			value: p(field) - off,
			wq,
			clockid,
			prog: null,
			callback_fn: 0n,
			timer: null,
		});
		k.kmem.wptr(p(field), addr);
		if (map.usercnt === 0) {
			k.kmem.w64(p(field), 0n);
			asyncs.delete(addr);
			k.kmem.kfree(addr);
			return err(EPERM);
		}
		return 0n;
	};
	/** kernel/bpf/helpers.c: __bpf_async_set_callback; the program's aux is a hidden argument. */
	const set_callback = (field: bigint, callback: bigint, aux: bigint): bigint => {
		const cb = lookup(field);
		if (!cb) return err(EINVAL);
		if (cb.map.usercnt === 0) return err(EPERM);
		const prog = k.bpf.prog_of_aux(aux);
		if (cb.prog !== prog) {
			const got = bpf_prog_inc_not_zero(prog);
			if (typeof got === "number") return BigInt(got);
			if (cb.prog) bpf_prog_put(cb.prog);
			cb.prog = prog;
		}
		cb.callback_fn = callback;
		return 0n;
	};
	bodies.set("bpf_timer_init", (_c, timer, map, flags) => {
		const clockid = Number(flags & (MAX_CLOCKS - 1n));
		if (flags >= MAX_CLOCKS) return err(EINVAL);
		if (clockid !== CLOCK_MONOTONIC && clockid !== CLOCK_REALTIME && clockid !== CLOCK_BOOTTIME)
			return err(EINVAL);
		return init(timer, map, clockid, false);
	});
	bodies.set("bpf_timer_set_callback", (_c, timer, callback, aux) => set_callback(timer, callback, aux));
	bodies.set("bpf_timer_start", (_c, timer, nsecs, flags) => {
		if (flags & ~BigInt(BPF_F_TIMER_ABS | BPF_F_TIMER_CPU_PIN)) return err(EINVAL);
		const cb = lookup(timer);
		if (!cb?.prog) return err(EINVAL);
		cancel(k, cb);
		const ns = BigInt.asIntN(64, nsecs) < 0n ? 0x7fffffffffffffffn : nsecs;
		const at =
			flags & BigInt(BPF_F_TIMER_ABS)
				? ns - (cb.clockid === CLOCK_REALTIME ? k.wall_offset : 0n)
				: k.time.now + ns;
		cb.timer = k.time.start(at, () => {
			cb.timer = null;
			run_callback(k, cb);
		});
		k.kick();
		return 0n;
	});
	bodies.set("bpf_timer_cancel", (_c, timer) => {
		const cb = lookup(timer);
		if (!cb) return err(EINVAL);
		if (k.bpf.hrtimer_running === cb) return err(EDEADLK);
		drop_prog_refcnt(cb);
		return cancel(k, cb) ? 1n : 0n;
	});
	bodies.set("bpf_wq_init", (_c, wq, map, flags) =>
		flags & 0xffffffffn ? err(EINVAL) : init(wq, map, 0, true),
	);
	bodies.set("bpf_wq_set_callback_impl", (_c, wq, callback, flags, aux) =>
		flags & 0xffffffffn ? err(EINVAL) : set_callback(wq, callback, aux),
	);
	bodies.set("bpf_wq_start", (_c, wq, flags) => {
		if (flags & 0xffffffffn) return err(EINVAL);
		const cb = lookup(wq);
		if (!cb) return err(EINVAL);
		k.queue_work(() => {
			if (asyncs.get(cb.addr) === cb) run_callback(k, cb);
		});
		return 0n;
	});
	/** kernel/bpf/helpers.c: bpf_timer_cancel_and_free, bpf_wq_cancel_and_free */
	const free = (obj: number, offset: number): void => {
		const cb = asyncs.get(k.kmem.rptr(obj + offset));
		if (!cb) return;
		drop_prog_refcnt(cb);
		k.kmem.w64(obj + offset, 0n);
		cancel(k, cb);
		asyncs.delete(cb.addr);
		k.rcu.call(() => k.kmem.kfree(cb.addr));
	};
	field_free.set(BPF_TIMER, (_k, _rec, field, obj) => free(obj, field.offset));
	field_free.set(BPF_WORKQUEUE, (_k, _rec, field, obj) => free(obj, field.offset));
}
