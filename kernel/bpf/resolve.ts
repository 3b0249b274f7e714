// SPDX-License-Identifier: GPL-2.0-only
/**
 * kernel/bpf/verifier.c: 64-bit loads that name a map, a kernel variable or a function: their
 * descriptors and ids become addresses, and the maps and BTFs become the program's.
 */
import {
	BPF_LIST_HEAD,
	BPF_RB_ROOT,
	BPF_SPIN_LOCK,
	BPF_TIMER,
	BPF_WORKQUEUE,
	MEM_PERCPU,
	MEM_RDONLY,
	PTR_TO_BTF_ID,
	PTR_TO_FUNC,
	PTR_TO_MEM,
} from "../../include/linux/bpf.ts";
import { BPF_MAX_VAR_OFF, MAX_USED_BTFS, MAX_USED_MAPS } from "../../include/linux/bpf_verifier.ts";
import {
	E2BIG,
	EBUSY,
	EFAULT,
	EINVAL,
	ENOENT,
	ENXIO,
	EOPNOTSUPP,
	EPERM,
	EPROTO,
} from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_MAP_TYPE_ARENA,
	BPF_MAP_TYPE_ARRAY,
	BPF_MAP_TYPE_ARRAY_OF_MAPS,
	BPF_MAP_TYPE_CGROUP_STORAGE,
	BPF_MAP_TYPE_CGRP_STORAGE,
	BPF_MAP_TYPE_HASH,
	BPF_MAP_TYPE_HASH_OF_MAPS,
	BPF_MAP_TYPE_INODE_STORAGE,
	BPF_MAP_TYPE_LRU_HASH,
	BPF_MAP_TYPE_LRU_PERCPU_HASH,
	BPF_MAP_TYPE_PERCPU_ARRAY,
	BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE,
	BPF_MAP_TYPE_PERCPU_HASH,
	BPF_MAP_TYPE_QUEUE,
	BPF_MAP_TYPE_RINGBUF,
	BPF_MAP_TYPE_SK_STORAGE,
	BPF_MAP_TYPE_STACK,
	BPF_MAP_TYPE_STRUCT_OPS,
	BPF_MAP_TYPE_TASK_STORAGE,
	BPF_MAP_TYPE_USER_RINGBUF,
	BPF_MEMSX,
	BPF_PROG_TYPE_KPROBE,
	BPF_PROG_TYPE_PERF_EVENT,
	BPF_PROG_TYPE_RAW_TRACEPOINT,
	BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE,
	BPF_PROG_TYPE_SOCKET_FILTER,
	BPF_PROG_TYPE_TRACEPOINT,
	BPF_PSEUDO_BTF_ID,
	BPF_PSEUDO_FUNC,
	BPF_PSEUDO_MAP_FD,
	BPF_PSEUDO_MAP_IDX,
	BPF_PSEUDO_MAP_IDX_VALUE,
	BPF_PSEUDO_MAP_VALUE,
} from "../../include/uapi/linux/bpf.ts";
import { BPF_LDX, BPF_MEM } from "../../include/uapi/linux/bpf_common.ts";
import { BTF_KIND_DATASEC } from "../../include/uapi/linux/btf.ts";
import { IS_ERR, type Ref } from "../../lib/err.ts";
import { bpf_arena_get_user_vm_start } from "./arena.ts";
import type { bpf_insn, bpf_map, bpf_prog, bpf_prog_aux } from "./bpf_types.ts";
import {
	BTF_INFO_KIND,
	btf_get,
	btf_get_by_fd,
	btf_is_module,
	btf_name_by_offset,
	btf_nr_types,
	btf_put,
	btf_resolve_size,
	btf_try_get_module,
	btf_type_by_id,
	btf_type_is_func,
	btf_type_is_struct,
	btf_type_is_var,
	btf_type_skip_modifiers,
	btf_type_var_secinfo,
} from "./btf.ts";
import type { btf, kmodule } from "./btf_types.ts";
import { __bpf_free_used_btfs, bpf_opcode_in_insntable, bpf_prog_calc_tag } from "./core.ts";
import { BPF_CLASS, BPF_MODE, bpf_is_ldimm64 } from "./insn_macros.ts";
import { bpf_jit_supports_arena } from "./jit_caps.ts";
import { verbose } from "./log.ts";
import { __bpf_map_get, bpf_map_inc, bpf_map_put } from "./map_create.ts";
import { btf_record_has_field, resolve_prog_type } from "./predicates.ts";
import type { bpf_insn_aux_data, bpf_verifier_env } from "./verifier_types.ts";

