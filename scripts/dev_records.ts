// SPDX-License-Identifier: GPL-2.0-only
/**
 * Developer's driver: runs bpf_check() on programs that a real kernel was asked to load, and compares.
 *
 *   npx tsx scripts/dev_records.ts tv [REGEX] [-v] [-n N]         test_verifier's raw programs (790 runs)
 *   npx tsx scripts/dev_records.ts set SET [OBJ [PROG]] [-v] [-u] programs that clang built (needs BTF of the
 *                                                                objects: only verdicts of few compare without)
 *
 *   REGEX   on the test's name ("#12/p …")        -v   print both logs of the first difference, whole
 *   -n N    show the first N differences (1)      --log    print our log of every test run
 *   -b      one line of each log for every difference
 *   --xlated  compare the rewritten instructions too      --prof   report time per test over 1 s
 *
 * REC (environment, /tmp/rec/x86) is the folder with the unpacked records, TV the test_verifier.jsonl (.zst).
 * What is compared: errno, log (level 6) less kernel addresses and time, and xlated with --xlated.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { BPF_KPTR_REF, BPF_KPTR_UNREF } from "../include/linux/bpf.ts";
import { BpfState } from "../kernel/bpf/bpf_state.ts";
import type { bpf_map_ops } from "../kernel/bpf/bpf_types.ts";
import { bpf_map, type bpf_prog, decode_insns, encode_insns } from "../kernel/bpf/bpf_types.ts";
import * as btfmod from "../kernel/bpf/btf.ts"; // first: tables of program types are filled at import
import type { btf, btf_record } from "../kernel/bpf/btf_types.ts";
import { bpf_prog_alloc } from "../kernel/bpf/core.ts";
import type { ArchJit } from "../kernel/bpf/jit.ts";
import { bpf_map_fops } from "../kernel/bpf/map_create.ts";
import { verifier_ops_of } from "../kernel/bpf/prog_types.ts";
import { bpf_check } from "../kernel/bpf/verifier.ts";
import type { bpf_prog_load_attr, bpfptr_t } from "../kernel/bpf/verifier_types.ts";
import { anon_inode_getfile, fd_install } from "../kernel/file.ts";
import type { KernelConfig, SymbolTable } from "../kernel/kernel.ts";
import { KernelImpl } from "../kernel/kernel_impl.ts";
import { SoftMem } from "../kernel/soft_mem.ts";
import { CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON, CAP_SYS_ADMIN } from "../kernel/task.ts";

const REC = process.env.REC ?? "/tmp/rec/x86";
const TV = process.env.TV ?? "/work/shared/real-kernel/x86/test_verifier.jsonl.zst";

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
	return {
		addr: (name) => by_name.get(name),
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

function load_kconfig(path: string): Map<string, string> {
	const out = new Map<string, string>();
	for (const line of readFileSync(path, "latin1").split("\n")) {
		const m = /^(CONFIG_\w+)=(.*)$/.exec(line);
		if (m) out.set(m[1]!, m[2]!);
	}
	return out;
}

/** A JIT that makes no code, so that programs go the way of JITed ones. */
const fake_jit: ArchJit = {
	bpf_int_jit_compile(prog: bpf_prog): bpf_prog {
		prog.jited = true;
		prog.bpf_func = 0xffffffffa0000000n;
		prog.jited_len = 1;
		return prog;
	},
};

