// SPDX-License-Identifier: GPL-2.0-only
/** Finding types and BTFs across the kernel and its modules (kernel/bpf/btf.c: bpf_find_btf_id, btf_get_module_btf …). */
import { EINVAL } from "../../include/uapi/asm-generic/errno.ts";
import { IS_ERR, type Ref } from "../../lib/err.ts";
import type { Kernel } from "../kernel.ts";
import { btf_find_by_name_kind, btf_get, btf_is_module } from "./btf_obj.ts";
import type { btf, kmodule } from "./btf_types.ts";

/** The kernel's `btf_vmlinux`, as it is known by now: null when it did not parse. */
export function btf_vmlinux(kernel: Kernel | null): btf | null {
	if (!kernel) return null;
	const b = kernel.bpf.bpf_get_btf_vmlinux();
	return IS_ERR(b) ? null : b;
}

/** BTFs of modules in the order of their ids, as idr_for_each_entry() goes. */
export function module_btfs(kernel: Kernel): btf[] {
	return [...kernel.bpf.btfs.values()].filter(btf_is_module).sort((a, b) => a.id - b.id);
}

/** kernel/bpf/btf.c: bpf_find_btf_id: a type of vmlinux or of a module by name; takes a reference of that BTF */
export function bpf_find_btf_id(kernel: Kernel, name: string, kind: number, btf_p: Ref<btf | null>): number {
	const vmlinux = kernel.bpf.bpf_get_btf_vmlinux();
	if (IS_ERR(vmlinux)) return vmlinux;
	if (!vmlinux) return -EINVAL;
	let ret = btf_find_by_name_kind(vmlinux, name, kind);
	if (ret > 0) {
		btf_get(vmlinux);
		btf_p.val = vmlinux;
		return ret;
	}
	for (const b of module_btfs(kernel)) {
		ret = btf_find_by_name_kind(b, name, kind);
		if (ret > 0) {
			btf_get(b);
			btf_p.val = b;
			return ret;
		}
	}
	return ret;
}

/** kernel/bpf/btf.c: btf_get_module_btf: the BTF of a module (null: of vmlinux), with a reference */
export function btf_get_module_btf(kernel: Kernel, module: kmodule | null): btf | null | number {
	if (!module) {
		const b = kernel.bpf.bpf_get_btf_vmlinux();
		if (!IS_ERR(b) && b) btf_get(b);
		return b;
	}
	const entry = kernel.bpf.module_btfs.get(module.name);
	if (!entry) return null;
	btf_get(entry.btf);
	return entry.btf;
}
