// SPDX-License-Identifier: GPL-2.0-only
/** net/bpf/bpf_dummy_struct_ops.c: test runs of struct_ops programs, which only those of bpf_dummy_ops have. */
import { MAX_BPF_FUNC_ARGS, PTR_MAYBE_NULL } from "../../include/linux/bpf.ts";
import { EFAULT, EINVAL, ENOMEM, EOPNOTSUPP } from "../../include/uapi/asm-generic/errno.ts";
import { ATTR_OFF, type bpf_attr } from "../../include/uapi/linux/bpf_attr.ts";
import { BTF_KIND_STRUCT } from "../../include/uapi/linux/btf.ts";
import { bpf_link_put } from "../../kernel/bpf/bpf_link.ts";
import { bpf_struct_ops_find } from "../../kernel/bpf/bpf_struct_ops.ts";
import {
	bpf_struct_ops_image_free,
	bpf_struct_ops_prepare_trampoline,
	NO_MODEL,
	struct_ops_prog_link,
} from "../../kernel/bpf/bpf_struct_ops_map.ts";
import type { bpf_prog } from "../../kernel/bpf/bpf_types.ts";
import {
	btf_find_by_name_kind,
	btf_name_by_offset,
	btf_params,
	btf_type_is_ptr,
	btf_type_member,
	btf_type_skip_modifiers,
} from "../../kernel/bpf/btf.ts";
import { btf_ctx_arg_offset } from "../../kernel/bpf/btf_ctx.ts";
import { ksizeof } from "../../kernel/bpf/layout.ts";
import { bpf_prog_inc } from "../../kernel/bpf/prog.ts";
import { u64_to_user_ptr } from "../../kernel/bpfptr.ts";
import { impl } from "../../kernel/kernel_impl.ts";
import { addr_to_u64 } from "../../lib/addr.ts";

/** offsetof(struct bpf_dummy_ops_test_args, state) */
const STATE = 8 * MAX_BPF_FUNC_ARGS;

/** net/bpf/bpf_dummy_struct_ops.c: check_test_run_args: no NULL where the stub does not say that it may be */
function check_test_run_args(prog: bpf_prog, args: readonly bigint[]): number {
	const b = prog.aux.attach_btf!;
	const func_proto = prog.aux.attach_func_proto!;
	for (const [i, param] of btf_params(func_proto).entries()) {
		if (args[i]) continue;
		if (!btf_type_is_ptr(btf_type_skip_modifiers(b, param.type))) continue;
		const offset = btf_ctx_arg_offset(b, func_proto, i);
		const info = prog.aux.ctx_arg_info.find((x) => x.offset === offset);
		if (!info || !(info.reg_type & PTR_MAYBE_NULL)) return -EINVAL;
	}
	return 0;
}

/** net/bpf/bpf_dummy_struct_ops.c: bpf_struct_ops_test_run */
export function bpf_struct_ops_test_run(prog: bpf_prog, attr: bpf_attr, uattr: number): number {
	const { kernel } = prog;
	const k = impl(kernel);
	const b = kernel.bpf.bpf_get_btf_vmlinux();
	const type_id = typeof b === "number" ? b : btf_find_by_name_kind(b, "bpf_dummy_ops", BTF_KIND_STRUCT);
	if (typeof b === "number" || type_id < 0) return -EINVAL;
	if (prog.aux.attach_btf_id !== type_id) return -EOPNOTSUPP;
	const desc = bpf_struct_ops_find(b, type_id);
	if (!desc) return -EINVAL;

	// dummy_ops_init_args()
	const nr = btf_params(prog.aux.attach_func_proto!).length;
	if (attr.test_ctx_size_in !== 8 * nr) return -EINVAL;
	const state_size = ksizeof(kernel, "bpf_dummy_ops_state");
	const mem = k.kmem.kzalloc(STATE + state_size);
	if (!mem) return -ENOMEM;
	const done = (err: number): number => {
		k.kmem.kfree(mem);
		return err;
	};
	const ctx_in = k.copy_from_user(u64_to_user_ptr(attr.test_ctx_in), 8 * nr);
	if (!ctx_in) return done(-EFAULT);
	k.kmem.write(mem, ctx_in);
	const args = Array.from({ length: 5 }, (_, i) => k.kmem.r64(mem + 8 * i));
	const u_state = u64_to_user_ptr(args[0]!);
	if (args[0]) {
		const state = k.copy_from_user(u_state, state_size);
		if (!state) return done(-EFAULT);
		k.kmem.write(mem + STATE, state);
	}
	let err = check_test_run_args(prog, args);
	if (err) return done(err);

	bpf_prog_inc(prog);
	const link = struct_ops_prog_link(kernel, prog);
	const at = { image: 0n, image_off: 0 };
	const member = btf_type_member(desc.type)[prog.expected_attach_type]!;
	err = bpf_struct_ops_prepare_trampoline(
		link,
		desc.st_ops.func_models[prog.expected_attach_type] ?? NO_MODEL,
		desc.st_ops.cfi_stubs[btf_name_by_offset(b, member.name_off) ?? ""] ?? "",
		at,
		true,
	);
	if (err >= 0) {
		const state = args[0] ? addr_to_u64(mem + STATE) : 0n;
		const ret = k.call_guest(at.image, [state, ...args.slice(1)]);
		err = 0;
		if (args[0] && !k.copy_to_user(u_state, k.kmem.read(mem + STATE, state_size))) err = -EFAULT;
		else if (!k.put_user32(uattr + ATTR_OFF.test_retval, Number(ret & 0xffffffffn))) err = -EFAULT;
	}
	bpf_struct_ops_image_free(kernel, at.image);
	bpf_link_put(link);
	return done(err);
}
