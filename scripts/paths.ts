// SPDX-License-Identifier: GPL-2.0-only
/** Folders of the project. */
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The project's root. */
export function rootDir(): string {
	return dirname(dirname(fileURLToPath(import.meta.url)));
}

/** What set-up fetched and built: .cache in the project. */
export function cacheDir(): string {
	return join(rootDir(), ".cache");
}

/** Where the kernel's source, and what is built from it, lies: outside the project, which holds nothing of it. */
export function upstreamCache(): string {
	return process.env.BPF_MIRROR_CACHE ?? join(homedir(), ".cache/bpf-mirror");
}
