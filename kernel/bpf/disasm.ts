// SPDX-License-Identifier: GPL-2.0-only
/** kernel/bpf/disasm.c: shared with user space, hence in lib/. */
export {
	bpf_alu_string,
	bpf_class_string,
	type bpf_insn_cbs,
	func_id_name,
	print_bpf_insn,
} from "../../lib/bpf_disasm.ts";
