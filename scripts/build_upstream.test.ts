// SPDX-License-Identifier: GPL-2.0-only
import { expect, it } from "vitest";
import { file_cflags, system_includes } from "./build_upstream.ts";

it("a Makefile's flags of single files are found, those of others are not", () => {
	const text = [
		"CFLAGS := -g",
		"progs/one.c-CFLAGS := -fno-strict-aliasing -DX=1  ",
		"progs/sub/two.c-CFLAGS := -O1",
		"progs/three.c-CFLAGS += -O3",
		"\tprogs/four.c-CFLAGS := -O3",
	].join("\n");
	expect([...file_cflags(text)]).toEqual([
		["one.c", ["-fno-strict-aliasing", "-DX=1"]],
		["sub/two.c", ["-O1"]],
	]);
});

it("a compiler's folders of headers are read off what it says", () => {
	const said =
		'#include "..." search starts here:\n /quoted\n#include <...> search starts here:\n' +
		" /usr/lib/llvm-19/lib/clang/19/include\n /usr/include\nEnd of search list.\n /after\n";
	expect(system_includes(said)).toEqual(["/usr/lib/llvm-19/lib/clang/19/include", "/usr/include"]);
	expect(system_includes("no list at all")).toEqual([]);
});
