// SPDX-License-Identifier: GPL-2.0-only
/** The ported tests, in alphabetical order as upstream's prog_tests/tests.h lists its own. */
import type { ProgTest } from "../test_env.ts";
import { arenaAtomics } from "./arena_atomics.ts";
import { arenaHeap } from "./arena_heap.ts";
import { arenaHtab } from "./arena_htab.ts";
import { arenaKv } from "./arena_kv.ts";
import { arenaList } from "./arena_list.ts";
import { arenaMmap } from "./arena_mmap.ts";
import { arenaPages } from "./arena_pages.ts";
import { arenaWalk } from "./arena_walk.ts";
import { atomics } from "./atomics.ts";
import { attachProbe, kprobeMultiTest } from "./attach_probe.ts";
import { bpfCookie } from "./bpf_cookie.ts";
import { bpfIter } from "./bpf_iter.ts";
import { bpfLoop, forEach } from "./callbacks.ts";
import { cryptoSanity } from "./crypto_sanity.ts";
import { dynptr } from "./dynptr.ts";
import { fentryFexit, fentryTest, fexitTest } from "./fentry_fexit.ts";
import { fexitBpf2bpf } from "./fexit_bpf2bpf.ts";
import { fexitSleep } from "./fexit_sleep.ts";
import { globalData } from "./global_data.ts";
import { helpersMisc, spinLock } from "./helpers_misc.ts";
import { kfuncProgTests } from "./kfuncs.ts";
import { libbpfProbeHelpers, libbpfProbeMapTypes, libbpfProbeProgTypes } from "./libbpf_probes.ts";
import { localStorage } from "./local_storage.ts";
import { manyArgs, tracingStruct } from "./many_args.ts";
import { mapOps } from "./map_ops.ts";
import { mmap } from "./mmap.ts";
import { getFuncArgsTest, getFuncIpTest, modifyReturn, trampolineCount } from "./modify_return.ts";
import { perfBuffer } from "./perf_buffer.ts";
import { perfLink } from "./perf_link.ts";
import { progRunOpts } from "./prog_run_opts.ts";
import { recursion } from "./recursion.ts";
import { ringbuf } from "./ringbuf.ts";
import { ringbufMulti } from "./ringbuf_multi.ts";
import { snprintfBtf } from "./snprintf_btf.ts";
import { dummyStOps, structOps, structOpsMultiPages } from "./struct_ops.ts";
import { subprogs } from "./subprogs.ts";
import { syscall } from "./syscall.ts";
import { tailcalls } from "./tailcalls.ts";
import { testLsm } from "./test_lsm.ts";
import { timer, wq } from "./timer.ts";
import { tpAttachQuery } from "./tp_attach_query.ts";
import { userRingbuf } from "./user_ringbuf.ts";
import { verifierProgTests } from "./verifier.ts";
import { xdp } from "./xdp.ts";

export const progTests: readonly ProgTest[] = [
	arenaAtomics,
	arenaHeap,
	arenaHtab,
	arenaKv,
	arenaList,
	arenaMmap,
	arenaPages,
	arenaWalk,
	atomics,
	attachProbe,
	bpfCookie,
	bpfIter,
	bpfLoop,
	cryptoSanity,
	dummyStOps,
	dynptr,
	forEach,
	fentryFexit,
	manyArgs,
	fentryTest,
	fexitBpf2bpf,
	fexitSleep,
	fexitTest,
	getFuncArgsTest,
	getFuncIpTest,
	globalData,
	helpersMisc,
	...kfuncProgTests,
	kprobeMultiTest,
	libbpfProbeHelpers,
	libbpfProbeMapTypes,
	libbpfProbeProgTypes,
	localStorage,
	mapOps,
	mmap,
	modifyReturn,
	perfBuffer,
	perfLink,
	progRunOpts,
	recursion,
	ringbuf,
	ringbufMulti,
	snprintfBtf,
	spinLock,
	structOps,
	structOpsMultiPages,
	subprogs,
	syscall,
	tailcalls,
	...verifierProgTests,
	testLsm,
	timer,
	tpAttachQuery,
	tracingStruct,
	trampolineCount,
	userRingbuf,
	wq,
	xdp,
];
