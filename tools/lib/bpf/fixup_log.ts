// SPDX-License-Identifier: GPL-2.0-only
/**
 * What libbpf put into a program for want of something better (a CO-RE relocation that failed, a map that
 * was not made, a kfunc that was not found) fails as a call of an unknown helper. The log is made to say
 * what is really missing. tools/lib/bpf/libbpf.c: fixup_verifier_log and what it calls.
 */
import { bpf_core_format_spec, bpf_core_parse_spec } from "../../../lib/relo_core.ts";
import { cstring } from "./libbpf_internal.ts";
import { type bpf_program, RELO_CORE } from "./libbpf_types.ts";
import { core_ctx, POISON_CALL_KFUNC_BASE, POISON_LDIMM64_MAP_BASE } from "./relocate.ts";

const MAX_LAST_LINES = 10;

/** Text instead of "N: (85) call unknown#M" and the complaint after it; null to leave them. */
function patch_for(prog: bpf_program, line1: string, complaint: string): string | null {
	const { obj } = prog;
	const m = /^\s*(-?\d+): \(\s*[-+]?\d+\) call unknown#(-?\d+)\n/.exec(line1);
	if (!m) return null;
	const insn_idx = Number(m[1]);
	const id = Number(m[2]);
	if (complaint.startsWith("invalid func unknown#195896080\n")) {
		const relo = prog.reloc_desc.find((r) => r.type === RELO_CORE && r.insn_idx === insn_idx)?.core_relo;
		if (!relo || id !== 195896080) return null;
		const ctx = core_ctx(obj, prog.name);
		const spec = bpf_core_parse_spec(ctx, obj.btf!, relo);
		if (typeof spec === "number") return null;
		const text = bpf_core_format_spec(ctx, spec);
		const shown = text.length >= 256 ? `${text.slice(0, 255)}...` : text;
		return `${insn_idx}: <invalid CO-RE relocation>\nfailed to resolve CO-RE relocation ${shown}\n`.slice(
			0,
			511,
		);
	}
	if (complaint.startsWith("invalid func unknown#200100")) {
		const map = obj.maps[id - POISON_LDIMM64_MAP_BASE];
		if (!map) return null;
		return `${insn_idx}: <invalid BPF map reference>\nBPF map '${map.name}' is referenced but wasn't created\n`.slice(
			0,
			127,
		);
	}
	const ext = obj.externs[id - POISON_CALL_KFUNC_BASE];
	if (!ext) return null;
	return `${insn_idx}: <invalid kfunc call>\nkfunc '${ext.name}' is referenced but wasn't resolved\n`.slice(
		0,
		127,
	);
}

function is_complaint(line: string): boolean {
	return (
		line.startsWith("invalid func unknown#195896080\n") ||
		line.startsWith("invalid func unknown#200100") ||
		line.startsWith("invalid func unknown#2002")
	);
}

/** The log in the process, changed there when something in its last lines can be explained; its text. */
export function fixup_verifier_log(prog: bpf_program, addr: number, size: number): string {
	const { sys } = prog.obj.lib;
	if (!addr) return "";
	const bytes = read_cstr(prog, addr, size);
	const text = cstring(bytes);
	// Lines from the end; the empty rest after the last newline is not one.
	let next = text.length;
	for (let i = 0; i < MAX_LAST_LINES; i++) {
		const cur = prev_line(text, next);
		if (cur < 0) return text;
		const line = text.slice(cur, next);
		if (is_complaint(text.slice(cur))) {
			const prev = prev_line(text, cur);
			if (prev < 0) {
				next = cur;
				continue;
			}
			const patch = patch_for(prog, text.slice(prev, cur), line);
			if (patch === null) return text;
			const fixed = (text.slice(0, prev) + patch + text.slice(next)).slice(0, size - 1);
			sys.store(addr, Buffer.from(`${fixed}\0`, "latin1"));
			return fixed;
		}
		next = cur;
	}
	return text;
}

/** Start of the line before `at`, -1 when `at` is the start of the text. */
function prev_line(text: string, at: number): number {
	if (at === 0) return -1;
	let p = at - 1;
	while (p - 1 >= 0 && text[p - 1] !== "\n") p--;
	return p;
}

function read_cstr(prog: bpf_program, addr: number, size: number): Uint8Array {
	const { sys } = prog.obj.lib;
	const parts: Uint8Array[] = [];
	for (let at = 0; at < size; ) {
		const n = Math.min(65536, size - at);
		const part = sys.load(addr + at, n);
		const end = part.indexOf(0);
		parts.push(end < 0 ? part : part.subarray(0, end));
		if (end >= 0) break;
		at += n;
	}
	return Buffer.concat(parts);
}
