// SPDX-License-Identifier: GPL-2.0-only
/** Asking a real kernel what it makes of programs: records as tools/upstream/records.ts reads them. */
import { SysRefused } from "../../include/sys.ts";
import { BTF_KIND_FUNC } from "../../include/uapi/linux/btf.ts";
import { BadSpec, parse_test_spec, type test_spec, UNPRIV } from "../../selftests/bpf/test_loader_spec.ts";
import { btf_is_decl_tag } from "../lib/bpf/btf.ts";
import {
	type bpf_object,
	bpf_object__close,
	bpf_object__open_mem,
	bpf_object__programs,
	type bpf_program,
} from "../lib/bpf/libbpf.ts";
import {
	type LoadCase,
	type LoadResult,
	load_case,
	object_name,
	type RunInput,
	type RunResult,
} from "./load_case.ts";
import type { Loader } from "./loader.ts";
import type { ProgRecord, RecordLoad, VolatileRun } from "./records.ts";
import { is_trampolined, type TrampolineReader } from "./trampolines.ts";

/** Programs with more instructions than this have no log in a record: it would be larger than all the others. */
const MAX_LOGGED = 100_000;
const LEVEL_STATS = 4;
const LEVEL_LOG = 6;

/** An object: its file's name, and what is in it. */
export interface ObjectFile {
	readonly path: string;
	readonly bytes: Uint8Array;
}

/** A program of an object, and how its annotations want it loaded. */
export interface ProgramOf {
	readonly object: ObjectFile;
	readonly prog: string;
	readonly sec: string;
	readonly type: number;
	readonly attach_type: number;
	readonly tags: readonly string[];
	/** null where there are none that make sense. */
	readonly spec: test_spec | null;
}

function tags_of(obj: bpf_object, prog: bpf_program): string[] {
	const { btf } = obj;
	const func = btf ? btf.find_by_name_kind(prog.name, BTF_KIND_FUNC) : -1;
	const out: string[] = [];
	if (!btf || func < 0) return out;
	for (let id = 1; id < btf.type_cnt(); id++) {
		const t = btf.type_by_id(id)!;
		if (btf_is_decl_tag(t) && t.type === func) out.push(btf.str_by_offset(t.name_off) ?? "");
	}
	return out;
}

/** The programs of an object that are tests of their own; a string is why it does not open. */
export function programs_of(l: Loader, object: ObjectFile): ProgramOf[] | string {
	l.said();
	const obj = bpf_object__open_mem(l.lib, object.bytes, { object_name: object_name(object.path) });
	if (typeof obj === "number") return l.said() || `does not open: ${obj}`;
	const out: ProgramOf[] = [];
	for (const prog of bpf_object__programs(obj)) {
		let spec: test_spec | null = null;
		try {
			spec = parse_test_spec(obj, prog, l.sys.arch);
		} catch (e) {
			if (!(e instanceof BadSpec)) throw e;
		}
		if (spec?.auxiliary) continue;
		out.push({
			object,
			prog: prog.name,
			sec: prog.sec_name,
			type: prog.type,
			attach_type: prog.expected_attach_type,
			tags: tags_of(obj, prog),
			spec,
		});
	}
	bpf_object__close(obj);
	return out;
}

/** Whether annotations want a program loaded without capabilities. */
export function wants_unpriv(p: ProgramOf): boolean {
	return p.spec !== null && (p.spec.mode_mask & UNPRIV) !== 0;
}

/** How a program is loaded, on whatever kernel. */
export function case_of(p: ProgramOf, unpriv: boolean, level: number): LoadCase {
	return {
		...p.object,
		prog: p.prog,
		unpriv,
		level,
		flags: p.spec?.prog_flags ?? 0,
		map_fixups: [],
	};
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** Offsets of the eight bytes in which two dumps of one length differ. */
function differing(a: string, b: string): number[] {
	const out: number[] = [];
	for (let at = 0; at < Math.max(a.length, b.length); at += 16)
		if (a.slice(at, at + 16) !== b.slice(at, at + 16)) out.push(at / 2);
	return out;
}

/** What either of two says that it is not to be compared. */
export function volatile_in_either(a: VolatileRun | undefined, b: VolatileRun | undefined): VolatileRun {
	const data = { ...a?.data };
	for (const [name, off] of Object.entries(b?.data ?? {})) data[name] = [...(data[name] ?? []), ...off];
	return {
		retval: a?.retval || b?.retval || false,
		out: [...(a?.out ?? []), ...(b?.out ?? [])],
		data,
		entries: [...(a?.entries ?? []), ...(b?.entries ?? [])],
	};
}

/** What two runs of a program have not in common; undefined when they are the same. */
export function volatile_of(a: RunResult, b: RunResult): VolatileRun | undefined {
	const out: VolatileRun = {};
	if (a.retval !== b.retval) out.retval = true;
	const bytes = differing(a.out, b.out);
	if (bytes.length) out.out = bytes;
	for (const [name, value] of Object.entries(a.data)) {
		const off = differing(value, b.data[name] ?? "");
		if (off.length) out.data = { ...out.data, [name]: off };
	}
	const maps = Object.keys(a.entries).filter(
		(m) => JSON.stringify(a.entries[m]) !== JSON.stringify(b.entries[m]),
	);
	if (maps.length) out.entries = maps;
	return Object.keys(out).length ? out : undefined;
}

/** The part of a record that one load gives. */
export function record_of(c: LoadCase, got: LoadResult): RecordLoad {
	const r: RecordLoad = {
		map_fixups: [],
		flags: c.flags,
		level: c.level,
		err: got.open_err || got.err,
		processed: got.processed,
	};
	if (got.insns.length) r.insns = hex(got.insns);
	if (got.maps.length) r.maps = got.maps;
	if (got.arena) r.arena = got.arena.toString(16);
	// what libbpf says of a load that the verifier saw is the log once more
	if (r.err && got.processed < 0) r.libbpf = got.libbpf;
	const { info } = got;
	if (!info) return r;
	r.tag = hex(info.tag);
	r.verified_insns = info.verified_insns;
	r.xlated = hex(info.xlated_prog_insns);
	r.jited = hex(info.jited_prog_insns);
	r.jited_ksyms = info.jited_ksyms.map((a) => a.toString(16));
	r.jited_func_lens = info.jited_func_lens;
	const lines = new DataView(info.line_info.buffer, info.line_info.byteOffset, info.line_info.byteLength);
	r.jited_lines = info.jited_line_info.map((a, i) => [
		lines.getUint32(i * info.line_info_rec_size, true),
		a.toString(16),
	]);
	return r;
}

/** How long a real kernel gets for what a run has begun, ms. */
const REST_MS = 15;
const rest = (): void => {
	Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, REST_MS);
};

