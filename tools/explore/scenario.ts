// SPDX-License-Identifier: GPL-2.0-only
/** A scenario of `bpf-mirror explore`: an object, its programs as threads and interrupts, and who consumes. */
import type { Sys } from "../../include/sys.ts";
import {
	BPF_MAP_TYPE_ARRAY,
	BPF_MAP_TYPE_RINGBUF,
	BPF_MAP_TYPE_USER_RINGBUF,
	BPF_PROG_TYPE_KPROBE,
	BPF_PROG_TYPE_PERF_EVENT,
	BPF_PROG_TYPE_RAW_TRACEPOINT,
	BPF_PROG_TYPE_SYSCALL,
	BPF_PROG_TYPE_TRACEPOINT,
	BPF_PROG_TYPE_TRACING,
} from "../../include/uapi/linux/bpf.ts";
import { bpf_map_get_info_by_fd, bpf_prog_get_info_by_fd } from "../lib/bpf/bpf.ts";
import {
	bpf_map__fd,
	type bpf_object,
	bpf_object__load,
	bpf_object__open_mem,
	bpf_object__programs,
	consume_events,
	type ring_buffer,
	ring_buffer__consume,
	ring_buffer__epoll_fd,
	ring_buffer__new,
	user_ring_buffer__new,
	user_ring_buffer__reserve,
	user_ring_buffer__submit,
} from "../lib/bpf/libbpf.ts";
import { Libbpf } from "../lib/bpf/libbpf_internal.ts";
import { type Global, globalOf, offsetIn } from "../lib/globals.ts";
import { bootMirror, Exploration, type Mirror, type MirrorArch } from "../mirror.ts";

/** A program under an event. */
export interface ThreadSpec {
	readonly prog: string;
	readonly cpu: number;
	/** "irq" and "nmi" interrupt what runs on their CPU, at any step. */
	readonly flavour: "task" | "irq" | "nmi";
	readonly runs: number;
}

export interface Scenario {
	readonly name: string;
	readonly about: string;
	readonly threads: readonly ThreadSpec[];
	/** How the ring buffers are read: "poll" looks again and again, "epoll" sleeps until it is woken. */
	readonly consumer: "poll" | "epoll" | "none";
	/** Its programs have callbacks, which the interpreter does not run. */
	readonly jitOnly?: boolean;
	/** epoll tells of each wake-up once, not as long as there is something. */
	readonly edge?: boolean;
	/** Another consumer than libbpf's; `sample` is to be called for each record. False: it does not end yet. */
	readonly consume?: (sys: Sys, rb: ring_buffer, sample: (addr: number, size: number) => number) => boolean;
	/** Samples that user space puts into each user ring buffer. */
	readonly userSamples?: number;
	/** const volatile variables of the object, 32 bits. */
	readonly rodata?: Readonly<Record<string, number>>;
	/** What variables of the object must be once everyone has ended. */
	readonly expect?: Readonly<Record<string, bigint>>;
	/** Preemptions that a search through all schedules is limited to. */
	readonly preemptions?: number;
}

export class ScenarioError extends Error {}

const EPOLL_CTL_MOD = 3;
const EPOLLIN_EPOLLET = 0x80000001;
/** Bytes of a record that the consumer reads; of large ones the first. */
const READ_ALL = 256;
const READ_FIRST = 16;
const WITH_PLAIN_CONTEXT: ReadonlySet<number> = new Set([
	BPF_PROG_TYPE_KPROBE,
	BPF_PROG_TYPE_PERF_EVENT,
	BPF_PROG_TYPE_RAW_TRACEPOINT,
	BPF_PROG_TYPE_SYSCALL,
	BPF_PROG_TYPE_TRACEPOINT,
	BPF_PROG_TYPE_TRACING,
]);

/** A scenario on a kernel of its own, ready to be searched. */
export class ScenarioRun {
	readonly mirror: Mirror;
	readonly exploration: Exploration;
	readonly scenario: Scenario;
	private readonly expected: { name: string; want: bigint; read: () => bigint }[] = [];