/** kernel/bpf/verifier.c: find_btf_percpu_datasec: id of a BTF's own ".data..percpu", or -ENOENT */
export function find_btf_percpu_datasec(env: bpf_verifier_env, btf: btf): number {
	const n = btf_nr_types(btf);
	let i = 1;
	if (btf_is_module(btf)) {
		const vmlinux = env.kernel.bpf.bpf_get_btf_vmlinux();
		if (!IS_ERR(vmlinux)) i = btf_nr_types(vmlinux as btf);
	}
	for (; i < n; i++) {
		const t = btf_type_by_id(btf, i)!;
		if (BTF_INFO_KIND(t.info) !== BTF_KIND_DATASEC) continue;
		if (btf_name_by_offset(btf, t.name_off) === ".data..percpu") return i;
	}
	return -ENOENT;
}

/** Put a 64-bit value into both halves of a load. */
function set_imm64(lo: bpf_insn, hi: bpf_insn, v: bigint): void {
	lo.imm = Number(BigInt.asIntN(32, v));
	hi.imm = Number(BigInt.asIntN(32, v >> 32n));
}

/** kernel/bpf/verifier.c: check_pseudo_btf_id: a kernel symbol, by BTF id, becomes its address. */
export function check_pseudo_btf_id(
	env: bpf_verifier_env,
	insn: bpf_insn,
	hi: bpf_insn,
	aux: bpf_insn_aux_data,
): number {
	const id = insn.imm >>> 0;
	const btf_fd = hi.imm;
	let btf: btf;
	if (btf_fd) {
		const b = btf_get_by_fd(env.kernel, btf_fd);
		if (IS_ERR(b)) {
			verbose(env, "invalid module BTF object FD specified.\n");
			return -EINVAL;
		}
		btf = b;
	} else {
		const b = env.kernel.bpf.bpf_get_btf_vmlinux();
		if (IS_ERR(b)) {
			verbose(env, "kernel is missing BTF, make sure CONFIG_DEBUG_INFO_BTF=y is specified in Kconfig.\n");
			return -EINVAL;
		}
		btf = b as btf;
		btf_get(btf);
	}
	const err = use_ksym(env, insn, hi, aux, btf, id);
	if (err) {
		btf_put(btf);
		return err;
	}

	// whether this BTF (and its module) is recorded already
	if (env.used_btfs.some((m) => m.btf === btf)) {
		btf_put(btf);
		return 0;
	}
	if (env.used_btfs.length >= MAX_USED_BTFS) {
		btf_put(btf);
		return -E2BIG;
	}
	let module: kmodule | null = null;
	if (btf_is_module(btf)) {
		module = btf_try_get_module(btf);
		if (!module) {
			btf_put(btf);
			return -ENXIO;
		}
	}
	env.used_btfs.push({ btf, module });
	return 0;
}

/** kernel/kallsyms.c: kallsyms_lookup_name: a kernel built without CONFIG_KALLSYMS_ALL knows of no data. */
function kallsyms_lookup_name(env: bpf_verifier_env, name: string, is_func: boolean): bigint | undefined {
	const { kconfig } = env.kernel.config;
	const text_only =
		kconfig.get("CONFIG_KALLSYMS") === "y" && kconfig.get("CONFIG_KALLSYMS_ALL") !== "y" && !is_func;
	return text_only ? undefined : env.kernel.symbols.addr(name);
}

