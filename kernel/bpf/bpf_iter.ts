// SPDX-License-Identifier: GPL-2.0-only
/**
 * kernel/bpf/bpf_iter.c: links of iterators' programs, the files whose reading runs them over every object, and
 * the helpers that write into such a file. What they go over is in bpf_iter_objs.ts; an iterator over anything
 * else answers "not ported" when it is attached.
 */
import {
	E2BIG,
	EAGAIN,
	EFAULT,
	EINVAL,
	ENOENT,
	EOPNOTSUPP,
	EOVERFLOW,
	EPERM,
} from "../../include/uapi/asm-generic/errno.ts";
import { BPF_LINK_TYPE_ITER } from "../../include/uapi/linux/bpf.ts";
import type { bpf_attr, bpf_link_info } from "../../include/uapi/linux/bpf_attr.ts";
import { u64_to_addr } from "../../lib/addr.ts";
import { bpfptr_is_null, copy_from_bpfptr, make_bpfptr, u64_to_user_ptr } from "../bpfptr.ts";
import {
	anon_inode_getfile,
	fd_install,
	type file,
	type file_operations,
	get_unused_fd_flags,
	O_CLOEXEC,
	O_RDONLY,
	put_unused_fd,
} from "../file.ts";
import type { Kernel } from "../kernel.ts";
import { impl, type KernelImpl } from "../kernel_impl.ts";
import { bpf_check_uarg_tail_zero } from "./attr.ts";
import { bpf_iter_regs } from "./bpf_iter_objs.ts";
import type {
	bpf_iter_aux_info,
	bpf_iter_link_info,
	bpf_iter_priv_data,
	bpf_iter_reg,
	iter_seq,
} from "./bpf_iter_run.ts";
import {
	bpf_copy_to_user,
	bpf_link,
	bpf_link_cleanup,
	type bpf_link_ops,
	bpf_link_prime,
	bpf_link_settle,
} from "./bpf_link.ts";
import type { bpf_prog } from "./bpf_types.ts";
import { bpf_bprintf, MAX_BPRINTF_VARARGS, read_format } from "./bprintf.ts";
import { bpf_prog_inc, bpf_prog_put } from "./prog.ts";
import { seq_file, seq_has_overflowed, seq_puts, seq_write } from "./seq_file.ts";

const PAGE_SIZE = 4096;
const BUF_SIZE = PAGE_SIZE << 3;
/** maximum visited objects before bailing out */
const MAX_ITER_OBJECTS = 1000000;
/** sizeof(union bpf_iter_link_info) */
const LINFO_SIZE = 16;

/** struct bpf_iter_link */
class bpf_iter_link extends bpf_link {
	readonly tinfo: bpf_iter_reg;
	readonly aux: bpf_iter_aux_info = { map: null, task: { type: 0, pid: 0 } };
	constructor(kernel: Kernel, prog: bpf_prog, tinfo: bpf_iter_reg) {
		super(kernel, BPF_LINK_TYPE_ITER, bpf_iter_link_lops, prog);
		this.tinfo = tinfo;
	}
}

const bpf_iter_link_lops: bpf_link_ops = {
	/** kernel/bpf/bpf_iter.c: bpf_iter_link_release */
	release(link: bpf_link): void {
		const { tinfo, aux } = link as bpf_iter_link;
		tinfo.detach_target?.(aux);
	},
	dealloc(): void {},
	/** kernel/bpf/bpf_iter.c: bpf_iter_link_replace */
	update_prog(link: bpf_link, new_prog: bpf_prog, old_prog: bpf_prog | null): number {
		const now = link.prog!;
		if (old_prog && now !== old_prog) return -EPERM;
		if (
			now.type !== new_prog.type ||
			now.expected_attach_type !== new_prog.expected_attach_type ||
			now.aux.attach_btf_id !== new_prog.aux.attach_btf_id
		)
			return -EINVAL;
		link.prog = new_prog;
		bpf_prog_put(now);
		return 0;
	},
	/** kernel/bpf/bpf_iter.c: bpf_iter_link_show_fdinfo */
	show_fdinfo(link: bpf_link): string {
		const { tinfo, aux } = link as bpf_iter_link;
		return `target_name:\t${tinfo.target}\n${tinfo.show_fdinfo?.(aux) ?? ""}`;
	},
	/** kernel/bpf/bpf_iter.c: bpf_iter_link_fill_link_info */
	fill_link_info(link: bpf_link, info: bpf_link_info): number {
		const { tinfo, aux } = link as bpf_iter_link;
		const ubuf = info.iter_target_name;
		const ulen = info.iter_target_name_len;
		if ((ulen === 0) !== (ubuf === 0n)) return -EINVAL;
		info.iter_target_name_len = tinfo.target.length + 1;
		if (ubuf) {
			const err = bpf_copy_to_user(link.kernel, u64_to_user_ptr(ubuf), tinfo.target, ulen);
			if (err) return err;
		}
		return tinfo.fill_link_info?.(aux, info) ?? 0;
	},
};

