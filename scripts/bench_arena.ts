// SPDX-License-Identifier: GPL-2.0-only
/** `npm run bench -- arena`: pages of an arena and walks through it, each beside what does the same without one. */
import type { Sys } from "../include/sys.ts";
import { readProg } from "../selftests/bpf/skel.ts";
import { btf_var_secinfos } from "../tools/lib/bpf/btf.ts";
import {
	bpf_map__set_max_entries,
	type bpf_object,
	bpf_object__close,
	bpf_object__load,
	bpf_object__open_mem,
	bpf_prog_test_run_opts,
	Libbpf,
} from "../tools/lib/bpf/libbpf.ts";
import { Native } from "../tools/lib/native.ts";
import { bootMirror, type MirrorArch } from "../tools/mirror.ts";

const PAGE = 4096;
const PAGES = 4096;
const NODES = 1000;

export type Row = [what: string, figure: string, comparedWith: string, ratio: string];

const ns = (v: number): string => `${v < 10 ? v.toFixed(2) : v.toFixed(0)} ns`;
const ratio = (v: number): string => `${v < 10 ? v.toFixed(2) : v.toFixed(0)} x`;

/** Median nanoseconds of one of the `n` operations that `run` does; `before` is not counted. */
function median(n: number, run: () => void, before: () => void = () => {}, ms = 400): number {
	const times: number[] = [];
	// the host's own memory comes by faults too, at first
	for (let i = 0; i < 5; i++) {
		before();
		run();
	}
	for (const end = performance.now() + ms; performance.now() < end || times.length < 5; ) {
		before();
		const t = performance.now();
		run();
		times.push(((performance.now() - t) * 1e6) / n);
	}
	return times.sort((a, b) => a - b)[times.length >> 1]!;
}

/** An object with an arena, loaded. */
class Loaded {
	readonly sys: Sys;
	readonly base: number;
	private readonly lib: Libbpf;
	private readonly obj: bpf_object;
	private readonly sections: ReadonlyMap<string, { map: { mmaped: number }; off: number }>;
	constructor(sys: Sys, name: string, entries: number | null) {
		this.sys = sys;
		this.lib = new Libbpf(sys, { known_kernel: true });
		const obj = bpf_object__open_mem(this.lib, readProg(name, sys.arch), { object_name: name });
		if (typeof obj === "number") throw new Error(`${name} does not open: ${obj}`);
		this.obj = obj;
		const arena = obj.maps.find((m) => m.name === "arena")!;
		if (entries !== null) bpf_map__set_max_entries(arena, entries);
		const err = bpf_object__load(obj);
		if (err) throw new Error(`${name} does not load: ${err}`);
		this.base = arena.mmaped;
		this.sections = globals(obj);
	}
	private at(name: string): number {
		const g = this.sections.get(name);
		if (!g) throw new Error(`no global ${name}`);
		return g.map.mmaped + g.off;
	}
	set32(name: string, v: number): void {
		this.sys.store32(this.at(name), v);
	}
	set64(name: string, v: number | bigint): void {
		this.sys.store64(this.at(name), BigInt(v));
	}
	get64(name: string): number {
		return Number(this.sys.load64(this.at(name)));
	}
	run(prog: string): void {
		const { fd } = this.obj.programs.find((p) => p.name === prog)!;
		const err = bpf_prog_test_run_opts(this.lib, fd, {});
		if (err) throw new Error(`${prog}: ${err}`);
	}
	close(): void {
		bpf_object__close(this.obj);
	}
}

/** Where an object's global variables lie. */
function globals(obj: bpf_object): Map<string, { map: { mmaped: number }; off: number }> {
	const out = new Map<string, { map: { mmaped: number }; off: number }>();
	const { btf } = obj;
	if (!btf) return out;
	for (let id = 1; id < btf.type_cnt(); id++) {
		const sec = btf.type_by_id(id);
		const map = sec && obj.maps.find((m) => m.real_name === btf.str_by_offset(sec.name_off));
		if (!sec || !map) continue;
		for (const v of btf_var_secinfos(sec)) {
			const t = btf.type_by_id(v.type);
			if (t) out.set(btf.str_by_offset(t.name_off) ?? "", { map, off: v.offset });
		}
	}
	return out;
}