/** What check_pseudo_btf_id() does between getting the BTF and recording it. */
function use_ksym(
	env: bpf_verifier_env,
	insn: bpf_insn,
	hi: bpf_insn,
	aux: bpf_insn_aux_data,
	btf: btf,
	id: number,
): number {
	let t = btf_type_by_id(btf, id);
	if (!t) {
		verbose(env, `ldimm64 insn specifies invalid btf_id ${id | 0}.\n`);
		return -ENOENT;
	}
	if (!btf_type_is_var(t) && !btf_type_is_func(t)) {
		verbose(env, `pseudo btf_id ${id | 0} in ldimm64 isn't KIND_VAR or KIND_FUNC\n`);
		return -EINVAL;
	}

	const sym_name = btf_name_by_offset(btf, t.name_off)!;
	const addr = kallsyms_lookup_name(env, sym_name, btf_type_is_func(t));
	if (!addr) {
		verbose(env, `ldimm64 failed to find the address for kernel symbol '${sym_name}'.\n`);
		return -ENOENT;
	}
	set_imm64(insn, hi, addr);

	if (btf_type_is_func(t)) {
		aux.btf_var.reg_type = PTR_TO_MEM | MEM_RDONLY;
		aux.btf_var.mem_size = 0;
		return 0;
	}

	let percpu = false;
	const datasec_id = find_btf_percpu_datasec(env, btf);
	if (datasec_id > 0)
		percpu = btf_type_var_secinfo(btf_type_by_id(btf, datasec_id)!).some((vsi) => vsi.type === id);

	const type = t.type;
	t = btf_type_skip_modifiers(btf, type, null);
	if (percpu) {
		aux.btf_var.reg_type = PTR_TO_BTF_ID | MEM_PERCPU;
		aux.btf_var.btf = btf;
		aux.btf_var.btf_id = type;
	} else if (!btf_type_is_struct(t)) {
		const tsize: Ref<number> = { val: 0 };
		const ret = btf_resolve_size(btf, t, tsize);
		if (IS_ERR(ret)) {
			const tname = btf_name_by_offset(btf, t.name_off);
			verbose(env, `ldimm64 unable to resolve the size of type '${tname}': ${ret}\n`);
			return -EINVAL;
		}
		aux.btf_var.reg_type = PTR_TO_MEM | MEM_RDONLY;
		aux.btf_var.mem_size = tsize.val;
	} else {
		aux.btf_var.reg_type = PTR_TO_BTF_ID;
		aux.btf_var.btf = btf;
		aux.btf_var.btf_id = type;
	}
	return 0;
}

/** kernel/bpf/verifier.c: is_tracing_prog_type */
function is_tracing_prog_type(type: number): boolean {
	switch (type) {
		case BPF_PROG_TYPE_KPROBE:
		case BPF_PROG_TYPE_TRACEPOINT:
		case BPF_PROG_TYPE_PERF_EVENT:
		case BPF_PROG_TYPE_RAW_TRACEPOINT:
		case BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE:
			return true;
		default:
			return false;
	}
}

/** Map types that programs which sleep may use. */
const SLEEPABLE_MAPS: ReadonlySet<number> = new Set([
	BPF_MAP_TYPE_HASH,
	BPF_MAP_TYPE_LRU_HASH,
	BPF_MAP_TYPE_ARRAY,
	BPF_MAP_TYPE_PERCPU_HASH,
	BPF_MAP_TYPE_PERCPU_ARRAY,
	BPF_MAP_TYPE_LRU_PERCPU_HASH,
	BPF_MAP_TYPE_ARRAY_OF_MAPS,
	BPF_MAP_TYPE_HASH_OF_MAPS,
	BPF_MAP_TYPE_RINGBUF,
	BPF_MAP_TYPE_USER_RINGBUF,
	BPF_MAP_TYPE_INODE_STORAGE,
	BPF_MAP_TYPE_SK_STORAGE,
	BPF_MAP_TYPE_TASK_STORAGE,
	BPF_MAP_TYPE_CGRP_STORAGE,
	BPF_MAP_TYPE_QUEUE,
	BPF_MAP_TYPE_STACK,
	BPF_MAP_TYPE_ARENA,
]);

/** kernel/bpf/verifier.c: check_map_prog_compatibility (maps and programs of a device are not ported) */
export function check_map_prog_compatibility(env: bpf_verifier_env, map: bpf_map, prog: bpf_prog): number {
	const prog_type = resolve_prog_type(prog);

	if (btf_record_has_field(map.record, BPF_LIST_HEAD) || btf_record_has_field(map.record, BPF_RB_ROOT)) {
		if (is_tracing_prog_type(prog_type)) {
			verbose(env, "tracing progs cannot use bpf_{list_head,rb_root} yet\n");
			return -EINVAL;
		}
	}
	if (btf_record_has_field(map.record, BPF_SPIN_LOCK)) {
		if (prog_type === BPF_PROG_TYPE_SOCKET_FILTER) {
			verbose(env, "socket filter progs cannot use bpf_spin_lock yet\n");
			return -EINVAL;
		}
		if (is_tracing_prog_type(prog_type)) {
			verbose(env, "tracing progs cannot use bpf_spin_lock yet\n");
			return -EINVAL;
		}
	}
	if (btf_record_has_field(map.record, BPF_TIMER)) {
		if (is_tracing_prog_type(prog_type)) {
			verbose(env, "tracing progs cannot use bpf_timer yet\n");
			return -EINVAL;
		}
	}
	if (btf_record_has_field(map.record, BPF_WORKQUEUE)) {
		if (is_tracing_prog_type(prog_type)) {
			verbose(env, "tracing progs cannot use bpf_wq yet\n");
			return -EINVAL;
		}
	}
	if (map.map_type === BPF_MAP_TYPE_STRUCT_OPS) {
		verbose(env, "bpf_struct_ops map cannot be used in prog\n");
		return -EINVAL;
	}
	if (prog.sleepable && !SLEEPABLE_MAPS.has(map.map_type)) {
		verbose(env, "Sleepable programs can only use array, hash, ringbuf and local storage maps\n");
		return -EINVAL;
	}
	return 0;
}

