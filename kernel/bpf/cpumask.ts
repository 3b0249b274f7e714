// SPDX-License-Identifier: GPL-2.0-only
/** kernel/bpf/cpumask.c: sets of CPUs as objects; the machine has 64 at most, so that one word says it all. */
import { addr_to_u64, u64_to_addr } from "../../lib/addr.ts";
import type { KernelImpl } from "../kernel_impl.ts";
import { koffsetof, ksizeof } from "./layout.ts";

/** Hang the bodies of cpumask_kfunc_btf_ids on the kernel. */
export function register_cpumask(k: KernelImpl): void {
	const { bodies } = k.bpf;
	const { kmem } = k;
	const p = u64_to_addr;
	const nr = k.config.cpus;
	const all = (1n << BigInt(nr)) - 1n;
	const get = (mask: bigint): bigint => kmem.r64(p(mask)) & all;
	const set = (mask: bigint, v: bigint): void => kmem.w64(p(mask), v & all);
	const bool = (v: boolean): bigint => (v ? 1n : 0n);
	const first = (v: bigint): bigint => {
		for (let i = 0; i < nr; i++) if ((v >> BigInt(i)) & 1n) return BigInt(i);
		return BigInt(nr);
	};
	const cpu_bit = (cpu: bigint): bigint | null => {
		const n = cpu & 0xffffffffn;
		return n < BigInt(nr) ? 1n << n : null;
	};
	const usage = (mask: bigint): number => p(mask) + koffsetof(k, "bpf_cpumask", "usage");

	bodies.set("bpf_cpumask_create", () => {
		const mask = kmem.kzalloc(ksizeof(k, "bpf_cpumask"));
		if (!mask) return 0n;
		kmem.w32(usage(addr_to_u64(mask)), 1);
		return addr_to_u64(mask);
	});
	bodies.set("bpf_cpumask_acquire", (_c, mask) => {
		kmem.w32(usage(mask), kmem.r32(usage(mask)) + 1);
		return mask;
	});
	for (const name of ["bpf_cpumask_release", "bpf_cpumask_release_dtor"])
		bodies.set(name, (_c, mask) => {
			const left = kmem.r32(usage(mask)) - 1;
			kmem.w32(usage(mask), left);
			if (left === 0) k.rcu.call(() => kmem.kfree(p(mask)));
			return 0n;
		});
	bodies.set("bpf_cpumask_first", (_c, mask) => first(get(mask)));
	bodies.set("bpf_cpumask_first_zero", (_c, mask) => first(~get(mask) & all));
	bodies.set("bpf_cpumask_first_and", (_c, a, b) => first(get(a) & get(b)));
	bodies.set("bpf_cpumask_set_cpu", (_c, cpu, mask) => {
		const bit = cpu_bit(cpu);
		if (bit) set(mask, get(mask) | bit);
		return 0n;
	});
	bodies.set("bpf_cpumask_clear_cpu", (_c, cpu, mask) => {
		const bit = cpu_bit(cpu);
		if (bit) set(mask, get(mask) & ~bit);
		return 0n;
	});
	bodies.set("bpf_cpumask_test_cpu", (_c, cpu, mask) => {
		const bit = cpu_bit(cpu);
		return bool(bit !== null && (get(mask) & bit) !== 0n);
	});
	for (const to of [true, false])
		bodies.set(`bpf_cpumask_test_and_${to ? "set" : "clear"}_cpu`, (_c, cpu, mask) => {
			const bit = cpu_bit(cpu);
			if (bit === null) return 0n;
			const old = get(mask);
			set(mask, to ? old | bit : old & ~bit);
			return bool((old & bit) !== 0n);
		});
	bodies.set("bpf_cpumask_setall", (_c, mask) => {
		set(mask, all);
		return 0n;
	});
	bodies.set("bpf_cpumask_clear", (_c, mask) => {
		set(mask, 0n);
		return 0n;
	});
	bodies.set("bpf_cpumask_and", (_c, dst, a, b) => {
		set(dst, get(a) & get(b));
		return bool(get(dst) !== 0n);
	});
	bodies.set("bpf_cpumask_or", (_c, dst, a, b) => {
		set(dst, get(a) | get(b));
		return 0n;
	});
	bodies.set("bpf_cpumask_xor", (_c, dst, a, b) => {
		set(dst, get(a) ^ get(b));
		return 0n;
	});
	bodies.set("bpf_cpumask_equal", (_c, a, b) => bool(get(a) === get(b)));
	bodies.set("bpf_cpumask_intersects", (_c, a, b) => bool((get(a) & get(b)) !== 0n));
	bodies.set("bpf_cpumask_subset", (_c, a, b) => bool((get(a) & ~get(b)) === 0n));
	bodies.set("bpf_cpumask_empty", (_c, mask) => bool(get(mask) === 0n));
	bodies.set("bpf_cpumask_full", (_c, mask) => bool(get(mask) === all));
	bodies.set("bpf_cpumask_copy", (_c, dst, src) => {
		set(dst, get(src));
		return 0n;
	});
	// lib/cpumask.c: each CPU goes on from where it was the last time
	const prev = new Uint32Array(nr);
	const distribute = (cpu: number, v: bigint): bigint => {
		for (let i = 1; i <= nr; i++) {
			const at = (prev[cpu]! + i) % nr;
			if (!((v >> BigInt(at)) & 1n)) continue;
			prev[cpu] = at;
			return BigInt(at);
		}
		return BigInt(nr);
	};
	bodies.set("bpf_cpumask_any_distribute", (c, mask) => distribute(c.cpu, get(mask)));
	bodies.set("bpf_cpumask_any_and_distribute", (c, a, b) => distribute(c.cpu, get(a) & get(b)));
	bodies.set("bpf_cpumask_weight", (_c, mask) => {
		let n = 0n;
		for (let v = get(mask); v; v >>= 1n) n += v & 1n;
		return n;
	});
}
