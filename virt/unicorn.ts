// SPDX-License-Identifier: GPL-2.0-only
/** The C interface of libunicorn, as far as it is used, and safe reads of this process's own memory. */
import { closeSync, openSync, readSync } from "node:fs";
import koffi from "koffi";
import { find_unicorn } from "./library.ts";
import { CoarseClock, type ThreadTimer, thread_timer } from "./timers.ts";

/** unicorn.h: uc_err, those that are told apart */
export const UC_ERR_OK = 0;
export const UC_ERR_INSN_INVALID = 10;
export const UC_ERR_EXCEPTION = 21;

export const UC_ARCH_ARM64 = 2;
export const UC_ARCH_X86 = 4;
export const UC_MODE_64 = 8;

export const UC_HOOK_INTR = 1;
export const UC_HOOK_INSN = 2;
export const UC_HOOK_CODE = 4;

export const UC_CTL_TB_REMOVE_CACHE = 0x48000009;
export const UC_CTL_TB_FLUSH = 0x4000000a;
export const UC_CTL_TLB_FLUSH = 0x4000000b;
export const UC_CTL_CPU_MODEL = 0x44000007;

/** Handles and host addresses are bigints, guest addresses signed numbers. */
export interface UnicornApi {
	version: string;
	path: string;
	open(arch: number, mode: number): bigint;
	close(uc: bigint): void;
	mem_map_ptr(uc: bigint, addr: number, size: number, perms: number, ptr: bigint): number;
	reg_write(uc: bigint, reg: number, value: Uint8Array): number;
	reg_read(uc: bigint, reg: number, value: Uint8Array): number;
	emu_start(uc: bigint, begin: number, until: number, timeout: number, count: number): number;
	emu_stop(uc: bigint): number;
	ctl(uc: bigint, cmd: number): number;
	ctl_int(uc: bigint, cmd: number, v: number): number;
	ctl_range(uc: bigint, cmd: number, start: bigint, end: bigint): number;
	/** The callback gets the hook's own arguments without engine and user data. */
	hook_intr(uc: bigint, fn: (intno: number) => void): Hook;
	hook_syscall(uc: bigint, fn: () => void): Hook;
	hook_code(uc: bigint, fn: (pc: number) => void): Hook;
	hook_del(uc: bigint, hook: Hook): void;
	strerror(err: number): string;
	/**
	 * A timer that calls uc_emu_stop() from a thread of its own. What such a call stops must not go on as
	 * if nothing had happened: behind every load and store libunicorn looks whether it is to stop, and
	 * leaves pc at the instruction (arm64: `ldr x0, [x0]` would be executed twice).
	 */
	stop_timer(uc: bigint): ThreadTimer;
	readonly clock: CoarseClock;
	/** Offsets found by calibration, by engine kind (a memo: the same library always gives the same). */
	readonly calibrated: Map<string, unknown>;
}

export interface Hook {
	readonly handle: bigint;
	readonly callback: unknown;
}

// koffi's types are global to the process, so a library is bound once: a memo, not state
const bound = new Map<string, UnicornApi>();

const X86_INS_SYSCALL = 699;

