// SPDX-License-Identifier: GPL-2.0-only
/** Arguments of helpers: types, sizes, maps, strings; licences and program types (func_arg.ts, helper_call.ts). */
import * as U from "../../../include/uapi/linux/bpf.ts";
import type { VerifierTest } from "../test_verifier.ts";
import { accept, array48, hash8, onValue, priv, reject, tc, unprivReject } from "./table.ts";

const value = { maps: [array48], priv_only: true } as const;
const tp = { prog_type: U.BPF_PROG_TYPE_TRACEPOINT, priv_only: true } as const;
const rest = "r0 = 0\nexit";
const sockmap = { type: U.BPF_MAP_TYPE_SOCKMAP, key: 4, value: 4, max: 1 } as const;
const rodata = (text: string, flags: number = U.BPF_F_RDONLY_PROG) => ({
	type: U.BPF_MAP_TYPE_ARRAY,
	key: 4,
	value: 48,
	max: 1,
	flags,
	fill: new Uint8Array(48).fill(65).map((b, i) => (i < text.length ? text.charCodeAt(i) : b)),
	frozen: true,
});
/** bpf_snprintf(fp-64, 16, map_value[0], fp-80, 0) */
const snprintf = (fmt: string, data = 0) =>
	`*(u64 *)(r10 - 80) = 0\n*(u64 *)(r10 - 72) = 0\nr1 = r10\nr1 += -64\nr2 = 16\nr3 = map_value[0] ll\n${fmt}\nr4 = r10\nr4 += -80\nr5 = ${data}\ncall bpf_snprintf\n${rest}`;

