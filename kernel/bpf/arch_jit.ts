// SPDX-License-Identifier: GPL-2.0-only
/**
 * Programs and the architecture's compiler: what bpf_int_jit_compile() of arch/x86/net/bpf_jit_comp.c and
 * arch/arm64/net/bpf_jit_comp.c do around the making of code.
 */
import type { Jit, JitImage, JitPoke, TrampImage } from "../../arch/jit.ts";
import { BPF_POKE_REASON_TAIL_CALL } from "../../include/linux/bpf.ts";
import { EBUSY, EFAULT, EINVAL, ENOMEM, ENOTSUPP, ERANGE } from "../../include/uapi/asm-generic/errno.ts";
import { IS_ERR } from "../../lib/err.ts";
import { CAP_SYS_ADMIN, capable } from "../task.ts";
import type {
	bpf_insn,
	bpf_jit_poke_descriptor,
	bpf_map,
	bpf_prog,
	exception_table_entry,
} from "./bpf_types.ts";
import {
	bpf_jit_blind_constants,
	bpf_jit_get_func_addr,
	bpf_jit_prog_release_other,
	bpf_prog_fill_jited_linfo,
} from "./core.ts";
import type { ArchJit, TrampSpec } from "./jit.ts";

const BPF_MOD_CALL = 0;
const BPF_MOD_JUMP = 1;
const PAGE_SIZE = 4096;

/** Where images live. */
export interface JitMemory {
	/** Module memory for `size` bytes of image and exception table; null when there is none. */
	alloc(size: number, prog: bpf_prog | null): bigint | null;
	/** Write code and make every CPU see it. */
	write(addr: bigint, code: Uint8Array): void;
	read(addr: bigint, len: number): Uint8Array;
	free(addr: bigint): void;
	/** Entries of the image at `addr`; an empty list removes them. */
	set_extable(addr: bigint, entries: readonly exception_table_entry[]): void;
}

/** What the JIT needs of an arena map: the addresses of its areas. */
export interface ArenaAddrs {
	/** bpf_arena_get_kern_vm_start() */
	readonly kern_vm_start: bigint;
	/** bpf_arena_get_user_vm_start() */
	readonly user_vm_start: bigint;
}

/** kernel/bpf/arena.c: the areas of an arena; 0n, 0n where a program has none. */
function arena_addrs(map: bpf_map | null): ArenaAddrs {
	if (map === null) return { kern_vm_start: 0n, user_vm_start: 0n };
	const { kern_vm_start, user_vm_start } = map as bpf_map & Partial<ArenaAddrs>;
	return { kern_vm_start: kern_vm_start ?? 0n, user_vm_start: user_vm_start ?? 0n };
}

/** The compiler of a kernel's architecture at work on that kernel's programs. */
export class ProgramJit implements ArchJit {
	private readonly jit: Jit;
	private readonly memory: JitMemory;
	/** aux->jit_data: images of functions that wait for their callees' addresses. */
	private readonly jit_data = new WeakMap<bpf_prog, JitImage>();
	private readonly images = new WeakMap<bpf_prog, JitImage>();
	/** Entries of programs with a PLT: bytes of code before its target. */
	private readonly entries = new Map<bigint, number>();
	/** What a PLT that is not in use leads to. */
	private dummy_tramp = 0n;

	constructor(jit: Jit, memory: JitMemory) {
		this.jit = jit;
		this.memory = memory;
	}

	bpf_int_jit_compile(orig_prog: bpf_prog): bpf_prog {
		if (!orig_prog.jit_requested) return orig_prog;
		const blinded = bpf_jit_blind_constants(orig_prog);
		// A program that asked to be blinded and could not be is interpreted.
		if (IS_ERR(blinded)) return orig_prog;
		const prog = this.compile(blinded);
		if (blinded !== orig_prog) bpf_jit_prog_release_other(prog ?? orig_prog, prog ? orig_prog : blinded);
		return prog ?? orig_prog;
	}

