// SPDX-License-Identifier: GPL-2.0-only
/** bpf_snprintf_btf(), bpf_seq_printf_btf(): kernel data printed by its type (kernel/trace/bpf_trace.c). */
import { EINVAL, ENOENT } from "../../include/uapi/asm-generic/errno.ts";
import { u64_to_addr } from "../../lib/addr.ts";
import { ptr_to_hashval } from "../bpf/bprintf.ts";
import { btf_type_by_id } from "../bpf/btf.ts";
import { btf_type_snprintf_show } from "../bpf/btf_show.ts";
import { seq_puts } from "../bpf/seq_file.ts";
import type { KernelImpl } from "../kernel_impl.ts";

/** BTF_F_COMPACT, BTF_F_NONAME, BTF_F_PTR_RAW, BTF_F_ZERO */
const BTF_F_ALL = 15n;
/** struct btf_ptr: pointer, type, flags */
const BTF_PTR_SIZE = 16n;

/** Hang the bodies on the kernel. */
export function register_btf_printf(k: KernelImpl): void {
	const { kmem } = k;
	const p = u64_to_addr;
	const source = {
		read: (addr: number, len: number): Uint8Array | null => {
			const bytes = k.copy_from_kernel_nofault(addr, len);
			return typeof bytes === "number" ? null : bytes;
		},
		hash_ptr: (v: bigint): bigint => ptr_to_hashval(k, v),
	};
	/** bpf_btf_printf_prepare(), and what is printed into a buffer of `size` bytes; or a negative errno */
	const show = (ptr: bigint, btf_ptr_size: bigint, flags: bigint, size: number) => {
		if (flags & ~BTF_F_ALL || (btf_ptr_size & 0xffffffffn) !== BTF_PTR_SIZE) return -EINVAL;
		const btf = k.bpf.bpf_get_btf_vmlinux();
		if (typeof btf === "number") return btf;
		const id = kmem.r32(p(ptr) + 8);
		if (id === 0) return -EINVAL;
		if (id > 0x7fffffff || !btf_type_by_id(btf, id)) return -ENOENT;
		return btf_type_snprintf_show(btf, id, kmem.rptr(p(ptr)), source, size, Number(flags));
	};
	k.bpf.bodies.set("bpf_snprintf_btf", (_c, str, str_size, ptr, btf_ptr_size, flags) => {
		const size = Number(str_size & 0xffffffffn);
		const shown = show(ptr, btf_ptr_size, flags, size);
		if (typeof shown === "number") return BigInt(shown);
		const { text, ret } = shown;
		if (size) kmem.write(p(str), Uint8Array.from(Buffer.from(`${text}\0`, "latin1")));
		return BigInt(ret);
	});
	k.bpf.bodies.set("bpf_seq_printf_btf", (_c, m, ptr, btf_ptr_size, flags) => {
		const shown = show(ptr, btf_ptr_size, flags, Number.MAX_SAFE_INTEGER);
		if (typeof shown === "number") return BigInt(shown);
		seq_puts(k.bpf.seq_files.get(p(m))!, shown.text);
		// the text is in the file; only a fault shows
		return BigInt(Math.min(shown.ret, 0));
	});
}
