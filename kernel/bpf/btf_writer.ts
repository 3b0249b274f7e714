// SPDX-License-Identifier: GPL-2.0-only
/**
 * Writing BTF: types one by one (`BtfWriter`), or from declarations in C's own notation (`btf_from_c`), with
 * members laid out as a C compiler does for LP64.
 *
 *   typedef unsigned int u32;                 enum e { A, B = 5 };            union u { … };
 *   struct s { u32 a; u8 b : 3; struct t *p; char name[16]; struct { int x; }; };
 *   struct s { u32 a; u64 far @120; } @4096;  what else the struct has is left out: offset and size are given
 *   struct opaque @64;                        of that size, its members unknown
 *   int func(struct s __rcu *p, const char *fmt, ...);      percpu int name;      (a variable, .data..percpu)
 *
 * Type tags are `__user`, `__rcu` and `__percpu`, on what a pointer points at.
 */
import {
	BTF_FUNC_STATIC,
	BTF_INT_BOOL,
	BTF_INT_SIGNED,
	BTF_KIND_ARRAY,
	BTF_KIND_CONST,
	BTF_KIND_DATASEC,
	BTF_KIND_ENUM,
	BTF_KIND_ENUM64,
	BTF_KIND_FUNC,
	BTF_KIND_FUNC_PROTO,
	BTF_KIND_INT,
	BTF_KIND_PTR,
	BTF_KIND_STRUCT,
	BTF_KIND_TYPE_TAG,
	BTF_KIND_TYPEDEF,
	BTF_KIND_UNION,
	BTF_KIND_VAR,
	BTF_KIND_VOLATILE,
	BTF_MAGIC,
	BTF_VAR_GLOBAL_ALLOCATED,
	BTF_VERSION,
} from "../../include/uapi/linux/btf.ts";

import {
	__btf_resolve_size,
	btf_find_by_name_kind,
	btf_kind,
	type btf_obj,
	btf_type_by_id,
} from "./btf_obj.ts";

/** A member as it is written: bit offset, and bits when it is a bitfield. */
export interface WrittenMember {
	name: string;
	type: number;
	bit_offset: number;
	bits: number;
}

/**
 * Builds a BTF blob; ids are given out from 1 in the order of the calls, or after those of the base that a split
 * BTF stands on.
 */
export class BtfWriter {
	private readonly words: number[] = [];
	private strings: string;
	private readonly offs = new Map<string, number>([["", 0]]);
	private readonly start_str_off: number;
	/** Anonymous types (pointers, arrays, …) by what they say, so that each is written once. */
	private readonly known = new Map<string, number>();
	nr_types: number;

	constructor(base: btf_obj | null = null) {
		this.strings = base ? "" : "\0";
		this.start_str_off = base ? base.hdr.str_len : 0;
		this.nr_types = base ? base.nr_types - 1 : 0;
	}

