// SPDX-License-Identifier: GPL-2.0-only
/** The arm64 machine. */
import { Arm64Vcpu } from "../../virt/arm64_vcpu.ts";
import type { Ram } from "../../virt/ram.ts";
import type { ExceptionEntry, TablePages, UserRegs } from "../arch.ts";
import { type ArchOptions, BaseArch } from "../base_arch.ts";
import type { BaseCpu } from "../cpu.ts";
import { FourLevelTable } from "../paging.ts";
import type { TextLayout } from "../text.ts";
import { Arm64Cpu, Arm64UserRegs } from "./cpu.ts";
import { BpfExtableEntry } from "./extable.ts";
import { ARM64_LAYOUT, DATA_END, DATA_START, KIMAGE_VADDR } from "./layout.ts";
import { ARM64_PTE } from "./paging.ts";

/** wfi */
const WFI = [0x7f, 0x20, 0x03, 0xd5];
/** brk #0x100, which the kernel fills images with (AARCH64_BREAK_FAULT) */
const BRK = [0x00, 0x20, 0x20, 0xd4];
const NOP = [0x1f, 0x20, 0x03, 0xd5];
const TEXT: TextLayout = {
	start: KIMAGE_VADDR,
	data: DATA_START,
	data_end: DATA_END,
	stop: WFI,
	// -fpatchable-function-entry=2, the first of which ftrace made `mov x9, lr`
	hook: [0xe9, 0x03, 0x1e, 0xaa, ...NOP],
	fill: BRK,
};

export class Arm64Arch extends BaseArch {
	readonly name = "arm64" as const;
	/** reserved_pg_dir: nothing mapped, for TTBR0 without a user address space */
	private readonly no_user: FourLevelTable;

	constructor(ram: Ram, pages: TablePages, opts: ArchOptions) {
		super(ram, pages, opts, ARM64_LAYOUT, ARM64_PTE, TEXT);
		this.no_user = new FourLevelTable(ram, pages, ARM64_PTE, false, null);
		// where the PLTs of programs lead: mov x10, x30; mov x30, x9; ret x10
		const dummy_tramp = new Uint32Array([0xaa1e03ea, 0xaa0903fe, 0xd65f0140]);
		this.text.define_code("dummy_tramp", new Uint8Array(dummy_tramp.buffer));
	}

	protected make_cpu(id: number): Arm64Cpu {
		const vcpu = new Arm64Vcpu(
			this.api,
			this.ram,
			this.kernel_table.root,
			this.no_user.root,
			this.opts.tick_ms,
		);
		return new Arm64Cpu(this, id, vcpu, this.opts.stall_ms ?? 10_000, this.no_user.root);
	}

	protected load_current(cpu: BaseCpu<Arm64Vcpu>, task: number): void {
		cpu.vcpu.set_sp_el0(task);
	}

	override get current_in_register(): boolean {
		return true;
	}

	bpf_extable_entry(insn: number, fixup: number): ExceptionEntry {
		return new BpfExtableEntry(insn, fixup);
	}

	new_user_regs(): UserRegs {
		return new Arm64UserRegs();
	}

	override get kernel_table_pages(): number {
		return super.kernel_table_pages + this.no_user.nr_tables;
	}
}
