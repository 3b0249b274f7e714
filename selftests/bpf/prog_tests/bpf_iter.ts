// SPDX-License-Identifier: GPL-2.0-only
/** Iterators: their links, and the files that run their programs (prog_tests/bpf_iter.c). */
import {
	E2BIG,
	EACCES,
	EAGAIN,
	EBADF,
	EINVAL,
	ENOENT,
	ENOSPC,
	EOPNOTSUPP,
	EOVERFLOW,
	EPERM,
} from "../../../include/uapi/asm-generic/errno.ts";
import { BPF_TRACE_ITER } from "../../../include/uapi/linux/bpf.ts";
import {
	bpf_iter_create,
	type bpf_link,
	bpf_link__destroy,
	bpf_link_create,
	bpf_link_update,
	bpf_map_lookup_elem,
	bpf_map_update_elem,
	bpf_obj_get_info_by_fd,
	bpf_program__attach_iter,
} from "../../../tools/lib/bpf/libbpf.ts";
import { key32, read32, read64, Skel, val64 } from "../skel.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

const __NR_read = { x86_64: 0, arm64: 63 } as const;
const PAGE_SIZE = 4096;
const BUF_SIZE = 8 * PAGE_SIZE;

/** union bpf_iter_link_info of words */
function linfo(...words: number[]): Uint8Array {
	const out = new Uint8Array(16);
	const dv = new DataView(out.buffer);
	for (const [i, w] of words.entries()) dv.setUint32(4 * i, w, true);
	return out;
}

interface Read {
	text: string;
	/** What the last read returned: 0, or an errno. */
	last: number;
	reads: number;
}

/** read(2) until the end. */
function read_all(t: TestEnv, skel: Skel, fd: number, size = 256): Read {
	const buf = skel.lib.heap.alloc(size);
	const got: Read = { text: "", last: 0, reads: 0 };
	for (;;) {
		got.last = t.sys.syscall(__NR_read[t.sys.arch], fd, buf, size);
		got.reads++;
		if (got.last <= 0) break;
		got.text += Buffer.from(t.sys.load(buf, got.last)).toString("latin1");
	}
	skel.lib.heap.free(buf);
	return got;
}

function attach(t: TestEnv, skel: Skel, prog: string, info?: Uint8Array): bpf_link | null {
	const link = bpf_program__attach_iter(skel.prog(prog), info);
	return t.ASSERT_OK(typeof link === "number" ? link : 0, `attach ${prog}`) ? (link as bpf_link) : null;
}

/** All that an iterator says. */
function iterate(t: TestEnv, skel: Skel, prog: string, info?: Uint8Array, size = 256): Read {
	const none: Read = { text: "", last: -1, reads: 0 };
	const link = attach(t, skel, prog, info);
	if (!link) return none;
	const fd = bpf_iter_create(skel.lib, link.fd);
	if (!t.ASSERT_GE(fd, 0, `create ${prog}`)) return none;
	const got = read_all(t, skel, fd, size);
	t.sys.close(fd);
	bpf_link__destroy(link);
	return got;
}

