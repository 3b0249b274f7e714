// SPDX-License-Identifier: GPL-2.0-only
/** Mirrors of another kernel with a process in each: one that verifies and JITs with its addresses, one that runs. */
import { ArenaPlace } from "../tools/upstream/arena_place.ts";
import { type LoadCase, type LoadResult, load_case } from "../tools/upstream/load_case.ts";
import { type Loader, loader_of } from "../tools/upstream/loader.ts";
import type { KernelFiles } from "../tools/upstream/machine_facts.ts";
import type { RecordLoad } from "../tools/upstream/records.ts";
import { bootRecordKernel, bootRunKernel, type RecordKernel } from "./record_kernel.ts";

const RUN_LOG_SIZE = 1 << 20;

/** Verifies and JITs. */
export interface Machine extends Loader {
	readonly kernel: RecordKernel;
	readonly arena: ArenaPlace;
}

export function machine_of(files: KernelFiles): Machine {
	const kernel = bootRecordKernel(files);
	const arena = new ArenaPlace(kernel.sys);
	return { ...loader_of(kernel.sys), kernel, arena };
}

/** Runs programs. */
export interface RunMachine extends Loader {
	readonly arena: ArenaPlace;
	settle(): void;
	rest(): void;
	lacked(): string[];
	litter(seed: number): void;
}

export function run_machine_of(files: KernelFiles, displaced = false): RunMachine {
	const kernel = bootRunKernel(files, displaced);
	const arena = new ArenaPlace(kernel.sys);
	return { ...kernel, ...loader_of(kernel.sys, RUN_LOG_SIZE), arena };
}

/** Where a record says that its process had the arena; 0 where it does not. */
const arena_of = (brief: RecordLoad): number => Number.parseInt(brief.arena ?? "0", 16);

/** Loads a program as a record's kernel did, its arena where it was there. */
export function load_as_recorded(m: Machine, c: LoadCase, brief: RecordLoad): LoadResult {
	m.kernel.prepare(brief, c.prog);
	m.arena.want = arena_of(brief);
	const first = load_case(m.lib, c, m.log, m.said);
	if (m.arena.want) {
		m.arena.want = 0;
		return first;
	}
	m.arena.want = m.arena.of_record(first.info?.xlated_prog_insns, brief.xlated);
	if (!m.arena.want) return first;
	m.kernel.prepare(brief, c.prog);
	const again = load_case(m.lib, c, m.log, m.said);
	m.arena.want = 0;
	return again;
}

/** Loads and runs a program, its arena where it was in the record's process. */
export function run_as_recorded(r: RunMachine, c: LoadCase, brief: RecordLoad): LoadResult {
	r.arena.want = arena_of(brief);
	const first = load_case(r.lib, c, r.log, r.said);
	r.settle();
	if (r.arena.want) {
		r.arena.want = 0;
		return first;
	}
	r.arena.want = r.arena.of_record(first.info?.xlated_prog_insns, brief.xlated);
	if (!r.arena.want) return first;
	const again = load_case(r.lib, c, r.log, r.said);
	r.arena.want = 0;
	r.settle();
	return again;
}
