// SPDX-License-Identifier: GPL-2.0-only
/**
 * The printf of programs: bpf_bprintf_prepare (kernel/bpf/helpers.c) and bstr_printf (lib/vsprintf.c).
 * Arguments are taken out of the guest as the kernel takes them, with its limits, and formatted at once.
 */
import { EINVAL, ENOSPC } from "../../include/uapi/asm-generic/errno.ts";
import { u64_to_addr } from "../../lib/addr.ts";
import type { KernelImpl } from "../kernel_impl.ts";
import { bpf_bprintf_check } from "./bprintf_check.ts";

export const MAX_BPRINTF_VARARGS = 12;
export const MAX_BPRINTF_BUF = 1024;
const MAX_BPRINTF_BIN_ARGS = 512;

interface spec {
	flags: string;
	width: number;
	/** d i u x X c s, or p with what follows */
	conv: string;
	/** bytes of an integer: 4 or 8 */
	size: number;
}

/** Latin-1 bytes as a string, one character a byte. */
function latin1(bytes: Uint8Array): string {
	let s = "";
	for (const b of bytes) s += String.fromCharCode(b);
	return s;
}

function pad(text: string, s: spec): string {
	if (text.length >= s.width) return text;
	return s.flags.includes("-") ? text.padEnd(s.width, " ") : text.padStart(s.width, " ");
}

function number_text(v: bigint, s: spec): string {
	const bits = s.size * 8;
	let neg = false;
	let digits: string;
	if (s.conv === "d" || s.conv === "i") {
		const n = BigInt.asIntN(bits, v);
		neg = n < 0n;
		digits = (neg ? -n : n).toString(10);
	} else if (s.conv === "u") digits = BigInt.asUintN(bits, v).toString(10);
	else {
		digits = BigInt.asUintN(bits, v).toString(16);
		if (s.conv === "X") digits = digits.toUpperCase();
	}
	const signed = s.conv === "d" || s.conv === "i";
	const sign = neg ? "-" : signed && s.flags.includes("+") ? "+" : signed && s.flags.includes(" ") ? " " : "";
	if (s.flags.includes("0") && !s.flags.includes("-"))
		return sign + digits.padStart(Math.max(s.width - sign.length, 0), "0");
	return pad(sign + digits, s);
}

/** lib/vsprintf.c: ptr_to_id: a stable hash of the pointer, as "%p" shows it. */
function hashed_pointer(k: KernelImpl, v: bigint): string {
	if (v === 0n) return "(null)".padStart(16, " ");
	const s = BigInt.asIntN(64, v);
	if (s < 0n && s >= -4095n) return `${"(efault)".padStart(16, " ")}`;
	return ptr_to_hashval(k, v).toString(16).padStart(16, "0");
}

/** lib/vsprintf.c: ptr_to_hashval: 32 bits, the same for the same pointer; other bits than the kernel's siphash. */
export function ptr_to_hashval(k: KernelImpl, v: bigint): bigint {
	let h = BigInt(k.ptr_key) ^ v;
	h = BigInt.asUintN(64, (h ^ (h >> 33n)) * 0xff51afd7ed558ccdn);
	h = BigInt.asUintN(64, (h ^ (h >> 33n)) * 0xc4ceb9fe1a85ec53n);
	return h >> 32n;
}

function symbol_text(k: KernelImpl, v: bigint, offset: boolean): string {
	const sym = k.symbols.lookup(v);
	if (!sym) return `0x${v.toString(16)}`;
	// without the symbol's size, what kallsyms prints as /0x… is left at the offset
	return offset ? `${sym.name}+0x${sym.offset.toString(16)}/0x10` : sym.name;
}

/** Strings that an argument points at: in the kernel's half, or the user's, by the conversion's letter. */
function copy_string(k: KernelImpl, ptr: bigint, where: string, max: number): Uint8Array | null {
	const addr = u64_to_addr(ptr);
	const user = where === "u" || (where === "s" && addr >= 0);
	const out: number[] = [];
	for (let i = 0; i < max - 1; i++) {
		const b = user ? k.task.mm.read_nofault(addr + i, 1) : k.copy_from_kernel_nofault(addr + i, 1);
		if (b === null || typeof b === "number") return null;
		if (b[0] === 0) break;
		out.push(b[0]!);
	}
	return Uint8Array.from(out);
}

/**
 * bpf_bprintf_prepare() and bstr_printf(): the whole text (Latin-1), or a negative errno. `fmt` ends
 * at its zero byte; `args` are the raw arguments.
 */
