// SPDX-License-Identifier: GPL-2.0-only
/** bpf_check() on small programs: verdict, errno, the end of the log, and the rewritten instructions. */
import { describe, expect, it } from "vitest";
import * as E from "../../include/uapi/asm-generic/errno.ts";
import * as U from "../../include/uapi/linux/bpf.ts";
import * as C from "../../include/uapi/linux/bpf_common.ts";
import { anon_inode_getfile, fd_install } from "../file.ts";
import type { KernelConfig } from "../kernel.ts";
import { KernelImpl } from "../kernel_impl.ts";
import { SoftMem } from "../soft_mem.ts";
import { CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON, CAP_SYS_ADMIN } from "../task.ts";
import { BpfState } from "./bpf_state.ts";
import { type bpf_insn, bpf_map, type bpf_map_ops, type bpf_prog } from "./bpf_types.ts";
import { btf_open_trusted } from "./btf.ts";
import { bpf_prog_alloc } from "./core.ts";
import {
	BPF_ALU32_REG,
	BPF_ALU64_IMM,
	BPF_ALU64_REG,
	BPF_ATOMIC_OP,
	BPF_CALL_REL,
	BPF_EXIT_INSN,
	BPF_JMP_A,
	BPF_JMP_IMM,
	BPF_JMP_REG,
	BPF_LD_IMM64,
	BPF_LD_MAP_FD,
	BPF_LDX_MEM,
	BPF_MOV64_IMM,
	BPF_MOV64_REG,
	BPF_RAW_INSN,
	BPF_ST_MEM,
	BPF_STX_MEM,
} from "./insn_macros.ts";
import { bpf_map_fops } from "./map_create.ts";
import { verifier_ops_of } from "./prog_types.ts";
import { bpf_check } from "./verifier.ts";
import type { bpf_prog_load_attr, bpfptr_t } from "./verifier_types.ts";

const [R0, R1, R2, R3, , , R6, R7] = [0, 1, 2, 3, 4, 5, 6, 7];
const FP = 10;
const MAP_FD = 3;
const { BPF_DW } = U;
const { BPF_W, BPF_B } = C;

/** The structs that these programs' contexts stand for: all that this kernel's BTF holds. */
function small_btf(): Uint8Array {
	const strs = "\0unsigned int\0sk_buff\0len\0xdp_buff\0data\0data_end\0";
	const str = (s: string) => strs.indexOf(`\0${s}\0`) + 1;
	const words = [
		...[0, 2 << 24, 0],
		...[str("unsigned int"), 1 << 24, 4, 32],
		...[str("sk_buff"), (4 << 24) | 1, 4, str("len"), 2, 0],
		...[str("xdp_buff"), (4 << 24) | 2, 16, str("data"), 1, 0, str("data_end"), 1, 64],
	];
	const b = new Uint8Array(24 + words.length * 4 + strs.length);
	const dv = new DataView(b.buffer);
	dv.setUint16(0, 0xeb9f, true);
	dv.setUint8(2, 1);
	dv.setUint32(4, 24, true);
	dv.setUint32(12, words.length * 4, true);
	dv.setUint32(16, words.length * 4, true);
	dv.setUint32(20, strs.length, true);
	for (const [i, w] of words.entries()) dv.setUint32(24 + i * 4, w, true);
	for (let i = 0; i < strs.length; i++) b[24 + words.length * 4 + i] = strs.charCodeAt(i);
	return b;
}

const map_ops: bpf_map_ops = {
	symbols: {
		map_lookup_elem: "array_map_lookup_elem",
		map_update_elem: "array_map_update_elem",
		map_delete_elem: "array_map_delete_elem",
	},
};

