// SPDX-License-Identifier: GPL-2.0-only
/** The pages of an arena: how it is made and mapped, who brings pages in, what their end looks like from both sides. */
import { UserFault } from "../../../include/sys.ts";
import {
	E2BIG,
	EACCES,
	EFAULT,
	EINVAL,
	ENOENT,
	EOPNOTSUPP,
	ERANGE,
} from "../../../include/uapi/asm-generic/errno.ts";
import {
	MAP_FIXED,
	MAP_PRIVATE,
	MAP_SHARED,
	MREMAP_FIXED,
	MREMAP_MAYMOVE,
	PROT_EXEC,
	PROT_READ,
	PROT_WRITE,
} from "../../../include/uapi/asm-generic/mman.ts";
import {
	BPF_F_MMAPABLE,
	BPF_F_NO_PREALLOC,
	BPF_F_NO_USER_CONV,
	BPF_F_SEGV_ON_FAULT,
	BPF_MAP_CREATE,
	BPF_MAP_TYPE_ARENA,
	BPF_OBJ_GET_INFO_BY_FD,
} from "../../../include/uapi/linux/bpf.ts";
import {
	bpf_map__fd,
	bpf_map__set_map_extra,
	bpf_map__set_map_flags,
	bpf_map__set_max_entries,
	bpf_map_create,
	bpf_map_delete_elem,
	bpf_map_get_fd_by_id,
	bpf_map_get_info_by_fd,
	bpf_map_get_next_key,
	bpf_map_lookup_elem,
	bpf_map_update_elem,
	bpf_object__open_mem,
	bpf_prog_test_run_opts,
	Libbpf,
} from "../../../tools/lib/bpf/libbpf.ts";
import { LIBBPF_ERRNO__RELOC } from "../../../tools/lib/bpf/libbpf_internal.ts";
import { readProg, Skel } from "../skel.ts";
import { areaAt } from "../smaps.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

const RW = PROT_READ | PROT_WRITE;
const PAGES = 16;
const PAGE = 4096;
const SZ_4G = 2 ** 32;

/** The program's side of an arena, step by step. */
class Arena {
	readonly t: TestEnv;
	readonly skel: Skel;
	constructor(t: TestEnv, skel: Skel) {
		this.t = t;
		this.skel = skel;
	}
	/** Load progs/arena_pages.c, with other settings of the map. */
	static load(t: TestEnv, set: (skel: Skel) => void = () => {}): Arena | null {
		const skel = Skel.open(t, "arena_pages");
		if (!skel) return null;
		set(skel);
		if (t.ASSERT_OK(skel.load(), "skel_load")) return new Arena(t, skel);
		skel.destroy();
		return null;
	}
	get fd(): number {
		return bpf_map__fd(this.skel.map("arena"));
	}
	get base(): number {
		return this.skel.map("arena").mmaped;
	}
	private run(prog: string, addr: number): bigint {
		this.skel.set("addr", addr);
		const opts = { retval: -1 };
		const err = bpf_prog_test_run_opts(this.skel.lib, this.skel.prog(prog).fd, opts);
		if (err || opts.retval) this.t.printFail(`${prog}: ${err}, returned ${opts.retval}\n`);
		return BigInt.asUintN(64, this.skel.get("val"));
	}
	alloc(addr: number, pages: number, node = -1, flags = 0): number {
		this.skel.set("page_cnt", pages);
		this.skel.set("node", node);
		this.skel.set("flags", flags);
		return Number(this.run("alloc", addr));
	}
	free(addr: number, pages: number): void {
		this.skel.set("page_cnt", pages);
		this.run("release", addr);
	}
	peek(addr: number, prog = "peek"): bigint {
		this.skel.set("val", -1);
		return this.run(prog, addr);
	}
	poke(addr: number, val: bigint): void {
		this.skel.set("val", val);
		this.run("poke", addr);
	}
	/** Allocate pieces until there is nothing left: how many there were. */
	exhaust(pages: number): number {
		this.skel.set("page_cnt", pages);
		this.run("exhaust", 0);
		return Number(this.skel.get("allocated"));
	}
}

/** The signal of an access of user space; null when there was none. */
function signal(access: () => void): string | null {
	try {
		access();
		return null;
	} catch (e) {
		if (e instanceof UserFault) return e.signal;
		throw e;
	}
}

