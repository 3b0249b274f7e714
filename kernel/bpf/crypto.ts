// SPDX-License-Identifier: GPL-2.0-only
/**
 * kernel/bpf/crypto.c with crypto/bpf_crypto_skcipher.c: ciphers of programs. Of the ciphers that come as an
 * lskcipher, ecb(aes) and cbc(aes) are here; any other algorithm is one that this kernel does not have.
 */
import { createCipheriv, createDecipheriv } from "node:crypto";
import { EINVAL, ENOENT, ENOMEM, EOPNOTSUPP } from "../../include/uapi/asm-generic/errno.ts";
import { addr_to_u64, u64_to_addr } from "../../lib/addr.ts";
import type { KernelImpl } from "../kernel_impl.ts";
import { bpf_dynptr_read_kern, type dynptr } from "./dynptr.ts";
import type { HelperBody } from "./helper_types.ts";
import { koffsetof, ksizeof } from "./layout.ts";

const AES_BLOCK_SIZE = 16;
/** sizeof(params->type), sizeof(params->algo), sizeof(params->key) */
const TYPE_LEN = 14;
const ALGO_LEN = 128;
const KEY_LEN = 256;

type Mode = "ecb" | "cbc";
const ALGOS: Readonly<Record<string, Mode>> = {
	"ecb(aes)": "ecb",
	"ecb(aes-generic)": "ecb",
	"cbc(aes)": "cbc",
	"cbc(aes-generic)": "cbc",
};

/** The transformation behind ctx->tfm, in guest memory: mode, length of the key, key. */
const TFM_SIZE = 40;

/** One block through AES. */
function aes_block(key: Uint8Array, block: Uint8Array, decrypt: boolean): Uint8Array {
	const name = `aes-${key.length * 8}-ecb`;
	const c = decrypt ? createDecipheriv(name, key, null) : createCipheriv(name, key, null);
	c.setAutoPadding(false);
	return c.update(block);
}

/** crypto/ecb.c, crypto/cbc.c: whole blocks; a rest is -EINVAL, with the blocks before it done. */
export function lskcipher_crypt(
	mode: Mode,
	key: Uint8Array,
	src: Uint8Array,
	iv: Uint8Array,
	decrypt: boolean,
): { out: Uint8Array; iv: Uint8Array; err: number } {
	const n = src.length - (src.length % AES_BLOCK_SIZE);
	const out = new Uint8Array(n);
	let chain = Uint8Array.from(iv);
	for (let at = 0; at < n; at += AES_BLOCK_SIZE) {
		const block = Uint8Array.from(src.subarray(at, at + AES_BLOCK_SIZE));
		if (mode === "ecb") out.set(aes_block(key, block, decrypt), at);
		else if (decrypt) {
			out.set(
				aes_block(key, block, true).map((b, i) => b ^ chain[i]!),
				at,
			);
			chain = block;
		} else {
			chain = Uint8Array.from(
				aes_block(
					key,
					block.map((b, i) => b ^ chain[i]!),
					false,
				),
			);
			out.set(chain, at);
		}
	}
	return { out, iv: chain, err: n === src.length ? 0 : -EINVAL };
}