function make_kernel(): KernelImpl {
	const config: KernelConfig = {
		arch: "x86_64",
		cpus: 1,
		memory: 1 << 20,
		seed: 1,
		bpf_jit_enable: false,
		bpf_jit_always_on: false,
		bpf_jit_harden: 0,
		unprivileged_bpf_disabled: 0,
		kptr_restrict: 0,
		mitigations_off: false,
		x86: {
			ibt: false,
			retpoline: "off",
			rethunk: false,
			sls: false,
			bmi2: true,
			pgtable_levels: 4,
			clear_bhb: false,
		},
		arm64: { lse_atomics: true, bti: false, pac: false, va_bits: 48 },
		kconfig: new Map(),
	};
	const symbols = { addr: () => 0xffffffff81000000n, lookup: () => undefined };
	const kernel = new KernelImpl(config, new SoftMem(config.memory, 1, () => 0, 0x7ffffffff000), symbols);
	const vmlinux = btf_open_trusted(kernel, small_btf(), "vmlinux");
	kernel.bpf = new BpfState(kernel, {
		bpf_get_btf_vmlinux: () => vmlinux,
		verifier_ops: verifier_ops_of,
	});
	const map = new bpf_map(kernel, map_ops);
	map.map_type = U.BPF_MAP_TYPE_ARRAY;
	map.key_size = 4;
	map.value_size = 48;
	map.max_entries = 1;
	map.name = "values";
	map.foreign_addr = 0xffff888000001000n;
	fd_install(kernel, MAP_FD, anon_inode_getfile(kernel, "bpf-map", bpf_map_fops, map, 2));
	return kernel;
}

interface Load {
	insns: (bpf_insn | bpf_insn[])[];
	type?: number;
	attach?: number;
	unpriv?: boolean;
	flags?: number;
	level?: number;
	log_size?: number;
}

const kernel = make_kernel();

function load(o: Load): { ret: number; log: string; prog: bpf_prog } {
	for (const c of [CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON, CAP_SYS_ADMIN]) {
		if (o.unpriv) kernel.task.caps.delete(c);
		else kernel.task.caps.add(c);
	}
	const prog = bpf_prog_alloc(kernel);
	prog.insnsi = o.insns.flat().map((i) => i.clone());
	prog.type = o.type ?? U.BPF_PROG_TYPE_SOCKET_FILTER;
	prog.expected_attach_type = o.attach ?? 0;
	prog.gpl_compatible = true;
	const buf = new Uint8Array(o.log_size ?? 1 << 16);
	const LOG = 0x10000n;
	const read = (addr: bigint, len: number): Uint8Array =>
		buf.slice(Number(addr - LOG), Number(addr - LOG) + len);
	const write = (addr: bigint, bytes: Uint8Array): boolean => {
		if (addr >= LOG) buf.set(bytes, Number(addr - LOG));
		return true;
	};
	const uattr: bpfptr_t = { addr: 0n, is_kernel: false, read, write, read_user: read, write_user: write };
	const attr: bpf_prog_load_attr = {
		prog_type: prog.type,
		insn_cnt: prog.len,
		insns: 0n,
		license: 0n,
		log_level: o.level ?? 2,
		log_size: buf.length,
		log_buf: LOG,
		kern_version: 0,
		prog_flags: o.flags ?? 0,
		prog_name: "",
		prog_ifindex: 0,
		expected_attach_type: prog.expected_attach_type,
		prog_btf_fd: 0,
		func_info_rec_size: 0,
		func_info: 0n,
		func_info_cnt: 0,
		line_info_rec_size: 0,
		line_info: 0n,
		line_info_cnt: 0,
		attach_btf_id: 0,
		attach_prog_fd: 0,
		core_relo_cnt: 0,
		fd_array: 0n,
		core_relos: 0n,
		core_relo_rec_size: 0,
		log_true_size: 0,
		prog_token_fd: 0,
	};
	const ref = { val: prog };
	const ret = bpf_check(ref, attr, uattr, 144);
	return { ret, log: Buffer.from(buf.subarray(0, buf.indexOf(0))).toString("latin1"), prog: ref.val };
}

/** The lines of a log, without the statistics at its end. */
function lines(log: string): string[] {
	return log.split("\n").filter((l) => l !== "" && !/^processed \d+ insns/.test(l));
}

/** The verdict, and the log's last line before the statistics. */
function outcome(o: Load): [number, string] {
	const r = load(o);
	return [r.ret, lines(r.log).at(-1) ?? ""];
}