	str(s: string): number {
		let off = this.offs.get(s);
		if (off === undefined) {
			off = this.start_str_off + this.strings.length;
			this.strings += `${s}\0`;
			this.offs.set(s, off);
		}
		return off;
	}
	/** A type's header and what follows it. */
	add(
		name: string,
		kind: number,
		vlen: number,
		size_or_type: number,
		extra: readonly number[] = [],
		kflag = false,
	): number {
		this.words.push(this.str(name), (kflag ? 0x80000000 : 0) | (kind << 24) | vlen, size_or_type, ...extra);
		return ++this.nr_types;
	}
	private once(
		name: string,
		kind: number,
		vlen: number,
		type: number,
		extra: readonly number[] = [],
	): number {
		const key = `${kind} ${vlen} ${type} ${name} ${extra.join(" ")}`;
		let id = this.known.get(key);
		if (id === undefined) {
			id = this.add(name, kind, vlen, type, extra);
			this.known.set(key, id);
		}
		return id;
	}
	int(name: string, size: number, encoding: number, bits = size * 8): number {
		return this.once(name, BTF_KIND_INT, 0, size, [(encoding << 24) | bits]);
	}
	ptr(type: number): number {
		return this.once("", BTF_KIND_PTR, 0, type);
	}
	array(type: number, index_type: number, nelems: number): number {
		return this.once("", BTF_KIND_ARRAY, 0, 0, [type, index_type, nelems]);
	}
	const(type: number): number {
		return this.once("", BTF_KIND_CONST, 0, type);
	}
	volatile(type: number): number {
		return this.once("", BTF_KIND_VOLATILE, 0, type);
	}
	type_tag(value: string, type: number): number {
		return this.once(value, BTF_KIND_TYPE_TAG, 0, type);
	}
	typedef(name: string, type: number): number {
		return this.once(name, BTF_KIND_TYPEDEF, 0, type);
	}
	func_proto(ret: number, params: readonly { name: string; type: number }[]): number {
		return this.once(
			"",
			BTF_KIND_FUNC_PROTO,
			params.length,
			ret,
			params.flatMap((p) => [this.str(p.name), p.type]),
		);
	}
	func(name: string, proto: number, linkage: number): number {
		return this.add(name, BTF_KIND_FUNC, linkage, proto);
	}
	/** A struct or union that will be filled in later: its id may be referred to at once. */
	reserve_struct(name: string, is_union: boolean, nr_members: number): { id: number; at: number } {
		const id = this.add(
			name,
			is_union ? BTF_KIND_UNION : BTF_KIND_STRUCT,
			nr_members,
			0,
			new Array<number>(nr_members * 3).fill(0),
		);
		return { id, at: this.words.length - nr_members * 3 - 3 };
	}
	fill_struct(at: number, size: number, members: readonly WrittenMember[]): void {
		const kflag = members.some((m) => m.bits > 0);
		if (kflag) this.words[at + 1] = (this.words[at + 1]! | 0x80000000) >>> 0;
		this.words[at + 2] = size;
		members.forEach((m, i) => {
			this.words[at + 3 + 3 * i] = this.str(m.name);
			this.words[at + 4 + 3 * i] = m.type;
			this.words[at + 5 + 3 * i] = kflag ? ((m.bits << 24) | m.bit_offset) >>> 0 : m.bit_offset;
		});
	}
	enum(name: string, size: number, values: readonly [string, bigint][]): number {
		const signed = values.some(([, v]) => v < 0n);
		if (size <= 4)
			return this.add(
				name,
				BTF_KIND_ENUM,
				values.length,
				size,
				values.flatMap(([n, v]) => [this.str(n), Number(BigInt.asUintN(32, v))]),
				signed,
			);
		return this.add(
			name,
			BTF_KIND_ENUM64,
			values.length,
			size,
			values.flatMap(([n, v]) => [
				this.str(n),
				Number(BigInt.asUintN(32, v)),
				Number(BigInt.asUintN(32, v >> 32n)),
			]),
			signed,
		);
	}
	var(name: string, type: number): number {
		return this.add(name, BTF_KIND_VAR, 0, type, [BTF_VAR_GLOBAL_ALLOCATED]);
	}
	datasec(
		name: string,
		size: number,
		vars: readonly { type: number; offset: number; size: number }[],
	): number {
		return this.add(
			name,
			BTF_KIND_DATASEC,
			vars.length,
			size,
			vars.flatMap((v) => [v.type, v.offset, v.size]),
		);
	}
	bytes(): Uint8Array {
		const str = Buffer.from(this.strings, "latin1");
		const types = this.words.length * 4;
		const out = new Uint8Array(24 + types + str.length);
		const dv = new DataView(out.buffer);
		dv.setUint16(0, BTF_MAGIC, true);
		out[2] = BTF_VERSION;
		dv.setUint32(4, 24, true);
		dv.setUint32(12, types, true);
		dv.setUint32(16, types, true);
		dv.setUint32(20, str.length, true);
		this.words.forEach((w, i) => {
			dv.setUint32(24 + i * 4, w, true);
		});
		out.set(str, 24 + types);
		return out;
	}
}