export const helperVerifierTests: readonly VerifierTest[] = [
	reject(
		"a licence that is not free",
		"r1 = r10\nr1 += -8\n*(u64 *)(r10 - 8) = 0\nr2 = 8\ncall bpf_trace_printk\nr0 = 0\nexit",
		"cannot call GPL-restricted function from non-GPL compatible program",
		{ ...tp, license: "Proprietary" },
	),
	reject(
		"a number for a context",
		`r1 = 0\nr2 = 0\nr3 = r10\nr3 += -8\nr4 = 4\ncall bpf_skb_load_bytes\n${rest}`,
		"R1 type=scalar expected=ctx",
		{},
	),
	reject(
		"a number for a map",
		`r1 = 0\nr2 = r10\nr2 += -8\ncall bpf_map_lookup_elem\n${rest}`,
		"R1 type=scalar expected=map_ptr",
	),
	reject(
		"a context for a key",
		`r2 = r1\nr1 = map[0] ll\ncall bpf_map_lookup_elem\n${rest}`,
		"R2 type=ctx expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_",
		{ maps: [array48] },
	),
	reject("an argument that was not set", `r1 = map[0] ll\ncall bpf_map_lookup_elem\n${rest}`, "R2 !read_ok", {
		maps: [array48],
	}),
	unprivReject(
		"an address for any number",
		`r6 = r1\n*(u64 *)(r10 - 8) = 0\nr2 = r10\nr2 += -8\nr3 = r10\nr3 += -56\nr4 = r10\nr1 = map[0] ll\n*(u64 *)(r10 - 56) = 0\n*(u64 *)(r10 - 48) = 0\n*(u64 *)(r10 - 40) = 0\n*(u64 *)(r10 - 32) = 0\n*(u64 *)(r10 - 24) = 0\n*(u64 *)(r10 - 16) = 0\ncall bpf_map_update_elem\n${rest}`,
		"R4 leaks addr into helper function",
		{ maps: [array48] },
	),
	reject(
		"a size without an upper bound",
		onValue("r2 = *(u64 *)(r0 + 0)\nr1 = r10\nr1 += -8\nr3 = 0\ncall bpf_probe_read_kernel"),
		"R2 min value is negative, either use unsigned or 'var &= const'",
		{ ...tp, maps: [array48] },
	),
	reject(
		"a size that may be too large",
		onValue("r2 = *(u64 *)(r0 + 0)\nr2 >>= 1\nr1 = r10\nr1 += -8\nr3 = 0\ncall bpf_probe_read_kernel"),
		"R2 unbounded memory access, use 'var &= const' or 'if (var < const)'",
		{ ...tp, maps: [array48] },
	),
	reject(
		"a size larger than the memory",
		onValue("r2 = *(u64 *)(r0 + 0)\nr2 &= 63\nr1 = r0\nr3 = 0\ncall bpf_probe_read_kernel"),
		"invalid access to map value, value_size=48 off=0 size=63",
		{ ...tp, maps: [array48] },
	),
	accept(
		"a size that fits",
		onValue("r2 = *(u64 *)(r0 + 0)\nr2 &= 31\nr1 = r0\nr3 = 0\ncall bpf_probe_read_kernel"),
		{ ...tp, maps: [array48] },
	),
	reject(
		"a size of zero where none is allowed",
		`*(u64 *)(r10 - 8) = 0\nr1 = r10\nr1 += -8\nr2 = 0\ncall bpf_trace_printk\n${rest}`,
		"R2 invalid zero-sized read",
		tp,
	),
	reject(
		"NULL with a size",
		`r1 = 0\nr2 = 8\nr3 = 0\ncall bpf_probe_read_kernel\n${rest}`,
		"R1 type=scalar expected=fp",
		tp,
	),
	reject(
		"memory that was not written, for a helper to read",
		`r1 = r10\nr1 += -8\nr2 = 8\ncall bpf_trace_printk\n${rest}`,
		"",
		{ ...tp, result: "ACCEPT" },
	),
	reject(
		"memory in part, of the unprivileged",
		`*(u32 *)(r10 - 8) = 0\nr2 = r10\nr2 += -8\nr1 = map[0] ll\ncall bpf_map_lookup_elem\n${rest}`,
		"",
		{
			maps: [hash8],
			result: "ACCEPT",
			result_unpriv: "REJECT",
			errstr_unpriv: "invalid indirect read from stack R2 off -8+4 size 8",
		},
	),
	reject(
		"a stack offset that varies, of the unprivileged",
		onValue(
			"r3 = *(u32 *)(r0 + 0)\nr3 &= 8\n*(u64 *)(r10 - 16) = 0\nr2 = r10\nr2 += -16\nr2 += r3\nr1 = map[0] ll\ncall bpf_map_lookup_elem",
		),
		"",
		{
			maps: [array48],
			result: "ACCEPT",
			result_unpriv: "REJECT",
			errstr_unpriv: "R2 variable stack access prohibited for !root",
		},
	),
	reject(
		"a map of another type",
		`r1 = map[0] ll\nr2 = r10\nr2 += -48\ncall bpf_map_pop_elem\n${rest}`,
		"cannot pass map_type 2 into func bpf_map_pop_elem#88",
		value,
	),
	reject(
		"a helper of another map type",
		`r6 = r1\nr1 = map[0] ll\nr2 = 0\nr3 = 0\ncall bpf_redirect_map\n${rest}`,
		"cannot pass map_type 2 into func bpf_redirect_map#51",
		{ ...value, prog_type: U.BPF_PROG_TYPE_XDP },
	),
	reject(
		"a map's helper where the map does not allow it",
		`*(u64 *)(r10 - 8) = 0\nr2 = r10\nr2 += -8\nr1 = map[0] ll\ncall bpf_map_lookup_elem\n${rest}`,
		"cannot pass map_type 3 into func bpf_map_lookup_elem#1",
		{ maps: [{ type: U.BPF_MAP_TYPE_PROG_ARRAY, key: 4, value: 4, max: 1 }] },
	),
	reject(
		"a sockmap in a program that may not change it",
		`*(u64 *)(r10 - 8) = 0\nr2 = r10\nr2 += -8\nr1 = map[0] ll\ncall bpf_map_delete_elem\n${rest}`,
		"cannot update sockmap in this context",
		{ ...tp, maps: [sockmap] },
	),
	reject(
		"a value that is not a socket, for a sockmap",
		`*(u64 *)(r10 - 8) = 0\nr2 = r10\nr2 += -8\nr3 = r2\nr4 = 0\nr1 = map[0] ll\ncall bpf_map_update_elem\n${rest}`,
		"R3 type=fp expected=sock_common, sock, tcp_sock, xdp_sock, ptr_, trusted_ptr_",
		{ ...tc, maps: [sockmap] },
	),
	reject(
		"local storage with flags",
		`r1 = map[0] ll\nr2 = 1\ncall bpf_get_local_storage\n${rest}`,
		"get_local_storage() doesn't support non-zero flags",
		{
			prog_type: U.BPF_PROG_TYPE_CGROUP_SKB,
			expected_attach_type: U.BPF_CGROUP_INET_INGRESS,
			priv_only: true,
			maps: [{ type: U.BPF_MAP_TYPE_CGROUP_STORAGE, key: 16, value: 8, max: 0 }],
		},
	),
	reject(
		"two storages of a cgroup",
		`r1 = map[0] ll\nr1 = map[1] ll\n${rest}`,
		"only one cgroup storage of each type is allowed",
		{
			prog_type: U.BPF_PROG_TYPE_CGROUP_SKB,
			expected_attach_type: U.BPF_CGROUP_INET_INGRESS,
			priv_only: true,
			maps: [
				{ type: U.BPF_MAP_TYPE_CGROUP_STORAGE, key: 16, value: 8, max: 0 },
				{ type: U.BPF_MAP_TYPE_CGROUP_STORAGE, key: 16, value: 8, max: 0 },
			],
		},
	),
	reject(
		"too many maps",
		`${Array.from({ length: 65 }, (_, i) => `r1 = map[${i}] ll`).join("\n")}\n${rest}`,
		"The total number of maps per program has reached the limit of 64",
		{ priv_only: true, maps: Array.from({ length: 65 }, () => array48) },
	),
	accept("a format of a read-only map", snprintf("r3 += 0"), { ...tp, maps: [rodata("x\0")] }),
	reject("a format of a map that changes", snprintf("r3 += 0"), "R3 does not point to a readonly map'", {
		...tp,
		maps: [array48],
	}),
	reject(
		"a format that may begin anywhere",
		`r6 = *(u64 *)(r1 + 8)\nr6 &= 1\n${snprintf("r3 += r6")}`,
		"R3 is not a constant address'",
		{ ...tp, maps: [rodata("xx\0")] },
	),
	reject("a format without an end", snprintf("r3 += 0"), "string is not zero-terminated", {
		...tp,
		maps: [rodata("")],
	}),
	reject("a format on the stack", snprintf("r3 = r10\nr3 += -80"), "R3 type=fp expected=map_value", {
		...tp,
		maps: [rodata("x\0")],
	}),
	reject("a format that wants more data", snprintf("r3 += 0"), "Invalid format string", {
		...tp,
		maps: [rodata("%d\0")],
	}),
	reject("data of a size that is not a multiple of 8", snprintf("r3 += 0", 4), "", {
		...tp,
		maps: [rodata("%d\0")],
		err: -22,
	}),
	reject(
		"strtol's result misaligned",
		`*(u64 *)(r10 - 8) = 0\nr1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\nr4 = r10\nr4 += -20\ncall bpf_strtol\n${rest}`,
		"misaligned stack access off 0+-20+0 size 8",
		{ prog_type: U.BPF_PROG_TYPE_CGROUP_SYSCTL, priv_only: true },
	),
	reject(
		"a callback that is not a function",
		`r1 = 5\nr2 = 0\nr3 = 0\nr4 = 0\ncall bpf_loop\n${rest}`,
		"R2 type=scalar expected=func",
		tc,
	),
	reject(
		"a helper of tracing in a program of another type",
		`r1 = 0\nr2 = 0\ncall bpf_get_func_arg\n${rest}`,
		"program of this type cannot use helper bpf_get_func_arg#183",
		tc,
	),
	reject(
		"a helper of fmod_ret",
		`r2 = 0\ncall bpf_get_func_ip\nr0 = 0\nexit`,
		"program of this type cannot use helper",
		tc,
	),
	reject(
		"a helper that sleeps",
		`r1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\ncall bpf_copy_from_user\n${rest}`,
		"helper call might sleep in a non-sleepable prog",
		{
			prog_type: U.BPF_PROG_TYPE_TRACING,
			expected_attach_type: U.BPF_TRACE_FENTRY,
			attach: "bpf_fentry_test1",
			priv_only: true,
		},
	),
	accept(
		"a helper that sleeps in a program that may",
		`r1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\ncall bpf_copy_from_user\n${rest}`,
		{ prog_type: U.BPF_PROG_TYPE_KPROBE, prog_flags: U.BPF_F_SLEEPABLE, priv_only: true },
	),
	reject(
		"a probe that may not override",
		`r2 = 0\ncall bpf_override_return\n${rest}`,
		"program of this type cannot use helper",
		{ ...tp },
	),
	reject("an unknown size given to perf events", onValue("r3 = 0"), "", { ...value, result: "ACCEPT" }),
	reject(
		"a timer in a map without BTF",
		onValue("r1 = r0\nr2 = map[0] ll\nr3 = 1\ncall bpf_timer_init"),
		"map 'test_map' has to have BTF in order to use bpf_timer",
		{ ...tc, maps: [array48] },
	),
	reject(
		"a lock in a map without BTF",
		onValue("r1 = r0\ncall bpf_spin_lock"),
		"map 'test_map' has to have BTF in order to use bpf_spin_lock",
		{ ...tc, maps: [array48] },
	),
	reject(
		"a kptr in a map without BTF",
		onValue("r1 = r0\nr2 = 0\ncall bpf_kptr_xchg"),
		"map 'test_map' has to have BTF in order to use bpf_kptr_xchg",
		{ ...tc, maps: [array48] },
	),
	reject(
		"a lock at an offset that varies",
		onValue("r3 = *(u32 *)(r0 + 8)\nr3 &= 4\nr0 += r3\nr1 = r0\ncall bpf_spin_lock"),
		"R1 doesn't have constant offset. bpf_spin_lock has to be at the constant offset",
		{ ...tc, maps: [array48] },
	),
	reject(
		"a timer at an offset that varies",
		onValue("r3 = *(u32 *)(r0 + 8)\nr3 &= 4\nr0 += r3\nr1 = r0\nr2 = map[0] ll\nr3 = 1\ncall bpf_timer_init"),
		"R1 doesn't have constant offset. bpf_timer has to be at the constant offset",
		{ ...tc, maps: [array48] },
	),
	reject(
		"timers in a tracing program",
		`r1 = r10\nr2 = 0\nr3 = 0\ncall bpf_timer_init\n${rest}`,
		"program of this type cannot use helper bpf_timer_init#169",
		{ ...priv, prog_type: U.BPF_PROG_TYPE_LWT_IN, errstr: "R1 type=fp expected=map_value" },
	),
	reject(
		"an inner map's key checked by its own size",
		`*(u64 *)(r10 - 8) = 0\nr2 = r10\nr2 += -4\nr1 = map[0] ll\ncall bpf_map_lookup_elem\n${rest}`,
		"invalid indirect access to stack R2 off=-4 size=8",
		{ maps: [hash8] },
	),
	reject(
		"dynptr of memory on the stack",
		`*(u64 *)(r10 - 8) = 0\nr1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\nr4 = r10\nr4 += -24\ncall bpf_dynptr_from_mem\n${rest}`,
		"Unsupported reg type fp for bpf_dynptr_from_mem data",
		tc,
	),
	reject(
		"a dynptr at an offset that is not a slot",
		`r1 = map[0] ll\nr2 = 8\nr3 = 0\nr4 = r10\nr4 += -20\ncall bpf_ringbuf_reserve_dynptr\n${rest}`,
		"cannot pass in dynptr at an offset=-20",
		{ ...tc, maps: [{ type: U.BPF_MAP_TYPE_RINGBUF, key: 0, value: 0, max: 4096 }] },
	),
	reject(
		"a dynptr at an offset that varies",
		onValue(
			"r6 = *(u32 *)(r0 + 0)\nr6 &= 16\nr1 = map[1] ll\nr2 = 8\nr3 = 0\nr4 = r10\nr4 += -64\nr4 += r6\ncall bpf_ringbuf_reserve_dynptr",
		),
		"dynptr has to be at a constant offset",
		{ ...tc, maps: [array48, { type: U.BPF_MAP_TYPE_RINGBUF, key: 0, value: 0, max: 4096 }] },
	),
	reject(
		"a map's value for a dynptr",
		onValue("r1 = r0\nr2 = 0\nr3 = 8\ncall bpf_dynptr_data"),
		"R1 type=map_value expected=fp, dynptr_ptr",
		{ ...tc, maps: [array48] },
	),
	reject(
		"a write over a dynptr by a helper",
		`r1 = map[0] ll\nr2 = 8\nr3 = 0\nr4 = r10\nr4 += -16\ncall bpf_ringbuf_reserve_dynptr\nr1 = r10\nr1 += -16\nr2 = 8\nr3 = 0\ncall bpf_probe_read_kernel\n${rest}`,
		"potential write to dynptr at off=-16 disallowed",
		{ ...tp, maps: [{ type: U.BPF_MAP_TYPE_RINGBUF, key: 0, value: 0, max: 4096 }] },
	),
	reject(
		"a dynptr read that is none",
		`r1 = r10\nr1 += -8\nr2 = 8\nr3 = r10\nr3 += -24\nr4 = 0\nr5 = 0\ncall bpf_dynptr_read\n${rest}`,
		"Expected an initialized dynptr as arg #2",
		{ ...tc, errstr: "Expected an initialized dynptr as arg #" },
	),
	reject(
		"a dynptr initialised twice",
		`r1 = map[0] ll\nr2 = 8\nr3 = 0\nr4 = r10\nr4 += -16\ncall bpf_ringbuf_reserve_dynptr\nr1 = map[0] ll\nr2 = 8\nr3 = 0\nr4 = r10\nr4 += -16\ncall bpf_ringbuf_reserve_dynptr\n${rest}`,
		"cannot overwrite referenced dynptr",
		{ ...tc, maps: [{ type: U.BPF_MAP_TYPE_RINGBUF, key: 0, value: 0, max: 4096 }] },
	),
	reject(
		"a dynptr that is not of the ring buffer submitted",
		onValue(
			"r1 = r0\nr2 = 8\nr3 = 0\nr4 = r10\nr4 += -64\ncall bpf_dynptr_from_mem\nr1 = r10\nr1 += -64\nr2 = 0\ncall bpf_ringbuf_submit_dynptr",
		),
		"arg 1 is an unacquired reference",
		{ ...tc, maps: [array48] },
	),
];
