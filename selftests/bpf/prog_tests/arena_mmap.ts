// SPDX-License-Identifier: GPL-2.0-only
/**
 * The rules by which an arena is mapped, on maps without any program (kernel/bpf/arena.c: arena_get_unmapped_area,
 * arena_map_mmap, arena_vm_ops), and what /proc/self/smaps says of the areas.
 */
import type { Sys } from "../../../include/sys.ts";
import { UserFault } from "../../../include/sys.ts";
import {
	E2BIG,
	EACCES,
	EBUSY,
	EEXIST,
	EFAULT,
	EINVAL,
	EPERM,
} from "../../../include/uapi/asm-generic/errno.ts";
import {
	MAP_FIXED,
	MAP_FIXED_NOREPLACE,
	MAP_LOCKED,
	MAP_POPULATE,
	MAP_SHARED,
	MAP_SHARED_VALIDATE,
	MREMAP_DONTUNMAP,
	MREMAP_MAYMOVE,
	PROT_EXEC,
	PROT_READ,
	PROT_WRITE,
} from "../../../include/uapi/asm-generic/mman.ts";
import {
	BPF_F_MMAPABLE,
	BPF_F_NO_USER_CONV,
	BPF_F_RDONLY,
	BPF_F_RDONLY_PROG,
	BPF_F_SEGV_ON_FAULT,
	BPF_F_WRONLY_PROG,
	BPF_MAP_TYPE_ARENA,
	BPF_MAP_TYPE_ARRAY,
} from "../../../include/uapi/linux/bpf.ts";
import {
	bpf_map_create,
	bpf_map_freeze,
	bpf_map_get_fd_by_id,
	bpf_map_get_info_by_fd,
	Libbpf,
} from "../../../tools/lib/bpf/libbpf.ts";
import { type Area, areaAt } from "../smaps.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

const RW = PROT_READ | PROT_WRITE;
const PAGE = 4096;
const PAGES = 16;
const SIZE = PAGES * PAGE;
const SZ_4G = 2 ** 32;
const CAP_SYS_ADMIN = 21;
const CAP_BPF = 39;

/** An address that the address space has not given out on its own. */
const PLACE = 0x20 * SZ_4G;

class Raw {
	readonly t: TestEnv;
	readonly sys: Sys;
	readonly lib: Libbpf;
	constructor(t: TestEnv, sys = t.sys) {
		this.t = t;
		this.sys = sys;
		this.lib = new Libbpf(sys, { known_kernel: true });
	}
	create(entries = PAGES, map_extra = 0, flags = BPF_F_MMAPABLE): number {
		const opts = { map_flags: flags, map_extra: BigInt(map_extra) };
		return bpf_map_create(this.lib, BPF_MAP_TYPE_ARENA, "a", 0, 0, entries, opts);
	}
	map(fd: number, addr = 0, len = SIZE, flags = MAP_SHARED, prot = RW): number {
		return this.sys.mmap(addr, len, prot, flags, fd, 0);
	}
	fixed(fd: number, addr: number, len = SIZE): number {
		return this.map(fd, addr, len, MAP_SHARED | MAP_FIXED);
	}
	/** The signal of an access; "none" when it went well. */
	signal(access: () => void): string {
		try {
			access();
			return "none";
		} catch (e) {
			if (e instanceof UserFault) return e.signal;
			throw e;
		}
	}
	/** What smaps says of the area at an address. */
	area(addr: number): Area | null {
		return areaAt(this.sys, addr);
	}
}

