// SPDX-License-Identifier: GPL-2.0-only
/**
 * bpf(2) (kernel/bpf/syscall.c: __sys_bpf): attributes in, the command's own file, an errno out.
 * Commands: map_create.ts, map_syscall.ts, prog_load.ts, prog.ts, link.ts, obj_info.ts, btf_syscall.ts.
 */
import {
	EBADF,
	EBUSY,
	EFAULT,
	EINVAL,
	ENOENT,
	ENOSPC,
	ENOTSUPP,
	EOPNOTSUPP,
	EPERM,
} from "../../include/uapi/asm-generic/errno.ts";
import * as U from "../../include/uapi/linux/bpf.ts";
import { ATTR_END, ATTR_OFF, bpf_attr } from "../../include/uapi/linux/bpf_attr.ts";
import { GuestFault } from "../../mm/guest_memory.ts";
import { test_run_of } from "../../net/bpf/test_run.ts";
import { type bpfptr_t, copy_from_bpfptr, USER_BPFPTR, u64_to_user_ptr } from "../bpfptr.ts";
import { bpf_get_perf_event_info, perf_get_event } from "../events/core.ts";
import { anon_inode_getfd, type file_operations, O_CLOEXEC } from "../file.ts";
import type { Kernel } from "../kernel.ts";
import { impl } from "../kernel_impl.ts";
import { bpf_dump_raw_ok, bpf_token_capable, security_bpf } from "../security.ts";
import { CAP_BPF, CAP_NET_ADMIN, CAP_SYS_ADMIN, capable } from "../task.ts";
import { attr_tail_nonzero, bpf_check_uarg_tail_zero, bpf_token_get_from_fd } from "./attr.ts";
import { bpf_iter_new_fd } from "./bpf_iter.ts";
import { bpf_link_fops, bpf_link_get_from_fd, bpf_link_put_direct } from "./bpf_link.ts";
import { btf_new_fd } from "./btf.ts";
import {
	bpf_link_get_fd_by_id,
	bpf_prog_attach,
	bpf_prog_detach,
	bpf_raw_tp_link,
	bpf_raw_tracepoint_open,
	link_create,
	link_detach,
	link_update,
} from "./link.ts";
import { bpf_map_get, bpf_map_put, map_create } from "./map_create.ts";
import {
	bpf_map_do_batch,
	map_delete_elem,
	map_freeze,
	map_get_next_key,
	map_lookup_and_delete_elem,
	map_lookup_elem,
	map_update_elem,
} from "./map_syscall.ts";
import {
	bpf_btf_get_fd_by_id,
	bpf_map_get_fd_by_id,
	bpf_obj_get_info_by_fd,
	bpf_obj_get_next_id,
	bpf_prog_get_fd_by_id,
} from "./obj_info.ts";
import { bpf_prog_get, bpf_prog_put } from "./prog.ts";
import { bpf_prog_load } from "./prog_load.ts";

export * from "./attr.ts";
export * from "./map_create.ts";
export * from "./prog.ts";

function not_ported(kernel: Kernel, what: string): number {
	impl(kernel).bpf.not_ported(what);
	return -EOPNOTSUPP;
}

/** kernel/bpf/syscall.c: bpf_btf_load */
function bpf_btf_load(kernel: Kernel, attr: bpf_attr, uattr: bpfptr_t, uattr_size: number): number {
	if (attr_tail_nonzero(attr, ATTR_END.BPF_BTF_LOAD)) return -EINVAL;
	if (attr.btf_flags & ~U.BPF_F_TOKEN_FD) return -EINVAL;
	if (attr.btf_flags & U.BPF_F_TOKEN_FD) {
		const token = bpf_token_get_from_fd(kernel, attr.btf_token_fd);
		if (token < 0) return token;
	}
	if (!bpf_token_capable(kernel, CAP_BPF)) return -EPERM;
	return btf_new_fd(kernel, attr, uattr, uattr_size);
}

/** kernel/bpf/syscall.c: bpf_prog_test_run */
function bpf_prog_test_run(kernel: Kernel, attr: bpf_attr, uattr: number): number {
	if (attr_tail_nonzero(attr, ATTR_END.BPF_PROG_TEST_RUN)) return -EINVAL;
	if ((attr.test_ctx_size_in !== 0) !== (attr.test_ctx_in !== 0n)) return -EINVAL;
	if ((attr.test_ctx_size_out !== 0) !== (attr.test_ctx_out !== 0n)) return -EINVAL;
	const prog = bpf_prog_get(kernel, attr.test_prog_fd);
	if (typeof prog === "number") return prog;
	try {
		const run = test_run_of(prog.type);
		return run ? run(prog, attr, uattr) : -ENOTSUPP;
	} finally {
		bpf_prog_put(prog);
	}
}

