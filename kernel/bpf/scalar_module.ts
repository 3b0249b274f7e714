// SPDX-License-Identifier: GPL-2.0-only
/**
 * The WebAssembly module of the verifier's 64-bit arithmetic: built from kernel/bpf/scalar/ by the
 * AssemblyScript compiler, kept in .cache/ under the digest of its sources, loaded synchronously.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Pages of 64 KiB in the states' memory: 1 GiB, of which only what is touched costs. */
export const HEAP_PAGES = 16384;
/** First word that the heap hands out; the module's own data and scratch lie below. */
export const HEAP_BASE = 16384;
/** Scratch registers of the module (word indices). */
export const SCRATCH_REG = 8192;

const ROOT = new URL("../../", import.meta.url);
const SOURCES = new URL("kernel/bpf/scalar/", ROOT);
const CACHE = new URL(".cache/", ROOT);
const ASC_FLAGS = [
	"--importMemory",
	"--initialMemory",
	String(HEAP_PAGES),
	"--maximumMemory",
	String(HEAP_PAGES),
	"--runtime",
	"stub",
	"--optimizeLevel",
	"3",
	"--shrinkLevel",
	"0",
	"--noAssert",
	"--use",
	"abort=",
];

/** What scalar.wasm exports. Registers and stack slots are given as word indices of the memory. */
export interface ScalarExports {
	/** Settings of one verification. */
	set_env(
		bpf_capable: number,
		allow_uninit_stack: number,
		explore_alu_limits: number,
		all_precise?: number,
	): void;

	mark_reg_known(p: number, lo: number, hi: number): void;
	mark_reg_known_keep(p: number, lo: number, hi: number): void;
	mark_reg32_known(p: number, imm: number): void;
	mark_reg_unbounded(p: number): void;
	mark_reg64_unbounded(p: number): void;
	mark_reg32_unbounded(p: number): void;
	mark_reg_unknown_imprecise(p: number): void;
	mark_reg_unknown(p: number): void;
	mark_reg_not_init(p: number): void;
	mark_reg_s32_range(p: number, min: number, max: number): void;
	update_reg_bounds(p: number): void;
	reg_bounds_sync(p: number): void;
	/** 0: sane; 1: range; 2: const tnum; 3: const subreg tnum */
	bounds_violation(p: number): number;
	reg_assign_32_into_64(p: number): void;

	zext_32_to_64(p: number): void;
	coerce_reg_to_size(p: number, size: number): void;
	coerce_reg_to_size_sx(p: number, size: number): void;
	coerce_subreg_to_size_sx(p: number, size: number): void;

	is_safe_to_compute_dst_reg_range(opcode: number, alu32: number, src: number): number;
	scalar_alu(opcode: number, alu32: number, dst: number, src: number): void;
	/** ptr ± scalar: bounds and var_off of dst from ptr's and off's (opcode BPF_ADD or BPF_SUB). */
	ptr_alu(opcode: number, dst: number, ptr: number, off: number): void;

	is_scalar_branch_taken(reg1: number, reg2: number, opcode: number, is_jmp32: number): number;
	/** Refines and synchronises; returns a bit for each of the four registers with impossible bounds. */
	reg_set_min_max(
		true1: number,
		true2: number,
		false1: number,
		false2: number,
		opcode: number,
		is_jmp32: number,
	): number;
	regs_refine_cond_op(reg1: number, reg2: number, opcode: number, is_jmp32: number): void;

	/** Two registers, tnum_{add,sub,mul,and,or,xor,intersect}; for tests. 0..6 */
	tnum_op(op: number, dst: number, src: number): void;
	tnum_shift(op: number, p: number, shift: number, bits: number): void;
	tnum_range_of(p: number): void;
	tnum_in_regs(a: number, b: number): number;
	tnum_overlap_regs(a: number, b: number): number;

	reset_idmap(id_gen: number): void;
	check_ids(old_id: number, cur_id: number): number;
	regs_exact(old: number, cur: number): number;
	regsafe(old: number, cur: number, exact: number): number;
	stacksafe(
		old_stack: number,
		old_bytes: number,
		cur_stack: number,
		cur_bytes: number,
		exact: number,
	): number;
	/** regsafe() of the 11 registers, then stacksafe(). */
	frame_safe(
		old_regs: number,
		cur_regs: number,
		old_stack: number,
		old_bytes: number,
		cur_stack: number,
		cur_bytes: number,
		exact: number,
	): number;
	/** memcmp() of 11 registers up to `parent`: 1 when all are equal. */
	regs_equal(a: number, b: number): number;
	clean_func_state(regs: number, stack: number, slots: number): void;
	mark_scalars_imprecise(regs: number, stack: number, slots: number): void;
	/** liveness reset and parents of a frame whose state was just copied to (new_regs, new_stack). */
	connect_parents(
		regs: number,
		new_regs: number,
		first: number,
		stack: number,
		new_stack: number,
		slots: number,
	): void;
	/** Steps walked, or -1: an ancestor is marked REG_LIVE_DONE (see bug_reg). */
	mark_reg_read(p: number, parent: number, flag: number): number;
	bug_reg(): number;

	layout(field: number): number;
}

function sources(): { names: string[]; digest: string } {
	const names = readdirSync(SOURCES)
		.filter((n) => n.endsWith(".ts"))
		.sort();
	const h = createHash("sha256");
	h.update(ASC_FLAGS.join(" "));
	for (const n of names) h.update(n).update(readFileSync(new URL(n, SOURCES)));
	return { names, digest: h.digest("hex").slice(0, 16) };
}

/** Builds the module when it is missing or its sources changed; returns its path. */
export function build_scalar(): string {
	const { digest } = sources();
	const out = new URL(`scalar-${digest}.wasm`, CACHE);
	const path = fileURLToPath(out);
	if (existsSync(path)) return path;
	mkdirSync(CACHE, { recursive: true });
	const asc = fileURLToPath(new URL("node_modules/assemblyscript/bin/asc.js", ROOT));
	const entry = fileURLToPath(new URL("index.ts", SOURCES));
	const tmp = `${path}.${process.pid}`;
	const r = spawnSync(process.execPath, [asc, entry, ...ASC_FLAGS, "--outFile", tmp], { encoding: "utf8" });
	if (r.status !== 0 || !existsSync(tmp))
		throw new Error(
			`cannot build the verifier's arithmetic (${path}); run \`npm run setup\`.\n${r.stdout}${r.stderr}`,
		);
	// Modules of earlier sources are of no use any more.
	for (const n of readdirSync(CACHE)) if (/^scalar-[0-9a-f]{16}\.wasm$/.test(n)) rmSync(new URL(n, CACHE));
	renameSync(tmp, path);
	return path;
}

/** The compiled module. */
export function load_scalar(): WebAssembly.Module {
	return new WebAssembly.Module(new Uint8Array(readFileSync(build_scalar())));
}
