// SPDX-License-Identifier: GPL-2.0-only
/**
 * A tap on the verifier's log, for the report of messages that no test reaches (scripts/messages.ts). It is off
 * unless $BPF_MIRROR_MESSAGES names a folder: then every process writes there what its kernels said, each text once.
 */
import { appendFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";

export const MESSAGES_ENV = "BPF_MIRROR_MESSAGES";

export type MessageTap = (text: string) => void;

/** Numbers say nothing about which message it is. */
export function plainMessage(text: string): string {
	return text.replace(/\d+/g, "0");
}

/** A tap that writes where the environment says; undefined when it is off. */
export function openMessageTap(): MessageTap | undefined {
	const dir = process.env[MESSAGES_ENV];
	if (!dir) return undefined;
	mkdirSync(dir, { recursive: true });
	const file = join(dir, `${process.pid}.jsonl`);
	const seen = new Set<string>();
	return (text) => {
		const plain = plainMessage(text);
		if (seen.has(plain) || plain.length > 2000) return;
		seen.add(plain);
		appendFileSync(file, `${JSON.stringify(plain)}\n`);
	};
}