/** kernel/bpf/verifier.c: bpf_map_is_cgroup_storage */
function bpf_map_is_cgroup_storage(map: bpf_map): boolean {
	return map.map_type === BPF_MAP_TYPE_CGROUP_STORAGE || map.map_type === BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}

/** kernel/bpf/local_storage.c: bpf_cgroup_storage_assign */
function bpf_cgroup_storage_assign(aux: bpf_prog_aux, map: bpf_map): number {
	const stype = map.map_type === BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE ? 1 : 0;
	const have = aux.cgroup_storage[stype];
	if (have && have !== map) return -EBUSY;
	aux.cgroup_storage[stype] = map;
	return 0;
}

/** kernel/bpf/verifier.c: add_used_map_from_fd: index of the map among those used, or an errno */
export function add_used_map_from_fd(env: bpf_verifier_env, fd: number, reused: Ref<boolean>): number {
	const map = __bpf_map_get(env.kernel, fd);
	if (IS_ERR(map)) {
		verbose(env, `fd ${fd | 0} is not pointing to valid bpf_map\n`);
		return map;
	}

	const i = env.used_maps.indexOf(map);
	if (i >= 0) {
		reused.val = true;
		return i;
	}
	if (env.used_maps.length >= MAX_USED_MAPS) {
		verbose(env, `The total number of maps per program has reached the limit of ${MAX_USED_MAPS}\n`);
		return -E2BIG;
	}
	if (env.prog.sleepable) map.sleepable_refcnt++;
	bpf_map_inc(map);
	reused.val = false;
	env.used_maps.push(map);
	return env.used_maps.length - 1;
}

/** kernel/bpf/verifier.c: resolve_pseudo_ldimm64 */
export function resolve_pseudo_ldimm64(env: bpf_verifier_env): number {
	const insns = env.prog.insnsi;
	const insn_cnt = insns.length;

	let err = bpf_prog_calc_tag(env.prog);
	if (err) return err;

	for (let i = 0; i < insn_cnt; i++) {
		const insn = insns[i]!;
		if (
			BPF_CLASS(insn.code) === BPF_LDX &&
			((BPF_MODE(insn.code) !== BPF_MEM && BPF_MODE(insn.code) !== BPF_MEMSX) || insn.imm !== 0)
		) {
			verbose(env, "BPF_LDX uses reserved fields\n");
			return -EINVAL;
		}

		if (!bpf_is_ldimm64(insn)) {
			// basic sanity, before more work goes into it
			if (!bpf_opcode_in_insntable(insn.code)) {
				verbose(env, `unknown opcode ${insn.code.toString(16).padStart(2, "0")}\n`);
				return -EINVAL;
			}
			continue;
		}

		const hi = insns[i + 1];
		if (hi?.code !== 0 || hi.dst_reg !== 0 || hi.src_reg !== 0 || hi.off !== 0) {
			verbose(env, "invalid bpf_ld_imm64 insn\n");
			return -EINVAL;
		}
		const aux = env.insn_aux_data[i]!;
		i++;
		if (insn.src_reg === 0) continue;
		if (insn.src_reg === BPF_PSEUDO_BTF_ID) {
			err = check_pseudo_btf_id(env, insn, hi, aux);
			if (err) return err;
			continue;
		}
		if (insn.src_reg === BPF_PSEUDO_FUNC) {
			aux.ptr_type = PTR_TO_FUNC;
			continue;
		}
		err = resolve_map(env, insn, hi, aux);
		if (err) return err;
	}
	return 0;
}

