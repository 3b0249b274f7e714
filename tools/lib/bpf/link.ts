// SPDX-License-Identifier: GPL-2.0-only
/**
 * Links: programs attached to what they watch. tools/lib/bpf/libbpf.c: bpf_program__attach and its kin.
 *
 * Programs on perf events, tracepoints and kprobes are in attach_probe.ts. uprobes and USDT need files of /proc
 * and of programs: they answer -EOPNOTSUPP with "not ported".
 */
import { EBUSY, EINVAL, EOPNOTSUPP } from "../../../include/uapi/asm-generic/errno.ts";
import {
	BPF_F_LINK,
	BPF_NETFILTER,
	BPF_PROG_TYPE_EXT,
	BPF_STRUCT_OPS,
	BPF_TRACE_ITER,
} from "../../../include/uapi/linux/bpf.ts";
import { attach_kprobe, attach_kprobe_multi, attach_ksyscall, attach_tp } from "./attach_probe.ts";
import {
	bpf_link_create,
	type bpf_link_create_opts,
	bpf_link_detach,
	bpf_link_update,
	bpf_map_delete_elem,
	bpf_map_update_elem,
	bpf_obj_get,
	bpf_obj_pin,
	bpf_raw_tracepoint_open,
} from "./bpf.ts";
import { bpf_map__is_struct_ops } from "./init_maps.ts";
import { type Libbpf, libbpf_strerror_r } from "./libbpf_internal.ts";
import { type bpf_map, type bpf_object, type bpf_program, prog_is_subprog } from "./libbpf_types.ts";
import { libbpf_find_prog_btf_id } from "./module_btf.ts";

/** struct bpf_link of libbpf: a descriptor, and how to let go of it. */
export interface bpf_link {
	readonly lib: Libbpf;
	fd: number;
	pin_path: string | null;
	disconnected: boolean;
	/** Map behind a struct_ops link; -1 for struct_ops without a link. */
	map_fd: number;
	detach: (link: bpf_link) => number;
}

const ZERO = new Uint8Array(4);

/** A link object; without `detach` closing the descriptor detaches. */
export function new_link(lib: Libbpf, fd: number, detach?: (link: bpf_link) => number): bpf_link {
	return {
		lib,
		fd,
		pin_path: null,
		disconnected: false,
		map_fd: -1,
		detach: detach ?? ((link) => link.lib.sys.close(link.fd)),
	};
}

export const bpf_link__fd = (link: bpf_link): number => link.fd;
export const bpf_link__pin_path = (link: bpf_link): string | null => link.pin_path;

/** The program stays attached when the link object goes. */
export function bpf_link__disconnect(link: bpf_link): void {
	link.disconnected = true;
}

export function bpf_link__destroy(link: bpf_link | number | null): number {
	if (link === null || typeof link === "number") return 0;
	return link.disconnected ? 0 : link.detach(link);
}

/** tools/lib/bpf/libbpf.c: bpf_link__detach */
export function bpf_link__detach(link: bpf_link): number {
	return bpf_link_detach(link.lib, link.fd);
}

export function bpf_link__update_program(link: bpf_link, prog: bpf_program): number {
	if (prog.fd < 0) {
		link.lib.pr_warn(`prog '${prog.name}': can't use BPF program without FD (was it loaded?)\n`);
		return -EINVAL;
	}
	return bpf_link_update(link.lib, link.fd, prog.fd);
}

export function bpf_link__open(lib: Libbpf, path: string): bpf_link | number {
	const fd = bpf_obj_get(lib, path);
	if (fd < 0) {
		lib.pr_warn(`failed to open link at ${path}: ${fd}\n`);
		return fd;
	}
	const link = new_link(lib, fd);
	link.pin_path = path;
	return link;
}

export function bpf_link__pin(link: bpf_link, path: string): number {
	if (link.pin_path !== null) return -EBUSY;
	const err = bpf_obj_pin(link.lib, link.fd, path);
	if (err) return err;
	link.pin_path = path;
	link.lib.pr_debug(() => `link fd=${link.fd}: pinned at ${path}\n`);
	return 0;
}

function not_loaded(prog: bpf_program): boolean {
	if (prog.fd >= 0) return false;
	prog.obj.lib.pr_warn(`prog '${prog.name}': can't attach before loaded\n`);
	return true;
}

/** tools/lib/bpf/libbpf.c: bpf_program_attach_fd */
function attach_fd(
	prog: bpf_program,
	target_fd: number,
	target_name: string,
	opts: bpf_link_create_opts = {},
	attach_type = prog.expected_attach_type,
): bpf_link | number {
	const { lib } = prog.obj;
	if (not_loaded(prog)) return -EINVAL;
	const fd = bpf_link_create(lib, prog.fd, target_fd, attach_type, opts);
	if (fd < 0) {
		lib.pr_warn(`prog '${prog.name}': failed to attach to ${target_name}: ${libbpf_strerror_r(fd)}\n`);
		return fd;
	}
	return new_link(lib, fd);
}