function make_kernel(set_dir: string): KernelImpl {
	const config: KernelConfig = {
		arch: "x86_64",
		cpus: 1,
		memory: 64 << 20,
		seed: 1,
		bpf_jit_enable: true,
		bpf_jit_always_on: true,
		bpf_jit_harden: 0,
		unprivileged_bpf_disabled: 0,
		kptr_restrict: 0,
		mitigations_off: false,
		x86: {
			ibt: true,
			retpoline: "off",
			rethunk: false,
			sls: false,
			bmi2: true,
			pgtable_levels: 5,
			clear_bhb: false,
		},
		arm64: { lse_atomics: true, bti: false, pac: false, va_bits: 52 },
		kconfig: load_kconfig(`${set_dir}/kconfig`),
	};
	const kernel = new KernelImpl(
		config,
		new SoftMem(config.memory, 1, () => 0),
		load_kallsyms(`${set_dir}/kallsyms`),
	);
	let vmlinux: btf | number | null = null;
	kernel.bpf = new BpfState(kernel, {
		bpf_get_btf_vmlinux() {
			if (vmlinux === null) {
				const o = btfmod.btf_open_trusted(
					kernel,
					new Uint8Array(readFileSync(`${set_dir}/vmlinux.btf`)),
					"vmlinux",
				);
				vmlinux = o;
				if (typeof o !== "number") {
					o.id = 1;
					const metas = btfmod.btf_parse_struct_metas(o);
					if (typeof metas !== "number") o.struct_meta_tab = metas;
					btfmod.btf_register_tables(o);
				}
			}
			return vmlinux;
		},
		verifier_ops: verifier_ops_of,
	});
	kernel.bpf.jit = fake_jit;
	const base = kernel.bpf.bpf_get_btf_vmlinux();
	if (typeof base === "number") throw new Error(`vmlinux BTF: ${base}`);
	for (const name of ["bpf_testmod", "bpf_test_no_cfi", "bpf_test_modorder_x", "bpf_test_modorder_y"]) {
		const path = `${set_dir}/${name}.btf`;
		if (!existsSync(path)) continue;
		const o = btfmod.btf_open_trusted(kernel, new Uint8Array(readFileSync(path)), name, base);
		if (typeof o === "number") throw new Error(`${name}: ${o}`);
		const module = { name };
		o.module = module;
		o.id = 2 + kernel.bpf.module_btfs.size;
		kernel.bpf.module_btfs.set(name, { btf: o, module });
		btfmod.btf_register_tables(o);
	}
	return kernel;
}

/** Memory of the process that loads: regions by address. */
class UserRegions implements bpfptr_t {
	readonly addr = 0x1000n;
	readonly is_kernel = false;
	private readonly regions: { at: bigint; bytes: Uint8Array }[] = [];
	map(at: bigint, bytes: Uint8Array): void {
		this.regions.push({ at, bytes });
	}
	private find(addr: bigint, len: number): Uint8Array | null {
		for (const r of this.regions) {
			const off = Number(addr - r.at);
			if (off >= 0 && off + len <= r.bytes.length) return r.bytes.subarray(off, off + len);
		}
		return null;
	}
	read(addr: bigint, len: number): Uint8Array | null {
		return this.find(addr, len)?.slice() ?? null;
	}
	write(addr: bigint, bytes: Uint8Array): boolean {
		const m = this.find(addr, bytes.length);
		if (!m) return false;
		m.set(bytes);
		return true;
	}
}

const LOG_AT = 0x100000000n;
const log_buf = new Uint8Array(64 << 20);

interface MapRec {
	fd: number;
	name: string;
	type: number;
	key: number;
	value: number;
	max: number;
	flags: number;
}

const array_ops: bpf_map_ops = {
	symbols: {
		map_lookup_elem: "array_map_lookup_elem",
		map_update_elem: "array_map_update_elem",
		map_delete_elem: "array_map_delete_elem",
	},
	map_direct_value_addr(map, imm, off) {
		if (map.max_entries !== 1) return -524;
		if (off >= map.value_size) return -22;
		imm.val = map.foreign_addr! + 0x100n;
		return 0;
	},
	map_btf_name: "bpf_array",
};
const hash_ops: bpf_map_ops = {
	symbols: {
		map_lookup_elem: "htab_map_lookup_elem",
		map_update_elem: "htab_map_update_elem",
		map_delete_elem: "htab_map_delete_elem",
	},
	map_btf_name: "bpf_htab",
};
const other_ops: bpf_map_ops = { symbols: {} };

let next_addr = 0xff11000100000000n;

