// SPDX-License-Identifier: GPL-2.0-only
/**
 * An x86-64 CPU on Unicorn.
 *
 * Registers are read and written in the engine's own memory (struct CPUX86State), whose place is
 * found by writing known values at the first start:
 *
 *     0    regs[16]   rax rcx rdx rbx rsp rbp rsi rdi r8 … r15
 *     128  eip        136 eflags (without the arithmetic flags)
 *     144  cc_dst, cc_src, cc_src2          the arithmetic flags, evaluated late
 *     168  cc_op      172 df     176 hflags (CPL, …)    180 hflags2
 *     184  segs[6], ldt, tr, gdt, idt       { selector, base, limit, flags }, 24 bytes each
 *     424  cr[5]
 */
import { type Ram, Ram as RamClass } from "./ram.ts";
import { type EngineKind, type EngineOffsets, find_counter, find_registers, UcVcpu } from "./uc_vcpu.ts";
import {
	UC_ARCH_X86,
	UC_ERR_EXCEPTION,
	UC_ERR_INSN_INVALID,
	UC_MODE_64,
	type UnicornApi,
} from "./unicorn.ts";
import { EV_ERROR, EV_EXCEPTION, EV_HALT, EV_SYSCALL, UnknownEngine } from "./vcpu.ts";

/** unicorn/x86.h: register numbers */
const REG_EFLAGS = 25;
const REG_RSP = 44;
const REG_R8 = 106;
const REG_CR0 = 50;
const REG_CR2 = 52;
const REG_CR3 = 53;
const REG_CR4 = 54;
const REG_MSR = 248;

/** Skylake server: the default model lacks SMAP */
const CPU_MODEL = 22;
/** PG, AM, WP, NE, ET, MP, PE */
const CR0 = 0x80050033n;
/** SMAP, SMEP, OSXMMEXCPT, OSFXSR, PGE, PAE: no FSGSBASE, no PCIDE */
export const CR4_DEFAULT = 0x310620n;
const CR4_NO_SMAP = 0x010620n;
/** NXE, LMA, LME, SCE */
const EFER = 0xd01n;
const MSR_EFER = 0xc0000080;
const MSR_STAR = 0xc0000081;

/** Exceptions by vector */
export const X86_DE = 0;
export const X86_DB = 1;
export const X86_BP = 3;
export const X86_UD = 6;
export const X86_DF = 8;
export const X86_GP = 13;
export const X86_PF = 14;

export const ENV_EFLAGS = 136;
export const ENV_CC_SRC = 152;
export const ENV_CC_OP = 168;
export const ENV_DF = 172;
export const ENV_HFLAGS = 176;
export const ENV_SEGS = 184;
export const ENV_CR = 424;
const ENV_SIZE = 0x3000;
/** cc_op: the flags stand in cc_src */
const CC_OP_EFLAGS = 1;
const CC_MASK = 0x8d5;

const KIND: EngineKind = {
	arch: UC_ARCH_X86,
	mode: UC_MODE_64,
	model: CPU_MODEL,
	n_gpr: 16,
	env_size: ENV_SIZE,
};

interface Offsets extends EngineOffsets {
	/** in CPUX86State */
	error_code: number;
	old_exception: number;
}

/** Selector-and-mode part of the state: from hflags to the end of segs. */
const MODE_START = ENV_HFLAGS;
const MODE_END = ENV_SEGS + 6 * 24;

export class X86Vcpu extends UcVcpu<Offsets> {
	private was_syscall = false;
	private user_mode: Uint8Array | null = null;
	private readonly kernel_mode: Uint8Array;

	constructor(api: UnicornApi, ram: Ram, root: number, offsets?: Offsets, cr4 = CR4_DEFAULT) {
		super(api, KIND, ram, offsets ?? calibrate(api));
		this.write_reg(REG_CR3, BigInt(root));
		this.write_reg(REG_CR4, cr4);
		this.write_msr(MSR_EFER, EFER);
		// sysretq: CS 0x33 and SS 0x2b; syscall: CS 0x10 and SS 0x18
		this.write_msr(MSR_STAR, (0x23n << 48n) | (0x10n << 32n));
		this.write_reg(REG_CR0, CR0);
		this.hooks.push(
			api.hook_syscall(this.uc, () => {
				this.was_syscall = true;
				api.emu_stop(this.uc);
			}),
		);
		this.verify(root, cr4);
		this.kernel_mode = this.env_u8.slice(MODE_START, MODE_END);
	}

