// SPDX-License-Identifier: GPL-2.0-only
/**
 * Developer's driver: has a kernel without CPU load programs that a real kernel was asked to load, and compares.
 *
 *   npx tsx scripts/dev_records.ts tv [REGEX]            test_verifier's raw programs (790 runs)
 *   npx tsx scripts/dev_records.ts obj SET [OBJ [PROG]]  objects that clang built, through libbpf
 *   npx tsx scripts/dev_records.ts raw SET [OBJ [PROG]]  the same, by the record's instructions alone (no BTF)
 *
 *   REGEX     on the test's name ("#12/p …")       -u       the unprivileged loads of a set
 *   -n N      show the first N differences (1)     -v       both logs whole
 *   -b        one line of each log for every difference
 *   --log     print our log of every run           --prof   time and size of every run
 *   --xlated  compare the rewritten instructions too
 *   --libbpf  show what libbpf says
 *   --stats   load at level 4 and compare the number of processed instructions instead of the log
 *
 * REC (environment, /tmp/rec/x86; arm64 when so named) is the folder with the unpacked records, TV the test_verifier.jsonl (.zst),
 * OBJS the folder of built objects. Compared are errno, log (level 6) less kernel addresses and time, and xlated.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { BPF_KPTR_REF, BPF_KPTR_UNREF } from "../include/linux/bpf.ts";
import * as U from "../include/uapi/linux/bpf.ts";
import { boot } from "../kernel/boot.ts";
import { type bpf_map, type bpf_prog, decode_insns, encode_insns } from "../kernel/bpf/bpf_types.ts";
import * as btfmod from "../kernel/bpf/btf.ts";
import type { btf, btf_record } from "../kernel/bpf/btf_types.ts";
import type { ArchJit } from "../kernel/bpf/jit.ts";
import { anon_inode_getfile, fd_install, fdget } from "../kernel/file.ts";
import type { SymbolTable } from "../kernel/kernel.ts";
import type { KernelImpl } from "../kernel/kernel_impl.ts";
import { TaskSys } from "../kernel/sys.ts";
import { CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON, CAP_SYS_ADMIN } from "../kernel/task.ts";
import {
	bpf_btf_get_fd_by_id,
	bpf_btf_load,
	bpf_map_create,
	bpf_prog_get_info_by_fd,
	bpf_prog_load,
	type bpf_prog_load_opts,
} from "../tools/lib/bpf/bpf.ts";
import {
	bpf_map__set_autocreate,
	bpf_map__set_max_entries,
	bpf_object__close,
	bpf_object__find_program_by_name,
	bpf_object__load,
	bpf_object__programs,
	bpf_program__set_autoload,
	bpf_program__set_flags,
	bpf_program__set_log_buf,
	bpf_program__set_log_level,
} from "../tools/lib/bpf/libbpf.ts";
import { Libbpf } from "../tools/lib/bpf/libbpf_internal.ts";
import { read_log } from "../tools/lib/bpf/load.ts";
import { bpf_object__open_file } from "../tools/lib/bpf/open.ts";

const REC = process.env.REC ?? "/tmp/rec/x86";
const MACHINE = REC.includes("arm64") ? "arm64" : "x86";
const TV = process.env.TV ?? `/work/shared/real-kernel/${MACHINE}/test_verifier.jsonl.zst`;

const OBJS = process.env.OBJS ?? `${process.env.HOME}/.cache/bpf-mirror/objs/${MACHINE}/default`;

/** A real kernel's kallsyms. */
export function load_kallsyms(path: string): SymbolTable {
	const text = readFileSync(path, "latin1");
	const by_name = new Map<string, bigint>();
	const addrs: bigint[] = [];
	const names: string[] = [];
	for (const line of text.split("\n")) {
		if (line.length < 20) continue;
		const name = line.slice(19).split("\t")[0]!;
		const addr = BigInt(`0x${line.slice(0, 16)}`);
		if (!by_name.has(name)) by_name.set(name, addr);
		addrs.push(addr);
		names.push(name);
	}
	const order = addrs
		.map((_, i) => i)
		.sort((a, b) => (addrs[a]! < addrs[b]! ? -1 : addrs[a]! > addrs[b]! ? 1 : a - b));
	// Data is not in it: what instructions of the records show, by name.
	by_name.set("pcpu_hot", 0x2ec00n);
	// Other data and functions of modules get addresses of their own.
	let next = MACHINE === "arm64" ? 0xffff80007c000000n : 0xffffffffc0800000n;
	return {
		addr(name) {
			const known = by_name.get(name);
			if (known !== undefined || name === "bpf_prog_active" || !/^[a-z_]\w*$/.test(name)) return known;
			next += 64n;
			by_name.set(name, next);
			return next;
		},
		lookup(addr) {
			let lo = 0;
			let hi = order.length;
			while (lo < hi) {
				const mid = (lo + hi) >> 1;
				if (addrs[order[mid]!]! <= addr) lo = mid + 1;
				else hi = mid;
			}
			if (lo === 0) return undefined;
			const i = order[lo - 1]!;
			return { name: names[i]!, offset: addr - addrs[i]! };
		},
	};
}

