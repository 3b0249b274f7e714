// SPDX-License-Identifier: GPL-2.0-only
import { expect, it } from "vitest";
import {
	explain_by_version,
	has_change,
	log_as_of_6_12,
	VERSION_DIFFS,
	version_diff_of_test,
} from "./version_diffs.ts";

const of_log = (release: string, ours: string, theirs: string, level = "log"): string[] | null =>
	explain_by_version(release, { level, ours: { err: 0, log: ours }, theirs: { err: 0, log: theirs } })?.map(
		(d) => d.id,
	) ?? null;

it("releases are compared as numbers", () => {
	expect(has_change("6.18.44-x", "6.13")).toBe(true);
	expect(has_change("6.9", "6.13")).toBe(false);
	expect(has_change("7.0.1", "6.18")).toBe(true);
	expect(has_change("6.12.95+deb12-amd64", "6.13")).toBe(false);
	expect(has_change(undefined, "6.13")).toBe(false);
});

it("every known difference names its commit, and comes after 6.12", () => {
	for (const d of VERSION_DIFFS) {
		expect(d.commit).toMatch(/^[0-9a-f]{12} \S+/);
		expect(has_change(d.since, "6.13")).toBe(true);
	}
	expect(new Set(VERSION_DIFFS.map((d) => d.id)).size).toBe(VERSION_DIFFS.length);
});

it("marks of liveness are no difference against 6.18, and one against 6.12", () => {
	const ours =
		"0: (b7) r0 = 0   ; R0_w=0 R10=fp0\nprocessed 1 insns (limit 1000000) max_states_per_insn 0 total_states 1 peak_states 1 mark_read 1\n";
	const theirs =
		"Live regs before insn:\n      0: .......... (b7) r0 = 0\n0: (b7) r0 = 0   ; R0=0\nprocessed 1 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n";
	expect(of_log("6.18.1", ours, theirs)).toEqual(["live-registers", "no-register-liveness"]);
	expect(of_log("6.15.1", ours, theirs)).toBeNull();
	expect(of_log("6.12.95", ours, theirs)).toBeNull();
	expect(of_log("6.18.1", ours, theirs.replace("R0=0", "R0=1"))).toBeNull();
});

it("where logs part tells why what follows differs", () => {
	const ours =
		"6: (85) call bpf_map_lookup_elem#1    ; R0_w=map_value_or_null(id=1,map=m,ks=4,vs=8)\n7: more\n";
	const theirs = "6: (85) call bpf_map_lookup_elem#1    ; R0_w=map_value(map=m,ks=4,vs=8)\n7: less\n";
	expect(of_log("6.14.0", ours, theirs)).toEqual(["lookup-not-null"]);
	expect(of_log("6.14.0", ours, theirs, "xlated")).toEqual(["lookup-not-null"]);
	expect(of_log("6.13.0", ours, theirs)).toBeNull();
	// two logs that agree explain nothing of an image
	expect(of_log("6.14.0", ours, ours, "jited")).toBeNull();
});

it("annotations written for 6.12 find its words in a newer log", () => {
	const newer =
		"BPF_EXIT instruction in main prog cannot be used inside bpf_spin_lock-ed region\nprocessed 1\n";
	expect(log_as_of_6_12("6.18.0", newer)).toBe("bpf_spin_unlock is missing\nprocessed 1\n");
	expect(log_as_of_6_12("6.12.1", newer)).toBe(newer);
	expect(version_diff_of_test("6.18.0", "arena_pages/allocation")?.id).toBe("arena-range-tree");
	expect(version_diff_of_test("6.12.0", "arena_pages/allocation")).toBeNull();
});
