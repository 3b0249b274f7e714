// SPDX-License-Identifier: GPL-2.0-only
/**
 * What runs unmodified upstream objects: those that upstream's prog_tests/ drive by hand have a driver here, under
 * the object's name; the programs of all others are run as their annotations say.
 */
import { annotated } from "../prog_tests/verifier.ts";
import type { ProgTest } from "../test_env.ts";
import { arenaObjects } from "./arena.ts";
import { perfObjects } from "./perf.ts";
import { ringbufObjects } from "./ringbuf.ts";

/** A test of an object: its bytes become one. */
export type ObjectDriver = (object: Uint8Array) => ProgTest;

const DRIVERS: Readonly<Record<string, ObjectDriver>> = {
	...arenaObjects,
	...perfObjects,
	...ringbufObjects,
};

/** The test of an upstream object by its name (without `.bpf.o`). */
export function objectTest(name: string, object: Uint8Array): ProgTest {
	const driver = Object.hasOwn(DRIVERS, name) ? DRIVERS[name] : undefined;
	return driver?.(object) ?? annotated(name, object);
}