	/** The state must be where it was when calibrated; a write through the interface shows it. */
	private verify(root: number, cr4: bigint): void {
		this.write_reg(REG_RSP, 0x1234567089abcdefn);
		this.write_reg(REG_CR2, 0x5a5a1234n);
		const e = this.env;
		const cr = [0, 2, 3, 4].map((n) => e.getBigUint64(ENV_CR + 8 * n, true));
		const good =
			this.gpr[4] === 0x1234567089abcdefn &&
			cr[0] === CR0 &&
			cr[1] === 0x5a5a1234n &&
			cr[2] === BigInt(root) &&
			cr[3] === cr4 &&
			(e.getUint32(ENV_HFLAGS, true) & 3) === 0;
		if (!good) throw new UnknownEngine(this.api.version, "registers are not where calibration found them");
	}

	write_msr(msr: number, v: bigint): void {
		this.scratch_dv.setUint32(0, msr, true);
		this.scratch_dv.setBigUint64(8, BigInt.asUintN(64, v), true);
		this.check(this.api.reg_write(this.uc, REG_MSR, this.scratch), "write MSR");
	}

	start(pc: number, count: number): number {
		this.vector = -1;
		this.was_syscall = false;
		const err = this.emulate(pc, count);
		if (this.vector >= 0) return EV_EXCEPTION;
		if (err !== 0) {
			if (err === UC_ERR_INSN_INVALID) {
				this.vector = X86_UD;
				return EV_EXCEPTION;
			}
			this.error = err;
			if (err === UC_ERR_EXCEPTION) this.fault_done();
			return EV_ERROR;
		}
		if (this.was_syscall) return EV_SYSCALL;
		return EV_HALT;
	}

	fault_addr(): number {
		return this.env.getUint32(ENV_CR + 16, true) + this.env.getInt32(ENV_CR + 20, true) * 0x100000000;
	}

	fault_code(): number {
		return this.env.getInt32(this.off.error_code, true);
	}

	fault_done(): void {
		// or the next fault would count as one within this one: #DF, then a triple fault
		this.env.setInt32(this.off.old_exception, -1, true);
	}

	/** Flags, the arithmetic ones evaluated. */
	get flags(): number {
		return Number(this.read_reg(REG_EFLAGS));
	}

	set flags(v: number) {
		this.env.setBigUint64(ENV_EFLAGS, BigInt((v & ~(CC_MASK | 0x400)) | 2), true);
		this.env.setBigUint64(ENV_CC_SRC, BigInt(v & CC_MASK), true);
		this.env.setInt32(ENV_CC_OP, CC_OP_EFLAGS, true);
		this.env.setInt32(ENV_DF, v & 0x400 ? -1 : 1, true);
	}

	/** Base of fs (4) or gs (5), or any other segment in encoding order. */
	seg_base(n: number): number {
		const at = ENV_SEGS + n * 24 + 8;
		return this.env.getUint32(at, true) + this.env.getInt32(at + 4, true) * 0x100000000;
	}

	set_seg_base(n: number, v: number): void {
		this.env.setBigInt64(ENV_SEGS + n * 24 + 8, BigInt(v), true);
	}

	/** Current privilege level. */
	get cpl(): number {
		return this.env.getUint32(ENV_HFLAGS, true) & 3;
	}

	/** Put selectors and mode to those of kernel mode (segment bases as they were at the start). */
	enter_kernel_mode(): void {
		this.env_u8.set(this.kernel_mode, MODE_START);
	}

	/** Put selectors and mode to those of user mode; false when they are not known yet (run sysretq once). */
	enter_user_mode(): boolean {
		if (!this.user_mode) return false;
		this.env_u8.set(this.user_mode, MODE_START);
		return true;
	}

	/** The CPU is in user mode now: remember how that looks. */
	learn_user_mode(): void {
		if (!this.user_mode && this.cpl === 3) this.user_mode = this.env_u8.slice(MODE_START, MODE_END);
	}

	set_root(pa: number): void {
		this.write_reg(REG_CR3, BigInt(pa));
		this.flush_tlb();
	}
}

