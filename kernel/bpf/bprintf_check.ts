// SPDX-License-Identifier: GPL-2.0-only
/** Format strings of the printf helpers (kernel/bpf/helpers.c: bpf_bprintf_prepare, the checks alone). */
import { EINVAL } from "../../include/uapi/asm-generic/errno.ts";

/** lib/ctype.c: isspace(), which knows Latin-1's no-break space */
function isspace(c: number): boolean {
	return (c >= 9 && c <= 13) || c === 0x20 || c === 0xa0;
}

/** lib/ctype.c: ispunct(), Latin-1 as well */
function ispunct(c: number): boolean {
	return (
		(c >= 0x21 && c <= 0x2f) ||
		(c >= 0x3a && c <= 0x40) ||
		(c >= 0x5b && c <= 0x60) ||
		(c >= 0x7b && c <= 0x7e) ||
		(c >= 0xa1 && c <= 0xbf) ||
		c === 0xd7 ||
		c === 0xf7
	);
}

const ch = (s: string): number => s.charCodeAt(0);
const PERCENT = ch("%");
const [C_0, C_9, C_1] = [ch("0"), ch("9"), ch("1")];
const FLAGS = new Set([..."0+- "].map(ch));
const P_ONE_LETTER = new Set([..."KxsS"].map(ch));
const INT_CONVERSIONS = new Set([..."iduxX"].map(ch));

/**
 * kernel/bpf/helpers.c: bpf_bprintf_prepare without arguments to convert: `fmt` is looked at up to its
 * terminating zero. Returns 0 or -EINVAL.
 */
export function bpf_bprintf_check(fmt: Uint8Array, num_args: number): number {
	const fmt_size = fmt.indexOf(0);
	if (fmt_size < 0) return -EINVAL;
	const at = (i: number): number => fmt[i] ?? 0;
	const ends_spec = (c: number): boolean => c === 0 || isspace(c) || ispunct(c);
	let num_spec = 0;

	for (let i = 0; i < fmt_size; i++) {
		let c = at(i);

		/* Bytes of UTF-8 text pass; ASCII control characters do not. */
		if (c < 0x80 && !(c >= 0x20 && c < 0x7f) && !isspace(c)) return -EINVAL;

		if (c !== PERCENT) continue;

		if (at(i + 1) === PERCENT) {
			i++;
			continue;
		}

		if (num_spec >= num_args) return -EINVAL;

		i++;
		c = at(i);
		if (c >= 0x80) return -EINVAL;

		while (FLAGS.has(at(i))) i++;
		if (at(i) >= C_1 && at(i) <= C_9) {
			i++;
			while (at(i) >= C_0 && at(i) <= C_9) i++;
		}

		if (at(i) === ch("p")) {
			const next = at(i + 1);
			if (ends_spec(next)) {
				num_spec++;
				continue;
			}

			if ((next === ch("k") || next === ch("u")) && at(i + 2) === ch("s")) {
				i += 2;
				if (!ends_spec(at(i + 1))) return -EINVAL;
				num_spec++;
				continue;
			}

			if (P_ONE_LETTER.has(next) || next === ch("B")) {
				i++;
				num_spec++;
				continue;
			}

			/* %pI4, %pi4, %pI6, %pi6 and no others. */
			if ((next !== ch("i") && next !== ch("I")) || (at(i + 2) !== ch("4") && at(i + 2) !== ch("6")))
				return -EINVAL;

			i += 2;
			num_spec++;
			continue;
		}
		if (at(i) === ch("s")) {
			if (!ends_spec(at(i + 1))) return -EINVAL;
			num_spec++;
			continue;
		}
		if (at(i) === ch("c")) {
			num_spec++;
			continue;
		}

		if (at(i) === ch("l")) i++;
		if (at(i) === ch("l")) i++;

		if (!INT_CONVERSIONS.has(at(i))) return -EINVAL;
		num_spec++;
	}

	return 0;
}
