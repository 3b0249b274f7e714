// SPDX-License-Identifier: GPL-2.0-only
/**
 * Arguments beyond the registers, and structures by value, of functions of a module
 * (prog_tests/fentry_test.c: fentry_many_args, fexit_test.c, tracing_struct.c).
 */
import { EIO, ENOTSUPP } from "../../../include/uapi/asm-generic/errno.ts";
import { bpf_program__attach, bpf_program__set_autoload } from "../../../tools/lib/bpf/libbpf.ts";
import { read64, Skel } from "../skel.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

/** The module calls its functions when its file is read, and refuses. */
function triggerModuleTestRead(t: TestEnv): boolean {
	return t.ASSERT_EQ(t.sys.readFile("/sys/kernel/bpf_testmod") as number, -EIO, "trigger_read");
}

export const manyArgs: ProgTest = {
	name: "fentry_many_args",
	attaches: true,
	needs: "bpf_testmod",
	run(t) {
		const skel = Skel.openAndLoad(t, "fentry_many_args");
		if (!skel) return;
		if (t.sys.arch === "arm64") {
			// its trampolines know only arguments in registers
			t.ASSERT_OK_PTR(bpf_program__attach(skel.prog("test1")), "attach 7");
			t.ASSERT_EQ(bpf_program__attach(skel.prog("test2")) as number, -ENOTSUPP, "attach 11");
		} else if (t.ASSERT_OK(skel.attach(), "attach")) {
			triggerModuleTestRead(t);
			for (const n of [1, 2, 3]) t.ASSERT_EQ(skel.get(`test${n}_result`), 1, `test${n}_result`);
		}
		skel.destroy();
	},
};

export const tracingStruct: ProgTest = {
	name: "tracing_struct",
	attaches: true,
	needs: "bpf_testmod",
	run(t) {
		const skel = Skel.open(t, "tracing_struct");
		if (!skel) return;
		const x86 = t.sys.arch === "x86_64";
		bpf_program__set_autoload(skel.prog("struct_on_stack"), true);
		if (t.ASSERT_OK(skel.load(), "load") && t.ASSERT_OK(skel.attach(), "attach")) {
			triggerModuleTestRead(t);
			const words = (name: string): bigint[] => {
				const b = skel.bytes(name);
				return Array.from({ length: b.length / 8 }, (_x, i) => read64(b, 8 * i));
			};
			const check = (name: string, want: number[]): void => {
				const got = words(name);
				for (const [i, v] of want.entries()) t.ASSERT_EQ(got[i]!, v, `${name}[${i}]`);
			};
			check("arg1_words", [2, 3, 1, 4]);
			t.ASSERT_EQ(skel.get("arg1_nregs"), 4, "arg1_nregs");
			t.ASSERT_EQ(skel.get("arg1_ret"), 10, "arg1_ret");
			const got = words("arg4_words");
			t.ASSERT_EQ(got[0]! & 0xffffffffn, 10, "arg4_words[0]");
			for (const [i, v] of [1, 2, 3, 2, 3].entries())
				t.ASSERT_EQ(BigInt.asIntN(i < 3 ? 32 : 64, got[i + 1]!), v, `arg4_words[${i + 1}]`);
			t.ASSERT_EQ(skel.get("arg5_ret"), 1, "arg5_ret");
			t.ASSERT_EQ(skel.get("arg6_ret"), 1, "arg6_ret");
			const arg8 = words("arg8_words");
			t.ASSERT_EQ(arg8[4]!, 20, "arg8 e");
			t.ASSERT_EQ(arg8[5]!, 21, "arg8 f.a");
			t.ASSERT_EQ(BigInt.asIntN(32, arg8[6]!), 22, "arg8 f.b");
			t.ASSERT_EQ(BigInt.asIntN(32, arg8[7]!), 23, "arg8 g");
			t.ASSERT_EQ(skel.get("arg8_ret"), 156, `arg8_ret on ${x86 ? "the stack" : "registers"}`);
		}
		skel.destroy();
	},
};