function creation(t: TestEnv): void {
	const lib = new Libbpf(t.sys, { known_kernel: true });
	const make = (entries: number, flags: number, map_extra = 0n, key = 0, value = 0): number => {
		const opts = { map_flags: flags, map_extra };
		const fd = bpf_map_create(lib, BPF_MAP_TYPE_ARENA, "a", key, value, entries, opts);
		if (fd >= 0) t.sys.close(fd);
		return fd;
	};
	const M = BPF_F_MMAPABLE;
	t.ASSERT_EQ(make(1, M, 0n, 4), -EINVAL, "key_size");
	t.ASSERT_EQ(make(1, M, 0n, 0, 8), -EINVAL, "value_size");
	t.ASSERT_EQ(make(0, M), -EINVAL, "no entries");
	t.ASSERT_EQ(make(1, 0), -EINVAL, "not mappable");
	t.ASSERT_EQ(make(1, M | BPF_F_NO_PREALLOC), -EINVAL, "other flags");
	t.ASSERT_EQ(make(1, M, 0x1001n), -EINVAL, "unaligned start");
	t.ASSERT_EQ(make(2 ** 20 + 1, M), -E2BIG, "beyond 4 GiB");
	t.ASSERT_EQ(make(2, M, 0x1fffff000n), -ERANGE, "across 4 GiB");
	t.ASSERT_EQ(make(2 ** 20, M, 0x100001000n), -ERANGE, "4 GiB, not aligned");
	t.ASSERT_GE(make(1, M, 0x1fffff000n), 0, "last page below 4 GiB");
	t.ASSERT_GE(make(2 ** 20, M, 0x100000000n), 0, "4 GiB at their place");
	t.ASSERT_GE(make(2 ** 20, M), 0, "4 GiB anywhere");
}

/** A map without elements. */
function elements(t: TestEnv, a: Arena): void {
	const { lib } = a.skel;
	const none = new Uint8Array(8);
	t.ASSERT_EQ(bpf_map_lookup_elem(lib, a.fd, null, none), -EINVAL, "lookup");
	t.ASSERT_EQ(bpf_map_update_elem(lib, a.fd, null, none), -EOPNOTSUPP, "update");
	t.ASSERT_EQ(bpf_map_delete_elem(lib, a.fd, null), -EOPNOTSUPP, "delete");
	t.ASSERT_EQ(bpf_map_get_next_key(lib, a.fd, null, none), -EOPNOTSUPP, "next key");
	// a key where the map has none
	t.ASSERT_EQ(bpf_map_update_elem(lib, a.fd, none, none), -EINVAL, "update by a key");
}

function mapping(t: TestEnv, a: Arena): void {
	const { sys } = t;
	const { base, fd } = a;
	const size = PAGES * PAGE;
	const map = (addr: number, len: number, flags = MAP_SHARED, off = 0): number =>
		sys.mmap(addr, len, RW, flags, fd, off);
	t.ASSERT_EQ(Math.floor(base / SZ_4G), Math.floor((base + size - 1) / SZ_4G), "within 4 GiB");
	t.ASSERT_EQ(map(0, size, MAP_SHARED, PAGE), -EINVAL, "offset");
	t.ASSERT_EQ(map(0, SZ_4G + PAGE), -E2BIG, "beyond 4 GiB");
	t.ASSERT_EQ(map(0, size + PAGE), -E2BIG, "longer");
	t.ASSERT_EQ(map(0, size - PAGE), -EINVAL, "shorter");
	t.ASSERT_EQ(map(0, size), -EINVAL, "anywhere");
	t.ASSERT_EQ(map(base + 2 * size, size, MAP_SHARED | MAP_FIXED), -EINVAL, "elsewhere");
	t.ASSERT_EQ(sys.munmap(base, PAGE), -EINVAL, "unmap the first page");
	t.ASSERT_EQ(sys.munmap(base + PAGE, PAGE), -EINVAL, "unmap one inside");
	t.ASSERT_EQ(sys.mprotect(base, PAGE, PROT_READ), -EINVAL, "protect one page");
	t.ASSERT_EQ(sys.mprotect(base, size, RW | PROT_EXEC), -EACCES, "executable");
	t.ASSERT_EQ(sys.mremap(base, size, size + PAGE, MREMAP_MAYMOVE), -EFAULT, "grow");
	t.ASSERT_EQ(sys.mremap(base, size, size - PAGE, 0), -EINVAL, "shrink");
	t.ASSERT_EQ(sys.mremap(base, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, base + 4 * size), -EINVAL, "move");
	// what is in it outlives the mapping
	sys.store64(base + PAGE, 99n);
	t.ASSERT_OK(sys.munmap(base, size), "unmap");
	t.ASSERT_EQ(signal(() => sys.load8(base + PAGE)) === "SIGSEGV" ? 1 : 0, 1, "nothing mapped");
	t.ASSERT_EQ(a.peek(base + PAGE), 99, "the program still has it");
	t.ASSERT_EQ(map(base, size, MAP_PRIVATE | MAP_FIXED), -EINVAL, "private");
	t.ASSERT_EQ(map(base, size, MAP_SHARED | MAP_FIXED), base, "map again");
	t.ASSERT_EQ(sys.load64(base + PAGE), 99, "the same page");
	// over itself: the old mapping goes first
	t.ASSERT_EQ(map(base, size, MAP_SHARED | MAP_FIXED), base, "map over itself");
	t.ASSERT_EQ(sys.load64(base + PAGE), 99, "the same page again");
}