/** Bind libunicorn; the path is searched for (virt/library.ts) when not given. */
export function load_unicorn(path?: string): UnicornApi {
	const file = path ?? bound.get("")?.path ?? find_unicorn().path;
	const had = bound.get(file);
	if (had) return had;
	const lib = koffi.load(file);
	const uc_version = lib.func("unsigned int uc_version(void *, void *)");
	const uc_open = lib.func("int uc_open(int arch, int mode, _Out_ uint64_t *uc)");
	const uc_close = lib.func("int uc_close(uint64_t uc)");
	const mem_map_ptr = lib.func(
		"int uc_mem_map_ptr(uint64_t uc, uint64_t a, uint64_t n, uint32_t perms, uint64_t p)",
	);
	const reg_write = lib.func("int uc_reg_write(uint64_t uc, int reg, void *v)");
	const reg_read = lib.func("int uc_reg_read(uint64_t uc, int reg, void *v)");
	const emu_start = lib.func("int uc_emu_start(uint64_t uc, int64_t b, int64_t u, int64_t t, int64_t n)");
	const emu_stop = lib.func("int uc_emu_stop(uint64_t uc)");
	const ctl = lib.func("int uc_ctl(uint64_t uc, uint32_t c, ...)");
	const hook_add = lib.func(
		"int uc_hook_add(uint64_t uc, _Out_ uint64_t *hh, int type, void *cb, void *ud, uint64_t b, uint64_t e, ...)",
	);
	const hook_del = lib.func("int uc_hook_del(uint64_t uc, uint64_t hh)");
	const strerror = lib.func("const char *uc_strerror(int)");
	const CbIntr = koffi.proto("void (uint64_t uc, uint32_t intno, uint64_t ud)");
	const CbVoid = koffi.proto("void (uint64_t uc, uint64_t ud)");
	const CbCode = koffi.proto("void (uint64_t uc, int64_t addr, uint32_t size, uint64_t ud)");

	const v = uc_version(null, null) as number;
	const add = (uc: bigint, type: number, callback: unknown, ...extra: unknown[]): Hook => {
		const out: (number | bigint)[] = [0];
		// begin > end: everywhere
		const err = hook_add(uc, out, type, callback, null, 1n, 0n, ...extra) as number;
		if (err) throw new Error(`uc_hook_add: ${strerror(err)}`);
		return { handle: BigInt(out[0]!), callback };
	};
	const api: UnicornApi = {
		version: `${v >>> 24}.${(v >>> 16) & 255}.${(v >>> 8) & 255}`,
		path: file,
		open(arch, mode) {
			const out: (number | bigint)[] = [0];
			const err = uc_open(arch, mode, out) as number;
			if (err) throw new Error(`uc_open: ${strerror(err)}`);
			return BigInt(out[0]!);
		},
		close: (uc) => void uc_close(uc),
		mem_map_ptr,
		reg_write,
		reg_read,
		emu_start,
		emu_stop,
		ctl: (uc, cmd) => ctl(uc, cmd) as number,
		ctl_int: (uc, cmd, n) => ctl(uc, cmd, "int", n) as number,
		ctl_range: (uc, cmd, start, end) => ctl(uc, cmd, "uint64_t", start, "uint64_t", end) as number,
		hook_intr: (uc, fn) =>
			add(
				uc,
				UC_HOOK_INTR,
				koffi.register((_uc: unknown, no: number) => fn(no), koffi.pointer(CbIntr)),
			),
		hook_syscall: (uc, fn) =>
			add(
				uc,
				UC_HOOK_INSN,
				koffi.register(() => fn(), koffi.pointer(CbVoid)),
				"int",
				X86_INS_SYSCALL,
			),
		hook_code: (uc, fn) =>
			add(
				uc,
				UC_HOOK_CODE,
				koffi.register((_uc: unknown, pc: number | bigint) => fn(Number(pc)), koffi.pointer(CbCode)),
			),
		hook_del(uc, hook) {
			hook_del(uc, hook.handle);
			koffi.unregister(hook.callback as Parameters<typeof koffi.unregister>[0]);
		},
		strerror,
		stop_timer: (uc) => thread_timer(file, "uc_emu_stop", uc),
		clock: new CoarseClock(),
		calibrated: new Map(),
	};
	bound.set(file, api);
	if (path === undefined) bound.set("", api);
	return api;
}

/** Reads this process's own memory without the risk of a crash: null where nothing is mapped. */
export class SelfMemory {
	private readonly fd = openSync("/proc/self/mem", "r");

	read(addr: bigint, len: number): Buffer | null {
		const out = Buffer.alloc(len);
		try {
			const n = readSync(this.fd, out, 0, len, addr);
			return n > 0 ? out.subarray(0, n) : null;
		} catch {
			return null;
		}
	}

	close(): void {
		closeSync(this.fd);
	}
}

/**
 * Where an engine keeps its CPU's registers: Unicorn has no function for it, but reading them in
 * place makes a helper call three times as fast as uc_reg_read_batch. `write(seed)` puts 64 bytes
 * derived from the seed into neighbouring registers and returns them; what follows each of several
 * seeds is the place (copies of one pattern also lie about elsewhere in the heap).
 */
export function find_in_cpu(
	uc: bigint,
	write: (seed: number) => Buffer,
): { pointer_at: number; offset: number } | null {
	const self = new SelfMemory();
	try {
		// the engine makes its CPU at the first use only
		let pattern = write(1);
		const head = self.read(uc, 0x1000);
		if (!head) return null;
		let found: { p: bigint; pointer_at: number; offset: number }[] = [];
		const tried = new Set<bigint>();
		for (let at = 0; at + 8 <= head.length; at += 8) {
			const p = head.readBigUInt64LE(at);
			if (p < 0x10000n || p >= 1n << 48n || p % 8n || tried.has(p)) continue;
			tried.add(p);
			for (const len of [0x20000, 0x10000, 0x4000]) {
				const body = self.read(p, len);
				if (!body) continue;
				for (let i = body.indexOf(pattern); i >= 0; i = body.indexOf(pattern, i + 1))
					found.push({ p, pointer_at: at, offset: i });
				break;
			}
		}
		for (const seed of [2, 3, 4]) {
			pattern = write(seed);
			found = found.filter((f) => self.read(f.p + BigInt(f.offset), pattern.length)?.equals(pattern));
		}
		// other objects may happen to lie below the CPU's; the nearest pointer is its own
		const best = found.sort((a, b) => a.offset - b.offset)[0];
		return best ? { pointer_at: best.pointer_at, offset: best.offset } : null;
	} finally {
		self.close();
	}
}
