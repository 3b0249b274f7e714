// SPDX-License-Identifier: GPL-2.0-only
/**
 * The linear memory that holds the states of one verification (no kernel file: kzalloc() and
 * krealloc() of kernel/bpf/verifier.c end here).
 *
 *   words 0 … 16383       data and scratch of the WebAssembly module
 *   words 16384 …         blocks, handed out in order and kept in free lists by size
 *
 * The memory has its full size from the start and never grows, so that views of it stay valid.
 */
import type { Kernel } from "../kernel.ts";
import type { bpf_map } from "./bpf_types.ts";
import type { btf } from "./btf_types.ts";
import { bpf_reg_state, bpf_stack_state, REG_WORDS, STACK_WORDS, type StateMemory } from "./reg_state.ts";
import { HEAP_BASE, HEAP_PAGES, load_scalar, SCRATCH_REG, type ScalarExports } from "./scalar_module.ts";
import type { bpf_func_state } from "./verifier_types.ts";

/** Blocks are multiples of this many words. */
const GRAIN = STACK_WORDS;
const HEAP_WORDS = HEAP_PAGES * 16384;

/** Thrown when a verification needs more than the memory has; bpf_check() turns it into -ENOMEM. */
export class HeapExhausted extends Error {}

export class VerifierHeap implements StateMemory {
	readonly memory: WebAssembly.Memory;
	readonly i32: Int32Array;
	readonly u32: Uint32Array;
	readonly u8: Uint8Array;
	readonly i64: BigInt64Array;
	readonly u64: BigUint64Array;
	/** The arithmetic on this memory. */
	readonly x: ScalarExports;
	/** A register for arithmetic whose operands alias. */
	readonly scratch_reg: bpf_reg_state;
	/** Frames ready for reuse (alloc_func_state() in states.ts). */
	readonly frames: bpf_func_state[] = [];
	private brk = HEAP_BASE;
	/** Words from here on were never written. */
	private clean = HEAP_BASE;
	private readonly free_lists: number[][] = [];
	private objects: (bpf_map | btf | null)[] = [null];
	private readonly handles = new Map<object, number>();

	constructor(module: WebAssembly.Module = load_scalar()) {
		this.memory = new WebAssembly.Memory({ initial: HEAP_PAGES, maximum: HEAP_PAGES });
		const b = this.memory.buffer;
		this.i32 = new Int32Array(b);
		this.u32 = new Uint32Array(b);
		this.u8 = new Uint8Array(b);
		this.i64 = new BigInt64Array(b);
		this.u64 = new BigUint64Array(b);
		const instance = new WebAssembly.Instance(module, { env: { memory: this.memory } });
		this.x = instance.exports as unknown as ScalarExports;
		this.scratch_reg = new bpf_reg_state(this, SCRATCH_REG);
	}

	/** Forget everything, for the next verification. */
	reset(): void {
		this.brk = HEAP_BASE;
		this.free_lists.length = 0;
		this.frames.length = 0;
		this.objects = [null];
		this.handles.clear();
	}

	/** A block of `words` words, its content undefined. */
	alloc_raw(words: number): number {
		const units = (words + GRAIN - 1) >>> 5;
		const list = this.free_lists[units];
		if (list !== undefined && list.length !== 0) return list.pop()!;
		const p = this.brk;
		this.brk = p + units * GRAIN;
		if (this.brk > HEAP_WORDS) throw new HeapExhausted("verifier state memory exhausted");
		if (this.brk > this.clean) this.clean = this.brk;
		return p;
	}

	/** A zeroed block of `words` words: kzalloc(). */
	alloc(words: number): number {
		const clean = this.clean;
		const p = this.alloc_raw(words);
		if (p < clean) this.i32.fill(0, p, p + words);
		return p;
	}

	/** Give back a block of `words` words (as many as were asked for): kfree(). */
	free(p: number, words: number): void {
		if (p === 0) return;
		const units = (words + GRAIN - 1) >>> 5;
		let list = this.free_lists[units];
		if (list === undefined) {
			list = [];
			while (this.free_lists.length < units) this.free_lists.push([]);
			this.free_lists[units] = list;
		}
		list.push(p);
	}

	/** A zeroed register state of its own. */
	alloc_reg(): bpf_reg_state {
		return new bpf_reg_state(this, this.alloc(REG_WORDS));
	}

	/** Handle on the register at a word index (a `parent`); null for 0. */
	reg_at(p: number): bpf_reg_state | null {
		return p === 0 ? null : new bpf_reg_state(this, p);
	}

	/** Handle on the stack slot at a word index. */
	stack_at(p: number): bpf_stack_state {
		return new bpf_stack_state(this, p);
	}

	handle_of(obj: bpf_map | btf | null): number {
		if (obj === null || obj === undefined) return 0;
		let n = this.handles.get(obj);
		if (n === undefined) {
			n = this.objects.length;
			this.objects.push(obj);
			this.handles.set(obj, n);
		}
		return n;
	}

	object_of(handle: number): bpf_map | btf | null {
		return this.objects[handle] ?? null;
	}
}

/** The kernel's heap, made at first use; one verification runs at a time (bpf_verifier_lock). */
export function verifier_heap(kernel: Kernel): VerifierHeap {
	kernel.bpf.verifier_heap ??= new VerifierHeap();
	return kernel.bpf.verifier_heap;
}
