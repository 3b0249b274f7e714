// SPDX-License-Identifier: GPL-2.0-only
/**
 * kernel/bpf/log.c: the verifier's log, and the text of types, register states and frames.
 *
 * The log is a stream of Latin-1 bytes. `start_pos` and `end_pos` are positions in the stream; the
 * user's buffer shows a window of it. In rotating mode position p lies at p % len_total:
 *
 *   ubuf  | …newest text \0 oldest text still kept … |
 *                         ^ start_pos % len_total
 *
 * Text collects in `pending` and reaches the user's buffer in large pieces; what the buffer holds
 * after bpf_vlog_finalize() is what the kernel's byte-by-byte writing leaves.
 */
import {
	BPF_DYNPTR_TYPE_INVALID,
	BPF_DYNPTR_TYPE_LOCAL,
	BPF_DYNPTR_TYPE_RINGBUF,
	BPF_DYNPTR_TYPE_SKB,
	BPF_DYNPTR_TYPE_XDP,
	CONST_PTR_TO_DYNPTR,
	CONST_PTR_TO_MAP,
	MEM_ALLOC,
	MEM_PERCPU,
	MEM_RCU,
	MEM_RDONLY,
	MEM_RINGBUF,
	MEM_USER,
	NON_OWN_REF,
	NOT_INIT,
	PTR_MAYBE_NULL,
	PTR_TO_ARENA,
	PTR_TO_BTF_ID,
	PTR_TO_BUF,
	PTR_TO_CTX,
	PTR_TO_FLOW_KEYS,
	PTR_TO_FUNC,
	PTR_TO_MAP_KEY,
	PTR_TO_MAP_VALUE,
	PTR_TO_MEM,
	PTR_TO_PACKET,
	PTR_TO_PACKET_END,
	PTR_TO_PACKET_META,
	PTR_TO_SOCK_COMMON,
	PTR_TO_SOCKET,
	PTR_TO_STACK,
	PTR_TO_TCP_SOCK,
	PTR_TO_TP_BUFFER,
	PTR_TO_XDP_SOCK,
	PTR_TRUSTED,
	PTR_UNTRUSTED,
	SCALAR_VALUE,
} from "../../include/linux/bpf.ts";
import {
	BPF_ADD_CONST,
	BPF_BASE_TYPE_MASK,
	BPF_DYNPTR_NR_SLOTS,
	BPF_ITER_STATE_ACTIVE,
	BPF_ITER_STATE_DRAINED,
	BPF_ITER_STATE_INVALID,
	BPF_LOG_ALIGNMENT,
	BPF_LOG_FIXED,
	BPF_LOG_KERNEL,
	BPF_LOG_MASK,
	BPF_LOG_MIN_ALIGNMENT,
	BPF_REG_SIZE,
	BPF_VERIFIER_TMP_LOG_SIZE,
	REG_LIVE_DONE,
	REG_LIVE_READ,
	REG_LIVE_WRITTEN,
	STACK_DYNPTR,
	STACK_INVALID,
	STACK_ITER,
	STACK_SPILL,
} from "../../include/linux/bpf_verifier.ts";
import { EFAULT, EINVAL, ENOSPC } from "../../include/uapi/asm-generic/errno.ts";
import { __MAX_BPF_REG } from "../../include/uapi/linux/bpf.ts";
import type { Ref } from "../../lib/err.ts";
import type { MessageTap } from "../../lib/message_tap.ts";
import type { bpf_line_info } from "./bpf_types.ts";
import { btf_name_by_offset, btf_type_by_id } from "./btf.ts";
import type { btf } from "./btf_types.ts";
import type { bpf_reg_state } from "./reg_state.ts";
import { tnum_strn as strn } from "./tnum.ts";
import type { bpf_func_state, bpf_verifier_env, bpf_verifier_log, UserLogBuffer } from "./verifier_types.ts";

const UINT_MAX = 4294967295;
/** Bytes of text that collect before they are copied to the user's buffer. */
const PENDING_SIZE = 1 << 16;
/** sizeof("bpf_iter_") - 1 */
const ITER_PREFIX_LEN = 9;

