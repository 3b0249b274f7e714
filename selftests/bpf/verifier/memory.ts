// SPDX-License-Identifier: GPL-2.0-only
/** Accesses to memory of every kind: stack, maps, contexts, packets, sockets, buffers (check_mem.ts, stack.ts). */
import * as U from "../../../include/uapi/linux/bpf.ts";
import type { VerifierTest } from "../test_verifier.ts";
import { accept, array48, hash8, onValue, priv, raw, reject, tc, unprivReject, xdp } from "./table.ts";

const value = { maps: [array48], priv_only: true } as const;
const valueUnpriv = { maps: [array48] } as const;
const array = (flags: number) => ({ type: U.BPF_MAP_TYPE_ARRAY, key: 4, value: 48, max: 1, flags });

const stack: readonly VerifierTest[] = [
	accept("a spill and its fill", "r6 = 7\n*(u64 *)(r10 - 8) = r6\nr0 = *(u64 *)(r10 - 8)\nexit", {
		retval: 7,
	}),
	accept("a part of a spilled number", "r6 = 0x1234\n*(u64 *)(r10 - 8) = r6\nr0 = *(u8 *)(r10 - 8)\nexit", {
		retval: 0x34,
	}),
	accept(
		"32 bits spilled and filled keep their range",
		onValue(
			"w6 = *(u32 *)(r0 + 0)\nif w6 > 40 goto out\n*(u32 *)(r10 - 16) = r6\nr6 = *(u32 *)(r10 - 16)\nr0 += r6\nr1 = *(u64 *)(r0 + 0)",
		),
		{ ...value, retval: 0 },
	),
	reject(
		"a spilled pointer overwritten in part",
		"*(u64 *)(r10 - 8) = r1\n*(u8 *)(r10 - 7) = 0\nr0 = *(u64 *)(r10 - 8)\nr0 = *(u64 *)(r0 + 0)\nexit",
		"R0 invalid mem access 'scalar'",
		{ errstr_unpriv: "attempt to corrupt spilled pointer on stack" },
	),
	reject(
		"a pointer spilled in 32 bits",
		"*(u32 *)(r10 - 8) = r10\nr0 = 0\nexit",
		"invalid size of register spill",
		{},
	),
	reject(
		"a spilled pointer filled in part",
		"*(u64 *)(r10 - 8) = r1\nr0 = *(u32 *)(r10 - 8)\nr0 = 0\nexit",
		"invalid size of register fill",
	),
	unprivReject(
		"an atomic operation on a spilled pointer",
		"*(u64 *)(r10 - 8) = r10\nr1 = 1\nlock *(u64 *)(r10 - 8) += r1\nr0 = 0\nexit",
		"leaking pointer from stack off -8",
	),
	unprivReject("a read of what was not written", "r0 = *(u64 *)(r10 - 8)\nexit", "invalid read from stack", {
		errstr_unpriv: "invalid read from stack R10 off=-8 size=8",
	}),
	unprivReject(
		"a read of half-written memory",
		"*(u32 *)(r10 - 8) = 0\nr0 = *(u64 *)(r10 - 8)\nr0 = 0\nexit",
		"invalid read from stack off -8+4 size 8",
	),
	reject(
		"a read above the frame",
		"r0 = *(u64 *)(r10 + 8)\nexit",
		"invalid read from stack R10 off=8 size=8",
	),
	reject(
		"a read at an offset without bounds",
		onValue("r3 = *(u64 *)(r0 + 0)\nr3 >>= 1\nr2 = r10\nr2 += r3\nr1 = *(u8 *)(r2 - 8)"),
		"invalid unbounded variable-offset read from stack R2",
		value,
	),
	reject(
		"a write at an offset without bounds",
		onValue("r3 = *(u32 *)(r0 + 0)\nr3 <<= 8\nr2 = r10\nr2 += r3\n*(u8 *)(r2 - 8) = 0"),
		"invalid unbounded variable-offset write to stack R2",
		value,
	),
	reject(
		"a variable offset beyond the frame",
		onValue("r3 = *(u32 *)(r0 + 0)\nr3 &= 8\nr2 = r10\nr2 += r3\nr1 = *(u64 *)(r2 - 8)"),
		"invalid variable-offset read from stack R2 var_off=",
		value,
	),
	reject(
		"a variable write beyond the frame",
		onValue("r3 = *(u32 *)(r0 + 0)\nr3 &= 8\nr2 = r10\nr2 += r3\n*(u64 *)(r2 - 8) = 0"),
		"invalid variable-offset write to stack R2 var_off=",
		value,
	),
	accept(
		"a variable offset within the frame",
		onValue(
			"r3 = *(u32 *)(r0 + 0)\nr3 &= 8\nr2 = r10\nr2 += r3\n*(u64 *)(r2 - 24) = r3\nr1 = *(u64 *)(r2 - 24)",
		),
		{ ...value, retval: 0 },
	),
	reject(
		"a helper's buffer beyond the frame",
		"r1 = r10\nr1 += -8\nr2 = 16\nr3 = 0\ncall bpf_probe_read_kernel\nr0 = 0\nexit",
		"invalid indirect access to stack R1 off=-8 size=16",
		{ ...priv, prog_type: U.BPF_PROG_TYPE_TRACEPOINT },
	),
	reject(
		"a helper's buffer of no size",
		"r1 = r10\nr1 += -8\nr2 = 0\ncall bpf_trace_printk\nr0 = 0\nexit",
		"R2 invalid zero-sized read: u64=[0,0]",
		{ ...priv, prog_type: U.BPF_PROG_TYPE_TRACEPOINT },
	),
	accept(
		"a helper's buffer at a variable offset",
		onValue(
			"r3 = *(u32 *)(r0 + 0)\nr3 &= 8\n*(u64 *)(r10 - 24) = 0\n*(u64 *)(r10 - 16) = 0\nr2 = r10\nr2 += -24\nr2 += r3\nr1 = map[0] ll\ncall bpf_map_lookup_elem",
		),
		{ ...value, retval: 0 },
	),
	reject(
		"a frame that grows too much",
		"r2 = r10\nr2 += -600\n*(u8 *)(r2 + 0) = 0\nr0 = 0\nexit",
		"invalid write to stack R2 off=-600 size=1",
		{ errstr_unpriv: "R2 stack pointer arithmetic goes out of range" },
	),
	reject(
		"a caller's frame holds no pointers of its callee",
		"r1 = r10\nr1 += -8\ncall f\nr0 = 0\nexit\nf: *(u64 *)(r1 + 0) = r10\nr0 = 0\nexit",
		"cannot spill pointers to stack into stack frame of the caller",
		priv,
	),
	accept(
		"a caller's frame written by its callee",
		"r1 = r10\nr1 += -8\ncall f\nr0 = *(u64 *)(r10 - 8)\nexit\nf: *(u64 *)(r1 + 0) = 9\nr0 = 0\nexit",
		{ ...priv, retval: 9 },
	),
	reject(
		"a pointer to the frame of a function that is over",
		"call f\nr0 = *(u64 *)(r0 + 0)\nexit\nf: r0 = r10\nexit",
		"cannot return stack pointer to the caller",
		priv,
	),
	reject(
		"a frame's memory strictly aligned",
		"r2 = r10\nr2 += -12\n*(u64 *)(r2 + 0) = 0\nr0 = 0\nexit",
		"misaligned stack access off 0+-12+0 size 8",
	),
];

