// SPDX-License-Identifier: GPL-2.0-only
/**
 * Programs attached one on top of the other, and the trampolines that this makes. A real kernel's are read out of
 * its memory; the mirror makes its own in the same order (scripts/record_trampoline.ts).
 */
import {
	BPF_LSM_MAC,
	BPF_MODIFY_RETURN,
	BPF_PROG_TYPE_LSM,
	BPF_PROG_TYPE_TRACING,
	BPF_TRACE_FENTRY,
	BPF_TRACE_FEXIT,
} from "../../include/uapi/linux/bpf.ts";
import { KernelMemory, KsymbolEvents } from "../kernels/kernel_memory.ts";
import {
	type bpf_link,
	bpf_link__destroy,
	type bpf_object,
	bpf_object__close,
	bpf_object__find_program_by_name,
	bpf_object__load,
	bpf_object__open_mem,
	bpf_object__programs,
	bpf_prog_get_info_by_fd,
	bpf_program__attach_trace,
	bpf_program__set_autoload,
	bpf_program__set_flags,
} from "../lib/bpf/libbpf.ts";
import { object_name } from "./load_case.ts";
import type { Loader } from "./loader.ts";
import type { RecordTrampoline } from "./records.ts";
import type { ObjectFile, ProgramOf } from "./take_record.ts";

const TRAMPOLINED: readonly number[] = [BPF_TRACE_FENTRY, BPF_TRACE_FEXIT, BPF_MODIFY_RETURN];

/** Whether a program is called by a trampoline when it is attached. */
export function is_trampolined(p: Pick<ProgramOf, "type" | "attach_type">): boolean {
	if (p.type === BPF_PROG_TYPE_LSM) return p.attach_type === BPF_LSM_MAC;
	return p.type === BPF_PROG_TYPE_TRACING && TRAMPOLINED.includes(p.attach_type);
}

/** The kernel function that a program is for, by its section's name; null where that does not say. */
export function target_of(p: Pick<ProgramOf, "sec" | "type">): string | null {
	const name = p.sec.split("/").slice(1).join("/").split(":").at(-1);
	if (!name) return null;
	return p.type === BPF_PROG_TYPE_LSM ? `bpf_lsm_${name}` : name;
}

/** Attaches programs of an object one after the other; they stay attached until the end. */
export class Attaching {
	private readonly l: Loader;
	private readonly object: ObjectFile;
	private readonly objects: bpf_object[] = [];
	private readonly links: bpf_link[] = [];

	constructor(l: Loader, object: ObjectFile) {
		this.l = l;
		this.object = object;
	}

	/**
	 * Loads a program and attaches it: 0 or a negative errno, and where its code is (`loaded` is told of it
	 * before it is attached). Null: it does not load.
	 */
	attach(p: ProgramOf, loaded?: (func: bigint) => void): { err: number; func: bigint } | null {
		const { path, bytes } = this.object;
		const obj = bpf_object__open_mem(this.l.lib, bytes, { object_name: object_name(path) });
		if (typeof obj === "number") return null;
		this.objects.push(obj);
		const prog = bpf_object__find_program_by_name(obj, p.prog)!;
		for (const other of bpf_object__programs(obj)) bpf_program__set_autoload(other, other === prog);
		bpf_program__set_flags(prog, prog.prog_flags | (p.spec?.prog_flags ?? 0));
		if (bpf_object__load(obj)) return null;
		const info = bpf_prog_get_info_by_fd(this.l.lib, prog.fd);
		if (typeof info === "number") return null;
		const func = info.jited_ksyms[0] ?? 0n;
		loaded?.(func);
		const link = bpf_program__attach_trace(prog);
		if (typeof link === "number") return { err: link, func };
		this.links.push(link);
		return { err: 0, func };
	}

	/** Everything is detached and closed. */
	end(): void {
		for (const link of this.links.splice(0)) bpf_link__destroy(link);
		for (const obj of this.objects.splice(0)) bpf_object__close(obj);
		this.l.said();
	}
}

/** Trampolines are a page at most. */
const MAX_SIZE = 4096;
const HEAD = 4;
const PREFIX = "bpf_trampoline_";

/** Looks at a real kernel's trampolines. */
export class TrampolineReader {
	private readonly l: Loader;
	private readonly memory: KernelMemory;
	private readonly events: KsymbolEvents;
	private readonly kallsyms: string;
	private readonly attaching: (prog: string) => void;

	/** Throws NotToBeSeen. */
	constructor(l: Loader, kallsyms: Uint8Array, attaching: (prog: string) => void) {
		this.l = l;
		this.attaching = attaching;
		this.memory = new KernelMemory(l.sys, l.lib.heap);
		this.events = new KsymbolEvents(l.sys, l.lib.heap);
		this.kallsyms = Buffer.from(kallsyms).toString("latin1");
	}

	private head_of(p: ProgramOf): string | undefined {
		const name = target_of(p);
		if (name === null || !/^[\w.]+$/.test(name)) return undefined;
		const addr = new RegExp(`^([0-9a-f]{16}) \\w ${name.replaceAll(".", "\\.")}$`, "m").exec(
			this.kallsyms,
		)?.[1];
		if (addr === undefined) return undefined;
		return this.memory.read(BigInt(`0x${addr}`), HEAD)?.toString("hex");
	}

	/** Attaches these programs of an object, which it has accepted before, and reads the trampoline after each. */
	take(object: ObjectFile, progs: readonly ProgramOf[]): Map<string, RecordTrampoline> {
		const out = new Map<string, RecordTrampoline>();
		const attaching = new Attaching(this.l, object);
		const attached: [string, string][] = [];
		try {
			for (const p of progs) {
				this.events.added();
				this.attaching(p.prog);
				const got = attaching.attach(p);
				if (!got) continue;
				if (got.err) {
					out.set(p.prog, { err: got.err, attached: [...attached] });
					continue;
				}
				attached.push([p.prog, got.func.toString(16)]);
				const rec: RecordTrampoline = { err: 0, attached: [...attached] };
				const image = this.events.added().findLast((s) => s.name.startsWith(PREFIX));
				const code = image && this.memory.read(image.addr, MAX_SIZE);
				if (image && code) {
					rec.addr = image.addr.toString(16);
					rec.code = code.toString("hex");
				}
				const head = this.head_of(p);
				if (head !== undefined) rec.head = head;
				out.set(p.prog, rec);
			}
		} finally {
			attaching.end();
		}
		return out;
	}

	close(): void {
		this.events.close();
		this.memory.close();
	}
}