/** R0 = pointer to the map's value, or NULL. */
const lookup = (): (bpf_insn | bpf_insn[])[] => [
	BPF_ST_MEM(BPF_DW, FP, -8, 0),
	BPF_MOV64_REG(R2, FP),
	BPF_ALU64_IMM(C.BPF_ADD, R2, -8),
	BPF_LD_MAP_FD(R1, MAP_FD),
	BPF_RAW_INSN(C.BPF_JMP | U.BPF_CALL, 0, 0, 0, U.BPF_FUNC_map_lookup_elem),
];
const ret0 = (): bpf_insn[] => [BPF_MOV64_IMM(R0, 0), BPF_EXIT_INSN()];

describe("the log of a whole program", () => {
	it("shows every instruction with what it changed", () => {
		const r = load({
			insns: [
				BPF_MOV64_IMM(R6, 7),
				BPF_STX_MEM(BPF_DW, FP, R6, -8),
				BPF_LDX_MEM(BPF_B, R7, FP, -8),
				BPF_JMP_IMM(U.BPF_JNE, R7, 7, 1),
				...ret0(),
			],
		});
		expect(r.ret).toBe(0);
		expect(r.log).toBe(
			[
				"func#0 @0",
				"0: R1=ctx() R10=fp0",
				"0: (b7) r6 = 7                        ; R6_w=7",
				"1: (7b) *(u64 *)(r10 -8) = r6         ; R6_w=7 R10=fp0 fp-8_w=7",
				"2: (71) r7 = *(u8 *)(r10 -8)          ; R7_w=7 R10=fp0 fp-8_w=7",
				"3: (55) if r7 != 0x7 goto pc+1",
				"mark_precise: frame0: last_idx 3 first_idx 0 subseq_idx -1 ",
				"mark_precise: frame0: regs=r7 stack= before 2: (71) r7 = *(u8 *)(r10 -8)",
				"mark_precise: frame0: regs= stack=-8 before 1: (7b) *(u64 *)(r10 -8) = r6",
				"mark_precise: frame0: regs=r6 stack= before 0: (b7) r6 = 7",
				"3: R7_w=7",
				"4: (b7) r0 = 0                        ; R0_w=0",
				"5: (95) exit",
				"processed 6 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0",
				"",
			].join("\n"),
		);
	});

	it("keeps statistics only at level 4", () => {
		const r = load({ insns: ret0(), level: 4 });
		expect(r.log.replace(/time \d+/, "time N")).toBe(
			"verification time N usec\nstack depth 0\n" +
				"processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n",
		);
	});

	it("returns -ENOSPC when the buffer is too small for the log", () => {
		expect(load({ insns: ret0(), level: 2 | 8, log_size: 16 }).ret).toBe(-E.ENOSPC);
	});
});

describe("registers", () => {
	it("must be written before they are read", () => {
		expect(outcome({ insns: [BPF_MOV64_REG(R0, R2), BPF_EXIT_INSN()] })).toEqual([-E.EACCES, "R2 !read_ok"]);
	});
	it("R10 cannot be written", () => {
		expect(outcome({ insns: [BPF_MOV64_IMM(FP, 0), ...ret0()] })).toEqual([
			-E.EACCES,
			"frame pointer is read only",
		]);
	});
	it("do not leave the program as pointers without CAP_PERFMON", () => {
		const insns = [BPF_MOV64_REG(R0, FP), BPF_EXIT_INSN()];
		expect(outcome({ insns, unpriv: true })).toEqual([-E.EACCES, "R0 leaks addr as return value"]);
		expect(load({ insns }).ret).toBe(0);
	});
});

