// SPDX-License-Identifier: GPL-2.0-only
/** The x86-64 machine. */
import type { Ram } from "../../virt/ram.ts";
import { X86Vcpu } from "../../virt/x86_vcpu.ts";
import type { ExceptionEntry, TablePages, UserRegs } from "../arch.ts";
import { type ArchOptions, BaseArch, type PercpuAreas } from "../base_arch.ts";
import { stubs_of } from "../stubs.ts";
import { X86Cpu, X86UserRegs } from "./cpu.ts";
import { BpfExtableEntry } from "./extable.ts";
import { DATA_END, DATA_START, TEXT_START, X86_LAYOUT } from "./layout.ts";
import { X86_PTE } from "./paging.ts";

/** struct pcpu_hot: offsets (arch/x86/include/asm/current.h, without call depth tracking) */
const PCPU_HOT_CURRENT_TASK = 0;
const PCPU_HOT_CPU_NUMBER = 12;
const PCPU_HOT_TOP_OF_STACK = 16;

export class X86Arch extends BaseArch {
	readonly name = "x86_64" as const;
	private readonly ret_code: number;
	private readonly sysret_code: number;
	/** writes pcpu_hot.current_task */
	private write_current: ((cpu: number, task: number) => void) | null = null;

	constructor(ram: Ram, pages: TablePages, opts: ArchOptions) {
		const stubs = stubs_of("x86_64");
		const { stop, hook, trap: fill } = stubs;
		const text = { start: TEXT_START, data: DATA_START, data_end: DATA_END, stop, hook, fill };
		super(ram, pages, opts, X86_LAYOUT, X86_PTE, text);
		this.ret_code = this.text.define_code("__bpf_mirror_ret", Uint8Array.from(stubs.ret));
		this.sysret_code = this.text.define_code("__bpf_mirror_sysret", Uint8Array.from(stubs.sysret));
	}

	protected make_cpu(id: number): X86Cpu {
		const vcpu = new X86Vcpu(this.api, this.ram, this.kernel_table.root);
		return new X86Cpu(this, id, vcpu, this.opts.stall_ms ?? 10_000, this.ret_code, this.sysret_code);
	}

	/** Variables that machine code reaches through gs (arch/x86/include/asm/percpu.h, current.h). */
	override setup_percpu(areas: PercpuAreas, tops: readonly number[]): void {
		const this_cpu_off = areas.define_static("this_cpu_off", 8);
		const pcpu_hot = areas.define_static("pcpu_hot", 64, 64);
		this.text.add("this_cpu_off", this_cpu_off, 8);
		this.text.add("pcpu_hot", pcpu_hot, 64);
		for (const [cpu, top] of tops.entries()) {
			const hot = areas.per_cpu_ptr(pcpu_hot, cpu);
			areas.wptr(areas.per_cpu_ptr(this_cpu_off, cpu), this.per_cpu_offset(cpu));
			areas.w32(hot + PCPU_HOT_CPU_NUMBER, cpu);
			areas.wptr(hot + PCPU_HOT_TOP_OF_STACK, top);
		}
		this.write_current = (cpu, task) =>
			areas.wptr(areas.per_cpu_ptr(pcpu_hot, cpu) + PCPU_HOT_CURRENT_TASK, task);
	}

	protected load_current(): void {
		// it stands in memory, whether there is an engine or not
	}

	override set_current(cpu: number, task: number): void {
		super.set_current(cpu, task);
		this.write_current?.(cpu, task);
	}

	bpf_extable_entry(insn: number, fixup: number): ExceptionEntry {
		return new BpfExtableEntry(insn, fixup);
	}

	new_user_regs(): UserRegs {
		return new X86UserRegs();
	}
}