/** A log that discards everything, to be set up by bpf_vlog_init(). */
export function new_verifier_log(tap?: MessageTap): bpf_verifier_log {
	return {
		tap,
		start_pos: 0,
		end_pos: 0,
		level: 0,
		len_total: 0,
		len_max: 0,
		ubuf: null,
	};
}

/** include/linux/bpf_verifier.h: bpf_verifier_log_needed */
export function bpf_verifier_log_needed(log: bpf_verifier_log | null): boolean {
	return log !== null && log.level !== 0;
}

function bpf_verifier_log_attr_valid(log: bpf_verifier_log): boolean {
	if ((log.ubuf !== null) !== (log.len_total !== 0)) return false;
	if (log.ubuf !== null && log.level === 0) return false;
	if ((log.level & ~BPF_LOG_MASK) !== 0) return false;
	return log.len_total <= UINT_MAX >>> 2;
}

/** kernel/bpf/log.c: bpf_vlog_init */
export function bpf_vlog_init(
	log: bpf_verifier_log,
	log_level: number,
	log_buf: UserLogBuffer | null,
	log_size: number,
): number {
	log.level = log_level;
	log.ubuf = log_buf;
	log.len_total = log_size;
	return bpf_verifier_log_attr_valid(log) ? 0 : -EINVAL;
}

/** Copy what is pending, and a terminating NUL, to the user's buffer. */
function flush(log: bpf_verifier_log): void {
	const len = log.pending_len ?? 0;
	log.pending_len = 0;
	if (len === 0 || log.ubuf === null) return;
	const buf = log.pending!;
	const total = log.len_total;
	const n = len + 1;
	buf[len] = 0;

	if (log.level & BPF_LOG_FIXED) {
		const cur = log.end_pos - len;
		if (cur >= total) return;
		const new_n = Math.min(total - cur, n);
		buf[new_n - 1] = 0;
		if (!log.ubuf.write(cur, buf.subarray(0, new_n))) log.ubuf = null;
		return;
	}
	const new_end = log.end_pos + 1;
	const new_n = Math.min(n, total);
	const start = (new_end - new_n) % total;
	const end = new_end % total || total;
	if (start < end) {
		if (!log.ubuf.write(start, buf.subarray(n - new_n, n))) log.ubuf = null;
		return;
	}
	// The text wraps around the end of the buffer.
	const head = total - start;
	if (
		!log.ubuf.write(start, buf.subarray(n - new_n, n - new_n + head)) ||
		!log.ubuf.write(0, buf.subarray(n - end, n))
	)
		log.ubuf = null;
}

/** Append text of any length (the callers' pieces were short enough for the kernel's buffer). */
function emit(log: bpf_verifier_log, text: string): void {
	const n = text.length;
	if (log.level === BPF_LOG_KERNEL) {
		log.printk?.(`BPF: ${text.endsWith("\n") ? text.slice(0, -1) : text}`);
		return;
	}
	const new_end = log.end_pos + n + 1;
	if (new_end > log.len_max) log.len_max = Math.min(new_end, UINT_MAX);

	const fixed = (log.level & BPF_LOG_FIXED) !== 0;
	const past = fixed && log.end_pos >= log.len_total;
	if (!fixed && new_end - log.start_pos >= log.len_total) log.start_pos = new_end - log.len_total;
	if (log.ubuf === null || past) {
		log.end_pos += n;
		return;
	}
	let buf = log.pending;
	if (buf === undefined) {
		buf = new Uint8Array(PENDING_SIZE);
		log.pending = buf;
	}
	let at = log.pending_len ?? 0;
	let done = 0;
	while (done < n) {
		let room = PENDING_SIZE - 1 - at;
		if (room === 0) {
			flush(log);
			at = 0;
			room = PENDING_SIZE - 1;
		}
		const stop = Math.min(n, done + room);
		log.end_pos += stop - done;
		while (done < stop) buf[at++] = text.charCodeAt(done++);
		log.pending_len = at;
	}
	if (fixed && log.end_pos >= log.len_total) flush(log);
}

/** kernel/bpf/log.c: bpf_verifier_vlog; a message is cut at what the kernel's buffer holds */
export function bpf_verifier_vlog(log: bpf_verifier_log, text: string): void {
	log.tap?.(text);
	put(log, text);
}

