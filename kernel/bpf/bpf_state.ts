// SPDX-License-Identifier: GPL-2.0-only
/** The state of kernel/bpf of one kernel: ids, tables, and what the kernel's files keep in statics. */
import type { Cpu } from "../../arch/arch.ts";
import type { Kernel } from "../kernel.ts";
import type { ArenaEvent } from "./arena_watch.ts";
import type { bpf_link } from "./bpf_link.ts";
import { LocalStorages } from "./bpf_local_storage.ts";
import type { bpf_struct_ops } from "./bpf_struct_ops.ts";
import type { bpf_map, bpf_prog, bpf_verifier_ops } from "./bpf_types.ts";
import type { btf, btf_field, btf_record, btf_struct_meta, kmodule } from "./btf_types.ts";
import type { StateEmbedding } from "./embed.ts";
import { __htab_map_lookup_elem } from "./hashtab.ts";
import type { VerifierHeap } from "./heap.ts";
import type { HelperBody } from "./helper_types.ts";
import type { InsnMaps } from "./insn_map.ts";
import type { ArchJit } from "./jit.ts";
import type { VerifierBtfIds } from "./predicates.ts";
import type { bpf_ringbuf } from "./ringbuf.ts";
import type { seq_file } from "./seq_file.ts";
import type { BpfSubsystem } from "./subsystem.ts";
import type { bpf_async_cb } from "./timer.ts";
import type { bpf_tramp_image, bpf_trampoline } from "./trampoline.ts";

const INT_MAX = 0x7fffffff;

/** lib/idr.c: ids given out cyclically. */
export class Idr<T> {
	readonly map: Map<number, T>;
	private next = 1;
	constructor(map: Map<number, T> = new Map()) {
		this.map = map;
	}
	/** idr_alloc_cyclic(start, INT_MAX) */
	alloc_cyclic(v: T, start = 1): number {
		let id = Math.max(this.next, start);
		if (id >= INT_MAX) id = start;
		const first = id;
		while (this.map.has(id)) {
			id++;
			if (id >= INT_MAX) id = start;
			if (id === first) return -28;
		}
		this.next = id + 1;
		this.map.set(id, v);
		return id;
	}
	find(id: number): T | undefined {
		return this.map.get(id);
	}
	remove(id: number): void {
		this.map.delete(id);
	}
	/** idr_get_next(): the entry with the lowest id that is not below. */
	get_next(id: number): { id: number; entry: T } | null {
		let best = -1;
		for (const k of this.map.keys()) if (k >= id && (best < 0 || k < best)) best = k;
		return best < 0 ? null : { id: best, entry: this.map.get(best)! };
	}
}

/** What boot() gives it. */
export interface BpfStateInit {
	bpf_get_btf_vmlinux(): btf | number;
	verifier_ops(prog_type: number): bpf_verifier_ops | undefined;
}

