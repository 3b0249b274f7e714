// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, it } from "vitest";
import { messagesOf } from "./messages.ts";

const templates = (source: string) => messagesOf("f.ts", source).map((m) => m.template);

describe("messages of a source", () => {
	it("are strings and templates, wherever the expression is", () => {
		expect(templates('verbose(env, "a plain one\\n");')).toEqual([["a plain one\n"]]);
		// biome-ignore lint/suspicious/noTemplateCurlyInString: it is source
		expect(templates("bpf_log(log, `R${regno} is ${f(`x${y}`)} here\\n`);")).toEqual([
			["R", null, " is ", null, " here\n"],
		]);
		// biome-ignore lint/suspicious/noTemplateCurlyInString: it is source
		expect(templates('verbose(\n\tenv,\n\t(bad ? "the first" : `second ${n}`) + "!\\n",\n);')).toEqual([
			["the first", "!\n"],
			["second ", null, "", "!\n"],
		]);
	});
	it("are none without words, or where the function is declared", () => {
		expect(templates('verbose(env, "\\n"); verbose(env, text); function verbose(env, "no call") {}')).toEqual(
			[],
		);
	});
	it("know their line", () => {
		expect(messagesOf("f.ts", '\n\nverbose(env, "here");')[0]).toMatchObject({ file: "f.ts", line: 3 });
	});
});