function put(log: bpf_verifier_log, text: string): void {
	emit(log, text.length >= BPF_VERIFIER_TMP_LOG_SIZE ? text.slice(0, BPF_VERIFIER_TMP_LOG_SIZE - 1) : text);
}

/** kernel/bpf/log.c: bpf_vlog_reset */
export function bpf_vlog_reset(log: bpf_verifier_log, new_pos: number): void {
	if (new_pos > log.end_pos) return;
	if (!bpf_verifier_log_needed(log) || log.level === BPF_LOG_KERNEL) return;

	const cut = log.end_pos - new_pos;
	const pending = log.pending_len ?? 0;
	if (cut < pending && !(log.level & BPF_LOG_FIXED)) {
		log.pending_len = pending - cut;
		log.end_pos = new_pos;
		if (new_pos < log.start_pos) log.start_pos = new_pos;
		return;
	}
	flush(log);
	log.end_pos = new_pos;
	if (log.end_pos < log.start_pos) log.start_pos = log.end_pos;
	if (log.ubuf === null) return;
	const pos = log.level & BPF_LOG_FIXED ? log.end_pos + 1 : new_pos % log.len_total;
	if (pos < log.len_total && !log.ubuf.write(pos, new Uint8Array(1))) log.ubuf = null;
}

/** Rotate the user's buffer so that the window starts at its beginning. */
function rotate(log: bpf_verifier_log): void {
	const total = log.len_total;
	const ubuf = log.ubuf!;
	const by = log.start_pos % total;
	const old = ubuf.read(0, total);
	if (old === null) {
		log.ubuf = null;
		return;
	}
	const bytes = new Uint8Array(total);
	bytes.set(old.subarray(by));
	bytes.set(old.subarray(0, by), total - by);
	if (!ubuf.write(0, bytes)) log.ubuf = null;
}

/** kernel/bpf/log.c: bpf_vlog_finalize */
export function bpf_vlog_finalize(log: bpf_verifier_log, log_size_actual: Ref<number>): number {
	log_size_actual.val = 0;
	if (log.level === 0 || log.level === BPF_LOG_KERNEL) return 0;

	flush(log);
	if (log.ubuf !== null && log.start_pos !== 0) rotate(log);
	log_size_actual.val = log.len_max;

	// A buffer given and none left: a fault happened on the way.
	if ((log.ubuf !== null) !== (log.len_total !== 0)) return -EFAULT;
	if (log.ubuf !== null && log.len_max > log.len_total) return -ENOSPC;
	return 0;
}

/** kernel/bpf/log.c: bpf_verifier_log_write */
export function verbose(env: bpf_verifier_env, text: string): void {
	if (env.log.level !== 0) bpf_verifier_vlog(env.log, text);
}

/** kernel/bpf/log.c: bpf_log */
export function bpf_log(log: bpf_verifier_log | null, text: string): void {
	if (log !== null && log.level !== 0) bpf_verifier_vlog(log, text);
}

/** kernel/bpf/log.c: find_linfo; the last record at or before an instruction */
export function find_linfo(env: bpf_verifier_env, insn_off: number): bpf_line_info | null {
	const linfo = env.prog.aux.linfo;
	if (linfo.length === 0 || insn_off >= env.prog.len) return null;
	let l = 0;
	let r = linfo.length - 1;
	while (l < r) {
		const m = l + ((r - l + 1) >> 1);
		if (linfo[m]!.insn_off <= insn_off) l = m;
		else r = m - 1;
	}
	return linfo[l]!;
}

/** kernel/bpf/log.c: verbose_linfo; `prefix` is ready text, or null */
export function verbose_linfo(env: bpf_verifier_env, insn_off: number, prefix: string | null): void {
	if (!bpf_verifier_log_needed(env.log)) return;

	const prev = env.prev_linfo;
	const linfo = find_linfo(env, insn_off);
	if (linfo === null || linfo === prev) return;
	// Records that differ in the column only would print the same line again.
	if (prev && linfo.file_name_off === prev.file_name_off && linfo.line_col >>> 10 === prev.line_col >>> 10)
		return;

	if (prefix !== null) bpf_verifier_vlog(env.log, prefix);
	const btf = env.prog.aux.btf!;
	// A line of the program's source is no message of the verifier's: past the tap.
	put(env.log, (btf_name_by_offset(btf, linfo.line_off) ?? "(null)").replace(/^[\t-\r \xa0]+/, ""));
	const s = btf_name_by_offset(btf, linfo.file_name_off) ?? "(null)";
	verbose(env, ` @ ${s.slice(s.lastIndexOf("/") + 1)}:${linfo.line_col >>> 10}\n`);
	env.prev_linfo = linfo;
}