function read_linfo(kernel: Kernel, attr: bpf_attr, is_kernel: boolean): bpf_iter_link_info | number {
	const linfo = new Uint8Array(LINFO_SIZE);
	const ulinfo = make_bpfptr(attr.link_create_iter_info, is_kernel);
	let len = attr.link_create_iter_info_len;
	if (bpfptr_is_null(ulinfo) !== (len === 0)) return -EINVAL;
	if (len) {
		const err = bpf_check_uarg_tail_zero(kernel, ulinfo, LINFO_SIZE, len);
		if (err) return err;
		len = Math.min(len, LINFO_SIZE);
		const given = copy_from_bpfptr(kernel, ulinfo, len);
		if (typeof given === "number") return -EFAULT;
		linfo.set(given);
	}
	const at = (off: number): number => new DataView(linfo.buffer).getUint32(off, true);
	return { map_fd: at(0), tid: at(0), pid: at(4), pid_fd: at(8) };
}

/** kernel/bpf/bpf_iter.c: bpf_iter_link_attach */
export function bpf_iter_link_attach(attr: bpf_attr, prog: bpf_prog, is_kernel: boolean): number {
	const { kernel } = prog;
	if (attr.link_create_target_fd || attr.link_create_flags) return -EINVAL;
	const linfo = read_linfo(kernel, attr, is_kernel);
	if (typeof linfo === "number") return linfo;
	const tinfo = bpf_iter_regs.get((prog.aux.attach_func_name ?? "").replace(/^bpf_iter_/, ""));
	if (!tinfo) return -ENOENT;
	if (prog.sleepable && !tinfo.resched) return -EINVAL;
	const link = new bpf_iter_link(kernel, prog, tinfo);
	const primer = bpf_link_prime(link);
	if (typeof primer === "number") return primer;
	let err = tinfo.attach_target?.(prog, linfo, link.aux) ?? 0;
	if (!err && !tinfo.seq_info(link.aux)) {
		impl(kernel).bpf.not_ported(`BPF iterators over ${tinfo.target}`);
		err = -EOPNOTSUPP;
	}
	if (err) {
		bpf_link_cleanup(primer);
		return err;
	}
	return bpf_link_settle(primer);
}

/** kernel/bpf/bpf_iter.c: prepare_seq_file */
function prepare_seq_file(link: bpf_iter_link): iter_seq<unknown> | number {
	const { kernel, tinfo, aux } = link;
	const prog = link.prog!;
	const seq_info = tinfo.seq_info(aux)!;
	bpf_prog_inc(prog);
	const target_private = seq_info.init_seq_private(kernel, aux);
	if (typeof target_private === "number") {
		bpf_prog_put(prog);
		return target_private;
	}
	const session_id = ++impl(kernel).bpf.iter_session_id;
	const priv: bpf_iter_priv_data = {
		tinfo,
		seq_info,
		prog,
		session_id,
		seq_num: 0n,
		done_stop: false,
		target_private,
	};
	return new seq_file(kernel, priv);
}

/** kernel/bpf/bpf_iter.c: bpf_iter_new_fd */
export function bpf_iter_new_fd(link: bpf_link): number {
	const { kernel } = link;
	if (!(link instanceof bpf_iter_link)) return -EINVAL;
	const flags = O_RDONLY | O_CLOEXEC;
	const fd = get_unused_fd_flags(kernel, flags);
	if (fd < 0) return fd;
	const seq = prepare_seq_file(link);
	if (typeof seq === "number") {
		put_unused_fd(kernel, fd);
		return seq;
	}
	fd_install(kernel, fd, anon_inode_getfile(kernel, "bpf_iter", bpf_iter_fops, seq, flags));
	return fd;
}