describe("the stack", () => {
	it("is 512 bytes deep", () => {
		expect(load({ insns: [BPF_ST_MEM(BPF_DW, FP, -512, 0), ...ret0()] }).ret).toBe(0);
		expect(outcome({ insns: [BPF_ST_MEM(BPF_DW, FP, -520, 0), ...ret0()] })).toEqual([
			-E.EACCES,
			"invalid write to stack R10 off=-520 size=8",
		]);
	});
	it("wants aligned accesses", () => {
		expect(outcome({ insns: [BPF_ST_MEM(BPF_W, FP, -6, 0), ...ret0()] })).toEqual([
			-E.EACCES,
			"misaligned stack access off 0+0+-6 size 4",
		]);
	});
	it("is not read uninitialised without CAP_PERFMON", () => {
		const insns = [BPF_LDX_MEM(BPF_DW, R0, FP, -8), ...ret0()];
		expect(outcome({ insns, unpriv: true })).toEqual([
			-E.EACCES,
			"invalid read from stack R10 off=-8 size=8",
		]);
		expect(load({ insns }).ret).toBe(0);
	});
	it("gives a spilled pointer back", () => {
		const r = load({
			insns: [
				BPF_STX_MEM(BPF_DW, FP, R1, -8),
				BPF_LDX_MEM(BPF_DW, R6, FP, -8),
				BPF_LDX_MEM(BPF_W, R0, R6, 0),
				BPF_EXIT_INSN(),
			],
		});
		expect(r.ret).toBe(0);
		expect(r.log).toContain("1: (79) r6 = *(u64 *)(r10 -8)         ; R6_w=ctx() R10=fp0 fp-8_w=ctx()\n");
	});
	it("does not give a part of a spilled pointer", () => {
		expect(
			outcome({
				insns: [BPF_STX_MEM(BPF_DW, FP, R1, -8), BPF_LDX_MEM(BPF_W, R0, FP, -8), BPF_EXIT_INSN()],
			}),
		).toEqual([-E.EACCES, "invalid size of register fill"]);
	});
	it("is summed over calls", () => {
		const callee = [BPF_ST_MEM(BPF_DW, FP, -272, 0), ...ret0()];
		expect(
			outcome({ insns: [BPF_ST_MEM(BPF_DW, FP, -256, 0), BPF_CALL_REL(1), BPF_EXIT_INSN(), ...callee] }),
		).toEqual([-E.EACCES, "combined stack size of 2 calls is 544. Too large"]);
	});
});

describe("map values", () => {
	it("are checked for NULL and bounds", () => {
		expect(outcome({ insns: [...lookup(), BPF_LDX_MEM(BPF_DW, R0, R0, 0), BPF_EXIT_INSN()] })).toEqual([
			-E.EACCES,
			"R0 invalid mem access 'map_value_or_null'",
		]);
		const access = (off: number) => [
			...lookup(),
			BPF_JMP_IMM(C.BPF_JEQ, R0, 0, 1),
			BPF_LDX_MEM(BPF_DW, R0, R0, off),
			BPF_EXIT_INSN(),
		];
		expect(load({ insns: access(40) }).ret).toBe(0);
		const r = load({ insns: access(44) });
		expect(r.ret).toBe(-E.EACCES);
		expect(lines(r.log).slice(-2)).toEqual([
			"invalid access to map value, value_size=48 off=44 size=8",
			"R0 min value is outside of the allowed memory range",
		]);
	});
	it("need a bounded index", () => {
		const indexed = (max: number) => [
			BPF_LDX_MEM(BPF_W, R6, R1, 0),
			...lookup(),
			BPF_JMP_IMM(C.BPF_JEQ, R0, 0, 4),
			BPF_JMP_IMM(C.BPF_JGT, R6, max, 3),
			BPF_ALU64_REG(C.BPF_ADD, R0, R6),
			BPF_ST_MEM(BPF_B, R0, 0, 1),
			BPF_MOV64_IMM(R0, 0),
			BPF_MOV64_IMM(R0, 0),
			BPF_EXIT_INSN(),
		];
		expect(load({ insns: indexed(47) }).ret).toBe(0);
		const r = load({ insns: indexed(48) });
		expect(r.ret).toBe(-E.EACCES);
		expect(lines(r.log).slice(-2)).toEqual([
			"invalid access to map value, value_size=48 off=48 size=1",
			"R0 max value is outside of the allowed memory range",
		]);
	});
});

