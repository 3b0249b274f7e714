// SPDX-License-Identifier: GPL-2.0-only
/** What /proc/self/smaps says of an area. */
import type { Sys } from "../../include/sys.ts";

const PAGE = 4096;

/** An area of a process. */
export interface Area {
	readonly end: number;
	/** `rw-s` */
	readonly rights: string;
	/** Pages that its page tables map. */
	readonly pages: number;
	/** VmFlags, two letters each. */
	readonly flags: readonly string[];
}

/** The area that begins at an address; null when there is none, or no such file. */
export function areaAt(sys: Sys, addr: number): Area | null {
	const text = sys.readFile("/proc/self/smaps");
	if (typeof text === "number") return null;
	const lines = new TextDecoder().decode(text).split("\n");
	const at = lines.findIndex((l) => /^[0-9a-f]+-[0-9a-f]+ /.test(l) && Number.parseInt(l, 16) === addr);
	if (at < 0) return null;
	const [range, rights] = lines[at]!.split(" ");
	const field = (name: string): string =>
		lines
			.slice(at)
			.find((l) => l.startsWith(name))!
			.slice(name.length);
	return {
		end: Number.parseInt(range!.split("-")[1]!, 16),
		rights: rights!,
		pages: (Number.parseInt(field("Rss:"), 10) * 1024) / PAGE,
		// soft-dirty is a matter of the kernel's configuration, and set on all areas alike
		flags: field("VmFlags:")
			.trim()
			.split(" ")
			.filter((f) => f !== "sd"),
	};
}
