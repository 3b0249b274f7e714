// SPDX-License-Identifier: GPL-2.0-only
/** kernel/irq_work.c: work that an interrupt of the same CPU does as soon as it may. */

/** struct irq_work */
export class irq_work {
	readonly func: () => void;
	/** IRQ_WORK_PENDING: queued, and not run yet; queueing it again changes nothing. */
	pending = false;
	constructor(func: () => void) {
		this.func = func;
	}
}
