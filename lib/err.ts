// SPDX-License-Identifier: GPL-2.0-only
/**
 * The kernel's error convention (include/linux/err.h).
 *
 * A function that returns a pointer or ERR_PTR in C returns `T | number` here:
 * a number is a negative errno. A function that returns an int returns a number.
 */

/** The last page of addresses is errnos. */
export const MAX_ERRNO = 4095;

/** True when a pointer-or-error result is an error (a negative errno). */
export function IS_ERR<T>(x: T | number): x is number {
	return typeof x === "number" && x < 0;
}

/** A value that an out-parameter of the kernel points at. */
export interface Ref<T> {
	val: T;
}