const bpf_stats_fops: file_operations = {
	name: "bpf-stats",
	release: (f) => {
		impl(f.kernel).bpf.stats_enabled--;
	},
};

/** kernel/bpf/syscall.c: bpf_enable_stats */
function bpf_enable_stats(kernel: Kernel, attr: bpf_attr): number {
	if (attr_tail_nonzero(attr, ATTR_END.BPF_ENABLE_STATS)) return -EINVAL;
	if (!capable(kernel.current, CAP_SYS_ADMIN)) return -EPERM;
	if (attr.enable_stats_type !== U.BPF_STATS_RUN_TIME) return -EINVAL;
	const { bpf } = impl(kernel);
	if (bpf.stats_enabled > 0x7fffffff / 2) return -EBUSY;
	const fd = anon_inode_getfd(kernel, "bpf-stats", bpf_stats_fops, null, O_CLOEXEC);
	if (fd >= 0) bpf.stats_enabled++;
	return fd;
}

/** kernel/bpf/syscall.c: bpf_prog_bind_map */
function bpf_prog_bind_map(kernel: Kernel, attr: bpf_attr): number {
	if (attr_tail_nonzero(attr, ATTR_END.BPF_PROG_BIND_MAP)) return -EINVAL;
	if (attr.prog_bind_map_flags) return -EINVAL;
	const prog = bpf_prog_get(kernel, attr.prog_bind_map_prog_fd);
	if (typeof prog === "number") return prog;
	const map = bpf_map_get(kernel, attr.prog_bind_map_map_fd);
	if (typeof map !== "number") {
		if (prog.aux.used_maps.includes(map)) bpf_map_put(map);
		else {
			if (prog.sleepable) map.sleepable_refcnt++;
			prog.aux.used_maps = [...prog.aux.used_maps, map];
		}
	}
	bpf_prog_put(prog);
	return typeof map === "number" ? map : 0;
}

/** kernel/bpf/syscall.c: bpf_task_fd_query_copy */
function bpf_task_fd_query_copy(
	kernel: Kernel,
	attr: bpf_attr,
	uattr: number,
	prog_id: number,
	fd_type: number,
	name: string,
	probe_offset = 0n,
	probe_addr = 0n,
): number {
	const k = impl(kernel);
	const ubuf = u64_to_user_ptr(attr.task_fd_query_buf);
	const len = name.length;
	const input_len = attr.task_fd_query_buf_len;
	let err = 0;
	if (!k.put_user32(uattr + ATTR_OFF.task_fd_query_buf_len, len)) return -EFAULT;
	if (input_len && ubuf) {
		const bytes = Uint8Array.from(`${name}\0`, (c) => c.charCodeAt(0));
		if (!len || input_len >= len + 1) {
			if (!k.copy_to_user(ubuf, bytes)) return -EFAULT;
		} else {
			err = -ENOSPC;
			if (!k.copy_to_user(ubuf, bytes.subarray(0, input_len - 1))) return -EFAULT;
			if (!k.copy_to_user(ubuf + input_len - 1, Uint8Array.of(0))) return -EFAULT;
		}
	}
	if (
		!k.put_user32(uattr + ATTR_OFF.task_fd_query_prog_id, prog_id) ||
		!k.put_user32(uattr + ATTR_OFF.task_fd_query_fd_type, fd_type) ||
		!k.put_user64(uattr + ATTR_OFF.task_fd_query_probe_offset, probe_offset) ||
		!k.put_user64(uattr + ATTR_OFF.task_fd_query_probe_addr, probe_addr)
	)
		return -EFAULT;
	return err;
}

/** kernel/bpf/syscall.c: bpf_task_fd_query */
function bpf_task_fd_query(kernel: Kernel, attr: bpf_attr, uattr: number): number {
	const k = impl(kernel);
	if (attr_tail_nonzero(attr, ATTR_END.BPF_TASK_FD_QUERY)) return -EINVAL;
	if (!capable(kernel.current, CAP_SYS_ADMIN)) return -EPERM;
	if (attr.task_fd_query_flags !== 0) return -EINVAL;
	const task = k.tasks.get(attr.task_fd_query_pid);
	if (!task) return -ENOENT;
	const f = task.files.fd[attr.task_fd_query_fd];
	if (!f) return -EBADF;
	if (f.f_op === bpf_link_fops && f.private_data instanceof bpf_raw_tp_link) {
		const link = f.private_data;
		return bpf_task_fd_query_copy(
			kernel,
			attr,
			uattr,
			link.prog!.aux.id,
			U.BPF_FD_TYPE_RAW_TRACEPOINT,
			link.btp.name,
		);
	}
	const event = perf_get_event(f);
	if (event) {
		const info = bpf_get_perf_event_info(event);
		if (typeof info === "number") return info;
		const { prog_id, fd_type, buf, probe_offset, probe_addr } = info;
		const addr = bpf_dump_raw_ok(kernel) ? probe_addr : 0n;
		return bpf_task_fd_query_copy(kernel, attr, uattr, prog_id, fd_type, buf ?? "", probe_offset, addr);
	}
	return -ENOTSUPP;
}