/** A type as declarations use it: its id, and what layout needs. */
interface CType {
	readonly id: number;
	size: number;
	align: number;
}

const INTS: readonly (readonly [string, string, number, number])[] = [
	["char", "char", 1, BTF_INT_SIGNED],
	["signed char", "signed char", 1, BTF_INT_SIGNED],
	["unsigned char", "unsigned char", 1, 0],
	["short", "short", 2, BTF_INT_SIGNED],
	["unsigned short", "unsigned short", 2, 0],
	["int", "int", 4, BTF_INT_SIGNED],
	["unsigned int", "unsigned int", 4, 0],
	["long", "long", 8, BTF_INT_SIGNED],
	["unsigned long", "unsigned long", 8, 0],
	["long long", "long long", 8, BTF_INT_SIGNED],
	["unsigned long long", "unsigned long long", 8, 0],
	["_Bool", "_Bool", 1, BTF_INT_BOOL],
	["__int128", "__int128", 16, BTF_INT_SIGNED],
	["unsigned __int128", "unsigned __int128", 16, 0],
];
const INT_WORDS = new Set(["char", "short", "int", "long", "signed", "unsigned", "_Bool", "__int128"]);
const TAGS: Readonly<Record<string, string>> = { __user: "user", __rcu: "rcu", __percpu: "percpu" };

/** Reads declarations and writes them as BTF. */
class Declarations {
	readonly w: BtfWriter;
	private readonly toks: string[];
	private at = 0;
	private readonly typedefs = new Map<string, CType>();
	private readonly tagged = new Map<string, CType & { word: number; complete: boolean }>();
	private readonly percpu: { type: number; offset: number; size: number }[] = [];
	private percpu_end = 0;
	/** Members of each struct that has a body, by "struct name". */
	private readonly bodies = new Map<string, number>();

	private readonly base: btf_obj | null;

	constructor(text: string, base: btf_obj | null) {
		this.base = base;
		this.w = new BtfWriter(base);
		this.toks = text.match(/\/\/[^\n]*|\.\.\.|[A-Za-z_]\w*|-?(?:0x[\da-fA-F]+|\d+)|[^\s]/g) ?? [];
		this.toks = this.toks.filter((t) => !t.startsWith("//"));
		for (this.at = 0; this.at < this.toks.length; this.at++) {
			const t = this.toks[this.at]!;
			if ((t !== "struct" && t !== "union") || this.toks[this.at + 2] !== "{") continue;
			const key = `${t} ${this.toks[this.at + 1]}`;
			this.at += 2;
			this.bodies.set(key, this.count_members());
		}
		this.at = 0;
		if (!base) for (const [, name, size, enc] of INTS) this.w.int(name, size, enc);
	}

	/** A type of the base by name; null when there is none (or no base). */
	private in_base(kind: number, name: string): CType | null {
		if (!this.base || name === "") return null;
		const id = btf_find_by_name_kind(this.base, name, kind);
		if (id < 0) return null;
		const r = __btf_resolve_size(this.base, btf_type_by_id(this.base, id)!);
		if (typeof r === "number") return { id, size: 1, align: 1 };
		let align = Math.min(8, r.elem_type.size || 1);
		if (btf_kind(r.elem_type) === BTF_KIND_PTR) align = 8;
		while (r.size % align) align /= 2;
		return { id, size: r.size, align };
	}
	private int_id(name: string, size: number, enc: number): number {
		return this.in_base(BTF_KIND_INT, name)?.id ?? this.w.int(name, size, enc);
	}

