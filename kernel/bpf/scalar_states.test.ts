// SPDX-License-Identifier: GPL-2.0-only
/** Comparison, cleaning and liveness of states in WebAssembly, and the heap that they lie in. */
import { beforeEach, describe, expect, test } from "vitest";
import { PTR_TO_MAP_VALUE, PTR_TO_PACKET, PTR_TO_STACK, SCALAR_VALUE } from "../../include/linux/bpf.ts";
import {
	BPF_ADD_CONST,
	REG_LIVE_DONE,
	REG_LIVE_READ,
	REG_LIVE_READ32,
	REG_LIVE_READ64,
	REG_LIVE_WRITTEN,
	STACK_DYNPTR,
	STACK_INVALID,
	STACK_ITER,
	STACK_MISC,
	STACK_SPILL,
	STACK_ZERO,
} from "../../include/linux/bpf_verifier.ts";
import { VerifierHeap } from "./heap.ts";
import { bpf_reg_state, bpf_stack_state, REG_WORDS, STACK_WORDS } from "./reg_state.ts";

const NOT_EXACT = 0;
const EXACT = 1;
const RANGE_WITHIN = 2;

const heap = new VerifierHeap();
const x = heap.x;
let old: bpf_reg_state;
let cur: bpf_reg_state;

/** An unknown scalar that was read and is precise. */
function scalar(lo = 0n, hi = (1n << 64n) - 1n): bpf_reg_state {
	const r = heap.alloc_reg();
	x.mark_reg_unknown_imprecise(r.p);
	r.umin_value = lo;
	r.umax_value = hi;
	x.reg_bounds_sync(r.p);
	r.precise = true;
	r.live = REG_LIVE_READ64;
	return r;
}

beforeEach(() => {
	heap.reset();
	x.set_env(1, 1, 0);
	x.reset_idmap(100);
	old = scalar(0n, 100n);
	cur = scalar(5n, 10n);
});

describe("scalars", () => {
	test("the range must lie within the old one", () => {
		expect(x.regsafe(old.p, cur.p, NOT_EXACT)).toBe(1);
		expect(x.regsafe(cur.p, old.p, NOT_EXACT)).toBe(0);
		expect(x.regsafe(old.p, cur.p, EXACT)).toBe(0);
		expect(x.regsafe(old.p, cur.p, RANGE_WITHIN)).toBe(1);
	});
	test("what is not precise, or not read, does not matter unless compared exactly", () => {
		cur.precise = false;
		expect(x.regsafe(cur.p, old.p, NOT_EXACT)).toBe(1);
		expect(x.regsafe(cur.p, old.p, RANGE_WITHIN)).toBe(0);
		cur.precise = true;
		cur.live = 0;
		expect(x.regsafe(cur.p, old.p, NOT_EXACT)).toBe(1);
		expect(x.regsafe(cur.p, old.p, RANGE_WITHIN)).toBe(0);
	});
	test("speculation limits need the same state", () => {
		x.set_env(1, 1, 1);
		expect(x.regsafe(old.p, cur.p, NOT_EXACT)).toBe(0);
		expect(x.regsafe(old.p, old.p, NOT_EXACT)).toBe(1);
	});
	test("the tnum must be within the old one too", () => {
		old.var_off_mask = 0x7cn;
		cur.var_off_value = 0n;
		cur.var_off_mask = 0xfn;
		expect(x.regsafe(old.p, cur.p, NOT_EXACT)).toBe(0);
		cur.var_off_mask = 0xcn;
		expect(x.regsafe(old.p, cur.p, NOT_EXACT)).toBe(1);
	});
	test("linked scalars must stay linked, and may become linked", () => {
		const old2 = scalar(0n, 100n);
		const cur2 = scalar(5n, 10n);
		old.id = 1;
		old2.id = 1;
		expect(x.regsafe(old.p, cur.p, NOT_EXACT)).toBe(1);
		// both stand alone now: they get different temporary ids
		expect(x.regsafe(old2.p, cur2.p, NOT_EXACT)).toBe(0);
		x.reset_idmap(100);
		cur.id = 7;
		cur2.id = 7;
		expect(x.regsafe(old.p, cur.p, NOT_EXACT)).toBe(1);
		expect(x.regsafe(old2.p, cur2.p, NOT_EXACT)).toBe(1);
		x.reset_idmap(100);
		old.id = 0;
		old2.id = 0;
		expect(x.regsafe(old.p, cur.p, NOT_EXACT)).toBe(1);
		expect(x.regsafe(old2.p, cur2.p, NOT_EXACT)).toBe(1);
	});
	test("the distance of linked scalars is part of the link", () => {
		old.id = BPF_ADD_CONST + 1;
		old.off = 8;
		cur.id = 2;
		expect(x.regsafe(old.p, cur.p, NOT_EXACT)).toBe(0);
		cur.id = BPF_ADD_CONST + 2;
		cur.off = 4;
		expect(x.regsafe(old.p, cur.p, NOT_EXACT)).toBe(0);
		cur.off = 8;
		expect(x.regsafe(old.p, cur.p, NOT_EXACT)).toBe(1);
		// the id without the flag is mapped along
		expect(x.check_ids(1, 3)).toBe(0);
		expect(x.check_ids(1, 2)).toBe(1);
		x.reset_idmap(100);
		old.id = 1;
		expect(x.regsafe(old.p, cur.p, NOT_EXACT)).toBe(0);
	});
});

