// SPDX-License-Identifier: GPL-2.0-only
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { main } from "./cli.ts";

const object = (arch: string) => join(import.meta.dirname, `../.cache/progs/${arch}/test_subprogs.bpf.o`);

afterEach(() => vi.restoreAllMocks());

async function dump(...args: string[]): Promise<{ out: string; err: string; code: number }> {
	let out = "";
	let err = "";
	vi.spyOn(process.stdout, "write").mockImplementation((text) => {
		out += text;
		return true;
	});
	vi.spyOn(process.stderr, "write").mockImplementation((text) => {
		err += text;
		return true;
	});
	const code = await main(["dump", ...args]);
	vi.restoreAllMocks();
	return { out, err, code };
}

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
