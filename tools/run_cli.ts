// SPDX-License-Identifier: GPL-2.0-only
/** Runs bpf-mirror in the process of a test. */
import { main } from "./cli.ts";

export interface CliResult {
	out: string;
	err: string;
	/** Both, in their order. */
	all: string;
	/** The exit status. */
	code: number;
}

/** Run a command line: what it prints on standard output and standard error, and its exit status. */
export async function runCli(...argv: string[]): Promise<CliResult> {
	const printed = { out: "", err: "", all: "" };
	const { stdout, stderr } = process;
	const write = { out: stdout.write, err: stderr.write };
	const capture =
		(to: "out" | "err") =>
		(text: string | Uint8Array): boolean => {
			const said = typeof text === "string" ? text : Buffer.from(text).toString();
			printed[to] += said;
			printed.all += said;
			return true;
		};
	stdout.write = capture("out");
	stderr.write = capture("err");
	try {
		const code = await main(argv);
		return { ...printed, code };
	} finally {
		stdout.write = write.out;
		stderr.write = write.err;
	}
}
