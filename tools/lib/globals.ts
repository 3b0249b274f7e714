// SPDX-License-Identifier: GPL-2.0-only
/** Variables of a loaded object, by name: where the process has them mapped. */
import { BTF_KIND_DATASEC } from "../../include/uapi/linux/btf.ts";
import { btf_kind, btf_var_secinfos } from "./bpf/btf.ts";
import type { bpf_object } from "./bpf/libbpf.ts";

export interface Global {
	readonly addr: number;
	readonly size: number;
}

/** Throws when the object has none of that name, or does not map it. */
export function globalOf(obj: bpf_object, name: string): Global {
	const { btf } = obj;
	for (let id = 1; btf && id < btf.type_cnt(); id++) {
		const sec = btf.type_by_id(id);
		if (!sec || btf_kind(sec) !== BTF_KIND_DATASEC) continue;
		const map = obj.maps.find((m) => m.real_name === btf.str_by_offset(sec.name_off));
		if (!map?.mmaped) continue;
		for (const v of btf_var_secinfos(sec)) {
			const t = btf.type_by_id(v.type);
			if (t && btf.str_by_offset(t.name_off) === name) return { addr: map.mmaped + v.offset, size: v.size };
		}
	}
	throw new Error(`${obj.name} has no variable ${name}`);
}
