// SPDX-License-Identifier: GPL-2.0-only
/**
 * Kernels by name, as `--kernel` and `--with` take them: `mirror`, `host`, `vm:x86_64`, `vm:arm64`; with a third
 * part another kernel than Debian's 6.12 is booted: `vm:x86_64:PATH`, `vm:arm64:6.12.88`.
 */
import { existsSync } from "node:fs";
import { release } from "node:os";
import type { TestKernel } from "../../selftests/bpf/test_env.ts";
import { kconfig_of } from "../upstream/machine_facts.ts";
import { ATTACHES, HostKernel, HostSys } from "./host_sys.ts";
import { openVm, vmTestKernel } from "./vm_kernel.ts";

/** What a name of a kernel says. */
export type KernelSpec =
	| { readonly kind: "mirror" }
	| { readonly kind: "host" }
	| { readonly kind: "vm"; readonly arch: "x86_64" | "arm64"; readonly kernel?: string };

/** Reads a kernel's name; a string is what is wrong with it. */
export function parseKernel(text: string): KernelSpec | string {
	if (text === "mirror" || text === "host") return { kind: text };
	const [kind, arch, ...rest] = text.split(":");
	const kernel = rest.join(":");
	if (kind === "vm" && (arch === "x86_64" || arch === "arm64") && (rest.length === 0 || kernel !== ""))
		return { kind: "vm", arch, ...(kernel && { kernel }) };
	return `there is no kernel ${text}: mirror, host, vm:x86_64 or vm:arm64`;
}

/** A real kernel for the selftests; throws an error of one line where it cannot be had. */
export async function openTestKernel(spec: KernelSpec): Promise<TestKernel> {
	if (spec.kind === "host") return openHostTestKernel();
	if (spec.kind === "vm") return vmTestKernel(await openVm(spec));
	throw new Error("the emulated kernel is booted by tools/mirror.ts");
}

/** Whether a configuration has an option; it cannot be said (and is taken for so) where it is not to be read. */
function hasOption(option: string, kconfig: () => string): boolean {
	const text = kconfig();
	return text === "" || new RegExp(`^CONFIG_${option}=[ym]$`, "m").test(text);
}

/** The machine's own kernel; throws SysRefused where bpf(2) is not permitted. */
function openHostTestKernel(): TestKernel {
	const host = new HostKernel();
	host.set_name("test_progs");
	return {
		name: `host ${host.arch}`,
		isMirror: false,
		release: release(),
		noAttach: ATTACHES,
		oneProcess: true,
		hasModule: (name) => existsSync(`/sys/kernel/btf/${name}`),
		hasConfig: (option) => hasOption(option, () => kconfig_of(new HostSys(host))),
		newProcess: () => new HostSys(host),
		endProcess: async (sys) => (sys as HostSys).end(),
		leaks: async () => [],
		dmesg: () => [],
	};
}