/** A JIT that makes no code, so that programs go the way of JITed ones. */
const fake_jit: ArchJit = {
	bpf_int_jit_compile(prog: bpf_prog): bpf_prog {
		prog.jited = true;
		prog.bpf_func = 0xffffffffa0000000n;
		prog.image = new Uint8Array(1);
		prog.jited_len = 1;
		return prog;
	},
};

/** A machine that stands in for the one of the records. */
interface Machine {
	kernel: KernelImpl;
	sys: TaskSys;
	lib: Libbpf;
	log: number;
}

const LOG_SIZE = 128 << 20;

function make_machine(set_dir: string): Machine {
	const moduleBtfs: Record<string, Uint8Array> = {};
	for (const f of readdirSync(set_dir))
		if (f.endsWith(".btf") && f !== "vmlinux.btf")
			moduleBtfs[f.slice(0, -4)] = new Uint8Array(readFileSync(`${set_dir}/${f}`));
	const kernel = boot({
		arch: MACHINE === "arm64" ? "arm64" : "x86_64",
		memory: 1024 << 20,
		config: {
			bpf_jit_always_on: true,
			arm64: { lse_atomics: true, bti: true, pac: true, va_bits: 52 },
			x86: {
				ibt: true,
				retpoline: "off",
				rethunk: false,
				sls: false,
				bmi2: true,
				pgtable_levels: 5,
				clear_bhb: false,
			},
		},
		kconfig: readFileSync(`${set_dir}/kconfig`, "latin1"),
		foreign: {
			symbols: load_kallsyms(`${set_dir}/kallsyms`),
			vmlinuxBtf: new Uint8Array(readFileSync(`${set_dir}/vmlinux.btf`)),
			moduleBtfs,
		},
	});
	kernel.bpf.jit = fake_jit;
	const kallsyms = new Uint8Array(readFileSync(`${set_dir}/kallsyms`));
	kernel.pseudo_files.set("/proc/kallsyms", () => kallsyms);
	const config_gz = new Uint8Array(gzipSync(readFileSync(`${set_dir}/kconfig`)));
	kernel.pseudo_files.set("/proc/config.gz", () => config_gz);
	for (const fd of [0, 1, 2])
		fd_install(kernel, fd, anon_inode_getfile(kernel, "tty", { name: "tty" }, null, 2));
	const sys = new TaskSys(kernel, kernel.task);
	const lib = new Libbpf(sys, {
		print: process.argv.includes("--libbpf") ? (_level, text) => process.stdout.write(text) : null,
		known_kernel: true,
	});
	return { kernel, sys, lib, log: lib.heap.zalloc(LOG_SIZE) };
}

function set_caps(m: Machine, unpriv: boolean): void {
	const caps = m.kernel.task.caps;
	for (const c of [CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON, CAP_SYS_ADMIN]) {
		if (unpriv) caps.delete(c);
		else caps.add(c);
	}
}

