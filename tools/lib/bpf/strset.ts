// SPDX-License-Identifier: GPL-2.0-only
/** Strings one behind the other, each once: tools/lib/bpf/strset.c. */
export class StrSet {
	private readonly offs = new Map<string, number>();
	private readonly parts: Uint8Array[] = [];
	private len = 0;

	/** strset__add_str: its offset; the old one when it is there already. */
	add_str(s: string): number {
		const old = this.offs.get(s);
		if (old !== undefined) return old;
		const bytes = new TextEncoder().encode(`${s}\0`);
		const at = this.len;
		this.offs.set(s, at);
		this.parts.push(bytes);
		this.len += bytes.length;
		return at;
	}

	/** strset__data */
	data(): Uint8Array {
		return new Uint8Array(Buffer.concat(this.parts));
	}
}
