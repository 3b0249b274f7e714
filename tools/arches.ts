// SPDX-License-Identifier: GPL-2.0-only
/** `--arch`: the architectures that a command takes. */
import type { MirrorArch } from "./mirror.ts";

/** All of them, in the order in which they are shown. */
export const ARCHES: readonly MirrorArch[] = ["x86_64", "arm64"];

/** The architectures of `--arch x86_64,arm64`, each once, in ARCHES' order; or what is wrong with the list. */
export function parseArches(text: string): MirrorArch[] | string {
	const names = text.split(",").map((s) => s.trim());
	const wrong = names.find((n) => !ARCHES.some((a) => a === n));
	if (wrong !== undefined)
		return `--arch takes ${ARCHES.join(", ")} or both with a comma between, not '${wrong}'`;
	return ARCHES.filter((a) => names.includes(a));
}

/** `report.json` of one of several architectures: `report.arm64.json`. */
export function fileOfArch(path: string, arch: MirrorArch): string {
	const dot = path.lastIndexOf(".");
	return dot > path.lastIndexOf("/") + 1
		? `${path.slice(0, dot)}.${arch}${path.slice(dot)}`
		: `${path}.${arch}`;
}
