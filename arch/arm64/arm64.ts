// SPDX-License-Identifier: GPL-2.0-only
/** The arm64 machine. */
import { Arm64Vcpu } from "../../virt/arm64_vcpu.ts";
import type { Ram } from "../../virt/ram.ts";
import type { ExceptionEntry, TablePages, UserRegs } from "../arch.ts";
import { type ArchOptions, BaseArch } from "../base_arch.ts";
import type { BaseCpu } from "../cpu.ts";
import { FourLevelTable } from "../paging.ts";
import { stubs_of } from "../stubs.ts";
import { Arm64Cpu, Arm64UserRegs } from "./cpu.ts";
import { BpfExtableEntry } from "./extable.ts";
import { ARM64_LAYOUT, DATA_END, DATA_START, KIMAGE_VADDR } from "./layout.ts";
import { bl } from "./lib/insn.ts";
import { ARM64_PTE } from "./paging.ts";

/** Words as bytes, little-endian. */
function words(...list: bigint[]): number[] {
	return list.flatMap((w) => [0n, 8n, 16n, 24n].map((s) => Number((w >> s) & 0xffn)));
}

export class Arm64Arch extends BaseArch {
	readonly name = "arm64" as const;
	/** reserved_pg_dir: nothing mapped, for TTBR0 without a user address space */
	private readonly no_user: FourLevelTable;

	constructor(ram: Ram, pages: TablePages, opts: ArchOptions) {
		const stubs = stubs_of("arm64");
		const { stop, hook, trap: fill } = stubs;
		const text = { start: KIMAGE_VADDR, data: DATA_START, data_end: DATA_END, stop, hook, fill };
		super(ram, pages, opts, ARM64_LAYOUT, ARM64_PTE, text);
		this.no_user = new FourLevelTable(ram, pages, ARM64_PTE, false, null);
		this.text.define_code("dummy_tramp", Uint8Array.from(stubs.dummy_tramp));
	}

	protected make_cpu(id: number): Arm64Cpu {
		const vcpu = new Arm64Vcpu(this.api, this.ram, this.kernel_table.root, this.no_user.root);
		return new Arm64Cpu(this, id, vcpu, this.opts.stall_ms ?? 10_000, this.no_user.root);
	}

	protected load_current(cpu: BaseCpu<Arm64Vcpu>, task: number): void {
		cpu.vcpu.set_sp_el0(task);
	}

	/** What ftrace_caller does with the address of a direct call: a stub holds the address, the second NOP calls it. */
	direct_call(func: number, to: bigint | null): void {
		const { direct_call, nop } = stubs_of("arm64");
		const name = `ftrace_direct.${this.text.lookup(BigInt.asUintN(64, BigInt(func)))?.name}`;
		const room = Uint8Array.from([...direct_call, 0, 0, 0, 0, 0, 0, 0, 0]);
		const had = this.text.addr(name);
		const at = had === undefined ? this.text.define_code(name, room) : Number(BigInt.asIntN(64, had));
		if (to !== null)
			this.text.patch(at + direct_call.length, Uint8Array.from(words(to & 0xffffffffn, to >> 32n)));
		const site = func + 4;
		this.text.patch(site, Uint8Array.from(to === null ? nop : words(BigInt(bl((at - site) / 4) >>> 0))));
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
