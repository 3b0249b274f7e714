// SPDX-License-Identifier: GPL-2.0-only
/**
 * The guest's struct vm_area_struct of an area of memory, as programs read it through BTF, for as long as they look
 * at it. Of its file there is the mode and nothing behind it; of its address space there is no struct.
 */
import { koffsetof, ksizeof } from "./bpf/layout.ts";
import { file } from "./file.ts";
import type { KernelImpl } from "./kernel_impl.ts";
import type { mm_struct, vm_area_struct } from "./kmem.ts";

/** include/linux/mm.h: find_vma(): the first area that ends after an address */
export function find_vma(mm: mm_struct, addr: number): vm_area_struct | null {
	return mm.areas().find((v) => v.vm_end > addr) ?? null;
}

export function vma_image_size(k: KernelImpl): number {
	return ksizeof(k, "vm_area_struct");
}

/** Write it at `addr`. */
export function vma_image_fill(k: KernelImpl, addr: number, v: vm_area_struct): void {
	const { kmem } = k;
	const at = (field: string): number => addr + koffsetof(k, "vm_area_struct", field);
	kmem.wptr(at("vm_start"), v.vm_start);
	kmem.wptr(at("vm_end"), v.vm_end);
	kmem.w64(at("vm_flags"), BigInt(v.vm_flags >>> 0));
	kmem.w64(at("vm_pgoff"), BigInt(v.vm_pgoff));
	let of = 0;
	if (v.vm_file instanceof file) {
		of = kmem.kzalloc(ksizeof(k, "file"));
		kmem.w32(of + koffsetof(k, "file", "f_mode"), v.vm_file.f_mode);
		kmem.w32(of + koffsetof(k, "file", "f_flags"), v.vm_file.f_flags);
	}
	kmem.wptr(at("vm_file"), of);
}

/** Give back what hangs on it. */
export function vma_image_reset(k: KernelImpl, addr: number): void {
	const at = addr + koffsetof(k, "vm_area_struct", "vm_file");
	const of = k.kmem.rptr(at);
	if (of) k.kmem.kfree(of);
	k.kmem.wptr(at, 0);
}

/** Let `look` see an area. */
export function with_vma_image<T>(k: KernelImpl, v: vm_area_struct, look: (addr: number) => T): T {
	const addr = k.kmem.kzalloc(vma_image_size(k));
	vma_image_fill(k, addr, v);
	try {
		return look(addr);
	} finally {
		vma_image_reset(k, addr);
		k.kmem.kfree(addr);
	}
}
