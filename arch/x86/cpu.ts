// SPDX-License-Identifier: GPL-2.0-only
/** An x86-64 CPU: kernel mode and user mode, faults, the System V convention. */
import { EV_ERROR, EV_EXCEPTION, EV_SYSCALL } from "../../virt/vcpu.ts";
import { X86_BP, X86_PF, X86_UD, type X86Vcpu } from "../../virt/x86_vcpu.ts";
import type { Fault, PageTable, UserExit, UserRegs } from "../arch.ts";
import type { BaseArch } from "../base_arch.ts";
import { BaseCpu, type Convention, hex, TWO32 } from "../cpu.ts";

const RAX = 0;
const RCX = 1;
const RDX = 2;
const RSP = 4;
const RBP = 5;
const RSI = 6;
const RDI = 7;
const R8 = 8;
const R9 = 9;
const R11 = 11;
const SYSTEM_V: Convention = {
	args: [RDI, RSI, RDX, RCX, R8, R9],
	ret: RAX,
	sp: RSP,
	fp: RBP,
	n_regs: 16,
	stop_size: 1,
};
const FS = 4;
const GS = 5;
/** interrupts on, and the bit that is always 1 */
const KERNEL_FLAGS = 0x202;
/** flags that user mode may choose: arithmetic, DF, AC, ID */
const USER_FLAGS = 0x240cd5;
/** page-fault error code (arch/x86/include/asm/trap_pf.h) */
const PF_PROT = 1;
const PF_WRITE = 2;
const PF_USER = 4;
const PF_INSTR = 16;

export class X86UserRegs implements UserRegs {
	readonly gpr = new BigInt64Array(16);
	pc = 0;
	flags = 0x202;
	tls = 0;
}

export class X86Cpu extends BaseCpu<X86Vcpu> {
	/** addresses of a bare `ret` and a bare `sysretq` */
	private readonly ret_code: number;
	private readonly sysret_code: number;

	constructor(
		arch: BaseArch,
		id: number,
		vcpu: X86Vcpu,
		stall_ms: number,
		ret_code: number,
		sysret_code: number,
	) {
		super(arch, id, vcpu, stall_ms, SYSTEM_V);
		this.ret_code = ret_code;
		this.sysret_code = sysret_code;
		this.root = arch.kernel_table.root;
		vcpu.set_seg_base(GS, arch.per_cpu_offset(id));
	}

	protected enter_kernel(): void {
		this.vcpu.flags = KERNEL_FLAGS;
		this.vcpu.fault_done();
	}

	protected set_return(sp: number): number {
		this.push(sp - 8, this.arch.return_stub);
		return sp - 8;
	}

	protected return_address(): number {
		return this.ret_code;
	}

	get caller(): number {
		const pa = this.arch.kernel_table.walk_pa(this.sp);
		if (pa < 0) return 0;
		return this.arch.ram.r32(pa) + (this.arch.ram.r32(pa + 4) | 0) * TWO32;
	}

	set_table(table: PageTable | null): void {
		const root = (table ?? this.arch.kernel_table).root;
		if (root === this.root) return;
		this.root = root;
		this.vcpu.set_root(root);
	}

	private make_fault(vector: number, addr: number, pc: number, code: number): Fault {
		return {
			vector,
			page_fault: vector === X86_PF,
			addr,
			pc,
			write: (code & PF_WRITE) !== 0,
			exec: (code & PF_INSTR) !== 0,
			user: (code & PF_USER) !== 0,
			present: (code & PF_PROT) !== 0,
			error_code: code,
		};
	}

	protected other_fault(pc: number, null_call: boolean, user: boolean): Fault {
		const code = user ? PF_USER : 0;
		return null_call ? this.make_fault(X86_PF, 0, 0, code | PF_INSTR) : this.make_fault(X86_UD, 0, pc, code);
	}

