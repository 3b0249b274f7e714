// SPDX-License-Identifier: GPL-2.0-only
/** What the tests of libbpf share: built objects, and a process whose kernel has a small BTF. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { BTF_FUNC_GLOBAL, BTF_INT_SIGNED } from "../../../include/uapi/linux/btf.ts";
import { FakeSys } from "../../upstream/fake_sys.ts";
import { Btf } from "./btf.ts";
import { Libbpf } from "./libbpf_internal.ts";

/** An object of selftests/bpf/progs; `npm run setup` builds them. */
export function object_bytes(name: string): Uint8Array {
	const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");
	const path = join(root, ".cache/progs/x86", `${name}.bpf.o`);
	if (!existsSync(path)) throw new Error(`${path} is not built: npm run setup`);
	return new Uint8Array(readFileSync(path));
}

/** A BTF with what selftests/bpf/progs/test_libbpf.c asks the kernel for. */
export function small_vmlinux(): Uint8Array {
	const btf = new Btf(null);
	const int = btf.add_int("int", 4, BTF_INT_SIGNED);
	btf.add_struct("task", 24);
	btf.add_field("padding", int, 0);
	btf.add_field("flags", int, 64);
	btf.add_field("pid", int, 128);
	btf.add_enum("color", 4);
	btf.add_enum_value("RED", 40);
	btf.add_enum_value("GREEN", 41);
	const proto = btf.add_func_proto(int);
	btf.add_func_param("x", int);
	btf.add_func("known_kfunc", BTF_FUNC_GLOBAL, proto);
	return btf.raw_data();
}

export interface TestProcess {
	sys: FakeSys;
	lib: Libbpf;
	/** What libbpf said, warnings only. */
	said: string[];
}

export function test_process(): TestProcess {
	const sys = new FakeSys();
	sys.add_kernel_btf("vmlinux", small_vmlinux());
	sys.files.set("/proc/sys/kernel/osrelease", Buffer.from("6.12.95\n"));
	sys.files.set(
		"/proc/config.gz",
		new Uint8Array(
			gzipSync('# a comment\nCONFIG_BPF_SYSCALL=y\nCONFIG_HZ=250\nCONFIG_DEFAULT_HOSTNAME="(none)"\n'),
		),
	);
	sys.files.set(
		"/proc/kallsyms",
		Buffer.from(
			"ffffffff81000000 T _stext\nffffffff82345678 D some_symbol\nffffffffc0000000 t other\t[mod]\n",
		),
	);
	const said: string[] = [];
	const lib = new Libbpf(sys, {
		known_kernel: true,
		print: (level, text) => {
			if (level === 0) said.push(text);
		},
	});
	return { sys, lib, said };
}