function btf_type_name(btf: btf, id: number): string {
	return btf_name_by_offset(btf, btf_type_by_id(btf, id)!.name_off) ?? "(null)";
}

const reg_types: readonly string[] = (() => {
	const t: string[] = [];
	t[NOT_INIT] = "?";
	t[SCALAR_VALUE] = "scalar";
	t[PTR_TO_CTX] = "ctx";
	t[CONST_PTR_TO_MAP] = "map_ptr";
	t[PTR_TO_MAP_VALUE] = "map_value";
	t[PTR_TO_STACK] = "fp";
	t[PTR_TO_PACKET] = "pkt";
	t[PTR_TO_PACKET_META] = "pkt_meta";
	t[PTR_TO_PACKET_END] = "pkt_end";
	t[PTR_TO_FLOW_KEYS] = "flow_keys";
	t[PTR_TO_SOCKET] = "sock";
	t[PTR_TO_SOCK_COMMON] = "sock_common";
	t[PTR_TO_TCP_SOCK] = "tcp_sock";
	t[PTR_TO_TP_BUFFER] = "tp_buffer";
	t[PTR_TO_XDP_SOCK] = "xdp_sock";
	t[PTR_TO_BTF_ID] = "ptr_";
	t[PTR_TO_MEM] = "mem";
	t[PTR_TO_ARENA] = "arena";
	t[PTR_TO_BUF] = "buf";
	t[PTR_TO_FUNC] = "func";
	t[PTR_TO_MAP_KEY] = "map_key";
	t[CONST_PTR_TO_DYNPTR] = "dynptr_ptr";
	return t;
})();

/** kernel/bpf/log.c: reg_type_str */
export function reg_type_str(_env: bpf_verifier_env, type: number): string {
	const base = type & BPF_BASE_TYPE_MASK;
	const name = reg_types[base] ?? "(null)";
	if (type === base) return name;
	const prefix =
		(type & MEM_RDONLY ? "rdonly_" : "") +
		(type & MEM_RINGBUF ? "ringbuf_" : "") +
		(type & MEM_USER ? "user_" : "") +
		(type & MEM_PERCPU ? "percpu_" : "") +
		(type & MEM_RCU ? "rcu_" : "") +
		(type & PTR_UNTRUSTED ? "untrusted_" : "") +
		(type & PTR_TRUSTED ? "trusted_" : "");
	let postfix = "";
	if (type & PTR_MAYBE_NULL) postfix = base === PTR_TO_BTF_ID ? "or_null_" : "_or_null";
	return prefix + name + postfix;
}

/** kernel/bpf/log.c: dynptr_type_str */
export function dynptr_type_str(type: number): string {
	switch (type) {
		case BPF_DYNPTR_TYPE_LOCAL:
			return "local";
		case BPF_DYNPTR_TYPE_RINGBUF:
			return "ringbuf";
		case BPF_DYNPTR_TYPE_SKB:
			return "skb";
		case BPF_DYNPTR_TYPE_XDP:
			return "xdp";
		case BPF_DYNPTR_TYPE_INVALID:
			return "<invalid>";
		default:
			return "<unknown>";
	}
}

/** kernel/bpf/log.c: iter_type_str */
export function iter_type_str(btf: btf | null, btf_id: number): string {
	if (!btf || btf_id === 0) return "<invalid>";
	return btf_type_name(btf, btf_id).slice(ITER_PREFIX_LEN);
}

/** kernel/bpf/log.c: iter_state_str */
export function iter_state_str(state: number): string {
	switch (state) {
		case BPF_ITER_STATE_ACTIVE:
			return "active";
		case BPF_ITER_STATE_DRAINED:
			return "drained";
		case BPF_ITER_STATE_INVALID:
			return "<invalid>";
		default:
			return "<unknown>";
	}
}

