// SPDX-License-Identifier: GPL-2.0-only
import { join } from "node:path";
import { expect, test } from "vitest";
import { runCli } from "./run_cli.ts";

const object = (arch: string) => join(import.meta.dirname, `../.cache/progs/${arch}/test_subprogs.bpf.o`);

const dump = (...args: string[]) => runCli("dump", ...args);

test("rewritten instructions, with prototypes, lines, maps and names of functions", async () => {
	const { out, code } = await dump("xlated", object("x86"), "--prog", "prog2", "--opcodes");
	expect(code).toBe(0);
	expect(out.split("\n").slice(0, 6)).toEqual([
		"int prog2(void * ctx):",
		"; res2 = sub2(3) + sub3(4); /* (3 + 2) + (4 + 3 + (4 + 1)) = 17 */",
		"   0: (b4) w1 = 3",
		"       b4 01 00 00 03 00 00 00",
		expect.stringMatching(/^ {3}1: \(85\) call pc\+\d+#bpf_prog_[0-9a-f]{16}_sub2$/),
		expect.stringMatching(/^ {7}85 10 ([0-9a-f]{2} ?){6}$/),
	]);
	expect(out).toMatch(/^ +\d+: \(18\) r1 = map\[id:\d+\]\[0\]\+4\n {7}18 21( [0-9a-f]{2}){14}$/m);
	// every function has its prototype; each instruction its number, the second half of a wide one none
	expect(out.match(/^\w.*\):$/gm)?.length).toBe(5);
	const numbers = [...out.matchAll(/^ *(\d+): /gm)].map((m) => Number(m[1]));
	expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
});

test("the JSON says what the plain form says", async () => {
	const plain = (await dump("xlated", object("x86"), "--prog", "prog2")).out;
	const json = JSON.parse((await dump("xlated", object("x86"), "--prog", "prog2", "-j")).out) as {
		disasm: string;
		proto?: string;
		src?: string;
	}[];
	const lines = json.flatMap((o) => [
		...(o.proto ? [`${o.proto}:`] : []),
		...(o.src ? [`; ${o.src}`] : []),
		o.disasm,
	]);
	expect(lines).toEqual(
		plain
			.trimEnd()
			.split("\n")
			.map((l) => l.replace(/^ *\d+: /, "")),
	);
});

