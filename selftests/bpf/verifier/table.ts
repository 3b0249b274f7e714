// SPDX-License-Identifier: GPL-2.0-only
/** What the tables of test_verifier are written with. */
import {
	BPF_MAP_TYPE_ARRAY,
	BPF_MAP_TYPE_HASH,
	BPF_PROG_TYPE_SCHED_CLS,
	BPF_PROG_TYPE_XDP,
} from "../../../include/uapi/linux/bpf.ts";
import type { VerifierTest } from "../test_verifier.ts";

type More = Partial<VerifierTest>;

/** Only with capabilities. */
export const priv: More = { priv_only: true };
export const tc: More = { prog_type: BPF_PROG_TYPE_SCHED_CLS, priv_only: true };
export const xdp: More = { prog_type: BPF_PROG_TYPE_XDP, priv_only: true };

export function accept(descr: string, asm: string, more: More = {}): VerifierTest {
	return { descr, asm, result: "ACCEPT", ...more };
}

export function reject(descr: string, asm: string, errstr: string, more: More = {}): VerifierTest {
	return { descr, asm, result: "REJECT", errstr, ...more };
}

/** Only the unprivileged are refused. */
export function unprivReject(
	descr: string,
	asm: string,
	errstr_unpriv: string,
	more: More = {},
): VerifierTest {
	return { descr, asm, result: "ACCEPT", result_unpriv: "REJECT", errstr_unpriv, ...more };
}

/** An instruction of any bytes. */
export function raw(code: number, dst: number, src: number, off: number, imm: number): string {
	const word =
		BigInt(code | (dst << 8) | (src << 12)) | (BigInt(off & 0xffff) << 16n) | (BigInt(imm >>> 0) << 32n);
	return `.8byte 0x${word.toString(16)}`;
}

export const hash8 = { type: BPF_MAP_TYPE_HASH, key: 8, value: 8, max: 1 } as const;
export const hash48 = { type: BPF_MAP_TYPE_HASH, key: 8, value: 48, max: 1 } as const;
export const array48 = { type: BPF_MAP_TYPE_ARRAY, key: 4, value: 48, max: 1 } as const;

/** r0 = the first value of map 0, or NULL. */
export const lookup = `*(u64 *)(r10 - 8) = 0
	r2 = r10
	r2 += -8
	r1 = map[0] ll
	call bpf_map_lookup_elem`;

/** A program whose body has r0 = a value of map 0; r1 to r5 hold nothing. */
export function onValue(body: string): string {
	return `${lookup}\nif r0 == 0 goto out\n${body}\nout: r0 = 0\nexit`;
}
