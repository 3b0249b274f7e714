// SPDX-License-Identifier: GPL-2.0-only
/**
 * An arm64 CPU on Unicorn, at EL1 or EL0. As on x86, registers are read and written in the
 * engine's own memory (struct CPUARMState):
 *
 *     0    xregs[32]   x0 … x30, sp of the current level
 *     256  pc          264 pstate (without the arithmetic flags)
 */
import { type Ram, Ram as RamClass } from "./ram.ts";
import { type EngineKind, type EngineOffsets, find_counter, find_registers, UcVcpu } from "./uc_vcpu.ts";
import { UC_ARCH_ARM64, UC_ERR_INSN_INVALID, type UnicornApi } from "./unicorn.ts";
import { EV_ERROR, EV_EXCEPTION, EV_HALT, UnknownEngine } from "./vcpu.ts";

/** unicorn/arm64.h: register numbers */
const REG_SP = 4;
const REG_X0 = 199;
const REG_PSTATE = 265;
const REG_SP_EL0 = 270;
const REG_TPIDR_EL0 = 262;
const REG_TPIDR_EL1 = 264;
const REG_CP = 290;

/** cortex "max": LSE, PAN and the rest */
const CPU_MODEL = 3;
const ENV_SIZE = 0x3000;
const KIND: EngineKind = { arch: UC_ARCH_ARM64, mode: 0, model: CPU_MODEL, n_gpr: 32, env_size: ENV_SIZE };

/** Exceptions by QEMU's number, which the hook gives */
const EXCP_UDEF = 1;
export const EXCP_SWI = 2;
export const EXCP_PREFETCH_ABORT = 3;
export const EXCP_DATA_ABORT = 4;
export const EXCP_BKPT = 7;
/** what an instruction that does not exist is reported as */
export const EXCP_UNDEFINED = EXCP_UDEF;

/** PSTATE: EL1 with its own stack pointer, interrupts masked */
const PSTATE_EL1H = 0x3c5n;
/** privileged access never: kernel code does not touch user pages */
const PSTATE_PAN = 1n << 22n;
const PSTATE_KERNEL = PSTATE_EL1H | PSTATE_PAN;

interface SysReg {
	readonly op0: number;
	readonly op1: number;
	readonly crn: number;
	readonly crm: number;
	readonly op2: number;
}
const sysreg = (op0: number, op1: number, crn: number, crm: number, op2: number): SysReg => ({
	op0,
	op1,
	crn,
	crm,
	op2,
});
const SCR_EL3 = sysreg(3, 6, 1, 1, 0);
const HCR_EL2 = sysreg(3, 4, 1, 1, 0);
const SCTLR_EL1 = sysreg(3, 0, 1, 0, 0);
const TTBR0_EL1 = sysreg(3, 0, 2, 0, 0);
const TTBR1_EL1 = sysreg(3, 0, 2, 0, 1);
const TCR_EL1 = sysreg(3, 0, 2, 0, 2);
const MAIR_EL1 = sysreg(3, 0, 10, 2, 0);
const CPACR_EL1 = sysreg(3, 0, 1, 0, 2);

/** T0SZ and T1SZ 16, both granules 4 KiB, 48 bits of physical address, write-back and inner shareable walks */
const TCR = 16n | (0x35n << 8n) | (16n << 16n) | (0x35n << 24n) | (2n << 30n) | (5n << 32n);
/** attribute 0: normal write-back memory */
const MAIR = 0xffn;
/** M, C, I */
const SCTLR_ON = 0x1005n;
/** UCI, UCT: user space may do cache maintenance, as Linux lets it */
const SCTLR_USER = (1n << 26n) | (1n << 15n);

interface Offsets extends EngineOffsets {
	/** exception.vaddress; the syndrome stands 8 bytes before */
	vaddress: number;
}

export class Arm64Vcpu extends UcVcpu<Offsets> {
	private el0 = false;

	/** `root1`: tables of the kernel's half (TTBR1), `root0` those of the user's (TTBR0). */
	constructor(api: UnicornApi, ram: Ram, root1: number, root0: number, offsets?: Offsets) {
		super(api, KIND, ram, offsets ?? calibrate(api));
		// first of all 64-bit lower levels, or the walker reads AArch32 tables
		this.write_sysreg(SCR_EL3, 0x401n);
		this.write_sysreg(HCR_EL2, 1n << 31n);
		this.write_sysreg(MAIR_EL1, MAIR);
		this.write_sysreg(TCR_EL1, TCR);
		this.write_sysreg(TTBR0_EL1, BigInt(root0));
		this.write_sysreg(TTBR1_EL1, BigInt(root1));
		this.write_sysreg(CPACR_EL1, 3n << 20n);
		this.write_sysreg(SCTLR_EL1, this.read_sysreg(SCTLR_EL1) | SCTLR_ON | SCTLR_USER);
		this.set_pstate(PSTATE_KERNEL);
		this.flush_tlb();
		this.verify();
	}

	private verify(): void {
		this.write_reg(REG_SP, 0x1234567089abcdefn);
		this.write_reg(REG_X0 + 3, 0x0fedcba987654321n);
		if (this.gpr[31] !== 0x1234567089abcdefn || this.gpr[3] !== 0x0fedcba987654321n)
			throw new UnknownEngine(this.api.version, "registers are not where calibration found them");
	}

	private select(r: SysReg): void {
		const s = this.scratch_dv;
		s.setUint32(0, r.crn, true);
		s.setUint32(4, r.crm, true);
		s.setUint32(8, r.op0, true);
		s.setUint32(12, r.op1, true);
		s.setUint32(16, r.op2, true);
	}

