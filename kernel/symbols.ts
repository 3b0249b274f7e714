// SPDX-License-Identifier: GPL-2.0-only
/**
 * Kernel symbols without a machine: names get addresses in the kernel's text or data as they are asked
 * for, in the same order each run (kernel/kallsyms.c is what user space sees of them).
 */
import type { SymbolTable } from "./kernel.ts";

const TEXT_START = 0xffffffff81000000n;
const DATA_START = 0xffffffff82000000n;

/** Which names are symbols: functions or data of a given size; undefined: none. */
export type SymbolKind =
	| { readonly text: true }
	| { readonly text: false; readonly size: number; readonly percpu: boolean };

export class KernelSymbols implements SymbolTable {
	private readonly by_name: Map<string, bigint> = new Map();
	private readonly by_addr: Map<bigint, string> = new Map();
	private next_text = TEXT_START;
	private next_data = DATA_START;
	/** Says what a name is that was not defined; set by boot(). */
	kind_of: (name: string) => SymbolKind | undefined = () => undefined;

	addr(name: string): bigint | undefined {
		const known = this.by_name.get(name);
		if (known !== undefined) return known;
		const kind = this.kind_of(name);
		if (!kind) return undefined;
		return kind.text ? this.define_text(name) : this.define_data(name, kind.size);
	}
	/** Helpers lie further from the base than their numbers reach, so that dumps do not take one for the other. */
	define_call_base(): void {
		this.define_text("__bpf_call_base");
		this.next_text += 4096n;
	}
	define_text(name: string): bigint {
		const at = this.next_text;
		this.next_text += 16n;
		return this.set(name, at);
	}
	define_data(name: string, size: number): bigint {
		const at = this.next_data;
		this.next_data += BigInt(Math.ceil(Math.max(size, 1) / 64) * 64);
		return this.set(name, at);
	}
	set(name: string, at: bigint): bigint {
		this.by_name.set(name, at);
		this.by_addr.set(at, name);
		return at;
	}
	lookup(addr: bigint): { name: string; offset: bigint } | undefined {
		const exact = this.by_addr.get(addr);
		if (exact !== undefined) return { name: exact, offset: 0n };
		if (addr < TEXT_START || addr >= this.next_data) return undefined;
		let best: bigint | null = null;
		for (const a of this.by_addr.keys()) if (a <= addr && (best === null || a > best)) best = a;
		return best === null ? undefined : { name: this.by_addr.get(best)!, offset: addr - best };
	}
	/** /proc/kallsyms: in order of address. */
	entries(): { name: string; addr: bigint; text: boolean }[] {
		return [...this.by_addr]
			.map(([addr, name]) => ({ name, addr, text: addr < DATA_START }))
			.sort((a, b) => (a.addr < b.addr ? -1 : 1));
	}
}