export function bpf_bprintf(k: KernelImpl, fmt: Uint8Array, args: readonly bigint[]): string | number {
	const err = bpf_bprintf_check(fmt, args.length);
	if (err < 0) return err;
	let out = "";
	let n = 0;
	/** bytes of the binary arguments so far: the kernel's buffer for them is small */
	let used = 0;
	const align = (size: number): boolean => {
		used = Math.ceil(used / 4) * 4 + size;
		return used <= MAX_BPRINTF_BIN_ARGS;
	};
	for (let i = 0; fmt[i] !== 0 && i < fmt.length; i++) {
		const ch = (at: number): string => String.fromCharCode(fmt[at] ?? 0);
		if (ch(i) !== "%") {
			out += ch(i);
			continue;
		}
		i++;
		if (ch(i) === "%") {
			out += "%";
			continue;
		}
		const s: spec = { flags: "", width: 0, conv: "", size: 4 };
		while ("0+- ".includes(ch(i)) && fmt[i]) s.flags += ch(i++);
		while (ch(i) >= "0" && ch(i) <= "9") s.width = s.width * 10 + (fmt[i++]! - 48);
		const v = args[n++] ?? 0n;
		if (ch(i) === "p") {
			const next = ch(i + 1);
			if ((next === "k" || next === "u") && ch(i + 2) === "s") {
				i += 2;
				const text = copy_string(k, v, next, MAX_BPRINTF_BIN_ARGS - used);
				used += (text?.length ?? 0) + 1;
				out += pad(text ? latin1(text) : "", s);
				continue;
			}
			if (next === "i" || next === "I") {
				const six = ch(i + 2) === "6";
				i += 2;
				const size = six ? 16 : 4;
				if (MAX_BPRINTF_BIN_ARGS - used < size) return -ENOSPC;
				const got = k.copy_from_kernel_nofault(u64_to_addr(v), size);
				const b = got instanceof Uint8Array ? got : new Uint8Array(size);
				let text: string;
				if (!six) text = [...b].map((x) => (next === "i" ? String(x).padStart(3, "0") : String(x))).join(".");
				else if (next === "i") text = [...b].map((x) => x.toString(16).padStart(2, "0")).join("");
				else {
					const w: string[] = [];
					for (let j = 0; j < 8; j++)
						w.push(((b[2 * j]! << 8) | b[2 * j + 1]!).toString(16).padStart(4, "0"));
					text = w.join(":");
				}
				used += text.length + 1;
				out += pad(text, s);
				continue;
			}
			if (next === "B") {
				i++;
				const text = symbol_text(k, v, true);
				used += text.length + 1;
				out += pad(text, s);
				continue;
			}
			if (!align(8)) return -ENOSPC;
			if (next === "x") {
				i++;
				out += pad(v.toString(16), s);
			} else if (next === "K") {
				i++;
				out += k.config.kptr_restrict === 0 ? pad(hashed_pointer(k, v), s) : pad("0".repeat(16), s);
			} else if (next === "s" || next === "S") {
				i++;
				out += pad(symbol_text(k, v, next === "S"), s);
			} else out += pad(hashed_pointer(k, v), s);
			continue;
		}
		if (ch(i) === "s") {
			if (used >= MAX_BPRINTF_BIN_ARGS) return -ENOSPC;
			const text = copy_string(k, v, "s", MAX_BPRINTF_BIN_ARGS - used);
			used += (text?.length ?? 0) + 1;
			out += pad(text ? latin1(text) : "", s);
			continue;
		}
		if (ch(i) === "c") {
			if (used >= MAX_BPRINTF_BIN_ARGS) return -ENOSPC;
			used++;
			out += pad(String.fromCharCode(Number(v & 0xffn)), s);
			continue;
		}
		while (ch(i) === "l") {
			s.size = 8;
			i++;
		}
		s.conv = ch(i);
		if (!"diuxX".includes(s.conv)) return -EINVAL;
		if (!align(s.size)) return -ENOSPC;
		out += number_text(v, s);
	}
	return out;
}

/** Store text as vsnprintf() does: cut to `size` with a zero at the end; returns the whole length. */
export function store_string(k: KernelImpl, dst: number, size: number, text: string): number {
	if (size > 0) {
		const n = Math.min(text.length, size - 1);
		const bytes = new Uint8Array(n + 1);
		for (let i = 0; i < n; i++) bytes[i] = text.charCodeAt(i);
		k.kmem.write(dst, bytes);
	}
	return text.length;
}

/** A format string in the guest: its bytes up to and with the zero, at most `max`. */
export function read_format(k: KernelImpl, addr: number, max: number): Uint8Array {
	const out: number[] = [];
	for (let i = 0; i < max; i++) {
		const b = k.kmem.r8(addr + i);
		out.push(b);
		if (b === 0) break;
	}
	return Uint8Array.from(out);
}