	private peek(): string {
		return this.toks[this.at] ?? "";
	}
	private next(): string {
		return this.toks[this.at++] ?? "";
	}
	private accept(t: string): boolean {
		if (this.peek() !== t) return false;
		this.at++;
		return true;
	}
	private expect(t: string): void {
		const got = this.next();
		if (got !== t)
			throw new Error(
				`types: expected '${t}' and not '${got}' in: ${this.toks.slice(Math.max(0, this.at - 12), this.at + 4).join(" ")}`,
			);
	}
	private number(): number {
		return Number(this.next());
	}

	all(): Uint8Array {
		while (this.at < this.toks.length) this.declaration();
		if (this.percpu.length > 0) this.w.datasec(".data..percpu", this.percpu_end, this.percpu);
		return this.w.bytes();
	}

	private declaration(): void {
		if (this.accept("typedef")) {
			const base = this.specifiers();
			const { name, type } = this.declarator(base);
			this.expect(";");
			this.typedefs.set(name, { ...type, id: this.w.typedef(name, type.id) });
			return;
		}
		if (this.accept("percpu")) {
			const base = this.specifiers();
			const { name, type } = this.declarator(base);
			this.expect(";");
			const offset = Math.ceil(this.percpu_end / type.align) * type.align;
			this.percpu.push({ type: this.w.var(name, type.id), offset, size: type.size });
			this.percpu_end = offset + type.size;
			return;
		}
		const base = this.specifiers();
		if (this.accept(";")) return;
		// a function: its declarator ends with the parameters
		let ret = base;
		while (this.accept("*")) ret = this.pointer_to(ret);
		const name = this.next();
		this.expect("(");
		const proto = this.w.func_proto(ret.id, this.params());
		this.expect(";");
		this.w.func(name, proto, BTF_FUNC_STATIC);
	}

	/** After "(": parameters up to and with ")". */
	private params(): { name: string; type: number }[] {
		const out: { name: string; type: number }[] = [];
		if (this.accept(")")) return out;
		for (;;) {
			if (this.accept("...")) {
				out.push({ name: "", type: 0 });
			} else {
				const base = this.specifiers();
				const { name, type } = this.declarator(base);
				// (void)
				if (!(type.id === 0 && name === "" && this.peek() === ")")) out.push({ name, type: type.id });
			}
			if (this.accept(")")) return out;
			this.expect(",");
		}
	}

	/** Declaration specifiers: a type with its qualifiers and tags, less pointers. */
	private specifiers(): CType {
		const words: string[] = [];
		let type: CType | null = null;
		let is_const = false;
		let is_volatile = false;
		const tags: string[] = [];
		for (;;) {
			const t = this.peek();
			if (t === "const") is_const = true;
			else if (t === "volatile") is_volatile = true;
			else if (TAGS[t] !== undefined) tags.push(TAGS[t]!);
			else if (INT_WORDS.has(t) && !type) words.push(t);
			else if (!type && words.length === 0) {
				type = this.named_type();
				continue;
			} else break;
			this.at++;
		}
		let out = type ?? this.int_type(words);
		if (is_volatile) out = { ...out, id: this.w.volatile(out.id) };
		if (is_const) out = { ...out, id: this.w.const(out.id) };
		for (const tag of tags) out = { ...out, id: this.w.type_tag(tag, out.id) };
		return out;
	}

	private int_type(words: readonly string[]): CType {
		const unsigned = words.includes("unsigned");
		const rest = words.filter((x) => x !== "unsigned" && x !== "signed");
		let name = rest.join(" ");
		if (name === "") name = "int";
		name = name.replace(/^(short|long|long long) int$/, "$1");
		if (unsigned) name = `unsigned ${name}`;
		else if (words.includes("signed") && name === "char") name = "signed char";
		const found = INTS.find((i) => i[0] === name);
		if (!found) throw new Error(`types: no type '${words.join(" ")}'`);
		return { id: this.int_id(found[1], found[2], found[3]), size: found[2], align: found[2] };
	}

