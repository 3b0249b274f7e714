// SPDX-License-Identifier: GPL-2.0-only
/**
 * union bpf_attr and the info structures of bpf(2) as bytes (include/uapi/linux/bpf.h): little
 * endian, the kernel's offsets. Members of nested structs are named with an underscore
 * (`attr.test.prog_fd` is `attr.test_prog_fd`).
 */

/** A struct of the user interface over its bytes. */
export class UapiStruct {
	readonly bytes: Uint8Array;
	private readonly dv: DataView;
	constructor(bytes: Uint8Array) {
		this.bytes = bytes;
		this.dv = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	}
	ru32(off: number): number {
		return this.dv.getUint32(off, true);
	}
	rs32(off: number): number {
		return this.dv.getInt32(off, true);
	}
	ru64(off: number): bigint {
		return this.dv.getBigUint64(off, true);
	}
	wu32(off: number, v: number): void {
		this.dv.setUint32(off, v, true);
	}
	wu64(off: number, v: bigint): void {
		this.dv.setBigUint64(off, v, true);
	}
}

/** Offset in union bpf_attr behind the last field that each command reads (the kernel's *_LAST_FIELD). */
export const ATTR_END = {
	BPF_MAP_CREATE: 80,
	BPF_MAP_LOOKUP_ELEM: 32,
	BPF_MAP_UPDATE_ELEM: 32,
	BPF_MAP_DELETE_ELEM: 16,
	BPF_MAP_GET_NEXT_KEY: 24,
	BPF_MAP_LOOKUP_AND_DELETE_ELEM: 32,
	BPF_MAP_FREEZE: 4,
	BPF_PROG_LOAD: 148,
	BPF_OBJ: 20,
	BPF_RAW_TRACEPOINT_OPEN: 24,
	BPF_PROG_ATTACH: 32,
	BPF_PROG_DETACH: 32,
	BPF_PROG_QUERY: 64,
	BPF_PROG_TEST_RUN: 76,
	BPF_OBJ_GET_NEXT_ID: 8,
	BPF_PROG_GET_FD_BY_ID: 4,
	BPF_MAP_GET_FD_BY_ID: 12,
	BPF_OBJ_GET_INFO_BY_FD: 16,
	BPF_BTF_LOAD: 40,
	BPF_BTF_GET_FD_BY_ID: 4,
	BPF_TASK_FD_QUERY: 48,
	BPF_MAP_BATCH: 56,
	BPF_LINK_CREATE: 60,
	BPF_LINK_UPDATE: 16,
	BPF_LINK_DETACH: 4,
	BPF_LINK_GET_FD_BY_ID: 4,
	BPF_ENABLE_STATS: 4,
	BPF_ITER_CREATE: 8,
	BPF_PROG_BIND_MAP: 12,
	BPF_TOKEN_CREATE: 8,
} as const;

/** Offsets of the fields that the kernel writes back. */
export const ATTR_OFF = {
	batch_count: 32,
	log_true_size: 140,
	test_retval: 4,
	test_data_size_out: 12,
	test_duration: 36,
	test_ctx_size_out: 44,
	next_id: 4,
	info_info_len: 4,
	btf_log_true_size: 28,
	task_fd_query_buf_len: 12,
	task_fd_query_prog_id: 24,
	task_fd_query_fd_type: 28,
	task_fd_query_probe_offset: 32,
	task_fd_query_probe_addr: 40,
	query_attach_flags: 12,
	query_prog_cnt: 24,
	query_revision: 56,
} as const;