interface MapRec {
	fd: number;
	name: string;
	type: number;
	key: number;
	value: number;
	max: number;
	flags: number;
	extra?: number;
}

/** A map of a record, at the descriptor that the instructions name. */
function add_map(m: Machine, r: MapRec): bpf_map {
	const fd = bpf_map_create(m.lib, r.type, r.name, r.key, r.value, r.max, {
		map_flags: r.flags,
		map_extra: BigInt(r.extra ?? 0),
	});
	if (fd < 0) throw new Error(`map ${r.name} of type ${r.type}: ${fd}`);
	const f = fdget(m.kernel, fd)!;
	if (fd !== r.fd) {
		m.kernel.task.files.fd[fd] = undefined;
		m.kernel.task.files.fd[r.fd] = f;
	}
	return f.private_data as bpf_map;
}

/** The record of test_verifier's map with three kptrs (its BTF is not in the records). */
function kptr_record(kernel: KernelImpl): btf_record | null {
	const base = kernel.bpf.bpf_get_btf_vmlinux() as btf;
	const mod = kernel.bpf.module_btfs.get("bpf_testmod");
	const find = (name: string) => {
		for (const b of [base, mod?.btf]) {
			if (!b) continue;
			const id = btfmod.btf_find_by_name_kind(b, name, 4);
			if (id > 0) return { btf: b, module: b === base ? null : mod!.module, btf_id: id, dtor: null };
		}
		return null;
	};
	const obj = find("prog_test_ref_kfunc");
	const memb = find("prog_test_member");
	if (!obj || !memb) return null;
	const field = (offset: number, type: number, kptr: typeof obj) => ({
		offset,
		size: 8,
		type,
		kptr: { ...kptr },
		graph_root: null,
	});
	return {
		cnt: 3,
		field_mask: BPF_KPTR_UNREF | BPF_KPTR_REF,
		spin_lock_off: -22,
		timer_off: -22,
		wq_off: -22,
		refcount_off: -22,
		fields: [field(0, BPF_KPTR_UNREF, obj), field(8, BPF_KPTR_REF, obj), field(16, BPF_KPTR_REF, memb)],
	};
}

/** The BTF of test_verifier's programs that have func_info: int main(void *ctx), int callback(int, int *). */
function bpf_loop_btf(): Uint8Array {
	const strs = "\0int\0i\0ctx\0callback\0main\0";
	const words = [
		// 1: int; 2: int *; 3: void *
		1, 0x01000000, 4, 0x01000020, 0, 0x02000000, 1, 0, 0x02000000, 0,
		// 4: int (void *ctx); 5: int (int i, int *ctx)
		0, 0x0d000001, 1, 7, 3, 0, 0x0d000002, 1, 5, 1, 7, 2,
		// 6: main; 7: callback
		20, 0x0c000000, 4, 11, 0x0c000000, 5,
	];
	const out = new Uint8Array(24 + words.length * 4 + strs.length);
	const dv = new DataView(out.buffer);
	dv.setUint16(0, 0xeb9f, true);
	dv.setUint8(2, 1);
	dv.setUint32(4, 24, true);
	dv.setUint32(12, words.length * 4, true);
	dv.setUint32(16, words.length * 4, true);
	dv.setUint32(20, strs.length, true);
	words.forEach((w, i) => {
		dv.setUint32(24 + i * 4, w, true);
	});
	for (let i = 0; i < strs.length; i++) out[24 + words.length * 4 + i] = strs.charCodeAt(i);
	return out;
}

/** The insns as BPF_OBJ_GET_INFO would show them is the syscall's work; here addresses are masked instead. */
function mask_xlated(hex: string): string {
	const insns = decode_insns(Uint8Array.from(Buffer.from(hex, "hex")));
	for (let i = 0; i < insns.length; i++) {
		const insn = insns[i]!;
		// a kfunc of a module: where modules lie is not in the records
		if (insn.code === 0x85 && insn.src_reg === 2 && insn.off) insn.imm = 0;
		if (insn.code === 0x18 && insns[i + 1]) {
			const hi = insns[i + 1]!;
			const kernel_addr = hi.imm >>> 24 === 0xff;
			if ((insn.src_reg === 1 || insn.src_reg === 2 || kernel_addr) && insn.src_reg !== 4) {
				insn.imm = 0;
				insn.src_reg = 0;
				if (kernel_addr || insn.src_reg === 0) hi.imm = 0;
			}
			i++;
		}
	}
	return Buffer.from(encode_insns(insns)).toString("hex");
}

