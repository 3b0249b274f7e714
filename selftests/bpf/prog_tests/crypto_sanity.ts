// SPDX-License-Identifier: GPL-2.0-only
/** Ciphers of programs, held against FIPS 197 and SP 800-38A (prog_tests/crypto_sanity.c, progs/crypto_basic.c). */
import { EINVAL, ENOENT, EOPNOTSUPP } from "../../../include/uapi/asm-generic/errno.ts";
import { bpf_prog_test_run_opts } from "../../../tools/lib/bpf/libbpf.ts";
import { Skel } from "../skel.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

/** struct bpf_crypto_params */
const RESERVED = 14;
const ALGO = 16;
const KEY = 144;
const KEY_LEN = 400;
const AUTHSIZE = 404;
const SIZE = 408;

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"));
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

function params(type: string, algo: string, key: Uint8Array, key_len = key.length): Uint8Array {
	const b = new Uint8Array(SIZE);
	b.set(new TextEncoder().encode(type));
	b.set(new TextEncoder().encode(algo), ALGO);
	b.set(key, KEY);
	new DataView(b.buffer).setUint32(KEY_LEN, key_len, true);
	return b;
}

function setup(t: TestEnv, skel: Skel, p: Uint8Array): bigint {
	skel.setBytes("params", p);
	t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog("setup").fd, {}), "setup");
	return skel.get("status");
}

function crypt(t: TestEnv, skel: Skel, prog: "encrypt" | "decrypt", src: Uint8Array): Uint8Array {
	const data_in = new Uint8Array(64 + src.length);
	data_in.set(src, 16);
	t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog(prog).fd, { data_in, repeat: 1 }), prog);
	return skel.bytes("dst");
}

const AES128 = hex("2b7e151628aed2a6abf7158809cf4f3c");
const PLAIN = hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51");
const ECB = "3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf";
const CBC = "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2";
const IV = "000102030405060708090a0b0c0d0e0f";

function errors(t: TestEnv, skel: Skel): void {
	const ok = params("skcipher", "ecb(aes)", AES128);
	const change = (fn: (b: Uint8Array) => void): Uint8Array => {
		const b = Uint8Array.from(ok);
		fn(b);
		return b;
	};
	t.ASSERT_EQ(setup(t, skel, params("aead", "ecb(aes)", AES128)), -ENOENT, "type");
	t.ASSERT_EQ(setup(t, skel, params("skcipher", "none(aes)", AES128)), -EOPNOTSUPP, "algorithm");
	t.ASSERT_EQ(setup(t, skel, params("skcipher", "ecb(aes)", AES128, 15)), -EINVAL, "AES's key");
	t.ASSERT_EQ(setup(t, skel, params("skcipher", "ecb(aes)", AES128, 0)), -EINVAL, "no key");
	t.ASSERT_EQ(setup(t, skel, params("skcipher", "ecb(aes)", AES128, 257)), -EINVAL, "long key");
	t.ASSERT_EQ(
		setup(
			t,
			skel,
			change((b) => b.fill(1, RESERVED, RESERVED + 1)),
		),
		-EINVAL,
		"reserved",
	);
	t.ASSERT_EQ(
		setup(
			t,
			skel,
			change((b) => b.fill(1, AUTHSIZE, AUTHSIZE + 1)),
		),
		-EOPNOTSUPP,
		"authsize",
	);
	skel.set("params_size", 8);
	t.ASSERT_EQ(setup(t, skel, ok), -EINVAL, "size");
	skel.set("params_size", SIZE);
}

function ecb(t: TestEnv, skel: Skel): void {
	t.ASSERT_EQ(setup(t, skel, params("skcipher", "ecb(aes)", AES128)), 0, "ecb(aes)");
	skel.set("iv_len", 0);
	skel.set("dst_len", 32);
	t.ASSERT_STREQ(text(crypt(t, skel, "encrypt", PLAIN).subarray(0, 32)), ECB, "ciphertext");
	t.ASSERT_EQ(skel.get("status"), 0, "encrypt");
	t.ASSERT_STREQ(text(crypt(t, skel, "decrypt", hex(ECB)).subarray(0, 32)), text(PLAIN), "plaintext");
	skel.set("dst_len", 31);
	crypt(t, skel, "encrypt", PLAIN);
	t.ASSERT_EQ(skel.get("status"), -EINVAL, "no room");
	skel.set("dst_len", 32);
	skel.set("iv_len", 16);
	crypt(t, skel, "encrypt", PLAIN);
	t.ASSERT_EQ(skel.get("status"), -EINVAL, "an iv that ecb has not");
	skel.set("iv_len", 0);
	skel.setBytes("dst", new Uint8Array(64));
	const part = crypt(t, skel, "encrypt", PLAIN.subarray(0, 20));
	t.ASSERT_EQ(skel.get("status"), -EINVAL, "half a block");
	t.ASSERT_STREQ(text(part.subarray(0, 32)), ECB.slice(0, 32) + "00".repeat(16), "whole blocks are done");
}

function cbc(t: TestEnv, skel: Skel): void {
	t.ASSERT_EQ(setup(t, skel, params("skcipher", "cbc(aes)", AES128)), 0, "cbc(aes)");
	skel.set("iv_len", 16);
	skel.set("dst_len", 64);
	skel.setBytes("iv", hex(IV));
	t.ASSERT_STREQ(text(crypt(t, skel, "encrypt", PLAIN).subarray(0, 32)), CBC, "ciphertext");
	t.ASSERT_EQ(skel.get("status"), 0, "encrypt");
	t.ASSERT_STREQ(text(skel.bytes("iv")), CBC.slice(32), "the iv goes on");
	skel.setBytes("iv", hex(IV));
	t.ASSERT_STREQ(text(crypt(t, skel, "decrypt", hex(CBC)).subarray(0, 32)), text(PLAIN), "plaintext");
	skel.set("iv_len", 8);
	crypt(t, skel, "decrypt", hex(CBC));
	t.ASSERT_EQ(skel.get("status"), -EINVAL, "short iv");
}

export const cryptoSanity: ProgTest = {
	name: "crypto_sanity",
	run(t) {
		const skel = Skel.openAndLoad(t, "crypto_sanity");
		if (!skel) return;
		crypt(t, skel, "encrypt", PLAIN);
		t.ASSERT_EQ(skel.get("status"), -2, "no context yet");
		if (t.startSubtest("errors")) errors(t, skel);
		if (t.startSubtest("ecb")) ecb(t, skel);
		if (t.startSubtest("cbc")) cbc(t, skel);
		t.endSubtest();
		skel.destroy();
	},
};
