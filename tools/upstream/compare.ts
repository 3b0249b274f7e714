// SPDX-License-Identifier: GPL-2.0-only
/** Comparisons with a real kernel's records: instructions and logs, with what may differ named or masked. */

/** A map of a record: its name and the descriptor that instructions have. */
export interface RecordMap {
	name: string;
	fd: number;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/**
 * Instructions given to BPF_PROG_LOAD against a record's. Descriptors of maps are compared by the maps'
 * names, those of BTF objects not at all. Null when equal, else the first difference.
 */
export function compare_insns(
	ours: Uint8Array,
	theirs: Uint8Array,
	our_map: (fd: number) => string | undefined,
	their_maps: readonly RecordMap[],
): string | null {
	const n = Math.min(ours.length, theirs.length) / 8;
	const dv = new DataView(ours.buffer, ours.byteOffset, ours.byteLength);
	const tv = new DataView(theirs.buffer, theirs.byteOffset, theirs.byteLength);
	for (let i = 0; i < n; i++) {
		const a = ours.subarray(i * 8, i * 8 + 8);
		const b = theirs.subarray(i * 8, i * 8 + 8);
		if (hex(a) === hex(b)) continue;
		const src = a[1]! >> 4;
		if (a[0] === 0x18 && hex(a.subarray(0, 4)) === hex(b.subarray(0, 4)) && (src === 1 || src === 2)) {
			const mine = our_map(dv.getInt32(i * 8 + 4, true));
			const fd = tv.getInt32(i * 8 + 4, true);
			const real = their_maps.find((m) => m.fd === fd)?.name;
			// A record lists its maps after they were given back to the kernel by short names.
			if (their_maps.length === 0 || (mine !== undefined && real?.slice(0, 15) === mine)) continue;
			return `insn ${i}: map ${mine}, real ${real}`;
		}
		// second half of a BTF id load: the descriptor of the module's BTF
		if (i > 0 && ours[i * 8 - 8] === 0x18 && ours[i * 8 - 7]! >> 4 === 3) continue;
		return `insn ${i}: ${hex(a)}, real ${hex(b)}`;
	}
	if (ours.length !== theirs.length) return `${ours.length / 8} insns, real ${theirs.length / 8}`;
	return null;
}
