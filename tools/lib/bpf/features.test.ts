// SPDX-License-Identifier: GPL-2.0-only
import { expect, it } from "vitest";
import { bootMirror } from "../../mirror.ts";
import { feat_supported } from "./features.ts";
import {
	FEAT_ARG_CTX_TAG,
	FEAT_ARRAY_MMAP,
	FEAT_BPF_COOKIE,
	FEAT_BTF,
	FEAT_BTF_DATASEC,
	FEAT_BTF_DECL_TAG,
	FEAT_BTF_ENUM64,
	FEAT_BTF_FLOAT,
	FEAT_BTF_FUNC,
	FEAT_BTF_GLOBAL_FUNC,
	FEAT_BTF_QMARK_DATASEC,
	FEAT_BTF_TYPE_TAG,
	FEAT_EXP_ATTACH_TYPE,
	FEAT_GLOBAL_DATA,
	FEAT_MEMCG_ACCOUNT,
	FEAT_MODULE_BTF,
	FEAT_PROBE_READ_KERN,
	FEAT_PROG_BIND_MAP,
	FEAT_PROG_NAME,
	Libbpf,
} from "./libbpf_internal.ts";

const FEATURES = {
	FEAT_PROG_NAME,
	FEAT_GLOBAL_DATA,
	FEAT_BTF,
	FEAT_BTF_FUNC,
	FEAT_BTF_GLOBAL_FUNC,
	FEAT_BTF_DATASEC,
	FEAT_BTF_QMARK_DATASEC,
	FEAT_BTF_FLOAT,
	FEAT_BTF_DECL_TAG,
	FEAT_BTF_TYPE_TAG,
	FEAT_BTF_ENUM64,
	FEAT_ARRAY_MMAP,
	FEAT_EXP_ATTACH_TYPE,
	FEAT_PROBE_READ_KERN,
	FEAT_PROG_BIND_MAP,
	FEAT_MODULE_BTF,
	FEAT_MEMCG_ACCOUNT,
	FEAT_BPF_COOKIE,
	FEAT_ARG_CTX_TAG,
};

it("what a v6.12 kernel can do is found out by trying, once", () => {
	const sys = bootMirror({}).newProcess();
	let calls = 0;
	const bpf = sys.bpf.bind(sys);
	sys.bpf = (cmd, attr, size) => {
		calls++;
		return bpf(cmd, attr, size);
	};
	const said: string[] = [];
	const lib = new Libbpf(sys, { print: (_, text) => said.push(text) });
	for (const [name, feat] of Object.entries(FEATURES)) expect(feat_supported(lib, feat), name).toBe(true);
	expect(calls).toBeGreaterThan(15);
	const before = calls;
	for (const feat of Object.values(FEATURES)) feat_supported(lib, feat);
	expect(calls).toBe(before);
	expect(said).toEqual([]);
});

it("without capabilities BTF counts as missing", () => {
	const sys = bootMirror({}).newProcess();
	sys.capSet([]);
	const lib = new Libbpf(sys, { print: null });
	expect(feat_supported(lib, FEAT_BTF)).toBe(false);
	expect(feat_supported(lib, FEAT_PROG_NAME)).toBe(true);
});
