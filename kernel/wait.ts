// SPDX-License-Identifier: GPL-2.0-only
/** Wait queues (kernel/sched/wait.c): who sleeps on an event is called back at its wake-up. */

export interface wait_queue_entry {
	/** Called at every wake-up of the queue; the key is the poll mask, 0 when unknown. */
	func(key: number): void;
	exclusive?: boolean;
}

/** struct wait_queue_head */
export class wait_queue_head {
	readonly entries: Set<wait_queue_entry> = new Set();
	add(e: wait_queue_entry): void {
		this.entries.add(e);
	}
	remove(e: wait_queue_entry): void {
		this.entries.delete(e);
	}
	/** wake_up_all(), wake_up_poll(): entries may remove themselves meanwhile. */
	wake_up_all(key = 0): void {
		for (const e of [...this.entries]) e.func(key);
	}
	/** waitqueue_active() */
	get active(): boolean {
		return this.entries.size > 0;
	}
}
