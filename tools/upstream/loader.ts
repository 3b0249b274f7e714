// SPDX-License-Identifier: GPL-2.0-only
/** A process that loads programs: libbpf in it, what that says, and memory for logs. */
import type { Sys } from "../../include/sys.ts";
import { Libbpf } from "../lib/bpf/libbpf.ts";
import type { LogBuffer } from "./load_case.ts";

/** Logs of programs with the most states are some ten MiB. */
const LOG_SIZE = 64 << 20;

/** A process to load programs with, and what libbpf says in it. */
export interface Loader {
	readonly sys: Sys;
	readonly lib: Libbpf;
	readonly log: LogBuffer;
	/** libbpf's messages since the last call. */
	said(): string;
}

/** Makes a process ready. */
export function loader_of(sys: Sys, log_size = LOG_SIZE): Loader {
	let text = "";
	const lib = new Libbpf(sys, {
		known_kernel: true,
		print: (level, line) => {
			if (level === 0) text += line;
		},
	});
	const said = (): string => {
		const t = text;
		text = "";
		return t;
	};
	return { sys, lib, log: { addr: lib.heap.alloc(log_size), size: log_size }, said };
}
