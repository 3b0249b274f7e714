// SPDX-License-Identifier: GPL-2.0-only
/** `bpf-mirror arena`: what happened to arenas as lines, and what an arena is as a picture. */
import { BPF_F_MMAPABLE, BPF_F_NO_USER_CONV, BPF_F_SEGV_ON_FAULT } from "../include/uapi/linux/bpf.ts";
import type { ArenaEvent, ArenaState, MirrorArch } from "./mirror.ts";

const PAGE = 4096;
const ROW = 64;
/** The register in which a JIT keeps the kernel's address of the arena. */
const BASE_REG: Readonly<Record<MirrorArch, string>> = { x86_64: "r12", arm64: "x28" };

/** Who brought a page in. */
export type Owner =
	| { readonly by: "fault"; readonly pid: number }
	| { readonly by: "prog"; readonly prog: string };

/** Keeps who brought in which page, by what happens. */
export class Owners {
	private readonly arenas = new Map<number, Map<number, Owner>>();

	see(e: ArenaEvent): void {
		if (e.kind === "release") this.arenas.delete(e.id);
		if (e.kind === "fault" && e.how === "new") this.of(e.id).set(e.page, { by: "fault", pid: e.pid });
		if (e.kind === "alloc" && e.page >= 0)
			for (let i = 0; i < e.pages; i++) this.of(e.id).set(e.page + i, { by: "prog", prog: e.prog });
		if (e.kind === "free") for (let i = 0; i < e.pages; i++) this.of(e.id).delete(e.page + i);
	}
	of(id: number): Map<number, Owner> {
		const known = this.arenas.get(id);
		if (known) return known;
		const fresh = new Map<number, Owner>();
		this.arenas.set(id, fresh);
		return fresh;
	}
}

const hex = (v: bigint | number, digits = 0): string => `0x${BigInt(v).toString(16).padStart(digits, "0")}`;

/** Ranges shown at most. */
const RANGES = 12;

/** Numbers in order as ranges: 1-3, 7; of very many the first ones and the last one. */
export function ranges(numbers: readonly number[]): string {
	const out: string[] = [];
	for (let i = 0; i < numbers.length; ) {
		let j = i;
		while (j + 1 < numbers.length && numbers[j + 1] === numbers[j]! + 1) j++;
		out.push(i === j ? `${numbers[i]}` : `${numbers[i]}-${numbers[j]}`);
		i = j + 1;
	}
	if (out.length > RANGES) out.splice(RANGES - 2, out.length - RANGES + 1, "…");
	return out.join(", ");
}

/** What two events must have in common to be told as one. */
function likeness(e: ArenaEvent): string {
	switch (e.kind) {
		case "fault":
			return `fault ${e.id} ${e.pid} ${e.how} ${e.why ?? ""}`;
		case "alloc":
			return `alloc ${e.id} ${e.prog} ${e.pages} ${e.why ?? ""}`;
		case "miss":
			return `miss ${e.id} ${e.prog} ${e.insn} ${e.write} ${e.page < 0}`;
		case "free":
			return `free ${e.id} ${e.prog}`;
		default:
			return "";
	}
}

/** Lines for people; runs of like events become one. */
export function eventLines(events: readonly ArenaEvent[]): string[] {
	const out: string[] = [];
	for (let i = 0; i < events.length; ) {
		const e = events[i]!;
		let j = i + 1;
		while (j < events.length && likeness(e) !== "" && likeness(events[j]!) === likeness(e)) j++;
		out.push(line(events.slice(i, j)));
		i = j;
	}
	return out;
}

function line(run: readonly ArenaEvent[]): string {
	const e = run[0]!;
	const sorted = (of: (x: ArenaEvent) => number[]): string =>
		ranges([...new Set(run.flatMap(of))].sort((a, b) => a - b));
	const span = (at: number, n: number): number[] => Array.from({ length: n }, (_, k) => at + k);
	const times = run.length > 1 ? ` (${run.length} times)` : "";
	switch (e.kind) {
		case "map":
			return `map    pid ${e.pid} maps it at ${hex(e.start)} - ${hex(e.end)}`;
		case "unmap":
			return `unmap  pid ${e.pid} has it no more`;
		case "release":
			return "free   the map is gone, and all its pages";
		case "fault": {
			const pages = sorted((x) => (x.kind === "fault" ? [x.page] : []));
			const how = {
				new: "new, zeroed",
				present: "already there: only mapped",
				SIGSEGV: `SIGSEGV (${e.why})`,
			}[e.how];
			return `fault  pid ${e.pid}, ${run.length} ${run.length > 1 ? "faults, pages" : "fault, page"} ${pages}: ${how}`;
		}
		case "alloc": {
			const n = `${e.pages} page${e.pages > 1 ? "s" : ""}`;
			if (e.page < 0) return `alloc  ${e.prog}() wants ${n}: NULL, ${e.why}${times}`;
			const pages = sorted((x) => (x.kind === "alloc" ? span(x.page, x.pages) : []));
			return `alloc  ${e.prog}() gets ${n}${run.length > 1 ? ` ${run.length} times` : ""}: ${pages}`;
		}
		case "free": {
			const pages = sorted((x) => (x.kind === "free" ? span(x.page, Math.min(x.pages, 1 << 16)) : []));
			const freed = run.reduce((sum, x) => sum + (x.kind === "free" ? x.freed : 0), 0);
			const outside = run.some((x) => x.kind === "free" && x.page < 0) ? " (from below the beginning)" : "";
			return `free   ${e.prog}() gives back ${pages}${outside}: ${freed} had memory`;
		}
		case "miss": {
			const pages = sorted((x) => (x.kind === "miss" ? [x.page] : []));
			const what = e.write
				? "a store or atomic to a page that is not there is lost"
				: "a load from a page that is not there is 0";
			const where = e.page < 0 ? "outside of what is mapped or in a guard" : `page ${pages}`;
			return `miss   ${e.prog}() at instruction ${e.insn}, ${where}: ${what}${times}`;
		}
	}
}

