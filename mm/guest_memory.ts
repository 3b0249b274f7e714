// SPDX-License-Identifier: GPL-2.0-only
/**
 * How kernel code written in TypeScript reaches the guest's memory: by virtual address through the
 * current page tables, with a software TLB. Addresses are signed canonical numbers (lib/addr.ts).
 * An access that the page tables do not allow throws `GuestFault`.
 */

/** A load or store of kernel code hit a page that is not there, or may not be touched so. */
export class GuestFault extends Error {
	readonly addr: number;
	readonly write: boolean;
	constructor(addr: number, write: boolean, why = "page fault") {
		super(`${why}: ${write ? "write to" : "read of"} 0x${BigInt.asUintN(64, BigInt(addr)).toString(16)}`);
		this.name = "GuestFault";
		this.addr = addr;
		this.write = write;
	}
}

/** Little-endian loads and stores by kernel virtual address; unaligned and page-crossing ones work. */
export interface GuestMemory {
	r8(va: number): number;
	r16(va: number): number;
	/** Unsigned 32 bits. */
	r32(va: number): number;
	/** Signed 32 bits. */
	rs32(va: number): number;
	r64(va: number): bigint;
	/** A pointer, as signed canonical address. */
	rptr(va: number): number;
	w8(va: number, v: number): void;
	w16(va: number, v: number): void;
	w32(va: number, v: number): void;
	w64(va: number, v: bigint): void;
	wptr(va: number, v: number): void;
	/** A copy of `len` bytes. */
	read(va: number, len: number): Uint8Array;
	write(va: number, bytes: Uint8Array): void;
	copy(dst: number, src: number, len: number): void;
	fill(va: number, len: number, byte: number): void;
	/** Like memcmp: 0 when equal. */
	compare(a: number, b: number, len: number): number;
	/** A NUL-terminated string of at most `max` bytes, as Latin-1. */
	cstring(va: number, max: number): string;
}
