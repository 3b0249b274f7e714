// SPDX-License-Identifier: GPL-2.0-only
/** The state of kernel/bpf that hangs off a Kernel: what the kernel's files keep in static variables. */
import type { bpf_map, bpf_prog, bpf_verifier_ops } from "./bpf_types.ts";
import type { btf, btf_struct_meta, kmodule } from "./btf_types.ts";
import type { StateEmbedding } from "./embed.ts";
import type { VerifierHeap } from "./heap.ts";
import type { HelperBody } from "./helper_types.ts";
import type { InsnMaps } from "./insn_map.ts";
import type { ArchJit } from "./jit.ts";
import type { VerifierBtfIds } from "./predicates.ts";
import type { bpf_trampoline } from "./trampoline.ts";

export interface BpfSubsystem {
	/** bpf_get_btf_vmlinux(): parsed at first use; a number is an errno. */
	bpf_get_btf_vmlinux(): btf | number;
	/** BTFs of loaded modules, by module name. */
	readonly module_btfs: Map<string, { btf: btf; module: kmodule }>;
	/** Programs, maps, BTF objects by id (idr). */
	readonly progs: Map<number, bpf_prog>;
	readonly maps: Map<number, bpf_map>;
	readonly btfs: Map<number, btf>;
	/** bpf_verifier_ops of a program type; undefined: "not ported". */
	verifier_ops(prog_type: number): bpf_verifier_ops | undefined;
	/** Body of a helper or kfunc by kernel symbol; undefined: "not ported: <symbol>" when called. */
	readonly bodies: Map<string, HelperBody>;
	/** Memory of the verifier's states, made at first use (heap.ts: verifier_heap). */
	verifier_heap?: VerifierHeap;
	/** Ids that the verifier resolved by name (predicates.ts: verifier_btf_ids). */
	verifier_ids?: VerifierBtfIds;
	/** The architecture's JIT; absent: programs are interpreted. */
	jit?: ArchJit | null;
	/** Programs with a symbol (bpf_ksym_add): those whose images kallsyms and stack walks know. */
	ksyms?: Set<bpf_prog>;
	/** btf_struct_meta by the pointer that instructions carry (fixups.ts: struct_meta_addr). */
	struct_metas?: Map<bigint, btf_struct_meta>;
	/** Trampolines by key (trampoline.ts). */
	trampolines?: Map<bigint, bpf_trampoline>;
	/** The state-embedding check, when it is on. */
	readonly embedding?: StateEmbedding | null;
	/** Where instructions went, when that is kept. */
	readonly insn_maps?: InsnMaps | null;
	/** ALLOW_ERROR_INJECTION functions beyond those of attach.ts, by symbol (modules' ones). */
	error_injection?: Set<string>;
}