	private named_type(): CType {
		const t = this.next();
		switch (t) {
			case "void":
				return { id: 0, size: 1, align: 1 };
			case "struct":
			case "union":
				return this.struct_type(t === "union");
			case "enum":
				return this.enum_type();
		}
		const known = this.typedefs.get(t) ?? this.in_base(BTF_KIND_TYPEDEF, t);
		if (!known) throw new Error(`types: '${t}' is not declared`);
		return known;
	}

	/** How many members a body "{ … }" at the cursor has: its semicolons and commas at the top level. */
	private count_members(): number {
		let depth = 0;
		let paren = 0;
		let n = 0;
		for (let i = this.at; ; i++) {
			const t = this.toks[i];
			if (t === undefined) throw new Error("types: struct without end");
			if (t === "{") depth++;
			else if (t === "}") {
				if (--depth === 0) return n;
			} else if (t === "(") paren++;
			else if (t === ")") paren--;
			else if (depth === 1 && paren === 0 && (t === ";" || t === ",")) n++;
		}
	}

	private struct_type(is_union: boolean): CType {
		const name = /^[A-Za-z_]/.test(this.peek()) ? this.next() : "";
		const key = `${is_union ? "union" : "struct"} ${name}`;
		const has_body = this.peek() === "{";
		let known = name ? this.tagged.get(key) : undefined;
		if (!has_body) {
			if (this.peek() === "@") {
				this.at++;
				const size = this.number();
				const align = size % 8 === 0 ? 8 : size % 4 === 0 ? 4 : size % 2 === 0 ? 2 : 1;
				if (!known) {
					const r = this.w.reserve_struct(name, is_union, 0);
					known = { id: r.id, size, align, word: r.at, complete: true };
					this.tagged.set(key, known);
				}
				Object.assign(known, { size, align, complete: true });
				this.w.fill_struct(known.word, size, []);
				return known;
			}
			const base = this.bodies.has(key)
				? null
				: this.in_base(is_union ? BTF_KIND_UNION : BTF_KIND_STRUCT, name);
			if (!known && base) return base;
			if (!known) {
				// named before its body, or never described: then it is empty, and nothing can be read of it
				const r = this.w.reserve_struct(name, is_union, this.bodies.get(key) ?? 0);
				known = { id: r.id, size: 0, align: 1, word: r.at, complete: false };
				this.tagged.set(key, known);
			}
			return known;
		}
		const n = this.count_members();
		if (known?.complete) throw new Error(`types: ${key} is declared twice`);
		if (!known) {
			const r = this.w.reserve_struct(name, is_union, n);
			known = { id: r.id, size: 0, align: 1, word: r.at, complete: false };
			if (name) this.tagged.set(key, known);
		}
		const self: CType & { word: number; complete: boolean } = known;
		this.expect("{");
		const members: WrittenMember[] = [];
		let bit = 0;
		let end = 0;
		while (!this.accept("}")) {
			const base = this.specifiers();
			do {
				const { name: mname, type } = this.peek() === ";" ? { name: "", type: base } : this.declarator(base);
				let bits = 0;
				if (this.accept(":")) bits = this.number();
				let offset: number;
				if (this.accept("@")) {
					offset = this.number() * 8;
					if (this.accept(".")) offset += this.number();
				} else if (is_union) {
					offset = 0;
				} else if (bits > 0) {
					// a bitfield does not cross a boundary of its type
					offset = bit;
					const unit = type.size * 8;
					if (Math.floor(offset / unit) !== Math.floor((offset + bits - 1) / unit))
						offset = Math.ceil(offset / unit) * unit;
				} else {
					offset = Math.ceil(bit / (type.align * 8)) * type.align * 8;
				}
				members.push({ name: mname, type: type.id, bit_offset: offset, bits });
				bit = offset + (bits || type.size * 8);
				end = Math.max(end, bit);
				self.align = Math.max(self.align, type.align);
			} while (this.accept(","));
			this.expect(";");
		}
		self.size = Math.ceil(end / (8 * self.align)) * self.align;
		if (this.accept("@")) self.size = this.number();
		self.complete = true;
		this.w.fill_struct(self.word, self.size, members);
		return self;
	}