export class BpfState implements BpfSubsystem {
	readonly kernel: Kernel;
	private readonly init: BpfStateInit;
	readonly progs: Map<number, bpf_prog> = new Map();
	readonly maps: Map<number, bpf_map> = new Map();
	readonly btfs: Map<number, btf> = new Map();
	readonly links: Map<number, bpf_link> = new Map();
	readonly prog_idr: Idr<bpf_prog> = new Idr(this.progs);
	readonly map_idr: Idr<bpf_map> = new Idr(this.maps);
	readonly btf_idr: Idr<btf> = new Idr(this.btfs);
	readonly link_idr: Idr<bpf_link> = new Idr(this.links);
	readonly module_btfs: Map<string, { btf: btf; module: kmodule }> = new Map();
	readonly bodies: Map<string, HelperBody> = new Map();
	/** Bodies that take their arguments from the CPU's registers, beside the ones above: for what is called very often. */
	readonly direct: Map<string, (cpu: Cpu) => bigint | number> = new Map();
	/** Which map a pointer is: guest address → map; inner maps and programs' maps too. */
	readonly map_by_addr: Map<number, bpf_map> = new Map();
	/** The one that was last looked up there. */
	last_map: bpf_map | null = null;
	readonly prog_by_addr: Map<number, bpf_prog> = new Map();
	/** Files of iterators by the address of their struct seq_file. */
	readonly seq_files: Map<number, seq_file> = new Map();
	/** session_id of kernel/bpf/bpf_iter.c */
	iter_session_id = 0n;
	/** Ring buffers by the address of their struct. */
	readonly ringbufs: Map<number, bpf_ringbuf> = new Map();
	/** The one that a record was last found in. */
	last_ringbuf: bpf_ringbuf | null = null;
	readonly layout_cache: Map<string, number> = new Map();
	jit: ArchJit | null = null;
	readonly prog_stats: Map<bpf_prog, { nsecs: bigint; cnt: bigint; misses: bigint }> = new Map();
	/** prog->active: runs under way, per CPU */
	readonly prog_active: Map<bpf_prog, Int32Array> = new Map();
	/** Images of trampolines by the address of their struct. */
	readonly tramp_images: Map<number, bpf_tramp_image> = new Map();
	verifier_heap?: VerifierHeap;
	verifier_ids?: VerifierBtfIds;
	readonly ksyms: Set<bpf_prog> = new Set();
	struct_metas?: Map<bigint, btf_struct_meta>;
	trampolines?: Map<bigint, bpf_trampoline>;
	error_injection?: Set<string>;
	embedding: StateEmbedding | null = null;
	/** Sees what happens to arenas, when somebody watches. */
	arena_watch: ((event: ArenaEvent) => void) | null = null;
	insn_maps: InsnMaps | null = null;
	struct_ops?: bpf_struct_ops[];
	/** bpf_testmod.c: st_ops: the registered struct bpf_testmod_st_ops, 0: none */
	testmod_st_ops = 0;
	/** bpf_stats_enabled_key */
	stats_enabled = 0;
	/** bpf_map_cookie */
	map_cookie = 0n;
	/** Another kernel's map addresses, for comparing with its records. */
	foreign_map_addr: ((name: string, ordinal: number) => bigint | undefined) | null = null;
	/** Maps created so far: the ordinal for the function above. */
	maps_created = 0;
	/** current->bpf_ctx's cgroup storage: shared, and the per-CPU pointer; 0: none */
	cgroup_storage: readonly [number, number] = [0, 0];
	/** Elements of task, socket, inode and cgroup storage */
	readonly local_storage = new LocalStorages();
	/** bpf_timer and bpf_wq objects by address, and the timer whose callback runs. */
	readonly asyncs: Map<number, bpf_async_cb> = new Map();
	hrtimer_running: bpf_async_cb | null = null;
	/** Packet access of dynptrs; net/ sets them. Errors are negative errnos. */
	skb_load_bytes?: (skb: number, offset: number, to: number, len: number) => number;
	skb_store_bytes?: (skb: number, offset: number, from: number, len: number, flags: bigint) => number;
	xdp_load_bytes?: (xdp: number, offset: number, to: number, len: number) => number;
	xdp_store_bytes?: (xdp: number, offset: number, from: number, len: number) => number;
	/** __btf_new_fd() for helpers that hand out a module's BTF. */
	btf_fd?: (b: btf) => number;
	/** How special fields that need more than a store are freed, by BPF_TIMER and the like. */
	readonly field_free: Map<number, (kernel: Kernel, rec: btf_record, field: btf_field, obj: number) => void> =
		new Map();
	/** printk once a key */
	readonly warned: Set<string> = new Set();

	constructor(kernel: Kernel, init: BpfStateInit) {
		this.kernel = kernel;
		this.init = init;
	}
	bpf_get_btf_vmlinux(): btf | number {
		return this.init.bpf_get_btf_vmlinux();
	}
	verifier_ops(prog_type: number): bpf_verifier_ops | undefined {
		return this.init.verifier_ops(prog_type);
	}
	/** The map behind a pointer that a program passed. */
	map_of(ptr: bigint): bpf_map {
		return this.map_at(Number(BigInt.asIntN(64, ptr)));
	}
	map_at(addr: number): bpf_map {
		if (this.last_map?.addr === addr) return this.last_map;
		const map = this.map_by_addr.get(addr);
		if (!map) throw new Error(`0x${BigInt.asUintN(64, BigInt(addr)).toString(16)} is no map`);
		this.last_map = map;
		return map;
	}
	/** The program behind a pointer to its aux. */
	prog_of_aux(aux: bigint): bpf_prog {
		const at = Number(BigInt.asIntN(64, aux));
		for (const prog of this.prog_by_addr.values()) if (prog.aux.addr === at) return prog;
		throw new Error(`0x${aux.toString(16)} is no program's aux`);
	}
	/** __htab_map_lookup_elem() */
	htab_lookup(map: bpf_map, key: number): number {
		return __htab_map_lookup_elem(map, key);
	}
	/** "not ported" for the kernel log, once a subject. */
	not_ported(what: string): void {
		if (this.warned.has(what)) return;
		this.warned.add(what);
		this.kernel.printk(`not ported: ${what}`);
	}
}