export function mask_log(log: string): string {
	return log
		.replace(/0xff[0-9a-f]{14}/g, "0xPTR")
		.replace(/verification time \d+ usec/g, "verification time N usec");
}

interface LoadRec {
	prog_type: number;
	attach: number;
	flags: number;
	btf_id: number;
	insns: string;
	maps: MapRec[];
	func_info?: string;
	func_info_cnt?: number;
	fd_array?: number;
	name?: string;
	level: number;
	unpriv: boolean;
}

interface Loaded {
	errno: number;
	log: string;
	xlated: string;
}

/** What the log says, and the program's instructions as the kernel shows them. */
function finish(m: Machine, fd: number, want_xlated: boolean): Loaded {
	const log = read_log(m.lib, m.log, LOG_SIZE);
	m.sys.store(m.log, new Uint8Array(Math.min(LOG_SIZE, log.length + 1)));
	let xlated = "";
	if (fd >= 0 && want_xlated) {
		set_caps(m, false);
		const info = bpf_prog_get_info_by_fd(m.lib, fd);
		if (typeof info === "number") throw new Error(`prog info: ${info}`);
		xlated = Buffer.from(info.xlated_prog_insns).toString("hex");
	}
	return { errno: fd < 0 ? -fd : 0, log, xlated };
}

/** Close everything but stdio. */
function close_all(m: Machine): void {
	const { fd } = m.kernel.task.files;
	for (let i = 3; i < fd.length; i++) if (fd[i]) m.sys.close(i);
	m.kernel.settle();
}

/** Load the instructions of a record. */
function load_raw(m: Machine, r: LoadRec, want_xlated: boolean): Loaded {
	set_caps(m, false);
	try {
		for (const map of r.maps) {
			const made = add_map(m, map);
			if (map.value === 24 && map.name === "test_map") {
				made.record = kptr_record(m.kernel);
				made.btf = m.kernel.bpf.module_btfs.get("bpf_testmod")?.btf ?? null;
				if (made.btf) btfmod.btf_get(made.btf);
			}
		}
		const opts: bpf_prog_load_opts = {
			expected_attach_type: r.attach,
			prog_flags: r.flags,
			attach_btf_id: r.btf_id,
			log_level: r.level,
			log_buf: m.log,
			log_size: LOG_SIZE,
		};
		if (r.func_info_cnt) {
			opts.prog_btf_fd = bpf_btf_load(m.lib, bpf_loop_btf());
			if (opts.prog_btf_fd < 0) throw new Error(`BTF: ${opts.prog_btf_fd}`);
			opts.func_info = Uint8Array.from(Buffer.from(r.func_info!, "hex"));
			opts.func_info_cnt = r.func_info_cnt;
			opts.func_info_rec_size = 8;
		}
		if (r.fd_array) {
			const mod = m.kernel.bpf.module_btfs.get("bpf_testmod")!.btf;
			const btf_fd = bpf_btf_get_fd_by_id(m.lib, mod.id);
			opts.fd_array = [-1, btf_fd];
		}
		set_caps(m, r.unpriv);
		const fd = bpf_prog_load(
			m.lib,
			r.prog_type,
			r.name ?? null,
			"GPL",
			Uint8Array.from(Buffer.from(r.insns, "hex")),
			opts,
		);
		return finish(m, fd, want_xlated);
	} finally {
		set_caps(m, false);
		close_all(m);
	}
}