test("check_ids maps one to one", () => {
	expect(x.check_ids(0, 0)).toBe(1);
	expect(x.check_ids(1, 0)).toBe(0);
	expect(x.check_ids(0, 1)).toBe(0);
	expect(x.check_ids(1, 5)).toBe(1);
	expect(x.check_ids(1, 5)).toBe(1);
	expect(x.check_ids(1, 6)).toBe(0);
	expect(x.check_ids(2, 5)).toBe(0);
	expect(x.check_ids(2, 6)).toBe(1);
	x.reset_idmap(0);
	expect(x.check_ids(2, 5)).toBe(1);
});

describe("pointers", () => {
	beforeEach(() => {
		for (const r of [old, cur]) {
			x.mark_reg_known(r.p, 0, 0);
			r.live = REG_LIVE_READ64;
		}
	});
	test("types must be the same", () => {
		old.type = PTR_TO_MAP_VALUE;
		cur.type = PTR_TO_STACK;
		expect(x.regsafe(old.p, cur.p, NOT_EXACT)).toBe(0);
		cur.type = PTR_TO_MAP_VALUE;
		expect(x.regsafe(old.p, cur.p, NOT_EXACT)).toBe(1);
		cur.off = 8;
		expect(x.regsafe(old.p, cur.p, NOT_EXACT)).toBe(0);
	});
	test("packet pointers need as much range, at the same offset", () => {
		old.type = PTR_TO_PACKET;
		cur.type = PTR_TO_PACKET;
		old.range = 14;
		cur.range = 20;
		expect(x.regsafe(old.p, cur.p, NOT_EXACT)).toBe(1);
		expect(x.regsafe(cur.p, old.p, NOT_EXACT)).toBe(0);
		old.range = -1;
		expect(x.regsafe(old.p, cur.p, NOT_EXACT)).toBe(0);
		cur.range = -1;
		expect(x.regsafe(old.p, cur.p, NOT_EXACT)).toBe(1);
	});
	test("stack pointers of different frames differ", () => {
		old.type = PTR_TO_STACK;
		cur.type = PTR_TO_STACK;
		expect(x.regsafe(old.p, cur.p, NOT_EXACT)).toBe(1);
		cur.frameno = 1;
		expect(x.regsafe(old.p, cur.p, NOT_EXACT)).toBe(0);
	});
});