export const bpf_program__attach_cgroup = (prog: bpf_program, cgroup_fd: number): bpf_link | number =>
	attach_fd(prog, cgroup_fd, "cgroup");
export const bpf_program__attach_netns = (prog: bpf_program, netns_fd: number): bpf_link | number =>
	attach_fd(prog, netns_fd, "netns");
export const bpf_program__attach_sockmap = (prog: bpf_program, map_fd: number): bpf_link | number =>
	attach_fd(prog, map_fd, "sockmap");
export const bpf_program__attach_xdp = (prog: bpf_program, ifindex: number): bpf_link | number =>
	attach_fd(prog, ifindex, "xdp");
export const bpf_program__attach_tcx = (
	prog: bpf_program,
	ifindex: number,
	opts: { flags?: number } & NonNullable<bpf_link_create_opts["tcx"]> = {},
): bpf_link | number => attach_mprog(prog, ifindex, "tcx", opts);
export const bpf_program__attach_netkit = (
	prog: bpf_program,
	ifindex: number,
	opts: { flags?: number } & NonNullable<bpf_link_create_opts["netkit"]> = {},
): bpf_link | number => attach_mprog(prog, ifindex, "netkit", opts);

function attach_mprog(
	prog: bpf_program,
	ifindex: number,
	what: "tcx" | "netkit",
	opts: { flags?: number } & NonNullable<bpf_link_create_opts["tcx"]>,
): bpf_link | number {
	if (!ifindex) {
		prog.obj.lib.pr_warn(`prog '${prog.name}': target netdevice ifindex cannot be zero\n`);
		return -EINVAL;
	}
	if (opts.relative_fd && opts.relative_id) {
		prog.obj.lib.pr_warn(`prog '${prog.name}': relative_fd and relative_id cannot be set at the same time\n`);
		return -EINVAL;
	}
	return attach_fd(prog, ifindex, what, { flags: opts.flags ?? 0, [what]: opts });
}

export function bpf_program__attach_netfilter(
	prog: bpf_program,
	opts: NonNullable<bpf_link_create_opts["netfilter"]> = {},
): bpf_link | number {
	return attach_fd(prog, 0, "netfilter", { netfilter: opts }, BPF_NETFILTER);
}

export function bpf_program__attach_raw_tracepoint(
	prog: bpf_program,
	tp_name: string,
	cookie = 0n,
): bpf_link | number {
	const { lib } = prog.obj;
	if (not_loaded(prog)) return -EINVAL;
	const fd = bpf_raw_tracepoint_open(lib, tp_name, prog.fd, cookie);
	if (fd < 0) {
		lib.pr_warn(
			`prog '${prog.name}': failed to attach to raw tracepoint '${tp_name}': ${libbpf_strerror_r(fd)}\n`,
		);
		return fd;
	}
	return new_link(lib, fd);
}

/** tools/lib/bpf/libbpf.c: bpf_program__attach_btf_id */
export function bpf_program__attach_trace(prog: bpf_program, cookie = 0n): bpf_link | number {
	const { lib } = prog.obj;
	if (not_loaded(prog)) return -EINVAL;
	const opts: bpf_link_create_opts = cookie ? { tracing: { cookie } } : {};
	const fd = bpf_link_create(lib, prog.fd, 0, prog.expected_attach_type, opts);
	if (fd < 0) {
		lib.pr_warn(`prog '${prog.name}': failed to attach: ${libbpf_strerror_r(fd)}\n`);
		return fd;
	}
	return new_link(lib, fd);
}
export const bpf_program__attach_lsm = (prog: bpf_program): bpf_link | number =>
	bpf_program__attach_trace(prog);

export function bpf_program__attach_freplace(
	prog: bpf_program,
	target_fd: number,
	attach_func_name: string | null,
): bpf_link | number {
	const { lib } = prog.obj;
	if ((target_fd !== 0) !== (attach_func_name !== null)) {
		lib.pr_warn(`prog '${prog.name}': supply none or both of target_fd and attach_func_name\n`);
		return -EINVAL;
	}
	if (prog.type !== BPF_PROG_TYPE_EXT) {
		lib.pr_warn(`prog '${prog.name}': only BPF_PROG_TYPE_EXT can attach as freplace`);
		return -EINVAL;
	}
	if (attach_func_name === null) return bpf_program__attach_trace(prog);
	const target_btf_id = libbpf_find_prog_btf_id(lib, attach_func_name, target_fd);
	return target_btf_id < 0 ? target_btf_id : attach_fd(prog, target_fd, "freplace", { target_btf_id });
}

export function bpf_program__attach_iter(prog: bpf_program, iter_info?: Uint8Array): bpf_link | number {
	return attach_fd(prog, 0, "iterator", iter_info ? { iter_info } : {}, BPF_TRACE_ITER);
}

function not_ported(prog: bpf_program, what: string): number {
	prog.obj.lib.pr_warn(`prog '${prog.name}': not ported: attaching ${what}\n`);
	return -EOPNOTSUPP;
}