function creation(r: Raw): void {
	const { t, sys } = r;
	for (const flag of [BPF_F_RDONLY, BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG])
		t.ASSERT_EQ(r.create(1, 0, BPF_F_MMAPABLE | flag), -EINVAL, `flag ${flag}`);
	const flags = BPF_F_MMAPABLE | BPF_F_SEGV_ON_FAULT | BPF_F_NO_USER_CONV;
	const all = r.create(1, 0, flags);
	t.ASSERT_GE(all, 0, "all flags");
	sys.close(all);
	const array = bpf_map_create(r.lib, BPF_MAP_TYPE_ARRAY, "a", 4, 4, 1, { map_extra: 4096n });
	t.ASSERT_EQ(array, -EINVAL, "map_extra of another type");
	const caps = sys.capGet();
	sys.capSet(caps.filter((c) => c !== CAP_BPF && c !== CAP_SYS_ADMIN));
	t.ASSERT_EQ(r.create(), -EPERM, "without CAP_BPF");
	sys.capSet(caps);
}

/** The first mapping fixes address and length; the number of entries has no say any more. */
function first(r: Raw): void {
	const { t, sys } = r;
	const fd = r.create();
	t.ASSERT_EQ(r.map(fd, 0, SZ_4G + PAGE), -E2BIG, "beyond 4 GiB");
	const base = r.map(fd, 0, 2 * SIZE - 100);
	t.ASSERT_GT(base, 0, "longer than the entries, a length that is rounded up");
	t.ASSERT_EQ(r.area(base)?.end ?? 0, base + 2 * SIZE, "its end");
	sys.store8(base + 2 * SIZE - 1, 1);
	t.ASSERT_EQ(r.fixed(fd, base), -EINVAL, "as long as the entries");
	t.ASSERT_EQ(r.map(fd, base, 2 * SIZE), -EBUSY, "there, while it is mapped there");
	t.ASSERT_EQ(r.map(fd, base, 2 * SIZE, MAP_SHARED | MAP_FIXED_NOREPLACE), -EEXIST, "without replacing");
	t.ASSERT_OK(sys.munmap(base, 2 * SIZE), "unmap");
	// the address stays what it was
	t.ASSERT_EQ(r.map(fd, 0, 2 * SIZE), -EINVAL, "anywhere");
	t.ASSERT_EQ(r.fixed(fd, base + 4 * SIZE, 2 * SIZE), -EINVAL, "elsewhere");
	t.ASSERT_EQ(r.map(fd, base, 4 * SIZE), -E2BIG, "longer");
	t.ASSERT_EQ(r.map(fd, base, 2 * SIZE), base, "there, by a hint");
	t.ASSERT_EQ(sys.load8(base + 2 * SIZE - 1), 1, "its page");
	t.ASSERT_EQ(r.map(fd, base, 2 * SIZE, MAP_SHARED_VALIDATE | MAP_FIXED), base, "MAP_SHARED_VALIDATE");
	sys.munmap(base, 2 * SIZE);
	sys.close(fd);
	// 4 GiB have one place in 4 GiB
	const whole = r.create(SZ_4G / PAGE);
	const at = r.map(whole, 0, SZ_4G);
	t.ASSERT_EQ(at % SZ_4G, 0, "alignment of 4 GiB");
	sys.munmap(at, SZ_4G);
	sys.close(whole);
}

/** An arena does not cross a multiple of 4 GiB: the mapping is put behind it, whatever was asked for. */
function boundary(r: Raw): void {
	const { t, sys } = r;
	for (const [what, flags] of [
		["hint", MAP_SHARED],
		["MAP_FIXED", MAP_SHARED | MAP_FIXED],
	] as const) {
		const fd = r.create();
		t.ASSERT_EQ(r.map(fd, PLACE - PAGE, SIZE, flags), PLACE, `across, by ${what}`);
		sys.munmap(PLACE, SIZE);
		sys.close(fd);
		const below = r.create();
		t.ASSERT_EQ(r.map(below, PLACE - SIZE, SIZE, flags), PLACE - SIZE, `up to it, by ${what}`);
		sys.munmap(PLACE - SIZE, SIZE);
		sys.close(below);
	}
	const extra = r.create(PAGES, PLACE - SIZE);
	t.ASSERT_EQ(r.map(extra), -EINVAL, "map_extra: anywhere");
	t.ASSERT_EQ(r.fixed(extra, PLACE), -EINVAL, "map_extra: elsewhere");
	t.ASSERT_EQ(r.map(extra, PLACE - SIZE, SIZE - PAGE), -EINVAL, "map_extra: shorter");
	t.ASSERT_EQ(r.map(extra, PLACE - SIZE, SIZE + PAGE), -E2BIG, "map_extra: longer");
	t.ASSERT_EQ(r.map(extra, PLACE - SIZE), PLACE - SIZE, "map_extra: there");
	sys.munmap(PLACE - SIZE, SIZE);
	sys.close(extra);
}