describe("pointer arithmetic", () => {
	it("on 32 bits is prohibited", () => {
		expect(outcome({ insns: [BPF_ALU32_REG(C.BPF_ADD, R1, R1), ...ret0()] })).toEqual([
			-E.EACCES,
			"R1 pointer += pointer prohibited",
		]);
	});
	it("has no subtraction from the stack pointer", () => {
		expect(outcome({ insns: [BPF_MOV64_REG(R2, FP), BPF_ALU64_IMM(C.BPF_SUB, R2, 8), ...ret0()] })).toEqual([
			-E.EACCES,
			"R2 subtraction from stack pointer prohibited",
		]);
	});
	it("needs a known sign without CAP_PERFMON", () => {
		const insns = [
			...lookup(),
			BPF_JMP_IMM(C.BPF_JEQ, R0, 0, 5),
			BPF_LDX_MEM(BPF_DW, R3, R0, 0),
			BPF_JMP_IMM(U.BPF_JSGT, R3, 8, 3),
			BPF_JMP_IMM(U.BPF_JSLT, R3, -8, 2),
			BPF_ALU64_REG(C.BPF_ADD, R0, R3),
			BPF_MOV64_IMM(R0, 0),
			BPF_MOV64_IMM(R0, 0),
			BPF_EXIT_INSN(),
		];
		expect(outcome({ insns, unpriv: true })).toEqual([
			-E.EACCES,
			"R3 has unknown scalar with mixed signed bounds, pointer arithmetic with it prohibited for !root",
		]);
		expect(load({ insns }).ret).toBe(0);
	});
	it("is masked in unprivileged programs", () => {
		const insns = [
			...lookup(),
			BPF_JMP_IMM(C.BPF_JEQ, R0, 0, 4),
			BPF_LDX_MEM(BPF_B, R3, R0, 0),
			BPF_ALU64_IMM(C.BPF_AND, R3, 15),
			BPF_ALU64_REG(C.BPF_ADD, R0, R3),
			BPF_LDX_MEM(BPF_B, R0, R0, 0),
			BPF_MOV64_IMM(R0, 0),
			BPF_EXIT_INSN(),
		];
		const priv = load({ insns }).prog;
		const masked = load({ insns, unpriv: true }).prog;
		// w11 = limit; r11 -= r3; r11 |= r3; r11 = -r11; r11 s>>= 63; r11 &= r3; r0 += r11, and a
		// speculation barrier behind the store to uninitialised stack
		expect(masked.len).toBe(priv.len + 7);
		const at = masked.insnsi.findIndex((i) => i.dst_reg === 11 && i.code === 0xb4);
		expect(masked.insnsi.slice(at, at + 7).map((i) => i.code)).toEqual([
			0xb4, 0x1f, 0x4f, 0x87, 0xc7, 0x5f, 0x0f,
		]);
		expect(masked.insnsi[at]!.imm).toBe(15);
	});
});

describe("packets", () => {
	const data = [BPF_LDX_MEM(BPF_W, R2, R1, 0), BPF_LDX_MEM(BPF_W, R3, R1, 4)];
	const checked = (len: number, off: number) => [
		...data,
		BPF_MOV64_REG(R6, R2),
		BPF_ALU64_IMM(C.BPF_ADD, R6, len),
		BPF_JMP_REG(C.BPF_JGT, R6, R3, 1),
		BPF_LDX_MEM(BPF_B, R0, R2, off),
		...ret0(),
	];
	it("are read within the range that was compared", () => {
		expect(load({ insns: checked(8, 7), type: U.BPF_PROG_TYPE_XDP }).ret).toBe(0);
		const r = load({ insns: checked(8, 8), type: U.BPF_PROG_TYPE_XDP });
		expect(r.ret).toBe(-E.EACCES);
		expect(lines(r.log).slice(-2)).toEqual([
			"invalid access to packet, off=8 size=1, R2(id=0,off=8,r=8)",
			"R2 offset is outside of the packet",
		]);
	});
	it("raise max_pkt_offset", () => {
		expect(load({ insns: checked(64, 40), type: U.BPF_PROG_TYPE_XDP }).prog.aux.max_pkt_offset).toBe(40);
	});
});