function faults(t: TestEnv, a: Arena): void {
	const { sys } = t;
	const { base } = a;
	// a page that is not there reads as zero, and writes are lost
	a.poke(base, 0x1122334455667788n);
	t.ASSERT_EQ(a.peek(base), 0, "missing page");
	t.ASSERT_EQ(a.peek(base, "peek_sizes"), 0, "missing page, smaller loads");
	t.ASSERT_EQ(a.peek(base, "peek_far"), 0, "as far as offsets reach");
	// user space's access brings it in, zeroed, for both
	t.ASSERT_EQ(sys.load64(base), 0, "fault-in");
	a.poke(base, 0x1122334455667788n);
	t.ASSERT_EQ(sys.load64(base), 0x1122334455667788n, "written by the program");
	sys.store8(base, 0x99);
	t.ASSERT_EQ(a.peek(base), 0x1122334455667799n, "written by user space");
	t.ASSERT_EQ(a.peek(base, "peek_sizes"), 0x1122334455660099n, "smaller loads");
	// only the low half of a pointer counts for the program
	t.ASSERT_EQ(a.peek(base % SZ_4G), 0x1122334455667799n, "low half");
	// an access across a page's end of which the second is missing is dropped whole
	sys.store64(base + PAGE - 8, -1n);
	t.ASSERT_EQ(a.peek(base + PAGE - 4), 0, "across into a missing page");
	t.ASSERT_EQ(sys.load64(base + PAGE), 0, "the second page");
	t.ASSERT_EQ(a.peek(base + PAGE - 4), 0xffffffff, "across into a present page");
	t.ASSERT_EQ(signal(() => sys.load8(base + PAGES * PAGE)) === null ? 1 : 0, 0, "beyond the end");
}

/**
 * Stores of constants. v6.12's JIT of arm64 keeps the address in the register that it then loads the offset into
 * (build_insn: BPF_ST | BPF_PROBE_MEM32, tmp2): where the offset needs a register, the store is lost.
 */
function constants(t: TestEnv, a: Arena): void {
	const { sys } = t;
	const at = a.base + 128;
	sys.store64(at - 40, 1n);
	a.peek(at, "poke_imm");
	t.ASSERT_EQ(sys.load64(at + 8), 78, "offset in the instruction");
	t.ASSERT_EQ(sys.load64(at - 40), sys.arch === "arm64" ? 1 : 77, "offset in a register");
}

