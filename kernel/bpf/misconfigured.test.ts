// SPDX-License-Identifier: GPL-2.0-only
/** What the verifier says of helpers and context accesses that a program type describes wrongly. */

import { describe, expect, it } from "vitest";
import * as B from "../../include/linux/bpf.ts";
import { ENOENT } from "../../include/uapi/asm-generic/errno.ts";
import * as U from "../../include/uapi/linux/bpf.ts";
import { BTF_KIND_VAR } from "../../include/uapi/linux/btf.ts";
import { assemble } from "../../lib/bpf_asm.ts";
import { BPF_PTR_POISON, type bpf_func_proto, type bpf_verifier_ops, decode_insns } from "./bpf_types.ts";
import { BPF_LD_IMM64_RAW } from "./insn_macros.ts";
import { TestKernel } from "./test_kernel.ts";

const kernel = new TestKernel();
const usual = kernel.kernel.bpf.verifier_ops.bind(kernel.kernel.bpf);
const ringbuf = kernel.map("rb", { type: U.BPF_MAP_TYPE_RINGBUF, key: 0, value: 0, max: 4096 });
const values = kernel.map("values", { type: U.BPF_MAP_TYPE_ARRAY, key: 4, value: 8, max: 1 });
const user = kernel.map("user", { type: U.BPF_MAP_TYPE_USER_RINGBUF, key: 0, value: 0, max: 4096 });
const sockmap = kernel.map("sm", { type: U.BPF_MAP_TYPE_SOCKMAP, key: 4, value: 4, max: 1 });

/** The log of a program whose helper `id` has another prototype, or whose type other operations. */
function log(
	asm: string,
	o: { id?: number; proto?: Partial<bpf_func_proto>; ops?: bpf_verifier_ops; type?: number; attach?: string },
): string {
	kernel.kernel.bpf.verifier_ops = (type) => {
		const ops = usual(type)!;
		return {
			...ops,
			get_func_proto: (id, prog) =>
				id === o.id
					? { func: "x", ret_type: B.RET_INTEGER, arg_type: [], ...o.proto }
					: ops.get_func_proto!(id, prog),
			...o.ops,
		};
	};
	const { bytes, relocs } = assemble(asm);
	const fds = [ringbuf, sockmap, values, user];
	for (const r of relocs) new DataView(bytes.buffer).setInt32(r.insn * 8 + 4, fds[r.index]!, true);
	const r = kernel.load({
		type: o.type ?? U.BPF_PROG_TYPE_SCHED_CLS,
		insns: decode_insns(bytes),
		attach_func: o.attach,
		...(o.attach !== undefined && { expected_attach_type: U.BPF_TRACE_FENTRY }),
	});
	kernel.kernel.bpf.verifier_ops = usual;
	expect(r.err).toBeLessThan(0);
	return r.log;
}

const TIME = U.BPF_FUNC_ktime_get_ns;
const call = "call bpf_ktime_get_ns\nr0 = 0\nexit";
const task = { type: U.BPF_PROG_TYPE_TRACING, attach: "exit_creds" };
const stack = "*(u64 *)(r10 - 8) = 0\nr1 = r10\nr1 += -8";
/** r0 = a socket with a reference, or NULL. */
const lookup =
	"*(u64 *)(r10 - 48) = 0\n*(u64 *)(r10 - 40) = 0\nr2 = r10\nr2 += -48\nr3 = 12\nr4 = 0\nr5 = 0\ncall bpf_sk_lookup_tcp\nif r0 == 0 goto out";
const { OBJ_RELEASE: release, MEM_UNINIT: uninit, MEM_RDONLY: rdonly, PTR_MAYBE_NULL: or_null } = B;