function objects(t: TestEnv): void {
	const skel = Skel.openAndLoad(t, "bpf_iter");
	if (!skel) return;
	const lines = (text: string): string[] => text.split("\n").slice(0, -1);
	const { text, last } = iterate(t, skel, "maps");
	t.ASSERT_EQ(last, 0, "end of the maps");
	const maps = lines(text);
	const n = skel.obj.maps.filter((m) => m.fd >= 0).length;
	t.ASSERT_EQ(maps.length, n + 1, "maps and the end");
	t.ASSERT_STREQ(maps.at(-1) ?? "", `end ${n - 1}`, "the end's number: the last one's");
	t.ASSERT_TRUE(/^0: map \d+ of \d+$/.test(maps[0] ?? ""), "the first");
	t.ASSERT_TRUE(
		maps.some((l) => l.endsWith(" of 64")),
		"the hash",
	);
	t.ASSERT_EQ(skel.get("calls"), n + 1, "runs");
	t.ASSERT_EQ(skel.get("ends"), 1, "ends");
	const session = skel.get("session");

	// the same, a byte at a time: the program runs as often, and the end comes once
	skel.set("calls", 0);
	skel.set("ends", 0);
	t.ASSERT_STREQ(iterate(t, skel, "maps", undefined, 1).text, text, "a byte at a time");
	t.ASSERT_EQ(skel.get("calls"), n + 1, "runs, a byte at a time");
	t.ASSERT_EQ(skel.get("ends"), 1, "ends, a byte at a time");
	t.ASSERT_EQ(skel.get("session"), session + 1n, "another session");

	const progs = lines(iterate(t, skel, "progs").text);
	t.ASSERT_EQ(progs.length, skel.obj.programs.filter((p) => p.fd >= 0).length, "programs");
	t.ASSERT_TRUE(
		progs.every((l) => /^prog \d+: \d+$/.test(l)),
		"what is said of programs",
	);
	const other = attach(t, skel, "maps");
	const links = lines(iterate(t, skel, "links").text);
	t.ASSERT_EQ(links.length, 2, "links");
	t.ASSERT_TRUE(
		links.every((l) => /^link \d+: type 4, prog \d+$/.test(l)),
		"what is said of links",
	);
	if (other) bpf_link__destroy(other);

	const { sys } = t;
	skel.set("insn", 0x0000_0003_fffe_2185n);
	const show = (): string => iterate(t, skel, "by_type").text;
	skel.set("btf_flags", 1);
	t.ASSERT_STREQ(
		show(),
		"(struct bpf_insn){.code = (__u8)133,.dst_reg = (__u8)0x1,.src_reg = (__u8)0x2,.off = (__s16)-2,.imm = (__s32)3,}",
		"by its type",
	);
	t.ASSERT_EQ(skel.get("ret"), 0, "it returns no length");
	skel.set("btf_flags", 16);
	t.ASSERT_STREQ(show(), "", "unknown flags");
	t.ASSERT_EQ(skel.get("ret"), -EINVAL, "unknown flags: errno");
	skel.set("btf_flags", 0);
	skel.set("btf_ptr_size", 8);
	show();
	t.ASSERT_EQ(skel.get("ret"), -EINVAL, "size of the pointer");

	const me = sys.getpid();
	const all = lines(iterate(t, skel, "tasks").text);
	t.ASSERT_TRUE(all.includes(`${me}/${me}`), "this task");
	t.ASSERT_STREQ(iterate(t, skel, "tasks", linfo(me)).text, `${me}/${me}\n`, "one thread");
	t.ASSERT_STREQ(iterate(t, skel, "tasks", linfo(0, me)).text, `${me}/${me}\n`, "one process");
	t.ASSERT_STREQ(iterate(t, skel, "tasks", linfo(0, me), 1).text, `${me}/${me}\n`, "one process, by bytes");
	t.ASSERT_STREQ(iterate(t, skel, "tasks", linfo(0x7ffffff)).text, "", "no such thread");
	t.ASSERT_STREQ(iterate(t, skel, "tasks_sleepable", linfo(me)).text, "t", "may sleep");
	skel.destroy();
}