const maps: readonly VerifierTest[] = [
	reject(
		"a write into a map that programs only read",
		onValue("*(u64 *)(r0 + 0) = 1"),
		"write into map forbidden, value_size=48 off=0 size=8",
		{ maps: [array(U.BPF_F_RDONLY_PROG)], priv_only: true },
	),
	reject(
		"a read from a map that programs only write",
		onValue("r1 = *(u64 *)(r0 + 0)"),
		"read from map forbidden, value_size=48 off=0 size=8",
		{
			maps: [array(U.BPF_F_WRONLY_PROG)],
			priv_only: true,
			asm: "r0 = map_value[0] ll\nr1 = *(u64 *)(r0 + 0)\nr0 = 0\nexit",
		},
	),
	reject(
		"a helper that writes into a read-only map",
		"*(u64 *)(r10 - 8) = 0\nr2 = r10\nr2 += -8\nr3 = r2\nr4 = 0\nr1 = map[0] ll\ncall bpf_map_update_elem\nr0 = 0\nexit",
		"write into map forbidden",
		{ maps: [{ ...array(U.BPF_F_RDONLY_PROG), value: 8 }], priv_only: true },
	),
	accept(
		"a frozen map's contents are constants",
		"r1 = map_value[0] ll\nr0 = *(u32 *)(r1 + 4)\nif r0 == 9 goto out\nr0 = *(u64 *)(r1 + 100)\nout: exit",
		{
			maps: [{ ...array(U.BPF_F_RDONLY_PROG), fill: new Uint8Array(48).fill(9, 4, 5), frozen: true }],
			priv_only: true,
			retval: 9,
		},
	),
	accept(
		"a frozen map's contents with their sign",
		"r1 = map_value[0] ll\nr0 = *(s8 *)(r1 + 4)\nif r0 == -1 goto out\nr0 = *(u64 *)(r1 + 100)\nout: exit",
		{
			maps: [{ ...array(U.BPF_F_RDONLY_PROG), fill: new Uint8Array(48).fill(255, 4, 5), frozen: true }],
			priv_only: true,
			retval: -1,
		},
	),
	unprivReject(
		"an address stored in a map",
		onValue("*(u64 *)(r0 + 0) = r10"),
		"R10 leaks addr into map",
		valueUnpriv,
	),
	reject(
		"half of a map's pointer overwritten with strict alignment",
		onValue("*(u32 *)(r0 + 2) = 0"),
		"misaligned value access off 0+0+2 size 4",
		{ ...value, prog_flags: 1 },
	),
	reject(
		"a member of struct bpf_map that there is not",
		"r1 = map[0] ll\nr2 = *(u32 *)(r1 - 4)\nr0 = 0\nexit",
		"R1 is bpf_array invalid negative access: off=-4",
		value,
	),
	reject(
		"a write into struct bpf_map",
		"r1 = map[0] ll\n*(u32 *)(r1 + 0) = 0\nr0 = 0\nexit",
		"only read from bpf_array is supported",
		{ ...value },
	),
	reject("struct bpf_map of the unprivileged", "r1 = map[0] ll\nr2 = *(u32 *)(r1 + 0)\nr0 = 0\nexit", "", {
		result: "ACCEPT",
		maps: [array48],
		result_unpriv: "REJECT",
		errstr_unpriv: "'struct bpf_array' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN",
		asm: "r1 = map[0] ll\nr2 = *(u32 *)(r1 + 24)\nr0 = 0\nexit",
	}),
	reject(
		"a pointer in struct bpf_map in 32 bits",
		"r1 = map[0] ll\nr2 = *(u32 *)(r1 + 0)\nr0 = 0\nexit",
		"cannot access ptr member ops with moff 0 in struct bpf_map with off 0 size 4",
		value,
	),
	accept(
		"a map in a map",
		"*(u64 *)(r10 - 8) = 0\nr2 = r10\nr2 += -8\nr1 = map[0] ll\ncall bpf_map_lookup_elem\nif r0 == 0 goto out\nr1 = r0\nr2 = r10\nr2 += -8\ncall bpf_map_lookup_elem\nif r0 == 0 goto out\n*(u64 *)(r0 + 0) = 1\nout: r0 = 0\nexit",
		{
			maps: [
				{
					type: U.BPF_MAP_TYPE_ARRAY_OF_MAPS,
					key: 4,
					value: 4,
					max: 1,
					inner: { type: U.BPF_MAP_TYPE_HASH, key: 8, value: 8, max: 1 },
				},
			],
			retval: 0,
		},
	),
	reject(
		"a map in a map before it is compared with NULL",
		"*(u64 *)(r10 - 8) = 0\nr2 = r10\nr2 += -8\nr1 = map[0] ll\ncall bpf_map_lookup_elem\nr1 = r0\nr2 = r10\nr2 += -8\ncall bpf_map_lookup_elem\nr0 = 0\nexit",
		"R1 type=map_value_or_null expected=map_ptr",
		{ maps: [{ type: U.BPF_MAP_TYPE_ARRAY_OF_MAPS, key: 4, value: 4, max: 1, inner: hash8 }] },
	),
	reject(
		"another map's key is not as long",
		"*(u32 *)(r10 - 4) = 0\nr2 = r10\nr2 += -4\nr1 = map[0] ll\ncall bpf_map_lookup_elem\nr0 = 0\nexit",
		"invalid indirect access to stack R2 off=-4 size=8",
		{ maps: [hash8] },
	),
];

