// SPDX-License-Identifier: GPL-2.0-only
/** What upstream's test_progs does around single objects (tools/testing/selftests/bpf/prog_tests/verifier.c). */
import { EINVAL } from "../../include/uapi/asm-generic/errno.ts";
import {
	bpf_map_update_elem,
	type bpf_object,
	bpf_object__find_map_by_name,
	type Libbpf,
} from "../lib/bpf/libbpf.ts";
import { CAP_PERFMON, CAP_SYS_ADMIN, drop_capabilities } from "./load_case.ts";

const MAX_ENTRIES = 11;

/** struct test_val: an index, and as many ints. */
function init_test_val_map(obj: bpf_object, name: string): number {
	const map = bpf_object__find_map_by_name(obj, name);
	if (!map) return -EINVAL;
	const value = new Uint8Array(4 + 4 * MAX_ENTRIES);
	const dv = new DataView(value.buffer);
	dv.setUint32(0, (6 + 1) * 4, true);
	dv.setUint32(4 + 6 * 4, 0xabcdef12, true);
	return bpf_map_update_elem(obj.lib, map.fd, new Uint8Array(4), value);
}

/** Before a program of an object runs: contents of its maps. 0, or a negative errno. */
export function pre_execution(obj: bpf_object, name: string): number {
	switch (name) {
		case "verifier_array_access":
			return init_test_val_map(obj, "map_array_ro");
		case "verifier_value_ptr_arith":
			return init_test_val_map(obj, "map_array_48b");
		default:
			return 0;
	}
}

/** Capabilities that an object's tests run without; call the result to have them back. */
export function enter_test(lib: Libbpf, name: string): () => void {
	return name === "verifier_mtu" ? drop_capabilities(lib, [CAP_SYS_ADMIN, CAP_PERFMON]) : () => {};
}
