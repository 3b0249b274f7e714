// SPDX-License-Identifier: GPL-2.0-only
/**
 * Passes many records through a ring buffer and checks each: numbers without a gap for each CPU, the checksum of
 * its words, its length, and that the filling is what it must be.
 */
import { nrGetpgid, readProg } from "../selftests/bpf/skel.ts";
import {
	bpf_link__destroy,
	bpf_map__fd,
	bpf_map__set_max_entries,
	bpf_object__attach,
	bpf_object__close,
	bpf_object__load,
	bpf_object__open_mem,
	Libbpf,
	ring_buffer__consume,
	ring_buffer__free,
	ring_buffer__new,
} from "./lib/bpf/libbpf.ts";
import { type Global, globalOf } from "./lib/globals.ts";
import { bootMirror, type MirrorArch } from "./mirror.ts";

export interface RingRecordsOptions {
	readonly arch: MirrorArch;
	readonly records: number;
	readonly cpus: number;
	/** Bytes of the ring. */
	readonly size: number;
	/** Told of the records seen so far, about every `every` of them. */
	readonly progress?: (seen: number) => void;
	readonly every?: number;
	/** Changes a record on its way, for tests of the check itself. */
	readonly tamper?: (nr: number, store: (word: number, v: bigint) => void) => void;
}

export interface RingRecordsResult {
	readonly seen: number;
	/** Times that the ring was found full, and the record was made again later. */
	readonly full: number;
	readonly bytes: number;
	/** What is wrong, the first of each kind; empty when nothing is. */
	readonly errors: readonly string[];
	readonly ms: number;
}

/** Records for each system call. */
const BATCH = 512;
/** One record of so many is told of. */
const SAMPLE_RATE = 500;
const GOLDEN = 0x9e3779b97f4a7c15n;

/** Words that a record has, by its number: selftests/bpf/progs/ring_records.c. */
function wordsOf(seq: number): number {
	return seq % 2 === 1 ? 3 : 3 + (Math.floor(seq / 2) % 4);
}

export function ringRecords(o: RingRecordsOptions): RingRecordsResult {
	const mirror = bootMirror({ arch: o.arch, cpus: o.cpus, memory: Math.max(256 << 20, 2 * o.size) });
	const sys = mirror.newProcess();
	const lib = new Libbpf(sys, { known_kernel: true });
	const obj = bpf_object__open_mem(lib, readProg("ring_records", o.arch), { object_name: "ring_records" });
	if (typeof obj === "number") throw new Error(`ring_records does not open: ${obj}`);
	const map = obj.maps.find((m) => m.name === "ring")!;
	bpf_map__set_max_entries(map, o.size);
	const err = bpf_object__load(obj);
	if (err) throw new Error(`ring_records does not load: ${err}`);
	const set = (name: string, v: number): void => store(globalOf(obj, name), v);
	const store = (g: Global, v: number): void => {
		if (g.size === 8) sys.store64(g.addr, BigInt(v));
		else sys.store32(g.addr, v);
	};
	set("pid", sys.getpid());
	set("syscall_nr", nrGetpgid(o.arch));
	set("batch", BATCH);
	set("sample_rate", SAMPLE_RATE);
	const next = globalOf(obj, "next_seq");
	const links = bpf_object__attach(obj);
	if (typeof links === "number") throw new Error(`ring_records does not attach: ${links}`);

	const expected = new Array<number>(o.cpus).fill(0);
	const errors = new Map<string, string>();
	const wrong = (kind: string, text: string): void => {
		if (!errors.has(kind)) errors.set(kind, text);
	};
	const every = o.every ?? 100_000;
	let seen = 0;
	let bytes = 0;
	let told = 0;
	const sample = (at: number, size: number): number => {
		// user space may not write there: a test goes through the kernel's own mapping
		o.tamper?.(seen, (word, v) => {
			const [rb] = mirror.kernel.bpf.ringbufs.values();
			mirror.kernel.kmem.w64(rb!.data + ((at - ring!.data) % (ring!.mask + 1)) + 8 * word, v);
		});
		const cpu = sys.load32(at + 8);
		const seq = sys.load32(at) + sys.load32(at + 4) * 0x100000000;
		const n = sys.load32(at + 12);
		let lo = 0;
		let hi = 0;
		for (let i = 0; i < size; i += 8) {
			lo ^= sys.load32(at + i);
			hi ^= sys.load32(at + i + 4);
		}
		if (lo !== 0 || hi !== 0)
			wrong("checksum", `record ${seen}: its checksum is wrong (CPU ${cpu}, number ${seq})`);
		else if (cpu >= o.cpus) wrong("CPU", `record ${seen}: CPU ${cpu}`);
		else {
			if (seq !== expected[cpu])
				wrong("order", `record ${seen}: CPU ${cpu} goes from number ${expected[cpu]! - 1} to ${seq}`);
			if (n !== wordsOf(seq) || size !== 8 * n)
				wrong("length", `record ${seen}: number ${seq} of CPU ${cpu} has ${size} bytes`);
			for (let i = 2; i < n - 1; i++)
				if (sys.load64(at + 8 * i) !== BigInt.asUintN(64, (BigInt(seq) + BigInt(i)) * GOLDEN))
					wrong("filling", `record ${seen}: word ${i} of number ${seq} of CPU ${cpu} is wrong`);
			expected[cpu] = seq + 1;
		}
		seen++;
		bytes += size;
		return 0;
	};
	const rb0 = ring_buffer__new(lib, bpf_map__fd(map), sample);
	if (typeof rb0 === "number") throw new Error(`no consumer: ${rb0}`);
	const [ring] = rb0.rings;
	const begin = performance.now();
	let made = 0;
	for (let cpu = 0; made < o.records; cpu = (cpu + 1) % o.cpus) {
		sys.setCpu(cpu);
		// the last batches make what is missing, and no more
		set("batch", Math.min(BATCH, o.records - made));
		sys.getpgid(0);
		made = 0;
		for (let c = 0; c < o.cpus; c++) made += Number(sys.load64(next.addr + 8 * c));
		// several CPUs' batches are in the ring at once
		if (cpu === o.cpus - 1 || made >= o.records) ring_buffer__consume(rb0);
		if (seen - told >= every) {
			told = seen;
			o.progress?.(seen);
		}
	}
	ring_buffer__consume(rb0);
	const ms = performance.now() - begin;
	const full = Number(sys.load64(globalOf(obj, "full").addr));
	for (const [cpu, n] of expected.entries()) {
		const last = Number(sys.load64(next.addr + 8 * cpu));
		if (n !== last) wrong("lost", `CPU ${cpu} made ${last} records, ${n} came out`);
	}
	if (seen !== o.records) wrong("count", `${o.records} records were made, ${seen} came out`);
	ring_buffer__free(rb0);
	for (const link of links.values()) bpf_link__destroy(link);
	bpf_object__close(obj);
	return { seen, full, bytes, errors: [...errors.values()], ms };
}
