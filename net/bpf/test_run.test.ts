// SPDX-License-Identifier: GPL-2.0-only
/** BPF_PROG_TEST_RUN: its errnos, packets and contexts in and out, and the helpers that change packets. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import * as E from "../../include/uapi/asm-generic/errno.ts";
import * as U from "../../include/uapi/linux/bpf.ts";
import { BPF_DW } from "../../include/uapi/linux/bpf.ts";
import type { bpf_attr } from "../../include/uapi/linux/bpf_attr.ts";
import {
	BPF_ADD,
	BPF_AND,
	BPF_B,
	BPF_H,
	BPF_JEQ,
	BPF_JGT,
	BPF_W,
} from "../../include/uapi/linux/bpf_common.ts";
import type { bpf_insn } from "../../kernel/bpf/bpf_types.ts";
import {
	BPF_ALU64_IMM,
	BPF_EXIT_INSN,
	BPF_JMP_IMM,
	BPF_JMP_REG,
	BPF_LD_MAP_FD,
	BPF_LDX_MEM,
	BPF_MOV64_IMM,
	BPF_MOV64_REG,
	BPF_RAW_INSN,
	BPF_ST_MEM,
	BPF_STX_MEM,
} from "../../kernel/bpf/insn_macros.ts";
import { booted, Process } from "../../kernel/testing.ts";

const call = (id: number): bpf_insn => BPF_RAW_INSN(0x85, 0, 0, 0, id);
const exit = BPF_EXIT_INSN;

/** An IPv4 packet with a right header checksum. */
function ipv4(size = 64): Uint8Array {
	const b = Uint8Array.from({ length: size }, (_, i) => i);
	b.set([0x08, 0x00, 0x45, 0, 0, size - 14, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2], 12);
	const sum = ip_sum(b);
	b[24] = sum >> 8;
	b[25] = sum & 255;
	return b;
}
/** The header's checksum as it should be with its own field left out. */
function ip_sum(b: Uint8Array): number {
	let s = 0;
	for (let i = 14; i < 34; i += 2) if (i !== 24) s += (b[i]! << 8) | b[i + 1]!;
	while (s > 0xffff) s = (s & 0xffff) + (s >>> 16);
	return ~s & 0xffff;
}