	constructor(
		object: Uint8Array,
		scenario: Scenario,
		options: { arch: MirrorArch; interpret: boolean; everyInstruction?: boolean },
	) {
		this.scenario = scenario;
		if (options.everyInstruction && options.interpret)
			throw new ScenarioError(
				"--every-instruction is for machine code: the interpreter is taken at shared accesses",
			);
		const cpus = Math.max(1, ...scenario.threads.map((t) => t.cpu + 1));
		this.mirror = bootMirror({
			arch: options.arch,
			cpus,
			memory: 64 << 20,
			config: { bpf_jit_enable: !options.interpret },
		});
		const sys = this.mirror.newProcess();
		const said: string[] = [];
		const lib = new Libbpf(sys, {
			known_kernel: true,
			print: (level, text) => {
				if (level < 2) said.push(text);
			},
		});
		const obj = bpf_object__open_mem(lib, object, { object_name: scenario.name });
		if (typeof obj === "number")
			throw new ScenarioError(`the object does not open: ${obj}\n${said.join("")}`);
		for (const p of bpf_object__programs(obj)) {
			p.autoload = scenario.threads.some((t) => t.prog === p.name);
			if (p.autoload && !WITH_PLAIN_CONTEXT.has(p.type))
				throw new ScenarioError(`${p.name}: programs of type ${p.type} cannot be explored`);
		}
		for (const t of scenario.threads)
			if (!bpf_object__programs(obj).some((p) => p.name === t.prog))
				throw new ScenarioError(`the object has no program ${t.prog}`);
		for (const [name, value] of Object.entries(scenario.rodata ?? {})) setRodata(obj, name, value);
		const err = bpf_object__load(obj);
		if (err) throw new ScenarioError(`the object does not load: ${err}\n${said.join("")}`);

		for (const [name, want] of Object.entries(scenario.expect ?? {})) {
			const g = variable(obj, name);
			const read = (): bigint => {
				const bytes = new Uint8Array(8);
				bytes.set(sys.load(g.addr, g.size));
				return BigInt.asIntN(8 * g.size, new DataView(bytes.buffer).getBigUint64(0, true));
			};
			this.expected.push({ name, want: BigInt.asIntN(8 * g.size, want), read });
		}
		const e = new Exploration(this.mirror.kernel, sys);
		this.exploration = e;
		e.x.every_instruction = options.everyInstruction ?? false;
		try {
			const rings: { id: number; fd: number }[] = [];
			const userRings: { id: number; fd: number }[] = [];
			for (const m of obj.maps) {
				const fd = bpf_map__fd(m);
				const info = fd >= 0 ? bpf_map_get_info_by_fd(lib, fd) : -1;
				if (typeof info === "number") continue;
				if (info.type === BPF_MAP_TYPE_ARRAY) e.name_map_value(info.id, m.name);
				const list = { [BPF_MAP_TYPE_RINGBUF]: rings, [BPF_MAP_TYPE_USER_RINGBUF]: userRings }[info.type];
				if (!list) continue;
				if (list === userRings && (scenario.userSamples ?? 0) === 0) continue;
				e.add_ring(info.id, m.name);
				list.push({ id: info.id, fd });
			}
			const many = scenario.threads.length;
			for (const [i, t] of scenario.threads.entries()) {
				const p = bpf_object__programs(obj).find((q) => q.name === t.prog)!;
				const info = bpf_prog_get_info_by_fd(lib, p.fd);
				if (typeof info === "number") throw new ScenarioError(`${p.name}: no information: ${info}`);
				const name = `${t.prog}/${t.flavour === "task" ? "" : `${t.flavour} `}cpu${t.cpu}`;
				const twin = scenario.threads.some(
					(o, j) => j < i && o.prog === t.prog && o.cpu === t.cpu && o.flavour === t.flavour,
				);
				e.add_program({ ...t, prog: info.id, name: twin && many > 1 ? `${name}#${i}` : name });
			}
			if (rings.length > 0 && scenario.consumer !== "none") this.addConsumer(rings);
			for (const r of userRings) this.addProducer(r, scenario.userSamples ?? 0);
			e.start();
		} catch (err2) {
			e.close();
			throw err2;
		}
	}