function elements(t: TestEnv): void {
	const skel = Skel.openAndLoad(t, "bpf_iter");
	if (!skel) return;
	const { lib } = skel;
	const over = (map: string): Uint8Array => linfo(skel.map(map).fd);
	const fill = (map: string, key: number, value: Uint8Array): void => {
		t.ASSERT_OK(bpf_map_update_elem(lib, skel.map(map).fd, key32(key), value), `fill ${map}`);
	};
	for (let i = 0; i < 3; i++) fill("array", i, val64(10 * (i + 1)));
	t.ASSERT_STREQ(iterate(t, skel, "elems", over("array")).text, "0=10\n1=20\n2=30\n", "array");
	t.ASSERT_STREQ(iterate(t, skel, "elems", over("array"), 3).text, "0=20\n1=40\n2=60\n", "array, in pieces");
	const value = new Uint8Array(8);
	t.ASSERT_OK(bpf_map_lookup_elem(lib, skel.map("array").fd, key32(2), value), "lookup");
	t.ASSERT_EQ(read64(value, 0), 120n, "doubled twice");

	for (let i = 0; i < 40; i++) fill("hash", i, val64(i));
	const sorted = (text: string): string[] =>
		text
			.split("\n")
			.slice(0, -1)
			.sort((a, b) => parseInt(a, 10) - parseInt(b, 10));
	const want = (by: number): string => Array.from({ length: 40 }, (_, i) => `${i}=${by * i}`).join();
	t.ASSERT_STREQ(sorted(iterate(t, skel, "elems", over("hash")).text).join(), want(1), "hash");
	t.ASSERT_STREQ(sorted(iterate(t, skel, "elems", over("hash"), 1).text).join(), want(2), "hash, by bytes");
	skel.set("calls", 0);
	iterate(t, skel, "emptying", over("hash"));
	t.ASSERT_EQ(skel.get("calls"), 41, "all elements, although they go");
	t.ASSERT_EQ(skel.get("ret"), 0, "deleted");
	t.ASSERT_STREQ(iterate(t, skel, "elems", over("hash")).text, "", "empty");

	const cpus = new Uint8Array(8 * 8);
	const per_cpu = new DataView(cpus.buffer);
	per_cpu.setUint32(0, 7, true);
	per_cpu.setUint32(8, 9, true);
	fill("percpu_array", 1, cpus);
	t.ASSERT_STREQ(iterate(t, skel, "percpu_elems", over("percpu_array")).text, "0=0,0\n1=7,9\n", "per CPU");
	fill("percpu_hash", 5, cpus);
	t.ASSERT_STREQ(iterate(t, skel, "percpu_elems", over("percpu_hash")).text, "5=7,9\n", "per CPU, by key");

	// the file outlives its link, the object and their descriptors
	const link = attach(t, skel, "elems", over("array"));
	if (!link) return;
	const fd = bpf_iter_create(lib, link.fd);
	bpf_link__destroy(link);
	t.sys.close(skel.map("array").fd);
	t.ASSERT_STREQ(read_all(t, skel, fd).text, "0=40\n1=80\n2=120\n", "of a map that nobody else has");
	t.sys.close(fd);
	skel.destroy();
}

