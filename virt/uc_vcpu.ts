// SPDX-License-Identifier: GPL-2.0-only
/** What CPUs of every architecture on Unicorn have in common. */
import koffi from "koffi";
import type { Ram } from "./ram.ts";
import { CLOCK_LAG_MS, type ThreadTimer } from "./timers.ts";
import {
	find_in_cpu,
	type Hook,
	SelfMemory,
	UC_CTL_CPU_MODEL,
	UC_CTL_TB_FLUSH,
	UC_CTL_TB_REMOVE_CACHE,
	UC_CTL_TLB_FLUSH,
	type UnicornApi,
} from "./unicorn.ts";
import { UnknownEngine, type Vcpu } from "./vcpu.ts";

/** a stop that comes while nothing runs is lost */
const STOP_AGAIN_MS = 250;

/** A kind of engine: libunicorn's numbers, and the size of the register file. */
export interface EngineKind {
	readonly arch: number;
	readonly mode: number;
	readonly model: number;
	/** general registers; the instruction pointer follows them */
	readonly n_gpr: number;
	/** bytes of the CPU state that are looked at */
	readonly env_size: number;
}

/** Where an engine keeps things: found by calibration, the same for all engines of a library. */
export interface EngineOffsets {
	/** where in the engine's structure the CPU pointer stands */
	pointer_at: number;
	/** the general registers in the CPU */
	env: number;
	/** in the engine's structure: instructions of a start with a limit */
	emu_counter: number;
}

export abstract class UcVcpu<O extends EngineOffsets> implements Vcpu {
	protected readonly api: UnicornApi;
	/** the engine's handle */
	readonly uc: bigint;
	protected readonly off: O;
	protected readonly hooks: Hook[] = [];
	protected readonly scratch = new Uint8Array(32);
	protected readonly scratch_dv = new DataView(this.scratch.buffer);
	private timer: ThreadTimer | null = null;
	private disarming = false;
	/** by performance.now(), and by the coarse clock */
	private armed_at = 0;
	private second = -1;
	private limit_ms = 0;
	private trace_hook: Hook | null = null;
	private counting = false;
	private readonly counter: BigUint64Array;
	private readonly pc_word: number;
	readonly gpr: BigInt64Array;
	readonly gpr32: Int32Array;
	/** the CPU state as bytes, from the first general register on */
	readonly env: DataView;
	protected readonly env_u8: Uint8Array;
	vector = -1;
	error = 0;

	constructor(api: UnicornApi, kind: EngineKind, ram: Ram, off: O) {
		this.api = api;
		this.off = off;
		const uc = api.open(kind.arch, kind.mode);
		this.uc = uc;
		this.check(api.ctl_int(uc, UC_CTL_CPU_MODEL, kind.model), "CPU model");
		this.check(api.mem_map_ptr(uc, 0, ram.size, 7, ram.ptr), "map RAM");
		const cpu = new DataView(koffi.view(uc + BigInt(off.pointer_at), 8)).getBigUint64(0, true);
		const buffer = koffi.view(cpu + BigInt(off.env), kind.env_size);
		this.env = new DataView(buffer);
		this.env_u8 = new Uint8Array(buffer);
		this.gpr = new BigInt64Array(buffer, 0, kind.n_gpr + 1);
		this.gpr32 = new Int32Array(buffer, 0, (kind.n_gpr + 1) * 2);
		this.pc_word = kind.n_gpr * 2;
		this.counter = new BigUint64Array(koffi.view(uc + BigInt(off.emu_counter), 8));
		this.hooks.push(
			api.hook_intr(uc, (no) => {
				this.vector = no;
				api.emu_stop(uc);
			}),
		);
	}

	protected check(err: number, what: string): void {
		if (err) throw new Error(`Unicorn: ${what}: ${this.api.strerror(err)}`);
	}

	/** Any register by libunicorn's number (slow; for what the live state does not show). */
	write_reg(reg: number, v: bigint): void {
		this.scratch_dv.setBigUint64(0, BigInt.asUintN(64, v), true);
		this.check(this.api.reg_write(this.uc, reg, this.scratch), `write register ${reg}`);
	}

	read_reg(reg: number): bigint {
		this.scratch.fill(0);
		this.check(this.api.reg_read(this.uc, reg, this.scratch), `read register ${reg}`);
		return this.scratch_dv.getBigUint64(0, true);
	}

	get pc(): number {
		return (this.gpr32[this.pc_word]! >>> 0) + this.gpr32[this.pc_word + 1]! * 0x100000000;
	}

	set pc(v: number) {
		this.gpr[this.pc_word >> 1] = BigInt(v);
	}

	/** Run; libunicorn's error number. */
	protected emulate(pc: number, count: number): number {
		if (count > 0 !== this.counting) {
			// code translated before a limit was set does not count
			this.counting = count > 0;
			this.flush_all_code();
		}
		return this.api.emu_start(this.uc, pc, 0, 0, count);
	}