	private compile(prog: bpf_prog): bpf_prog | null {
		const { aux } = prog;
		const prev = this.jit_data.get(prog);
		const arena = arena_addrs(aux.arena);
		const pokes: JitPoke[] = aux.poke_tab;
		const image = this.jit.compile(
			{
				insns: prog.insnsi,
				stack_depth: aux.stack_depth,
				tail_call_reachable: aux.tail_call_reachable,
				is_func: prog.is_func,
				is_subprog: aux.func_idx !== 0,
				exception_cb: aux.exception_cb,
				exception_boundary: aux.exception_boundary,
				was_classic: prog.type === 0,
				sys_admin: capable(prog.kernel.current, CAP_SYS_ADMIN),
				arena_vm_start: arena.kern_vm_start,
				user_vm_start: arena.user_vm_start,
				num_exentries: aux.num_exentries,
				pokes,
				func_addr: (insn, extra_pass) => {
					const r = bpf_jit_get_func_addr(prog, insn as bpf_insn, extra_pass);
					return typeof r === "number" ? null : r.addr;
				},
			},
			(size) => this.memory.alloc(size, prog),
			prev,
		);
		this.jit_data.delete(prog);
		if (!image) {
			if (prev) {
				this.memory.free(prev.addr);
				prog.bpf_func = 0n;
				prog.jited = false;
				prog.jited_len = 0;
				prog.image = null;
			}
			return null;
		}
		prog.image = image.code;
		prog.bpf_func = image.addr;
		prog.jited = true;
		prog.jited_len = image.code.length;
		this.images.set(prog, image);
		// blinded instructions are no longer those that the verifier saw
		if (!prog.blinded) prog.kernel.bpf.embedding?.image_added(prog, image.addr, image.addrs);
		if (prog.is_func && !prev) {
			this.jit_data.set(prog, image);
			return prog;
		}
		aux.extable = image.extable.map((x) => ({
			insn: image.addr + BigInt(x.insn_off),
			fixup: BigInt(x.fixup),
			data: 0,
		}));
		this.memory.write(image.addr, image.code);
		if (image.trailer) {
			this.memory.write(image.addr + BigInt(image.code.length), image.trailer);
			this.entries.set(image.addr, image.code.length);
			this.dummy_tramp = new DataView(image.trailer.buffer).getBigUint64(0, true);
		}
		this.memory.set_extable(image.addr, aux.extable);
		this.bpf_tail_call_direct_fixup(prog);
		bpf_prog_fill_jited_linfo(prog, image.addrs.subarray(1));
		return prog;
	}

	live_image(prog: bpf_prog, len: number): Uint8Array {
		return this.memory.read(prog.bpf_func, len);
	}

	insn_ends(prog: bpf_prog): Int32Array | null {
		return this.images.get(prog)?.addrs ?? null;
	}

	bpf_jit_free(prog: bpf_prog): void {
		const image = this.images.get(prog);
		if (!image) return;
		this.images.delete(prog);
		prog.kernel.bpf.embedding?.image_removed(prog);
		this.jit_data.delete(prog);
		this.entries.delete(image.addr);
		this.memory.set_extable(image.addr, []);
		this.memory.free(image.addr);
	}

	/** Direct tail calls jump to what the prog array holds already. */
	private bpf_tail_call_direct_fixup(prog: bpf_prog): void {
		for (const poke of prog.aux.poke_tab) {
			if (poke.aux && poke.aux !== prog.aux) continue;
			if (poke.reason !== BPF_POKE_REASON_TAIL_CALL) continue;
			// arm64 has no direct tail calls: the descriptor stays as it was made, never stable
			if (poke.tailcall_target === 0n) continue;
			const target = poke.tail_call.map.ops.prog_at?.(poke.tail_call.map, poke.tail_call.key) ?? null;
			if (target) {
				this.poke(poke.tailcall_target, BPF_MOD_JUMP, null, target.bpf_func + BigInt(poke.adj_off));
				this.poke(poke.tailcall_bypass, BPF_MOD_JUMP, poke.bypass_addr, null);
			}
			poke.tailcall_target_stable = true;
		}
	}

	/** __bpf_arch_text_poke(): 0 when changed, 1 when it was so already, or a negative errno. */
	private poke(ip: bigint, type: number, old_addr: bigint | null, new_addr: bigint | null): number {
		const call = type === BPF_MOD_CALL;
		const old_insn = this.jit.patch(ip, old_addr, call);
		const new_insn = this.jit.patch(ip, new_addr, call);
		if (!old_insn || !new_insn) return -ERANGE;
		const now = this.memory.read(ip, old_insn.length);
		if (Buffer.compare(now, old_insn) !== 0) return -EBUSY;
		if (Buffer.compare(now, new_insn) === 0) return 1;
		this.memory.write(ip, new_insn);
		return 0;
	}

	/** What stands at the beginning of a function. */
	protected head(ip: bigint): Uint8Array {
		return this.memory.read(ip, 4);
	}

	/** arch/x86/include/asm/ibt.h: is_endbr: endbr64, endbr32, or the nop that sealing leaves of them */
	private is_endbr(ip: bigint): boolean {
		const [a, b, c, d] = this.head(ip);
		if (a === 0xf3 && b === 0x0f && c === 0x1e) return d === 0xfa || d === 0xfb;
		return a === 0x66 && b === 0x0f && c === 0x1f && d === 0;
	}