/** test_loader leaves maps out that an unprivileged task may not make. */
function is_unpriv_capable_map(def: { type: number; map_flags: number }): boolean {
	if (
		def.type === U.BPF_MAP_TYPE_HASH ||
		def.type === U.BPF_MAP_TYPE_PERCPU_HASH ||
		def.type === U.BPF_MAP_TYPE_HASH_OF_MAPS
	)
		return !(def.map_flags & U.BPF_F_ZERO_SEED);
	return UNPRIV_MAPS.has(def.type);
}
const UNPRIV_MAPS: ReadonlySet<number> = new Set([
	U.BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE,
	U.BPF_MAP_TYPE_ARRAY,
	U.BPF_MAP_TYPE_RINGBUF,
	U.BPF_MAP_TYPE_PROG_ARRAY,
	U.BPF_MAP_TYPE_CGROUP_ARRAY,
	U.BPF_MAP_TYPE_PERCPU_ARRAY,
	U.BPF_MAP_TYPE_USER_RINGBUF,
	U.BPF_MAP_TYPE_ARRAY_OF_MAPS,
	U.BPF_MAP_TYPE_CGROUP_STORAGE,
	U.BPF_MAP_TYPE_PERF_EVENT_ARRAY,
]);

/** Load one program of an object, the others left out, as test_loader does. */
function load_obj(
	m: Machine,
	path: string,
	prog_name: string,
	aux: ReadonlySet<string>,
	btf_path: string | undefined,
	g: GenRec,
	level: number,
	unpriv: boolean,
	want_xlated: boolean,
): Loaded {
	const obj = bpf_object__open_file(m.lib, path, {
		btf_custom_path: btf_path ? `${OBJS}/${btf_path}` : undefined,
	});
	if (typeof obj === "number") throw new Error(`open: ${obj}`);
	try {
		for (const p of bpf_object__programs(obj))
			bpf_program__set_autoload(p, p.name === prog_name || aux.has(p.name));
		const prog = bpf_object__find_program_by_name(obj, prog_name);
		if (!prog) throw new Error("no such program in the object");
		bpf_program__set_flags(prog, prog.prog_flags | g.flags);
		bpf_program__set_log_level(prog, level);
		bpf_program__set_log_buf(prog, m.log, LOG_SIZE);
		for (const [name, max] of g.map_fixups ?? [])
			for (const map of obj.maps) if (map.name === name) bpf_map__set_max_entries(map, max);
		for (const map of obj.maps) bpf_map__set_autocreate(map, !unpriv || is_unpriv_capable_map(map.def));
		set_caps(m, unpriv);
		const err = bpf_object__load(obj);
		return finish(m, err < 0 ? err : prog.fd, want_xlated);
	} finally {
		set_caps(m, false);
		bpf_object__close(obj);
		close_all(m);
	}
}

function first_diff(a: string, b: string): string {
	const x = a.split("\n");
	const y = b.split("\n");
	for (let i = 0; i < Math.max(x.length, y.length); i++) {
		if (x[i] !== y[i]) {
			const from = Math.max(0, i - 3);
			return `line ${i + 1}\n${x
				.slice(from, i)
				.map((l) => `    ${l}\n`)
				.join(
					"",
				)}  real ${x.slice(i, i + 3).join("\n       ")}\n  ours ${y.slice(i, i + 3).join("\n       ")}`;
		}
	}
	return "none";
}

function disasm_diff(a: string, b: string): string {
	for (let i = 0; i < Math.max(a.length, b.length); i += 16)
		if (a.slice(i, i + 16) !== b.slice(i, i + 16))
			return `xlated insn ${i / 16}: real ${a.slice(i, i + 64)} ours ${b.slice(i, i + 64)}`;
	return "none";
}

interface Options {
	filter: RegExp | null;
	verbose: boolean;
	show: number;
	log: boolean;
	xlated: boolean;
	prof: boolean;
	unpriv: boolean;
	brief: boolean;
	stats: boolean;
	libbpf: boolean;
}

interface TvRec {
	prog_type: number;
	attach: number;
	flags: number;
	btf_id: number;
	log_level: number;
	errno: number;
	errno6: number;
	insns: string;
	maps: MapRec[];
	func_info_cnt: number;
	func_info: string;
	fd_array: number;
	log6: string;
	xlated?: string;
	test: string;
}

