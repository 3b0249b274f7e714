// SPDX-License-Identifier: GPL-2.0-only

import { beforeEach, describe, expect, it } from "vitest";
import { E2BIG, EBADF, EFAULT, EINVAL, EOPNOTSUPP, EPERM } from "../../include/uapi/asm-generic/errno.ts";
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from "../../include/uapi/asm-generic/mman.ts";
import * as U from "../../include/uapi/linux/bpf.ts";
import { bpf_attr } from "../../include/uapi/linux/bpf_attr.ts";
import type { KernelImpl } from "../kernel_impl.ts";
import { CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON, CAP_SYS_ADMIN } from "../task.ts";
import { type bpf_prog, encode_insns } from "./bpf_types.ts";
import { BPF_EXIT_INSN, BPF_MOV64_IMM } from "./insn_macros.ts";
import { bpf_prog_get } from "./prog.ts";
import { bpf_prog_load_check_attach, license_is_gpl_compatible } from "./prog_load.ts";
import { sys_bpf } from "./syscall.ts";
import { TestKernel } from "./test_kernel.ts";

const AREA = 1 << 16;
const INSNS = 0x1000;
const LICENSE = 0x800;

let kernel: KernelImpl;
let at: number;

beforeEach(() => {
	kernel = new TestKernel().kernel;
	at = kernel.task.mm.mmap(0, AREA, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, null, 0);
});

function only(...caps: number[]): void {
	kernel.task.caps.clear();
	for (const c of caps) kernel.task.caps.add(c);
}

function put(off: number, bytes: Uint8Array): bigint {
	if (!kernel.copy_to_user(at + off, bytes)) throw new Error("copy_to_user");
	return BigInt(at + off);
}

/** BPF_PROG_LOAD of "return 0" as a socket filter, with what `change` makes of it. */
function load(change: (attr: bpf_attr) => void = () => {}): number {
	const attr = new bpf_attr();
	attr.prog_type = U.BPF_PROG_TYPE_SOCKET_FILTER;
	attr.insns = put(INSNS, encode_insns([BPF_MOV64_IMM(0, 0), BPF_EXIT_INSN()]));
	attr.insn_cnt = 2;
	attr.license = put(LICENSE, new Uint8Array(Buffer.from("GPL\0")));
	change(attr);
	put(0, attr.bytes);
	return sys_bpf(kernel, U.BPF_PROG_LOAD, at, attr.bytes.length);
}

const typed =
	(type: number, attach = 0) =>
	(attr: bpf_attr): void => {
		attr.prog_type = type;
		attr.expected_attach_type = attach;
	};

