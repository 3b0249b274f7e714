// SPDX-License-Identifier: GPL-2.0-only
/** Command lines before yargs reads them. */

/** Flags of test_progs that take a value with `=` or none, as yargs can read them: `--verbose=vv` is -vvv. */
export function normalizeArgs(argv: readonly string[]): string[] {
	return argv.map((a) => (/^--verbose=v{1,2}$/.test(a) ? `-v${a.slice("--verbose=".length)}` : a));
}
