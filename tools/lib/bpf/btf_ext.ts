// SPDX-License-Identifier: GPL-2.0-only
/** .BTF.ext: function, line and CO-RE records by section (tools/lib/bpf/btf.c: btf_ext__new and its kin). */
import { EINVAL, EOPNOTSUPP as ENOTSUP } from "../../../include/uapi/asm-generic/errno.ts";
import { BTF_MAGIC, BTF_VERSION } from "../../../include/uapi/linux/btf.ts";
import type { LibbpfPrinter } from "./libbpf_internal.ts";

/** Records of one section. */
export interface btf_ext_info_sec {
	readonly sec_name_off: number;
	readonly num_info: number;
	/** Byte offset of the first record in .BTF.ext. */
	readonly recs: number;
	/** Index of the ELF section, 0 when there is none of that name. */
	sec_idx: number;
}

export interface btf_ext_info {
	/** Bytes of records; 0 when there are none. */
	len: number;
	rec_size: number;
	secs: btf_ext_info_sec[];
}

/** struct bpf_core_relo (include/uapi/linux/bpf.h) */
export interface bpf_core_relo {
	readonly insn_off: number;
	readonly type_id: number;
	readonly access_str_off: number;
	readonly kind: number;
}

export interface btf_ext {
	readonly data: Uint8Array;
	readonly dv: DataView;
	readonly func_info: btf_ext_info;
	readonly line_info: btf_ext_info;
	readonly core_relo_info: btf_ext_info;
}

const none = (): btf_ext_info => ({ len: 0, rec_size: 0, secs: [] });

/** tools/lib/bpf/btf.c: btf_ext__new: a negative errno when malformed. */
export function btf_ext__new(lib: LibbpfPrinter, bytes: Uint8Array): btf_ext | number {
	const data = new Uint8Array(bytes);
	const dv = new DataView(data.buffer);
	const hdr_len = data.length >= 8 ? dv.getUint32(4, true) : 0;
	if (data.length < 8 || data.length < hdr_len) {
		lib.pr_debug(() => "BTF.ext header not found");
		return -EINVAL;
	}
	const magic = dv.getUint16(0, true);
	if (magic === 0x9feb) {
		lib.pr_warn("BTF.ext in non-native endianness is not supported\n");
		return -ENOTSUP;
	}
	if (magic !== BTF_MAGIC) {
		lib.pr_debug(() => `Invalid BTF.ext magic:${magic.toString(16)}\n`);
		return -EINVAL;
	}
	if (data[2] !== BTF_VERSION) {
		lib.pr_debug(() => `Unsupported BTF.ext version:${data[2]}\n`);
		return -ENOTSUP;
	}
	if (data[3]) {
		lib.pr_debug(() => `Unsupported BTF.ext flags:${data[3]!.toString(16)}\n`);
		return -ENOTSUP;
	}
	if (data.length === hdr_len) {
		lib.pr_debug(() => "BTF.ext has no data\n");
		return -EINVAL;
	}
	// offsetofend(struct btf_ext_header, line_info_len)
	if (hdr_len < 24) return -EINVAL;
	const ext: btf_ext = { data, dv, func_info: none(), line_info: none(), core_relo_info: none() };
	let err = setup_info(
		lib,
		ext,
		hdr_len,
		dv.getUint32(8, true),
		dv.getUint32(12, true),
		8,
		ext.func_info,
		"func_info",
	);
	err ||= setup_info(
		lib,
		ext,
		hdr_len,
		dv.getUint32(16, true),
		dv.getUint32(20, true),
		16,
		ext.line_info,
		"line_info",
	);
	if (!err && hdr_len >= 32)
		err = setup_info(
			lib,
			ext,
			hdr_len,
			dv.getUint32(24, true),
			dv.getUint32(28, true),
			16,
			ext.core_relo_info,
			"core_relo",
		);
	return err ? err : ext;
}