function links(t: TestEnv): void {
	const skel = Skel.openAndLoad(t, "bpf_iter");
	if (!skel) return;
	const { lib } = skel;
	const fd_of = (prog: string): number => skel.prog(prog).fd;
	const create = (prog: string, opts: object = {}, target = 0): number =>
		bpf_link_create(lib, fd_of(prog), target, BPF_TRACE_ITER, opts);
	const errnos: readonly [name: string, want: number, got: number][] = [
		["a target", -EINVAL, create("maps", {}, 1)],
		["flags", -EINVAL, create("maps", { flags: 1 })],
		["sleeping where nothing may", -EINVAL, create("maps_sleepable")],
		["a map's elements without a map", -EBADF, create("elems")],
		["a descriptor that is no map", -EINVAL, create("elems", { iter_info: linfo(fd_of("maps")) })],
		["a map without elements", -EINVAL, create("elems", { iter_info: linfo(skel.map("stack").fd) })],
		["a value that is too short", -EACCES, create("elems", { iter_info: linfo(skel.map("narrow").fd) })],
		["thread and process", -EINVAL, create("tasks", { iter_info: linfo(1, 1) })],
		["no descriptor of a process", -EBADF, create("tasks", { iter_info: linfo(0, 0, 99) })],
		["more than the kernel knows", -E2BIG, create("tasks", { iter_info: new Uint8Array(24).fill(1) })],
		["no iterator", -EINVAL, bpf_iter_create(lib, fd_of("maps"))],
		["no file", -EBADF, bpf_iter_create(lib, 99)],
	];
	for (const [name, want, got] of errnos) t.ASSERT_EQ(got, want, name);
	if (t.kernel.isMirror) t.ASSERT_EQ(create("ksyms"), -EOPNOTSUPP, "not ported");

	for (const opts of [{ iter_info: new Uint8Array(24) }, { iter_info: new Uint8Array(4) }]) {
		const fd = create("tasks", opts);
		t.ASSERT_GE(fd, 0, "zeros, more or less");
		t.sys.close(fd);
	}

	const link = attach(t, skel, "maps");
	if (!link) return;
	const { fd } = link;
	const info_of = (ulen: number): { err: number; info: Uint8Array; name: string } => {
		const name = lib.heap.alloc(32);
		const info = new Uint8Array(64);
		const dv = new DataView(info.buffer);
		if (ulen) dv.setBigUint64(16, BigInt(name), true);
		dv.setUint32(24, ulen, true);
		const err = bpf_obj_get_info_by_fd(lib, fd, info);
		const text = Buffer.from(t.sys.load(name, 32)).toString("latin1");
		lib.heap.free(name);
		return { err: typeof err === "number" ? err : 0, info, name: text.slice(0, text.indexOf("\0")) };
	};
	const whole = info_of(32);
	t.ASSERT_OK(whole.err, "info");
	t.ASSERT_STREQ(whole.name, "bpf_map", "target");
	t.ASSERT_EQ(info_of(4).err, -ENOSPC, "no room for the name");
	t.ASSERT_EQ(read32(info_of(0).info, 24), 8, "its length");

	t.ASSERT_EQ(bpf_link_update(lib, fd, fd_of("tasks"), {}), -EINVAL, "a program of another target");
	t.ASSERT_EQ(
		bpf_link_update(lib, fd, fd_of("maps_too"), { flags: 4, old_prog_fd: fd_of("tasks") }),
		-EPERM,
		"not the old program",
	);
	const before = bpf_iter_create(lib, fd);
	t.ASSERT_OK(bpf_link_update(lib, fd, fd_of("maps_too"), {}), "another program");
	const after = bpf_iter_create(lib, fd);
	t.ASSERT_TRUE(read_all(t, skel, before).text.startsWith("0: map"), "a file keeps its program");
	t.ASSERT_TRUE(/^x+$/.test(read_all(t, skel, after).text), "the next has the new one");
	for (const x of [before, after]) t.sys.close(x);
	bpf_link__destroy(link);
	skel.destroy();
}