/** By STACK_*: invalid, spill, misc, zero, dynptr, iterator. */
const SLOT_TYPE_CHAR = "?rm0di";

function liveness(live: number): string {
	if ((live & (REG_LIVE_READ | REG_LIVE_WRITTEN | REG_LIVE_DONE)) === 0) return "";
	return `_${live & REG_LIVE_READ ? "r" : ""}${live & REG_LIVE_WRITTEN ? "w" : ""}${live & REG_LIVE_DONE ? "D" : ""}`;
}

function hex(v: bigint): string {
	return `0x${BigInt.asUintN(64, v).toString(16)}`;
}

/** kernel/bpf/log.c: verbose_unum; of a u64 */
export function unum(v: bigint): string {
	return v >= 0n && v <= 65535n ? v.toString() : hex(v);
}

/** kernel/bpf/log.c: verbose_snum; of an s64 */
export function snum(v: bigint): string {
	return v >= -32768n && v <= 32767n ? v.toString() : hex(v);
}

/** kernel/bpf/log.c: tnum_strn */
export function tnum_strn(value: bigint, mask: bigint): string {
	return strn({ value, mask });
}

const S64_MIN = -(1n << 63n);
const S64_MAX = (1n << 63n) - 1n;
const U64_MAX = (1n << 64n) - 1n;

/** An s32 bound as it is shown: sign-extended when it prints as a decimal, else its 32 bits. */
function s32_shown(v: number): bigint {
	return v >= -32768 && v <= 32767 ? BigInt(v) : BigInt(v >>> 0);
}

const RANGE_NAMES = ["smin", "smax", "umin", "umax", "smin32", "smax32", "umin32", "umax32"];

/** kernel/bpf/log.c: print_scalar_ranges */
function scalar_ranges(reg: bpf_reg_state): string {
	const smin = reg.smin_value;
	const smax = reg.smax_value;
	const umin = reg.umin_value;
	const umax = reg.umax_value;
	const s32_min = reg.s32_min_value;
	const s32_max = reg.s32_max_value;
	const u32_min = reg.u32_min_value;
	const u32_max = reg.u32_max_value;
	const vals = [
		smin,
		smax,
		BigInt.asIntN(64, umin),
		BigInt.asIntN(64, umax),
		s32_shown(s32_min),
		s32_shown(s32_max),
		BigInt(u32_min),
		BigInt(u32_max),
	];
	const omit = [
		smin === S64_MIN,
		smax === S64_MAX,
		umin === 0n,
		umax === U64_MAX,
		s32_min === -2147483648,
		s32_max === 2147483647,
		u32_min === 0,
		u32_max === UINT_MAX,
	];
	let out = "";
	for (let i = 0; i < 8; i++) {
		if (omit[i]) continue;
		const v = vals[i]!;
		// smin, smax, umin, umax, and again for 32 bits
		const is_signed = (i & 2) === 0;
		const neg = is_signed && v < 0n;
		out += `,${RANGE_NAMES[i]}=`;
		// Minima with minima, maxima with maxima, and never a negative number with a positive one.
		for (let j = i + 2; j < 8; j += 2) {
			if (omit[j] || vals[j] !== v) continue;
			if (((j & 2) === 0 && v < 0n) !== neg) continue;
			omit[j] = true;
			out += `${RANGE_NAMES[j]}=`;
		}
		out += is_signed ? snum(v) : unum(BigInt.asUintN(64, v));
	}
	return out;
}

/** kernel/bpf/log.c: print_reg_state, as text */
export function reg_state_str(env: bpf_verifier_env, state: bpf_func_state, reg: bpf_reg_state): string {
	const t = reg.type;
	const base = t & BPF_BASE_TYPE_MASK;
	let out = "";

	if (t === SCALAR_VALUE) {
		if (reg.precise) out = "P";
		if (reg.var_off_is_const) return out + snum(BigInt.asIntN(64, reg.var_off_value));
	}
	out += reg_type_str(env, t);
	if (t === PTR_TO_ARENA) return out;
	if (t === PTR_TO_STACK) {
		if (state.frameno !== reg.frameno) out += `[${reg.frameno}]`;
		if (reg.var_off_is_const) return out + snum(BigInt.asIntN(64, reg.var_off_value + BigInt(reg.off)));
	}
	if (base === PTR_TO_BTF_ID) out += btf_type_name(reg.btf!, reg.btf_id);
	return `${out}(${reg_attrs_str(reg, t)})`;
}