	private addConsumer(rings: readonly { id: number; fd: number }[]): void {
		const e = this.exploration;
		e.x.records.consumer = true;
		if (this.scenario.consumer === "epoll") e.add_irq_work();
		e.add_user("consumer", (sys) => {
			const lib = new Libbpf(sys, { known_kernel: true });
			const { x } = e;
			const sample = (addr: number, size: number): number => {
				const bytes = sys.load(addr, size > READ_ALL ? READ_FIRST : size);
				x.local(() => x.records.consumed(x.canonical(addr), size, bytes));
				return 0;
			};
			let rb: ring_buffer | number = -1;
			for (const r of rings) {
				if (typeof rb === "number") rb = ring_buffer__new(lib, r.fd, sample);
				else throw new ScenarioError("more than one ring buffer");
				if (typeof rb === "number") throw new ScenarioError(`no consumer: ${rb}`);
				const ring = rb.rings.at(-1)!;
				e.map_ring(r.id, ring.consumer_pos, ring.producer_pos);
			}
			const all = rb as ring_buffer;
			const { consume } = this.scenario;
			if (this.scenario.consumer === "poll")
				return () => {
					// what is there when everyone else has ended is found in one more round
					const last = x.local(() => e.others_done());
					if (consume) return consume(sys, all, sample) && last;
					ring_buffer__consume(all);
					return last;
				};
			const epfd = ring_buffer__epoll_fd(all);
			if (this.scenario.edge)
				for (const [i, r] of rings.entries())
					sys.epollCtl(epfd, EPOLL_CTL_MOD, r.fd, { events: EPOLLIN_EPOLLET, data: BigInt(i) });
			const wait = e.epoll(epfd);
			return () => {
				const events = wait().map((data) => ({ data }));
				if (consume && events.length > 0) consume(sys, all, sample);
				else consume_events(all, events);
				return false;
			};
		});
	}

	private addProducer(ring: { id: number; fd: number }, n: number): void {
		const e = this.exploration;
		e.add_user("user producer", (sys) => {
			const rb = user_ring_buffer__new(new Libbpf(sys, { known_kernel: true }), ring.fd);
			if (typeof rb === "number") throw new ScenarioError(`no producer: ${rb}`);
			e.map_ring(ring.id, rb.consumer_pos, rb.producer_pos);
			return () => {
				for (let i = 0; i < n; i++) {
					const at = user_ring_buffer__reserve(rb, 8);
					if (at < 0) return true;
					sys.store64(at, BigInt(i + 1));
					user_ring_buffer__submit(rb, at);
				}
				return true;
			};
		});
	}

	/** What is wrong at the end of a run; null: nothing. */
	check(): string | null {
		for (const { name, want, read } of this.expected) {
			const is = read();
			if (is !== want) return `${name} is ${is}, not ${want}`;
		}
		return null;
	}

	/** What this run came to: how many records came out, and how many found no room. */
	outcome(): string {
		const { records } = this.exploration.x;
		const returned = this.exploration
			.results()
			.map((r) => r.map((v) => (v === null ? "missed" : String(BigInt.asIntN(32, v)))).join(","))
			.join(" ");
		return `${records.seen} received, ${records.dropped} dropped; returned ${returned}`;
	}

	close(): void {
		this.exploration.close();
	}
}

/** Set a const volatile variable before the load. */
function setRodata(obj: bpf_object, name: string, value: number): void {
	const map = obj.maps.find((m) => m.real_name === ".rodata");
	const at = map && offsetIn(obj, ".rodata", name);
	if (!map?.init_data || at === undefined) throw new ScenarioError(`the object has no constant ${name}`);
	new DataView(map.init_data.buffer, map.init_data.byteOffset).setUint32(at, value, true);
}

function variable(obj: bpf_object, name: string): Global {
	try {
		return globalOf(obj, name);
	} catch (e) {
		throw new ScenarioError((e as Error).message);
	}
}