describe("stack", () => {
	let a: bpf_stack_state;
	let b: bpf_stack_state;
	const fill = (s: bpf_stack_state, type: number, from = 0) => {
		for (let i = from; i < 8; i++) s.set_slot_type(i, type);
	};
	const safe = (exact = NOT_EXACT, cur_bytes = 8) => x.stacksafe(a.p, 8, b.p, cur_bytes, exact);
	beforeEach(() => {
		a = heap.stack_at(heap.alloc(STACK_WORDS));
		b = heap.stack_at(heap.alloc(STACK_WORDS));
		for (const s of [a, b]) {
			x.mark_reg_unknown_imprecise(s.p);
			s.spilled_ptr.live = REG_LIVE_READ64;
		}
	});
	test("invalid bytes of the old state accept anything, but need room when exact", () => {
		fill(b, STACK_MISC);
		expect(safe()).toBe(1);
		expect(safe(NOT_EXACT, 0)).toBe(1);
		expect(safe(RANGE_WITHIN)).toBe(0);
		fill(b, STACK_INVALID);
		expect(safe(RANGE_WITHIN)).toBe(1);
		expect(safe(RANGE_WITHIN, 0)).toBe(0);
	});
	test("misc accepts zero, not the other way round", () => {
		x.set_env(1, 0, 0);
		fill(a, STACK_MISC);
		fill(b, STACK_ZERO);
		expect(safe()).toBe(1);
		fill(a, STACK_ZERO);
		fill(b, STACK_MISC);
		expect(safe()).toBe(0);
	});
	test("where uninitialised stack may be read, misc accepts invalid", () => {
		fill(a, STACK_MISC);
		expect(safe()).toBe(1);
		x.set_env(1, 0, 0);
		expect(safe()).toBe(0);
	});
	test("a spilled unbounded scalar is as good as misc, a bounded one is more", () => {
		x.set_env(1, 0, 0);
		fill(a, STACK_SPILL);
		fill(b, STACK_MISC);
		expect(safe()).toBe(1);
		a.spilled_ptr.precise = true;
		a.spilled_ptr.umax_value = 10n;
		x.reg_bounds_sync(a.p);
		expect(safe()).toBe(0);
		fill(a, STACK_MISC);
		fill(b, STACK_SPILL);
		expect(safe()).toBe(1);
	});
	test("spilled pointers are compared as registers", () => {
		for (const s of [a, b]) {
			fill(s, STACK_SPILL);
			x.mark_reg_known(s.p, 0, 0);
			s.spilled_ptr.type = PTR_TO_STACK;
			s.spilled_ptr.off = -8;
		}
		expect(safe()).toBe(1);
		b.spilled_ptr.off = -16;
		expect(safe()).toBe(0);
		a.spilled_ptr.live = 0;
		expect(safe()).toBe(1);
	});
	test("dynptrs must be of one kind", () => {
		for (const s of [a, b]) {
			fill(s, STACK_DYNPTR);
			x.mark_reg_known(s.p, 0, 0);
			s.spilled_ptr.dynptr_type = 2;
			s.spilled_ptr.dynptr_first_slot = true;
			s.spilled_ptr.ref_obj_id = 4;
		}
		expect(safe()).toBe(1);
		b.spilled_ptr.dynptr_first_slot = false;
		expect(safe()).toBe(0);
		b.spilled_ptr.dynptr_first_slot = true;
		b.spilled_ptr.dynptr_type = 1;
		expect(safe()).toBe(0);
	});
	test("the depth of iterators does not count, their state does", () => {
		for (const s of [a, b]) {
			fill(s, STACK_ITER);
			x.mark_reg_known(s.p, 0, 0);
			s.spilled_ptr.iter_btf_id = 9;
			s.spilled_ptr.iter_state = 1;
			s.spilled_ptr.ref_obj_id = 3;
		}
		a.spilled_ptr.iter_depth = 1;
		b.spilled_ptr.iter_depth = 77;
		expect(b.spilled_ptr.iter_state).toBe(1);
		expect(safe()).toBe(1);
		b.spilled_ptr.iter_state = 2;
		expect(safe()).toBe(0);
		b.spilled_ptr.iter_state = 1;
		b.spilled_ptr.iter_btf_id = 10;
		expect(safe()).toBe(0);
	});
});

test("mark_reg_read walks up to the write, and no further than it must", () => {
	const chain = [scalar(), scalar(), scalar(), scalar()];
	const [a, b, c, d] = chain as [bpf_reg_state, bpf_reg_state, bpf_reg_state, bpf_reg_state];
	for (const r of chain) r.live = 0;
	a.parent = b.p;
	b.parent = c.p;
	c.parent = d.p;
	c.live = REG_LIVE_WRITTEN;
	expect(x.mark_reg_read(a.p, a.parent, REG_LIVE_READ32)).toBe(2);
	expect([b.live, c.live, d.live]).toEqual([REG_LIVE_READ32, REG_LIVE_WRITTEN | REG_LIVE_READ32, 0]);
	// the wider read replaces the narrower one
	expect(x.mark_reg_read(a.p, a.parent, REG_LIVE_READ64)).toBe(2);
	expect(b.live).toBe(REG_LIVE_READ64);
	expect(x.mark_reg_read(a.p, a.parent, REG_LIVE_READ32)).toBe(0);
	a.live = REG_LIVE_WRITTEN;
	b.live = 0;
	expect(x.mark_reg_read(a.p, a.parent, REG_LIVE_READ64)).toBe(0);
	// not our own parent: our writes do not screen it
	expect(x.mark_reg_read(a.p, d.p, REG_LIVE_READ64)).toBe(1);
	expect(d.live).toBe(REG_LIVE_READ64);
	d.live = REG_LIVE_DONE;
	expect(x.mark_reg_read(a.p, d.p, REG_LIVE_READ64)).toBe(-1);
	expect(x.bug_reg()).toBe(d.p);
});