/** What the area may become. */
function area(r: Raw): void {
	const { t, sys } = r;
	const fd = r.create();
	const base = r.map(fd);
	const is = (rights: string, pages: number, flags: string, what: string): void => {
		const a = r.area(base);
		t.ASSERT_STREQ(
			a ? `${a.rights} ${a.pages} ${a.flags.join(" ")}` : "no area",
			`${rights} ${pages} ${flags}`,
			what,
		);
	};
	is("rw-s", 0, "rd wr sh mr mw ms dc de", "untouched");
	sys.load8(base);
	sys.store8(base + 5 * PAGE, 5);
	sys.load8(base + 5 * PAGE + 1);
	is("rw-s", 2, "rd wr sh mr mw ms dc de", "two pages");
	t.ASSERT_EQ(sys.mprotect(base + PAGE, PAGE, PROT_READ), -EINVAL, "protect a part");
	t.ASSERT_EQ(sys.mprotect(base, SIZE, RW | PROT_EXEC), -EACCES, "executable");
	t.ASSERT_OK(sys.mprotect(base, SIZE, PROT_READ), "read-only");
	is("r--s", 2, "rd sh mr mw ms dc de", "read-only");
	t.ASSERT_EQ(sys.load8(base + 5 * PAGE), 5, "load");
	t.ASSERT_EQ(sys.load8(base + 6 * PAGE), 0, "load brings a page in");
	t.ASSERT_STREQ(
		r.signal(() => sys.store8(base, 1)),
		"SIGSEGV",
		"store",
	);
	t.ASSERT_STREQ(
		r.signal(() => sys.store8(base + 7 * PAGE, 1)),
		"SIGSEGV",
		"store to a missing page",
	);
	is("r--s", 3, "rd sh mr mw ms dc de", "a store that may not be brings nothing in");
	t.ASSERT_OK(sys.mprotect(base, SIZE, 0), "no rights");
	t.ASSERT_STREQ(
		r.signal(() => sys.load8(base)),
		"SIGSEGV",
		"load without rights",
	);
	t.ASSERT_OK(sys.mprotect(base, SIZE, RW), "writable again");
	sys.store8(base, 9);
	t.ASSERT_EQ(sys.mremap(base, SIZE, 2 * SIZE, 0), -EFAULT, "grow in place");
	t.ASSERT_EQ(sys.mremap(base, SIZE, 2 * SIZE, MREMAP_MAYMOVE), -EFAULT, "grow");
	t.ASSERT_EQ(sys.mremap(base, 0, SIZE, MREMAP_MAYMOVE), -EFAULT, "a second view");
	t.ASSERT_EQ(sys.mremap(base, SIZE, SIZE - PAGE, 0), -EINVAL, "shrink");
	t.ASSERT_EQ(sys.mremap(base, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP), -EINVAL, "leave behind");
	t.ASSERT_EQ(sys.mremap(base, SIZE, SIZE, 0), base, "as it is");
	for (const [from, pages] of [
		[0, 1],
		[1, 1],
		[PAGES - 1, 1],
		[PAGES - 1, 2],
		[-1, 2],
	] as const)
		t.ASSERT_EQ(sys.munmap(base + from * PAGE, pages * PAGE), -EINVAL, `unmap ${pages} from ${from}`);
	is("rw-s", 3, "rd wr sh mr mw ms dc de", "still whole");
	t.ASSERT_OK(sys.munmap(base, SIZE), "unmap");
	t.ASSERT_EQ(r.area(base) === null ? 0 : 1, 0, "gone");
	t.ASSERT_EQ(r.fixed(fd, base), base, "map again");
	is("rw-s", 0, "rd wr sh mr mw ms dc de", "pages come by faults again");
	t.ASSERT_EQ(sys.load8(base), 9, "with what was in them");
	is("rw-s", 1, "rd wr sh mr mw ms dc de", "one of them");
	sys.munmap(base, SIZE);
	sys.close(fd);
	// who asks for it at first gets it, and not a second time
	const exec = r.create();
	const at = r.map(exec, 0, SIZE, MAP_SHARED, RW | PROT_EXEC);
	t.ASSERT_GT(at, 0, "executable from the start");
	t.ASSERT_STREQ(r.area(at)?.rights ?? "no area", "rwxs", "executable");
	t.ASSERT_OK(sys.mprotect(at, SIZE, RW), "not executable any more");
	t.ASSERT_EQ(sys.mprotect(at, SIZE, RW | PROT_EXEC), -EACCES, "executable again");
	sys.munmap(at, SIZE);
	sys.close(exec);
}

