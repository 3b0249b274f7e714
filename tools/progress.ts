// SPDX-License-Identifier: GPL-2.0-only
/** How far a long run is: one line that changes on a terminal, a line now and then elsewhere. */

const TERMINAL_MS = 100;
const FILE_MS = 30_000;

/** What progress is written to; process.stderr is one. */
export interface ProgressOutput {
	readonly isTTY?: boolean;
	write(text: string): unknown;
}

/** Progress of one run. */
export class Progress {
	private readonly out: ProgressOutput;
	private readonly now: () => number;
	private told: number;
	private shown = false;

	constructor(out: ProgressOutput = process.stderr, now: () => number = Date.now) {
		this.out = out;
		this.now = now;
		// a run that is over soon says nothing where lines stay
		this.told = out.isTTY ? 0 : now();
	}

	/** It is there now; `text` is made only when it is written. */
	at(text: () => string): void {
		const now = this.now();
		if (now - this.told < (this.out.isTTY ? TERMINAL_MS : FILE_MS)) return;
		this.told = now;
		this.shown = this.out.isTTY === true;
		this.out.write(this.out.isTTY ? `\r\x1b[K${text()}` : `${text()}\n`);
	}

	/** Make room for other output, and at the end. */
	clear(): void {
		if (this.shown) this.out.write("\r\x1b[K");
		this.shown = false;
	}
}