/** The attributes between the parentheses, each but the first with a comma before it. */
function reg_attrs_str(reg: bpf_reg_state, t: number): string {
	const base = t & BPF_BASE_TYPE_MASK;
	const id = reg.id;
	let out = "";

	if (id) out += `,id=${id & ~BPF_ADD_CONST}`;
	// The distance of a linked scalar belongs to its id.
	if (id >= BPF_ADD_CONST) out += reg.off < 0 ? `${reg.off}` : `+${reg.off}`;
	if (reg.ref_obj_id) out += `,ref_obj_id=${reg.ref_obj_id | 0}`;
	if ((t & (MEM_ALLOC | NON_OWN_REF)) === (MEM_ALLOC | NON_OWN_REF)) out += ",non_own_ref";
	if (base === CONST_PTR_TO_MAP || base === PTR_TO_MAP_KEY || base === PTR_TO_MAP_VALUE) {
		const map = reg.map_ptr!;
		if (map.name) out += `,map=${map.name}`;
		out += `,ks=${map.key_size | 0},vs=${map.value_size | 0}`;
	}
	if (t !== SCALAR_VALUE && reg.off) out += `,off=${snum(BigInt(reg.off))}`;
	if (base === PTR_TO_PACKET || base === PTR_TO_PACKET_META)
		out += `,r=${unum(BigInt.asUintN(64, BigInt(reg.range)))}`;
	if (base === PTR_TO_MEM) out += `,sz=${unum(BigInt(reg.mem_size))}`;
	if (t === CONST_PTR_TO_DYNPTR) out += `,type=${dynptr_type_str(reg.dynptr_type)}`;
	if (reg.var_off_is_const) {
		if (!reg.var_off_equals(0)) out += `,imm=${snum(BigInt.asIntN(64, reg.var_off_value))}`;
	} else {
		out += scalar_ranges(reg);
		if (!reg.var_off_is_unknown) out += `,var_off=${tnum_strn(reg.var_off_value, reg.var_off_mask)}`;
	}
	return out.charCodeAt(0) === 0x2c ? out.slice(1) : out;
}

/** include/linux/bpf_verifier.h: mark_reg_scratched */
export function mark_reg_scratched(env: bpf_verifier_env, regno: number): void {
	env.scratched_regs |= 1 << regno;
}

/** include/linux/bpf_verifier.h: mark_stack_slot_scratched */
export function mark_stack_slot_scratched(env: bpf_verifier_env, spi: number): void {
	env.scratched_stack_slots[spi & 32 ? 1 : 0] |= 1 << (spi & 31);
}

/** include/linux/bpf_verifier.h: reg_scratched */
export function reg_scratched(env: bpf_verifier_env, regno: number): boolean {
	return ((env.scratched_regs >>> regno) & 1) !== 0;
}

/** include/linux/bpf_verifier.h: stack_slot_scratched */
export function stack_slot_scratched(env: bpf_verifier_env, spi: number): boolean {
	return ((env.scratched_stack_slots[(spi >> 5) & 1]! >>> (spi & 31)) & 1) !== 0;
}

/** include/linux/bpf_verifier.h: verifier_state_scratched */
export function verifier_state_scratched(env: bpf_verifier_env): boolean {
	const s = env.scratched_stack_slots;
	return (env.scratched_regs | s[0] | s[1]) !== 0;
}

/** include/linux/bpf_verifier.h: mark_verifier_state_clean */
export function mark_verifier_state_clean(env: bpf_verifier_env): void {
	env.scratched_regs = 0;
	env.scratched_stack_slots[0] = 0;
	env.scratched_stack_slots[1] = 0;
}

/** include/linux/bpf_verifier.h: mark_verifier_state_scratched */
export function mark_verifier_state_scratched(env: bpf_verifier_env): void {
	env.scratched_regs = -1;
	env.scratched_stack_slots[0] = -1;
	env.scratched_stack_slots[1] = -1;
}