/** The kernel's own accesses to user memory fault pages in as the process's do. */
function uaccess(t: TestEnv, a: Arena): void {
	const { sys } = t;
	const page = (n: number): number => a.base + n * PAGE;
	const pages = (): number => areaAt(sys, a.base)?.pages ?? -1;
	t.ASSERT_EQ(pages(), 0, "no page");
	// a command whose attributes lie in a page that is not there yet: all zeros
	t.ASSERT_EQ(sys.bpf(BPF_MAP_CREATE, page(1), 80), -EINVAL, "attributes in a missing page");
	t.ASSERT_EQ(pages(), 1, "one page");
	// a command that writes there
	t.ASSERT_OK(
		sys.bpf(BPF_OBJ_GET_INFO_BY_FD, this_info(t, a, page(2)), 16),
		"information into a missing page",
	);
	t.ASSERT_EQ(sys.load32(page(2)), BPF_MAP_TYPE_ARENA, "type of the map");
	t.ASSERT_EQ(pages(), 2, "two pages");
	// and a program that reads by the user's address
	t.ASSERT_EQ(a.peek(page(3), "copy_in"), 0, "bpf_copy_from_user");
	t.ASSERT_EQ(a.skel.get("copied"), 0, "bpf_copy_from_user of a missing page");
	t.ASSERT_EQ(pages(), 3, "three pages");
	sys.store64(page(3), 33n);
	t.ASSERT_EQ(a.peek(page(3), "copy_in"), 33, "bpf_copy_from_user of a present page");
	a.free(page(3), 1);
	t.ASSERT_EQ(a.peek(page(3), "copy_in"), 0, "bpf_copy_from_user of a freed page");
	sys.mprotect(a.base, PAGES * PAGE, PROT_READ);
	t.ASSERT_EQ(
		sys.bpf(BPF_OBJ_GET_INFO_BY_FD, this_info(t, a, page(4)), 16),
		-EFAULT,
		"into a read-only page",
	);
	sys.mprotect(a.base, PAGES * PAGE, RW);
	t.ASSERT_EQ(a.peek(page(PAGES), "copy_in"), 0, "bpf_copy_from_user beyond the end");
	t.ASSERT_EQ(a.skel.get("copied"), -EFAULT, "beyond the end");
}

/** Attributes of BPF_OBJ_GET_INFO_BY_FD that put the arena's information at an address. */
function this_info(t: TestEnv, a: Arena, at: number): number {
	const { sys } = t;
	const attr = a.skel.lib.heap.alloc(16);
	sys.store32(attr, a.fd);
	sys.store32(attr + 4, 8);
	sys.store64(attr + 8, BigInt(at));
	return attr;
}

/** What libbpf says of objects that want what it does not do. */
function objects(t: TestEnv): void {
	const wanted: readonly (readonly [name: string, err: number, words: string])[] = [
		[
			"arena_bad_two",
			-EINVAL,
			"map 'second': only single ARENA map is supported (map 'first' is also ARENA)",
		],
		[
			"arena_bad_small",
			-E2BIG,
			"elf: sec '.addr_space.1': declared ARENA map size (8192) is too small to hold global __arena variables of size 8193",
		],
		[
			"arena_bad_none",
			-ENOENT,
			"elf: sec '.addr_space.1': to use global __arena variables the ARENA map should be explicitly declared in SEC(\".maps\")",
		],
		[
			"arena_bad_nomap",
			-LIBBPF_ERRNO__RELOC,
			"prog 'prog': bad arena data relocation at insn 0, no arena maps defined",
		],
	];
	for (const [name, err, words] of wanted) {
		let said = "";
		const print = (_level: number, text: string): void => {
			said += text;
		};
		const lib = new Libbpf(t.sys, { known_kernel: true, print });
		const obj = bpf_object__open_mem(lib, readProg(name, t.sys.arch), { object_name: name });
		t.ASSERT_EQ(typeof obj === "number" ? obj : 0, err, name);
		t.ASSERT_HAS_SUBSTR(said, words, `${name}: words`);
	}
}