/** union bpf_attr */
export class bpf_attr extends UapiStruct {
	static readonly SIZE = 152;
	constructor(bytes: Uint8Array = new Uint8Array(152)) {
		super(bytes);
	}
	get map_type(): number {
		return this.ru32(0);
	}
	set map_type(v: number) {
		this.wu32(0, v);
	}
	get key_size(): number {
		return this.ru32(4);
	}
	set key_size(v: number) {
		this.wu32(4, v);
	}
	get value_size(): number {
		return this.ru32(8);
	}
	set value_size(v: number) {
		this.wu32(8, v);
	}
	get max_entries(): number {
		return this.ru32(12);
	}
	set max_entries(v: number) {
		this.wu32(12, v);
	}
	get map_flags(): number {
		return this.ru32(16);
	}
	set map_flags(v: number) {
		this.wu32(16, v);
	}
	get inner_map_fd(): number {
		return this.ru32(20);
	}
	set inner_map_fd(v: number) {
		this.wu32(20, v);
	}
	get numa_node(): number {
		return this.ru32(24);
	}
	set numa_node(v: number) {
		this.wu32(24, v);
	}
	get map_name(): Uint8Array {
		return this.bytes.subarray(28, 44);
	}
	get map_ifindex(): number {
		return this.ru32(44);
	}
	set map_ifindex(v: number) {
		this.wu32(44, v);
	}
	get btf_fd(): number {
		return this.ru32(48);
	}
	set btf_fd(v: number) {
		this.wu32(48, v);
	}
	get btf_key_type_id(): number {
		return this.ru32(52);
	}
	set btf_key_type_id(v: number) {
		this.wu32(52, v);
	}
	get btf_value_type_id(): number {
		return this.ru32(56);
	}
	set btf_value_type_id(v: number) {
		this.wu32(56, v);
	}
	get btf_vmlinux_value_type_id(): number {
		return this.ru32(60);
	}
	set btf_vmlinux_value_type_id(v: number) {
		this.wu32(60, v);
	}
	get map_extra(): bigint {
		return this.ru64(64);
	}
	set map_extra(v: bigint) {
		this.wu64(64, v);
	}
	get value_type_btf_obj_fd(): number {
		return this.rs32(72);
	}
	set value_type_btf_obj_fd(v: number) {
		this.wu32(72, v);
	}
	get map_token_fd(): number {
		return this.rs32(76);
	}
	set map_token_fd(v: number) {
		this.wu32(76, v);
	}
	get map_fd(): number {
		return this.ru32(0);
	}
	set map_fd(v: number) {
		this.wu32(0, v);
	}
	get key(): bigint {
		return this.ru64(8);
	}
	set key(v: bigint) {
		this.wu64(8, v);
	}
	get value(): bigint {
		return this.ru64(16);
	}
	set value(v: bigint) {
		this.wu64(16, v);
	}
	get next_key(): bigint {
		return this.ru64(16);
	}
	set next_key(v: bigint) {
		this.wu64(16, v);
	}
	get flags(): bigint {
		return this.ru64(24);
	}
	set flags(v: bigint) {
		this.wu64(24, v);
	}
	get batch_in_batch(): bigint {
		return this.ru64(0);
	}
	set batch_in_batch(v: bigint) {
		this.wu64(0, v);
	}
	get batch_out_batch(): bigint {
		return this.ru64(8);
	}
	set batch_out_batch(v: bigint) {
		this.wu64(8, v);
	}
	get batch_keys(): bigint {
		return this.ru64(16);
	}
	set batch_keys(v: bigint) {
		this.wu64(16, v);
	}
	get batch_values(): bigint {
		return this.ru64(24);
	}
	set batch_values(v: bigint) {
		this.wu64(24, v);
	}
	get batch_count(): number {
		return this.ru32(32);
	}
	set batch_count(v: number) {
		this.wu32(32, v);
	}
	get batch_map_fd(): number {
		return this.ru32(36);
	}
	set batch_map_fd(v: number) {
		this.wu32(36, v);
	}
	get batch_elem_flags(): bigint {
		return this.ru64(40);
	}
	set batch_elem_flags(v: bigint) {
		this.wu64(40, v);
	}
	get batch_flags(): bigint {
		return this.ru64(48);
	}
	set batch_flags(v: bigint) {
		this.wu64(48, v);
	}
	get prog_type(): number {
		return this.ru32(0);
	}
	set prog_type(v: number) {
		this.wu32(0, v);
	}
	get insn_cnt(): number {
		return this.ru32(4);
	}
	set insn_cnt(v: number) {
		this.wu32(4, v);
	}
	get insns(): bigint {
		return this.ru64(8);
	}
	set insns(v: bigint) {
		this.wu64(8, v);
	}
	get license(): bigint {
		return this.ru64(16);
	}
	set license(v: bigint) {
		this.wu64(16, v);
	}
	get log_level(): number {
		return this.ru32(24);
	}
	set log_level(v: number) {
		this.wu32(24, v);
	}
	get log_size(): number {
		return this.ru32(28);
	}
	set log_size(v: number) {
		this.wu32(28, v);
	}
	get log_buf(): bigint {
		return this.ru64(32);
	}
	set log_buf(v: bigint) {
		this.wu64(32, v);
	}
	get kern_version(): number {
		return this.ru32(40);
	}
	set kern_version(v: number) {
		this.wu32(40, v);
	}
	get prog_flags(): number {
		return this.ru32(44);
	}
	set prog_flags(v: number) {
		this.wu32(44, v);
	}
	get prog_name(): Uint8Array {
		return this.bytes.subarray(48, 64);
	}
	get prog_ifindex(): number {
		return this.ru32(64);
	}
	set prog_ifindex(v: number) {
		this.wu32(64, v);
	}
	get expected_attach_type(): number {
		return this.ru32(68);
	}
	set expected_attach_type(v: number) {
		this.wu32(68, v);
	}
	get prog_btf_fd(): number {
		return this.ru32(72);
	}
	set prog_btf_fd(v: number) {
		this.wu32(72, v);
	}
	get func_info_rec_size(): number {
		return this.ru32(76);
	}
	set func_info_rec_size(v: number) {
		this.wu32(76, v);
	}
	get func_info(): bigint {
		return this.ru64(80);
	}
	set func_info(v: bigint) {
		this.wu64(80, v);
	}
	get func_info_cnt(): number {
		return this.ru32(88);
	}
	set func_info_cnt(v: number) {
		this.wu32(88, v);
	}
	get line_info_rec_size(): number {
		return this.ru32(92);
	}
	set line_info_rec_size(v: number) {
		this.wu32(92, v);
	}
	get line_info(): bigint {
		return this.ru64(96);
	}
	set line_info(v: bigint) {
		this.wu64(96, v);
	}
	get line_info_cnt(): number {
		return this.ru32(104);
	}
	set line_info_cnt(v: number) {
		this.wu32(104, v);
	}
	get attach_btf_id(): number {
		return this.ru32(108);
	}
	set attach_btf_id(v: number) {
		this.wu32(108, v);
	}
	get attach_prog_fd(): number {
		return this.ru32(112);
	}
	set attach_prog_fd(v: number) {
		this.wu32(112, v);
	}
	get attach_btf_obj_fd(): number {
		return this.ru32(112);
	}
	set attach_btf_obj_fd(v: number) {
		this.wu32(112, v);
	}
	get core_relo_cnt(): number {
		return this.ru32(116);
	}
	set core_relo_cnt(v: number) {
		this.wu32(116, v);
	}
	get fd_array(): bigint {
		return this.ru64(120);
	}
	set fd_array(v: bigint) {
		this.wu64(120, v);
	}
	get core_relos(): bigint {
		return this.ru64(128);
	}
	set core_relos(v: bigint) {
		this.wu64(128, v);
	}
	get core_relo_rec_size(): number {
		return this.ru32(136);
	}
	set core_relo_rec_size(v: number) {
		this.wu32(136, v);
	}
	get log_true_size(): number {
		return this.ru32(140);
	}
	set log_true_size(v: number) {
		this.wu32(140, v);
	}
	get prog_token_fd(): number {
		return this.rs32(144);
	}
	set prog_token_fd(v: number) {
		this.wu32(144, v);
	}
	get pathname(): bigint {
		return this.ru64(0);
	}
	set pathname(v: bigint) {
		this.wu64(0, v);
	}
	get bpf_fd(): number {
		return this.ru32(8);
	}
	set bpf_fd(v: number) {
		this.wu32(8, v);
	}
	get file_flags(): number {
		return this.ru32(12);
	}
	set file_flags(v: number) {
		this.wu32(12, v);
	}
	get path_fd(): number {
		return this.rs32(16);
	}
	set path_fd(v: number) {
		this.wu32(16, v);
	}
	get target_fd(): number {
		return this.ru32(0);
	}
	set target_fd(v: number) {
		this.wu32(0, v);
	}
	get attach_bpf_fd(): number {
		return this.ru32(4);
	}
	set attach_bpf_fd(v: number) {
		this.wu32(4, v);
	}
	get attach_type(): number {
		return this.ru32(8);
	}
	set attach_type(v: number) {
		this.wu32(8, v);
	}
	get attach_flags(): number {
		return this.ru32(12);
	}
	set attach_flags(v: number) {
		this.wu32(12, v);
	}
	get replace_bpf_fd(): number {
		return this.ru32(16);
	}
	set replace_bpf_fd(v: number) {
		this.wu32(16, v);
	}
	get relative_fd(): number {
		return this.ru32(20);
	}
	set relative_fd(v: number) {
		this.wu32(20, v);
	}
	get expected_revision(): bigint {
		return this.ru64(24);
	}
	set expected_revision(v: bigint) {
		this.wu64(24, v);
	}
	get test_prog_fd(): number {
		return this.ru32(0);
	}
	set test_prog_fd(v: number) {
		this.wu32(0, v);
	}
	get test_retval(): number {
		return this.ru32(4);
	}
	set test_retval(v: number) {
		this.wu32(4, v);
	}
	get test_data_size_in(): number {
		return this.ru32(8);
	}
	set test_data_size_in(v: number) {
		this.wu32(8, v);
	}
	get test_data_size_out(): number {
		return this.ru32(12);
	}
	set test_data_size_out(v: number) {
		this.wu32(12, v);
	}
	get test_data_in(): bigint {
		return this.ru64(16);
	}
	set test_data_in(v: bigint) {
		this.wu64(16, v);
	}
	get test_data_out(): bigint {
		return this.ru64(24);
	}
	set test_data_out(v: bigint) {
		this.wu64(24, v);
	}
	get test_repeat(): number {
		return this.ru32(32);
	}
	set test_repeat(v: number) {
		this.wu32(32, v);
	}
	get test_duration(): number {
		return this.ru32(36);
	}
	set test_duration(v: number) {
		this.wu32(36, v);
	}
	get test_ctx_size_in(): number {
		return this.ru32(40);
	}
	set test_ctx_size_in(v: number) {
		this.wu32(40, v);
	}
	get test_ctx_size_out(): number {
		return this.ru32(44);
	}
	set test_ctx_size_out(v: number) {
		this.wu32(44, v);
	}
	get test_ctx_in(): bigint {
		return this.ru64(48);
	}
	set test_ctx_in(v: bigint) {
		this.wu64(48, v);
	}
	get test_ctx_out(): bigint {
		return this.ru64(56);
	}
	set test_ctx_out(v: bigint) {
		this.wu64(56, v);
	}
	get test_flags(): number {
		return this.ru32(64);
	}
	set test_flags(v: number) {
		this.wu32(64, v);
	}
	get test_cpu(): number {
		return this.ru32(68);
	}
	set test_cpu(v: number) {
		this.wu32(68, v);
	}
	get test_batch_size(): number {
		return this.ru32(72);
	}
	set test_batch_size(v: number) {
		this.wu32(72, v);
	}
	get start_id(): number {
		return this.ru32(0);
	}
	set start_id(v: number) {
		this.wu32(0, v);
	}
	get prog_id(): number {
		return this.ru32(0);
	}
	set prog_id(v: number) {
		this.wu32(0, v);
	}
	get map_id(): number {
		return this.ru32(0);
	}
	set map_id(v: number) {
		this.wu32(0, v);
	}
	get btf_id(): number {
		return this.ru32(0);
	}
	set btf_id(v: number) {
		this.wu32(0, v);
	}
	get link_id(): number {
		return this.ru32(0);
	}
	set link_id(v: number) {
		this.wu32(0, v);
	}
	get next_id(): number {
		return this.ru32(4);
	}
	set next_id(v: number) {
		this.wu32(4, v);
	}
	get open_flags(): number {
		return this.ru32(8);
	}
	set open_flags(v: number) {
		this.wu32(8, v);
	}
	get info_bpf_fd(): number {
		return this.ru32(0);
	}
	set info_bpf_fd(v: number) {
		this.wu32(0, v);
	}
	get info_info_len(): number {
		return this.ru32(4);
	}
	set info_info_len(v: number) {
		this.wu32(4, v);
	}
	get info_info(): bigint {
		return this.ru64(8);
	}
	set info_info(v: bigint) {
		this.wu64(8, v);
	}
	get query_target_fd(): number {
		return this.ru32(0);
	}
	set query_target_fd(v: number) {
		this.wu32(0, v);
	}
	get query_attach_type(): number {
		return this.ru32(4);
	}
	set query_attach_type(v: number) {
		this.wu32(4, v);
	}
	get query_query_flags(): number {
		return this.ru32(8);
	}
	set query_query_flags(v: number) {
		this.wu32(8, v);
	}
	get query_attach_flags(): number {
		return this.ru32(12);
	}
	set query_attach_flags(v: number) {
		this.wu32(12, v);
	}
	get query_prog_ids(): bigint {
		return this.ru64(16);
	}
	set query_prog_ids(v: bigint) {
		this.wu64(16, v);
	}
	get query_prog_cnt(): number {
		return this.ru32(24);
	}
	set query_prog_cnt(v: number) {
		this.wu32(24, v);
	}
	get query_prog_attach_flags(): bigint {
		return this.ru64(32);
	}
	set query_prog_attach_flags(v: bigint) {
		this.wu64(32, v);
	}
	get query_link_ids(): bigint {
		return this.ru64(40);
	}
	set query_link_ids(v: bigint) {
		this.wu64(40, v);
	}
	get query_link_attach_flags(): bigint {
		return this.ru64(48);
	}
	set query_link_attach_flags(v: bigint) {
		this.wu64(48, v);
	}
	get query_revision(): bigint {
		return this.ru64(56);
	}
	set query_revision(v: bigint) {
		this.wu64(56, v);
	}
	get raw_tracepoint_name(): bigint {
		return this.ru64(0);
	}
	set raw_tracepoint_name(v: bigint) {
		this.wu64(0, v);
	}
	get raw_tracepoint_prog_fd(): number {
		return this.ru32(8);
	}
	set raw_tracepoint_prog_fd(v: number) {
		this.wu32(8, v);
	}
	get raw_tracepoint_cookie(): bigint {
		return this.ru64(16);
	}
	set raw_tracepoint_cookie(v: bigint) {
		this.wu64(16, v);
	}
	get btf(): bigint {
		return this.ru64(0);
	}
	set btf(v: bigint) {
		this.wu64(0, v);
	}
	get btf_log_buf(): bigint {
		return this.ru64(8);
	}
	set btf_log_buf(v: bigint) {
		this.wu64(8, v);
	}
	get btf_size(): number {
		return this.ru32(16);
	}
	set btf_size(v: number) {
		this.wu32(16, v);
	}
	get btf_log_size(): number {
		return this.ru32(20);
	}
	set btf_log_size(v: number) {
		this.wu32(20, v);
	}
	get btf_log_level(): number {
		return this.ru32(24);
	}
	set btf_log_level(v: number) {
		this.wu32(24, v);
	}
	get btf_log_true_size(): number {
		return this.ru32(28);
	}
	set btf_log_true_size(v: number) {
		this.wu32(28, v);
	}
	get btf_flags(): number {
		return this.ru32(32);
	}
	set btf_flags(v: number) {
		this.wu32(32, v);
	}
	get btf_token_fd(): number {
		return this.rs32(36);
	}
	set btf_token_fd(v: number) {
		this.wu32(36, v);
	}
	get task_fd_query_pid(): number {
		return this.ru32(0);
	}
	set task_fd_query_pid(v: number) {
		this.wu32(0, v);
	}
	get task_fd_query_fd(): number {
		return this.ru32(4);
	}
	set task_fd_query_fd(v: number) {
		this.wu32(4, v);
	}
	get task_fd_query_flags(): number {
		return this.ru32(8);
	}
	set task_fd_query_flags(v: number) {
		this.wu32(8, v);
	}
	get task_fd_query_buf_len(): number {
		return this.ru32(12);
	}
	set task_fd_query_buf_len(v: number) {
		this.wu32(12, v);
	}
	get task_fd_query_buf(): bigint {
		return this.ru64(16);
	}
	set task_fd_query_buf(v: bigint) {
		this.wu64(16, v);
	}
	get task_fd_query_prog_id(): number {
		return this.ru32(24);
	}
	set task_fd_query_prog_id(v: number) {
		this.wu32(24, v);
	}
	get task_fd_query_fd_type(): number {
		return this.ru32(28);
	}
	set task_fd_query_fd_type(v: number) {
		this.wu32(28, v);
	}
	get task_fd_query_probe_offset(): bigint {
		return this.ru64(32);
	}
	set task_fd_query_probe_offset(v: bigint) {
		this.wu64(32, v);
	}
	get task_fd_query_probe_addr(): bigint {
		return this.ru64(40);
	}
	set task_fd_query_probe_addr(v: bigint) {
		this.wu64(40, v);
	}
	get link_create_prog_fd(): number {
		return this.ru32(0);
	}
	set link_create_prog_fd(v: number) {
		this.wu32(0, v);
	}
	get link_create_map_fd(): number {
		return this.ru32(0);
	}
	set link_create_map_fd(v: number) {
		this.wu32(0, v);
	}
	get link_create_target_fd(): number {
		return this.ru32(4);
	}
	set link_create_target_fd(v: number) {
		this.wu32(4, v);
	}
	get link_create_attach_type(): number {
		return this.ru32(8);
	}
	set link_create_attach_type(v: number) {
		this.wu32(8, v);
	}
	get link_create_flags(): number {
		return this.ru32(12);
	}
	set link_create_flags(v: number) {
		this.wu32(12, v);
	}
	get link_create_target_btf_id(): number {
		return this.ru32(16);
	}
	set link_create_target_btf_id(v: number) {
		this.wu32(16, v);
	}
	get link_create_iter_info(): bigint {
		return this.ru64(16);
	}
	set link_create_iter_info(v: bigint) {
		this.wu64(16, v);
	}
	get link_create_iter_info_len(): number {
		return this.ru32(24);
	}
	set link_create_iter_info_len(v: number) {
		this.wu32(24, v);
	}
	get link_create_perf_event_bpf_cookie(): bigint {
		return this.ru64(16);
	}
	set link_create_perf_event_bpf_cookie(v: bigint) {
		this.wu64(16, v);
	}
	get link_create_tracing_cookie(): bigint {
		return this.ru64(24);
	}
	set link_create_tracing_cookie(v: bigint) {
		this.wu64(24, v);
	}
	get link_create_uprobe_multi_pid(): number {
		return this.ru32(56);
	}
	set link_create_uprobe_multi_pid(v: number) {
		this.wu32(56, v);
	}
	get link_update_link_fd(): number {
		return this.ru32(0);
	}
	set link_update_link_fd(v: number) {
		this.wu32(0, v);
	}
	get link_update_new_prog_fd(): number {
		return this.ru32(4);
	}
	set link_update_new_prog_fd(v: number) {
		this.wu32(4, v);
	}
	get link_update_flags(): number {
		return this.ru32(8);
	}
	set link_update_flags(v: number) {
		this.wu32(8, v);
	}
	get link_update_old_prog_fd(): number {
		return this.ru32(12);
	}
	set link_update_old_prog_fd(v: number) {
		this.wu32(12, v);
	}
	get link_detach_link_fd(): number {
		return this.ru32(0);
	}
	set link_detach_link_fd(v: number) {
		this.wu32(0, v);
	}
	get enable_stats_type(): number {
		return this.ru32(0);
	}
	set enable_stats_type(v: number) {
		this.wu32(0, v);
	}
	get iter_create_link_fd(): number {
		return this.ru32(0);
	}
	set iter_create_link_fd(v: number) {
		this.wu32(0, v);
	}
	get iter_create_flags(): number {
		return this.ru32(4);
	}
	set iter_create_flags(v: number) {
		this.wu32(4, v);
	}
	get prog_bind_map_prog_fd(): number {
		return this.ru32(0);
	}
	set prog_bind_map_prog_fd(v: number) {
		this.wu32(0, v);
	}
	get prog_bind_map_map_fd(): number {
		return this.ru32(4);
	}
	set prog_bind_map_map_fd(v: number) {
		this.wu32(4, v);
	}
	get prog_bind_map_flags(): number {
		return this.ru32(8);
	}
	set prog_bind_map_flags(v: number) {
		this.wu32(8, v);
	}
	get token_create_flags(): number {
		return this.ru32(0);
	}
	set token_create_flags(v: number) {
		this.wu32(0, v);
	}
	get token_create_bpffs_fd(): number {
		return this.ru32(4);
	}
	set token_create_bpffs_fd(v: number) {
		this.wu32(4, v);
	}
}