const skFields = "r6 = *(u64 *)(r1 + 168)\nif r6 == 0 goto out";
const netns = { ...tc } as const;
/** r0 = a socket with a reference, or NULL. */
const skLookup =
	"*(u64 *)(r10 - 48) = 0\n*(u64 *)(r10 - 40) = 0\nr2 = r10\nr2 += -48\nr3 = 12\nr4 = 0\nr5 = 0\ncall bpf_sk_lookup_tcp";

const contexts: readonly VerifierTest[] = [
	unprivReject(
		"an address stored in the context",
		"*(u32 *)(r1 + 48) = r10\nr0 = 0\nexit",
		"R10 leaks addr into ctx",
	),
	reject(
		"a context pointer that was moved",
		"r1 += 8\nr0 = *(u32 *)(r1 + 0)\nexit",
		"dereference of modified ctx ptr R1 off=8 disallowed",
		{},
	),
	reject(
		"a context pointer before itself",
		"r1 += -8\nr0 = *(u32 *)(r1 + 8)\nexit",
		"negative offset ctx ptr R1 off=-8 disallowed",
		{},
	),
	reject(
		"a context pointer at an offset that is not known",
		"r2 = *(u32 *)(r1 + 0)\nr2 &= 4\nr1 += r2\nr0 = *(u32 *)(r1 + 0)\nexit",
		"variable ctx access var_off=(0x0; 0x4) disallowed",
		priv,
	),
	reject(
		"an atomic operation on the context",
		"r2 = 1\nlock *(u32 *)(r1 + 8) += r2\nr0 = 0\nexit",
		"BPF_ATOMIC stores into R1 ctx is not allowed",
	),
	reject(
		"a context member that cannot be written",
		"*(u32 *)(r1 + 0) = 0\nr0 = 0\nexit",
		"invalid bpf_context access off=0 size=4",
		tc,
	),
	accept("mark is written by traffic control", "*(u32 *)(r1 + 8) = 5\nr0 = *(u32 *)(r1 + 8)\nexit", {
		...tc,
		retval: 5,
	}),
	accept("a context member by bytes", "r0 = *(u8 *)(r1 + 8)\nexit", { retval: 0 }),
	reject(
		"an instruction with different pointers",
		"r6 = r1\nr2 = *(u32 *)(r1 + 0)\nr3 = *(u64 *)(r1 + 168)\nif r3 == 0 goto out\nif r2 == 0 goto load\nr6 = r3\nload: r0 = *(u32 *)(r6 + 4)\nout: r0 = 0\nexit",
		"same insn cannot be used with different pointers",
		tc,
	),
	...(
		[
			["kprobe: beyond pt_regs", U.BPF_PROG_TYPE_KPROBE, "r0 = *(u64 *)(r1 + 4000)", "off=4000 size=8"],
			["tracepoint: a write", U.BPF_PROG_TYPE_TRACEPOINT, "*(u64 *)(r1 + 0) = 0", "off=0 size=8"],
			[
				"perf event: half of a period's write",
				U.BPF_PROG_TYPE_PERF_EVENT,
				"*(u64 *)(r1 + 0) = 0",
				"off=0 size=8",
			],
			["raw tracepoint: misaligned", U.BPF_PROG_TYPE_RAW_TRACEPOINT, "r0 = *(u64 *)(r1 + 4)", "off=4 size=8"],
			["xdp: a write", U.BPF_PROG_TYPE_XDP, "*(u32 *)(r1 + 0) = 0", "off=0 size=4"],
			["cgroup device: beyond", U.BPF_PROG_TYPE_CGROUP_DEVICE, "r0 = *(u32 *)(r1 + 12)", "off=12 size=4"],
			["sysctl: a write of `write`", U.BPF_PROG_TYPE_CGROUP_SYSCTL, "*(u32 *)(r1 + 0) = 0", "off=0 size=4"],
			["socket: a write of the family", U.BPF_PROG_TYPE_CGROUP_SOCK, "*(u32 *)(r1 + 4) = 0", "off=4 size=4"],
			["sock_ops: half a word", U.BPF_PROG_TYPE_SOCK_OPS, "r0 = *(u16 *)(r1 + 0)", "off=0 size=2"],
			["sk_msg: beyond", U.BPF_PROG_TYPE_SK_MSG, "r0 = *(u32 *)(r1 + 200)", "off=200 size=4"],
			["sk_reuseport: a write", U.BPF_PROG_TYPE_SK_REUSEPORT, "*(u32 *)(r1 + 16) = 0", "off=16 size=4"],
			["lirc: beyond the sample", U.BPF_PROG_TYPE_LIRC_MODE2, "r0 = *(u32 *)(r1 + 4)", "off=4 size=4"],
			[
				"lwt: a write of the mark that it may not",
				U.BPF_PROG_TYPE_LWT_IN,
				"*(u32 *)(r1 + 44) = 0",
				"off=44 size=4",
			],
		] as const
	).map(([descr, prog_type, asm, where]) =>
		reject(descr, `${asm}\nr0 = 0\nexit`, `invalid bpf_context access ${where}`, {
			prog_type,
			priv_only: true,
		}),
	),
	...[
		U.BPF_PROG_TYPE_KPROBE,
		U.BPF_PROG_TYPE_TRACEPOINT,
		U.BPF_PROG_TYPE_RAW_TRACEPOINT,
		U.BPF_PROG_TYPE_PERF_EVENT,
	].map((prog_type) =>
		accept(`the first member of the context of type ${prog_type}`, "r6 = *(u64 *)(r1 + 8)\nr0 = 0\nexit", {
			prog_type,
			priv_only: true,
		}),
	),
];