class Tally {
	run = 0;
	errno_ok = 0;
	log_ok = 0;
	xlated_run = 0;
	xlated_ok = 0;
	crashed = 0;
	shown = 0;
	readonly failed: string[] = [];
}

function compare(
	t: Tally,
	o: Options,
	name: string,
	run: () => Loaded,
	want: { errno: number; log: string | null; xlated: string | null; processed?: number },
): void {
	t.run++;
	const t0 = Date.now();
	let got: Loaded;
	try {
		got = run();
	} catch (e) {
		t.crashed++;
		t.failed.push(`${name}: ${(e as Error).message}`);
		if (o.brief) console.log(`--- ${name}\nthrown: ${(e as Error).message}`);
		else if (t.shown++ < o.show) console.log(`--- ${name}: thrown\n${(e as Error).stack}`);
		return;
	}
	if (o.log) console.log(`=== ${name}\n${got.log}`);
	let bad = "";
	if (got.errno === want.errno) t.errno_ok++;
	else bad += `errno ${got.errno}, real ${want.errno}\n`;
	if (want.log !== null) {
		const a = mask_log(want.log);
		const b = mask_log(got.log);
		if (a === b) t.log_ok++;
		else
			bad +=
				o.verbose && t.shown < o.show
					? `real:\n${want.log}\nours:\n${got.log}\n${first_diff(a, b)}\n`
					: `log ${first_diff(a, b)}\n`;
	}
	if (o.stats && want.processed !== undefined) {
		const got_processed = Number(/^processed (\d+) insns/m.exec(got.log)?.[1] ?? -1);
		if (got_processed === want.processed) t.log_ok++;
		else
			bad += `errno: processed ${got_processed}, real ${want.processed}; ${got.log.split("\n").slice(-8, -1).join(" | ")}\n`;
	}
	if (o.prof) {
		const n = Number(/^processed (\d+) insns/m.exec(got.log)?.[1] ?? -1);
		console.log(`${name}: ${Date.now() - t0} ms, ${n} insns`);
	}
	if (o.xlated && want.xlated && !got.errno) {
		t.xlated_run++;
		const a = mask_xlated(want.xlated);
		const b = mask_xlated(got.xlated);
		if (a === b) t.xlated_ok++;
		else bad += `${disasm_diff(a, b)}\n`;
	}
	if (!bad) return;
	t.failed.push(`${name}: ${bad.split("\n")[0]}`);
	if (o.brief) {
		const lines = bad.split("\n").filter((l) => /^(errno|xlated| {2}real| {2}ours)/.test(l));
		console.log(`--- ${name}\n${lines.map((l) => l.slice(0, 230)).join("\n")}`);
	} else if (t.shown++ < o.show) console.log(`--- ${name}\n${bad}`);
}

function report(t: Tally, o: Options): void {
	for (const f of o.brief ? [] : t.failed.slice(0, 400)) console.log(`FAIL ${f.slice(0, 160)}`);
	console.log(
		`${t.run} runs: errno ${t.errno_ok}, log ${t.log_ok}, xlated ${t.xlated_ok}/${t.xlated_run}, thrown ${t.crashed}`,
	);
}

function run_tv(o: Options): void {
	const text = TV.endsWith(".zst")
		? spawnSync("zstd", ["-dc", TV], { encoding: "utf8", maxBuffer: 1 << 30 }).stdout
		: readFileSync(TV, "utf8");
	const m = make_machine(`${REC}/verifier`);
	const t = new Tally();
	for (const line of text.split("\n")) {
		if (!line) continue;
		const r = JSON.parse(line) as TvRec;
		if (o.filter && !o.filter.test(r.test)) continue;
		const unpriv = /^#\d+\/u /.test(r.test);
		compare(t, o, r.test, () => load_raw(m, { ...r, level: 6, unpriv }, o.xlated), {
			errno: r.errno6,
			log: r.log6 === "TOO BIG" ? null : r.log6,
			xlated: r.xlated ?? null,
		});
	}
	report(t, o);
}