function add_map(kernel: KernelImpl, m: MapRec): bpf_map {
	const map = new bpf_map(kernel, m.type === 2 ? array_ops : m.type === 1 ? hash_ops : other_ops);
	map.map_type = m.type;
	map.key_size = m.key;
	map.value_size = m.value;
	map.max_entries = m.max;
	map.map_flags = m.flags;
	map.name = m.name;
	map.foreign_addr = next_addr += 0x1000n;
	map.bypass_spec_v1 = false;
	fd_install(kernel, m.fd, anon_inode_getfile(kernel, "bpf-map", bpf_map_fops, map, 2));
	return map;
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

/** Load a program of a record; errno (positive), log, instructions. */
function load(
	kernel: KernelImpl,
	r: LoadRec,
): { errno: number; log: string; xlated: string; prog: bpf_prog } {
	const caps = kernel.task.caps;
	for (const c of [CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON, CAP_SYS_ADMIN]) {
		if (r.unpriv) caps.delete(c);
		else caps.add(c);
	}
	kernel.task.files.fd.length = 0;
	for (const fd of [0, 1, 2]) fd_install(kernel, fd, anon_inode_getfile(kernel, "tty", {}, null, 2));
	next_addr = 0xff11000100000000n;
	for (const m of r.maps) {
		const map = add_map(kernel, m);
		if (m.value === 24 && m.name === "test_map") {
			map.record = kptr_record(kernel);
			map.btf = kernel.bpf.module_btfs.get("bpf_testmod")?.btf ?? null;
		}
	}
	const mem = new UserRegions();
	mem.map(0x1000n, new Uint8Array(256));
	mem.map(LOG_AT, log_buf);
	const prog = bpf_prog_alloc(kernel);
	prog.insnsi = decode_insns(Uint8Array.from(Buffer.from(r.insns, "hex")));
	prog.type = r.prog_type;
	prog.expected_attach_type = r.attach;
	prog.gpl_compatible = true;
	prog.sleepable = !!(r.flags & 16);
	prog.aux.attach_btf_id = r.btf_id;
	prog.aux.name = r.name ?? "";
	if (r.btf_id) prog.aux.attach_btf = kernel.bpf.bpf_get_btf_vmlinux() as btf;
	prog.aux.attach_tracing_prog = false;
	const attr: bpf_prog_load_attr = {
		prog_type: r.prog_type,
		insn_cnt: prog.len,
		insns: 0n,
		license: 0n,
		log_level: r.level,
		log_size: log_buf.length,
		log_buf: LOG_AT,
		kern_version: 0,
		prog_flags: r.flags,
		prog_name: r.name ?? "",
		prog_ifindex: 0,
		expected_attach_type: r.attach,
		prog_btf_fd: 0,
		func_info_rec_size: 0,
		func_info: 0n,
		func_info_cnt: 0,
		line_info_rec_size: 0,
		line_info: 0n,
		line_info_cnt: 0,
		attach_btf_id: r.btf_id,
		attach_prog_fd: 0,
		core_relo_cnt: 0,
		fd_array: 0n,
		core_relos: 0n,
		core_relo_rec_size: 0,
		log_true_size: 0,
		prog_token_fd: 0,
	};
	const b = btfmod as unknown as Record<string, unknown>;
	if (r.func_info_cnt) {
		const install = b.dev_install_btf as ((k: KernelImpl, data: Uint8Array) => number) | undefined;
		attr.prog_btf_fd = install ? install(kernel, bpf_loop_btf()) : -1;
		attr.func_info_cnt = r.func_info_cnt;
		attr.func_info_rec_size = 8;
		attr.func_info = 0x20000n;
		mem.map(0x20000n, Uint8Array.from(Buffer.from(r.func_info!, "hex")));
	}
	if (r.fd_array) {
		const btf_fops = b.btf_fops as Parameters<typeof anon_inode_getfile>[2] | undefined;
		if (btf_fops) {
			fd_install(
				kernel,
				99,
				anon_inode_getfile(kernel, "btf", btf_fops, kernel.bpf.module_btfs.get("bpf_testmod")!.btf, 2),
			);
		}
		const arr = new Int32Array([-1, 99]);
		attr.fd_array = 0x30000n;
		mem.map(0x30000n, new Uint8Array(arr.buffer));
	}
	const ref = { val: prog };
	const ret = bpf_check(ref, attr, mem, 152);
	const end = log_buf.indexOf(0);
	const log = Buffer.from(log_buf.buffer, 0, end).toString("latin1");
	log_buf.fill(0, 0, end + 1);
	return {
		errno: -ret,
		log,
		xlated: ret ? "" : Buffer.from(encode_insns(ref.val.insnsi)).toString("hex"),
		prog: ref.val,
	};
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
	kernel: KernelImpl,
	rec: LoadRec,
	want: { errno: number; log: string | null; xlated: string | null },
): void {
	t.run++;
	const t0 = Date.now();
	let got: ReturnType<typeof load>;
	try {
		got = load(kernel, rec);
	} catch (e) {
		log_buf.fill(0);
		t.crashed++;
		t.failed.push(`${name}: ${(e as Error).message}`);
		if (t.shown++ < o.show) console.log(`--- ${name}: thrown\n${(e as Error).stack}`);
		return;
	}
	if (o.prof && Date.now() - t0 > 1000) console.log(`${name}: ${Date.now() - t0} ms`);
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
	const kernel = make_kernel(`${REC}/verifier`);
	const t = new Tally();
	for (const line of text.split("\n")) {
		if (!line) continue;
		const r = JSON.parse(line) as TvRec;
		if (o.filter && !o.filter.test(r.test)) continue;
		const unpriv = /^#\d+\/u /.test(r.test);
		compare(
			t,
			o,
			r.test,
			kernel,
			{ ...r, level: 6, unpriv },
			{ errno: r.errno6, log: r.log6 === "TOO BIG" ? null : r.log6, xlated: r.xlated ?? null },
		);
	}
	report(t, o);
}

interface GenRec {
	flags: number;
	err: number;
	insns: string;
	maps: MapRec[];
	log?: string;
	xlated?: string;
	skipped?: boolean;
}

function run_set(set: string, obj: string | undefined, prog: string | undefined, o: Options): void {
	const dir = `${REC}/${set}`;
	const kernel = make_kernel(dir);
	const t = new Tally();
	const files = spawnSync("ls", [dir], { encoding: "utf8" }).stdout.split("\n");
	for (const f of files) {
		if (!f.endsWith(".jsonl") || (obj && f !== `${obj}.jsonl`)) continue;
		for (const line of readFileSync(`${dir}/${f}`, "latin1").split("\n")) {
			if (!line) continue;
			const r = JSON.parse(line) as {
				obj: string;
				prog: string;
				type: number;
				attach_type: number;
				g: GenRec;
				g6: GenRec;
				u?: GenRec;
				u6?: GenRec;
			};
			if (!r.prog || (prog && r.prog !== prog)) continue;
			const g = o.unpriv ? r.u : r.g;
			const g6 = o.unpriv ? r.u6 : r.g6;
			if (!g || !g6) continue;
			compare(
				t,
				o,
				`${r.obj}/${r.prog}`,
				kernel,
				{
					prog_type: r.type,
					attach: r.attach_type,
					flags: g.flags,
					btf_id: 0,
					insns: g.insns,
					maps: g.maps,
					level: 6,
					unpriv: o.unpriv,
					name: r.prog.slice(0, 15),
				},
				{ errno: -g.err, log: g6.log ?? null, xlated: g.xlated ?? null },
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
		show: n ? Number(n) : 1,
		filter: null,
	};
	if (args[0] === "tv") {
		if (args[1]) o.filter = new RegExp(args[1]);
		run_tv(o);
	} else if (args[0] === "set" && args[1]) {
		run_set(args[1], args[2], args[3], o);
	} else {
		console.error("usage: dev_records.ts tv [REGEX] | set SET [OBJ [PROG]]");
		process.exit(2);
	}
}

main();