/** struct bpf_prog_info */
export class bpf_prog_info extends UapiStruct {
	static readonly SIZE = 232;
	constructor(bytes: Uint8Array = new Uint8Array(232)) {
		super(bytes);
	}
	get type(): number {
		return this.ru32(0);
	}
	set type(v: number) {
		this.wu32(0, v);
	}
	get id(): number {
		return this.ru32(4);
	}
	set id(v: number) {
		this.wu32(4, v);
	}
	get tag(): Uint8Array {
		return this.bytes.subarray(8, 16);
	}
	get jited_prog_len(): number {
		return this.ru32(16);
	}
	set jited_prog_len(v: number) {
		this.wu32(16, v);
	}
	get xlated_prog_len(): number {
		return this.ru32(20);
	}
	set xlated_prog_len(v: number) {
		this.wu32(20, v);
	}
	get jited_prog_insns(): bigint {
		return this.ru64(24);
	}
	set jited_prog_insns(v: bigint) {
		this.wu64(24, v);
	}
	get xlated_prog_insns(): bigint {
		return this.ru64(32);
	}
	set xlated_prog_insns(v: bigint) {
		this.wu64(32, v);
	}
	get load_time(): bigint {
		return this.ru64(40);
	}
	set load_time(v: bigint) {
		this.wu64(40, v);
	}
	get created_by_uid(): number {
		return this.ru32(48);
	}
	set created_by_uid(v: number) {
		this.wu32(48, v);
	}
	get nr_map_ids(): number {
		return this.ru32(52);
	}
	set nr_map_ids(v: number) {
		this.wu32(52, v);
	}
	get map_ids(): bigint {
		return this.ru64(56);
	}
	set map_ids(v: bigint) {
		this.wu64(56, v);
	}
	get name(): Uint8Array {
		return this.bytes.subarray(64, 80);
	}
	get ifindex(): number {
		return this.ru32(80);
	}
	set ifindex(v: number) {
		this.wu32(80, v);
	}
	get netns_dev(): bigint {
		return this.ru64(88);
	}
	set netns_dev(v: bigint) {
		this.wu64(88, v);
	}
	get nr_jited_ksyms(): number {
		return this.ru32(104);
	}
	set nr_jited_ksyms(v: number) {
		this.wu32(104, v);
	}
	get nr_jited_func_lens(): number {
		return this.ru32(108);
	}
	set nr_jited_func_lens(v: number) {
		this.wu32(108, v);
	}
	get jited_ksyms(): bigint {
		return this.ru64(112);
	}
	set jited_ksyms(v: bigint) {
		this.wu64(112, v);
	}
	get jited_func_lens(): bigint {
		return this.ru64(120);
	}
	set jited_func_lens(v: bigint) {
		this.wu64(120, v);
	}
	get btf_id(): number {
		return this.ru32(128);
	}
	set btf_id(v: number) {
		this.wu32(128, v);
	}
	get func_info_rec_size(): number {
		return this.ru32(132);
	}
	set func_info_rec_size(v: number) {
		this.wu32(132, v);
	}
	get func_info(): bigint {
		return this.ru64(136);
	}
	set func_info(v: bigint) {
		this.wu64(136, v);
	}
	get nr_func_info(): number {
		return this.ru32(144);
	}
	set nr_func_info(v: number) {
		this.wu32(144, v);
	}
	get nr_line_info(): number {
		return this.ru32(148);
	}
	set nr_line_info(v: number) {
		this.wu32(148, v);
	}
	get line_info(): bigint {
		return this.ru64(152);
	}
	set line_info(v: bigint) {
		this.wu64(152, v);
	}
	get jited_line_info(): bigint {
		return this.ru64(160);
	}
	set jited_line_info(v: bigint) {
		this.wu64(160, v);
	}
	get nr_jited_line_info(): number {
		return this.ru32(168);
	}
	set nr_jited_line_info(v: number) {
		this.wu32(168, v);
	}
	get line_info_rec_size(): number {
		return this.ru32(172);
	}
	set line_info_rec_size(v: number) {
		this.wu32(172, v);
	}
	get jited_line_info_rec_size(): number {
		return this.ru32(176);
	}
	set jited_line_info_rec_size(v: number) {
		this.wu32(176, v);
	}
	get nr_prog_tags(): number {
		return this.ru32(180);
	}
	set nr_prog_tags(v: number) {
		this.wu32(180, v);
	}
	get prog_tags(): bigint {
		return this.ru64(184);
	}
	set prog_tags(v: bigint) {
		this.wu64(184, v);
	}
	get run_time_ns(): bigint {
		return this.ru64(192);
	}
	set run_time_ns(v: bigint) {
		this.wu64(192, v);
	}
	get run_cnt(): bigint {
		return this.ru64(200);
	}
	set run_cnt(v: bigint) {
		this.wu64(200, v);
	}
	get recursion_misses(): bigint {
		return this.ru64(208);
	}
	set recursion_misses(v: bigint) {
		this.wu64(208, v);
	}
	get verified_insns(): number {
		return this.ru32(216);
	}
	set verified_insns(v: number) {
		this.wu32(216, v);
	}
	get attach_btf_obj_id(): number {
		return this.ru32(220);
	}
	set attach_btf_obj_id(v: number) {
		this.wu32(220, v);
	}
	get attach_btf_id(): number {
		return this.ru32(224);
	}
	set attach_btf_id(v: number) {
		this.wu32(224, v);
	}
}