/** kernel/bpf/syscall.c: bpf_iter_create */
function bpf_iter_create(kernel: Kernel, attr: bpf_attr): number {
	if (attr_tail_nonzero(attr, ATTR_END.BPF_ITER_CREATE)) return -EINVAL;
	if (attr.iter_create_flags) return -EINVAL;
	const link = bpf_link_get_from_fd(kernel, attr.iter_create_link_fd);
	if (typeof link === "number") return link;
	const err = bpf_iter_new_fd(link);
	bpf_link_put_direct(link);
	return err;
}

/** kernel/bpf/syscall.c: bpf_prog_query: its checks */
function bpf_prog_query(kernel: Kernel, attr: bpf_attr): number {
	if (!capable(kernel.current, CAP_NET_ADMIN) && !capable(kernel.current, CAP_SYS_ADMIN)) return -EPERM;
	if (attr_tail_nonzero(attr, ATTR_END.BPF_PROG_QUERY)) return -EINVAL;
	if (attr.query_query_flags & ~U.BPF_F_QUERY_EFFECTIVE) return -EINVAL;
	switch (attr.query_attach_type) {
		case U.BPF_TRACE_RAW_TP:
		case U.BPF_TRACE_FENTRY:
		case U.BPF_TRACE_FEXIT:
		case U.BPF_MODIFY_RETURN:
		case U.BPF_LSM_MAC:
		case U.BPF_TRACE_ITER:
		case U.BPF_XDP_DEVMAP:
		case U.BPF_XDP_CPUMAP:
		case U.BPF_XDP:
		case U.BPF_SK_REUSEPORT_SELECT:
		case U.BPF_SK_REUSEPORT_SELECT_OR_MIGRATE:
		case U.BPF_PERF_EVENT:
		case U.BPF_TRACE_KPROBE_MULTI:
		case U.BPF_TRACE_UPROBE_MULTI:
		case U.BPF_TRACE_KPROBE_SESSION:
		case U.BPF_STRUCT_OPS:
		case U.BPF_NETFILTER:
			return -EINVAL;
	}
	if (attr.query_attach_type >= U.MAX_BPF_ATTACH_TYPE) return -EINVAL;
	return not_ported(kernel, "BPF_PROG_QUERY");
}

/** kernel/bpf/syscall.c: bpf_obj_pin, bpf_obj_get: their checks; there is no bpffs. */
function bpf_obj_pin_get(kernel: Kernel, attr: bpf_attr, pin: boolean): number {
	if (attr_tail_nonzero(attr, ATTR_END.BPF_OBJ)) return -EINVAL;
	const mask = U.BPF_F_PATH_FD | (pin ? 0 : U.BPF_F_RDONLY | U.BPF_F_WRONLY);
	if (attr.file_flags & ~mask) return -EINVAL;
	if (!pin && attr.bpf_fd !== 0) return -EINVAL;
	if (!(attr.file_flags & U.BPF_F_PATH_FD) && attr.path_fd) return -EINVAL;
	return not_ported(kernel, "bpffs");
}

