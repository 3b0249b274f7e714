// SPDX-License-Identifier: GPL-2.0-only
/** bpf_snprintf_btf(): kernel data printed by its type (kernel/trace/bpf_trace.c). */
import { EINVAL, ENOENT } from "../../include/uapi/asm-generic/errno.ts";
import { u64_to_addr } from "../../lib/addr.ts";
import { ptr_to_hashval } from "../bpf/bprintf.ts";
import { btf_type_by_id } from "../bpf/btf.ts";
import { btf_type_snprintf_show } from "../bpf/btf_show.ts";
import type { KernelImpl } from "../kernel_impl.ts";

/** BTF_F_COMPACT, BTF_F_NONAME, BTF_F_PTR_RAW, BTF_F_ZERO */
const BTF_F_ALL = 15n;
/** struct btf_ptr: pointer, type, flags */
const BTF_PTR_SIZE = 16n;

/** Hang the body on the kernel. */
export function register_btf_printf(k: KernelImpl): void {
	const { kmem } = k;
	const p = u64_to_addr;
	k.bpf.bodies.set("bpf_snprintf_btf", (_c, str, str_size, ptr, btf_ptr_size, flags) => {
		// bpf_btf_printf_prepare()
		if (flags & ~BTF_F_ALL || (btf_ptr_size & 0xffffffffn) !== BTF_PTR_SIZE) return BigInt(-EINVAL);
		const btf = k.bpf.bpf_get_btf_vmlinux();
		if (typeof btf === "number") return BigInt(btf);
		const id = kmem.r32(p(ptr) + 8);
		if (id === 0) return BigInt(-EINVAL);
		if (id > 0x7fffffff || !btf_type_by_id(btf, id)) return BigInt(-ENOENT);
		const size = Number(str_size & 0xffffffffn);
		const source = {
			read: (addr: number, len: number): Uint8Array | null => {
				const bytes = k.copy_from_kernel_nofault(addr, len);
				return typeof bytes === "number" ? null : bytes;
			},
			hash_ptr: (v: bigint): bigint => ptr_to_hashval(k, v),
		};
		const { text, ret } = btf_type_snprintf_show(btf, id, kmem.rptr(p(ptr)), source, size, Number(flags));
		if (size) kmem.write(p(str), Uint8Array.from(Buffer.from(`${text}\0`, "latin1")));
		return BigInt(ret);
	});
}