describe("a helper's arguments", () => {
	const cases: readonly [string, string, number[], Partial<bpf_func_proto>, string][] = [
		["a type there is not", stack, [99], {}, "verifier internal error: unsupported arg type 99"],
		["a key without a map", stack, [B.ARG_PTR_TO_MAP_KEY], {}, "invalid map_ptr to access map->key"],
		[
			"a value's type without a map",
			stack,
			[B.ARG_PTR_TO_MAP_VALUE],
			{},
			"invalid map_ptr to access map->type",
		],
		[
			"two of raw memory",
			stack,
			[B.ARG_PTR_TO_MEM | uninit, B.ARG_CONST_SIZE, B.ARG_PTR_TO_MEM | uninit, B.ARG_CONST_SIZE],
			{},
			"kernel subsystem misconfigured func bpf_ktime_get_ns#5",
		],
		[
			"a lock of another helper",
			stack,
			[B.ARG_PTR_TO_DYNPTR | uninit | rdonly],
			{},
			"verifier internal error: misconfigured dynptr helper type flags",
		],
		[
			"a sockmap's value",
			`r1 = map[1] ll\nr2 = r10\nr2 += -8`,
			[B.ARG_CONST_MAP_PTR, B.ARG_PTR_TO_MAP_VALUE | uninit],
			{},
			"invalid arg_type for sockmap/sockhash",
		],
	];
	it.each(cases)("%s", (_name, asm, arg_type, proto, want) => {
		expect(log(`${asm}\n${call}`, { id: TIME, proto: { arg_type, ...proto } })).toContain(want);
	});

	it("are sockets, two of them", () => {
		const asm = `${lookup}\nr1 = r0\nr2 = r0\ncall bpf_ktime_get_ns\nout: r0 = 0\nexit`;
		const two = (flag: number) => [
			B.ARG_PTR_TO_BTF_ID_SOCK_COMMON | flag,
			B.ARG_PTR_TO_BTF_ID_SOCK_COMMON | flag,
		];
		expect(log(asm, { id: TIME, proto: { arg_type: two(0) } })).toContain(
			"more than one arg with ref_obj_id R2",
		);
		expect(log(asm, { id: TIME, proto: { arg_type: two(release) } })).toContain(
			"more than one release argument",
		);
	});

	it("are structs of the kernel with an id that was to be replaced", () => {
		const proto = { arg_type: [B.ARG_PTR_TO_BTF_ID], arg_btf_id: { 0: BPF_PTR_POISON } } as const;
		expect(log(`r1 = *(u64 *)(r1 + 0)\n${call}`, { id: TIME, proto, ...task })).toContain(
			"verifier internal error:R1 has non-overwritten BPF_PTR_POISON type",
		);
	});

	it("are dynptrs of another kind", () => {
		const asm = `r1 = map[0] ll\nr2 = 8\nr3 = 0\nr4 = r10\nr4 += -16\ncall bpf_ringbuf_reserve_dynptr\nr1 = r10\nr1 += -16\n${call}`;
		const arg_type = [B.ARG_PTR_TO_DYNPTR | B.DYNPTR_TYPE_SKB];
		expect(log(asm, { id: TIME, proto: { arg_type } })).toContain("Expected a dynptr of type skb as arg #0");
	});

	it("are a dynptr that the helper would change", () => {
		const asm = `r1 = map[3] ll\nr2 = func[cb] ll\nr3 = 0\nr4 = 0\ncall bpf_user_ringbuf_drain\nr0 = 0\nexit\ncb: ${call}`;
		expect(log(asm, { id: TIME, proto: { arg_type: [B.ARG_PTR_TO_DYNPTR] } })).toContain(
			"cannot pass pointer to const bpf_dynptr, the helper mutates it",
		);
	});

	it("are a lock, of a helper that locks nothing", () => {
		const asm = `*(u32 *)(r10 - 4) = 0\nr2 = r10\nr2 += -4\nr1 = map[2] ll\ncall bpf_map_lookup_elem\nif r0 == 0 goto out\nr1 = r0\ncall bpf_ktime_get_ns\nout: r0 = 0\nexit`;
		expect(
			log(asm, {
				id: TIME,
				proto: { arg_type: [B.ARG_PTR_TO_SPIN_LOCK], arg_btf_id: { 0: BPF_PTR_POISON } },
			}),
		).toMatch(/^verifier internal error$/m);
	});

	it("are no dynptr where there must be one", () => {
		const proto = { arg_type: [B.ARG_ANYTHING] };
		expect(
			log("r1 = 0\ncall bpf_dynptr_data\nr0 = 0\nexit", { id: U.BPF_FUNC_dynptr_data, proto }),
		).toContain("verifier internal error: no dynptr arg found");
	});

	it("are not the context where packets move", () => {
		const proto = { arg_type: [B.ARG_ANYTHING, B.ARG_ANYTHING] };
		expect(
			log("r2 = 0\ncall bpf_skb_pull_data\nr0 = 0\nexit", { id: U.BPF_FUNC_skb_pull_data, proto }),
		).toContain("kernel subsystem misconfigured func bpf_skb_pull_data#39: r1 != ctx");
	});
});

describe("what a helper returns", () => {
	it.each([
		["of a type there is not", { ret_type: 99 }, "unknown return type 99 of func bpf_ktime_get_ns#5"],
		[
			"a struct that was to be replaced",
			{ ret_type: B.RET_PTR_TO_BTF_ID, ret_btf_id: BPF_PTR_POISON },
			"func bpf_ktime_get_ns has non-overwritten BPF_PTR_POISON return type",
		],
		[
			"a struct that the kernel lacks",
			{ ret_type: B.RET_PTR_TO_BTF_ID | or_null, ret_btf_id: { kind: "struct", name: "no_such_thing" } },
			"invalid return type",
		],
	] as const)("%s", (_name, proto, want) => {
		expect(log(call, { id: TIME, proto })).toContain(want);
	});
});

