// SPDX-License-Identifier: GPL-2.0-only
/**
 * Set-up: finds or gets all that the npm packages do not bring, and says in one line each what it did.
 * Where everything is there already it says nothing and takes a few milliseconds.
 */
import { build_stubs } from "../arch/stubs.ts";
import { build_scalar } from "../kernel/bpf/scalar_module.ts";
import { search_unicorn, UnicornMissing } from "../virt/library.ts";
import { buildProgs } from "./build_progs.ts";
import { ClangMissing, ensureClang, findClang } from "./clang.ts";
import { ensure_unicorn } from "./unicorn.ts";

/** Make everything ready; prints a message and returns false where something cannot be had. */
export async function setup(): Promise<boolean> {
	try {
		if (!search_unicorn().library) ensure_unicorn();
		const clang = findClang() ?? ensureClang();
		build_scalar();
		build_stubs();
		await buildProgs(clang);
		return true;
	} catch (e) {
		if (!(e instanceof UnicornMissing) && !(e instanceof ClangMissing)) throw e;
		process.stderr.write(`${e.message}\n`);
		return false;
	}
}
