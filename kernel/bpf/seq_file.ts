// SPDX-License-Identifier: GPL-2.0-only
/** Files whose text is made while they are read (fs/seq_file.c), as far as BPF iterators need them. */
import type { Kernel } from "../kernel.ts";
import { impl } from "../kernel_impl.ts";
import { koffsetof, ksizeof } from "./layout.ts";

/** struct seq_operations: `v` is an object of the iteration, null at its end. */
export interface seq_operations<P, V> {
	start(seq: seq_file<P>): V | null;
	next(seq: seq_file<P>, v: V): V | null;
	stop(seq: seq_file<P>, v: V | null): void;
	show(seq: seq_file<P>, v: V): number;
}

/** struct seq_file: programs hold its guest's struct, at `addr`. */
export class seq_file<P = unknown> {
	readonly kernel: Kernel;
	readonly addr: number;
	/** Null until the first read. */
	buf: Uint8Array | null = null;
	from = 0;
	count = 0;
	index = 0;
	/** seq->private */
	readonly priv: P;
	constructor(kernel: Kernel, priv: P) {
		this.kernel = kernel;
		this.priv = priv;
		const k = impl(kernel);
		this.addr = k.kmem.kzalloc(ksizeof(kernel, "seq_file"));
		k.bpf.seq_files.set(this.addr, this);
	}
	get size(): number {
		return this.buf?.length ?? 0;
	}
	/** seq_release_private() */
	release(): void {
		const k = impl(this.kernel);
		k.bpf.seq_files.delete(this.addr);
		k.kmem.kfree(this.addr);
	}
	/** What programs may read of it. */
	sync(): void {
		const { kmem } = impl(this.kernel);
		const w = (field: string, v: number): void =>
			kmem.w64(this.addr + koffsetof(this.kernel, "seq_file", field), BigInt(v));
		w("size", this.size);
		w("from", this.from);
		w("count", this.count);
		w("index", this.index);
	}
}

/** fs/seq_file.c: seq_has_overflowed */
export function seq_has_overflowed(m: seq_file): boolean {
	return m.count === m.size;
}

/** fs/seq_file.c: seq_write: -1 when it does not fit */
export function seq_write(m: seq_file, data: Uint8Array): number {
	if (m.buf && m.count + data.length < m.size) {
		m.buf.set(data, m.count);
		m.count += data.length;
		return 0;
	}
	m.count = m.size;
	return -1;
}

/** fs/seq_file.c: seq_bprintf, seq_vprintf: of text that is formatted */
export function seq_puts(m: seq_file, text: string): void {
	// what has overflowed takes nothing more, an empty text included
	if (m.count < m.size) seq_write(m, Uint8Array.from(Buffer.from(text, "latin1")));
}
