// SPDX-License-Identifier: GPL-2.0-only
/** A kernel in a virtual machine, for the selftests and for tools. */
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { TestKernel } from "../../selftests/bpf/test_env.ts";
import { bootVm, type Vm, type VmOptions } from "../vm/boot.ts";
import type { RemoteSys } from "./remote_sys.ts";

/** What to boot. */
export interface VmSpec extends VmOptions {
	readonly arch: "x86_64" | "arm64";
	/** Path of an image, or a version of Debian's; 6.12 by itself. */
	readonly kernel?: string;
	/** Folder of its modules. */
	readonly modules?: string;
}

/** Settings of a kernel that the selftests count on (tools/testing/selftests/bpf: config, vmtest.sh). */
const SYSCTLS: readonly (readonly [string, string])[] = [
	["kernel/unprivileged_bpf_disabled", "0"],
	["kernel/kptr_restrict", "0"],
	["kernel/perf_event_paranoid", "-1"],
	["net/core/bpf_jit_enable", "1"],
	["net/core/bpf_jit_kallsyms", "1"],
];

/** Fetches and builds what is missing, boots, and makes the kernel ready. */
export async function openVm(spec: VmSpec): Promise<Vm> {
	// the steps of set-up are loaded when asked for: nothing else here needs them
	const { prepareVm } = await import("../../scripts/vm/prepare.ts");
	const { say, vmCache } = await import("../../scripts/vm/debian.ts");
	const vm = await bootVm(prepareVm(spec), { kvmNote: join(vmCache(), "kvm-does-not-work"), say, ...spec });
	try {
		const sys = vm.kernel.newProcess();
		for (const [name, value] of SYSCTLS) sys.writeFile(`/proc/sys/${name}`, value);
		await vm.kernel.endProcess(sys);
		return vm;
	} catch (e) {
		await vm.end();
		throw e;
	}
}

/** Lines of /dev/kmsg since the last call. */
function kernelLog(sys: RemoteSys): () => string[] {
	const kmsg = sys.open("/dev/kmsg", O_NONBLOCK);
	return () => {
		const lines: string[] = [];
		// a read gives one record: "priority,number,time,flags;text", then lines that begin with a space
		for (let r = sys.read(kmsg, 8192); typeof r !== "number"; r = sys.read(kmsg, 8192)) {
			const text = Buffer.from(r).toString("latin1");
			lines.push(text.slice(text.indexOf(";") + 1).split("\n")[0]!);
		}
		return lines;
	};
}

const O_NONBLOCK = 0o4000;

/** A machine's kernel for the selftests. */
export function vmTestKernel(vm: Vm): TestKernel {
	const { kernel } = vm;
	const own = kernel.newProcess();
	const dmesg = kernelLog(own);
	dmesg();
	const text = (path: string): string => {
		const got = own.readFile(path);
		return typeof got === "number" ? "" : Buffer.from(got).toString().trim();
	};
	const release = text("/proc/sys/kernel/osrelease");
	const packed = own.readFile("/proc/config.gz");
	const config = typeof packed === "number" ? text(`/boot/config-${release}`) : gunzipSync(packed).toString();
	return {
		name: `vm ${kernel.arch} ${release}`,
		isMirror: false,
		release,
		// where nobody tells, what tests need is taken to be there
		hasConfig: (option) => config === "" || new RegExp(`^CONFIG_${option}=`, "m").test(config),
		hasModule: (name) => typeof own.readFile(`/sys/kernel/btf/${name}`) !== "number",
		newProcess: () => {
			const sys = kernel.newProcess();
			sys.setName("test_progs");
			return sys;
		},
		endProcess: (sys) => kernel.endProcess(sys as RemoteSys),
		leaks: async () => [],
		dmesg,
		close: () => vm.end(),
	};
}
