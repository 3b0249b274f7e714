// SPDX-License-Identifier: GPL-2.0-only
/**
 * The agent in real machines: `npm run test:vm`. Under emulation each of them takes seconds to boot, so that
 * `npm test` leaves these out.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { UserFault } from "../../include/sys.ts";
import { EBADF, EFAULT, EINVAL, ENOENT } from "../../include/uapi/asm-generic/errno.ts";
import { BPF_PROG_TYPE_SOCKET_FILTER } from "../../include/uapi/linux/bpf.ts";
import { bpf_prog_get_info_by_fd, type bpf_prog_info, bpf_prog_load, Libbpf } from "../lib/bpf/libbpf.ts";
import { UserHeap } from "../lib/user_heap.ts";
import type { Vm } from "../vm/boot.ts";
import { KernelMemory, KsymbolEvents } from "./kernel_memory.ts";
import { ProcessEnded, type RemoteSys } from "./remote_sys.ts";
import { SYSCALL_NR } from "./syscall_nr.ts";
import { openVm } from "./vm_kernel.ts";

/** Architectures to boot: all of them with 1, else those named. */
const asked = process.env.BPF_MIRROR_TEST_VM ?? "";
const MINUTES = 60_000;

/**
 * Calls that rightly end the machine, what others need of it (mounts, time, init's signals, console), or whose
 * only effect is to wait.
 */
const LEFT_OUT = {
	x86_64: [
		...[
			7, 23, 34, 35, 61, 62, 65, 66, 70, 73, 79, 101, 103, 127, 128, 129, 130, 153, 155, 159, 161, 162, 163,
			164, 165,
		],
		...[
			166, 167, 168, 169, 170, 171, 172, 173, 175, 176, 200, 202, 208, 219, 220, 227, 230, 232, 234, 240, 241,
			242,
		],
		...[
			243, 246, 247, 270, 271, 281, 297, 305, 313, 320, 333, 424, 428, 429, 430, 431, 432, 433, 441, 442, 449,
		],
	],
	arm64: [
		...[
			4, 21, 22, 32, 38, 39, 40, 41, 51, 58, 72, 73, 86, 93, 95, 98, 101, 104, 105, 106, 112, 115, 116, 117,
			129, 130,
		],
		...[
			131, 133, 136, 137, 138, 142, 161, 162, 170, 171, 182, 183, 188, 192, 193, 224, 225, 240, 243, 260, 265,
			266,
		],
		...[273, 292, 294, 424, 428, 429, 430, 431, 432, 433, 441, 442, 449, 454, 455, 456],
	],
} as const;

/** Numbers as one seed has them (xorshift32). */
function random(seed: number): (n: number) => number {
	let s = seed;
	return (n) => {
		s ^= s << 13;
		s ^= s >>> 17;
		s ^= s << 5;
		return (s >>> 0) % n;
	};
}

