// SPDX-License-Identifier: GPL-2.0-only
/**
 * `npm run bench [-- arena|machine|ringbuf|start|verifier ...] [--arch x86_64|arm64]`: how fast the mirror is, on both
 * architectures unless one is named, each figure beside what it is compared with in the same run, or the
 * published rate of the real kernel.
 */
import { fork, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import Table from "cli-table3";
import koffi from "koffi";
import { assembler, imm64 } from "../arch/testing.ts";
import { call, framed } from "../arch/x86/testing.ts";
import type { Sys } from "../include/sys.ts";
import { BPF_PROG_LOAD } from "../include/uapi/linux/bpf.ts";
import { boot } from "../kernel/boot.ts";
import { TaskSys } from "../kernel/sys.ts";
import { create_machine } from "../mm/machine.ts";
import { ARCHES, parseArches } from "../tools/arches.ts";
import { colours } from "../tools/colours.ts";
import { HostKernel, HostSys } from "../tools/kernels/host_sys.ts";
import {
	bpf_object__close,
	bpf_object__load,
	bpf_object__open_mem,
	Libbpf,
} from "../tools/lib/bpf/libbpf.ts";
import type { MirrorArch } from "../tools/mirror.ts";
import { find_unicorn } from "../virt/library.ts";
import { arenaRows } from "./bench_arena.ts";
import { ringRows } from "./bench_rings.ts";
import { rootDir, upstreamCache } from "./paths.ts";
import { setup } from "./setup.ts";

export type Row = [what: string, figure: string, comparedWith: string, ratio: string];

/** Median nanoseconds of one operation; `run(n)` does n of them. */
function median(run: (n: number) => void, n: number, ms = 400): number {
	run(n);
	const times: number[] = [];
	for (const end = performance.now() + ms; performance.now() < end || times.length < 5; ) {
		const t = performance.now();
		run(n);
		times.push(((performance.now() - t) * 1e6) / n);
	}
	return times.sort((a, b) => a - b)[times.length >> 1]!;
}

const ns = (v: number): string => `${v < 10 ? v.toFixed(2) : v.toFixed(0)} ns`;
const times = (v: number): string => `${v < 10 ? v.toFixed(2) : v.toFixed(0)} x`;

/** The loops that the machine is measured with: what to assemble for each architecture. */
interface MachineCode {
	/** Call a kernel function with (n, 1), n times. */
	loop(helper: number): string;
	readonly ret: string;
	/** Count down: two instructions a round. */
	readonly spin: string;
	/** Call a kernel function once. */
	outer(helper: number): string;
}

/** A kernel text address into an arm64 register: its upper 16 bits are set. */
function mov48(reg: string, addr: number): string {
	const part = (i: number) => (BigInt.asUintN(64, BigInt(addr)) >> BigInt(16 * i)) & 0xffffn;
	return `movn ${reg}, #${0xffffn ^ part(0)}; movk ${reg}, #${part(1)}, lsl #16; movk ${reg}, #${part(2)}, lsl #32`;
}

const MACHINE_CODE: Readonly<Record<MirrorArch, MachineCode>> = {
	x86_64: {
		loop: (helper) =>
			`push rbx; push r12; push rax; mov ebx, edi; movabs r12, ${imm64(helper)};
			again: mov edi, ebx; mov esi, 1; call r12; dec ebx; jnz again; pop rax; pop r12; pop rbx; ret`,
		ret: "mov eax, 1; ret",
		spin: "mov ecx, edi; again: dec ecx; jnz again; ret",
		outer: (helper) => framed(call(helper)),
	},
	arm64: {
		loop: (helper) =>
			`stp x29, x30, [sp, #-32]!; stp x19, x20, [sp, #16]; mov w19, w0; ${mov48("x20", helper)};
			again: mov w0, w19; mov w1, #1; blr x20; subs w19, w19, #1; b.ne again;
			ldp x19, x20, [sp, #16]; ldp x29, x30, [sp], #32; ret`,
		ret: "mov w0, #1; ret",
		spin: "again: subs w0, w0, #1; b.ne again; ret",
		outer: (helper) =>
			`stp x29, x30, [sp, #-16]!; ${mov48("x9", helper)}; blr x9; ldp x29, x30, [sp], #16; ret`,
	},
};

async function machineRows(arch: MirrorArch): Promise<Row[]> {
	const asm = await assembler(arch);
	const text = MACHINE_CODE[arch];
	const m = create_machine({ arch, cpus: 1, memory: 64 << 20 });
	let serial = 0;
	const code = (source: string) => m.text.define_code(`bench_${serial++}`, Uint8Array.from(asm(source)));
	const add = m.text.define("bench_add", (cpu) => cpu.argp(0) + cpu.argp(1));
	const loop = code(text.loop(add));
	const ret = code(text.ret);
	const spin = code(text.spin);
	const nested = m.text.define("bench_nested", () => m.run(0, ret, []));
	const outer = code(text.outer(nested));
	const version = koffi.load(find_unicorn().path).func("unsigned int uc_version(void *, void *)");
	const helper = median((n) => m.run(0, loop, [n]), 20_000);
	const native = median((n) => {
		for (let i = 0; i < n; i++) version(null, null);
	}, 20_000);
	const into = median((n) => {
		for (let i = 0; i < n; i++) m.run(0, ret, []);
	}, 10_000);
	const callback = median((n) => {
		for (let i = 0; i < n; i++) m.run(0, outer, []);
	}, 5_000);
	const insn = median((n) => m.run(0, spin, [n]), 10_000_000) / 2;
	const js = median((n) => {
		let left = n | 0;
		do left = (left - 1) | 0;
		while (left !== 0);
	}, 10_000_000);
	m.close();
	return [
		[
			"helper round trip",
			ns(helper),
			`JavaScript into C and back through koffi: ${ns(native)}`,
			times(helper / native),
		],
		["call into machine code and back", ns(into), "the same", times(into / native)],
		["… with a helper that calls machine code", ns(callback), "the same", times(callback / native)],
		[
			"emulated instructions",
			`${(1000 / insn).toFixed(0)} M/s`,
			`the same loop compiled by V8: ${(2000 / js).toFixed(0)} M/s`,
			times((2 * insn) / js),
		],
	];
}

function wall(args: readonly string[]): number {
	const t: number[] = [];
	for (let i = 0; i < 3; i++) {
		const start = performance.now();
		const r = spawnSync(process.execPath, args, { cwd: rootDir(), stdio: "ignore" });
		if (r.error) throw new Error(`node ${args.join(" ")} failed`);
		t.push(performance.now() - start);
	}
	return t.sort((a, b) => a - b)[1]!;
}

function startRows(arch: MirrorArch): Row[] {
	const nodeAlone = wall(["-e", "0"]);
	const ringbuf = wall(["scripts/bootstrap.mjs", "scripts/start.ts", "-t", "ringbuf", "--arch", arch]);
	const t = performance.now();
	const n = 5;
	for (let i = 0; i < n; i++) boot({ arch });
	const booting = (performance.now() - t) / n;
	return [
		[
			`cold start: npm start -- -t ringbuf --arch ${arch}`,
			`${ringbuf.toFixed(0)} ms`,
			`node alone: ${nodeAlone.toFixed(0)} ms`,
			times(ringbuf / nodeAlone),
		],
		["boot of a kernel", `${booting.toFixed(0)} ms`, "the same", times(booting / nodeAlone)],
	];
}

/**
 * The heaviest upstream programs, and how many million instructions a real kernel verified in a second on such
 * a machine: slowest and fastest of their kind.
 */
const HEAVY: readonly (readonly [obj: string, prog: string, slow: number, fast: number])[] = [
	["loop3", "while_true", 1.2, 3.5],
	["test_verif_scale3", "balancer_ingress", 4.4, 6.0],
	["test_verif_scale2", "balancer_ingress", 4.4, 6.0],
	["test_verif_scale1", "balancer_ingress", 4.4, 6.0],
	["pyperf600_nounroll", "on_event", 0.12, 0.31],
	["loop1", "nested_loops", 1.2, 3.5],
	["strobemeta", "on_event", 1.2, 3.5],
	["pyperf180", "on_event", 0.12, 0.31],
	["strobemeta_nounroll2", "on_event", 1.2, 3.5],
	["pyperf100", "on_event", 0.12, 0.31],
];

interface Verified {
	readonly insns: number;
	/** Milliseconds of the load, best of three. */
	readonly ms: number;
	/** Peak resident memory of the process, MiB. */
	readonly rss: number;
}

/** A process of the machine's own kernel, or of a mirror. */
function processOn(where: MirrorArch | "host"): Sys {
	if (where === "host") return new HostSys(new HostKernel());
	const kernel = boot({ arch: where, memory: 1 << 30, config: { bpf_jit_enable: true } });
	return new TaskSys(kernel, kernel.new_task());
}

/** Whether programs can be loaded into the machine's own kernel, and it is of this architecture. */
function hostVerifies(arch: MirrorArch): boolean {
	try {
		return new HostKernel().arch === arch;
	} catch {
		return false;
	}
}

/** In a process of its own: load one program three times. */
function verifyOne(where: MirrorArch | "host", path: string, prog: string): Verified {
	const sys = processOn(where);
	const lib = new Libbpf(sys, { known_kernel: true, print: () => {} });
	// The kernel's own measure is in virtual time here: the whole of BPF_PROG_LOAD counts.
	let longest = 0;
	const bpf = sys.bpf.bind(sys);
	sys.bpf = (cmd, attr, size) => {
		const t = performance.now();
		const ret = bpf(cmd, attr, size);
		if (cmd === BPF_PROG_LOAD) longest = Math.max(longest, performance.now() - t);
		return ret;
	};
	const size = 1 << 20;
	const log = lib.heap.alloc(size);
	let best = Number.POSITIVE_INFINITY;
	let insns = 0;
	for (let i = 0; i < 3; i++) {
		const obj = bpf_object__open_mem(lib, readFileSync(path), { object_name: "bench" });
		if (typeof obj === "number") throw new Error(`${path}: errno ${-obj}`);
		for (const p of obj.programs) p.autoload = p.name === prog;
		const p = obj.programs.find((x) => x.name === prog)!;
		p.log_buf = log;
		p.log_size = size;
		p.log_level = 4;
		sys.store8(log, 0);
		longest = 0;
		bpf_object__load(obj);
		const text = Buffer.from(sys.load(log, 4096)).toString("latin1").split("\0")[0]!;
		insns = Number(/^processed (\d+) insns/m.exec(text)?.[1] ?? 0);
		if (!insns) throw new Error(`${path}: no statistics: ${text}`);
		best = Math.min(best, longest);
		bpf_object__close(obj);
	}
	return { insns, ms: best, rss: process.resourceUsage().maxRSS / 1024 };
}

function verifyInChild(where: MirrorArch | "host", path: string, prog: string): Promise<Verified> {
	return new Promise((resolve, reject) => {
		const child = fork(join(rootDir(), "scripts/bench.ts"), ["one", where, path, prog], {
			execArgv: ["--import", "tsx"],
		});
		child.on("message", (m) => resolve(m as Verified));
		child.on("error", reject);
		child.on("exit", (code) => code !== 0 && reject(new Error(`${path} failed`)));
	});
}

/** The mirror beside the machine's own kernel where bpf(2) is permitted, else beside the rates of another such machine. */
async function verifierRows(arch: MirrorArch): Promise<Row[]> {
	const dir = join(upstreamCache(), "objs", arch === "arm64" ? "arm64" : "x86", "default");
	if (!existsSync(join(dir, "pyperf100.bpf.o"))) {
		process.stderr.write(
			`verifier: the upstream objects are not built in ${dir}: npm run upstream -- --arch ${arch} builds them\n`,
		);
		return [];
	}
	const rows: Row[] = [];
	const slower: number[] = [];
	let peak = 0;
	const live = hostVerifies(arch);
	for (const [obj, prog, slow, fast] of HEAVY) {
		process.stderr.write(`verifier: ${obj}/${prog}\r`);
		const path = join(dir, `${obj}.bpf.o`);
		const v = await verifyInChild(arch, path, prog);
		// right after, while the machine is as busy
		const real = live ? await verifyInChild("host", path, prog) : null;
		const rate = v.insns / v.ms / 1000;
		const real_rate = real && real.insns / real.ms / 1000;
		const worst = (real_rate ?? fast) / rate;
		slower.push(worst);
		peak = Math.max(peak, v.rss);
		rows.push([
			`${obj}/${prog}`,
			`${v.insns} insns in ${v.ms.toFixed(0)} ms, ${v.rss.toFixed(0)} MiB`,
			real_rate
				? `${rate.toFixed(2)} M/s; this machine's kernel: ${real.insns} insns in ${real.ms.toFixed(0)} ms, ${real_rate.toFixed(2)} M/s`
				: `${rate.toFixed(2)} M/s; a real kernel: ${slow} to ${fast} M/s`,
			real_rate ? times(worst) : `${(slow / rate).toFixed(2)} to ${worst.toFixed(2)} x`,
		]);
	}
	const mid = slower.sort((a, b) => a - b);
	rows.push([
		"the ten",
		`peak ${peak.toFixed(0)} MiB`,
		live
			? `times this machine's kernel (${release()}): median, worst`
			: "times the fastest real kernel: median, worst",
		`${((mid[4]! + mid[5]!) / 2).toFixed(2)} x, ${mid[9]!.toFixed(2)} x`,
	]);
	return rows;
}

const sections: Record<string, (arch: MirrorArch) => Row[] | Promise<Row[]>> = {
	arena: arenaRows,
	machine: machineRows,
	ringbuf: ringRows,
	start: startRows,
	verifier: verifierRows,
};

async function main(args: readonly string[]): Promise<number> {
	if (args[0] === "one") {
		process.send?.(verifyOne(args[1] as MirrorArch | "host", args[2]!, args[3]!));
		return 0;
	}
	const names: string[] = [];
	let arches: readonly MirrorArch[] = ARCHES;
	for (let i = 0; i < args.length; i++) {
		const given = args[i] === "--arch" ? args[++i] : /^--arch=(.*)$/.exec(args[i]!)?.[1];
		if (given === undefined && !args[i]?.startsWith("--arch")) {
			names.push(args[i]!);
			continue;
		}
		const list = parseArches(given ?? "");
		if (typeof list === "string") {
			process.stderr.write(`bench: ${list}\n`);
			return 2;
		}
		arches = list;
	}
	const chosen = names.length ? names : Object.keys(sections);
	const unknown = chosen.find((s) => !(s in sections));
	if (unknown !== undefined) {
		process.stderr.write(`bench: there is no ${unknown}; there are ${Object.keys(sections).join(", ")}\n`);
		return 2;
	}
	if (!(await setup())) return 1;
	for (const name of chosen) {
		for (const arch of arches) {
			const rows = await sections[name]!(arch);
			if (rows.length === 0) continue;
			const title = `${name}, ${arch}`;
			const table = new Table({
				head: [title, "here", "compared with", "ratio"],
				style: { head: [], border: [] },
			});
			table.push(...rows);
			process.stdout.write(`${colours.bold(title)}\n${table.toString()}\n`);
		}
	}
	return 0;
}

process.exitCode = await main(process.argv.slice(2));
