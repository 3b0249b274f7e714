// SPDX-License-Identifier: GPL-2.0-only
/**
 * Red-black trees whose nodes lie in memory that is reached by address (lib/rbtree.c, include/linux/rbtree.h).
 *
 *   struct rb_node:  0 parent, color in bit 0 (1 black)   8 right   16 left
 *   struct rb_root_cached:  0 root   8 leftmost
 */

/** Loads and stores of pointers. */
export interface PtrMemory {
	rptr(va: number): number;
	wptr(va: number, v: number): void;
}

const RIGHT = 8;
const LEFT = 16;

/** A tree of one memory. */
export class RbTree {
	private readonly mem: PtrMemory;
	private readonly root: number;
	constructor(mem: PtrMemory, root: number) {
		this.mem = mem;
		this.root = root;
	}
	get top(): number {
		return this.mem.rptr(this.root);
	}
	get leftmost(): number {
		return this.mem.rptr(this.root + 8);
	}
	left(n: number): number {
		return this.mem.rptr(n + LEFT);
	}
	right(n: number): number {
		return this.mem.rptr(n + RIGHT);
	}
	private pc(n: number): number {
		return this.mem.rptr(n);
	}
	private parent(n: number): number {
		const v = this.pc(n);
		return v - (((v % 4) + 4) % 4);
	}
	private black(n: number): boolean {
		return n === 0 || ((this.pc(n) % 2) + 2) % 2 === 1;
	}
	private set(n: number, parent: number, black: boolean): void {
		this.mem.wptr(n, parent + (black ? 1 : 0));
	}
	private set_parent(n: number, parent: number): void {
		this.set(n, parent, this.black(n));
	}
	private set_black(n: number, black: boolean): void {
		this.set(n, this.parent(n), black);
	}
	private set_child(n: number, side: number, c: number): void {
		this.mem.wptr(n + side, c);
	}
	/** Put `to` where `from` hangs under `parent`. */
	private change_child(from: number, to: number, parent: number): void {
		if (!parent) this.mem.wptr(this.root, to);
		else if (this.left(parent) === from) this.set_child(parent, LEFT, to);
		else this.set_child(parent, RIGHT, to);
	}
	private rotate(n: number, side: number): void {
		const other = side === LEFT ? RIGHT : LEFT;
		const up = this.mem.rptr(n + other);
		const inner = this.mem.rptr(up + side);
		const parent = this.parent(n);
		this.set_child(n, other, inner);
		if (inner) this.set_parent(inner, n);
		this.set_parent(up, parent);
		this.change_child(n, up, parent);
		this.set_child(up, side, n);
		this.set_parent(n, up);
	}

	/** rb_link_node() and rb_insert_color_cached(): at address `link`, under `parent`. */
	insert(node: number, parent: number, link: number, leftmost: boolean): void {
		this.set(node, parent, false);
		this.set_child(node, LEFT, 0);
		this.set_child(node, RIGHT, 0);
		this.mem.wptr(link, node);
		if (leftmost) this.mem.wptr(this.root + 8, node);
		let n = node;
		for (;;) {
			let p = this.parent(n);
			if (!p) {
				this.set(n, 0, true);
				return;
			}
			if (this.black(p)) return;
			const g = this.parent(p);
			const p_left = this.left(g) === p;
			const uncle = p_left ? this.right(g) : this.left(g);
			if (uncle && !this.black(uncle)) {
				this.set_black(p, true);
				this.set_black(uncle, true);
				this.set_black(g, false);
				n = g;
				continue;
			}
			const side = p_left ? LEFT : RIGHT;
			const other = p_left ? RIGHT : LEFT;
			if (this.mem.rptr(p + other) === n) {
				this.rotate(p, side);
				n = p;
				p = this.parent(n);
			}
			this.set_black(p, true);
			this.set_black(g, false);
			this.rotate(g, other);
			return;
		}
	}

	/** rb_next() */
	next(n: number): number {
		let c = this.right(n);
		if (c) {
			for (let l = this.left(c); l; l = this.left(c)) c = l;
			return c;
		}
		let from = n;
		let p = this.parent(from);
		while (p && this.right(p) === from) {
			from = p;
			p = this.parent(from);
		}
		return p;
	}

	/** rb_erase_cached() */
	erase(node: number): void {
		if (this.leftmost === node) this.mem.wptr(this.root + 8, this.next(node));
		const l = this.left(node);
		const r = this.right(node);
		const p = this.parent(node);
		let child: number;
		let up: number;
		let removed_black: boolean;
		if (!l || !r) {
			child = l || r;
			up = p;
			removed_black = this.black(node);
			this.change_child(node, child, p);
			if (child) this.set_parent(child, p);
		} else {
			let s = r;
			for (let x = this.left(s); x; x = this.left(s)) s = x;
			removed_black = this.black(s);
			child = this.right(s);
			up = this.parent(s);
			if (up === node) up = s;
			else {
				this.set_child(up, LEFT, child);
				if (child) this.set_parent(child, up);
				this.set_child(s, RIGHT, r);
				this.set_parent(r, s);
			}
			this.set_child(s, LEFT, l);
			this.set_parent(l, s);
			this.set(s, p, this.black(node));
			this.change_child(node, s, p);
		}
		if (removed_black) this.erase_color(child, up);
	}

	private erase_color(node: number, parent: number): void {
		let n = node;
		let p = parent;
		while (p && this.black(n)) {
			const is_left = this.left(p) === n;
			const side = is_left ? LEFT : RIGHT;
			const other = is_left ? RIGHT : LEFT;
			let s = this.mem.rptr(p + other);
			if (!this.black(s)) {
				this.set_black(s, true);
				this.set_black(p, false);
				this.rotate(p, side);
				s = this.mem.rptr(p + other);
			}
			if (this.black(this.mem.rptr(s + side)) && this.black(this.mem.rptr(s + other))) {
				this.set_black(s, false);
				n = p;
				p = this.parent(n);
				continue;
			}
			if (this.black(this.mem.rptr(s + other))) {
				this.set_black(this.mem.rptr(s + side), true);
				this.set_black(s, false);
				this.rotate(s, other);
				s = this.mem.rptr(p + other);
			}
			this.set_black(s, this.black(p));
			this.set_black(p, true);
			this.set_black(this.mem.rptr(s + other), true);
			this.rotate(p, side);
			return;
		}
		if (n) this.set_black(n, true);
	}

	/** All nodes, children before parents. */
	postorder(): number[] {
		const out: number[] = [];
		const walk = (n: number): void => {
			if (!n) return;
			walk(this.left(n));
			walk(this.right(n));
			out.push(n);
		};
		walk(this.top);
		return out;
	}
}