/** Pages that are wanted at once. */
function populate(r: Raw): void {
	const { t, sys } = r;
	const pages = (flags: number, map_flags: number): string => {
		const fd = r.create(PAGES, 0, map_flags);
		const at = r.map(fd, 0, SIZE, MAP_SHARED | flags);
		const a = at > 0 ? r.area(at) : null;
		if (at > 0) sys.munmap(at, SIZE);
		sys.close(fd);
		return a ? `${a.pages} ${a.flags.join(" ")}` : `${at}`;
	};
	const flags = "rd wr sh mr mw ms dc de";
	t.ASSERT_STREQ(pages(0, BPF_F_MMAPABLE), `0 ${flags}`, "none");
	t.ASSERT_STREQ(pages(MAP_POPULATE, BPF_F_MMAPABLE), `${PAGES} ${flags}`, "MAP_POPULATE");
	// what cannot grow is not locked, but it is brought in
	t.ASSERT_STREQ(pages(MAP_LOCKED, BPF_F_MMAPABLE), `${PAGES} ${flags}`, "MAP_LOCKED");
	const segv = BPF_F_MMAPABLE | BPF_F_SEGV_ON_FAULT;
	t.ASSERT_STREQ(pages(MAP_POPULATE, segv), `0 ${flags}`, "MAP_POPULATE with BPF_F_SEGV_ON_FAULT");
}

/** Who may write decides when the map is mapped. */
function rights(r: Raw): void {
	const { t, sys, lib } = r;
	const fd = r.create();
	const info = bpf_map_get_info_by_fd(lib, fd);
	if (typeof info === "number") {
		t.printFail(`info: ${info}\n`);
		return;
	}
	const ro = bpf_map_get_fd_by_id(lib, info.id, BPF_F_RDONLY);
	t.ASSERT_GE(ro, 0, "read-only descriptor");
	t.ASSERT_EQ(r.map(ro), -EACCES, "writable by it");
	// what cannot ever become writable is not shared, and an arena is
	t.ASSERT_EQ(r.map(ro, 0, SIZE, MAP_SHARED, PROT_READ), -EINVAL, "readable by it");
	sys.close(ro);
	const at = r.map(fd, 0, SIZE, MAP_SHARED, PROT_READ);
	t.ASSERT_GT(at, 0, "read-only");
	t.ASSERT_EQ(sys.mprotect(at, SIZE, RW), -EACCES, "writable later");
	sys.munmap(at, SIZE);
	t.ASSERT_EQ(r.map(fd, at), at, "writable from the start");
	t.ASSERT_EQ(bpf_map_freeze(lib, fd), -EBUSY, "freeze what is mapped");
	sys.munmap(at, SIZE);
	// arena_vm_ops takes the place of the operations that would count the writer out
	t.ASSERT_EQ(bpf_map_freeze(lib, fd), -EBUSY, "freeze what was mapped");
	sys.close(fd);
	const frozen = r.create();
	t.ASSERT_OK(bpf_map_freeze(lib, frozen), "freeze");
	t.ASSERT_EQ(r.map(frozen), -EPERM, "frozen, writable");
	const view = r.map(frozen, 0, SIZE, MAP_SHARED, PROT_READ);
	t.ASSERT_GT(view, 0, "frozen, read-only");
	t.ASSERT_EQ(sys.load8(view), 0, "a frozen map's page");
	sys.munmap(view, SIZE);
	sys.close(frozen);
}

