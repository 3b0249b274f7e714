// SPDX-License-Identifier: GPL-2.0-only
/**
 * What BPF iterators there are and what their programs' contexts hold: the struct bpf_iter_reg tables of
 * kernel/bpf/*_iter.c, kernel/kallsyms.c and net/, and kernel/bpf/bpf_iter.c: bpf_iter_prog_supported().
 * Members are found in the struct bpf_iter__<target> of the kernel's BTF. What they go over is in
 * bpf_iter_objs.ts.
 */
import {
	MEM_RDONLY,
	PTR_MAYBE_NULL,
	PTR_TO_BTF_ID_OR_NULL,
	PTR_TO_BUF,
	PTR_TRUSTED,
} from "../../include/linux/bpf.ts";
import { IS_ERR } from "../../lib/err.ts";
import type { bpf_ctx_arg_aux, bpf_prog } from "./bpf_types.ts";
import { btf_id_of, offsetof } from "./btf_ids.ts";
import type { btf } from "./btf_types.ts";

/** A pointer in the context: member, type of register, and the struct it points at. */
type CtxArg = readonly [member: string, reg_type: number, struct?: string];

const OBJ = PTR_TO_BTF_ID_OR_NULL;
const TRUSTED_OBJ = PTR_TO_BTF_ID_OR_NULL | PTR_TRUSTED;
const BUF = PTR_TO_BUF | PTR_MAYBE_NULL;

const targets: Readonly<Record<string, readonly CtxArg[]>> = {
	ksym: [["ksym", OBJ, "kallsym_iter"]],
	bpf_prog: [["prog", OBJ, "bpf_prog"]],
	bpf_map: [["map", TRUSTED_OBJ, "bpf_map"]],
	bpf_map_elem: [
		["key", BUF | MEM_RDONLY],
		["value", BUF],
	],
	bpf_link: [["link", OBJ, "bpf_link"]],
	cgroup: [["cgroup", TRUSTED_OBJ, "cgroup"]],
	task: [["task", TRUSTED_OBJ, "task_struct"]],
	task_file: [
		["task", OBJ, "task_struct"],
		["file", OBJ, "file"],
	],
	task_vma: [
		["task", OBJ, "task_struct"],
		["vma", OBJ, "vm_area_struct"],
	],
	netlink: [["sk", OBJ, "netlink_sock"]],
	ipv6_route: [["rt", OBJ, "fib6_info"]],
	sockmap: [
		["key", BUF | MEM_RDONLY],
		["sk", OBJ, "sock"],
	],
	bpf_sk_storage_map: [
		["sk", OBJ, "sock"],
		["value", BUF],
	],
	unix: [["unix_sk", OBJ, "unix_sock"]],
	tcp: [["sk_common", TRUSTED_OBJ, "sock_common"]],
	udp: [["udp_sk", TRUSTED_OBJ, "udp_sock"]],
};

/** kernel/bpf/bpf_iter.c: bpf_iter_prog_supported: also tells the program what its context holds. */
export function bpf_iter_prog_supported(prog: bpf_prog): boolean {
	const { kernel } = prog;
	const name = prog.aux.attach_func_name ?? "";
	if (!name.startsWith("bpf_iter_")) return false;
	const target = name.slice("bpf_iter_".length);
	const args = Object.hasOwn(targets, target) ? targets[target]! : null;
	if (!args) return false;
	const vmlinux = kernel.bpf.bpf_get_btf_vmlinux();
	const btf = IS_ERR(vmlinux) ? null : (vmlinux as btf);
	prog.aux.ctx_arg_info = args.map(
		([member, reg_type, struct]): bpf_ctx_arg_aux => ({
			offset: offsetof(kernel, `bpf_iter__${target}`, member),
			reg_type,
			btf: struct ? btf : null,
			btf_id: struct ? btf_id_of(kernel, { kind: "struct", name: struct }) : 0,
		}),
	);
	return true;
}
