// SPDX-License-Identifier: GPL-2.0-only
/** The log's window in the user's buffer, its lengths and errors, and the text of instructions. */
import { describe, expect, test } from "vitest";
import { BPF_LOG_FIXED } from "../../include/linux/bpf_verifier.ts";
import { EFAULT, EINVAL, ENOSPC } from "../../include/uapi/asm-generic/errno.ts";
import { bpf_insn } from "./bpf_types.ts";
import { print_bpf_insn } from "./disasm.ts";
import { bpf_log, bpf_vlog_finalize, bpf_vlog_init, bpf_vlog_reset, new_verifier_log } from "./log.ts";
import type { UserLogBuffer } from "./verifier_types.ts";

/** A buffer of `len` bytes followed by guard bytes that must stay as they are; faults from `bad` on. */
class Buffer_ implements UserLogBuffer {
	readonly bytes: Uint8Array;
	readonly len: number;
	readonly bad: number;
	constructor(len: number, bad = Number.POSITIVE_INFINITY) {
		this.len = len;
		this.bad = bad;
		this.bytes = new Uint8Array(len + 16).fill(0xaa);
	}
	write(at: number, bytes: Uint8Array): boolean {
		if (at + bytes.length > this.bad) return false;
		this.bytes.set(bytes, at);
		return true;
	}
	read(at: number, len: number): Uint8Array | null {
		return this.bytes.slice(at, at + len);
	}
	get text(): string {
		expect([...this.bytes.subarray(this.len)]).toEqual(new Array(16).fill(0xaa));
		const end = this.bytes.indexOf(0);
		return Buffer.from(this.bytes.subarray(0, end)).toString("latin1");
	}
}

function log_of(level: number, len: number, bad?: number) {
	const ubuf = len ? new Buffer_(len, bad) : null;
	const log = new_verifier_log();
	expect(bpf_vlog_init(log, level, ubuf, len)).toBe(0);
	const finalize = () => {
		const size = { val: -1 };
		const err = bpf_vlog_finalize(log, size);
		return { err, size: size.val, text: ubuf?.text ?? null };
	};
	return { log, ubuf, finalize };
}

const lines = Array.from({ length: 400 }, (_, i) => `${i}: (b7) r${i % 11} = ${i * 7919}\n`);
const whole = lines.join("");

describe("attributes", () => {
	test.each([
		["a buffer without a size", 1, true, 0, -EINVAL],
		["a size without a buffer", 1, false, 64, -EINVAL],
		["a buffer without a level", 0, true, 64, -EINVAL],
		["an unknown level", 16, true, 64, -EINVAL],
		["too large a buffer", 1, true, 0x40000000, -EINVAL],
		["the largest buffer", 1, true, 0x3fffffff, 0],
		["no log", 0, false, 0, 0],
		["statistics only", 4, true, 64, 0],
	])("%s", (_what, level, given, size, want) => {
		expect(bpf_vlog_init(new_verifier_log(), level, given ? new Buffer_(8) : null, size)).toBe(want);
	});
});

describe.each([
	["fixed", 1 | BPF_LOG_FIXED],
	["rotating", 1],
])("%s window", (mode, level) => {
	test.each([
		1,
		2,
		3,
		17,
		64,
		1000,
		4096,
		whole.length - 1,
		whole.length,
		whole.length + 1,
		whole.length + 500,
	])("of %i bytes", (len) => {
		const { log, finalize } = log_of(level, len);
		for (const line of lines) bpf_log(log, line);
		const r = finalize();
		const kept = Math.min(len - 1, whole.length);
		expect(r.text).toBe(mode === "fixed" ? whole.slice(0, kept) : whole.slice(whole.length - kept));
		expect(r.size).toBe(whole.length + 1);
		expect(r.err).toBe(len < whole.length + 1 ? -ENOSPC : 0);
	});

	test("without a buffer only the length is known", () => {
		const { log, finalize } = log_of(level, 0);
		for (const line of lines) bpf_log(log, line);
		expect(finalize()).toEqual({ err: 0, size: whole.length + 1, text: null });
	});

	test("a reset takes text back, not the length that was needed", () => {
		const { log, finalize } = log_of(level, 4096);
		bpf_log(log, "kept ");
		const pos = log.end_pos;
		for (const line of lines.slice(0, 100)) bpf_log(log, line);
		const longest = log.end_pos + 1;
		bpf_vlog_reset(log, pos);
		bpf_log(log, "processed 1 insns\n");
		expect(finalize()).toEqual({ err: 0, size: longest, text: "kept processed 1 insns\n" });
	});

	test("a message is cut at 1023 bytes", () => {
		const { log, finalize } = log_of(level, 4096);
		bpf_log(log, `${"x".repeat(2000)}\n`);
		expect(finalize()).toEqual({ err: 0, size: 1024, text: "x".repeat(1023) });
	});

	test("a fault is reported at the end", () => {
		const { log, finalize } = log_of(level, 4096, 100);
		for (const line of lines) bpf_log(log, line);
		expect(finalize()).toMatchObject({ err: -EFAULT, size: whole.length + 1 });
	});

	test("text longer than what is collected at once", () => {
		const big = "0123456789abcdef".repeat(63);
		const { log, finalize } = log_of(level, 300_000);
		for (let i = 0; i < 200; i++) bpf_log(log, big);
		expect(finalize()).toEqual({ err: 0, size: 200 * big.length + 1, text: big.repeat(200) });
	});
});