function pageRows(arch: MirrorArch): Row[] {
	const mirror = bootMirror({ arch, cpus: 1, memory: 64 << 20 });
	const sys = mirror.newProcess();
	const a = new Loaded(sys, "arena_pages", PAGES);
	const release = (): void => {
		a.set64("addr", a.base + 1);
		a.set32("page_cnt", PAGES);
		a.run("release");
	};
	a.set32("page_cnt", 1);
	const alloc = median(
		PAGES,
		() => a.run("exhaust"),
		() => {
			release();
			a.set32("page_cnt", 1);
		},
	);
	const { kernel } = mirror;
	const { pages } = kernel.machine!;
	const got = new Int32Array(PAGES);
	const bare = median(PAGES, () => {
		for (let i = 0; i < PAGES; i++) got[i] = kernel.kmem.alloc_page();
		for (const pfn of got) pages.put_page(pfn);
	});
	const free = median(PAGES, release, () => {
		release();
		a.set32("page_cnt", 1);
		a.run("exhaust");
	});
	const touch = (at: number): void => {
		for (let i = 0; i < PAGES; i++) sys.store8(at + i * PAGE, 1);
	};
	const fault = median(PAGES, () => touch(a.base), release);
	let anon = 0;
	const anonFault = median(
		PAGES,
		() => touch(anon),
		() => {
			if (anon) sys.munmap(anon, PAGES * PAGE);
			anon = sys.mmap(0, PAGES * PAGE, 3, 0x22, -1, 0);
		},
	);
	a.close();
	return [
		[
			`bpf_arena_alloc_pages() of a page, from a program`,
			ns(alloc),
			`a page of the buddy allocator there and back: ${ns(bare)}`,
			ratio(alloc / bare),
		],
		[`bpf_arena_free_pages(), a page of ${PAGES} at once`, ns(free), "the same", ratio(free / bare)],
		[
			`fault-in by a store of user space`,
			ns(fault),
			`anonymous memory of the same process: ${ns(anonFault)}`,
			ratio(fault / anonFault),
		],
	];
}

interface Node {
	value: number;
	next: Node | null;
}

function walkRows(arch: MirrorArch): Row[] {
	const mirror = bootMirror({ arch, cpus: 1, memory: 64 << 20 });
	const sys = mirror.newProcess();
	const a = new Loaded(sys, "arena_walk", null);
	a.set32("n", NODES);
	a.set64("seed", 1);
	a.run("build");
	const root = a.get64("root");
	const native = Native.load(sys, readProg("arena_walk", arch, ".native.o"));
	const sum = BigInt((NODES * (NODES - 1)) / 2);
	const user = median(NODES, () => {
		if (native.call("list_sum", root) !== sum) throw new Error("a wrong sum");
	});
	const loads = median(NODES, () => {
		let n = 0n;
		for (let at = Number(sys.load64(root)); at !== 0; at = Number(sys.load64(at))) n += sys.load64(at + 8);
		if (n !== sum) throw new Error("a wrong sum");
	});
	// the program walks list, hash table and tree
	const prog = median(3 * NODES, () => a.run("walk"));
	let first: Node | null = null;
	for (let i = 0; i < NODES; i++) first = { value: i, next: first };
	let total = 0;
	const js = median(NODES * 100, () => {
		for (let k = 0; k < 100; k++) for (let n: Node | null = first; n; n = n.next) total += n.value;
	});
	if (total === 0) throw new Error("nothing was walked");
	a.close();
	return [
		[
			`a list of ${NODES}, by machine code of user space, a node`,
			ns(user),
			`a list of objects in JavaScript: ${ns(js)}`,
			ratio(user / js),
		],
		[`list, hash table and tree, by the program, a node`, ns(prog), `the same: ${ns(js)}`, ratio(prog / js)],
		[
			`the list, by loads of a process in TypeScript (Sys), a node`,
			ns(loads),
			`by its machine code: ${ns(user)}`,
			ratio(loads / user),
		],
	];
}

/** The rows of `npm run bench -- arena`. */
export function arenaRows(arch: MirrorArch): Row[] {
	return [...pageRows(arch), ...walkRows(arch)];
}