/** What resolve_pseudo_ldimm64() does with a load that names a map. */
function resolve_map(env: bpf_verifier_env, insn: bpf_insn, hi: bpf_insn, aux: bpf_insn_aux_data): number {
	const by_value = insn.src_reg === BPF_PSEUDO_MAP_VALUE || insn.src_reg === BPF_PSEUDO_MAP_IDX_VALUE;
	const by_map = insn.src_reg === BPF_PSEUDO_MAP_FD || insn.src_reg === BPF_PSEUDO_MAP_IDX;
	if (!by_value && !(by_map && hi.imm === 0)) {
		verbose(env, "unrecognized bpf_ld_imm64 insn\n");
		return -EINVAL;
	}

	let fd: number;
	if (insn.src_reg === BPF_PSEUDO_MAP_IDX_VALUE || insn.src_reg === BPF_PSEUDO_MAP_IDX) {
		if (!env.fd_array) {
			verbose(env, "fd_idx without fd_array is invalid\n");
			return -EPROTO;
		}
		fd = env.fd_array(insn.imm);
		if (fd === -EFAULT) return -EFAULT;
	} else {
		fd = insn.imm;
	}

	const reused: Ref<boolean> = { val: false };
	const map_idx = add_used_map_from_fd(env, fd, reused);
	if (map_idx < 0) return map_idx;
	const map = env.used_maps[map_idx]!;
	aux.map_index = map_idx;

	let err = check_map_prog_compatibility(env, map, env.prog);
	if (err) return err;

	let addr: bigint;
	if (by_map) {
		addr = map.kaddr;
	} else {
		const off = hi.imm >>> 0;
		if (off >= BPF_MAX_VAR_OFF) {
			verbose(env, `direct value offset of ${off} is not allowed\n`);
			return -EINVAL;
		}
		if (!map.ops.map_direct_value_addr) {
			verbose(env, "no direct value access support for this map type\n");
			return -EINVAL;
		}
		const imm: Ref<bigint> = { val: 0n };
		err = map.ops.map_direct_value_addr(map, imm, off);
		if (err) {
			verbose(env, `invalid access to map value pointer, value_size=${map.value_size} off=${off}\n`);
			return err;
		}
		aux.map_off = off;
		addr = imm.val + BigInt(off);
	}
	set_imm64(insn, hi, addr);

	if (reused.val) return 0;

	if (bpf_map_is_cgroup_storage(map) && bpf_cgroup_storage_assign(env.prog.aux, map)) {
		verbose(env, "only one cgroup storage of each type is allowed\n");
		return -EBUSY;
	}
	if (map.map_type === BPF_MAP_TYPE_ARENA) {
		if (env.prog.aux.arena) {
			verbose(env, "Only one arena per program\n");
			return -EBUSY;
		}
		if (!env.allow_ptr_leaks || !env.bpf_capable) {
			verbose(env, "CAP_BPF and CAP_PERFMON are required to use arena\n");
			return -EPERM;
		}
		if (!env.prog.jit_requested) {
			verbose(env, "JIT is required to use arena\n");
			return -EOPNOTSUPP;
		}
		if (!bpf_jit_supports_arena(env.kernel)) {
			verbose(env, "JIT doesn't support arena\n");
			return -EOPNOTSUPP;
		}
		env.prog.aux.arena = map;
		if (!bpf_arena_get_user_vm_start(map)) {
			verbose(env, "arena's user address must be set via map_extra or mmap()\n");
			return -EINVAL;
		}
	}
	return 0;
}

/** kernel/bpf/core.c: __bpf_free_used_maps */
export function __bpf_free_used_maps(aux: bpf_prog_aux, used_maps: readonly bpf_map[]): void {
	const sleepable = aux.prog.sleepable;
	for (const map of used_maps) {
		map.ops.map_poke_untrack?.(map, aux);
		if (sleepable) map.sleepable_refcnt--;
		bpf_map_put(map);
	}
}

/** kernel/bpf/verifier.c: release_maps: the maps of a rejected program */
export function release_maps(env: bpf_verifier_env): void {
	__bpf_free_used_maps(env.prog.aux, env.used_maps);
}

/** kernel/bpf/verifier.c: release_btfs */
export function release_btfs(env: bpf_verifier_env): void {
	__bpf_free_used_btfs(env.used_btfs);
}

/** kernel/bpf/verifier.c: convert_pseudo_ld_imm64: what was resolved is now a plain load. */
export function convert_pseudo_ld_imm64(env: bpf_verifier_env): void {
	for (const insn of env.prog.insnsi) {
		if (!bpf_is_ldimm64(insn) || insn.src_reg === BPF_PSEUDO_FUNC) continue;
		insn.src_reg = 0;
	}
}