/** struct bpf_map_info */
export class bpf_map_info extends UapiStruct {
	static readonly SIZE = 88;
	constructor(bytes: Uint8Array = new Uint8Array(88)) {
		super(bytes);
	}
	get type(): number {
		return this.ru32(0);
	}
	set type(v: number) {
		this.wu32(0, v);
	}
	get id(): number {
		return this.ru32(4);
	}
	set id(v: number) {
		this.wu32(4, v);
	}
	get key_size(): number {
		return this.ru32(8);
	}
	set key_size(v: number) {
		this.wu32(8, v);
	}
	get value_size(): number {
		return this.ru32(12);
	}
	set value_size(v: number) {
		this.wu32(12, v);
	}
	get max_entries(): number {
		return this.ru32(16);
	}
	set max_entries(v: number) {
		this.wu32(16, v);
	}
	get map_flags(): number {
		return this.ru32(20);
	}
	set map_flags(v: number) {
		this.wu32(20, v);
	}
	get name(): Uint8Array {
		return this.bytes.subarray(24, 40);
	}
	get ifindex(): number {
		return this.ru32(40);
	}
	set ifindex(v: number) {
		this.wu32(40, v);
	}
	get btf_vmlinux_value_type_id(): number {
		return this.ru32(44);
	}
	set btf_vmlinux_value_type_id(v: number) {
		this.wu32(44, v);
	}
	get netns_dev(): bigint {
		return this.ru64(48);
	}
	set netns_dev(v: bigint) {
		this.wu64(48, v);
	}
	get netns_ino(): bigint {
		return this.ru64(56);
	}
	set netns_ino(v: bigint) {
		this.wu64(56, v);
	}
	get btf_id(): number {
		return this.ru32(64);
	}
	set btf_id(v: number) {
		this.wu32(64, v);
	}
	get btf_key_type_id(): number {
		return this.ru32(68);
	}
	set btf_key_type_id(v: number) {
		this.wu32(68, v);
	}
	get btf_value_type_id(): number {
		return this.ru32(72);
	}
	set btf_value_type_id(v: number) {
		this.wu32(72, v);
	}
	get btf_vmlinux_id(): number {
		return this.ru32(76);
	}
	set btf_vmlinux_id(v: number) {
		this.wu32(76, v);
	}
	get map_extra(): bigint {
		return this.ru64(80);
	}
	set map_extra(v: bigint) {
		this.wu64(80, v);
	}
}

