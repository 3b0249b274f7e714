// SPDX-License-Identifier: GPL-2.0-only
/** `bpf-mirror vm`: boots a real kernel under QEMU and says what it has. */
import type { CommandModule } from "yargs";
import { openVm } from "./kernels/vm_kernel.ts";
import type { Vm } from "./vm/boot.ts";

interface Args {
	kernel: string;
	arch: string;
	modules: string | undefined;
	accel: string | undefined;
	append: string | undefined;
	cpus: number;
	memory: number;
	keep: boolean;
}

/** Lines for people: what this kernel has of what programs ask for. */
function describe(vm: Vm): string[] {
	const sys = vm.kernel.newProcess();
	const bytes = (path: string): Uint8Array | null => {
		const got = sys.readFile(path);
		return typeof got === "number" ? null : got;
	};
	const text = (path: string): string =>
		Buffer.from(bytes(path) ?? [])
			.toString()
			.trim();
	const mib = (n: number): string => `${(n / (1 << 20)).toFixed(1)} MiB`;
	const release = text("/proc/sys/kernel/osrelease");
	const btf = bytes("/sys/kernel/btf/vmlinux");
	const config = text(`/boot/config-${release}`);
	const has = ["BPF_SYSCALL", "BPF_JIT", "BPF_LSM", "DEBUG_INFO_BTF", "FUNCTION_ERROR_INJECTION", "KPROBES"];
	const lines = [
		`kernel      ${release} ${text("/proc/sys/kernel/version")} (${vm.kernelName})`,
		`machine     ${vm.kernel.arch}, ${vm.kernel.nrCpus} CPUs, ${vm.accel === "kvm" ? "KVM" : "emulated (no KVM)"}`,
		`BTF         ${btf ? mib(btf.length) : "none"}`,
		`JIT         ${text("/proc/sys/net/core/bpf_jit_enable") === "1" ? "on" : "off"}`,
		`modules     ${text("/proc/modules").split("\n").filter(Boolean).length} loaded`,
	];
	if (config)
		lines.push(
			`config      ${has.map((o) => `${o}=${new RegExp(`^CONFIG_${o}=(.)`, "m").exec(config)?.[1] ?? "n"}`).join(" ")}`,
		);
	return lines;
}

export function vmCommand(done: (code: number) => void): CommandModule<object, Args> {
	return {
		command: "vm",
		describe: "Boot a real kernel under QEMU and say what it has",
		builder: (y) =>
			y
				.option("kernel", {
					type: "string",
					default: "6.12",
					requiresArg: true,
					describe: "Path of a kernel image, or a version that Debian packages",
				})
				.option("arch", {
					type: "string",
					choices: ["x86_64", "arm64"],
					default: "x86_64",
					describe: "Architecture of the machine",
				})
				.option("modules", {
					type: "string",
					requiresArg: true,
					describe: "Folder of the kernel's modules, where virtio_console is one",
				})
				.option("accel", {
					type: "string",
					choices: ["kvm", "tcg"],
					describe: "KVM or emulation; else what works",
				})
				.option("append", {
					type: "string",
					requiresArg: true,
					describe: "More of the kernel's command line",
				})
				.option("cpus", { type: "number", default: 2, describe: "CPUs of the machine" })
				.option("memory", { type: "number", default: 1024, describe: "Memory of the machine, MiB" })
				.option("keep", { type: "boolean", default: false, describe: "Let it run until it is interrupted" }),
		handler: async (args) => {
			const started = performance.now();
			let vm: Vm;
			try {
				vm = await openVm({
					arch: args.arch as "x86_64" | "arm64",
					kernel: args.kernel,
					modules: args.modules,
					accel: args.accel as "kvm" | "tcg" | undefined,
					append: args.append,
					cpus: args.cpus,
					memory: args.memory,
				});
			} catch (e) {
				process.stderr.write(`${(e as Error).message}\n`);
				return done(1);
			}
			const seconds = ((performance.now() - started) / 1000).toFixed(1);
			process.stdout.write(`${describe(vm).join("\n")}\nready       after ${seconds} s\n`);
			if (args.keep)
				await new Promise<void>((resolve) => {
					const tick = setInterval(() => {}, 1 << 30);
					process.once("SIGINT", () => {
						clearInterval(tick);
						resolve();
					});
				});
			await vm.end();
			done(0);
		},
	};
}
