// SPDX-License-Identifier: GPL-2.0-only
/**
 * What 64-bit arithmetic of the verifier costs: one scalar addition with bounds, tnum and
 * reg_bounds_sync(), in WebAssembly (kernel/bpf/scalar/), on pairs of int32 words of the same memory,
 * and on bigints in object fields. Every variant must leave the same state.
 */
import { VerifierHeap } from "../kernel/bpf/heap.ts";
import {
	type bpf_reg_state,
	R_S32_MAX,
	R_S32_MIN,
	R_SMAX,
	R_SMIN,
	R_U32_MAX,
	R_U32_MIN,
	R_UMAX,
	R_UMIN,
	R_VAR_MASK,
	R_VAR_VALUE,
	REG_WORDS,
} from "../kernel/bpf/reg_state.ts";
import { bigint_add, read_scalar, write_scalar } from "../kernel/bpf/scalar_bigint.ts";

/** Addition of the tnums alone on int32 pairs: what a hand-written int32 variant pays for one 64-bit step. */
function tnum_add_i32(w: Int32Array, d: number, s: number): void {
	const dv = d + R_VAR_VALUE;
	const dm = d + R_VAR_MASK;
	const sv = s + R_VAR_VALUE;
	const sm = s + R_VAR_MASK;
	const m_lo = (w[dm]! + w[sm]!) | 0;
	const m_hi = (w[dm + 1]! + w[sm + 1]! + (m_lo >>> 0 < w[dm]! >>> 0 ? 1 : 0)) | 0;
	const v_lo = (w[dv]! + w[sv]!) | 0;
	const v_hi = (w[dv + 1]! + w[sv + 1]! + (v_lo >>> 0 < w[dv]! >>> 0 ? 1 : 0)) | 0;
	const sigma_lo = (m_lo + v_lo) | 0;
	const sigma_hi = (m_hi + v_hi + (sigma_lo >>> 0 < m_lo >>> 0 ? 1 : 0)) | 0;
	const mu_lo = (sigma_lo ^ v_lo) | w[dm]! | w[sm]!;
	const mu_hi = (sigma_hi ^ v_hi) | w[dm + 1]! | w[sm + 1]!;
	w[dm] = mu_lo;
	w[dm + 1] = mu_hi;
	w[dv] = v_lo & ~mu_lo;
	w[dv + 1] = v_hi & ~mu_hi;
}

const ROUNDS = Number(process.argv[2] ?? 2_000_000);

function time(name: string, unit: number, run: () => void): void {
	run();
	const t0 = process.hrtime.bigint();
	run();
	const ns = Number(process.hrtime.bigint() - t0) / unit;
	process.stdout.write(`${name.padEnd(52)} ${ns.toFixed(1).padStart(8)} ns\n`);
}

function set_range(r: bpf_reg_state, heap: VerifierHeap, lo: bigint, hi: bigint): void {
	heap.x.mark_reg_unknown_imprecise(r.p);
	r.umin_value = lo;
	r.umax_value = hi;
	heap.x.reg_bounds_sync(r.p);
}

const heap = new VerifierHeap();
const x = heap.x;
const start = heap.alloc_reg();
const step = heap.alloc_reg();
const d = heap.alloc_reg();
set_range(start, heap, 0n, 4095n);
set_range(step, heap, 0n, 255n);

// the state that all variants must reach
d.assign(start);
x.scalar_alu(0, 0, d.p, step.p);
const ref = read_scalar(start);
bigint_add(ref, read_scalar(step));
const check = heap.alloc_reg();
write_scalar(check, ref);
for (const f of [R_VAR_VALUE, R_VAR_MASK, R_SMIN, R_SMAX, R_UMIN, R_UMAX])
	for (let i = 0; i < 2; i++)
		if (heap.i32[d.p + f + i] !== heap.i32[check.p + f + i]) throw new Error(`variants differ at word ${f}`);
for (const f of [R_S32_MIN, R_S32_MAX, R_U32_MIN, R_U32_MAX])
	if (heap.i32[d.p + f] !== heap.i32[check.p + f]) throw new Error(`variants differ at word ${f}`);

time("copy of a register (copyWithin)", ROUNDS, () => {
	for (let i = 0; i < ROUNDS; i++) heap.i32.copyWithin(d.p, start.p, start.p + REG_WORDS);
});
time("call of WebAssembly that does next to nothing", ROUNDS, () => {
	for (let i = 0; i < ROUNDS; i++) x.bounds_violation(d.p);
});
time("reg_bounds_sync of a constant, WebAssembly", ROUNDS, () => {
	x.mark_reg_known(d.p, 5, 0);
	for (let i = 0; i < ROUNDS; i++) x.reg_bounds_sync(d.p);
});
time("reg_bounds_sync of a range, WebAssembly", ROUNDS, () => {
	d.assign(start);
	for (let i = 0; i < ROUNDS; i++) x.reg_bounds_sync(d.p);
});
time("copy, add, bounds and sync, WebAssembly", ROUNDS, () => {
	for (let i = 0; i < ROUNDS; i++) {
		heap.i32.copyWithin(d.p, start.p, start.p + REG_WORDS);
		x.scalar_alu(0, 0, d.p, step.p);
	}
});
time("copy and add of the tnum alone, int32 pairs", ROUNDS, () => {
	for (let i = 0; i < ROUNDS; i++) {
		heap.i32.copyWithin(d.p, start.p, start.p + REG_WORDS);
		tnum_add_i32(heap.i32, d.p, step.p);
	}
});
const few = Math.ceil(ROUNDS / 20);
const a0 = read_scalar(start);
const b0 = read_scalar(step);
time("copy, add, bounds and sync, bigints", few, () => {
	for (let i = 0; i < few; i++) bigint_add({ ...a0 }, b0);
});
