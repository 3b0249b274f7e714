// SPDX-License-Identifier: GPL-2.0-only
/** Plain tar archives (POSIX ustar) of files with short names, without owners and times: the same files give the same bytes. */

const BLOCK = 512;
const REGULAR = 0x30;

/** A file of an archive that is none. */
export class BadArchive extends Error {}

function header(name: string, size: number): Uint8Array {
	const block = Buffer.alloc(BLOCK);
	if (Buffer.byteLength(name) > 100) throw new Error(`${name} is too long a name for an archive`);
	const octal = (at: number, len: number, v: number): void => {
		block.write(`${v.toString(8).padStart(len - 1, "0")}\0`, at, "latin1");
	};
	block.write(name, 0, "utf8");
	octal(100, 8, 0o644);
	octal(108, 8, 0);
	octal(116, 8, 0);
	octal(124, 12, size);
	octal(136, 12, 0);
	block.fill(" ", 148, 156);
	block[156] = REGULAR;
	block.write("ustar\x0000", 257, "latin1");
	const sum = block.reduce((a, b) => a + b, 0);
	block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
	return block;
}

/** An archive of these files, in this order. */
export function tar(files: Iterable<readonly [name: string, bytes: Uint8Array]>): Uint8Array {
	const parts: Uint8Array[] = [];
	for (const [name, bytes] of files) {
		parts.push(header(name, bytes.length), bytes, new Uint8Array((BLOCK - (bytes.length % BLOCK)) % BLOCK));
	}
	parts.push(new Uint8Array(2 * BLOCK));
	return new Uint8Array(Buffer.concat(parts));
}

/** The files of an archive, by name. Throws BadArchive. */
export function untar(bytes: Uint8Array): Map<string, Uint8Array> {
	const b = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	const out = new Map<string, Uint8Array>();
	const text = (at: number, len: number): string => b.toString("utf8", at, at + len).replace(/\0.*$/s, "");
	for (let at = 0; at + BLOCK <= b.length; ) {
		if (b.subarray(at, at + BLOCK).every((x) => x === 0)) return out;
		if (text(at + 257, 5) !== "ustar") throw new BadArchive(`no tar archive: there is no header at ${at}`);
		const size = Number.parseInt(text(at + 124, 12), 8);
		const end = at + BLOCK + size;
		if (!Number.isInteger(size) || end > b.length)
			throw new BadArchive(`tar archive ends in the middle of ${text(at, 100)}`);
		const type = b[at + 156]!;
		if (type === REGULAR || type === 0)
			out.set(text(at, 100).replace(/^\.\//, ""), b.subarray(at + BLOCK, end));
		at = at + BLOCK + Math.ceil(size / BLOCK) * BLOCK;
	}
	return out;
}