for (const arch of ["x86_64", "arm64"] as const) {
	const here = asked === "1" || asked.split(",").includes(arch);
	describe.skipIf(!here)(`a ${arch} machine${here ? "" : " (npm run test:vm boots it)"}`, () => {
		let vm: Vm;
		beforeAll(async () => {
			vm = await openVm({ arch });
		}, 10 * MINUTES);
		afterAll(() => vm?.end());

		const inProcess = async (fn: (sys: RemoteSys) => Promise<void> | void): Promise<void> => {
			const sys = vm.kernel.newProcess();
			try {
				await fn(sys);
			} finally {
				await vm.kernel.endProcess(sys);
			}
		};
		const anonymous = (sys: RemoteSys, pages: number, prot = 3): number =>
			sys.mmap(0, pages * sys.pageSize, prot, 0x22, -1, 0);

		it("gives the kernel's answers", () =>
			inProcess((sys) => {
				expect(sys.getpid()).toBeGreaterThan(1);
				expect(sys.gettid()).toBe(sys.getpid());
				expect(sys.close(500)).toBe(-EBADF);
				expect(sys.bpf(0, 8, 16)).toBe(-EFAULT);
				expect(sys.setCpu(sys.nrCpus)).toBe(-EINVAL);
				expect(sys.readFile("/nowhere")).toBe(-ENOENT);
				expect(Buffer.from(sys.readFile("/proc/version") as Uint8Array).toString()).toMatch(
					/^Linux version 6\./,
				);
				expect(sys.capGet()).toContain(21);
				expect(sys.capSet([39])).toBe(0);
				expect(sys.capGet()).toEqual([39]);
			}));

		it("turns bad loads and stores into UserFault, with signal and address", () =>
			inProcess((sys) => {
				const at = anonymous(sys, 2, 1);
				const fault = (fn: () => void): UserFault => {
					try {
						fn();
					} catch (e) {
						if (e instanceof UserFault) return e;
						throw e;
					}
					throw new Error("no fault");
				};
				expect(fault(() => sys.load8(16))).toMatchObject({ addr: 16, write: false, signal: "SIGSEGV" });
				expect(fault(() => sys.store32(at, 1))).toMatchObject({ addr: at, write: true, signal: "SIGSEGV" });
				expect(sys.munmap(at + 4096, 4096)).toBe(0);
				expect(fault(() => sys.load(at + 4000, 200))).toMatchObject({ addr: at + 4096 });
				// what is mapped beyond the end of a file: SIGBUS
				const fd = sys.open("/init");
				const beyond = sys.mmap(0, 1 << 20, 1, 2, fd, 0);
				expect(fault(() => sys.load8(beyond + (1 << 19))).signal).toBe("SIGBUS");
				expect(sys.getpid()).toBeGreaterThan(1);
			}));

		it("calls the process's machine code, and comes back from where it faults", () =>
			inProcess(async (sys) => {
				const at = anonymous(sys, 1, 7);
				// the sum of two arguments; a load from address 8
				const [sum, load] =
					arch === "arm64" ? ["0000018bc0035fd6", "000180d2000040f9"] : ["488d043ec3", "488b042508000000"];
				sys.store(at, Buffer.from(sum, "hex"));
				sys.store(at + 64, Buffer.from(load, "hex"));
				expect(sys.callNative(at, 40, 2)).toBe(42n);
				for (let i = 0; i < 3; i++) {
					try {
						sys.callNative(at + 64);
						throw new Error("no fault");
					} catch (e) {
						expect(e).toMatchObject({ addr: 8, signal: "SIGSEGV" });
					}
					expect(sys.callNative(at, -1, 0)).toBe(2n ** 64n - 1n);
				}
				await sys.thread(async (t) => {
					expect(t.callNative!(at, 1, 2)).toBe(3n);
					expect(() => t.callNative!(at + 64)).toThrow(UserFault);
				});
				expect(sys.getpid()).toBeGreaterThan(1);
			}));

		it("makes stores that cannot fault with the next request, in order", () =>
			inProcess((sys) => {
				const at = anonymous(sys, 256);
				const big = new Uint8Array(700_000).map((_, i) => i * 31);
				sys.store(at + 8, big);
				sys.store32(at + 8, 0x01020304);
				expect(sys.load(at + 12, 1000)).toEqual(big.subarray(4, 1004));
				expect(sys.load32(at + 8)).toBe(0x01020304);
				expect(sys.load(at + 8 + 699_000, 1000)).toEqual(big.subarray(699_000));
				sys.store8(at, 7);
				expect(sys.munmap(at, 256 * 4096)).toBe(0);
				expect(() => sys.store8(at, 8)).toThrow(UserFault);
			}));

		it("reads what a call left in its attributes, and what was stored since", () =>
			inProcess((sys) => {
				const at = anonymous(sys, 1);
				// BPF_PROG_GET_NEXT_ID from a number that no program has: the attributes stay as they are
				sys.store32(at, 0x7ffffff0);
				expect(sys.bpf(11, at, 16)).toBe(-ENOENT);
				expect(sys.load32(at)).toBe(0x7ffffff0);
				sys.store32(at, 5);
				expect([sys.load32(at), sys.load(at, 8)[0]]).toEqual([5, 5]);
				// a map, and its information: what the kernel writes is seen at once
				sys.store(at, new Uint8Array(120));
				sys.store(at, new Uint8Array(Uint32Array.of(2, 4, 8, 1).buffer));
				const map = sys.bpf(0, at, 72);
				expect(map).toBeGreaterThan(2);
				sys.store(at, new Uint8Array(120));
				sys.store32(at, map);
				sys.store32(at + 4, 64);
				sys.store64(at + 8, BigInt(at + 512));
				expect(sys.bpf(15, at, 16)).toBe(0);
				expect(sys.load32(at + 4)).toBeGreaterThan(0);
				expect(sys.load32(at + 512)).toBe(2);
				// no attributes to be had: the call's own error
				expect(sys.bpf(15, 8, 16)).toBe(-EFAULT);
			}));

		it("holds up only the thread that sleeps", () =>
			inProcess(async (sys) => {
				const ep = sys.epollCreate1(0);
				let done = false;
				const sleeper = sys.thread(async (t) => {
					expect(t.getpid()).toBe(sys.getpid());
					expect(t.gettid()).not.toBe(sys.gettid());
					const got = await t.epollWait(ep, 4, 500);
					done = true;
					return got;
				});
				for (let i = 0; i < 20; i++) sys.getpid();
				expect(done).toBe(false);
				expect(await sleeper).toEqual([]);
				const start = sys.clockMonotonic();
				expect(await sys.nanosleep(50_000_000)).toBe(0);
				expect(Number(sys.clockMonotonic() - start)).toBeGreaterThanOrEqual(50_000_000);
			}));

		it("tells of a process that ends, and ends one that sleeps", async () => {
			const sys = vm.kernel.newProcess();
			const exitGroup = arch === "arm64" ? 94 : 231;
			expect(() => sys.syscall(exitGroup, 3)).toThrow("the process ended with status 3");
			await vm.kernel.endProcess(sys);
			const sleeper = vm.kernel.newProcess();
			const sleep = sleeper.nanosleep(3600e9);
			const ended = expect(sleep).rejects.toThrow(ProcessEnded);
			await vm.kernel.endProcess(sleeper);
			await ended;
		});

		it("shows the kernel's memory, and what code it makes", () =>
			inProcess((sys) => {
				const heap = new UserHeap(sys);
				const memory = new KernelMemory(sys, heap);
				const kallsyms = Buffer.from(sys.readFile("/proc/kallsyms") as Uint8Array).toString("latin1");
				const banner = BigInt(`0x${/^([0-9a-f]{16}) \w linux_banner$/m.exec(kallsyms)?.[1]}`);
				const text = Buffer.from(sys.readFile("/proc/version") as Uint8Array).toString();
				expect(memory.read(banner, 32)?.toString()).toBe(text.slice(0, 32));
				// across the end of a page
				const end = banner - (banner % 4096n) + 4096n;
				const [low, high] = [memory.read(end - 8n, 8)!, memory.read(end, 8)!];
				expect(memory.read(end - 8n, 16)).toEqual(Buffer.concat([low, high]));
				expect(memory.read(0n, 8)).toBeNull();
				const events = new KsymbolEvents(sys, heap);
				expect(events.added()).toEqual([]);
				const lib = new Libbpf(sys, { known_kernel: true, print: null });
				// r0 = 0; exit
				const insns = new Uint8Array(Buffer.from("b7000000000000009500000000000000", "hex"));
				const fd = bpf_prog_load(lib, BPF_PROG_TYPE_SOCKET_FILTER, "seen", "GPL", insns);
				const [symbol, ...others] = events.added();
				expect(symbol?.name).toMatch(/^bpf_prog_[0-9a-f]{16}_seen$/);
				expect(others).toEqual([]);
				const info = bpf_prog_get_info_by_fd(lib, fd) as bpf_prog_info;
				expect(symbol!.addr).toBe(info.jited_ksyms[0]);
				const image = Buffer.from(info.jited_prog_insns);
				expect(memory.read(symbol!.addr, image.length)).toEqual(image);
				events.close();
				memory.close();
			}));

		it(
			"outlives 10,000 random system calls",
			async () => {
				const rnd = random(arch === "arm64" ? 64 : 86);
				const skip = new Set<number>(LEFT_OUT[arch]);
				let sys = vm.kernel.newProcess();
				let page = anonymous(sys, 4);
				let ended = 0;
				const renew = async (): Promise<void> => {
					ended++;
					await vm.kernel.endProcess(sys);
					sys = vm.kernel.newProcess();
					page = anonymous(sys, 4);
				};
				const arg = (): number => {
					const kinds = [
						0,
						-1,
						rnd(64) + 3,
						page + rnd(8192),
						page,
						rnd(1 << 16),
						2 ** (8 + rnd(40)),
						-rnd(1 << 30),
					];
					return kinds[rnd(kinds.length)]!;
				};
				for (let made = 0; made < 10_000; made++) {
					let nr = rnd(463);
					while (skip.has(nr)) nr = rnd(463);
					const call = sys.syscallSleeping(nr, arg(), arg(), arg(), arg(), arg(), arg());
					let timer: NodeJS.Timeout | undefined;
					const late = new Promise<"late">((r) => {
						timer = setTimeout(() => r("late"), 2000);
					});
					const got = await Promise.race([call.catch((e: unknown) => e), late]);
					clearTimeout(timer);
					if (got === "late" || got instanceof ProcessEnded) await renew();
					else expect(typeof got, `call ${nr}: ${got}`).toBe("number");
				}
				await vm.kernel.endProcess(sys);
				// whole, and with nothing left of those that ended
				await inProcess((s) => {
					expect(Buffer.from(s.readFile("/proc/1/comm") as Uint8Array).toString()).toBe("init\n");
					expect(s.readFile("/sys/kernel/btf/vmlinux")).toBeInstanceOf(Uint8Array);
				});
				expect(ended).toBeGreaterThan(0);
				expect(SYSCALL_NR[arch].bpf).toBeLessThan(463);
			},
			30 * MINUTES,
		);
	});
}
