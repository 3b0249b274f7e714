// SPDX-License-Identifier: GPL-2.0-only
/** An initramfs: files in the cpio format that the kernel unpacks (Documentation/driver-api/early-userspace/buffer-format.rst). */

const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;
const S_IFCHR = 0o020000;

/** A file, a folder (no data, no device) or a character device. */
export interface InitramfsEntry {
	/** Without a leading slash; folders before what is in them. */
	readonly path: string;
	readonly mode: number;
	readonly data?: Uint8Array;
	/** major and minor of a character device */
	readonly device?: readonly [number, number];
}

function record(ino: number, e: InitramfsEntry): Buffer {
	const data = e.data ?? new Uint8Array();
	const type = e.device ? S_IFCHR : e.data ? S_IFREG : S_IFDIR;
	const name = Buffer.from(`${e.path}\0`);
	const hex = (v: number): string => v.toString(16).padStart(8, "0").toUpperCase();
	const fields = [ino, type | e.mode, 0, 0, 1, 0, data.length, 0, 0, ...(e.device ?? [0, 0]), name.length, 0];
	const head = Buffer.from(`070701${fields.map(hex).join("")}`);
	const pad = (n: number): Buffer => Buffer.alloc(-n & 3);
	return Buffer.concat([head, name, pad(head.length + name.length), data, pad(data.length)]);
}

/** The archive of these entries. */
export function initramfs(entries: readonly InitramfsEntry[]): Buffer {
	const all = [
		...entries.map((e, i) => record(i + 1, e)),
		record(0, { path: "TRAILER!!!", mode: 0, data: new Uint8Array() }),
	];
	return Buffer.concat(all);
}