/** Hang the bodies on the kernel. */
export function register_crypto(k: KernelImpl): void {
	const { bodies } = k.bpf;
	const { kmem } = k;
	const p = u64_to_addr;
	const field = (ctx: bigint, name: string): number => p(ctx) + koffsetof(k, "bpf_crypto_ctx", name);

	bodies.set("bpf_crypto_ctx_create", (_c, params64, size, err_at) => {
		const fail = (err: number): bigint => {
			kmem.w32(p(err_at), err >>> 0);
			return 0n;
		};
		const params = p(params64);
		const at = (name: string): number => params + koffsetof(k, "bpf_crypto_params", name);
		if (
			!params64 ||
			kmem.r16(at("reserved")) !== 0 ||
			(size & 0xffffffffn) !== BigInt(ksizeof(k, "bpf_crypto_params"))
		)
			return fail(-EINVAL);
		if (kmem.cstring(at("type"), TYPE_LEN) !== "skcipher") return fail(-ENOENT);
		const mode = ALGOS[kmem.cstring(at("algo"), ALGO_LEN)];
		if (!mode) return fail(-EOPNOTSUPP);
		// an skcipher has no setauthsize()
		if (kmem.r32(at("authsize")) !== 0) return fail(-EOPNOTSUPP);
		const key_len = kmem.r32(at("key_len"));
		if (!key_len || key_len > KEY_LEN) return fail(-EINVAL);
		const ctx = kmem.kzalloc(ksizeof(k, "bpf_crypto_ctx"));
		if (!ctx) return fail(-ENOMEM);
		const tfm = kmem.kzalloc(TFM_SIZE);
		if (!tfm) {
			kmem.kfree(ctx);
			return fail(-ENOMEM);
		}
		// aes_expandkey()
		if (key_len !== 16 && key_len !== 24 && key_len !== 32) {
			kmem.kfree(tfm);
			kmem.kfree(ctx);
			return fail(-EINVAL);
		}
		kmem.w32(tfm, mode === "cbc" ? 1 : 0);
		kmem.w32(tfm + 4, key_len);
		kmem.write(tfm + 8, kmem.read(at("key"), key_len));
		const u = addr_to_u64(ctx);
		kmem.wptr(field(u, "tfm"), tfm);
		kmem.w32(field(u, "siv_len"), mode === "cbc" ? AES_BLOCK_SIZE : 0);
		kmem.w32(field(u, "usage"), 1);
		kmem.w32(p(err_at), 0);
		return u;
	});
	bodies.set("bpf_crypto_ctx_acquire", (_c, ctx) => {
		const n = kmem.r32(field(ctx, "usage"));
		if (n === 0) return 0n;
		kmem.w32(field(ctx, "usage"), n + 1);
		return ctx;
	});
	const release: HelperBody = (_c, ctx) => {
		const left = kmem.r32(field(ctx, "usage")) - 1;
		kmem.w32(field(ctx, "usage"), left);
		// crypto_free_cb()
		if (left === 0)
			k.rcu.call(() => {
				kmem.kfree(kmem.rptr(field(ctx, "tfm")));
				kmem.kfree(p(ctx));
			});
		return 0n;
	};
	bodies.set("bpf_crypto_ctx_release", release);
	bodies.set("bpf_crypto_ctx_release_dtor", release);

	/** kernel/bpf/helpers.c: __bpf_dynptr_data, 0 when the bytes are not in one piece */
	const dynptr_data = (c: Parameters<HelperBody>[0], ptr: bigint, len: number): number =>
		p(bodies.get("bpf_dynptr_slice")!(c, ptr, 0n, 0n, BigInt(len), 0n));
	/** kernel/bpf/crypto.c: bpf_crypto_crypt */
	const crypt =
		(decrypt: boolean): HelperBody =>
		(c, ctx, src, dst, siv) => {
			const s: dynptr = bpf_dynptr_read_kern(kmem, p(src));
			const d: dynptr = bpf_dynptr_read_kern(kmem, p(dst));
			const v: dynptr | null = siv ? bpf_dynptr_read_kern(kmem, p(siv)) : null;
			const inval = BigInt(-EINVAL);
			if (d.rdonly) return inval;
			if (!s.size || !d.size || s.size > d.size) return inval;
			const siv_len = v?.size ?? 0;
			if (siv_len !== kmem.r32(field(ctx, "siv_len"))) return inval;
			const psrc = dynptr_data(c, src, s.size);
			if (!psrc) return inval;
			const pdst = dynptr_data(c, dst, d.size);
			if (!pdst) return inval;
			const piv = v && siv_len ? (v.rdonly ? 0 : dynptr_data(c, siv, siv_len)) : 0;
			if (siv_len && !piv) return inval;
			const tfm = kmem.rptr(field(ctx, "tfm"));
			const mode = kmem.r32(tfm) === 1 ? "cbc" : "ecb";
			const key = kmem.read(tfm + 8, kmem.r32(tfm + 4));
			const iv = siv_len ? kmem.read(piv, siv_len) : new Uint8Array(0);
			const r = lskcipher_crypt(mode, key, kmem.read(psrc, s.size), iv, decrypt);
			kmem.write(pdst, r.out);
			if (siv_len) kmem.write(piv, r.iv);
			return BigInt(r.err);
		};
	bodies.set("bpf_crypto_decrypt", crypt(true));
	bodies.set("bpf_crypto_encrypt", crypt(false));
}