/** kernel/bpf/log.c: print_verifier_state */
export function print_verifier_state(env: bpf_verifier_env, state: bpf_func_state, print_all: boolean): void {
	if (env.log.level === 0) {
		if (!print_all) mark_verifier_state_clean(env);
		return;
	}
	let out = state.frameno ? ` frame${state.frameno}:` : "";

	for (let i = 0; i < __MAX_BPF_REG; i++) {
		const reg = state.regs[i]!;
		if (reg.type === NOT_INIT) continue;
		if (!print_all && !reg_scratched(env, i)) continue;
		out += ` R${i}${liveness(reg.live)}=${reg_state_str(env, state, reg)}`;
	}
	const slots = state.allocated_stack / BPF_REG_SIZE;
	for (let i = 0; i < slots; i++) {
		if (!print_all && !stack_slot_scratched(env, i)) continue;
		const slot = state.stack(i);
		let types = "";
		let valid = false;
		for (let j = 0; j < BPF_REG_SIZE; j++) {
			const st = slot.slot_type(j);
			if (st !== STACK_INVALID) valid = true;
			types += SLOT_TYPE_CHAR[st] ?? "";
		}
		if (!valid) continue;

		let reg = slot.spilled_ptr;
		const at = ` fp${(-i - 1) * BPF_REG_SIZE}${liveness(reg.live)}`;
		switch (slot.slot_type(BPF_REG_SIZE - 1)) {
			case STACK_SPILL: {
				// Of a narrow spill, the other bytes stand before it.
				const j = types.indexOf("r");
				out += `${at}=${types.slice(0, j)}${reg_state_str(env, state, reg)}`;
				break;
			}
			case STACK_DYNPTR: {
				i += BPF_DYNPTR_NR_SLOTS - 1;
				reg = state.stack(i).spilled_ptr;
				const attrs: string[] = [];
				if (reg.id) attrs.push(`id=${reg.id | 0}`);
				if (reg.ref_obj_id) attrs.push(`ref_id=${reg.ref_obj_id | 0}`);
				if (reg.dynptr_id) attrs.push(`dynptr_id=${reg.dynptr_id | 0}`);
				out += ` fp${(-i - 1) * BPF_REG_SIZE}${liveness(reg.live)}=dynptr_${dynptr_type_str(reg.dynptr_type)}(${attrs.join(",")})`;
				break;
			}
			case STACK_ITER:
				// Only the first slot carries the reference.
				if (!reg.ref_obj_id) continue;
				out +=
					`${at}=iter_${iter_type_str(reg.iter_btf, reg.iter_btf_id)}(ref_id=${reg.ref_obj_id | 0}` +
					`,state=${iter_state_str(reg.iter_state)},depth=${reg.iter_depth >>> 0})`;
				break;
			default:
				out += `${at}=${types}`;
				break;
		}
	}
	const refs = state.refs;
	if (refs.length !== 0 && refs[0]!.id) {
		out += ` refs=${refs[0]!.id}`;
		for (let i = 1; i < refs.length; i++) if (refs[i]!.id) out += `,${refs[i]!.id}`;
	}
	if (state.in_callback_fn) out += " cb";
	if (state.in_async_callback_fn) out += " async_cb";
	emit(env.log, `${out}\n`);
	if (!print_all) mark_verifier_state_clean(env);
}

function vlog_alignment(pos: number): number {
	const m = Math.max(pos + BPF_LOG_MIN_ALIGNMENT / 2, BPF_LOG_ALIGNMENT);
	return Math.ceil(m / BPF_LOG_MIN_ALIGNMENT) * BPF_LOG_MIN_ALIGNMENT - pos - 1;
}

/** kernel/bpf/log.c: print_insn_state */
export function print_insn_state(env: bpf_verifier_env, state: bpf_func_state): void {
	if (env.prev_log_pos && env.prev_log_pos === env.log.end_pos) {
		// The state goes on the instruction's line: take back its newline.
		bpf_vlog_reset(env.log, env.prev_log_pos - 1);
		verbose(env, `${" ".repeat(Math.max(vlog_alignment(env.prev_insn_print_pos), 1))};`);
	} else {
		verbose(env, `${env.insn_idx}:`);
	}
	print_verifier_state(env, state, false);
}
