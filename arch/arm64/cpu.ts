// SPDX-License-Identifier: GPL-2.0-only
/** An arm64 CPU: EL1 and EL0, aborts, the AAPCS64 convention. */
import { type Arm64Vcpu, EXCP_BKPT, EXCP_SWI } from "../../virt/arm64_vcpu.ts";
import { EV_ERROR, EV_EXCEPTION } from "../../virt/vcpu.ts";
import type { Fault, PageTable, UserExit, UserRegs } from "../arch.ts";
import type { BaseArch } from "../base_arch.ts";
import { BaseCpu, type Convention, hex } from "../cpu.ts";

const FP = 29;
const LR = 30;
const SP = 31;
const AAPCS64: Convention = {
	args: [0, 1, 2, 3, 4, 5, 6, 7],
	ret: 0,
	sp: SP,
	fp: FP,
	n_regs: 32,
	stop_size: 4,
};

/** exception classes (arch/arm64/include/asm/esr.h) */
const ESR_EC_UNKNOWN = 0x00;
export const ESR_EC_SVC64 = 0x15;
const ESR_EC_IABT_LOW = 0x20;
const ESR_EC_IABT_CUR = 0x21;
const ESR_EC_DABT_LOW = 0x24;
const ESR_EC_DABT_CUR = 0x25;
const ESR_EC_BRK64 = 0x3c;
const ESR_WNR = 0x40;
/** fault status: the kind, without the level */
const FSC_TYPE = 0x3c;
const FSC_ADDRESS = 0x00;
const FSC_TRANSLATION = 0x04;
const FSC_ACCESS = 0x08;
const FSC_PERM = 0x0c;

export class Arm64UserRegs implements UserRegs {
	/** x0 … x30, sp */
	readonly gpr = new BigInt64Array(32);
	pc = 0;
	flags = 0;
	tls = 0;
}

export class Arm64Cpu extends BaseCpu<Arm64Vcpu> {
	/** TTBR0 when there is no user address space */
	private readonly no_user: number;

	constructor(arch: BaseArch, id: number, vcpu: Arm64Vcpu, stall_ms: number, no_user: number) {
		super(arch, id, vcpu, stall_ms, AAPCS64);
		this.no_user = no_user;
		this.root = no_user;
		vcpu.set_tpidr_el1(arch.per_cpu_offset(id));
	}

	protected enter_kernel(): void {
		this.vcpu.enter_kernel_mode();
	}

	protected set_return(sp: number): number {
		this.set_num(LR, this.arch.return_stub);
		return sp;
	}

	protected return_address(): number {
		return this.regp(LR);
	}

	get caller(): number {
		return this.regp(LR);
	}

	set_table(table: PageTable | null): void {
		const root = table?.root ?? this.no_user;
		if (root === this.root) return;
		this.root = root;
		this.vcpu.set_root(root);
	}

	private make_fault(esr: number, addr: number, pc: number): Fault {
		const ec = esr >>> 26;
		const exec = ec === ESR_EC_IABT_LOW || ec === ESR_EC_IABT_CUR;
		const data = ec === ESR_EC_DABT_LOW || ec === ESR_EC_DABT_CUR;
		const fsc = esr & FSC_TYPE;
		const paging = fsc === FSC_ADDRESS || fsc === FSC_TRANSLATION || fsc === FSC_ACCESS || fsc === FSC_PERM;
		return {
			vector: ec,
			page_fault: (exec || data) && paging,
			addr,
			pc,
			write: data && (esr & ESR_WNR) !== 0,
			exec,
			user: ec === ESR_EC_IABT_LOW || ec === ESR_EC_DABT_LOW,
			present: (exec || data) && fsc === FSC_PERM,
			error_code: esr,
		};
	}

	protected other_fault(pc: number, null_call: boolean, user: boolean): Fault {
		if (!null_call) return this.make_fault(ESR_EC_UNKNOWN << 26, 0, pc);
		return this.make_fault(((user ? ESR_EC_IABT_LOW : ESR_EC_IABT_CUR) << 26) | FSC_TRANSLATION, 0, 0);
	}

	protected take_fault(): Fault {
		const { vcpu } = this;
		if (vcpu.vector === EXCP_BKPT) return this.make_fault((ESR_EC_BRK64 << 26) >>> 0, 0, vcpu.pc);
		if (vcpu.vector === EXCP_SWI) return this.make_fault((ESR_EC_SVC64 << 26) >>> 0, 0, vcpu.pc);
		const esr = vcpu.fault_code();
		return this.make_fault(esr, vcpu.fault_addr(), vcpu.pc);
	}

	/** arch/arm64/mm/fault.c: __do_kernel_fault, arch/arm64/kernel/traps.c */
	protected describe_fault(f: Fault): string {
		if (!f.page_fault) {
			if (f.vector === ESR_EC_BRK64) return "Unexpected kernel BRK exception at EL1";
			if (f.vector === ESR_EC_UNKNOWN) return "Oops - Undefined instruction";
			return `Unhandled fault, ESR 0x${f.error_code.toString(16).padStart(16, "0")}`;
		}
		let what = "paging request";
		if (f.present) {
			if (f.exec) what = "execution of non-executable memory";
			else what = f.write ? "write to read-only memory" : "read from unreadable memory";
		} else if (f.addr >= 0 && f.addr < 4096) what = "NULL pointer dereference";
		return `Unable to handle kernel ${what} at virtual address ${hex(f.addr)}, ESR 0x${f.error_code.toString(16).padStart(16, "0")}`;
	}

	/** Run user code until it needs the kernel. */
	run_user(table: PageTable, regs: UserRegs): UserExit {
		if (this.depth) throw new Error("BUG: user mode entered from within the kernel");
		const { vcpu, arch } = this;
		this.set_table(table);
		vcpu.arm(this.stall_ms);
		vcpu.enter_user_mode(regs.flags);
		vcpu.tpidr_el0 = regs.tls;
		this.g.set(regs.gpr);
		let pc = regs.pc;
		let exit: UserExit | null = null;
		try {
			while (!exit) {
				if (this.tlb_gen !== arch.tlb_gen) this.flush_tlb();
				const count = this.insn_budget === Number.POSITIVE_INFINITY ? 0 : this.budget(pc);
				const ev = vcpu.start(pc, count);
				if (count) this.insn_budget -= vcpu.executed(count);
				pc = vcpu.pc;
				if (ev === EV_EXCEPTION) {
					if (vcpu.vector === EXCP_SWI) {
						exit = { kind: "syscall", nr: this.w[16]! };
						continue;
					}
					const f = this.take_fault();
					if (f.vector === ESR_EC_BRK64) exit = { kind: "trap", vector: f.vector, pc };
					else if (!f.page_fault || !arch.on_fault?.(this, f)) exit = { kind: "fault", fault: f };
				} else if (ev === EV_ERROR) {
					exit = { kind: "fault", fault: this.other_fault(pc, false, true) };
				} else if (pc === 0) {
					const f = this.other_fault(0, true, true);
					if (!arch.on_fault?.(this, f)) exit = { kind: "fault", fault: f };
				} else this.tick(pc, count);
			}
			return exit;
		} finally {
			regs.gpr.set(this.g.subarray(0, 32));
			regs.pc = pc;
			regs.flags = vcpu.pstate & 0xf0000000;
			regs.tls = vcpu.tpidr_el0;
			vcpu.enter_kernel_mode();
		}
	}
}
