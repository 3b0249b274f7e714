// SPDX-License-Identifier: GPL-2.0-only
/** `bpf-mirror arena FILE STEP...`: what a person has an object's programs and its process do, a step at a time. */
import { UserFault } from "../include/sys.ts";
import { EINVAL } from "../include/uapi/asm-generic/errno.ts";
import { MAP_FIXED, MAP_SHARED, PROT_READ } from "../include/uapi/asm-generic/mman.ts";
import { BPF_MAP_TYPE_ARENA } from "../include/uapi/linux/bpf.ts";
import { Skel } from "../selftests/bpf/skel.ts";
import { type ProgTest, say, type TestEnv } from "../selftests/bpf/test_env.ts";
import {
	type bpf_map,
	bpf_map__fd,
	bpf_map_get_fd_by_id,
	bpf_map_get_info_by_fd,
	bpf_object__programs,
	bpf_prog_test_run_opts,
	Libbpf,
} from "./lib/bpf/libbpf.ts";
import { strerror } from "./lib/bpf/strerror.ts";

const PAGE = 4096;
const RW = 3;

export type Step =
	| { readonly op: "run"; readonly prog: string }
	/** `at`: the value is the address of that page of the arena. */
	| { readonly op: "set"; readonly name: string; readonly value: bigint; readonly at: boolean }
	| { readonly op: "get"; readonly name: string }
	/** `other`: by another process, which maps the arena first. */
	| { readonly op: "read"; readonly page: number; readonly other: boolean }
	| { readonly op: "write"; readonly page: number; readonly value: bigint; readonly other: boolean }
	| { readonly op: "unmap" | "map" | "protect" };

export const FORMS =
	"run:PROG, set:VAR=N or VAR=@PAGE, get:VAR, read:PAGE, write:PAGE=N (other:read:PAGE, other:write:PAGE=N), unmap, map, protect";

/** A step, or what is wrong with it. */
export function parseStep(text: string): Step | string {
	const bad = `${text} is no step: ${FORMS}`;
	const m =
		/^(?:(unmap|map|protect)|run:(\w+)|get:(\w+)|set:(\w+)=(@?-?\w+)|(other:)?read:(\w+)|(other:)?write:(\w+)=(-?\w+))$/.exec(
			text,
		);
	if (!m) return bad;
	const [, plain, run, get, set, value, o1, read, o2, write, stored] = m;
	const number = (s: string): bigint | null => {
		try {
			return s.startsWith("-") ? -BigInt(s.slice(1)) : BigInt(s);
		} catch {
			return null;
		}
	};
	if (plain) return { op: plain as "unmap" | "map" | "protect" };
	if (run) return { op: "run", prog: run };
	if (get) return { op: "get", name: get };
	const v = number((value ?? stored ?? "0").replace(/^@/, ""));
	if (v === null) return bad;
	if (set) return { op: "set", name: set, value: v, at: value!.startsWith("@") };
	const page = number(read ?? write!);
	if (page === null || page < 0n || page > 1n << 21n) return bad;
	if (read) return { op: "read", page: Number(page), other: o1 !== undefined };
	return { op: "write", page: Number(page), value: v, other: o2 !== undefined };
}

/** The steps as a test of an object; without any, every program runs once. */
export function arenaSteps(name: string, object: Uint8Array, given: readonly Step[]): ProgTest {
	return {
		name,
		async run(t) {
			const skel = Skel.openAndLoad(t, name, object);
			if (!skel) return;
			const map = skel.obj.maps.find((m) => m.def.type === BPF_MAP_TYPE_ARENA);
			if (map) await new Steps(t, skel, map).run(given);
			else t.printFail(`${name} has no arena\n`);
			t.endSubtest();
			skel.destroy();
		},
	};
}

class Steps {
	private readonly t: TestEnv;
	private readonly skel: Skel;
	private readonly map: bpf_map;
	private readonly base: number;
	private readonly size: number;
	private other: TestEnv["sys"] | null = null;

