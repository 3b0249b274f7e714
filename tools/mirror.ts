// SPDX-License-Identifier: GPL-2.0-only
/** The one file that joins both halves: boots an emulated kernel and hands out the system calls of its tasks. */
import type { Sys } from "../include/sys.ts";
import { type BootOptions, boot } from "../kernel/boot.ts";
import { type ArenaEvent, type ArenaState, arena_states } from "../kernel/bpf/arena_watch.ts";
import type { InsnMap } from "../kernel/bpf/insn_map.ts";
import { InsnTrace, type StepSink } from "../kernel/bpf/trace_insns.ts";
import { Exploration } from "../kernel/explore/exploration.ts";
import type { KernelImpl } from "../kernel/kernel_impl.ts";
import { TaskSys } from "../kernel/sys.ts";
import { task_images_release } from "../kernel/task_image.ts";
import { net_release } from "../net/core/skb.ts";
import type { TestKernel } from "../selftests/bpf/test_env.ts";

export type MirrorArch = "x86_64" | "arm64";

/** A booted kernel as user space may hold it. */
export interface Mirror {
	/** A new process with all capabilities. */
	newProcess(): Sys;
	/** End a process: descriptors closed, memory unmapped, deferred work done. */
	endProcess(sys: Sys): Promise<void>;
	/** Kernel log lines since the last call. */
	dmesg(): string[];
	/** What is still there that was not at the last call (at first: at boot): a line each. */
	leaks(): string[];
	/** What the state-embedding check (config.state_embedding) found since the last call. */
	stateViolations(): string[];
	/** Put clock and random numbers to where a seed has them: what follows can be repeated exactly. */
	reseed(seed: number): void;
	/** Lines that programs wrote with bpf_trace_printk(), since the last call. */
	traceLog(): string[];
	/** Show every instruction that the programs loaded now run; call the answer to end it. */
	traceInsns(sink: StepSink): () => void;
	/** Where the instructions of a loaded program went, by its id; null unless booted with config.insn_maps. */
	insnMap(id: number): InsnMap | null;
	/** Show what happens to arenas from here on, and what they are. */
	watchArenas(sink: (event: ArenaEvent) => void): { states(): ArenaState[]; stop(): void };
	/** The symbol of a kernel address, or null. */
	symbol(addr: bigint): string | null;
	/** For tools that look into the kernel itself. */
	readonly kernel: KernelImpl;
}

/** Boot a kernel. */
export function bootMirror(options: BootOptions = {}): Mirror {
	// A kernel whose JIT is off must have been built with the interpreter.
	const jit = options.config?.bpf_jit_enable !== false;
	const kernel = boot({ ...options, config: { bpf_jit_always_on: jit, ...options.config } });
	kernel.settle();
	const count = (): Record<string, number> => ({
		pages: kernel.kmem.pages_in_use,
		objects: kernel.kmem.objects_in_use,
		programs: kernel.bpf.progs.size,
		maps: kernel.bpf.maps.size,
		links: kernel.bpf.links.size,
		trampolines: (kernel.bpf.trampolines?.size ?? 0) + kernel.bpf.tramp_images.size,
	});
	let before = count();
	let seen = 0;
	return {
		kernel,
		newProcess: () => new TaskSys(kernel, kernel.new_task()),
		async endProcess(sys: Sys): Promise<void> {
			const task = (sys as TaskSys).task;
			task.exiting = true;
			kernel.exit_task(task);
			await new Promise<void>((resolve) => setImmediate(resolve));
			kernel.settle();
		},
		dmesg(): string[] {
			const lines = kernel.log.slice(Math.min(seen, kernel.log.length));
			seen = kernel.log.length;
			return lines;
		},
		stateViolations: () => kernel.bpf.embedding?.take() ?? [],
		reseed(seed: number): void {
			kernel.random.seed(seed);
			kernel.time.rewind(10_000_000_000n);
		},
		traceInsns(sink: StepSink): () => void {
			const trace = new InsnTrace(kernel, sink);
			return () => trace.stop();
		},
		insnMap(id: number): InsnMap | null {
			const prog = kernel.bpf.progs.get(id);
			return prog ? (kernel.bpf.insn_maps?.of(prog) ?? null) : null;
		},
		watchArenas(sink) {
			kernel.bpf.arena_watch = sink;
			return {
				states: () => arena_states(kernel),
				stop: () => {
					kernel.bpf.arena_watch = null;
				},
			};
		},
		symbol(addr: bigint): string | null {
			const sym = kernel.symbols.lookup(addr);
			if (!sym) return null;
			return sym.offset ? `${sym.name}+0x${sym.offset.toString(16)}` : sym.name;
		},
		traceLog: () => kernel.trace_log.splice(0),
		leaks(): string[] {
			kernel.settle();
			net_release(kernel);
			task_images_release(kernel);
			kernel.trace_events.release();
			kernel.settle();
			const now = count();
			const out = Object.entries(now)
				.filter(([what, n]) => n !== before[what])
				.map(([what, n]) => `${what}: ${n - before[what]!} more than before`);
			before = now;
			return out;
		},
	};
}

/** A kernel for the selftests. */
export async function bootTestKernel(options: {
	arch?: MirrorArch;
	verbosity?: number;
	/** Hold every executed instruction against the verifier's states; what does not fit fails the test. */
	stateEmbedding?: boolean;
	boot?: BootOptions;
}): Promise<TestKernel> {
	const mirror = bootMirror({
		arch: options.arch ?? "x86_64",
		cpus: 2,
		modules: ["bpf_testmod"],
		verbose: (options.verbosity ?? 0) > 1,
		...options.boot,
		config: { ...options.boot?.config, state_embedding: options.stateEmbedding ?? false },
	});
	return testKernelOf(mirror);
}

/** A booted kernel as the selftests see it. */
export function testKernelOf(mirror: Mirror): TestKernel {
	return {
		name: `mirror ${mirror.kernel.config.arch}`,
		isMirror: true,
		newProcess: mirror.newProcess,
		endProcess: mirror.endProcess,
		leaks: async () => [...mirror.leaks(), ...mirror.stateViolations()],
		dmesg: mirror.dmesg,
	};
}

export type { BootOptions, ForeignKernel } from "../kernel/boot.ts";
export type { ArenaEvent, ArenaState } from "../kernel/bpf/arena_watch.ts";
export type { FuncMap, InsnMap } from "../kernel/bpf/insn_map.ts";
export type { Step, StepSink } from "../kernel/bpf/trace_insns.ts";
export type { Finding } from "../kernel/explore/explorer.ts";
export { NotExplorable } from "../kernel/explore/explorer.ts";
export {
	type Progress as SearchProgress,
	parse_schedule,
	type SearchResult,
	schedule_text,
	type TraceStep,
} from "../kernel/explore/search.ts";
export { Exploration };