describe.each([
	["x86_64", "none"],
	["x86_64", "unicorn"],
	["arm64", "unicorn"],
] as const)("test runs, %s, CPU %s", (arch, cpu) => {
	let p: Process;
	let left: () => string[];
	beforeEach(() => {
		const k = booted({ arch, cpu });
		left = k.left;
		p = new Process(k.kernel);
	});
	afterEach(() => {
		p.end();
		expect(left()).toEqual([]);
	});
	const tc = (...insns: (bpf_insn | bpf_insn[])[]): number => p.load(U.BPF_PROG_TYPE_SCHED_CLS, insns);
	const xdp = (...insns: (bpf_insn | bpf_insn[])[]): number => p.load(U.BPF_PROG_TYPE_XDP, insns);
	const test = (fd: number, set: (a: bpf_attr) => void): number =>
		p.bpf(U.BPF_PROG_TEST_RUN, (a) => {
			a.test_prog_fd = fd;
			set(a);
		});
	const packet = (a: bpf_attr, size: number): void => {
		a.test_data_in = BigInt(p.mem + 0x4000);
		a.test_data_size_in = size;
	};

	it("refuses what the kernel refuses", () => {
		const cls = tc(BPF_MOV64_IMM(0, 7), exit());
		expect(test(99, () => {})).toBe(-E.EBADF);
		expect(test(cls, () => {})).toBe(-E.EINVAL);
		expect(test(cls, (a) => packet(a, 13))).toBe(-E.EINVAL);
		expect(test(cls, (a) => packet(a, 4096))).toBe(-E.EINVAL);
		expect(
			test(cls, (a) => {
				a.test_data_in = 8n;
				a.test_data_size_in = 64;
			}),
		).toBe(-E.EFAULT);
		expect(
			test(cls, (a) => {
				packet(a, 64);
				a.test_cpu = 1;
			}),
		).toBe(-E.EINVAL);
		expect(
			test(cls, (a) => {
				packet(a, 64);
				a.test_ctx_size_in = 8;
			}),
		).toBe(-E.EINVAL);
		expect(test(cls, (a) => packet(a, 64))).toBe(0);
		expect(p.attr.test_retval).toBe(7);
		const sk_msg = p.load(U.BPF_PROG_TYPE_SK_MSG, [BPF_MOV64_IMM(0, 1), exit()]);
		expect(test(sk_msg, (a) => packet(a, 64))).toBe(-E.ENOTSUPP);
	});

	it("gives back as much of the packet as there is room for", () => {
		const cls = tc(BPF_MOV64_IMM(0, 0), exit());
		p.sys.store(p.mem + 0x4000, ipv4());
		const run = (room: number): number =>
			test(cls, (a) => {
				packet(a, 64);
				a.test_data_out = BigInt(p.mem + 0x8000);
				a.test_data_size_out = room;
			});
		expect(run(10)).toBe(-E.ENOSPC);
		expect(p.attr.test_data_size_out).toBe(64);
		expect(p.sys.load(p.mem + 0x8000, 10)).toEqual(ipv4().subarray(0, 10));
		expect(run(64)).toBe(0);
		expect(p.sys.load(p.mem + 0x8000, 64)).toEqual(ipv4());
	});

	it("takes a context in and gives it back", () => {
		// struct __sk_buff: mark 8, priority 32, cb[0] 48
		const cls = tc(
			BPF_LDX_MEM(BPF_W, 2, 1, 8),
			BPF_ALU64_IMM(BPF_ADD, 2, 1),
			BPF_STX_MEM(BPF_W, 1, 2, 8),
			BPF_LDX_MEM(BPF_W, 0, 1, 48),
			BPF_ST_MEM(BPF_W, 10, -4, 0),
			BPF_STX_MEM(BPF_W, 1, 0, 52),
			exit(),
		);
		const ctx = p.mem + 0x9000;
		const run = (): number =>
			test(cls, (a) => {
				packet(a, 64);
				a.test_ctx_in = BigInt(ctx);
				a.test_ctx_size_in = 192;
				a.test_ctx_out = BigInt(ctx);
				a.test_ctx_size_out = 192;
			});
		p.sys.store(ctx, new Uint8Array(192));
		p.sys.store32(ctx + 8, 41);
		p.sys.store32(ctx + 48, 77);
		expect(run()).toBe(0);
		expect(p.attr.test_retval).toBe(77);
		expect([8, 48, 52].map((off) => p.sys.load32(ctx + off))).toEqual([42, 77, 77]);
		// len is not to be set
		p.sys.store32(ctx, 1);
		expect(run()).toBe(-E.EINVAL);
	});

	it("checks bounds that the program checked", () => {
		const prog = xdp(
			BPF_LDX_MEM(BPF_W, 2, 1, 0),
			BPF_LDX_MEM(BPF_W, 3, 1, 4),
			BPF_MOV64_IMM(0, 1),
			BPF_MOV64_REG(4, 2),
			BPF_ALU64_IMM(BPF_ADD, 4, 20),
			BPF_JMP_REG(BPF_JGT, 4, 3, 2),
			BPF_LDX_MEM(BPF_B, 0, 2, 19),
			BPF_ST_MEM(BPF_H, 2, 18, 0),
			exit(),
		);
		expect(
			p.run(
				prog,
				Uint8Array.from({ length: 19 }, (_, i) => i),
			).retval,
		).toBe(1);
		const r = p.run(
			prog,
			Uint8Array.from({ length: 20 }, (_, i) => i),
		);
		expect(r.retval).toBe(19);
		expect([...r.out.subarray(17)]).toEqual([17, 0, 0]);
	});

	it("XDP moves the packet's ends", () => {
		const move = (id: number, by: number): { retval: number; out: Uint8Array } =>
			p.run(xdp(BPF_MOV64_IMM(2, by), call(id), exit()), ipv4());
		const head = move(U.BPF_FUNC_xdp_adjust_head, 14);
		expect(head.retval).toBe(0);
		expect(head.out).toEqual(ipv4().subarray(14));
		expect(move(U.BPF_FUNC_xdp_adjust_head, -20).out.length).toBe(84);
		expect(move(U.BPF_FUNC_xdp_adjust_head, 60).retval | 0).toBe(-E.EINVAL);
		expect(move(U.BPF_FUNC_xdp_adjust_head, -300).retval | 0).toBe(-E.EINVAL);
		expect(move(U.BPF_FUNC_xdp_adjust_tail, -4).out).toEqual(ipv4().subarray(0, 60));
		const longer = move(U.BPF_FUNC_xdp_adjust_tail, 6);
		expect([...longer.out.subarray(63)]).toEqual([63, 0, 0, 0, 0, 0, 0]);
		expect(move(U.BPF_FUNC_xdp_adjust_tail, -60).retval | 0).toBe(-E.EINVAL);
		expect(move(U.BPF_FUNC_xdp_adjust_meta, -5).retval | 0).toBe(-E.EACCES);
	});

	it("XDP moves the end of a packet in pieces", () => {
		const big = Uint8Array.from({ length: 9000 }, (_, i) => i % 251);
		const move = (by: number): { retval: number; out: Uint8Array } => {
			const fd = p.load(
				U.BPF_PROG_TYPE_XDP,
				[BPF_MOV64_IMM(2, by), call(U.BPF_FUNC_xdp_adjust_tail), exit()],
				(a) => {
					a.prog_flags = U.BPF_F_XDP_HAS_FRAGS;
				},
			);
			return p.run(fd, big, 1, 16384);
		};
		expect(move(0).out).toEqual(big);
		expect(move(-3000).out).toEqual(big.subarray(0, 6000));
		expect(move(-8900).out).toEqual(big.subarray(0, 100));
		expect(move(-8990).retval | 0).toBe(-E.EINVAL);
		const longer = move(100).out;
		expect(longer.subarray(0, 9000)).toEqual(big);
		expect(longer.subarray(9000)).toEqual(new Uint8Array(100));
		expect(move(4000).retval | 0).toBe(-E.EINVAL);
	});

	it("tc moves them as well, and mends checksums", () => {
		const helper = (id: number, ...args: number[]): { retval: number; out: Uint8Array } =>
			p.run(tc(...args.map((v, i) => BPF_MOV64_IMM(2 + i, v)), call(id), exit()), ipv4());
		expect(helper(U.BPF_FUNC_skb_change_tail, 40, 0).out).toEqual(ipv4().subarray(0, 40));
		const longer = helper(U.BPF_FUNC_skb_change_tail, 1500, 0).out;
		expect(longer.length).toBe(1500);
		expect(longer.subarray(0, 64)).toEqual(ipv4());
		expect(longer.subarray(64).every((b) => b === 0)).toBe(true);
		expect(helper(U.BPF_FUNC_skb_change_tail, 10, 0).retval | 0).toBe(-E.EINVAL);
		expect(helper(U.BPF_FUNC_skb_change_tail, 40, 1).retval | 0).toBe(-E.EINVAL);
		const more = helper(U.BPF_FUNC_skb_change_head, 200, 0).out;
		expect(more.length).toBe(264);
		expect(more.subarray(200)).toEqual(ipv4());
		// eight bytes between the headers, and away again
		const room = helper(U.BPF_FUNC_skb_adjust_room, 8, U.BPF_ADJ_ROOM_MAC, 0).out;
		expect(room).toEqual(
			Uint8Array.of(...ipv4().subarray(0, 14), ...new Uint8Array(8), ...ipv4().subarray(14)),
		);
		const less = helper(U.BPF_FUNC_skb_adjust_room, -8, U.BPF_ADJ_ROOM_NET, 0).out;
		expect(less).toEqual(Uint8Array.of(...ipv4().subarray(0, 34), ...ipv4().subarray(42)));
		expect(helper(U.BPF_FUNC_skb_adjust_room, 8, 5, 0).retval | 0).toBe(-E.ENOTSUPP);
		// time to live from 64 to 63: the header's word changes from 0x0640 to 0x063f in the packet's order
		const ttl = p.run(
			tc(
				BPF_MOV64_REG(6, 1),
				BPF_MOV64_IMM(2, 24),
				BPF_MOV64_IMM(3, 0x0640),
				BPF_MOV64_IMM(4, 0x063f),
				BPF_MOV64_IMM(5, 2),
				call(U.BPF_FUNC_l3_csum_replace),
				BPF_MOV64_REG(1, 6),
				BPF_ST_MEM(BPF_B, 10, -1, 63),
				BPF_MOV64_IMM(2, 22),
				BPF_MOV64_REG(3, 10),
				BPF_ALU64_IMM(BPF_ADD, 3, -1),
				BPF_MOV64_IMM(4, 1),
				BPF_MOV64_IMM(5, 0),
				call(U.BPF_FUNC_skb_store_bytes),
				exit(),
			),
			ipv4(),
		);
		expect(ttl.retval).toBe(0);
		expect(ttl.out[22]).toBe(63);
		expect((ttl.out[24]! << 8) | ttl.out[25]!).toBe(ip_sum(ttl.out));
	});

	it("marks congestion, and mends the header's checksum", () => {
		const mark = (tos: number): { retval: number; out: Uint8Array } => {
			const b = ipv4();
			b[15] = tos;
			const sum = ip_sum(b);
			b[24] = sum >> 8;
			b[25] = sum & 255;
			return p.run(tc(call(U.BPF_FUNC_skb_ecn_set_ce), exit()), b);
		};
		expect(mark(4).retval).toBe(0);
		for (const tos of [5, 6, 7]) {
			const r = mark(tos);
			expect(r.retval).toBe(1);
			expect(r.out[15]).toBe(7);
			expect((r.out[24]! << 8) | r.out[25]!).toBe(ip_sum(r.out));
		}
	});

	it("sets delivery times, of IP alone", () => {
		const set = (time: number, type: number, b = ipv4()): number =>
			p.run(
				tc(
					BPF_MOV64_IMM(2, time),
					BPF_MOV64_IMM(3, type),
					BPF_MOV64_REG(6, 1),
					call(U.BPF_FUNC_skb_set_tstamp),
					BPF_RAW_INSN(0x55, 0, 0, 1, 0), // if r0 != 0 goto exit
					// struct __sk_buff: tstamp 152
					BPF_LDX_MEM(BPF_DW, 0, 6, 152),
					exit(),
				),
				b,
			).retval | 0;
		expect(set(1234, 0)).toBe(1234);
		expect(set(0, 0)).toBe(0);
		for (const type of [1, 2]) expect(set(0, type)).toBe(-E.EINVAL);
		expect(set(1, 3)).toBe(-E.EINVAL);
		expect(set(1, 0, new Uint8Array(64))).toBe(-E.EOPNOTSUPP);
	});

	it("finds no tunnel, no transformation, no cgroup", () => {
		// the answer, or 1 when the buffer was not cleared
		const get = (id: number, ...args: bpf_insn[]): number =>
			p.run(
				tc(
					BPF_ST_MEM(BPF_DW, 10, -32, -1),
					BPF_ST_MEM(BPF_DW, 10, -24, -1),
					BPF_ST_MEM(BPF_DW, 10, -16, -1),
					BPF_ST_MEM(BPF_DW, 10, -8, -1),
					...args,
					call(id),
					BPF_LDX_MEM(BPF_DW, 1, 10, -8),
					BPF_RAW_INSN(0x15, 1, 0, 1, 0), // if r1 == 0 goto exit
					BPF_MOV64_IMM(0, 1),
					exit(),
				),
				ipv4(),
			).retval | 0;
		const to = (r: number): bpf_insn[] => [BPF_MOV64_REG(r, 10), BPF_ALU64_IMM(BPF_ADD, r, -28)];
		expect(get(U.BPF_FUNC_skb_get_tunnel_key, ...to(2), BPF_MOV64_IMM(3, 28), BPF_MOV64_IMM(4, 0))).toBe(
			-E.EINVAL,
		);
		expect(get(U.BPF_FUNC_skb_get_tunnel_opt, ...to(2), BPF_MOV64_IMM(3, 28))).toBe(-E.ENOENT);
		expect(
			get(
				U.BPF_FUNC_skb_get_xfrm_state,
				BPF_MOV64_IMM(2, 0),
				...to(3),
				BPF_MOV64_IMM(4, 28),
				BPF_MOV64_IMM(5, 0),
			),
		).toBe(-E.EINVAL);

		const cgroups = p.map(U.BPF_MAP_TYPE_CGROUP_ARRAY, 4, 4, 2);
		const under = (idx: number): number =>
			p.run(
				tc(BPF_LD_MAP_FD(2, cgroups), BPF_MOV64_IMM(3, idx), call(U.BPF_FUNC_skb_under_cgroup), exit()),
				ipv4(),
			).retval | 0;
		expect(under(1)).toBe(-E.EAGAIN);
		expect(under(2)).toBe(-E.E2BIG);
		const raw = (...insns: (bpf_insn | bpf_insn[])[]): number => {
			expect(test(p.load(U.BPF_PROG_TYPE_RAW_TRACEPOINT, insns), () => {})).toBe(0);
			return p.attr.test_retval | 0;
		};
		const task_under = (idx: number): number =>
			raw(
				BPF_LD_MAP_FD(1, cgroups),
				BPF_MOV64_IMM(2, idx),
				call(U.BPF_FUNC_current_task_under_cgroup),
				exit(),
			);
		expect(task_under(0)).toBe(-E.EAGAIN);
		expect(task_under(2)).toBe(-E.E2BIG);
		const branches = (flags: number): number =>
			raw(
				BPF_MOV64_REG(1, 10),
				BPF_ALU64_IMM(BPF_ADD, 1, -24),
				BPF_MOV64_IMM(2, 24),
				BPF_MOV64_IMM(3, flags),
				call(U.BPF_FUNC_get_branch_snapshot),
				exit(),
			);
		expect(branches(0)).toBe(-E.ENOENT);
		expect(branches(1)).toBe(-E.EINVAL);
	});

	it("runs raw tracepoint programs on the CPU asked for", () => {
		const prog = p.load(U.BPF_PROG_TYPE_RAW_TRACEPOINT, [call(U.BPF_FUNC_get_smp_processor_id), exit()]);
		const on = (n: number): number =>
			test(prog, (a) => {
				a.test_flags = U.BPF_F_TEST_RUN_ON_CPU;
				a.test_cpu = n;
			});
		expect(on(1)).toBe(0);
		expect(p.attr.test_retval).toBe(1);
		expect(on(0)).toBe(0);
		expect(p.attr.test_retval).toBe(0);
		expect(on(9)).toBe(-E.ENXIO);
		expect(
			test(prog, (a) => {
				a.test_cpu = 1;
			}),
		).toBe(-E.EINVAL);
	});

	it("has no test run for the types that have none", () => {
		for (const type of [
			U.BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE,
			U.BPF_PROG_TYPE_LWT_SEG6LOCAL,
			U.BPF_PROG_TYPE_KPROBE,
		])
			expect(
				test(p.load(type, [BPF_MOV64_IMM(0, 0), exit()]), (a) => packet(a, 64)),
				`type ${type}`,
			).toBe(-E.ENOTSUPP);
	});

	it("hands packets to a flow dissector, and gives the keys back", () => {
		// struct bpf_flow_keys: nhoff 0, thoff 2, n_proto 10, flags 48
		const prog = p.load(U.BPF_PROG_TYPE_FLOW_DISSECTOR, [
			// the packet's ends, data 76 and data_end 80 of struct __sk_buff; flow_keys 144
			BPF_LDX_MEM(BPF_W, 2, 1, 76),
			BPF_LDX_MEM(BPF_W, 3, 1, 80),
			BPF_LDX_MEM(BPF_DW, 4, 1, 144),
			BPF_MOV64_REG(5, 2),
			BPF_ALU64_IMM(BPF_ADD, 5, 64),
			BPF_MOV64_IMM(0, 9),
			BPF_JMP_REG(BPF_JGT, 5, 3, 4),
			BPF_LDX_MEM(BPF_B, 0, 2, 63),
			BPF_LDX_MEM(BPF_W, 5, 4, 48),
			BPF_STX_MEM(BPF_H, 4, 5, 0),
			BPF_ST_MEM(BPF_H, 4, 2, 1000),
			exit(),
		]);
		const out = p.mem + 0x8000;
		const ctx = p.mem + 0x9000;
		const run = (size: number, set: (a: bpf_attr) => void = () => {}): number =>
			test(prog, (a) => {
				packet(a, size);
				a.test_data_out = BigInt(out);
				a.test_data_size_out = 56;
				set(a);
			});
		p.sys.store(p.mem + 0x4000, ipv4());
		expect(run(13)).toBe(-E.EINVAL);
		expect(run(4097)).toBe(-E.EINVAL);
		expect(run(64, (a) => (a.test_flags = 1))).toBe(-E.EINVAL);
		expect(run(64)).toBe(0);
		expect([p.attr.test_retval, p.attr.test_data_size_out]).toEqual([63, 56]);
		const keys = (): number[] => {
			const v = new DataView(p.sys.load(out, 56).slice().buffer);
			return [v.getUint16(0, true), v.getUint16(2, true), v.getUint16(10, false)];
		};
		// nhoff is what was written, at least the header's end; thoff at most the packet's
		expect(keys()).toEqual([14, 64, 0x0800]);
		// too short for the program: as the kernel prepared them
		expect(run(63)).toBe(0);
		expect(p.attr.test_retval).toBe(9);
		expect(keys()).toEqual([14, 14, 0x0800]);
		// flags are all that a context may have
		const with_ctx = (a: bpf_attr): void => {
			a.test_ctx_in = BigInt(ctx);
			a.test_ctx_size_in = 56;
		};
		p.sys.store(ctx, new Uint8Array(56));
		p.sys.store32(ctx + 48, 20);
		expect(run(64, with_ctx)).toBe(0);
		expect(keys()).toEqual([20, 64, 0x0800]);
		p.sys.store32(ctx + 44, 1);
		expect(run(64, with_ctx)).toBe(-E.EINVAL);
	});

	it("asks a program that looks up sockets", () => {
		// struct bpf_sk_lookup: sk 0, family 8, protocol 12, remote_ip4 16, remote_port 36, local_port 60, ingress_ifindex 64
		const load = (...insns: bpf_insn[]): number =>
			p.load(U.BPF_PROG_TYPE_SK_LOOKUP, insns, (a) => {
				a.expected_attach_type = U.BPF_SK_LOOKUP;
			});
		const prog = load(
			BPF_LDX_MEM(BPF_W, 2, 1, 60),
			BPF_MOV64_REG(6, 1),
			BPF_MOV64_IMM(2, 0),
			BPF_MOV64_IMM(3, 0),
			call(U.BPF_FUNC_sk_assign),
			BPF_LDX_MEM(BPF_W, 0, 6, 60),
			BPF_JMP_IMM(BPF_JEQ, 0, 80, 1),
			BPF_MOV64_IMM(0, 0),
			BPF_ALU64_IMM(BPF_AND, 0, 1),
			exit(),
		);
		const ctx = p.mem + 0x9000;
		const run = (fd: number, set: (a: bpf_attr) => void = () => {}): number =>
			test(fd, (a) => {
				a.test_ctx_in = BigInt(ctx);
				a.test_ctx_size_in = 72;
				a.test_ctx_out = BigInt(ctx);
				a.test_ctx_size_out = 72;
				set(a);
			});
		const lookup = (fields: Readonly<Record<number, number>>): void => {
			p.sys.store(ctx, new Uint8Array(72));
			for (const [off, v] of Object.entries(fields)) p.sys.store32(ctx + Number(off), v);
		};
		expect(test(prog, () => {})).toBe(-E.EINVAL);
		lookup({ 8: 2, 12: 6, 60: 81 });
		expect(run(prog, (a) => packet(a, 64))).toBe(-E.EINVAL);
		expect(run(prog)).toBe(0);
		expect(p.attr.test_retval).toBe(0);
		lookup({ 8: 7 });
		expect(run(prog)).toBe(-E.EAFNOSUPPORT);
		lookup({ 8: 2, 60: 65536 });
		expect(run(prog)).toBe(-E.ERANGE);
		lookup({ 8: 2, 64: 1 });
		expect(run(prog)).toBe(-E.EINVAL);
		lookup({ 0: 1, 8: 2 });
		expect(run(prog)).toBe(-E.EINVAL);
		// SK_PASS without a socket is SK_PASS; addresses come from where the family has them
		const first_ip6 = load(BPF_LDX_MEM(BPF_W, 0, 1, 20), BPF_ALU64_IMM(BPF_AND, 0, 1), exit());
		lookup({ 8: 10, 20: 1 });
		expect(run(first_ip6)).toBe(0);
		expect(p.attr.test_retval).toBe(1);
		lookup({ 8: 2, 20: 1 });
		expect(run(first_ip6)).toBe(0);
		expect(p.attr.test_retval).toBe(0);
	});
});
