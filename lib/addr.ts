// SPDX-License-Identifier: GPL-2.0-only
/**
 * Virtual addresses.
 *
 * A guest address in this project is a `number`: the signed canonical address, exact in a double
 * because a 48-bit canonical address sign-extends. Where an address becomes data (an immediate of
 * an instruction, a register, a line of a log, an address of a record's wider kernel) it is a
 * `bigint`, unsigned, 64 bits wide.
 */

/** The unsigned 64-bit value of a signed canonical address. */
export function addr_to_u64(va: number): bigint {
	return BigInt.asUintN(64, BigInt(va));
}

/** The signed canonical address of an unsigned 64-bit value; not exact beyond 53 significant bits. */
export function u64_to_addr(v: bigint): number {
	return Number(BigInt.asIntN(64, v));
}