	constructor(t: TestEnv, skel: Skel, map: bpf_map) {
		this.t = t;
		this.skel = skel;
		this.map = map;
		this.base = map.mmaped;
		this.size = map.def.max_entries * PAGE;
	}

	async run(given: readonly Step[]): Promise<void> {
		const all = bpf_object__programs(this.skel.obj).map((p): Step => ({ op: "run", prog: p.name }));
		for (const step of given.length ? given : all) {
			try {
				const result = this.step(step);
				if (result) say(this.t, `  ${result}`);
			} catch (e) {
				this.t.printFail(`${(e as Error).message}\n`);
				break;
			}
		}
		if (this.other) await this.t.kernel.endProcess(this.other);
	}

	/** Say what comes, do it; what came of it. */
	private step(s: Step): string {
		const { t, skel } = this;
		switch (s.op) {
			case "run":
				say(t, `run ${s.prog}`);
				return this.runProg(s.prog);
			case "set": {
				const v = s.at ? BigInt(this.base) + s.value * BigInt(PAGE) : s.value;
				skel.set(s.name, v);
				say(t, `set ${s.name} = ${s.at ? `0x${v.toString(16)}` : v}`);
				return "";
			}
			case "get": {
				const v = BigInt.asUintN(64, skel.get(s.name));
				say(t, `get ${s.name}`);
				return `${v} (0x${v.toString(16)})`;
			}
			case "read":
			case "write": {
				const sys = s.other ? this.otherProcess() : t.sys;
				const at = this.base + s.page * PAGE;
				say(t, `${s.op} page ${s.page}${s.other ? " by another process" : ""}`);
				try {
					if (s.op === "read") return `0x${sys.load64(at).toString(16)}`;
					sys.store64(at, s.value);
					return "";
				} catch (e) {
					if (e instanceof UserFault) return e.message;
					throw e;
				}
			}
			case "unmap":
				say(t, "munmap");
				return this.errno(t.sys.munmap(this.base, this.size));
			case "protect":
				say(t, "mprotect, PROT_READ");
				return this.errno(t.sys.mprotect(this.base, this.size, PROT_READ));
			case "map": {
				say(t, "mmap");
				const fd = bpf_map__fd(this.map);
				return this.errno(t.sys.mmap(this.base, this.size, RW, MAP_SHARED | MAP_FIXED, fd, 0));
			}
		}
	}

	private errno(ret: number): string {
		return ret < 0 ? (strerror(-ret) ?? String(ret)) : "done";
	}

	private runProg(name: string): string {
		const { skel } = this;
		const names = bpf_object__programs(skel.obj).map((p) => p.name);
		if (!names.includes(name)) throw new Error(`no program ${name}; there are ${names.join(", ")}`);
		const { fd } = skel.prog(name);
		let opts: { data_in?: Uint8Array; retval: number } = { retval: 0 };
		let err = bpf_prog_test_run_opts(skel.lib, fd, opts);
		if (err === -EINVAL) {
			opts = { data_in: new Uint8Array(64), retval: 0 };
			err = bpf_prog_test_run_opts(skel.lib, fd, opts);
		}
		return err ? `not run: ${this.errno(err)}` : `returned ${opts.retval | 0}`;
	}

	/** Another process that maps the arena at its address. */
	private otherProcess(): TestEnv["sys"] {
		if (this.other) return this.other;
		const sys = this.t.kernel.newProcess();
		const info = bpf_map_get_info_by_fd(this.skel.lib, bpf_map__fd(this.map));
		if (typeof info === "number") throw new Error(`no information on the arena: ${info}`);
		const fd = bpf_map_get_fd_by_id(new Libbpf(sys, { known_kernel: true }), info.id);
		sys.mmap(this.base, this.size, RW, MAP_SHARED | MAP_FIXED, fd, 0);
		this.other = sys;
		return sys;
	}
}