/** Loads a program twice, with and without its log, runs it each time, and says all that the kernel did. */
function take(
	l: Loader,
	p: ProgramOf,
	unpriv: boolean,
	input?: RunInput,
): { brief: RecordLoad; full: RecordLoad } {
	const run = unpriv ? {} : { run: () => 0, input, rest };
	const c: LoadCase = { ...case_of(p, unpriv, LEVEL_STATS), ...run };
	const first = load_case(l.lib, c, l.log, l.said);
	const brief = record_of(c, first);
	const c6: LoadCase = { ...case_of(p, unpriv, LEVEL_LOG), ...run };
	const logged = first.processed <= MAX_LOGGED;
	const second = load_case(l.lib, logged ? c6 : c, l.log, l.said);
	const { map_fixups, flags, level, err, processed } = record_of(c6, second);
	const full: RecordLoad = { map_fixups, flags, level, err, processed };
	if (!logged) full.skipped = true;
	else full.log = second.log;
	if (first.run) {
		const { err: failed, retval, size_out, out, data, entries } = first.run;
		brief.run = { err: -failed, retval, size_out, out };
		if (input) brief.run_in = input;
		brief.data = data;
		if (Object.keys(entries).length) brief.entries = entries;
		const vol = second.run && volatile_of(first.run, second.run);
		if (vol) brief.volatile = vol;
	}
	return { brief, full };
}

/** A program's record. Throws SysRefused where this way into the kernel does not load it. */
export function take_program(
	l: Loader,
	p: ProgramOf,
	o: { unpriv: boolean; input?: RunInput | undefined },
): ProgRecord {
	const { prog, sec, type, attach_type } = p;
	const rec: ProgRecord = {
		obj: object_name(p.object.path),
		prog,
		sec,
		type,
		attach_type,
		tags: [...p.tags],
	};
	const g = take(l, p, false, o.input);
	rec.g = g.brief;
	rec.g6 = g.full;
	if (!o.unpriv || !wants_unpriv(p)) return rec;
	const u = take(l, p, true);
	rec.u = u.brief;
	rec.u6 = u.full;
	return rec;
}

/** What one program of an object came to; `refused` is why there is no record. */
export interface Taken {
	prog: string;
	record?: ProgRecord;
	refused?: string;
}

/**
 * Records of an object's programs one by one. With `trampolines`, programs are also attached, once all
 * were loaded and run without any attached.
 */
export function* take_object(
	l: Loader,
	object: ObjectFile,
	o: {
		unpriv: boolean;
		input?: RunInput | undefined;
		only?: (prog: string) => boolean;
		trampolines?: (() => TrampolineReader | undefined) | undefined;
	},
): Generator<Taken> {
	// where the mirror runs its own; a kernel that does not let it be so runs them anywhere
	l.sys.setCpu(0);
	const programs = programs_of(l, object);
	if (typeof programs === "string") {
		yield { prog: "", refused: programs };
		return;
	}
	const wait: [ProgramOf, Taken][] = [];
	for (const p of programs) {
		if (o.only && !o.only(p.prog)) continue;
		const taken: Taken = { prog: p.prog };
		try {
			taken.record = take_program(l, p, o);
		} catch (e) {
			if (!(e instanceof SysRefused)) throw e;
			taken.refused = e.message;
		}
		if (o.trampolines && is_trampolined(p) && taken.record?.g?.err === 0) wait.push([p, taken]);
		else yield taken;
	}
	if (!o.trampolines || wait.length === 0) return;
	const reader = o.trampolines();
	const made = reader?.take(
		object,
		wait.map(([p]) => p),
	);
	reader?.close();
	for (const [p, taken] of wait) {
		const trampoline = made?.get(p.prog);
		if (trampoline) taken.record!.trampoline = trampoline;
		yield taken;
	}
}