const packets: readonly VerifierTest[] = [
	accept(
		"a packet whose end was compared",
		"r2 = *(u32 *)(r1 + 76)\nr3 = *(u32 *)(r1 + 80)\nr4 = r2\nr4 += 14\nif r4 > r3 goto out\nr0 = *(u8 *)(r2 + 13)\n*(u8 *)(r2 + 13) = 5\nout: r0 = 0\nexit",
		{ ...tc, retval: 0 },
	),
	accept(
		"xdp: data, meta and end",
		"r2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr5 = *(u32 *)(r1 + 8)\nr4 = r2\nr4 += 2\nif r3 >= r4 goto ok\nr0 = 1\nexit\nok: r0 = *(u16 *)(r2 + 0)\nr4 = r5\nr4 += 4\nif r4 > r2 goto out\nr0 = *(u32 *)(r5 + 0)\nout: r0 = 2\nexit",
		{ ...xdp, retval: 2 },
	),
	reject(
		"one byte more than compared",
		"r2 = *(u32 *)(r1 + 76)\nr3 = *(u32 *)(r1 + 80)\nr4 = r2\nr4 += 14\nif r4 > r3 goto out\nr0 = *(u8 *)(r2 + 14)\nout: r0 = 0\nexit",
		"invalid access to packet, off=14 size=1, R2(id=0,off=14,r=14)",
		tc,
	),
	reject(
		"the end compared the wrong way round",
		"r2 = *(u32 *)(r1 + 76)\nr3 = *(u32 *)(r1 + 80)\nr4 = r2\nr4 += 14\nif r4 <= r3 goto out\nr0 = *(u8 *)(r2 + 0)\nout: r0 = 0\nexit",
		"invalid access to packet, off=0 size=1, R2(id=0,off=0,r=0)",
		tc,
	),
	reject(
		"the end of the packet moved",
		"r3 = *(u32 *)(r1 + 80)\nr3 += 8\nr0 = 0\nexit",
		"R3 pointer arithmetic on pkt_end prohibited",
		tc,
	),
	reject(
		"a read from the end",
		"r3 = *(u32 *)(r1 + 80)\nr0 = *(u8 *)(r3 + 0)\nexit",
		"R3 invalid mem access 'pkt_end'",
		tc,
	),
	reject(
		"a packet of a program that may not write it",
		"r2 = *(u32 *)(r1 + 76)\nr3 = *(u32 *)(r1 + 80)\nr4 = r2\nr4 += 14\nif r4 > r3 goto out\n*(u8 *)(r2 + 0) = 0\nout: r0 = 0\nexit",
		"cannot write into packet",
		{ prog_type: U.BPF_PROG_TYPE_LWT_IN, priv_only: true },
	),
	reject(
		"a packet after a helper that may move it",
		"r6 = r1\nr2 = *(u32 *)(r1 + 76)\nr3 = *(u32 *)(r1 + 80)\nr7 = r2\nr4 = r2\nr4 += 14\nif r4 > r3 goto out\nr2 = 20\ncall bpf_skb_pull_data\nr0 = *(u8 *)(r7 + 0)\nout: r0 = 0\nexit",
		"R7 invalid mem access 'scalar'",
		tc,
	),
	reject(
		"misaligned with strict alignment",
		"r2 = *(u32 *)(r1 + 76)\nr3 = *(u32 *)(r1 + 80)\nr4 = r2\nr4 += 14\nif r4 > r3 goto out\nr0 = *(u32 *)(r2 + 4)\nout: r0 = 0\nexit",
		"misaligned packet access off 2+0+0+4 size 4",
		{ ...tc, prog_flags: 1 },
	),
	reject(
		"an atomic operation on a packet",
		"r2 = *(u32 *)(r1 + 76)\nr3 = *(u32 *)(r1 + 80)\nr4 = r2\nr4 += 14\nif r4 > r3 goto out\nr5 = 1\nlock *(u32 *)(r2 + 0) += r5\nout: r0 = 0\nexit",
		"BPF_ATOMIC stores into R2 pkt is not allowed",
		tc,
	),
	accept(
		"a helper given a packet",
		"r6 = r1\nr2 = *(u32 *)(r1 + 76)\nr3 = *(u32 *)(r1 + 80)\nr4 = r2\nr4 += 14\nif r4 > r3 goto out\nr1 = r2\nr2 = 4\nr3 = 0\nr4 = 0\nr5 = 0\ncall bpf_csum_diff\nout: r0 = 0\nexit",
		tc,
	),
	reject(
		"a helper without packet access",
		"r6 = r1\nr7 = *(u32 *)(r1 + 76)\nr3 = *(u32 *)(r1 + 80)\nr4 = r7\nr4 += 14\nif r4 > r3 goto out\nr1 = r6\nr2 = 0\nr3 = r7\nr4 = 4\ncall bpf_skb_load_bytes\nout: r0 = 0\nexit",
		"helper access to the packet is not allowed",
		tc,
	),
	accept(
		"a variable offset in a packet",
		"r2 = *(u32 *)(r1 + 76)\nr3 = *(u32 *)(r1 + 80)\nr5 = *(u32 *)(r1 + 8)\nr5 &= 0xff\nr2 += r5\nr4 = r2\nr4 += 4\nif r4 > r3 goto out\nr0 = *(u32 *)(r2 + 0)\nout: r0 = 0\nexit",
		{ ...tc, retval: 0 },
	),
	reject(
		"flow keys beyond their end",
		"r6 = *(u64 *)(r1 + 144)\nr0 = *(u32 *)(r6 + 400)\nr0 = 0\nexit",
		"invalid access to flow keys off=400 size=4",
		{ prog_type: U.BPF_PROG_TYPE_FLOW_DISSECTOR, priv_only: true },
	),
	accept("flow keys", "r6 = *(u64 *)(r1 + 144)\nr0 = *(u16 *)(r6 + 0)\n*(u16 *)(r6 + 0) = 1\nr0 = 0\nexit", {
		prog_type: U.BPF_PROG_TYPE_FLOW_DISSECTOR,
		priv_only: true,
	}),
	reject(
		"arithmetic on flow keys",
		"r6 = *(u64 *)(r1 + 144)\nr2 = *(u32 *)(r1 + 76)\nr6 += r2\nr0 = 0\nexit",
		"R6 pointer arithmetic on flow_keys prohibited",
		{
			prog_type: U.BPF_PROG_TYPE_FLOW_DISSECTOR,
			priv_only: true,
			errstr: "R6 pointer += pointer prohibited",
		},
	),
];