/** The section's own way of attaching (bpf_sec_def.prog_attach_fn); null when it does not say to what. */
function attach_by_section(prog: bpf_program): bpf_link | number | null {
	const slash = prog.sec_name.indexOf("/");
	const target = slash < 0 ? null : prog.sec_name.slice(slash + 1);
	switch (prog.sec_def?.attach) {
		case "raw_tp":
			return target === null ? null : bpf_program__attach_raw_tracepoint(prog, target);
		case "trace":
		case "lsm":
			return bpf_program__attach_trace(prog);
		case "iter":
			return bpf_program__attach_iter(prog);
		case "tp":
			return attach_tp(prog);
		case "kprobe":
			return attach_kprobe(prog);
		case "ksyscall":
			return attach_ksyscall(prog);
		case "kprobe_multi":
		case "kprobe_session":
			return attach_kprobe_multi(prog);
		case "uprobe":
		case "uprobe_multi":
		case "usdt":
			return target === null ? null : not_ported(prog, `a ${prog.sec_def.attach}`);
		default:
			return null;
	}
}

/**
 * tools/lib/bpf/libbpf.c: bpf_program__attach: as the section's name says; -EOPNOTSUPP when it does not say
 * enough (`SEC("kprobe")` without a function).
 */
export function bpf_program__attach(prog: bpf_program): bpf_link | number {
	if (!prog.sec_def?.attach) return -EOPNOTSUPP;
	if (prog.fd < 0) {
		prog.obj.lib.pr_warn(`prog '${prog.name}': can't attach BPF program without FD (was it loaded?)\n`);
		return -EINVAL;
	}
	return attach_by_section(prog) ?? -EOPNOTSUPP;
}

/** tools/lib/bpf/libbpf.c: bpf_map__attach_struct_ops */
export function bpf_map__attach_struct_ops(map: bpf_map): bpf_link | number {
	const { lib } = map.obj;
	if (!bpf_map__is_struct_ops(map)) {
		lib.pr_warn(`map '${map.name}': can't attach non-struct_ops map\n`);
		return -EINVAL;
	}
	if (map.fd < 0 || !map.st_ops?.kern_vdata) {
		lib.pr_warn(`map '${map.name}': can't attach BPF map without FD (was it created?)\n`);
		return -EINVAL;
	}
	const with_link = (map.def.map_flags & BPF_F_LINK) !== 0;
	const err = bpf_map_update_elem(lib, map.fd, ZERO, map.st_ops.kern_vdata);
	// A map with a link may be attached again after its link was detached.
	if (err && !(with_link && err === -EBUSY)) return err;
	if (!with_link) return new_link(lib, map.fd, (link) => bpf_map_delete_elem(lib, link.fd, ZERO));
	const fd = bpf_link_create(lib, map.fd, 0, BPF_STRUCT_OPS);
	if (fd < 0) return fd;
	const link = new_link(lib, fd);
	link.map_fd = map.fd;
	return link;
}

/** tools/lib/bpf/libbpf.c: bpf_link__update_map */
export function bpf_link__update_map(link: bpf_link, map: bpf_map): number {
	if (!bpf_map__is_struct_ops(map)) return -EINVAL;
	if (map.fd < 0 || !map.st_ops?.kern_vdata) {
		link.lib.pr_warn(`map '${map.name}': can't use BPF map without FD (was it created?)\n`);
		return -EINVAL;
	}
	if (link.map_fd < 0) return -EINVAL;
	const err = bpf_map_update_elem(link.lib, map.fd, ZERO, map.st_ops.kern_vdata);
	if (err && err !== -EBUSY) return err;
	const ret = bpf_link_update(link.lib, link.fd, map.fd);
	if (ret < 0) return ret;
	link.map_fd = map.fd;
	return 0;
}

/**
 * What a skeleton's attach does: every program and struct_ops map that attaches itself. The links by name of
 * program or map, or the first error (then nothing stays attached). Like bpf_object__attach_skeleton().
 */
export function bpf_object__attach(obj: bpf_object): Map<string, bpf_link> | number {
	const links = new Map<string, bpf_link>();
	const undo = (err: number): number => {
		for (const link of links.values()) bpf_link__destroy(link);
		return err;
	};
	for (const prog of obj.programs) {
		if (prog_is_subprog(obj, prog) || !prog.autoload || !prog.autoattach || !prog.sec_def?.attach) continue;
		const link = attach_by_section(prog);
		// Section names may leave the target open on purpose.
		if (link === null) continue;
		if (typeof link === "number") {
			obj.lib.pr_warn(`prog '${prog.name}': failed to auto-attach: ${link}\n`);
			return undo(link);
		}
		links.set(prog.name, link);
	}
	for (const map of obj.maps) {
		if (!bpf_map__is_struct_ops(map) || !map.autocreate || !map.autoattach) continue;
		const link = bpf_map__attach_struct_ops(map);
		if (typeof link === "number") {
			obj.lib.pr_warn(`map '${map.name}': failed to auto-attach: ${link}\n`);
			return undo(link);
		}
		links.set(map.name, link);
	}
	return links;
}
