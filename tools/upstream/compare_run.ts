// SPDX-License-Identifier: GPL-2.0-only
/** What a test run gave, against a record's run: return value and data, and what is in maps afterwards. */
import type { RunResult } from "./load_case.ts";
import type { RecordLoad } from "./records.ts";

/** Hex digits of eight bytes. */
const WORD = 16;

/** Whether eight bytes (hex, as they lie in memory) are a kernel address: none of these is a small negative number. */
function is_kernel_address(word: string): boolean {
	if (word.length !== WORD) return false;
	const value = Buffer.from(word, "hex").readBigUInt64LE();
	return value >= 0xff00_0000_0000_0000n && value < 0xffff_ffff_f000_0000n;
}

/** The first eight bytes in which two dumps differ, those left out that change from run to run; null when none. */
export function first_word_diff(
	ours: string,
	theirs: string,
	changing: readonly number[] = [],
): string | null {
	if (ours.length !== theirs.length) return `${ours.length / 2} bytes, real ${theirs.length / 2}`;
	for (let at = 0; at < ours.length; at += WORD) {
		const a = ours.slice(at, at + WORD);
		const b = theirs.slice(at, at + WORD);
		if (a === b || changing.includes(at / 2) || (is_kernel_address(a) && is_kernel_address(b))) continue;
		return `bytes at ${at / 2}: ${a}, real ${b}`;
	}
	return null;
}

/** Errno, return value and output; null when equal. */
export function compare_output(run: RunResult, want: RecordLoad): string | null {
	const real = want.run!;
	if (run.err !== -real.err) return `err ${run.err}, real ${-real.err}`;
	if (real.err) return null;
	if (!want.volatile?.retval && run.retval !== real.retval >>> 0)
		return `returned ${run.retval}, real ${real.retval >>> 0}`;
	if (run.size_out !== real.size_out) return `${run.size_out} bytes of output, real ${real.size_out}`;
	const diff = first_word_diff(run.out, real.out, want.volatile?.out);
	return diff && `output, ${diff}`;
}

/** Contents of maps; null when equal. */
export function compare_entries(run: RunResult, want: RecordLoad): string | null {
	for (const [name, hex] of Object.entries(want.data ?? {})) {
		const ours = run.data[name];
		if (ours === undefined) return `map ${name} is missing`;
		const diff = first_word_diff(ours, hex, want.volatile?.data?.[name]);
		if (diff) return `map ${name}, ${diff}`;
	}
	for (const [name, theirs] of Object.entries(want.entries ?? {})) {
		if (want.volatile?.entries?.includes(name)) continue;
		const ours = run.entries[name];
		if (ours === undefined) return `map ${name} is missing`;
		for (const [i, [key, value]] of theirs.entries()) {
			const mine = ours[i];
			if (mine?.[0] !== key) return `map ${name}, element ${i}: key ${mine?.[0] ?? "none"}, real ${key}`;
			const diff = first_word_diff(mine[1], value);
			if (diff) return `map ${name}, key ${key}, ${diff}`;
		}
		if (ours.length !== theirs.length) return `map ${name}: ${ours.length} elements, real ${theirs.length}`;
	}
	return null;
}