function flagNames(flags: number): string {
	const names: string[] = [];
	if (flags & BPF_F_MMAPABLE) names.push("BPF_F_MMAPABLE");
	if (flags & BPF_F_SEGV_ON_FAULT) names.push("BPF_F_SEGV_ON_FAULT");
	if (flags & BPF_F_NO_USER_CONV) names.push("BPF_F_NO_USER_CONV");
	return names.join(" | ");
}

/** What a page is shown as. */
function cell(owner: Owner | undefined, mapped: boolean): string {
	const c = owner === undefined ? "?" : owner.by === "fault" ? "u" : "p";
	return mapped && c !== "?" ? c.toUpperCase() : c;
}

/** The picture of an arena. */
export function picture(a: ArenaState, owners: ReadonlyMap<number, Owner>, arch: MirrorArch): string[] {
	const nr = Number(a.user_vm_end - a.user_vm_start) / PAGE;
	const bytes = nr * PAGE;
	const size = bytes >= 1 << 20 ? `${Number((bytes / (1 << 20)).toFixed(1))} MiB` : `${bytes / 1024} KiB`;
	const out = [
		`arena ${a.name} (map ${a.id}), ${flagNames(a.map_flags)}: ${size} of addresses, ${a.pages.length} page${a.pages.length === 1 ? "" : "s"} of memory`,
	];
	if (a.user_vm_start === 0n) return [...out, "  no address yet: the first mapping fixes it"];
	const low = BigInt.asUintN(32, a.user_vm_start);
	const reg = BASE_REG[arch];
	out.push(
		`  user    ${hex(a.user_vm_start, 12)} - ${hex(a.user_vm_end, 12)}`,
		`  kernel  ${hex(a.kern_vm_start + low)}: ${reg} (${hex(a.kern_vm_start)}) + the low half of the user's address`,
	);
	for (const m of a.mappings)
		out.push(
			`  mapped  by pid ${m.pid} (${m.comm}), ${m.writable ? "read-write" : "read-only"}: ${m.resident} of its page table entries point here`,
		);
	if (a.mappings.length === 0) out.push("  mapped  by nobody");
	const by = new Map<string, number[]>();
	for (const p of a.pages) {
		const o = owners.get(p.page);
		const who =
			o === undefined ? "brought in before" : o.by === "prog" ? `${o.prog}()` : `faults of pid ${o.pid}`;
		by.set(who, [...(by.get(who) ?? []), p.page]);
	}
	for (const [who, pages] of by) out.push(`  owner   ${who}: ${pages.length} (${ranges(pages)})`);
	if (a.holes.length) out.push(`  taken   but without memory: ${ranges(a.holes)}`);
	const cells = new Map<number, string>();
	for (const p of a.pages) cells.set(p.page, cell(owners.get(p.page), p.pids.length > 0));
	for (const h of a.holes) cells.set(h, "!");
	let skipped = false;
	for (let row = 0; row * ROW < nr; row++) {
		let text = "";
		for (let i = row * ROW; i < Math.min(nr, (row + 1) * ROW); i++) text += cells.get(i) ?? ".";
		if (/^\.*$/.test(text) && row > 0) {
			skipped = true;
			continue;
		}
		if (skipped) out.push("          …");
		skipped = false;
		out.push(`  ${String(row * ROW).padStart(7)} ${text}`);
	}
	if (skipped) out.push("          …");
	return out;
}

/** What the letters of a picture mean. */
export const LEGEND =
	"u: brought in by a fault of user space, p: allocated by a program; capital: some process has it mapped; !: number taken, no memory";