function dispatch(kernel: Kernel, cmd: number, attr: bpf_attr, uattr: bpfptr_t, size: number): number {
	const { bpf } = impl(kernel);
	const u = uattr.addr;
	switch (cmd) {
		case U.BPF_MAP_CREATE:
			return map_create(kernel, attr);
		case U.BPF_MAP_LOOKUP_ELEM:
			return map_lookup_elem(kernel, attr);
		case U.BPF_MAP_UPDATE_ELEM:
			return map_update_elem(kernel, attr, uattr);
		case U.BPF_MAP_DELETE_ELEM:
			return map_delete_elem(kernel, attr, uattr);
		case U.BPF_MAP_GET_NEXT_KEY:
			return map_get_next_key(kernel, attr);
		case U.BPF_MAP_FREEZE:
			return map_freeze(kernel, attr);
		case U.BPF_PROG_LOAD:
			return bpf_prog_load(kernel, attr, uattr, size);
		case U.BPF_OBJ_PIN:
			return bpf_obj_pin_get(kernel, attr, true);
		case U.BPF_OBJ_GET:
			return bpf_obj_pin_get(kernel, attr, false);
		case U.BPF_PROG_ATTACH:
			return bpf_prog_attach(kernel, attr);
		case U.BPF_PROG_DETACH:
			return bpf_prog_detach(kernel, attr);
		case U.BPF_PROG_QUERY:
			return bpf_prog_query(kernel, attr);
		case U.BPF_PROG_TEST_RUN:
			return bpf_prog_test_run(kernel, attr, u);
		case U.BPF_PROG_GET_NEXT_ID:
			return bpf_obj_get_next_id(kernel, attr, u, bpf.prog_idr);
		case U.BPF_MAP_GET_NEXT_ID:
			return bpf_obj_get_next_id(kernel, attr, u, bpf.map_idr);
		case U.BPF_BTF_GET_NEXT_ID:
			return bpf_obj_get_next_id(kernel, attr, u, bpf.btf_idr);
		case U.BPF_PROG_GET_FD_BY_ID:
			return bpf_prog_get_fd_by_id(kernel, attr);
		case U.BPF_MAP_GET_FD_BY_ID:
			return bpf_map_get_fd_by_id(kernel, attr);
		case U.BPF_OBJ_GET_INFO_BY_FD:
			return bpf_obj_get_info_by_fd(kernel, attr, u);
		case U.BPF_RAW_TRACEPOINT_OPEN:
			return bpf_raw_tracepoint_open(kernel, attr);
		case U.BPF_BTF_LOAD:
			return bpf_btf_load(kernel, attr, uattr, size);
		case U.BPF_BTF_GET_FD_BY_ID:
			return bpf_btf_get_fd_by_id(kernel, attr);
		case U.BPF_TASK_FD_QUERY:
			return bpf_task_fd_query(kernel, attr, u);
		case U.BPF_MAP_LOOKUP_AND_DELETE_ELEM:
			return map_lookup_and_delete_elem(kernel, attr);
		case U.BPF_MAP_LOOKUP_BATCH:
		case U.BPF_MAP_LOOKUP_AND_DELETE_BATCH:
		case U.BPF_MAP_UPDATE_BATCH:
		case U.BPF_MAP_DELETE_BATCH:
			return bpf_map_do_batch(kernel, attr, u, cmd);
		case U.BPF_LINK_CREATE:
			return link_create(kernel, attr, uattr.is_kernel);
		case U.BPF_LINK_UPDATE:
			return link_update(kernel, attr);
		case U.BPF_LINK_GET_FD_BY_ID:
			return bpf_link_get_fd_by_id(kernel, attr);
		case U.BPF_LINK_GET_NEXT_ID:
			return bpf_obj_get_next_id(kernel, attr, u, bpf.link_idr);
		case U.BPF_ENABLE_STATS:
			return bpf_enable_stats(kernel, attr);
		case U.BPF_ITER_CREATE:
			return bpf_iter_create(kernel, attr);
		case U.BPF_LINK_DETACH:
			return link_detach(kernel, attr);
		case U.BPF_PROG_BIND_MAP:
			return bpf_prog_bind_map(kernel, attr);
		case U.BPF_TOKEN_CREATE:
			if (attr_tail_nonzero(attr, ATTR_END.BPF_TOKEN_CREATE)) return -EINVAL;
			if (attr.token_create_flags) return -EINVAL;
			return not_ported(kernel, "BPF tokens");
		default:
			return -EINVAL;
	}
}

/** kernel/bpf/syscall.c: __sys_bpf. Nothing that the caller passes makes it throw. */
export function __sys_bpf(kernel: Kernel, cmd: number, uattr: bpfptr_t, size: number): number {
	const err = bpf_check_uarg_tail_zero(kernel, uattr, bpf_attr.SIZE, size);
	if (err) return err;
	const n = Math.min(size, bpf_attr.SIZE);
	const attr = new bpf_attr();
	const bytes = copy_from_bpfptr(kernel, uattr, n);
	if (typeof bytes === "number") return -EFAULT;
	attr.bytes.set(bytes);
	try {
		const denied = security_bpf(kernel, cmd, attr.bytes, n);
		if (denied < 0) return denied;
		return dispatch(kernel, cmd, attr, uattr, n);
	} catch (e) {
		// what would be an oops: the kernel log gets it, the caller an error
		const text = e instanceof Error ? (e.stack ?? e.message) : String(e);
		kernel.printk(`BUG: bpf(${cmd}): ${text}`);
		return e instanceof GuestFault ? -EFAULT : -EINVAL;
	}
}

/** bpf(2) */
export function sys_bpf(kernel: Kernel, cmd: number, uattr: number, size: number): number {
	return __sys_bpf(kernel, cmd, USER_BPFPTR(uattr), size >>> 0);
}

export { ENOENT };