test("cleaning forgets what was not read, and connecting starts afresh", () => {
	const regs = heap.alloc(11 * REG_WORDS);
	const stack = heap.alloc(2 * STACK_WORDS);
	const reg = (i: number) => new bpf_reg_state(heap, regs + i * REG_WORDS);
	for (let i = 0; i < 11; i++) {
		x.mark_reg_known(reg(i).p, i, 0);
		reg(i).type = SCALAR_VALUE;
		reg(i).live = i & 1 ? REG_LIVE_READ32 : REG_LIVE_WRITTEN;
		reg(i).precise = true;
	}
	const slots = [0, 1].map((i) => new bpf_stack_state(heap, stack + i * STACK_WORDS));
	for (const [i, s] of slots.entries()) {
		for (let j = 0; j < 8; j++) s.set_slot_type(j, STACK_SPILL);
		x.mark_reg_known(s.p, 7, 0);
		s.spilled_ptr.type = SCALAR_VALUE;
		s.spilled_ptr.precise = true;
		s.spilled_ptr.live = i ? REG_LIVE_READ : 0;
	}
	const copy = heap.alloc(11 * REG_WORDS);
	const stack_copy = heap.alloc(2 * STACK_WORDS);
	heap.i32.copyWithin(copy, regs, regs + 11 * REG_WORDS);
	heap.i32.copyWithin(stack_copy, stack, stack + 2 * STACK_WORDS);

	x.clean_func_state(regs, stack, 2);
	for (let i = 0; i < 10; i++) {
		expect(reg(i).type).toBe(i & 1 ? SCALAR_VALUE : 0);
		expect(reg(i).live & REG_LIVE_DONE).toBe(REG_LIVE_DONE);
	}
	expect(reg(10).live).toBe(REG_LIVE_WRITTEN);
	expect(slots[0]!.slot_type(7)).toBe(STACK_INVALID);
	expect(slots[1]!.slot_type(7)).toBe(STACK_SPILL);

	x.mark_scalars_imprecise(copy, stack_copy, 2);
	const of = (i: number) => new bpf_reg_state(heap, copy + i * REG_WORDS);
	expect([of(0).precise, of(9).precise, of(10).precise]).toEqual([false, false, true]);
	expect(heap.stack_at(stack_copy).spilled_ptr.precise).toBe(false);

	x.connect_parents(copy, regs, 6, stack_copy, stack, 2);
	for (let i = 0; i < 10; i++) {
		expect(of(i).parent).toBe(i < 6 ? 0 : regs + i * REG_WORDS);
		expect(of(i).live).toBe(0);
	}
	expect(heap.stack_at(stack_copy + STACK_WORDS).spilled_ptr.parent).toBe(stack + STACK_WORDS);
	expect(x.regs_equal(copy, copy)).toBe(1);
	expect(x.regs_equal(copy, regs)).toBe(0);
});

describe("heap", () => {
	test("blocks come zeroed, also after a reset, and freed ones come again", () => {
		const a = heap.alloc(100);
		heap.i32.fill(-1, a, a + 100);
		heap.free(a, 100);
		const b = heap.alloc_raw(128);
		expect(b).toBe(a);
		heap.reset();
		const c = heap.alloc(4096);
		expect([...heap.i32.subarray(c, c + 4096)].every((w) => w === 0)).toBe(true);
	});
	test("objects are known by handle until the reset", () => {
		const map = {} as never;
		const r = heap.alloc_reg();
		r.map_ptr = map;
		expect(r.map_ptr).toBe(map);
		expect(heap.handle_of(map)).toBe(heap.handle_of(map));
		heap.reset();
		expect(heap.object_of(1)).toBeNull();
		expect(heap.handle_of(null)).toBe(0);
	});
});