	/** arch/x86/net/bpf_jit_comp.c: bpf_arch_text_poke: behind an endbr64 where there is one. */
	bpf_arch_text_poke(ip: bigint, type: number, old_addr: bigint | null, new_addr: bigint | null): number {
		if (this.jit.poke_offset !== undefined)
			return this.poke_far(ip, type, old_addr, new_addr, this.jit.poke_offset);
		if (this.memory.read(ip, 4).length < 4) return -EINVAL;
		return this.poke(this.is_endbr(ip) ? ip + 4n : ip, type, old_addr, new_addr);
	}

	/** arch/arm64/net/bpf_jit_comp.c: bpf_arch_text_poke: a program's entry, or a place within an image */
	private poke_far(
		ip: bigint,
		type: number,
		old_addr: bigint | null,
		new_addr: bigint | null,
		poke_offset: number,
	): number {
		const call = type === BPF_MOD_CALL;
		const code = this.entries.get(ip);
		const site = code === undefined ? ip : ip + BigInt(poke_offset);
		const target = code === undefined ? 0n : ip + BigInt(code);
		const far = (addr: bigint | null): boolean => addr !== null && this.jit.patch(site, addr, call) === null;
		if ((far(new_addr) || far(old_addr)) && !target) return -EINVAL;
		// the code of the PLT stands before its target
		const through = (addr: bigint | null): bigint | null => (far(addr) ? target - 8n : addr);
		const old_insn = this.jit.patch(site, through(old_addr), call);
		const new_insn = this.jit.patch(site, through(new_addr), call);
		if (!old_insn || !new_insn) return -EFAULT;
		const plt = far(new_addr) ? new_addr : far(old_addr) ? this.dummy_tramp : null;
		if (plt !== null) {
			const word = new Uint8Array(8);
			new DataView(word.buffer).setBigUint64(0, plt, true);
			this.memory.write(target, word);
		}
		if (Buffer.compare(old_insn, new_insn) === 0) return 0;
		if (Buffer.compare(this.memory.read(site, 4), old_insn) !== 0) return -EFAULT;
		this.memory.write(site, new_insn);
		return 0;
	}

	arch_alloc_bpf_trampoline(size: number): bigint {
		return this.memory.alloc(size, null) ?? 0n;
	}

	arch_free_bpf_trampoline(image: bigint): void {
		this.memory.free(image);
	}

	protected trampoline(t: TrampSpec, image: bigint, room: number, sizing: boolean): TrampImage | number {
		if (!this.jit.trampoline) return -ENOTSUPP;
		return this.jit.trampoline({ ...t, image, room, sizing, endbr: this.is_endbr(t.func_addr) });
	}

	/** arch/x86/net/bpf_jit_comp.c: arch_bpf_trampoline_size: makes it once, in memory of the same sort */
	arch_bpf_trampoline_size(t: TrampSpec): number {
		const image = this.arch_alloc_bpf_trampoline(PAGE_SIZE);
		if (!image) return -ENOMEM;
		const made = this.trampoline(t, image, PAGE_SIZE, true);
		this.arch_free_bpf_trampoline(image);
		return typeof made === "number" ? made : made.size;
	}

	arch_prepare_bpf_trampoline(image: bigint, size: number, t: TrampSpec): TrampImage | number {
		const made = this.trampoline(t, image, size, false);
		if (typeof made !== "number") this.memory.write(image, made.code);
		return made;
	}

	bpf_arch_poke_desc_update(
		poke: bpf_jit_poke_descriptor,
		new_prog: bpf_prog | null,
		old_prog: bpf_prog | null,
	): void {
		const adj = BigInt(poke.adj_off);
		const old_bypass = old_prog ? null : poke.bypass_addr;
		const old_addr = old_prog ? old_prog.bpf_func + adj : null;
		const new_addr = new_prog ? new_prog.bpf_func + adj : null;
		if (new_addr !== null) {
			this.poke(poke.tailcall_target, BPF_MOD_JUMP, old_addr, new_addr);
			if (!old_prog) this.poke(poke.tailcall_bypass, BPF_MOD_JUMP, poke.bypass_addr, null);
		} else {
			this.poke(poke.tailcall_bypass, BPF_MOD_JUMP, old_bypass, poke.bypass_addr);
			this.poke(poke.tailcall_target, BPF_MOD_JUMP, old_addr, null);
		}
	}
}
