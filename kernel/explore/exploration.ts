// SPDX-License-Identifier: GPL-2.0-only
/** Set up what is explored: rings by name, programs on CPUs and as interrupts of them, user space beside them. */
import type { bpf_prog } from "../bpf/bpf_types.ts";
import { bpf_ringbuf_map } from "../bpf/ringbuf.ts";
import { epoll_of, type eventpoll } from "../eventpoll.ts";
import type { KernelImpl, Task } from "../kernel_impl.ts";
import { TaskSys } from "../sys.ts";
import { task_image } from "../task_image.ts";
import { Explorer } from "./explorer.ts";
import { Search, type SearchOptions } from "./search.ts";
import { type Flavour, ImageMap, InterpThread, LoopThread, MachineThread, StepSys } from "./threads.ts";

/** A program of a scenario. */
export interface ProgramSpec {
	/** Id of the program. */
	readonly prog: number;
	readonly name: string;
	readonly cpu: number;
	readonly flavour: Flavour;
	/** Runs one after the other. */
	readonly runs: number;
}

/** One scenario on one kernel, from its beginning to close(). */
export class Exploration {
	readonly x: Explorer;
	private readonly kernel: KernelImpl;
	private readonly counters: Map<string, number> = new Map();
	private readonly sys: TaskSys;
	private images: ImageMap | null = null;
	private readonly tasks: Task[] = [];
	private opened = false;
	private rings = 0;

	/** `sys` is the process that the scenario's maps and programs belong to. */
	constructor(kernel: KernelImpl, sys: unknown) {
		if (!(sys instanceof TaskSys)) throw new Error("not a process of an emulated kernel");
		this.kernel = kernel;
		this.sys = sys;
		this.x = new Explorer(kernel);
	}

	/** A ring buffer by its map's id: its words get names. */
	add_ring(id: number, name: string): void {
		const map = this.kernel.bpf.maps.get(id);
		if (!(map instanceof bpf_ringbuf_map)) throw new Error(`${name} is no ring buffer`);
		const { rb } = map;
		const { x } = this;
		const size = rb.mask + 1;
		const prefix = this.rings++ === 0 ? "" : `${name}.`;
		x.alias(rb.data + size, rb.data, size);
		x.name_memory(rb.cons, 8, () => `${prefix}consumer_pos`);
		x.name_memory(rb.prod, 8, () => `${prefix}producer_pos`);
		x.name_memory(rb.pend, 8, () => `${prefix}pending_pos`);
		x.name_memory(rb.busy, 4, () => `${prefix}busy`);
		x.name_memory(rb.data, size, (off) => `${prefix}data+${off}`);
	}

	/** The process has mapped a ring: consumer's page at `cons`, producer's page and data at `prod`. */
	map_ring(id: number, cons: number, prod: number): void {
		const { rb } = this.kernel.bpf.maps.get(id) as bpf_ringbuf_map;
		const size = rb.mask + 1;
		this.x.alias(cons, rb.cons, 4096);
		this.x.alias(prod, rb.prod, 4096);
		this.x.alias(prod + 4096, rb.data, size);
		this.x.alias(prod + 4096 + size, rb.data, size);
	}

	/** A value of an array map, in which a program keeps what it counts. */
	name_map_value(id: number, name: string): void {
		const map = this.kernel.bpf.maps.get(id);
		const at = (map as unknown as { value?: number } | undefined)?.value;
		if (!map || at === undefined) return;
		this.x.name_memory(at, map.value_size * map.max_entries, (off) => `${name}+${off}`);
	}

	private new_task(cpu: number, comm: string): Task {
		const t = this.kernel.new_task(this.sys.task);
		t.cpu = Math.max(cpu, 0);
		t.comm = comm.slice(0, 15);
		task_image(this.kernel, t);
		this.tasks.push(t);
		return t;
	}

	private open(): void {
		if (this.opened) return;
		this.opened = true;
		this.images = this.kernel.machine ? new ImageMap(this.x) : null;
		this.x.open();
	}

	private prog(id: number): bpf_prog {
		const prog = this.kernel.bpf.progs.get(id);
		if (!prog) throw new Error(`no program ${id}`);
		return prog;
	}

	add_program(s: ProgramSpec): void {
		const { x } = this;
		if (s.cpu < 0 || s.cpu >= this.kernel.config.cpus) throw new Error(`${s.name}: there is no CPU ${s.cpu}`);
		const task = this.new_task(s.cpu, s.name);
		this.open();
		const args = [x, s.name, s.cpu, s.flavour, task, this.prog(s.prog), s.runs, this.counters] as const;
		x.threads.push(
			args[5].bpf_func && this.images ? new MachineThread(this.images, ...args) : new InterpThread(...args),
		);
	}

	/** Someone in user space: `make` gets its system calls and answers with one round of it; true: the last. */
	add_user(name: string, make: (sys: StepSys) => () => boolean): void {
		const task = this.new_task(-1, name);
		this.open();
		const sys = new StepSys(this.x, task);
		const t = new LoopThread(this.x, name, -1, "user", task, make(sys));
		t.may_wait = true;
		this.x.threads.push(t);
	}

	/** Interrupts that do queued irq_work, on all CPUs: without them nobody is woken. */
	add_irq_work(): void {
		const { x } = this;
		this.open();
		x.runs_irq_work = true;
		for (let cpu = 0; cpu < this.kernel.config.cpus; cpu++) {
			const queue = x.irq_works[cpu]!;
			const round = (): boolean => {
				const work = x.step(
					"irq_work_run",
					0,
					() => x.take_irq_work(cpu),
					() => queue.length > 0,
				);
				x.step("wake_up_all", 0, () => work.func());
				return false;
			};
			const t = new LoopThread(x, `irq_work/${cpu}`, cpu, "irq", this.new_task(cpu, "irq_work"), round);
			t.may_wait = true;
			x.threads.push(t);
		}
	}

	/** An epoll file: a function that is epoll_wait(2) of it as one step, which waits until someone was woken. */
	epoll(epfd: number): () => bigint[] {
		const { x } = this;
		this.kernel.current = this.sys.task;
		const ep: eventpoll | null = epoll_of(this.kernel, epfd);
		if (!ep) throw new Error("not an epoll file");
		x.extra.push(() => ep.ready.length);
		x.around_steps(() => {
			const before = ep.ready.slice();
			x.on_undo(() => {
				ep.ready = before;
			});
		});
		return () =>
			x.step(
				"epoll_wait",
				0,
				() => ep.send_events(64).map((e) => e.data),
				() => ep.ready.length > 0,
			);
	}

	/** True when all threads but those that may wait have ended. */
	others_done(): boolean {
		return this.x.threads.every((t) => t.done || t.may_wait) && this.x.irq_works.every((q) => q.length === 0);
	}

	/** Everything is set up: bring each thread to its first step. */
	start(): void {
		const { x } = this;
		for (const t of x.threads) {
			t.interruptible = t.on_cpu >= 0 && x.threads.some((o) => o !== t && o.on_cpu === t.on_cpu);
			x.prepare(t);
		}
	}

	search(opts: SearchOptions = {}): Search {
		return new Search(this.x, opts);
	}

	/** What each program's runs returned, in order of the threads. */
	results(): (bigint | null)[][] {
		return this.x.threads.flatMap((t) => ("results" in t ? [t.results as (bigint | null)[]] : []));
	}

	close(): void {
		this.x.close();
		for (const t of this.tasks) this.kernel.exit_task(t);
		this.kernel.settle();
	}
}