	/** Write a system register. */
	write_sysreg(r: SysReg, v: bigint): void {
		this.select(r);
		this.scratch_dv.setBigUint64(24, BigInt.asUintN(64, v), true);
		this.check(this.api.reg_write(this.uc, REG_CP, this.scratch), "write system register");
	}

	read_sysreg(r: SysReg): bigint {
		this.select(r);
		this.check(this.api.reg_read(this.uc, REG_CP, this.scratch), "read system register");
		return this.scratch_dv.getBigUint64(24, true);
	}

	private set_pstate(v: bigint): void {
		this.write_reg(REG_PSTATE, v);
		// the exception level that code is translated for follows a system register write only
		this.write_sysreg(MAIR_EL1, MAIR);
	}

	/** PSTATE, the arithmetic flags included. */
	get pstate(): number {
		return Number(this.read_reg(REG_PSTATE));
	}

	start(pc: number, count: number): number {
		this.vector = -1;
		const err = this.emulate(pc, count);
		if (this.vector >= 0) return EV_EXCEPTION;
		if (err === 0) return EV_HALT;
		if (err === UC_ERR_INSN_INVALID) {
			this.vector = EXCP_UDEF;
			return EV_EXCEPTION;
		}
		this.error = err;
		return EV_ERROR;
	}

	fault_addr(): number {
		const at = this.off.vaddress;
		return this.env.getUint32(at, true) + this.env.getInt32(at + 4, true) * 0x100000000;
	}

	/** ESR_ELx */
	fault_code(): number {
		return this.env.getUint32(this.off.vaddress - 8, true);
	}

	fault_done(): void {
		// nothing is kept between faults
	}

	/** TTBR0; TTBR1 stays. */
	set_root(pa: number): void {
		this.write_sysreg(TTBR0_EL1, BigInt(pa));
		this.flush_tlb();
	}

	set_tpidr_el1(v: number): void {
		this.write_reg(REG_TPIDR_EL1, BigInt(v));
	}

	get tpidr_el0(): number {
		return Number(BigInt.asIntN(64, this.read_reg(REG_TPIDR_EL0)));
	}

	set tpidr_el0(v: number) {
		this.write_reg(REG_TPIDR_EL0, BigInt(v));
	}

	/** sp_el0, which kernel mode uses for `current` */
	set_sp_el0(v: number): void {
		this.write_reg(REG_SP_EL0, BigInt(v));
	}

	enter_kernel_mode(): void {
		if (!this.el0) return;
		this.set_pstate(PSTATE_KERNEL);
		this.el0 = false;
	}

	/** EL0 with the given arithmetic flags. */
	enter_user_mode(flags: number): void {
		this.set_pstate(BigInt(flags) & 0xf0000000n);
		this.el0 = true;
	}
}

/** Find where this library keeps the registers and the last fault. About 20 ms, once in a process. */
function calibrate(api: UnicornApi): Offsets {
	const had = api.calibrated.get("arm64") as Offsets | undefined;
	if (had) return had;
	const place = find_registers(api, KIND, REG_X0 + 8, 8);
	const draft: Offsets = { ...place, emu_counter: 0, vaddress: 8 };
	// tables at 0x1000…0x4000 for 0x400000 → 0x10000, executable by EL1
	const ram = new RamClass(2 << 20);
	const dv = ram.dvs[0]!;
	for (const [at, v] of [
		[0x1000, 0x2003n],
		[0x2000, 0x3003n],
		[0x3010, 0x4003n],
		[0x4000, 0x10000n | 0x783n],
	] as const)
		dv.setBigUint64(at, v, true);
	const nop = 0xd503201f;
	const wfi = 0xd503207f;
	for (let i = 0; i < 1024; i++) dv.setUint32(0x10000 + i * 4, nop, true);
	dv.setUint32(0x10000, 0xf9400001, true); // ldr x1,[x0]
	dv.setUint32(0x10040 + 16 * 4, wfi, true);
	dv.setUint32(0x10100 + 128 * 4, wfi, true);
	let hits: number[] = [];
	for (const [i, addr] of [0x405128, 0x40634560, 0x5678abcdef0].entries()) {
		const cpu = new Arm64Vcpu(api, ram, 0x5000, 0x1000, draft);
		cpu.gpr[0] = BigInt(addr);
		cpu.start(0x400000, 0);
		if (cpu.vector !== EXCP_DATA_ABORT)
			throw new UnknownEngine(api.version, `no data abort came (${cpu.vector})`);
		const found: number[] = [];
		for (let at = 8; at + 8 <= ENV_SIZE; at += 4)
			// exception class 0x25: data abort without a change of level
			if (cpu.env.getBigUint64(at, true) === BigInt(addr) && cpu.env.getUint32(at - 8, true) >>> 26 === 0x25)
				found.push(at);
		hits = i === 0 ? found : hits.filter((o) => found.includes(o));
		cpu.close();
	}
	if (hits.length !== 1) throw new UnknownEngine(api.version, `calibration found ${hits.length} candidates`);
	const counting = new Arm64Vcpu(api, ram, 0x5000, 0x1000, draft);
	const emu_counter = find_counter(api, counting, [
		{ pc: 0x400040, n: 17 },
		{ pc: 0x400100, n: 129 },
	]);
	counting.close();
	ram.close();
	const found: Offsets = { ...draft, emu_counter, vaddress: hits[0]! };
	api.calibrated.set("arm64", found);
	return found;
}
