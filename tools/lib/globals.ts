// SPDX-License-Identifier: GPL-2.0-only
/** Variables of a loaded object, by name: where the process has them mapped. */
import { BTF_KIND_DATASEC } from "../../include/uapi/linux/btf.ts";
import { btf_kind, btf_var_secinfos } from "./bpf/btf.ts";
import type { bpf_object } from "./bpf/libbpf.ts";

export interface Global {
	readonly addr: number;
	readonly size: number;
}

interface Found {
	readonly section: string;
	readonly off: number;
	readonly size: number;
}

function find(obj: bpf_object, name: string): Found[] {
	const { btf } = obj;
	const out: Found[] = [];
	for (let id = 1; btf && id < btf.type_cnt(); id++) {
		const sec = btf.type_by_id(id);
		if (!sec || btf_kind(sec) !== BTF_KIND_DATASEC) continue;
		const section = btf.str_by_offset(sec.name_off) ?? "";
		for (const v of btf_var_secinfos(sec)) {
			const t = btf.type_by_id(v.type);
			if (t && btf.str_by_offset(t.name_off) === name) out.push({ section, off: v.offset, size: v.size });
		}
	}
	return out;
}

/** Where a variable lies in a section, whether that is loaded or not; undefined: nowhere. */
export function offsetIn(obj: bpf_object, section: string, name: string): number | undefined {
	return find(obj, name).find((f) => f.section === section)?.off;
}

/** Throws when the object has none of that name, or does not map it. */
export function globalOf(obj: bpf_object, name: string): Global {
	for (const f of find(obj, name)) {
		const map = obj.maps.find((m) => m.real_name === f.section);
		if (map?.mmaped) return { addr: map.mmaped + f.off, size: f.size };
	}
	throw new Error(`${obj.name} has no variable ${name}`);
}