test("machine code of both architectures", async () => {
	const x86 = await dump("jited", object("x86"), "--prog", "prog2");
	expect(x86.out).toMatch(
		/^int prog2\(void \* ctx\):\nbpf_prog_[0-9a-f]{16}_prog2:\n; res2 = .*\n {3}0:\tendbr64\n/,
	);
	expect(x86.out).toMatch(/^ +[0-9a-f]+:\tmovl\t\$3, %edi$/m);
	expect(x86.out.match(/^bpf_prog_\w+:$/gm)?.length).toBe(5);
	const arm = await dump("jited", object("arm64"), "--prog", "prog2", "--arch", "arm64", "--opcodes");
	expect(arm.out).toMatch(/^ +[0-9a-f]+:\tmov\tw0, #3\n\t60 00 80 52 $/m);
});

test("both architectures side by side, aligned by the original instruction", async () => {
	const { out, code } = await dump(object("x86"), "--prog", "prog2");
	expect(code).toBe(0);
	const lines = out.split("\n");
	expect(lines[0]).toBe("int prog2(void * ctx):");
	expect(lines[1]).toMatch(/^bpf_prog_[0-9a-f]{16}_prog2 +\| xlated +\| x86_64 +\| arm64$/);
	const cells = (l: string) => l.split(" | ").map((c) => c.trim());
	const call = lines.findIndex((l) => l.startsWith("   1: "));
	expect(lines[call - 2]).toBe("; res2 = sub2(3) + sub3(4); /* (3 + 2) + (4 + 3 + (4 + 1)) = 17 */");
	expect(cells(lines[call - 1]!)).toEqual([
		"0: (b4) w1 = 3",
		"0: (b4) w1 = 3",
		"15: movl $3, %edi",
		"1c: mov w0, #3",
	]);
	const sub2 = /bpf_prog_[0-9a-f]{16}_sub2/.source;
	expect(cells(lines[call]!)).toEqual([
		"1: (85) call pc+9",
		expect.stringMatching(`^1: \\(85\\) call pc\\+9#${sub2}$`),
		expect.stringMatching(`^1a: callq 0x[0-9a-f]+ <${sub2}>$`),
		expect.stringMatching(`^20: bl #0x[0-9a-f]+ <${sub2}>$`),
	]);
	// the second machine instruction of a call that has two
	expect(cells(lines[call + 1]!)).toEqual(["", "", "", "24: add x7, x0, #0"]);
	// a helper that the verifier inlines on x86, and the JIT on arm64
	const misc = await dump(object("x86").replace("test_subprogs", "test_helpers_misc"), "--prog", "misc");
	const at = misc.out.split("\n").findIndex((l) => l.includes("call bpf_get_smp_processor_id#8"));
	const columns = misc.out
		.split("\n")
		.slice(at, at + 7)
		.map(cells);
	expect(columns.map((c) => c[1]!.replace(/^\d+: |\d+$/g, ""))).toEqual([
		"x86_64:",
		"(b4) w0 = ",
		"(bf) r0 = &(void __percpu *)(r0)",
		"(61) r0 = *(u32 *)(r0 +0)",
		"arm64:",
		"(85) call bpf_get_smp_processor_id",
		"",
	]);
	expect(columns.slice(5).map((c) => c[3])).toEqual([
		expect.stringMatching(/: mrs x10, sp_el0$/),
		expect.stringMatching(/: ldr w7, \[x10, #/),
	]);
});

test("the view as JSON: each original instruction with all that became of it", async () => {
	const { out } = await dump(object("x86"), "--prog", "prog2", "--json");
	const [view] = JSON.parse(out) as {
		prog: string;
		arches: string[];
		functions: {
			symbol: string;
			rows: {
				insn: number | null;
				part: string;
				arch: Record<string, { insn: number; code: { bytes: string }[] }[]>;
			}[];
		}[];
	}[];
	expect(view).toMatchObject({ prog: "prog2", arches: ["x86_64", "arm64"] });
	for (const arch of ["x86_64", "arm64"]) {
		// all bytes of every image, in order, and every rewritten instruction once
		const { out: jited } = await dump(
			"jited",
			object(arch === "x86_64" ? "x86" : "arm64"),
			"--prog",
			"prog2",
			"--arch",
			arch,
			"-j",
			"--opcodes",
		);
		const images = (JSON.parse(jited) as { insns: { opcodes: string[] }[] }[]).map((f) =>
			f.insns.map((i) => i.opcodes.map((b) => b.slice(2)).join("")).join(""),
		);
		const shown = view!.functions.map((f) =>
			f.rows.flatMap((r) => r.arch[arch]!.flatMap((x) => x.code.map((c) => c.bytes))).join(""),
		);
		const blank = (code: string) => code.replace(/[0-9a-f]{8}$/, "");
		expect(shown.map(blank)).toEqual(images.map(blank));
		const insns = view!.functions.flatMap((f) =>
			f.rows.filter((r) => r.part === "insn").flatMap((r) => r.arch[arch]!.map((x) => x.insn)),
		);
		expect(insns).toEqual([...new Set(insns)].sort((a, b) => a - b));
	}
	expect((await dump(object("x86"), "--arch", "vax")).err).toBe(
		"--arch takes x86_64, arm64 or both with a comma between, not 'vax'\n",
	);
	expect((await dump("jited", object("x86"), "--arch", "x86_64,arm64")).code).toBe(1);
	expect((await dump("jitted", object("x86"))).err).toMatch(/^dump: jitted is neither xlated nor jited/);
});

test("several programs have headers; what does not load says so", async () => {
	const all = await dump("xlated", object("x86"));
	expect(all.out).toMatch(/^\d+: raw_tracepoint {2}name prog1 {2}tag [0-9a-f]{16} {2}gpl\nint prog1/);
	const json = JSON.parse((await dump("jited", object("x86"), "-p")).out) as {
		name: string;
		insns: unknown[];
	}[];
	expect(json.map((p) => p.name)).toEqual(["prog1", "prog3", "prog2"]);
	expect(await dump("xlated", "/no/such/object.o")).toMatchObject({
		code: 1,
		err: expect.stringMatching(/^ENOENT.*\n$/),
	});
});