function setup_info(
	lib: LibbpfPrinter,
	ext: btf_ext,
	hdr_len: number,
	off: number,
	len: number,
	min_rec_size: number,
	out: btf_ext_info,
	desc: string,
): number {
	if (len === 0) return 0;
	if (off & 3) {
		lib.pr_debug(() => `.BTF.ext ${desc} section is not aligned to 4 bytes\n`);
		return -EINVAL;
	}
	const info = hdr_len + off;
	if (ext.data.length < info + len) {
		lib.pr_debug(
			() => `${desc} section (off:${off} len:${len}) is beyond the end of the ELF section .BTF.ext\n`,
		);
		return -EINVAL;
	}
	if (len < 4) {
		lib.pr_debug(() => `.BTF.ext ${desc} record size not found\n`);
		return -EINVAL;
	}
	const record_size = ext.dv.getUint32(info, true);
	if (record_size < min_rec_size || record_size & 3) {
		lib.pr_debug(() => `${desc} section in .BTF.ext has invalid record size ${record_size}\n`);
		return -EINVAL;
	}
	let left = len - 4;
	let at = info + 4;
	if (!left) {
		lib.pr_debug(() => `${desc} section in .BTF.ext has no records`);
		return -EINVAL;
	}
	const secs: btf_ext_info_sec[] = [];
	while (left) {
		if (left < 8) {
			lib.pr_debug(() => `${desc} section header is not found in .BTF.ext\n`);
			return -EINVAL;
		}
		const num_info = ext.dv.getUint32(at + 4, true);
		const total = 8 + num_info * record_size;
		if (num_info === 0 || left < total) {
			lib.pr_debug(() => `${desc} section has incorrect num_records in .BTF.ext\n`);
			return -EINVAL;
		}
		secs.push({ sec_name_off: ext.dv.getUint32(at, true), num_info, recs: at + 8, sec_idx: 0 });
		left -= total;
		at += total;
	}
	out.len = len - 4;
	out.rec_size = record_size;
	out.secs = secs;
	return 0;
}

/** One CO-RE record. */
export function btf_ext_core_relo(ext: btf_ext, sec: btf_ext_info_sec, i: number): bpf_core_relo {
	const at = sec.recs + i * ext.core_relo_info.rec_size;
	return {
		insn_off: ext.dv.getUint32(at, true),
		type_id: ext.dv.getUint32(at + 4, true),
		access_str_off: ext.dv.getUint32(at + 8, true),
		kind: ext.dv.getUint32(at + 12, true),
	};
}

/** Each record of a segment, by its offset. */
function* records(info: btf_ext_info): Generator<number> {
	for (const sec of info.secs) for (let i = 0; i < sec.num_info; i++) yield sec.recs + i * info.rec_size;
}

/** tools/lib/bpf/btf.c: btf_ext_visit_type_ids: each id becomes what `visit` answers. */
export function btf_ext_visit_type_ids(ext: btf_ext, visit: (id: number) => number): void {
	for (const info of [ext.func_info, ext.core_relo_info])
		for (const at of records(info)) ext.dv.setUint32(at + 4, visit(ext.dv.getUint32(at + 4, true)), true);
}

/** tools/lib/bpf/btf.c: btf_ext_visit_str_offs: each offset of a string becomes what `visit` answers. */
export function btf_ext_visit_str_offs(ext: btf_ext, visit: (off: number) => number): void {
	const word = (at: number): void => ext.dv.setUint32(at, visit(ext.dv.getUint32(at, true)), true);
	const each = (info: btf_ext_info, fields: readonly number[]): void => {
		for (const sec of info.secs) {
			word(sec.recs - 8);
			for (let i = 0; i < sec.num_info; i++) for (const f of fields) word(sec.recs + i * info.rec_size + f);
		}
	};
	each(ext.func_info, []);
	each(ext.line_info, [4, 8]);
	each(ext.core_relo_info, [8]);
}
