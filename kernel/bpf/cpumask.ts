// SPDX-License-Identifier: GPL-2.0-only
/** kernel/bpf/cpumask.c: CPU masks of programs. The bits lie in guest memory, lib/cpumask.c's arithmetic is here. */
import { addr_to_u64, u64_to_addr } from "../../lib/addr.ts";
import type { KernelImpl } from "../kernel_impl.ts";
import type { HelperBody } from "./helper_types.ts";
import { koffsetof, ksizeof } from "./layout.ts";

const BITS_PER_LONG = 64;

/** Hang the bodies on the kernel. */
export function register_cpumask(k: KernelImpl): void {
	const { bodies } = k.bpf;
	const { kmem } = k;
	const p = u64_to_addr;
	const cpu_of = (v: bigint): number => Number(v & 0xffffffffn);
	const nr_cpu_ids = (): number => k.config.cpus;
	const NR_CPUS = Number(k.config.kconfig.get("CONFIG_NR_CPUS") ?? "64");
	/** small_cpumask_bits: what searches and comparisons look at; constant where the mask is one word. */
	const nbits = (): number => (NR_CPUS <= BITS_PER_LONG ? NR_CPUS : nr_cpu_ids());
	const words = (): number => Math.ceil(nbits() / BITS_PER_LONG);
	const cpu_valid = (cpu: bigint): boolean => cpu_of(cpu) < nr_cpu_ids();
	const usage = (mask: bigint): number => p(mask) + koffsetof(k, "bpf_cpumask", "usage");
	/** The bits below small_cpumask_bits of a mask, as one number. */
	const bits = (mask: bigint): bigint => {
		let v = 0n;
		for (let i = 0; i < words(); i++) v |= kmem.r64(p(mask) + 8 * i) << BigInt(64 * i);
		return BigInt.asUintN(nbits(), v);
	};
	/** Whole words are written, as bitmap_and() and its kin do. */
	const store = (mask: bigint, v: bigint): void => {
		for (let i = 0; i < words(); i++) kmem.w64(p(mask) + 8 * i, BigInt.asUintN(64, v >> BigInt(64 * i)));
	};
	const raw = (mask: bigint): bigint => {
		let v = 0n;
		for (let i = 0; i < words(); i++) v |= kmem.r64(p(mask) + 8 * i) << BigInt(64 * i);
		return v;
	};
	const bool = (b: boolean): bigint => (b ? 1n : 0n);
	/** find_next_bit(): `nbits` when there is none at or after `from`. */
	const find = (v: bigint, from: number): number => {
		for (let i = from; i < nbits(); i++) if ((v >> BigInt(i)) & 1n) return i;
		return nbits();
	};
	/** distribute_cpu_mask_prev, of each CPU */
	const prev: number[] = [];
	const distribute = (v: bigint): bigint => {
		const from = (prev[k.cpu] ?? 0) + 1;
		// find_next_bit_wrap()
		let next = find(v, from);
		if (next >= nbits()) {
			const wrapped = find(v, 0);
			next = wrapped < from ? wrapped : nbits();
		}
		if (next < nr_cpu_ids()) prev[k.cpu] = next;
		return BigInt(next);
	};
	const change = (fn: (byte: number, bit: number) => number): HelperBody => {
		return (_c, cpu, mask) => {
			if (!cpu_valid(cpu)) return 0n;
			const at = p(mask) + (cpu_of(cpu) >> 3);
			const bit = 1 << (cpu_of(cpu) & 7);
			const old = kmem.r8(at);
			kmem.w8(at, fn(old, bit));
			return bool((old & bit) !== 0);
		};
	};

	bodies.set("bpf_cpumask_create", () => {
		const mask = kmem.kzalloc(ksizeof(k, "bpf_cpumask"));
		if (!mask) return 0n;
		kmem.w32(mask + koffsetof(k, "bpf_cpumask", "usage"), 1);
		return addr_to_u64(mask);
	});
	bodies.set("bpf_cpumask_acquire", (_c, mask) => {
		kmem.w32(usage(mask), kmem.r32(usage(mask)) + 1);
		return mask;
	});
	const release: HelperBody = (_c, mask) => {
		const left = kmem.r32(usage(mask)) - 1;
		kmem.w32(usage(mask), left);
		if (left === 0) k.rcu.call(() => kmem.kfree(p(mask)));
		return 0n;
	};
	bodies.set("bpf_cpumask_release", release);
	bodies.set("bpf_cpumask_release_dtor", release);
	bodies.set("bpf_cpumask_first", (_c, mask) => BigInt(find(bits(mask), 0)));
	bodies.set("bpf_cpumask_first_zero", (_c, mask) => BigInt(find(~bits(mask), 0)));
	bodies.set("bpf_cpumask_first_and", (_c, a, b) => BigInt(find(bits(a) & bits(b), 0)));
	const set = change((old, bit) => old | bit);
	const clear = change((old, bit) => old & ~bit);
	bodies.set("bpf_cpumask_set_cpu", set);
	bodies.set("bpf_cpumask_clear_cpu", clear);
	bodies.set("bpf_cpumask_test_and_set_cpu", set);
	bodies.set("bpf_cpumask_test_and_clear_cpu", clear);
	bodies.set(
		"bpf_cpumask_test_cpu",
		change((old) => old),
	);
	bodies.set("bpf_cpumask_setall", (_c, mask) => {
		store(mask, (1n << BigInt(nr_cpu_ids())) - 1n);
		return 0n;
	});
	bodies.set("bpf_cpumask_clear", (_c, mask) => {
		store(mask, 0n);
		return 0n;
	});
	bodies.set("bpf_cpumask_and", (_c, dst, a, b) => {
		const v = bits(a) & bits(b);
		store(dst, v);
		return bool(v !== 0n);
	});
	bodies.set("bpf_cpumask_or", (_c, dst, a, b) => {
		store(dst, raw(a) | raw(b));
		return 0n;
	});
	bodies.set("bpf_cpumask_xor", (_c, dst, a, b) => {
		store(dst, raw(a) ^ raw(b));
		return 0n;
	});
	bodies.set("bpf_cpumask_equal", (_c, a, b) => bool(bits(a) === bits(b)));
	bodies.set("bpf_cpumask_intersects", (_c, a, b) => bool((bits(a) & bits(b)) !== 0n));
	bodies.set("bpf_cpumask_subset", (_c, a, b) => bool((bits(a) & ~bits(b)) === 0n));
	bodies.set("bpf_cpumask_empty", (_c, mask) => bool(bits(mask) === 0n));
	bodies.set("bpf_cpumask_full", (_c, mask) => bool(find(~bits(mask), 0) === nbits()));
	bodies.set("bpf_cpumask_copy", (_c, dst, src) => {
		store(dst, raw(src));
		return 0n;
	});
	bodies.set("bpf_cpumask_any_distribute", (_c, mask) => distribute(bits(mask)));
	bodies.set("bpf_cpumask_any_and_distribute", (_c, a, b) => distribute(bits(a) & bits(b)));
	bodies.set("bpf_cpumask_weight", (_c, mask) => {
		let n = 0n;
		for (let v = bits(mask); v; v >>= 1n) n += v & 1n;
		return n;
	});
}