describe("jumps", () => {
	it("back without progress are an infinite loop", () => {
		const r = load({ insns: [BPF_MOV64_IMM(R0, 0), BPF_JMP_IMM(C.BPF_JEQ, R0, 0, -1), BPF_EXIT_INSN()] });
		expect(r.ret).toBe(-E.EINVAL);
		expect(r.log).toContain("infinite loop detected at insn 1\n");
	});
	it("over code that no path reaches leave it out", () => {
		const r = load({
			insns: [BPF_MOV64_IMM(R0, 0), BPF_JMP_IMM(C.BPF_JEQ, R0, 0, 1), BPF_MOV64_IMM(R0, 1), BPF_EXIT_INSN()],
		});
		expect(r.ret).toBe(0);
		expect(r.prog.insnsi.map((i) => i.code)).toEqual([0xb7, 0x95]);
	});
	it("in bounded loops are followed", () => {
		const r = load({
			insns: [
				BPF_MOV64_IMM(R0, 0),
				BPF_ALU64_IMM(C.BPF_ADD, R0, 1),
				BPF_JMP_IMM(U.BPF_JLT, R0, 10, -2),
				BPF_EXIT_INSN(),
			],
		});
		expect(r.ret).toBe(0);
		expect(r.log).toContain("processed 22 insns");
	});
	it("compare pointers with numbers only when privileged", () => {
		const insns = [BPF_MOV64_IMM(R0, 0), BPF_JMP_IMM(C.BPF_JGT, R1, 5, 0), BPF_EXIT_INSN()];
		expect(outcome({ insns, unpriv: true })).toEqual([-E.EACCES, "R1 pointer comparison prohibited"]);
		expect(load({ insns }).ret).toBe(0);
	});
});

describe("atomic operations", () => {
	it("know their opcodes", () => {
		expect(
			outcome({
				insns: [BPF_ST_MEM(BPF_DW, FP, -8, 0), BPF_ATOMIC_OP(BPF_DW, 0x30, FP, FP, -8), ...ret0()],
			}),
		).toEqual([-E.EINVAL, "BPF_ATOMIC uses invalid atomic opcode 30"]);
	});
	it("do not work on the context", () => {
		expect(
			outcome({
				insns: [BPF_MOV64_IMM(R2, 1), BPF_ATOMIC_OP(BPF_W, C.BPF_ADD, R1, R2, 0), ...ret0()],
			}),
		).toEqual([-E.EACCES, "BPF_ATOMIC stores into R1 ctx is not allowed"]);
	});
});

describe("return values", () => {
	it("are enforced by attach type", () => {
		const insns = [BPF_MOV64_IMM(R0, 2), BPF_EXIT_INSN()];
		expect(
			outcome({ insns, type: U.BPF_PROG_TYPE_CGROUP_SOCK, attach: U.BPF_CGROUP_INET_SOCK_CREATE }),
		).toEqual([-E.EINVAL, "At program exit the register R0 has smin=2 smax=2 should have been in [0, 1]"]);
		const egress = load({
			insns,
			type: U.BPF_PROG_TYPE_CGROUP_SKB,
			attach: U.BPF_CGROUP_INET_EGRESS,
		});
		expect([egress.ret, egress.prog.enforce_expected_attach_type]).toEqual([0, true]);
	});
});

describe("reserved fields", () => {
	const cases: [string, bpf_insn[], string][] = [
		["BPF_NEG", [BPF_RAW_INSN(0x87, 0, 0, 1, 0)], "BPF_NEG uses reserved fields"],
		["BPF_MOV", [BPF_RAW_INSN(0xbf, 0, 1, 3, 0)], "BPF_MOV uses reserved fields"],
		["BPF_ST", [BPF_RAW_INSN(0x62, 10, 1, -8, 0)], "BPF_ST uses reserved fields"],
		["BPF_LD_IMM64", [BPF_LD_IMM64(0, 1)[0], BPF_LD_IMM64(0, 1)[1]], ""],
		["div", [BPF_MOV64_IMM(0, 1), BPF_ALU64_IMM(C.BPF_DIV, 0, 0)], "div by zero"],
		["shift", [BPF_MOV64_IMM(0, 1), BPF_ALU64_IMM(C.BPF_LSH, 0, 64)], "invalid shift 64"],
		["JA", [BPF_RAW_INSN(0x05, 1, 0, 0, 0)], "BPF_JA uses reserved fields"],
		["JSET", [BPF_MOV64_IMM(0, 0), BPF_RAW_INSN(0x45, 0, 1, 0, 1)], "BPF_JMP/JMP32 uses reserved fields"],
	];
	it.each(cases)("of %s", (_name, insns, message) => {
		const r = load({ insns: [...insns, BPF_JMP_A(0), ...ret0()] });
		if (message === "") expect(r.ret).toBe(0);
		else expect([r.ret, lines(r.log).at(-1)]).toEqual([-E.EINVAL, message]);
	});
});