function memory(t: TestEnv): void {
	const skel = Skel.openAndLoad(t, "bpf_iter");
	if (!skel) return;
	const { sys } = t;
	const me = sys.getpid();
	const at = sys.mmap(0, 2 * PAGE_SIZE, 3, 0x22, -1, 0);
	t.ASSERT_OK(sys.mprotect(at + PAGE_SIZE, PAGE_SIZE, 1), "two areas");
	const [a, b, c] = [at, at + PAGE_SIZE, at + 2 * PAGE_SIZE].map((x) => x.toString(16));
	const { text, last } = iterate(t, skel, "vmas", linfo(me), BUF_SIZE);
	t.ASSERT_EQ(last, 0, "end");
	t.ASSERT_TRUE(text.includes(`${me} ${a}-${b} 3 0\n`), "read and write");
	t.ASSERT_TRUE(text.includes(`${me} ${b}-${c} 1 0\n`), "read");
	t.ASSERT_TRUE(/ b 1\n/.test(text), "the object's globals: shared, of a file");
	t.ASSERT_STREQ(iterate(t, skel, "vmas", linfo(0, me)).text, text, "of a process");
	t.ASSERT_STREQ(iterate(t, skel, "vmas", linfo(0, me), 1).text, text, "of a process, by bytes");
	t.ASSERT_TRUE(iterate(t, skel, "vmas").text.includes(text), "of all tasks");

	const ranges = text
		.split("\n")
		.slice(0, -1)
		.map((l) => l.split(" ")[1]!);
	const find = (addr: number | bigint): string[] => {
		skel.set("address", addr);
		return iterate(t, skel, "find", linfo(me)).text.split("\n").slice(0, -1);
	};
	t.ASSERT_STREQ(find(0).join(), ranges.join(), "all areas");
	t.ASSERT_EQ(skel.get("ret"), -ENOENT, "none at 0");
	t.ASSERT_STREQ(find(at + PAGE_SIZE + 1)[0] ?? "", `${b}-${c}`, "from within");
	t.ASSERT_EQ(skel.get("ret"), 0, "found");
	const found = skel.bytes("found");
	t.ASSERT_EQ(read64(found, 0), BigInt(at + PAGE_SIZE), "its start");
	t.ASSERT_EQ(read64(found, 8), BigInt(at + 2 * PAGE_SIZE), "its end");
	t.ASSERT_EQ(read64(found, 16), BigInt(me), "its task");
	t.ASSERT_EQ(find(0xffff888000000000n).length, 0, "the kernel's half");
	t.ASSERT_EQ(skel.get("ret"), -ENOENT, "no area of the kernel's");
	skel.set("find_flags", 1);
	find(at);
	t.ASSERT_EQ(skel.get("ret"), -EINVAL, "flags");
	sys.munmap(at, 2 * PAGE_SIZE);
	skel.destroy();
}

function buffers(t: TestEnv): void {
	const skel = Skel.openAndLoad(t, "bpf_iter");
	if (!skel) return;
	const n = skel.obj.maps.filter((m) => m.fd >= 0).length;
	// the program wants the first object again: nothing is there yet to be read
	skel.set("again_at", 0);
	t.ASSERT_EQ(iterate(t, skel, "maps").last, -EAGAIN, "again at once");
	// and of the third: what is there comes first, then it is asked again
	skel.set("again_at", 2);
	const third = iterate(t, skel, "maps");
	t.ASSERT_EQ(third.text.split("\n").length, 3, "two, then again");
	t.ASSERT_EQ(third.last, -EAGAIN, "again");

	skel.set("chunk", BUF_SIZE);
	const over = iterate(t, skel, "maps_big");
	t.ASSERT_EQ(over.last, -E2BIG, "more than the buffer");
	t.ASSERT_EQ(skel.get("ret"), -EOVERFLOW, "its last write");
	skel.set("chunk", 20000);
	skel.set("calls", 0);
	const two = iterate(t, skel, "maps_big", undefined, BUF_SIZE);
	t.ASSERT_EQ(two.last, 0, "one at a time");
	// a real kernel may have maps of others
	if (t.kernel.isMirror) t.ASSERT_EQ(two.text.length, 20000 * n, "all of them");
	else t.ASSERT_GE(two.text.length, 20000 * n, "all of them");
	t.ASSERT_EQ(skel.get("last_num"), two.text.length / 20000 - 1, "numbers stay");

	const link = attach(t, skel, "maps");
	if (!link) return;
	const fd = bpf_iter_create(skel.lib, link.fd);
	t.ASSERT_EQ(t.sys.syscall(__NR_read[t.sys.arch], fd, 8, 16), -14, "a buffer that is not there");
	t.sys.close(fd);
	bpf_link__destroy(link);
	skel.destroy();
}

export const bpfIter: ProgTest = {
	name: "bpf_iter",
	run(t) {
		const all: readonly [string, (t: TestEnv) => void][] = [
			["objects", objects],
			["elements", elements],
			["links", links],
			["memory", memory],
			["buffers", buffers],
		];
		for (const [name, run] of all) if (t.startSubtest(name)) run(t);
		t.endSubtest();
	},
};