function allocation(t: TestEnv, a: Arena): void {
	const { sys } = t;
	const { base } = a;
	const page = (n: number): number => base + n * PAGE;
	t.ASSERT_EQ(a.alloc(0, 1), page(0), "lowest");
	t.ASSERT_EQ(a.alloc(page(4), 2), page(4), "at an address");
	t.ASSERT_EQ(a.alloc(page(5), 2), 0, "overlapping");
	t.ASSERT_EQ(a.alloc(page(6) + 8, 1), 0, "unaligned");
	t.ASSERT_EQ(a.alloc(page(PAGES), 1), 0, "behind the end");
	t.ASSERT_EQ(a.alloc(page(PAGES - 1), 2), 0, "across the end");
	t.ASSERT_EQ(a.alloc(page(0) - PAGE, 1), 0, "before the start");
	t.ASSERT_EQ(a.alloc(0, PAGES + 1), 0, "more than all");
	t.ASSERT_EQ(a.alloc(0, 0), 0, "none");
	t.ASSERT_EQ(a.alloc(0, 1, -1, 1), 0, "flags");
	t.ASSERT_EQ(a.alloc(0, 1, 4096), 0, "no such node");
	t.ASSERT_EQ(a.alloc(page(15) % SZ_4G, 1), page(15), "address by its low half");
	// what user space faulted in is taken
	sys.store8(page(2), 1);
	t.ASSERT_EQ(a.alloc(page(2), 1), 0, "faulted in");
	t.ASSERT_EQ(a.alloc(0, 3), page(6), "first gap of three");
	t.ASSERT_EQ(a.alloc(0, 1), page(1), "first gap of one");
	t.ASSERT_EQ(a.alloc(0, 1, 0), page(3), "on node 0");
	t.ASSERT_EQ(a.alloc(0, 7), 0, "no gap of seven");
	t.ASSERT_EQ(a.alloc(0, 6), page(9), "gap of six");
	t.ASSERT_EQ(a.alloc(0, 1), 0, "full");
	// from the middle of a larger piece, at its end and beyond
	a.free(page(10), 2);
	t.ASSERT_EQ(a.alloc(0, 3), 0, "two are not three");
	t.ASSERT_EQ(a.alloc(0, 2), page(10), "two again");
	a.free(page(14), 100);
	t.ASSERT_EQ(a.alloc(page(14), 2), page(14), "freed up to the end");
	a.free(page(0), PAGES);
	t.ASSERT_EQ(a.exhaust(1), PAGES, "page by page");
	t.ASSERT_EQ(sys.load64(page(15)), PAGES, "the last one's number");
	a.free(page(0), PAGES);
	t.ASSERT_EQ(a.exhaust(5), Math.floor(PAGES / 5), "five at a time");
	a.free(page(0), PAGES);
	t.ASSERT_EQ(a.exhaust(PAGES), 1, "all at once");
}

function freeing(t: TestEnv, a: Arena): void {
	const { sys } = t;
	const { base } = a;
	t.ASSERT_EQ(a.alloc(0, 4), base, "alloc");
	for (let i = 0; i < 4; i++) sys.store64(base + i * PAGE, BigInt(i + 1));
	// one page that user space maps, by an address inside it
	a.free(base + 100, 1);
	t.ASSERT_EQ(a.peek(base), 0, "gone for the program");
	t.ASSERT_EQ(sys.load64(base), 0, "a new page for user space");
	t.ASSERT_EQ(sys.load64(base + PAGE), 2, "the next is untouched");
	sys.store64(base, 5n);
	t.ASSERT_EQ(a.peek(base), 5, "the new page is shared again");
	// several at once
	a.free(base + PAGE, 3);
	for (let i = 1; i < 4; i++) t.ASSERT_EQ(sys.load64(base + i * PAGE), 0, `page ${i}`);
	// twice, and what never was
	a.free(base + PAGE, 1);
	a.free(base + PAGE, 1);
	a.free(base + 8 * PAGE, 4);
	a.free(0, 1);
	a.free(base - PAGE, 1);
	a.free(base + PAGES * PAGE, 1);
	t.ASSERT_EQ(a.peek(base), 5, "still there");
	t.ASSERT_EQ(a.alloc(base + PAGE, 1), base + PAGE, "free for the program again");
}

function segv(t: TestEnv): void {
	const a = Arena.load(t, (skel) =>
		bpf_map__set_map_flags(skel.map("arena"), BPF_F_MMAPABLE | BPF_F_SEGV_ON_FAULT),
	);
	if (!a) return;
	const { sys } = t;
	const { base } = a;
	t.ASSERT_STREQ(signal(() => sys.load8(base)) ?? "none", "SIGSEGV", "load of a missing page");
	t.ASSERT_STREQ(signal(() => sys.store8(base, 1)) ?? "none", "SIGSEGV", "store to a missing page");
	t.ASSERT_EQ(a.alloc(0, 1), base, "alloc");
	sys.store64(base, 7n);
	t.ASSERT_EQ(a.peek(base), 7, "present page");
	a.free(base, 1);
	t.ASSERT_STREQ(signal(() => sys.load8(base)) ?? "none", "SIGSEGV", "freed page");
	a.skel.destroy();
}