/** struct bpf_btf_info */
export class bpf_btf_info extends UapiStruct {
	static readonly SIZE = 32;
	constructor(bytes: Uint8Array = new Uint8Array(32)) {
		super(bytes);
	}
	get btf(): bigint {
		return this.ru64(0);
	}
	set btf(v: bigint) {
		this.wu64(0, v);
	}
	get btf_size(): number {
		return this.ru32(8);
	}
	set btf_size(v: number) {
		this.wu32(8, v);
	}
	get id(): number {
		return this.ru32(12);
	}
	set id(v: number) {
		this.wu32(12, v);
	}
	get name(): bigint {
		return this.ru64(16);
	}
	set name(v: bigint) {
		this.wu64(16, v);
	}
	get name_len(): number {
		return this.ru32(24);
	}
	set name_len(v: number) {
		this.wu32(24, v);
	}
	get kernel_btf(): number {
		return this.ru32(28);
	}
	set kernel_btf(v: number) {
		this.wu32(28, v);
	}
}

/** struct bpf_link_info */
export class bpf_link_info extends UapiStruct {
	static readonly SIZE = 64;
	constructor(bytes: Uint8Array = new Uint8Array(64)) {
		super(bytes);
	}
	get type(): number {
		return this.ru32(0);
	}
	set type(v: number) {
		this.wu32(0, v);
	}
	get id(): number {
		return this.ru32(4);
	}
	set id(v: number) {
		this.wu32(4, v);
	}
	get prog_id(): number {
		return this.ru32(8);
	}
	set prog_id(v: number) {
		this.wu32(8, v);
	}
	get raw_tracepoint_tp_name(): bigint {
		return this.ru64(16);
	}
	set raw_tracepoint_tp_name(v: bigint) {
		this.wu64(16, v);
	}
	get raw_tracepoint_tp_name_len(): number {
		return this.ru32(24);
	}
	set raw_tracepoint_tp_name_len(v: number) {
		this.wu32(24, v);
	}
	get tracing_attach_type(): number {
		return this.ru32(16);
	}
	set tracing_attach_type(v: number) {
		this.wu32(16, v);
	}
	get tracing_target_obj_id(): number {
		return this.ru32(20);
	}
	set tracing_target_obj_id(v: number) {
		this.wu32(20, v);
	}
	get tracing_target_btf_id(): number {
		return this.ru32(24);
	}
	set tracing_target_btf_id(v: number) {
		this.wu32(24, v);
	}
	get struct_ops_map_id(): number {
		return this.ru32(16);
	}
	set struct_ops_map_id(v: number) {
		this.wu32(16, v);
	}
	get iter_target_name(): bigint {
		return this.ru64(16);
	}
	set iter_target_name(v: bigint) {
		this.wu64(16, v);
	}
	get iter_target_name_len(): number {
		return this.ru32(24);
	}
	set iter_target_name_len(v: number) {
		this.wu32(24, v);
	}
	get iter_map_map_id(): number {
		return this.ru32(28);
	}
	set iter_map_map_id(v: number) {
		this.wu32(28, v);
	}
	get iter_task_tid(): number {
		return this.ru32(32);
	}
	set iter_task_tid(v: number) {
		this.wu32(32, v);
	}
	get iter_task_pid(): number {
		return this.ru32(36);
	}
	set iter_task_pid(v: number) {
		this.wu32(36, v);
	}
}