const sockets: readonly VerifierTest[] = [
	accept("members of a socket", `${skFields}\nr0 = *(u32 *)(r6 + 4)\nout: r0 = 0\nexit`, {
		...netns,
		retval: 0,
	}),
	reject(
		"a socket before it is compared with NULL",
		"r6 = *(u64 *)(r1 + 168)\nr0 = *(u32 *)(r6 + 4)\nexit",
		"R6 invalid mem access 'sock_common_or_null'",
		tc,
	),
	reject(
		"a member that a socket lacks",
		`${skFields}\nr0 = *(u32 *)(r6 + 200)\nout: r0 = 0\nexit`,
		"R6 invalid sock_common access off=200 size=4",
		tc,
	),
	reject(
		"a socket is not written",
		`${skFields}\n*(u32 *)(r6 + 4) = 0\nout: r0 = 0\nexit`,
		"R6 cannot write into sock_common",
		tc,
	),
	reject(
		"arithmetic on a socket",
		`${skFields}\nr6 += 4\nout: r0 = 0\nexit`,
		"R6 pointer arithmetic on sock_common prohibited",
		tc,
	),
	reject(
		"an atomic operation on a socket",
		`${skFields}\nr2 = 1\nlock *(u32 *)(r6 + 4) += r2\nout: r0 = 0\nexit`,
		"BPF_ATOMIC stores into R6 sock_common is not allowed",
		tc,
	),
	accept(
		"a socket that was looked up and released",
		`${skLookup}\nif r0 == 0 goto out\nr1 = r0\ncall bpf_sk_release\nout: r0 = 0\nexit`,
		{ ...tc },
	),
	reject("a socket that is not released", `${skLookup}\nr0 = 0\nexit`, "Unreleased reference id=", tc),
	reject(
		"a socket released twice",
		`${skLookup}\nif r0 == 0 goto out\nr6 = r0\nr1 = r0\ncall bpf_sk_release\nr1 = r6\ncall bpf_sk_release\nout: r0 = 0\nexit`,
		"R1 type=scalar expected=sock_common, sock, tcp_sock, xdp_sock, ptr_, trusted_ptr_",
		tc,
	),
	reject(
		"a socket that was not acquired released",
		`${skFields}\nr1 = r6\ncall bpf_sk_release\nout: r0 = 0\nexit`,
		"R1 must be referenced when passed to release function",
		tc,
	),
	reject(
		"a socket moved before its release",
		`${skLookup}\nif r0 == 0 goto out\nr1 = r0\nr1 += 8\ncall bpf_sk_release\nout: r0 = 0\nexit`,
		"R1 pointer arithmetic on sock prohibited",
		tc,
	),
	reject(
		"a packet's byte by ld_abs while a socket is held",
		`r6 = r1\n${skLookup}\nr7 = r0\nr0 = *(u8 *)skb[0]\nr0 = 0\nexit`,
		"BPF_LD_[ABS|IND] cannot be mixed with socket references",
		tc,
	),
	accept(
		"a full socket",
		`${skFields}\nr1 = r6\ncall bpf_sk_fullsock\nif r0 == 0 goto out\nr1 = r0\ncall bpf_tcp_sock\nif r0 == 0 goto out\nr0 = *(u32 *)(r0 + 0)\nout: r0 = 0\nexit`,
		tc,
	),
	reject(
		"a tcp socket's member that there is not",
		`${skFields}\nr1 = r6\ncall bpf_tcp_sock\nif r0 == 0 goto out\nr0 = *(u32 *)(r0 + 400)\nout: r0 = 0\nexit`,
		"R0 invalid tcp_sock access off=400 size=4",
		tc,
	),
];

