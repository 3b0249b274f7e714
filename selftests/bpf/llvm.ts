// SPDX-License-Identifier: GPL-2.0-only
/**
 * LLVM's disassembler, as test_loader uses it (llvm-c/Disassembler.h), from the libLLVM that clang brings.
 * Nothing is downloaded here: without a library there is no disassembler.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import koffi from "koffi";

/** The variable that names a libLLVM by hand. */
export const LLVM_ENV = "BPF_MIRROR_LLVM";

const REFERENCE_NONE = 0n;
const REFERENCE_IN_BRANCH = 1n;
const OPTION_PRINT_IMM_HEX = 2n;
const TEXT_SIZE = 64;
const NAME_SIZE = 8;

const TARGETS = {
	x86_64: { target: "X86", triple: "x86_64-pc-linux-gnu" },
	arm64: { target: "AArch64", triple: "aarch64-unknown-linux-gnu" },
} as const;

/** What a branch target is called: its name, or null. Called for each branch that is disassembled. */
export type LookupSymbol = (target: bigint) => string | null;

/** An instruction's text, with a tab before the mnemonic and another behind it, and its length in bytes. */
export interface LlvmInsn {
	text: string;
	length: number;
}

/** A disassembler of one architecture: AT&T syntax on x86, immediates in hexadecimal. */
export interface LlvmDisasm {
	/** The instruction at `pc` of `code`, as if `code` began at address 0; null when LLVM knows none. */
	insn(code: Uint8Array, pc: number, lookup: LookupSymbol): LlvmInsn | null;
	close(): void;
}

/** Every libLLVM here, the likeliest first. */
function candidates(): string[] {
	const given = process.env[LLVM_ENV];
	if (given) return [given];
	const own = fileURLToPath(new URL("../../.cache/clang/usr/lib", import.meta.url));
	const dirs: string[] = [];
	for (const root of [own, "/usr/lib"]) {
		if (!existsSync(root)) continue;
		for (const d of readdirSync(root)) {
			if (d.endsWith("-linux-gnu")) dirs.push(join(root, d));
			else if (d.startsWith("llvm-")) dirs.push(join(root, d, "lib"));
		}
		dirs.push(root);
	}
	const found: string[] = [];
	for (const dir of dirs) {
		if (!existsSync(dir)) continue;
		for (const name of readdirSync(dir).sort().reverse())
			if (/^libLLVM(-\d+)?\.so/.test(name)) found.push(join(dir, name));
	}
	return found;
}

function load(): ReturnType<typeof koffi.load> | null {
	for (const path of candidates()) {
		try {
			return koffi.load(path);
		} catch {
			// of another architecture, or without what it needs: the next one
		}
	}
	return null;
}

/** A disassembler for the architecture; null where no libLLVM can be used. */
export function open_llvm_disasm(arch: "x86_64" | "arm64"): LlvmDisasm | null {
	const lib = load();
	if (!lib) return null;
	const { target, triple } = TARGETS[arch];
	try {
		for (const part of ["TargetInfo", "TargetMC", "Disassembler"])
			lib.func(`void LLVMInitialize${target}${part}()`)();
	} catch {
		// built without this target
		return null;
	}
	let lookup: LookupSymbol = () => null;
	const name = koffi.alloc("char", NAME_SIZE);
	const proto = koffi.proto("void *(void *data, uint64_t value, void *type, uint64_t pc, void *name)");
	const callback = koffi.register(
		(_data: unknown, value: number | bigint, type: unknown, _pc: unknown, out: unknown) => {
			const kind = BigInt(koffi.decode(type, "uint64_t") as number | bigint);
			koffi.encode(type, "uint64_t", REFERENCE_NONE);
			koffi.encode(out, "void *", null);
			if (kind !== REFERENCE_IN_BRANCH) return null;
			const symbol = lookup(BigInt.asUintN(64, BigInt(value)));
			if (symbol === null) return null;
			koffi.encode(name, koffi.array("char", NAME_SIZE), symbol);
			return name;
		},
		koffi.pointer(proto),
	);
	const create = lib.func("LLVMCreateDisasm", "void *", ["str", "void *", "int", "void *", "void *"]);
	const set_options = lib.func("int LLVMSetDisasmOptions(void *, uint64_t)");
	const insn_fn = lib.func("LLVMDisasmInstruction", "size_t", [
		"void *",
		"void *",
		"uint64_t",
		"uint64_t",
		"void *",
		"size_t",
	]);
	const dispose = lib.func("void LLVMDisasmDispose(void *)");
	const ctx = create(triple, null, 0, null, callback) as unknown;
	if (!ctx || set_options(ctx, OPTION_PRINT_IMM_HEX) !== 1) {
		if (ctx) dispose(ctx);
		koffi.unregister(callback);
		return null;
	}
	const text = new Uint8Array(TEXT_SIZE);
	return {
		insn(code, pc, find) {
			lookup = find;
			const n = Number(insn_fn(ctx, code.subarray(pc), code.length - pc, pc, text, TEXT_SIZE));
			if (n === 0) return null;
			return { text: Buffer.from(text.subarray(0, text.indexOf(0))).toString("latin1"), length: n };
		},
		close() {
			dispose(ctx);
			koffi.unregister(callback);
		},
	};
}