interface GenRec {
	flags: number;
	err: number;
	insns: string;
	maps: MapRec[];
	map_fixups?: [string, number][];
	log?: string;
	xlated?: string;
	skipped?: boolean;
	processed: number;
}

interface ProgRec {
	obj: string;
	prog: string;
	type: number;
	attach_type: number;
	spec?: { valid: number; aux: number; mode: number };
	tags?: string[];
	g: GenRec;
	g6: GenRec;
	u?: GenRec;
	u6?: GenRec;
}

function run_set(
	kind: string,
	set: string,
	obj: string | undefined,
	prog: string | undefined,
	o: Options,
): void {
	const dir = `${REC}/${set}`;
	const m = make_machine(dir);
	const t = new Tally();
	for (const f of readdirSync(dir).sort()) {
		if (!f.endsWith(".jsonl") || (obj && f !== `${obj}.jsonl`)) continue;
		const recs = readFileSync(`${dir}/${f}`, "utf8")
			.split("\n")
			.filter((l) => l !== "")
			.map((l) => JSON.parse(l) as ProgRec);
		// test_loader loads the programs tagged __auxiliary along, in the modes that they are for
		const mode = o.unpriv ? 2 : 1;
		const aux = new Set(
			recs.filter((r) => r.spec?.valid && r.spec.aux && r.spec.mode & mode).map((r) => r.prog),
		);
		for (const r of recs) {
			if (!r.prog || (prog && r.prog !== prog)) continue;
			const g = o.unpriv ? r.u : r.g;
			const g6 = o.unpriv ? r.u6 : r.g6;
			if (!g || !g6) continue;
			if (g.processed < 0 && g.err) continue;
			const level = o.stats || g6.log === undefined ? 4 : 6;
			const path = `${OBJS}/${r.obj}.bpf.o`;
			const btf_path = r.tags?.find((x) => x.startsWith("comment:test_btf_path="))?.slice(22);
			if (kind === "obj" && !existsSync(path)) continue;
			const raw: LoadRec = {
				prog_type: r.type,
				attach: r.attach_type,
				flags: g.flags,
				btf_id: 0,
				insns: g.insns,
				maps: g.maps,
				level,
				unpriv: o.unpriv,
				name: r.prog.slice(0, 15),
			};
			compare(
				t,
				o,
				`${r.obj}/${r.prog}`,
				() =>
					kind === "obj"
						? load_obj(m, path, r.prog, aux, btf_path, g, level, o.unpriv, o.xlated)
						: load_raw(m, raw, o.xlated),
				{
					errno: -g.err,
					log: o.stats ? null : (g6.log ?? null),
					xlated: g.xlated ?? null,
					processed: g.processed,
				},
			);
		}
	}
	report(t, o);
}

function main(): void {
	const args = process.argv.slice(2);
	const flag = (name: string): boolean => {
		const i = args.indexOf(name);
		if (i < 0) return false;
		args.splice(i, 1);
		return true;
	};
	const value = (name: string): string | null => {
		const i = args.indexOf(name);
		return i < 0 ? null : args.splice(i, 2)[1]!;
	};
	const n = value("-n");
	const o: Options = {
		verbose: flag("-v"),
		log: flag("--log"),
		xlated: flag("--xlated"),
		prof: flag("--prof"),
		unpriv: flag("-u"),
		brief: flag("-b"),
		stats: flag("--stats"),
		libbpf: flag("--libbpf"),
		show: n ? Number(n) : 1,
		filter: null,
	};
	if (args[0] === "tv") {
		if (args[1]) o.filter = new RegExp(args[1]);
		run_tv(o);
	} else if ((args[0] === "obj" || args[0] === "raw") && args[1]) {
		run_set(args[0], args[1], args[2], args[3], o);
	} else {
		console.error("usage: dev_records.ts tv [REGEX] | obj SET [OBJ [PROG]] | raw SET [OBJ [PROG]]");
		process.exit(2);
	}
}

main();