const ringbuf = { type: U.BPF_MAP_TYPE_RINGBUF, key: 0, value: 0, max: 4096 } as const;
const reserve = "r1 = map[0] ll\nr2 = 16\nr3 = 0\ncall bpf_ringbuf_reserve";
const rb = { ...tc, maps: [ringbuf] };

const ringbufs: readonly VerifierTest[] = [
	accept(
		"a record reserved and submitted",
		`${reserve}\nif r0 == 0 goto out\n*(u64 *)(r0 + 8) = 1\nr1 = r0\nr2 = 0\ncall bpf_ringbuf_submit\nout: r0 = 0\nexit`,
		{ ...rb, retval: 0 },
	),
	reject("a record that is not submitted", `${reserve}\nr0 = 0\nexit`, "Unreleased reference", rb),
	reject(
		"beyond a record",
		`${reserve}\nif r0 == 0 goto out\n*(u64 *)(r0 + 12) = 1\nr1 = r0\nr2 = 0\ncall bpf_ringbuf_submit\nout: r0 = 0\nexit`,
		"invalid access to memory, mem_size=16 off=12 size=8",
		rb,
	),
	reject(
		"a record moved before it is submitted",
		`${reserve}\nif r0 == 0 goto out\nr1 = r0\nr1 += 8\nr2 = 0\ncall bpf_ringbuf_submit\nout: r0 = 0\nexit`,
		"R1 must have zero offset when passed to release func or trusted arg to kfunc",
		rb,
	),
	reject(
		"a record used after it is submitted",
		`${reserve}\nif r0 == 0 goto out\nr6 = r0\nr1 = r0\nr2 = 0\ncall bpf_ringbuf_submit\n*(u64 *)(r6 + 0) = 1\nout: r0 = 0\nexit`,
		"R6 invalid mem access 'scalar'",
		rb,
	),
	reject(
		"a record of a size that is not known",
		onValue("r6 = *(u64 *)(r0 + 0)\nr1 = map[1] ll\nr2 = r6\nr3 = 0\ncall bpf_ringbuf_reserve"),
		"R2 is not a known constant'",
		{ ...tc, maps: [array48, ringbuf] },
	),
	reject(
		"a record before it is compared with NULL",
		`${reserve}\n*(u64 *)(r0 + 0) = 1\nr0 = 0\nexit`,
		"R0 invalid mem access 'ringbuf_mem_or_null'",
		rb,
	),
	reject(
		"a map's value submitted",
		onValue("r1 = r0\nr2 = 0\ncall bpf_ringbuf_submit"),
		"R1 type=map_value expected=ringbuf_mem",
		{ ...tc, maps: [array48] },
	),
	unprivReject(
		"an address in a record",
		`${reserve}\nif r0 == 0 goto out\n*(u64 *)(r0 + 8) = r10\nr1 = r0\nr2 = 0\ncall bpf_ringbuf_submit\nout: r0 = 0\nexit`,
		"R10 leaks addr into mem",
		{ maps: [ringbuf], result: "ACCEPT" },
	),
];