test("a rotating window that was reset to before its start is empty", () => {
	const { log, finalize } = log_of(1, 64);
	bpf_log(log, "0123456789");
	const pos = log.end_pos;
	for (const line of lines) bpf_log(log, line);
	bpf_vlog_reset(log, pos);
	expect(log.start_pos).toBe(log.end_pos);
	bpf_log(log, "end\n");
	// The window starts inside the buffer: what follows the text is what lay there.
	expect(finalize().text).toBe("end\n");
});

test("the removal of a newline joins two lines", () => {
	const { log, finalize } = log_of(2, 256);
	bpf_log(log, "0: (95) exit\n");
	bpf_vlog_reset(log, log.end_pos - 1);
	bpf_log(log, " ; R0=0\n");
	expect(finalize().text).toBe("0: (95) exit ; R0=0\n");
});

describe("instructions", () => {
	const next = new bpf_insn(0, 0, 0, 0, 0x12345678);
	test.each<[number, number, number, number, number, string]>([
		[0xb7, 1, 0, 0, -5, "(b7) r1 = -5"],
		[0xbc, 1, 2, 0, 0, "(bc) w1 = w2"],
		[0xbf, 1, 2, 8, 0, "(bf) r1 = (s8)r2"],
		[0xbf, 1, 2, 1, 0x10002, "(bf) r1 = addr_space_cast(r2, 1, 2)"],
		[0xbf, 1, 2, -1, 0, "(bf) r1 = &(void __percpu *)(r2)"],
		[0x3f, 1, 2, 1, 0, "(3f) r1 s/= r2"],
		[0x87, 3, 0, 0, 0, "(87) r3 = -r3"],
		[0xdc, 3, 0, 0, 16, "(dc) r3 = be16 r3"],
		[0xd7, 3, 0, 0, 32, "(d7) r3 = bswap32 r3"],
		[0x79, 1, 10, -8, 0, "(79) r1 = *(u64 *)(r10 -8)"],
		[0x91, 1, 10, -8, 0, "(91) r1 = *(s8 *)(r10 -8)"],
		[0x7b, 10, 1, -8, 0, "(7b) *(u64 *)(r10 -8) = r1"],
		[0x62, 10, 0, 4, 7, "(62) *(u32 *)(r10 +4) = 7"],
		[0xdb, 1, 2, 0, 0, "(db) lock *(u64 *)(r1 +0) += r2"],
		[0xc3, 1, 2, 0, 1, "(c3) r2 = atomic_fetch_add((u32 *)(r1 +0), r2)"],
		[0xdb, 1, 2, 0, 0xf1, "(db) r0 = atomic64_cmpxchg((u64 *)(r1 +0), r0, r2)"],
		[0xdb, 1, 2, 0, 0xe1, "(db) r2 = atomic64_xchg((u64 *)(r1 +0), r2)"],
		[0x18, 1, 0, 0, -1, "(18) r1 = 0x12345678ffffffff"],
		[0x18, 1, 1, 0, 5, "(18) r1 = 0x0"],
		[0x30, 0, 0, 0, 14, "(30) r0 = *(u8 *)skb[14]"],
		[0x85, 0, 0, 0, 1, "(85) call bpf_map_lookup_elem#1"],
		[0x85, 0, 0, 0, 9999, "(85) call unknown#9999"],
		[0x85, 0, 1, 0, 3, "(85) call pc+3"],
		[0x85, 0, 2, 0, 77, "(85) call kernel-function#77"],
		[0x15, 1, 0, 2, -1, "(15) if r1 == 0xffffffff goto pc+2"],
		[0xae, 1, 2, -3, 0, "(ae) if w1 < w2 goto pc-3"],
		[0x05, 0, 0, 7, 0, "(05) goto pc+7"],
		[0x06, 0, 0, 0, 7, "(06) gotol pc+7"],
		[0xe5, 0, 0, 1, 0, "(e5) may_goto pc+1"],
		[0x95, 0, 0, 0, 0, "(95) exit"],
		[0xc2, 0, 0, 0, 0, "(c2) nospec"],
		[0x40, 1, 2, 0, 3, "(40) r0 = *(u32 *)skb[r2 + 3]"],
		[0x99, 1, 2, 0, 3, "(99) r1 = *((null) *)(r2 +0)"],
		[0xdb, 1, 2, 0, 0x77, "BUG_db"],
	])("%i %i %i %i %i", (code, dst, src, off, imm, want) => {
		let out = "";
		const cbs = {
			cb_print: (_: null, s: string) => {
				out += s;
			},
			private_data: null,
		};
		print_bpf_insn(cbs, new bpf_insn(code, dst, src, off, imm), false, next);
		expect(out).toBe(`${want}\n`);
	});
});