/** Pointers on their way back to user space get its upper half, unless nobody there wants them. */
function casts(t: TestEnv): void {
	for (const flag of [0, BPF_F_NO_USER_CONV]) {
		const a = Arena.load(t, (skel) => bpf_map__set_map_flags(skel.map("arena"), BPF_F_MMAPABLE | flag));
		if (!a) return;
		const { base } = a;
		const low = base % SZ_4G;
		const want = (addr: number): number => (flag ? addr % SZ_4G : addr);
		const what = flag ? "not converted" : "converted";
		t.ASSERT_EQ(a.peek(base + 40, "cast"), want(base + 40), `pointer ${what}`);
		t.ASSERT_EQ(a.peek(low + 48, "cast"), want(base + 48), `low half ${what}`);
		t.ASSERT_EQ(a.peek(base - low, "cast"), 0, `no low half ${what}`);
		// pages and faults are the same with and without
		t.ASSERT_EQ(a.alloc(0, 1), base, `alloc, ${what}`);
		a.poke(base + 40, 77n);
		t.ASSERT_EQ(t.sys.load64(base + 40), 77, `user space, ${what}`);
		a.skel.destroy();
	}
}

/** 4 GiB from a multiple of 4 GiB on: the page whose low half is zero, and the last one. */
function large(t: TestEnv): void {
	const start = t.sys.arch === "arm64" ? SZ_4G : 2 ** 44;
	const a = Arena.load(t, (skel) => {
		bpf_map__set_max_entries(skel.map("arena"), SZ_4G / PAGE);
		bpf_map__set_map_extra(skel.map("arena"), BigInt(start));
	});
	if (!a) return;
	const { sys } = t;
	t.ASSERT_EQ(a.base, start, "base");
	t.ASSERT_EQ(a.alloc(0, 1), start, "first page");
	a.poke(start, 3n);
	t.ASSERT_EQ(sys.load64(start), 3, "first page, user space");
	const last = start + SZ_4G - PAGE;
	t.ASSERT_EQ(a.alloc(last, 1), last, "last page");
	sys.store64(last + PAGE - 8, 4n);
	t.ASSERT_EQ(a.peek(last + PAGE - 8), 4, "last word");
	// both guards
	t.ASSERT_EQ(a.peek(start, "peek_far"), 0, "guard below");
	t.ASSERT_EQ(a.peek(last + PAGE - 8, "peek_far"), 0, "guard above");
	// only the low half counts, so that the page before the first is the last
	t.ASSERT_EQ(a.peek(start - 8), 4, "wraps around");
	t.ASSERT_EQ(a.alloc(0, SZ_4G / PAGE), 0, "all is not free");
	// pointers without a page number are no pointers: page 0 is freed by any address inside it but its first
	a.free(start + 1, 1);
	t.ASSERT_EQ(a.peek(start), 0, "first page freed");
	const info = bpf_map_get_info_by_fd(a.skel.lib, a.fd);
	if (typeof info !== "number") t.ASSERT_EQ(info.map_extra, BigInt(start), "map_extra");
	a.skel.destroy();
}

