// SPDX-License-Identifier: GPL-2.0-only
/**
 * fs/proc/task_mmu.c: a process's areas as /proc/self/maps and /proc/self/smaps show them. Of smaps the lines about
 * sharing, swap and huge pages are not mirrored: they are left out, not made up.
 */
import type { file } from "../../kernel/file.ts";
import type { Task } from "../../kernel/kernel_impl.ts";
import {
	VM_ACCOUNT,
	VM_DONTCOPY,
	VM_DONTDUMP,
	VM_DONTEXPAND,
	VM_EXEC,
	VM_GROWSDOWN,
	VM_IO,
	VM_LOCKED,
	VM_MAYEXEC,
	VM_MAYREAD,
	VM_MAYSHARE,
	VM_MAYWRITE,
	VM_MIXEDMAP,
	VM_PFNMAP,
	VM_READ,
	VM_SHARED,
	VM_WRITE,
	type vm_area_struct,
} from "../../mm/mm_types.ts";
import { MmStruct } from "../../mm/mmap.ts";

const PAGE_SIZE = 4096;
/** Device and inode of the one anonymous inode; those of shared memory count up from 2. */
const ANON_INODE = "00:0e 1";
/** Column of a file's name. */
const NAME_AT = 73;

/** In order of the bits. */
const MNEMONICS: readonly (readonly [bit: number, name: string])[] = [
	[VM_READ, "rd"],
	[VM_WRITE, "wr"],
	[VM_EXEC, "ex"],
	[VM_SHARED, "sh"],
	[VM_MAYREAD, "mr"],
	[VM_MAYWRITE, "mw"],
	[VM_MAYEXEC, "me"],
	[VM_MAYSHARE, "ms"],
	[VM_GROWSDOWN, "gd"],
	[VM_PFNMAP, "pf"],
	[VM_LOCKED, "lo"],
	[VM_IO, "io"],
	[VM_DONTCOPY, "dc"],
	[VM_DONTEXPAND, "de"],
	[VM_ACCOUNT, "ac"],
	[VM_DONTDUMP, "dd"],
	[VM_MIXEDMAP, "mm"],
];

const hex = (v: number): string => v.toString(16).padStart(8, "0");

/** fs/proc/task_mmu.c: show_map_vma: one line of maps. */
function show_map_vma(vma: vm_area_struct): string {
	const f = vma.vm_flags;
	const has = (bit: number, c: string): string => (f & bit ? c : "-");
	const rights = `${has(VM_READ, "r")}${has(VM_WRITE, "w")}${has(VM_EXEC, "x")}${f & VM_MAYSHARE ? "s" : "p"}`;
	const file = vma.vm_file as unknown as file | null;
	const shmem = !file && f & VM_MAYSHARE;
	const pgoff = file || shmem ? vma.vm_pgoff * PAGE_SIZE : 0;
	const dev = file ? ANON_INODE : shmem ? "00:01 2" : "00:00 0";
	const line = `${hex(vma.vm_start)}-${hex(vma.vm_end)} ${rights} ${hex(pgoff)} ${dev} `;
	const name = file ? `anon_inode:${file.name}` : shmem ? "/dev/zero (deleted)" : "";
	return `${name ? line.padEnd(NAME_AT) + name : line}\n`;
}

/** What of an area is there: pages that its page tables map. */
function resident(mm: MmStruct, vma: vm_area_struct): number {
	const { table } = mm;
	const { vm_start, vm_end } = vma;
	let n = 0;
	for (let va = table.next_mapped(vm_start, vm_end); va < vm_end; n++)
		va = table.next_mapped(va + PAGE_SIZE, vm_end);
	return n;
}

const kb = (name: string, bytes: number): string =>
	`${name.padEnd(15)} ${String(bytes / 1024).padStart(8)} kB\n`;

/** fs/proc/task_mmu.c: show_smap */
function show_smap(mm: MmStruct, vma: vm_area_struct): string {
	let flags = "VmFlags: ";
	for (const [bit, name] of MNEMONICS) if (vma.vm_flags & bit) flags += `${name} `;
	return (
		show_map_vma(vma) +
		kb("Size:", vma.vm_end - vma.vm_start) +
		kb("KernelPageSize:", PAGE_SIZE) +
		kb("MMUPageSize:", PAGE_SIZE) +
		kb("Rss:", resident(mm, vma) * PAGE_SIZE) +
		`${flags}\n`
	);
}

/** The files of a task's areas by path; null for other paths, and on a kernel without page tables. */
export function proc_task_mmu(task: Task, path: string): string | null {
	const { mm } = task;
	if (!(mm instanceof MmStruct)) return null;
	if (path === "/proc/self/maps") return mm.areas().map(show_map_vma).join("");
	if (path === "/proc/self/smaps")
		return mm
			.areas()
			.map((v) => show_smap(mm, v))
			.join("");
	return null;
}