const bpf_iter_fops: file_operations = {
	name: "bpf_iter",
	/** kernel/bpf/bpf_iter.c: bpf_seq_read */
	read(f: file, buf: number, size: number): number {
		const seq = f.private_data as iter_seq<unknown>;
		seq.buf ??= new Uint8Array(BUF_SIZE);
		if (seq.count) {
			const n = Math.min(seq.count, size);
			if (!impl(seq.kernel).copy_to_user(buf, seq.buf.subarray(seq.from, seq.from + n))) return -EFAULT;
			seq.count -= n;
			seq.from += n;
			return n;
		}
		seq.from = 0;
		const err = fill(seq, size);
		if (err) return err;
		const n = Math.min(seq.count, size);
		if (!impl(seq.kernel).copy_to_user(buf, seq.buf.subarray(0, n))) return -EFAULT;
		seq.count -= n;
		seq.from = n;
		return n;
	},
	/** kernel/bpf/bpf_iter.c: iter_release */
	release(f: file): void {
		const seq = f.private_data as iter_seq<unknown>;
		const { seq_info, prog, target_private } = seq.priv;
		seq_info.fini_seq_private?.(seq.kernel, target_private);
		bpf_prog_put(prog);
		seq.release();
	},
};

/** bpf_seq_read()'s middle: objects shown until `size` bytes are there, or none is left; 0 or a negative errno. */
function fill(seq: iter_seq<unknown>, size: number): number {
	const { priv } = seq;
	const op = priv.seq_info.seq_ops;
	let num_objs = 0;
	let v = op.start(seq);
	if (v !== null) {
		const err = op.show(seq, v);
		if (err > 0) {
			priv.seq_num--;
			seq.count = 0;
		} else if (err < 0 || seq_has_overflowed(seq)) {
			op.stop(seq, v);
			seq.count = 0;
			return err || -E2BIG;
		}
		for (;;) {
			num_objs++;
			const offs = seq.count;
			v = op.next(seq, v);
			if (v === null) break;
			priv.seq_num++;
			if (seq.count >= size) break;
			if (num_objs >= MAX_ITER_OBJECTS) {
				if (offs !== 0) break;
				op.stop(seq, v);
				return -EAGAIN;
			}
			const err = op.show(seq, v);
			if (err > 0) {
				priv.seq_num--;
				seq.count = offs;
			} else if (err < 0 || seq_has_overflowed(seq)) {
				seq.count = offs;
				if (offs !== 0) break;
				op.stop(seq, v);
				return err || -E2BIG;
			}
		}
	}
	const offs = seq.count;
	// at the end the program is called once more, without an object
	op.stop(seq, v);
	if (v === null) {
		if (!seq_has_overflowed(seq)) priv.done_stop = true;
		else {
			seq.count = offs;
			if (offs === 0) return -E2BIG;
		}
	}
	return 0;
}

/** kernel/trace/bpf_trace.c: bpf_seq_printf, bpf_seq_write */
export function register_seq_helpers(k: KernelImpl): void {
	const { bodies } = k.bpf;
	const p = u64_to_addr;
	const lo = (v: bigint): number => Number(v & 0xffffffffn);
	const seq_at = (m: bigint): seq_file => k.bpf.seq_files.get(p(m))!;
	bodies.set("bpf_seq_printf", (_c, m, fmt, fmt_size, args, len) => {
		const data_len = lo(len);
		if (data_len & 7 || data_len > MAX_BPRINTF_VARARGS * 8 || (data_len && !args)) return BigInt(-EINVAL);
		const raw: bigint[] = [];
		for (let i = 0; i < data_len; i += 8) raw.push(k.kmem.r64(p(args) + i));
		const text = bpf_bprintf(k, read_format(k, p(fmt), lo(fmt_size)), raw);
		if (typeof text === "number") return BigInt(text);
		const seq = seq_at(m);
		seq_puts(seq, text);
		return seq_has_overflowed(seq) ? BigInt(-EOVERFLOW) : 0n;
	});
	bodies.set("bpf_seq_write", (_c, m, data, len) =>
		seq_write(seq_at(m), k.kmem.read(p(data), lo(len))) ? BigInt(-EOVERFLOW) : 0n,
	);
}