describe("accesses to the context", () => {
	const narrow: bpf_verifier_ops = {
		is_valid_access: (_off, _size, _type, _prog, info) => {
			info.ctx_field_size = 4;
			return true;
		},
	};
	it("that write a part of a field", () => {
		expect(log("*(u8 *)(r1 + 0) = 1\nr0 = 0\nexit", { ops: narrow })).toContain(
			"bpf verifier narrow ctx access misconfigured",
		);
	});
	it("that read a part of a field, with no room to shift", () => {
		const ops: bpf_verifier_ops = {
			...narrow,
			convert_ctx_access: (_type, insn, _prog, target_size) => {
				target_size.val = 4;
				return Array.from({ length: 31 }, () => insn.clone());
			},
		};
		expect(log("r0 = *(u8 *)(r1 + 1)\nr0 = 0\nexit", { ops })).toContain(
			"bpf verifier narrow ctx load misconfigured",
		);
	});
	it("that nobody converts", () => {
		const ops: bpf_verifier_ops = { convert_ctx_access: () => [] };
		expect(log("r0 = *(u32 *)(r1 + 0)\nr0 = 0\nexit", { ops })).toContain("bpf verifier is misconfigured");
	});
	it("by the packet's bytes that nobody converts", () => {
		const ops: bpf_verifier_ops = { gen_ld_abs: () => [] };
		expect(log("r6 = r1\nr0 = *(u8 *)skb[0]\nr0 = 0\nexit", { ops })).toContain(
			"bpf verifier is misconfigured",
		);
	});
});

describe("a kernel", () => {
	it("without the type's operations", () => {
		kernel.kernel.bpf.verifier_ops = () => undefined;
		const { err, log } = kernel.load({
			type: U.BPF_PROG_TYPE_SCHED_CLS,
			insns: decode_insns(assemble("exit").bytes),
		});
		kernel.kernel.bpf.verifier_ops = usual;
		expect(err).toBeLessThan(0);
		expect(log).toContain("not ported: program type");
	});

	it("whose BTF is broken", () => {
		const { bpf } = kernel.kernel;
		const get = bpf.bpf_get_btf_vmlinux.bind(bpf);
		bpf.bpf_get_btf_vmlinux = () => -22;
		const r = log("r0 = 0\nexit", {});
		bpf.bpf_get_btf_vmlinux = get;
		expect(r).toContain("in-kernel BTF is malformed");
	});

	it("whose kallsyms have functions only", () => {
		const kconfig = kernel.kernel.config.kconfig as Map<string, string>;
		const ksym = kernel.id_of("runqueues", BTF_KIND_VAR);
		const insns = [
			...BPF_LD_IMM64_RAW(1, U.BPF_PSEUDO_BTF_ID, ksym),
			...decode_insns(assemble("r0 = 0\nexit").bytes),
		];
		const load = () => kernel.load({ type: U.BPF_PROG_TYPE_SCHED_CLS, insns });
		kconfig.set("CONFIG_KALLSYMS", "y");
		try {
			expect(load()).toMatchObject({
				err: -ENOENT,
				log: expect.stringContaining("ldimm64 failed to find the address for kernel symbol 'runqueues'."),
			});
			kconfig.set("CONFIG_KALLSYMS_ALL", "y");
			expect(load().err).toBeGreaterThanOrEqual(0);
		} finally {
			kconfig.delete("CONFIG_KALLSYMS");
			kconfig.delete("CONFIG_KALLSYMS_ALL");
		}
	});

	it("that has lost its functions' addresses", () => {
		const { symbols } = kernel.kernel;
		const addr = symbols.addr.bind(symbols);
		const kfunc = {
			type: U.BPF_PROG_TYPE_SCHED_CLS,
			insns: [kernel.kfunc("bpf_rcu_read_lock"), ...decode_insns(assemble("r0 = 0\nexit").bytes)],
		};
		try {
			symbols.addr = () => undefined;
			expect(log("r0 = 0\nexit", task)).toContain("The address of function exit_creds cannot be found");
			const ksym = kernel.id_of("runqueues", BTF_KIND_VAR);
			const insns = [...BPF_LD_IMM64_RAW(1, U.BPF_PSEUDO_BTF_ID, ksym), ...kfunc.insns.slice(1)];
			expect(kernel.load({ type: kfunc.type, insns }).log).toContain(
				"ldimm64 failed to find the address for kernel symbol 'runqueues'.",
			);
			expect(kernel.load(kfunc).log).toContain("cannot find address for kernel function bpf_rcu_read_lock");
			symbols.addr = (name) => (name === "__bpf_call_base" ? addr(name) : 0x123456789abcdefn);
			expect(kernel.load(kfunc).log).toContain(
				"address of kernel function bpf_rcu_read_lock is out of range",
			);
		} finally {
			symbols.addr = addr;
		}
	});
});
