// SPDX-License-Identifier: GPL-2.0-only
/** The ported tests, in alphabetical order as upstream's prog_tests/tests.h lists its own. */
import type { ProgTest } from "../test_env.ts";
import { atomics } from "./atomics.ts";
import { bpfLoop, forEach } from "./callbacks.ts";
import { globalData } from "./global_data.ts";
import { helpersMisc, spinLock } from "./helpers_misc.ts";
import { mapOps } from "./map_ops.ts";
import { mmap } from "./mmap.ts";
import { progRunOpts } from "./prog_run_opts.ts";
import { ringbuf } from "./ringbuf.ts";
import { ringbufMulti } from "./ringbuf_multi.ts";
import { subprogs } from "./subprogs.ts";
import { tailcalls } from "./tailcalls.ts";
import { xdp } from "./xdp.ts";

export const progTests: readonly ProgTest[] = [
	atomics,
	bpfLoop,
	forEach,
	globalData,
	helpersMisc,
	mapOps,
	mmap,
	progRunOpts,
	ringbuf,
	ringbufMulti,
	spinLock,
	subprogs,
	tailcalls,
	xdp,
];
