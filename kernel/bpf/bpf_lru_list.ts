// SPDX-License-Identifier: GPL-2.0-only
/**
 * kernel/bpf/bpf_lru_list.c: which element of an LRU hash goes when a new one comes. Nodes move between
 * the active, inactive and free lists; a CPU takes free ones in advance into its own lists. The lists
 * are objects here; the reference bit lies in the guest's element, where inlined lookups set it.
 */
import type { Kernel } from "../kernel.ts";
import { impl } from "../kernel_impl.ts";

const LOCAL_FREE_TARGET = 128;
const LOCAL_NR_SCANS = LOCAL_FREE_TARGET;
const PERCPU_FREE_TARGET = 4;
const PERCPU_NR_SCANS = PERCPU_FREE_TARGET;

const ACTIVE = 0;
const INACTIVE = 1;
const FREE = 2;
const LOCAL_FREE = 3;
const LOCAL_PENDING = 4;

/** struct list_head */
export class list_head {
	next: list_head = this;
	prev: list_head = this;
	get empty(): boolean {
		return this.next === this;
	}
	/** list_add(): put `node` right behind this head. */
	add(node: list_head): void {
		node.next = this.next;
		node.prev = this;
		this.next.prev = node;
		this.next = node;
	}
	/** list_del() */
	del(): void {
		this.next.prev = this.prev;
		this.prev.next = this.next;
		this.next = this;
		this.prev = this;
	}
	/** list_move(): to right behind `head`. */
	move(head: list_head): void {
		this.del();
		head.add(this);
	}
}

/** struct bpf_lru_node: its owner keeps the hash and the reference bit. */
export abstract class bpf_lru_node extends list_head {
	cpu = 0;
	type = FREE;
	abstract hash: number;
	abstract get ref(): boolean;
	abstract set ref(v: boolean);
}

/** struct bpf_lru_list */
class bpf_lru_list {
	readonly lists = [new list_head(), new list_head(), new list_head()] as const;
	readonly counts = [0, 0];
	next_inactive_rotation: list_head = this.lists[INACTIVE];

	private count(type: number, by: number): void {
		if (type < 2) this.counts[type]! += by;
	}
	private step_rotation(node: bpf_lru_node): void {
		if (node === this.next_inactive_rotation) this.next_inactive_rotation = node.prev;
	}
	move_to_free(node: bpf_lru_node, free_list: list_head, type: number): void {
		this.step_rotation(node);
		this.count(node.type, -1);
		node.type = type;
		node.move(free_list);
	}
	move_in(node: bpf_lru_node, type: number): void {
		this.count(type, 1);
		node.type = type;
		node.ref = false;
		node.move(this.lists[type as 0 | 1 | 2]);
	}
	move(node: bpf_lru_node, type: number): void {
		if (node.type !== type) {
			this.count(node.type, -1);
			this.count(type, 1);
			node.type = type;
		}
		node.ref = false;
		this.step_rotation(node);
		node.move(this.lists[type as 0 | 1 | 2]);
	}
}

/** struct bpf_lru_locallist */
class bpf_lru_locallist {
	readonly free = new list_head();
	readonly pending = new list_head();
	next_steal: number;
	constructor(cpu: number) {
		this.next_steal = cpu;
	}
	pop_free(): bpf_lru_node | null {
		if (this.free.empty) return null;
		const node = this.free.next as bpf_lru_node;
		node.del();
		return node;
	}
}

/** struct bpf_lru */
export class bpf_lru {
	private readonly kernel: Kernel;
	private readonly percpu: boolean;
	private readonly del_from_htab: (node: bpf_lru_node) => boolean;
	private readonly lru_list = new bpf_lru_list();
	private readonly local_list: bpf_lru_locallist[] = [];
	private readonly percpu_lru: bpf_lru_list[] = [];
	private readonly nr_scans: number;
	private target_free = 0;

	/** kernel/bpf/bpf_lru_list.c: bpf_lru_init */
	constructor(kernel: Kernel, percpu: boolean, del_from_htab: (node: bpf_lru_node) => boolean) {
		this.kernel = kernel;
		this.percpu = percpu;
		this.del_from_htab = del_from_htab;
		this.nr_scans = percpu ? PERCPU_NR_SCANS : LOCAL_NR_SCANS;
		for (let cpu = 0; cpu < kernel.config.cpus; cpu++) {
			if (percpu) this.percpu_lru.push(new bpf_lru_list());
			else this.local_list.push(new bpf_lru_locallist(cpu));
		}
	}

	/** kernel/bpf/bpf_lru_list.c: bpf_lru_populate */
	populate(nodes: readonly bpf_lru_node[]): void {
		const { cpus } = this.kernel.config;
		if (!this.percpu) {
			for (const node of nodes) {
				node.type = FREE;
				node.ref = false;
				this.lru_list.lists[FREE].add(node);
			}
			this.target_free = Math.min(
				Math.max(Math.floor(Math.floor(nodes.length / cpus) / 2), 1),
				LOCAL_FREE_TARGET,
			);
			return;
		}
		const each = Math.floor(nodes.length / cpus);
		let i = 0;
		for (let cpu = 0; cpu < cpus && i < nodes.length; cpu++) {
			do {
				const node = nodes[i]!;
				node.cpu = cpu;
				node.type = FREE;
				node.ref = false;
				this.percpu_lru[cpu]!.lists[FREE].add(node);
				i++;
			} while (i < nodes.length && i % each);
		}
	}