	private enum_type(): CType {
		const name = /^[A-Za-z_]/.test(this.peek()) ? this.next() : "";
		const key = `enum ${name}`;
		if (!this.accept("{")) {
			const known = this.tagged.get(key) ?? this.in_base(BTF_KIND_ENUM, name);
			if (!known) throw new Error(`types: ${key} is not declared`);
			return known;
		}
		const values: [string, bigint][] = [];
		let v = 0n;
		while (!this.accept("}")) {
			const ename = this.next();
			if (this.accept("=")) {
				const t = this.next();
				v = t.startsWith("-") ? -BigInt(t.slice(1)) : BigInt(t);
			}
			values.push([ename, v++]);
			this.accept(",");
		}
		let size = values.some(([, x]) => x > 0xffffffffn || x < -0x80000000n) ? 8 : 4;
		if (this.accept("@")) size = this.number();
		const t = { id: this.w.enum(name, size, values), size, align: size, word: -1, complete: true };
		if (name) this.tagged.set(key, t);
		return t;
	}

	private pointer_to(t: CType): CType {
		let p: CType = { id: this.w.ptr(t.id), size: 8, align: 8 };
		for (;;) {
			if (this.accept("const")) p = { ...p, id: this.w.const(p.id) };
			else if (this.accept("volatile")) p = { ...p, id: this.w.volatile(p.id) };
			else if (TAGS[this.peek()] !== undefined) p = { ...p, id: this.w.type_tag(TAGS[this.next()]!, p.id) };
			else return p;
		}
	}

	/** Pointers, a name, arrays; or a pointer to a function `(*name)(…)`. */
	private declarator(base: CType): { name: string; type: CType } {
		let type = base;
		while (this.accept("*")) type = this.pointer_to(type);
		if (this.peek() === "(" && this.toks[this.at + 1] === "*") {
			this.at += 2;
			let stars = 1;
			while (this.accept("*")) stars++;
			const name = /^[A-Za-z_]/.test(this.peek()) ? this.next() : "";
			const dims = this.dimensions();
			this.expect(")");
			this.expect("(");
			const proto = this.w.func_proto(type.id, this.params());
			let t: CType = { id: proto, size: 1, align: 1 };
			for (let i = 0; i < stars; i++) t = { id: this.w.ptr(t.id), size: 8, align: 8 };
			return { name, type: this.arrays(t, dims) };
		}
		const name = /^[A-Za-z_]/.test(this.peek()) ? this.next() : "";
		if (name !== "" && this.peek() === "(") {
			// typedef of a function itself: btf_trace_*, bpf_func_t
			this.at++;
			return { name, type: { id: this.w.func_proto(type.id, this.params()), size: 1, align: 1 } };
		}
		return { name, type: this.arrays(type, this.dimensions()) };
	}
	private dimensions(): number[] {
		const dims: number[] = [];
		while (this.accept("[")) {
			dims.push(this.peek() === "]" ? 0 : this.number());
			this.expect("]");
		}
		return dims;
	}
	private arrays(t: CType, dims: readonly number[]): CType {
		const index = this.int_id("int", 4, BTF_INT_SIGNED);
		return [...dims]
			.reverse()
			.reduce((e, n) => ({ id: this.w.array(e.id, index, n), size: e.size * n, align: e.align }), t);
	}
}

/**
 * The BTF of declarations in C's notation (see above). On a base it is a split BTF: what is not declared is
 * looked for there.
 */
export function btf_from_c(text: string, base: btf_obj | null = null): Uint8Array {
	return new Declarations(text, base).all();
}