describe("bpf_prog_load", () => {
	it("gives a descriptor of a program with an id, a tag and a name", () => {
		const fd = load((attr) => {
			attr.bytes.set(Buffer.from("my_prog.1"), 48);
		});
		const prog = bpf_prog_get(kernel, fd) as bpf_prog;
		expect(prog.aux.id).toBeGreaterThan(0);
		expect(prog.aux.name).toBe("my_prog.1");
		expect(Buffer.from(prog.tag).toString("hex")).toBe("a04f5eef06a7f555");
		expect(prog.gpl_compatible).toBe(true);
		expect(prog.jited).toBe(true);
	});

	it("refuses unknown flags, names, types and trailing bytes", () => {
		expect(load((a) => a.bytes.fill(1, 148, 149))).toBe(-EINVAL);
		expect(
			load((a) => {
				a.prog_flags = 1 << 20;
			}),
		).toBe(-EINVAL);
		expect(load((a) => a.bytes.set(Buffer.from("no spaces"), 48))).toBe(-EINVAL);
		expect(load((a) => a.bytes.fill(0x61, 48, 64))).toBe(-EINVAL);
		expect(load(typed(U.BPF_PROG_TYPE_UNSPEC))).toBe(-EINVAL);
		expect(load(typed(U.__MAX_BPF_PROG_TYPE))).toBe(-EINVAL);
	});

	it("counts instructions by what the caller may do", () => {
		const count = (n: number) => (a: bpf_attr) => {
			a.insn_cnt = n;
		};
		expect(load(count(0))).toBe(-E2BIG);
		expect(load(count(1_000_001))).toBe(-E2BIG);
		// within the limit, but not there to be read
		expect(load(count(1_000_000))).toBe(-EFAULT);
		only();
		expect(load(count(4097))).toBe(-E2BIG);
		expect(load(count(4096))).toBe(-EINVAL);
	});

	it("asks for the capabilities of each type, in the kernel's order", () => {
		only();
		expect(load()).toBeGreaterThanOrEqual(0);
		expect(load(typed(U.BPF_PROG_TYPE_CGROUP_SKB, U.BPF_CGROUP_INET_EGRESS))).toBeGreaterThanOrEqual(0);
		expect(load(typed(U.BPF_PROG_TYPE_XDP))).toBe(-EPERM);
		only(CAP_BPF);
		expect(load(typed(U.BPF_PROG_TYPE_XDP))).toBe(-EPERM);
		expect(load(typed(U.BPF_PROG_TYPE_TRACEPOINT))).toBe(-EPERM);
		only(CAP_BPF, CAP_NET_ADMIN);
		expect(load(typed(U.BPF_PROG_TYPE_XDP))).toBeGreaterThanOrEqual(0);
		expect(load(typed(U.BPF_PROG_TYPE_TRACEPOINT))).toBe(-EPERM);
		only(CAP_BPF, CAP_PERFMON);
		expect(load(typed(U.BPF_PROG_TYPE_TRACEPOINT))).toBeGreaterThanOrEqual(0);
		expect(load(typed(U.BPF_PROG_TYPE_EXT))).toBe(-EPERM);
		only(CAP_SYS_ADMIN);
		expect(load(typed(U.BPF_PROG_TYPE_XDP))).toBeGreaterThanOrEqual(0);
	});

	it("keeps the unprivileged out where the sysctl says so, before it looks at anything else", () => {
		kernel.config.unprivileged_bpf_disabled = 2;
		only();
		expect(
			load((a) => {
				a.insn_cnt = 0;
			}),
		).toBe(-EPERM);
		only(CAP_BPF);
		expect(
			load((a) => {
				a.insn_cnt = 0;
			}),
		).toBe(-E2BIG);
	});

	it("knows no tokens, no BTF to attach to by a bad descriptor, and no network device but lo", () => {
		expect(
			load((a) => {
				a.prog_flags = U.BPF_F_TOKEN_FD;
				new DataView(a.bytes.buffer).setInt32(144, 999, true);
			}),
		).toBe(-EBADF);
		expect(
			load((a) => {
				typed(U.BPF_PROG_TYPE_TRACING, U.BPF_TRACE_FENTRY)(a);
				new DataView(a.bytes.buffer).setUint32(112, 999, true);
			}),
		).toBe(-EINVAL);
		const bound = (ifindex: number) => (a: bpf_attr) => {
			a.prog_type = U.BPF_PROG_TYPE_XDP;
			a.prog_flags = U.BPF_F_XDP_DEV_BOUND_ONLY;
			new DataView(a.bytes.buffer).setUint32(64, ifindex, true);
		};
		expect(load(bound(1))).toBe(-EOPNOTSUPP);
		expect(load(bound(2))).toBe(-EINVAL);
	});

	it("faults on instructions and license that are not there", () => {
		expect(
			load((a) => {
				a.insns = 1n;
			}),
		).toBe(-EFAULT);
		expect(
			load((a) => {
				a.license = 0n;
			}),
		).toBe(-EFAULT);
	});

	it("hands out nothing for a rejected program", () => {
		const ids = kernel.bpf.progs.size;
		expect(
			load((a) => {
				a.insn_cnt = 1;
			}),
		).toBe(-EINVAL);
		expect(kernel.bpf.progs.size).toBe(ids);
	});
});

describe("bpf_prog_load_check_attach", () => {
	const check = (type: number, attach: number, btf_id = 0): number =>
		bpf_prog_load_check_attach(type, attach, null, btf_id, null);

	it("holds each type to its attach types", () => {
		expect(check(U.BPF_PROG_TYPE_CGROUP_SOCK, U.BPF_CGROUP_INET_SOCK_RELEASE)).toBe(0);
		expect(check(U.BPF_PROG_TYPE_CGROUP_SOCK, U.BPF_CGROUP_INET_EGRESS)).toBe(-EINVAL);
		expect(check(U.BPF_PROG_TYPE_SK_LOOKUP, U.BPF_SK_LOOKUP)).toBe(0);
		expect(check(U.BPF_PROG_TYPE_SK_LOOKUP, 0)).toBe(-EINVAL);
		expect(check(U.BPF_PROG_TYPE_NETFILTER, U.BPF_NETFILTER)).toBe(0);
		expect(check(U.BPF_PROG_TYPE_SYSCALL, 1)).toBe(-EINVAL);
		expect(check(U.BPF_PROG_TYPE_EXT, 1)).toBe(-EINVAL);
		expect(check(U.BPF_PROG_TYPE_XDP, 77)).toBe(0);
	});

	it("wants a target for a BTF id, and the id to be of a type that attaches to one", () => {
		expect(check(U.BPF_PROG_TYPE_TRACING, U.BPF_TRACE_FENTRY, 1)).toBe(-EINVAL);
		expect(check(U.BPF_PROG_TYPE_TRACING, U.BPF_TRACE_FENTRY, 0x100000)).toBe(-EINVAL);
		expect(check(U.BPF_PROG_TYPE_TRACING, U.BPF_TRACE_FENTRY, 0)).toBe(0);
	});
});

describe("license_is_gpl_compatible", () => {
	it("knows the six strings and nothing like them", () => {
		expect(license_is_gpl_compatible("Dual BSD/GPL")).toBe(true);
		expect(license_is_gpl_compatible("GPL v2")).toBe(true);
		expect(license_is_gpl_compatible("gpl")).toBe(false);
		expect(license_is_gpl_compatible("GPL-2.0")).toBe(false);
	});
});
