// SPDX-License-Identifier: GPL-2.0-only
/** What a virtual machine is made of: QEMU, a kernel, and an initramfs with the agent; fetched and built when asked for. */
import { createHash } from "node:crypto";
import {
	existsSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	renameSync,
	statSync,
	writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { buildAgent, onPath } from "./agent.ts";
import { debianPackage, debianTool, packagesNamed, VmMissing, vmCache } from "./debian.ts";
import { type InitramfsEntry, initramfs } from "./initramfs.ts";
import { virtioModules } from "./modules.ts";

export type VmArch = "x86_64" | "arm64";

/** A kernel to boot. */
interface KernelFiles {
	readonly image: string;
	/** For people. */
	readonly name: string;
	readonly config: string | null;
	readonly modules: string | null;
}

/** All that boot needs. */
export interface VmFiles {
	readonly arch: VmArch;
	readonly qemu: {
		readonly path: string;
		readonly args: readonly string[];
		readonly env: Readonly<Record<string, string>>;
	};
	readonly kernel: string;
	readonly kernelName: string;
	readonly initrd: string;
}

/** The version that this project mirrors: taken before others of 6.12. */
const SUBLEVEL = 95;

const QEMU = {
	x86_64: { program: "qemu-system-x86_64", package: "qemu-system-x86" },
	arm64: { program: "qemu-system-aarch64", package: "qemu-system-arm" },
};

/** QEMU of this machine, or Debian's unpacked into the cache. */
function qemu(arch: VmArch): VmFiles["qemu"] {
	const here = onPath([QEMU[arch].program]);
	if (here !== null) return { path: here, args: [], env: {} };
	const { root, env } = debianTool(QEMU[arch].package, "about 60 MB");
	const path = join(root, "usr/bin", QEMU[arch].program);
	if (!existsSync(path))
		throw new VmMissing(`${QEMU[arch].program} is not here: install Debian's package ${QEMU[arch].package}`);
	const data = ["qemu", "seabios"].map((d) => join(root, "usr/share", d)).filter(existsSync);
	return { path, args: data.flatMap((d) => ["-L", d]), env };
}

function firstFile(dir: string, prefix: string): string | null {
	const f = existsSync(dir) ? readdirSync(dir).find((n) => n.startsWith(prefix)) : undefined;
	return f === undefined ? null : join(dir, f);
}

/** A kernel package of Debian: `6.12` is the version that is mirrored, or the newest of that series. */
function debianKernel(version: string, arch: VmArch): KernelFiles {
	const deb = arch === "arm64" ? "arm64" : "amd64";
	const [major, minor, wanted] = version.split(".");
	const series = `${major}.${minor}`;
	const of = new RegExp(`^linux-image-${major}\\.${minor}\\.(\\d+)\\S*-${deb}(-unsigned)?$`);
	const pick = (names: readonly string[]): string | undefined => {
		const found = names
			.map((name) => ({ name, m: of.exec(name) }))
			.filter(({ name, m }) => m && !/-(rt|cloud)-/.test(name))
			.map(({ name, m }) => ({ name, sub: Number(m![1]) }))
			.sort((a, b) => b.sub - a.sub);
		const at = wanted !== undefined ? Number(wanted) : series === "6.12" ? SUBLEVEL : -1;
		return (found.find((f) => f.sub === at) ?? (wanted === undefined ? found[0] : undefined))?.name;
	};
	const pkgs = join(vmCache(), "pkg");
	const have = existsSync(pkgs) ? readdirSync(pkgs).map((n) => n.replace(/_(amd64|arm64)$/, "")) : [];
	const name = pick(have) ?? pick(packagesNamed(`linux-image-${series}`));
	if (name === undefined)
		throw new VmMissing(`Debian has no kernel ${version} for ${deb}: give the path of one (--kernel)`);
	const root = debianPackage(`${name}:${deb}`, "about 100 MB");
	const image = firstFile(join(root, "boot"), "vmlinuz-");
	if (image === null) throw new VmMissing(`the package ${name} has no kernel`);
	return besides(image, join(root, "lib/modules"), name.replace("linux-image-", "Debian's "));
}

/** Configuration and modules of a kernel image, by its name. */
function besides(image: string, modules: string, name: string): KernelFiles {
	const release = /^vmlinu[xz]-(.+)$/.exec(basename(image))?.[1];
	const config = join(dirname(image), `config-${release}`);
	const dir = join(modules, release ?? "");
	return {
		image,
		name,
		config: release !== undefined && existsSync(config) ? readFileSync(config, "utf8") : null,
		modules: release !== undefined && existsSync(dir) ? dir : null,
	};
}

/** `6.12`, `6.12.95`, or the path of a kernel image. */
function findKernel(kernel: string, arch: VmArch): KernelFiles {
	if (/^\d+\.\d+(\.\d+)?$/.test(kernel)) return debianKernel(kernel, arch);
	if (!existsSync(kernel) || !statSync(kernel).isFile())
		throw new VmMissing(`${kernel} is neither a kernel image nor a version such as 6.12`);
	return besides(kernel, join(dirname(kernel), "../lib/modules"), kernel);
}

/** Make ready what a machine needs. */
export function prepareVm(options: { arch: VmArch; kernel?: string; modules?: string }): VmFiles {
	const { arch } = options;
	const kernel = findKernel(options.kernel ?? "6.12", arch);
	const machine = qemu(arch);
	const modules = virtioModules(options.modules ?? kernel.modules, kernel.config);
	const dir = (path: string): InitramfsEntry => ({ path, mode: 0o755 });
	const entries: InitramfsEntry[] = [
		dir("dev"),
		{ path: "dev/console", mode: 0o600, device: [5, 1] },
		{ path: "init", mode: 0o755, data: buildAgent(arch) },
	];
	const release = /vmlinu[xz]-(.+)$/.exec(basename(kernel.image))?.[1];
	// where libbpf looks for CONFIG_* externs
	if (kernel.config !== null && release !== undefined)
		entries.push(dir("boot"), {
			path: `boot/config-${release}`,
			mode: 0o644,
			data: Buffer.from(kernel.config),
		});
	if (modules.length) entries.push(dir("modules"));
	for (const [i, data] of modules.entries())
		entries.push({ path: `modules/${String(i).padStart(2, "0")}.ko`, mode: 0o644, data });
	const archive = initramfs(entries);
	const initrd = join(vmCache(), `initrd-${createHash("sha1").update(archive).digest("hex").slice(0, 12)}`);
	if (!existsSync(initrd)) {
		mkdirSync(vmCache(), { recursive: true });
		writeFileSync(`${initrd}.${process.pid}`, archive);
		renameSync(`${initrd}.${process.pid}`, initrd);
	}
	return { arch, qemu: machine, kernel: kernel.image, kernelName: kernel.name, initrd };
}