	protected take_fault(): Fault {
		const { vcpu } = this;
		const vector = vcpu.vector;
		const code = vector === X86_PF ? vcpu.fault_code() : 0;
		const f = this.make_fault(vector, vector === X86_PF ? vcpu.fault_addr() : 0, vcpu.pc, code);
		vcpu.fault_done();
		return f;
	}

	/** arch/x86/mm/fault.c: show_fault_oops, arch/x86/kernel/traps.c */
	protected describe_fault(f: Fault): string {
		switch (f.vector) {
			case X86_PF:
				if (f.addr >= 0 && f.addr < 4096)
					return `BUG: kernel NULL pointer dereference, address: ${hex(f.addr)}`;
				return (
					`BUG: unable to handle page fault for address: ${hex(f.addr)} (supervisor ` +
					`${f.exec ? "instruction fetch" : f.write ? "write access" : "read access"} in kernel mode, ` +
					`error_code(0x${f.error_code.toString(16).padStart(4, "0")}) - ${f.present ? "permissions violation" : "not-present page"})`
				);
			case 13:
				return "Oops: general protection fault, probably for non-canonical address";
			case 6:
				return "Oops: invalid opcode";
			case 3:
				return "Oops: int3";
			case 0:
				return "Oops: divide error";
			default:
				return `Oops: exception ${f.vector}`;
		}
	}

	/** Run user code until it needs the kernel. */
	run_user(table: PageTable, regs: UserRegs): UserExit {
		if (this.depth) throw new Error("BUG: user mode entered from within the kernel");
		const { vcpu, arch } = this;
		this.set_table(table);
		vcpu.arm(this.stall_ms);
		if (!vcpu.enter_user_mode()) {
			// the first time: let the engine itself go to user mode, and keep how that looks. It goes to
			// address 0, where every start stops
			this.set_num(RCX, 0);
			this.set_num(R11, 0x202);
			vcpu.start(this.sysret_code, 0);
			vcpu.learn_user_mode();
			if (vcpu.cpl !== 3) throw new Error("BUG: sysretq did not enter user mode");
		}
		vcpu.set_seg_base(FS, regs.tls);
		vcpu.set_seg_base(GS, 0);
		this.g.set(regs.gpr);
		vcpu.flags = (regs.flags & USER_FLAGS) | 0x202;
		let pc = regs.pc;
		let exit: UserExit | null = null;
		try {
			while (!exit) {
				if (this.tlb_gen !== arch.tlb_gen) this.flush_tlb();
				const count = this.insn_budget === Number.POSITIVE_INFINITY ? 0 : this.budget(pc);
				// a syscall leaves its mark where an exception would: the next fault must not count as a double one
				vcpu.fault_done();
				const ev = vcpu.start(pc, count);
				if (count) this.insn_budget -= vcpu.executed(count);
				pc = vcpu.pc;
				if (ev === EV_SYSCALL) {
					exit = { kind: "syscall", nr: this.w[RAX * 2]! };
				} else if (ev === EV_EXCEPTION) {
					const f = this.take_fault();
					if (f.page_fault) {
						if (!arch.on_fault?.(this, f)) exit = { kind: "fault", fault: f };
					} else if (f.vector === X86_BP) exit = { kind: "trap", vector: f.vector, pc };
					else exit = { kind: "fault", fault: f };
				} else if (ev === EV_ERROR) {
					exit = { kind: "fault", fault: this.other_fault(pc, false, true) };
				} else if (pc === 0) {
					const f = this.other_fault(0, true, true);
					if (!arch.on_fault?.(this, f)) exit = { kind: "fault", fault: f };
				} else this.tick(pc, count);
			}
			return exit;
		} finally {
			regs.gpr.set(this.g.subarray(0, 16));
			regs.pc = pc;
			regs.flags = vcpu.flags;
			regs.tls = vcpu.seg_base(FS);
			vcpu.enter_kernel_mode();
			vcpu.set_seg_base(GS, arch.per_cpu_offset(this.id));
		}
	}
}
