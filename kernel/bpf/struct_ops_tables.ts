// SPDX-License-Identifier: GPL-2.0-only
/** placeholder */
export interface bpf_struct_ops_desc {
	type_id: number;
}