	abstract start(pc: number, count: number): number;
	abstract fault_addr(): number;
	abstract fault_code(): number;
	abstract fault_done(): void;
	abstract set_root(pa: number): void;

	executed(count: number): number {
		// when the limit ends a start, the one that was not executed any more is counted too
		return Math.min(Number(this.counter[0]), count);
	}

	flush_tlb(): void {
		this.api.ctl(this.uc, UC_CTL_TLB_FLUSH);
	}

	flush_code(start: number, end: number): void {
		// one call reaches into one page only
		for (let at = start; at < end; ) {
			const stop = Math.min(end, Math.floor(at / 4096) * 4096 + 4096);
			const err = this.api.ctl_range(
				this.uc,
				UC_CTL_TB_REMOVE_CACHE,
				BigInt.asUintN(64, BigInt(at)),
				BigInt.asUintN(64, BigInt(stop)),
			);
			this.check(err, "drop translated code");
			at = stop;
		}
	}

	flush_all_code(): void {
		this.api.ctl(this.uc, UC_CTL_TB_FLUSH);
		// the TLB keeps pointing at pages as code pages
		this.flush_tlb();
	}

	set_trace(fn: ((pc: number) => void) | null): void {
		if (this.trace_hook) {
			this.api.hook_del(this.uc, this.trace_hook);
			this.trace_hook = null;
		}
		if (fn) this.trace_hook = this.api.hook_code(this.uc, fn);
		// code translated without the hook would not call it
		this.flush_all_code();
	}

	arm(limit_ms: number): void {
		const second = this.api.clock.now();
		if (second !== this.second || limit_ms !== this.limit_ms) {
			this.second = second;
			this.limit_ms = limit_ms;
			this.armed_at = performance.now();
			this.timer ??= this.api.stop_timer(this.uc);
			// nothing that begins before the clock shows the next second may run into it
			this.timer.arm(limit_ms + CLOCK_LAG_MS, STOP_AGAIN_MS);
			if (!this.disarming) this.disarm_when_idle();
		}
	}

	get overdue(): boolean {
		return performance.now() - this.armed_at >= this.limit_ms;
	}

	private disarm_when_idle(): void {
		this.disarming = true;
		// reached only when nothing runs, since runs are synchronous: no ticks in an idle process
		setTimeout(() => {
			this.disarming = false;
			this.second = -1;
			this.timer?.disarm();
		}, 1000).unref();
	}

	close(): void {
		if (this.trace_hook) this.set_trace(null);
		const { timer, api, uc, hooks } = this;
		const finish = () => {
			for (const h of hooks) api.hook_del(uc, h);
			api.close(uc);
		};
		this.timer = null;
		if (!timer) {
			finish();
			return;
		}
		timer.remove();
		// a tick may be on its way in the timer's thread: let it pass before the engine goes
		setTimeout(finish, 50).unref();
	}
}

/** Find the registers of a kind of engine; `first_reg` is libunicorn's number of the first of eight neighbours, the n-th in the file. */
export function find_registers(
	api: UnicornApi,
	kind: EngineKind,
	first_reg: number,
	n: number,
): { pointer_at: number; env: number } {
	const uc = api.open(kind.arch, kind.mode);
	try {
		api.ctl_int(uc, UC_CTL_CPU_MODEL, kind.model);
		const at = find_in_cpu(uc, (seed) => {
			const pattern = Buffer.alloc(64);
			for (let i = 0; i < 8; i++) {
				pattern.writeBigUInt64LE(BigInt(seed) * 0x1357_9bdf_0246_8a00n + BigInt(i) * 0x0101_0203n, i * 8);
				api.reg_write(uc, first_reg + i, pattern.subarray(i * 8, i * 8 + 8));
			}
			return pattern;
		});
		if (!at) throw new UnknownEngine(api.version, "the CPU's registers were not found");
		return { pointer_at: at.pointer_at, env: at.offset - 8 * n };
	} finally {
		api.close(uc);
	}
}

/** Find where the engine counts the instructions of a start with a limit: `runs` are pieces of code of known length that halt. */
export function find_counter<O extends EngineOffsets>(
	api: UnicornApi,
	cpu: UcVcpu<O>,
	runs: readonly { pc: number; n: number }[],
): number {
	const self = new SelfMemory();
	try {
		const seen = runs.map(({ pc, n }) => {
			cpu.start(pc, 1000);
			return { n, head: self.read(cpu.uc, 0x1000) };
		});
		for (let at = 0; at + 8 <= 0x1000; at += 8)
			if (seen.every(({ n, head }) => head?.readBigUInt64LE(at) === BigInt(n))) return at;
		throw new UnknownEngine(api.version, "the instruction counter was not found");
	} finally {
		self.close();
	}
}
