// SPDX-License-Identifier: GPL-2.0-only
/** Data printed by the kernel's types: bpf_snprintf_btf() (prog_tests/snprintf_btf.c). */
import { EFAULT, EINVAL, ENOENT } from "../../../include/uapi/asm-generic/errno.ts";
import { bpf_prog_test_run_opts } from "../../../tools/lib/bpf/libbpf.ts";
import { Skel } from "../skel.ts";
import type { ProgTest } from "../test_env.ts";

const COMPACT = 1;
const NONAME = 2;
const PTR_RAW = 4;
const ZERO = 8;

const INT = 0;
const ENUM = 1;
const INSN = 2;
const LIST = 3;
const BY_ID = 4;

export const snprintfBtf: ProgTest = {
	name: "snprintf_btf",
	run(t) {
		const skel = Skel.openAndLoad(t, "snprintf_btf");
		if (!skel) return;
		const show = (which: number, data: readonly number[], flags = 0): string => {
			const bytes = new Uint8Array(16);
			bytes.set(data);
			skel.setBytes("data", bytes);
			skel.setBytes("text", new Uint8Array(256));
			skel.set("which", which);
			skel.set("flags", flags);
			t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog("show").fd, {}), "run");
			const text = Buffer.from(skel.bytes("text")).toString("latin1");
			return text.slice(0, text.indexOf("\0"));
		};
		const d2 = [0xd2, 4];
		t.ASSERT_STREQ(show(INT, d2), "(int)1234\n", "int");
		t.ASSERT_EQ(skel.get("ret"), 10, "length");
		t.ASSERT_STREQ(show(INT, d2, NONAME), "1234\n", "no name");
		t.ASSERT_STREQ(show(INT, [], 0), "(int)0\n", "zero");
		t.ASSERT_STREQ(show(INT, [0xff, 0xff, 0xff, 0xff], COMPACT), "(int)-1", "negative");
		t.ASSERT_STREQ(show(ENUM, []), "(enum bpf_cmd)BPF_MAP_CREATE\n", "enum");
		t.ASSERT_STREQ(show(ENUM, [0xd2, 4]), "(enum bpf_cmd)1234\n", "no enumerator");

		const insn = [0x85, 0x21, 0xfe, 0xff, 3];
		const members =
			".code = (__u8)133,.dst_reg = (__u8)0x1,.src_reg = (__u8)0x2,.off = (__s16)-2,.imm = (__s32)3,";
		t.ASSERT_STREQ(show(INSN, insn, COMPACT), `(struct bpf_insn){${members}}`, "compact");
		t.ASSERT_STREQ(show(INSN, insn, COMPACT | NONAME), "{133,0x1,0x2,-2,3,}", "values alone");
		t.ASSERT_STREQ(
			show(INSN, [0, 0, 0, 0, 3]),
			"(struct bpf_insn){\n .imm = (__s32)3,\n}\n",
			"zeros are left out",
		);
		t.ASSERT_STREQ(show(INSN, [], COMPACT | ZERO | NONAME), "{0,0x0,0x0,0,0,}", "zeros are asked for");
		t.ASSERT_STREQ(
			show(LIST, [0x10], COMPACT | PTR_RAW | ZERO | NONAME),
			"{0x0000000000000010,0x0000000000000000,}",
			"raw pointers",
		);
		const hashed = show(LIST, [0x10], COMPACT | NONAME);
		t.ASSERT_TRUE(/^\{0x[0-9a-f]{16},\}$/.test(hashed), "a pointer");
		t.ASSERT_FALSE(hashed.includes("0000000000000010"), "its value is secret");

		skel.set("size", 5);
		t.ASSERT_STREQ(show(INT, d2), "(int", "cut short");
		t.ASSERT_EQ(skel.get("ret"), 10, "the whole length");
		skel.set("size", 256);

		show(INT, d2, 16);
		t.ASSERT_EQ(skel.get("ret"), -EINVAL, "flags");
		skel.set("ptr_size", 8);
		show(INT, d2);
		t.ASSERT_EQ(skel.get("ret"), -EINVAL, "size of the pointer");
		skel.set("ptr_size", 16);
		show(BY_ID, d2);
		t.ASSERT_EQ(skel.get("ret"), -EINVAL, "no type");
		skel.set("id_off", 0x7ffffff0);
		show(BY_ID, d2);
		t.ASSERT_EQ(skel.get("ret"), -ENOENT, "no such type");
		skel.set("address", 0xfffffffffffff000n);
		show(INT, d2);
		t.ASSERT_EQ(skel.get("ret"), -EFAULT, "memory that is not there");
		skel.destroy();
	},
};
