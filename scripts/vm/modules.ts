// SPDX-License-Identifier: GPL-2.0-only
/** Kernel modules that the virtual machine needs before its agent can be heard. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { decompress } from "fzstd";
import { VmMissing } from "./debian.ts";

/** What the agent's port hangs on, and the configuration that says that it is no module. */
const NEEDED = [
	{ module: "virtio_pci", config: "CONFIG_VIRTIO_PCI" },
	{ module: "virtio_console", config: "CONFIG_VIRTIO_CONSOLE" },
];

function moduleFiles(dir: string): Map<string, string> {
	const out = new Map<string, string>();
	for (const f of readdirSync(dir, { recursive: true, encoding: "utf8" })) {
		const m = /^(.*)\.ko(\.xz|\.gz|\.zst)?$/.exec(basename(f));
		if (m) out.set(m[1]!.replaceAll("-", "_"), join(dir, f));
	}
	return out;
}

function moduleBytes(path: string): Uint8Array {
	const raw = readFileSync(path);
	if (path.endsWith(".gz")) return gunzipSync(raw);
	if (path.endsWith(".zst")) return decompress(raw);
	if (!path.endsWith(".xz")) return raw;
	const r = spawnSync("xz", ["-dc"], { input: raw, maxBuffer: 1 << 28 });
	if (r.error || r.status !== 0)
		throw new VmMissing(`${path} cannot be unpacked: xz is missing, or the file is broken`);
	return r.stdout;
}

/** `depends=` of .modinfo: names, as the module itself writes them. */
function dependsOf(bytes: Uint8Array): string[] {
	const text = Buffer.from(bytes).toString("latin1");
	const m = /\0depends=([^\0]*)\0/.exec(text);
	return m?.[1] ? m[1].split(",").map((n) => n.replaceAll("-", "_")) : [];
}

/** The modules to load, in order. `config` is the kernel's configuration, where it is known. */
export function virtioModules(modulesDir: string | null, config: string | null): Uint8Array[] {
	const missing = NEEDED.filter((n) => config === null || !config.includes(`${n.config}=y`));
	if (!missing.length || (config === null && modulesDir === null)) return [];
	const off = missing.find((n) => config !== null && !config.includes(`${n.config}=m`));
	if (off) throw new VmMissing(`this kernel was built without ${off.config}: the agent could not be heard`);
	if (modulesDir === null || !existsSync(modulesDir))
		throw new VmMissing(
			`${missing[0]!.config} is a module of this kernel: name the folder of its modules (--modules)`,
		);
	const files = moduleFiles(modulesDir);
	const out = new Map<string, Uint8Array>();
	const add = (name: string): void => {
		const file = files.get(name);
		if (file === undefined || out.has(name)) return;
		const bytes = moduleBytes(file);
		for (const d of dependsOf(bytes)) add(d);
		out.set(name, bytes);
	};
	for (const n of missing) add(n.module);
	return [...out.values()];
}