/**
 * Find where this library keeps the registers, the page-fault error code (for which there is no
 * register) and `old_exception`. About 15 ms, once in a process.
 */
function calibrate(api: UnicornApi): Offsets {
	const had = api.calibrated.get("x86") as Offsets | undefined;
	if (had) return had;
	const place = find_registers(api, KIND, REG_R8, 8);
	const draft: Offsets = { ...place, error_code: 0, old_exception: 0, emu_counter: 0 };

	// tables at 0x1000…0x4000; code at 0x400000 → 0x10000, data read-only at 0x401000 → 0x11000, NX at 0x402000
	const ram = new RamClass(2 << 20);
	const dv = ram.dvs[0]!;
	const present = 1n;
	const write = 2n;
	const nx = 1n << 63n;
	dv.setBigUint64(0x1000, 0x2000n | present | write, true);
	dv.setBigUint64(0x2000, 0x3000n | present | write, true);
	dv.setBigUint64(0x3000 + 2 * 8, 0x4000n | present | write, true);
	dv.setBigUint64(0x4000, 0x10000n | present | write, true);
	dv.setBigUint64(0x4000 + 8, 0x11000n | present | nx, true);
	dv.setBigUint64(0x4000 + 16, 0x12000n | present | write | nx, true);
	// nop…; hlt: 17 and 129 instructions
	ram.u8s[0]!.fill(0x90, 0x10100, 0x10400);
	ram.u8s[0]![0x10110] = 0xf4;
	ram.u8s[0]![0x10280] = 0xf4;
	// mov rax,[rdi]; hlt / mov [rdi],rax; hlt / jmp rdi
	ram.u8s[0]!.set([0x48, 0x8b, 0x07, 0xf4], 0x10000);
	ram.u8s[0]!.set([0x48, 0x89, 0x07, 0xf4], 0x10010);
	ram.u8s[0]!.set([0xff, 0xe7], 0x10020);
	const cases = [
		{ pc: 0x400000, addr: 0x405000, code: 0 },
		{ pc: 0x400010, addr: 0x405000, code: 2 },
		{ pc: 0x400010, addr: 0x401000, code: 3 },
		{ pc: 0x400020, addr: 0x402000, code: 0x11 },
		{ pc: 0x400020, addr: 0x405000, code: 0x10 },
	];
	let codes: number[] = [];
	let olds: number[] = [];
	for (const c of cases) {
		const cpu = new X86Vcpu(api, ram, 0x1000, draft, CR4_NO_SMAP);
		const words = () =>
			new Int32Array(cpu.env.buffer.slice(cpu.env.byteOffset, cpu.env.byteOffset + ENV_SIZE));
		const before = words();
		cpu.gpr[7] = BigInt(c.addr);
		// draft offsets: start() and fault_done() must not write through them, so look at the raw result
		cpu.start(c.pc, 0);
		const first = words();
		if (cpu.vector !== X86_PF) throw new UnknownEngine(api.version, `no page fault came (${cpu.vector})`);
		const hits: number[] = [];
		for (let i = 0; i < first.length; i++) if (first[i] === c.code) hits.push(i * 4);
		codes = c === cases[0] ? hits : codes.filter((o) => hits.includes(o));
		if (c.code === 0) {
			cpu.gpr[7] = BigInt(c.addr);
			cpu.start(c.pc, 0);
			const second = words();
			for (let i = 0; i < first.length; i++)
				if (before[i] === -1 && first[i] === X86_PF && second[i] === X86_DF) olds.push(i * 4);
		}
		cpu.close();
	}
	const counting = new X86Vcpu(api, ram, 0x1000, draft, CR4_NO_SMAP);
	const emu_counter = find_counter(api, counting, [
		{ pc: 0x400100, n: 17 },
		{ pc: 0x400200, n: 129 },
	]);
	counting.close();
	ram.close();
	olds = [...new Set(olds)];
	if (codes.length !== 1 || olds.length !== 1)
		throw new UnknownEngine(api.version, `calibration found ${codes.length} and ${olds.length} candidates`);
	const found = { ...draft, error_code: codes[0]!, old_exception: olds[0]!, emu_counter };
	api.calibrated.set("x86", found);
	return found;
}