const others: readonly VerifierTest[] = [
	reject(
		"a tracepoint's buffer before its beginning",
		"r6 = *(u64 *)(r1 + 0)\nr0 = *(u64 *)(r6 - 8)\nr0 = 0\nexit",
		"R6 invalid tracepoint buffer access: off=-8, size=8",
		{ prog_type: U.BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE, priv_only: true },
	),
	reject(
		"a tracepoint's buffer at an offset that is not known",
		"r6 = *(u64 *)(r1 + 0)\nr2 = *(u64 *)(r1 + 8)\nr2 &= 8\nr6 += r2\nr0 = *(u64 *)(r6 + 0)\nr0 = 0\nexit",
		"R6 invalid variable buffer offset: off=0, var_off=(0x0; 0x8)",
		{ prog_type: U.BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE, priv_only: true },
	),
	accept("a tracepoint's buffer", "r6 = *(u64 *)(r1 + 0)\n*(u64 *)(r6 + 8) = 1\nr0 = 0\nexit", {
		prog_type: U.BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE,
		priv_only: true,
	}),
	reject(
		"an atomic operation of half a word",
		`r1 = 1\n*(u64 *)(r10 - 8) = 0\n${raw(0xcb, 10, 1, -8, 0)}\nr0 = 0\nexit`,
		"invalid atomic operand size",
		{ errstr: "unknown opcode cb" },
	),
	reject(
		"an atomic operation there is not",
		`r1 = 1\n*(u64 *)(r10 - 8) = 0\n${raw(0xdb, 10, 1, -8, 0x33)}\nr0 = 0\nexit`,
		"BPF_ATOMIC uses invalid atomic opcode 33",
	),
	unprivReject(
		"cmpxchg with a pointer in r0",
		"*(u64 *)(r10 - 8) = 0\nr0 = r10\nr1 = 0\nr0 = cmpxchg((u64 *)(r10 - 8), r0, r1)\nr0 = 0\nexit",
		"R0 leaks addr into mem",
	),
	unprivReject(
		"an atomic operation with a pointer",
		"*(u64 *)(r10 - 8) = 0\nr1 = r10\nlock *(u64 *)(r10 - 8) += r1\nr0 = 0\nexit",
		"R1 leaks addr into mem",
	),
	accept(
		"cmpxchg",
		"*(u64 *)(r10 - 8) = 3\nr0 = 3\nr1 = 4\nr0 = cmpxchg((u64 *)(r10 - 8), r0, r1)\nr0 = *(u64 *)(r10 - 8)\nexit",
		{ retval: 4 },
	),
	reject("memory at a number", "r1 = 0\nr0 = *(u64 *)(r1 + 0)\nexit", "R1 invalid mem access 'scalar'"),
];

export const memoryVerifierTests: readonly VerifierTest[] = [
	...stack,
	...maps,
	...contexts,
	...packets,
	...sockets,
	...ringbufs,
	...others,
];
