// SPDX-License-Identifier: GPL-2.0-only
/** Programs that are run by a system call and make others (prog_tests/syscall.c). */
import { EINVAL } from "../../../include/uapi/asm-generic/errno.ts";
import {
	bpf_map_lookup_elem,
	bpf_prog_test_run_opts,
	type bpf_test_run_opts,
} from "../../../tools/lib/bpf/libbpf.ts";
import { read64, Skel } from "../skel.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

const LOG_SIZE = 8192;
const MAP_PRIVATE_ANONYMOUS = 0x22;

/** struct args */
class Args {
	readonly bytes = new Uint8Array(32);
	readonly dv = new DataView(this.bytes.buffer);
	constructor(log_buf: number, log_size: number, max_entries: number) {
		this.dv.setBigUint64(0, BigInt(log_buf), true);
		this.dv.setUint32(8, log_size, true);
		this.dv.setInt32(12, max_entries, true);
	}
	get max_entries(): number {
		return this.dv.getInt32(12, true);
	}
	/** map_fd, prog_fd, btf_fd */
	get fds(): number[] {
		return [16, 20, 24].map((at) => this.dv.getInt32(at, true));
	}
}

function loadProg(t: TestEnv, skel: Skel): void {
	const { lib } = skel;
	const log = lib.heap.zalloc(LOG_SIZE);
	const args = new Args(log, LOG_SIZE, 1024);
	const opts: bpf_test_run_opts = { ctx_in: args.bytes };
	t.ASSERT_EQ(bpf_prog_test_run_opts(lib, skel.prog("load_prog").fd, opts), 0, "err");
	t.ASSERT_EQ(opts.retval!, 1, "retval");
	const [map_fd, prog_fd] = args.fds as [number, number];
	if (t.ASSERT_GT(map_fd, 0, "ctx.map_fd") && t.ASSERT_GT(prog_fd, 0, "ctx.prog_fd")) {
		t.ASSERT_BYTES(t.sys.load(log, 9), new TextEncoder().encode("processed"), "verifier_log");
		const key = new Uint8Array(8);
		const value = new Uint8Array(8);
		key[0] = 12;
		t.ASSERT_EQ(bpf_map_lookup_elem(lib, map_fd, key, value), 0, "map_lookup");
		t.ASSERT_EQ(read64(value, 0), 34, "map lookup value");
	}
	for (const fd of args.fds) if (fd > 0) t.sys.close(fd);
	lib.heap.free(log);
}

function updateOuterMap(t: TestEnv, skel: Skel): void {
	const opts: bpf_test_run_opts = {};
	t.ASSERT_EQ(bpf_prog_test_run_opts(skel.lib, skel.prog("update_outer_map").fd, opts), 0, "err");
	t.ASSERT_EQ(opts.retval!, 1, "retval");
}

/** Memory that nobody has touched yet is brought in; none is an error of the helper. */
function copies(t: TestEnv, skel: Skel): void {
	const { sys } = t;
	const { fd } = skel.prog("copies");
	const run = (at: number): [Args, number] => {
		const args = new Args(at, 0, -1);
		const opts: bpf_test_run_opts = { ctx_in: args.bytes };
		t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, fd, opts), "test_run");
		return [args, opts.retval! | 0];
	};
	const page = sys.mmap(0, sys.pageSize, 3, MAP_PRIVATE_ANONYMOUS, -1, 0);
	const [fresh, err] = run(page);
	t.ASSERT_EQ(err, 0, "a fresh page");
	t.ASSERT_EQ(fresh.max_entries, 0, "is zero");
	sys.store(page, Uint8Array.of(0x78, 0x56, 0x34, 0x12));
	t.ASSERT_EQ(run(page)[0].max_entries, 0x12345678, "what is in it");
	sys.munmap(page, sys.pageSize);
	t.ASSERT_EQ(run(page)[1], -14, "no memory");
}

/** bpf_prog_test_run_syscall() */
function refused(t: TestEnv, skel: Skel): void {
	const { fd } = skel.prog("copies");
	const run = (opts: bpf_test_run_opts): number => bpf_prog_test_run_opts(skel.lib, fd, opts);
	t.ASSERT_EQ(run({ data_in: new Uint8Array(14) }), -EINVAL, "data");
	t.ASSERT_EQ(run({ data_out: new Uint8Array(14) }), -EINVAL, "room for data");
	t.ASSERT_EQ(run({ ctx_out: new Uint8Array(32) }), -EINVAL, "room for a context");
	t.ASSERT_EQ(run({ repeat: 2 }), -EINVAL, "repeat");
	t.ASSERT_EQ(run({ flags: 1 }), -EINVAL, "flags");
	t.ASSERT_EQ(run({ ctx_in: new Uint8Array(8) }), -EINVAL, "less of a context than the program looks at");
	t.ASSERT_EQ(run({ ctx_in: new Uint8Array(65536) }), -EINVAL, "more than a context may be");
}

/** Of our own object, or upstream's. */
export function syscallTest(object?: Uint8Array): ProgTest {
	return {
		name: "syscall",
		run(t) {
			const tests: [string, (t: TestEnv, skel: Skel) => void][] = [
				["load_prog", loadProg],
				["update_outer_map", updateOuterMap],
			];
			if (!object) tests.push(["copies", copies], ["refused", refused]);
			for (const [name, test] of tests) {
				if (!t.startSubtest(name)) continue;
				const skel = Skel.openAndLoad(t, "syscall", object);
				if (!skel) continue;
				test(t, skel);
				skel.destroy();
			}
			t.endSubtest();
		},
	};
}

export const syscall = syscallTest();