/** Beginning and end inside of 4 GiB: only the low half of an address counts, and not all of it is the arena's. */
function inside(t: TestEnv): void {
	const start = (t.sys.arch === "arm64" ? SZ_4G : 2 ** 44) + 0x7ffff000;
	const a = Arena.load(t, (skel) => bpf_map__set_map_extra(skel.map("arena"), BigInt(start)));
	if (!a) return;
	const { sys } = t;
	const page = (n: number): number => start + n * PAGE;
	t.ASSERT_EQ(a.base, start, "base");
	t.ASSERT_EQ(a.alloc(0, 4), start, "alloc");
	// the kernel's address of page 1 has its top bit set, of page 0 not
	for (let i = 0; i < 4; i++) sys.store64(page(i), BigInt(i + 1));
	for (let i = 0; i < 4; i++) t.ASSERT_EQ(a.peek(page(i)), i + 1, `page ${i}`);
	t.ASSERT_EQ(a.peek(page(1) % SZ_4G), 2, "by its low half");
	t.ASSERT_EQ(a.peek(page(0) + SZ_4G), 1, "4 GiB further");
	t.ASSERT_EQ(a.alloc(page(4) + 3 * SZ_4G, 1), page(4), "alloc, 4 GiB further");
	a.free(page(4) + 3 * SZ_4G, 1);
	t.ASSERT_EQ(a.alloc(page(-1), 1), 0, "alloc before the start");
	t.ASSERT_EQ(a.alloc(page(-1), 2), 0, "alloc into the start");
	// freed from below: pages go, but what is counted from behind is not what they were entered as
	a.free(page(-1), 3);
	t.ASSERT_EQ(a.peek(page(0)), 0, "page 0 is gone");
	t.ASSERT_EQ(a.peek(page(1)), 0, "page 1 is gone");
	t.ASSERT_EQ(a.peek(page(2)), 3, "page 2 is there");
	t.ASSERT_STREQ(signal(() => sys.load8(page(0))) ?? "none", "SIGSEGV", "no new page 0 for user space");
	t.ASSERT_EQ(a.alloc(page(0), 1), 0, "nor for the program");
	a.free(page(0), 2);
	t.ASSERT_EQ(sys.load64(page(0)), 0, "after it is freed by its own address");
	t.ASSERT_EQ(a.alloc(0, 1), page(1), "and by the program");
	// beyond the end, with a count that wraps nothing
	a.free(page(2), 0xffffffff);
	t.ASSERT_EQ(a.peek(page(3)), 0, "freed up to the end");
	a.free(page(PAGES), 1);
	t.ASSERT_EQ(a.alloc(page(2), PAGES - 2), page(2), "all of them");
	a.skel.destroy();
}

/** Another process maps the same arena at the same address. */
async function processes(t: TestEnv, a: Arena): Promise<void> {
	if (t.kernel.oneProcess) return t.skip("needs a second process");
	const { base, fd } = a;
	const size = PAGES * PAGE;
	const info = bpf_map_get_info_by_fd(a.skel.lib, fd);
	if (typeof info === "number") return t.printFail(`info: ${info}\n`);
	const other = t.kernel.newProcess();
	const lib = new Libbpf(other, { known_kernel: true });
	const ofd = bpf_map_get_fd_by_id(lib, info.id);
	if (t.ASSERT_OK_FD(ofd, "fd of the other process")) {
		t.ASSERT_EQ(other.mmap(0, size, RW, MAP_SHARED, ofd, 0), -EINVAL, "at no other address");
		t.ASSERT_EQ(other.mmap(base, size, RW, MAP_SHARED | MAP_FIXED, ofd, 0), base, "at the same address");
		t.sys.store64(base, 11n);
		t.ASSERT_EQ(other.load64(base), 11, "seen by the other");
		other.store64(base + PAGE, 12n);
		t.ASSERT_EQ(t.sys.load64(base + PAGE), 12, "seen by the first");
		t.ASSERT_EQ(a.peek(base + PAGE), 12, "seen by the program");
		// the page goes from both
		a.free(base, 1);
		t.ASSERT_EQ(other.load64(base), 0, "freed for the other");
		other.store64(base, 13n);
		t.ASSERT_EQ(t.sys.load64(base), 13, "one new page for all");
	}
	await t.kernel.endProcess(other);
	t.ASSERT_EQ(t.sys.load64(base), 13, "outlives the other process");
}

export const arenaPages: ProgTest = {
	name: "arena_pages",
	async run(t) {
		if (t.startSubtest("creation")) creation(t);
		if (t.startSubtest("objects")) objects(t);
		const parts: readonly [string, (t: TestEnv, a: Arena) => void | Promise<void>][] = [
			["elements", elements],
			["mapping", mapping],
			["faults", faults],
			["constants", constants],
			["uaccess", uaccess],
			["allocation", allocation],
			["freeing", freeing],
			["processes", processes],
		];
		for (const [name, part] of parts) {
			if (!t.startSubtest(name)) continue;
			const a = Arena.load(t);
			if (!a) continue;
			await part(t, a);
			a.skel.destroy();
		}
		if (t.startSubtest("segv_on_fault")) segv(t);
		if (t.startSubtest("casts")) casts(t);
		if (t.startSubtest("large")) large(t);
		if (t.startSubtest("inside")) inside(t);
		t.endSubtest();
	},
};