/** Several arenas, several threads, several processes. */
async function several(r: Raw): Promise<void> {
	if (r.t.kernel.oneProcess) return r.t.skip("needs a second process");
	const { t, sys } = r;
	const fds = [r.create(), r.create(), r.create()];
	const bases = fds.map((fd) => r.map(fd));
	t.ASSERT_EQ(new Set(bases).size, 3, "three places");
	for (const [i, b] of bases.entries()) sys.store8(b, i + 1);
	for (const [i, b] of bases.entries()) t.ASSERT_EQ(sys.load8(b), i + 1, `arena ${i}`);
	for (const b of bases) sys.munmap(b, SIZE);
	for (const fd of fds) sys.close(fd);

	// two threads map one arena: they share the address space, so the second comes too late
	const fd = r.create();
	const got = await Promise.all(
		[0, 1].map(() =>
			sys.thread(async (thread) => {
				await thread.yieldCpu();
				const at = thread.mmap(0, SIZE, RW, MAP_SHARED, fd, 0);
				if (at > 0) thread.store8(at + PAGE, 7);
				return at;
			}),
		),
	);
	const base = Math.max(...got);
	t.ASSERT_GT(base, 0, "one thread maps it");
	t.ASSERT_EQ(Math.min(...got), -EINVAL, "the other does not");
	t.ASSERT_EQ(sys.load8(base + PAGE), 7, "what the thread wrote");

	// two processes at the same address, each with page tables of its own
	const info = bpf_map_get_info_by_fd(r.lib, fd);
	if (typeof info === "number") return t.printFail(`info: ${info}\n`);
	const other = new Raw(t, t.kernel.newProcess());
	const ofd = bpf_map_get_fd_by_id(other.lib, info.id);
	t.ASSERT_GE(ofd, 0, "the other process");
	t.ASSERT_EQ(other.map(ofd), -EINVAL, "anywhere");
	t.ASSERT_EQ(other.map(ofd, base, SIZE - PAGE), -EINVAL, "shorter");
	t.ASSERT_EQ(other.map(ofd, base, SIZE + PAGE), -E2BIG, "longer");
	t.ASSERT_EQ(other.fixed(ofd, base), base, "there");
	t.ASSERT_EQ(r.area(base)?.pages ?? -1, 1, "pages of the first");
	t.ASSERT_EQ(other.area(base)?.pages ?? -1, 0, "pages of the second");
	t.ASSERT_EQ(other.sys.load8(base + PAGE), 7, "the same page");
	other.sys.store8(base + 2 * PAGE, 8);
	t.ASSERT_EQ(other.area(base)?.pages ?? -1, 2, "pages of the second, later");
	t.ASSERT_EQ(r.area(base)?.pages ?? -1, 1, "pages of the first, later");
	// the first goes: nothing changes for the second
	sys.munmap(base, SIZE);
	sys.close(fd);
	t.ASSERT_EQ(other.sys.load8(base + 2 * PAGE), 8, "outlives the first");
	await t.kernel.endProcess(other.sys);
}

export const arenaMmap: ProgTest = {
	name: "arena_mmap",
	async run(t) {
		const parts: readonly [string, (r: Raw) => void | Promise<void>][] = [
			["creation", creation],
			["first", first],
			["boundary", boundary],
			["area", area],
			["populate", populate],
			["rights", rights],
			["several", several],
		];
		for (const [name, part] of parts) if (t.startSubtest(name)) await part(new Raw(t));
		t.endSubtest();
	},
};