	private rotate_active(l: bpf_lru_list): void {
		const active = l.lists[ACTIVE];
		const first = active.next;
		let i = 0;
		for (let n = active.prev; n !== active; ) {
			const node = n as bpf_lru_node;
			n = n.prev;
			l.move(node, node.ref ? ACTIVE : INACTIVE);
			if (++i === this.nr_scans || node === first) break;
		}
	}
	private rotate_inactive(l: bpf_lru_list): void {
		const inactive = l.lists[INACTIVE];
		if (inactive.empty) return;
		let next: list_head = inactive;
		let last = l.next_inactive_rotation.next;
		if (last === inactive) last = last.next;
		let cur = l.next_inactive_rotation;
		let i = 0;
		while (i < this.nr_scans) {
			if (cur === inactive) {
				cur = cur.prev;
				continue;
			}
			const node = cur as bpf_lru_node;
			next = cur.prev;
			if (node.ref) l.move(node, ACTIVE);
			if (cur === last) break;
			cur = next;
			i++;
		}
		l.next_inactive_rotation = next;
	}
	private rotate(l: bpf_lru_list): void {
		if (l.counts[INACTIVE]! < l.counts[ACTIVE]!) this.rotate_active(l);
		this.rotate_inactive(l);
	}
	private shrink_inactive(l: bpf_lru_list, tgt: number, free_list: list_head, type: number): number {
		const inactive = l.lists[INACTIVE];
		let nshrinked = 0;
		let i = 0;
		for (let n = inactive.prev; n !== inactive; ) {
			const node = n as bpf_lru_node;
			n = n.prev;
			if (node.ref) l.move(node, ACTIVE);
			else if (this.del_from_htab(node)) {
				l.move_to_free(node, free_list, type);
				if (++nshrinked === tgt) break;
			}
			if (++i === this.nr_scans) break;
		}
		return nshrinked;
	}
	private shrink(l: bpf_lru_list, tgt: number, free_list: list_head, type: number): number {
		const n = this.shrink_inactive(l, tgt, free_list, type);
		if (n) return n;
		const list = l.lists[l.lists[INACTIVE].empty ? ACTIVE : INACTIVE];
		for (let p = list.prev; p !== list; ) {
			const node = p as bpf_lru_node;
			p = p.prev;
			if (this.del_from_htab(node)) {
				l.move_to_free(node, free_list, type);
				return 1;
			}
		}
		return 0;
	}
	private local_flush(loc: bpf_lru_locallist): void {
		for (let n = loc.pending.prev; n !== loc.pending; ) {
			const node = n as bpf_lru_node;
			n = n.prev;
			this.lru_list.move_in(node, node.ref ? ACTIVE : INACTIVE);
		}
	}
	private pop_free_to_local(loc: bpf_lru_locallist): void {
		const l = this.lru_list;
		let nfree = 0;
		this.local_flush(loc);
		this.rotate(l);
		const free = l.lists[FREE];
		for (let n = free.next; n !== free; ) {
			const node = n as bpf_lru_node;
			n = n.next;
			l.move_to_free(node, loc.free, LOCAL_FREE);
			if (++nfree === this.target_free) break;
		}
		if (nfree < this.target_free) this.shrink(l, this.target_free - nfree, loc.free, LOCAL_FREE);
	}
	private local_add_pending(loc: bpf_lru_locallist, cpu: number, node: bpf_lru_node, hash: number): void {
		node.hash = hash;
		node.cpu = cpu;
		node.type = LOCAL_PENDING;
		node.ref = false;
		loc.pending.add(node);
	}
	private local_pop_pending(loc: bpf_lru_locallist): bpf_lru_node | null {
		for (const force of [false, true]) {
			for (let n = loc.pending.prev; n !== loc.pending; n = n.prev) {
				const node = n as bpf_lru_node;
				if ((!node.ref || force) && this.del_from_htab(node)) {
					node.del();
					return node;
				}
			}
		}
		return null;
	}

	/** kernel/bpf/bpf_lru_list.c: bpf_lru_pop_free */
	pop_free(hash: number): bpf_lru_node | null {
		const { cpu } = impl(this.kernel);
		if (this.percpu) {
			const l = this.percpu_lru[cpu]!;
			this.rotate(l);
			const free = l.lists[FREE];
			if (free.empty) this.shrink(l, PERCPU_FREE_TARGET, free, FREE);
			if (free.empty) return null;
			const node = free.next as bpf_lru_node;
			node.hash = hash;
			node.ref = false;
			l.move(node, INACTIVE);
			return node;
		}
		const loc = this.local_list[cpu]!;
		let node = loc.pop_free();
		if (!node) {
			this.pop_free_to_local(loc);
			node = loc.pop_free();
		}
		if (node) {
			this.local_add_pending(loc, cpu, node, hash);
			return node;
		}
		const first_steal = loc.next_steal;
		let steal = first_steal;
		do {
			const from = this.local_list[steal]!;
			node = from.pop_free() ?? this.local_pop_pending(from);
			steal = (steal + 1) % this.local_list.length;
		} while (!node && steal !== first_steal);
		loc.next_steal = steal;
		if (node) this.local_add_pending(loc, cpu, node, hash);
		return node;
	}

	/** kernel/bpf/bpf_lru_list.c: bpf_lru_push_free */
	push_free(node: bpf_lru_node): void {
		if (this.percpu) {
			this.percpu_lru[node.cpu]!.move(node, FREE);
			return;
		}
		if (node.type === FREE || node.type === LOCAL_FREE) {
			this.kernel.printk("WARNING: bpf_lru_push_free: the node is free already");
			return;
		}
		if (node.type === LOCAL_PENDING) {
			node.type = LOCAL_FREE;
			node.ref = false;
			node.move(this.local_list[node.cpu]!.free);
			return;
		}
		this.lru_list.move(node, FREE);
	}
}
