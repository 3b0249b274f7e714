// SPDX-License-Identifier: GPL-2.0-only
/** Boots a kernel under QEMU and waits until its agent speaks; the machine ends with this process. */
import { type ChildProcess, spawn } from "node:child_process";
import {
	accessSync,
	closeSync,
	constants,
	existsSync,
	fstatSync,
	mkdtempSync,
	openSync,
	readdirSync,
	readFileSync,
	readSync,
	rmSync,
	statSync,
	writeFileSync,
} from "node:fs";
import { cpus, release, tmpdir } from "node:os";
import { join } from "node:path";
import { bindLibc, RawSocket } from "../kernels/raw_socket.ts";
import { NR_PORTS, RemoteKernel } from "../kernels/remote_sys.ts";

/** What the machine is made of (scripts/vm/prepare.ts makes it). */
export interface VmParts {
	readonly arch: "x86_64" | "arm64";
	readonly qemu: {
		readonly path: string;
		readonly args: readonly string[];
		readonly env: Readonly<Record<string, string>>;
	};
	readonly kernel: string;
	readonly kernelName: string;
	readonly initrd: string;
}

export interface VmOptions {
	/** KVM or emulation; by itself: KVM where it was not found broken before. */
	readonly accel?: "kvm" | "tcg";
	readonly cpus?: number;
	/** MiB */
	readonly memory?: number;
	/** More of the kernel's command line. */
	readonly append?: string;
	/** A file that remembers that KVM does not work on this machine. */
	readonly kvmNote?: string;
	/** ms that a boot may take */
	readonly timeout?: number;
	readonly say?: (line: string) => void;
}

/** The machine did not come up; the message ends with what its console said last. */
export class BootFailed extends Error {}

const BOOT_MS = 55_000;
/** Longer than any boot. */
const YOUNG_MS = 5 * 60_000;
/** A KVM that works boots in two seconds; one that does not, stays silent. */
const KVM_MS = 20_000;
const CONSOLE_LINES = 12;
/** As much of a console is looked at. */
const CONSOLE_BYTES = 1 << 20;

/**
 * The shell between: it ends QEMU when its standard input closes, which the kernel does for a client that is killed,
 * whatever kills it; and it removes the machine's folder ($0) when QEMU has ended. Of what it says of a job that was
 * killed nobody may be left to read.
 */
const KEEPER = `exec 3<&0 </dev/null
"$@" 3<&- & q=$!
{ cat <&3 >/dev/null; kill -9 $q; } 2>/dev/null & c=$!
exec 3<&-
trap '' PIPE
wait $q; s=$?
kill $c 2>/dev/null
rm -rf "$0"
exit $s`;

/** Folders of machines: this, the process that booted it, and what makes the name unique. */
const DIR_PREFIX = "bpf-mirror-vm.";

/** Whether there is a process of a number, whoever's it is. */
function isAlive(pid: number): boolean {
	try {
		process.kill(pid, 0);
		return true;
	} catch (e) {
		return (e as NodeJS.ErrnoException).code === "EPERM";
	}
}

/**
 * Remove folders of machines whose owner is gone, and whose keeper was killed as well. One that is young may be of
 * an owner who is not to be seen from here; later than its boot, no machine needs its folder.
 */
function sweep(): void {
	for (const name of readdirSync(tmpdir())) {
		if (!name.startsWith(DIR_PREFIX)) continue;
		const dir = join(tmpdir(), name);
		const pid = Number(/^(\d+)\./.exec(name.slice(DIR_PREFIX.length))?.[1] ?? 0);
		try {
			if (pid === 0 || isAlive(pid) || Date.now() - statSync(dir).mtimeMs < YOUNG_MS) continue;
			rmSync(dir, { recursive: true, force: true });
		} catch {
			// somebody else's
		}
	}
}

/** A machine that runs. */
export interface Vm {
	readonly kernel: RemoteKernel;
	readonly accel: "kvm" | "tcg";
	readonly kernelName: string;
	/** What the kernel's console said, the last lines of it. */
	console(): string;
	/** End the machine; resolves when QEMU is gone. */
	end(): Promise<void>;
}

/** The last lines of a console's file, which may have no name any more. */
function tail(fd: number): string {
	const { size } = fstatSync(fd);
	const bytes = Buffer.alloc(Math.min(size, CONSOLE_BYTES));
	const n = readSync(fd, bytes, 0, bytes.length, size - bytes.length);
	const lines = bytes
		.toString("latin1", 0, n)
		// biome-ignore lint/suspicious/noControlCharactersInRegex: consoles write escape sequences
		.replace(/\x1b\[[0-9;?]*[A-Za-z]|\x1b[c78]|\r/g, "")
		.split("\n")
		.filter((l) => l.trim() !== "");
	// the call trace after a panic is of little use here
	const panic = lines.findIndex((l) => l.includes("Kernel panic"));
	const end = panic < 0 ? lines.length : panic + 1;
	return lines.slice(Math.max(0, end - CONSOLE_LINES), end).join("\n");
}

function kvmUsable(arch: string): boolean {
	if (arch !== { x64: "x86_64", arm64: "arm64" }[process.arch as string]) return false;
	try {
		accessSync("/dev/kvm", constants.R_OK | constants.W_OK);
		return true;
	} catch {
		return false;
	}
}

function qemuArgs(parts: VmParts, options: VmOptions, accel: "kvm" | "tcg", dir: string): string[] {
	const x86 = parts.arch === "x86_64";
	const cpu = accel === "kvm" ? "host" : x86 ? "max" : "max,pauth-impdef=on";
	const console = x86 ? "ttyS0" : "ttyAMA0";
	const ports = Array.from({ length: NR_PORTS }, (_, i) => [
		"-chardev",
		`socket,id=p${i + 1},path=${dir}/p${i + 1},server=on,wait=off`,
		"-device",
		`virtserialport,bus=agent.0,nr=${i + 1},chardev=p${i + 1}`,
	]).flat();
	return [
		...parts.qemu.args,
		...["-machine", x86 ? "pc" : "virt,gic-version=max"],
		// one thread for all CPUs: with several, one runs an int3 that another has already patched away, and dies of it
		...["-accel", accel === "tcg" ? `tcg,thread=${x86 ? "single" : "multi"}` : "kvm"],
		...["-cpu", cpu],
		...["-smp", String(options.cpus ?? 2)],
		...["-m", String(options.memory ?? 1024)],
		...["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"],
		...["-serial", `file:${dir}/console`],
		...["-device", `virtio-serial-pci,id=agent,max_ports=${NR_PORTS + 1}`],
		...ports,
		...["-kernel", parts.kernel, "-initrd", parts.initrd],
		"-append",
		`console=${console} quiet panic=-1 nokaslr ${options.append ?? ""}`.trim(),
	];
}

async function boot(parts: VmParts, options: VmOptions, accel: "kvm" | "tcg"): Promise<Vm> {
	sweep();
	const dir = mkdtempSync(join(tmpdir(), `${DIR_PREFIX}${process.pid}.`));
	// held open: what the machine said last is to be read when its folder is gone
	const serial = openSync(`${dir}/console`, "w+");
	const keeper: ChildProcess = spawn(
		"/bin/sh",
		["-c", KEEPER, dir, parts.qemu.path, ...qemuArgs(parts, options, accel, dir)],
		{ env: { ...process.env, ...parts.qemu.env }, stdio: ["pipe", "ignore", "pipe"], detached: true },
	);
	let stderr = "";
	keeper.stderr!.on("data", (d: Buffer) => {
		stderr = (stderr + d.toString()).slice(-4000);
	});
	let ended: string | null = null;
	const gone = new Promise<void>((resolve) => {
		const end = (why: string) => {
			ended ??= why;
			resolve();
		};
		keeper.on("error", (e) => end(`QEMU does not start: ${e.message}`));
		keeper.on("close", (code) => end(code ? `QEMU ended with status ${code}` : "the machine ended"));
	});
	// this process may end while the machine runs: that ends the machine, and does not wait for it
	keeper.unref();
	(keeper.stdin as unknown as { unref(): void }).unref();
	(keeper.stderr as unknown as { unref(): void }).unref();

	const sockets: RawSocket[] = [];
	const said = (): string => {
		const words = [
			stderr
				.trim()
				.split("\n")
				.filter((l) => !/warning:/.test(l))
				.slice(-3)
				.join("\n"),
			tail(serial),
		];
		const text = words.filter(Boolean).join("\n");
		return text ? `; it said last:\n${text}` : "; it said nothing";
	};
	/** What was said, when the machine was ended. */
	let last: { why: string; console: string } | null = null;
	const why = (): string => last?.why ?? said();
	const endNow = async (): Promise<void> => {
		last = { why: said(), console: tail(serial) };
		closeSync(serial);
		for (const s of sockets) s.close();
		// who waits for the end keeps this process alive until then
		keeper.ref();
		keeper.stdin!.end();
		keeper.ref();
		await gone;
		// where there was no shell to do it
		rmSync(dir, { recursive: true, force: true });
	};
	let ending: Promise<void> | null = null;
	const end = (): Promise<void> => {
		ending ??= endNow();
		return ending;
	};
	const fail = async (what: string): Promise<never> => {
		const text = `${what}${why()}`;
		await end();
		throw new BootFailed(text);
	};

	const until = Date.now() + (options.timeout ?? (accel === "kvm" && !options.accel ? KVM_MS : BOOT_MS));
	const libc = bindLibc();
	const pause = (): Promise<void> => new Promise((r) => setTimeout(r, 20));
	while (sockets.length < NR_PORTS) {
		const s = RawSocket.connect(libc, `${dir}/p${sockets.length + 1}`);
		if (typeof s !== "number") sockets.push(s);
		else if (ended !== null) return fail(ended);
		else if (Date.now() > until) return fail("QEMU opens no socket");
		else await pause();
	}
	const kernel = new RemoteKernel(parts.arch, sockets, why);
	for (;;) {
		try {
			if (kernel.hello()) break;
		} catch (e) {
			// what ended the connection is known a moment later
			await Promise.race([gone, new Promise((r) => setTimeout(r, 2000))]);
			return fail(ended ?? (e as Error).message.split("; it said")[0]!);
		}
		if (ended !== null) return fail(ended);
		if (/KVM internal error/.test(stderr)) return fail("KVM does not work here");
		if (Date.now() > until)
			return fail(`the machine was not ready within ${Math.round((options.timeout ?? BOOT_MS) / 1000)} s`);
		await pause();
	}
	const sys = kernel.newProcess();
	const possible = sys.readFile("/sys/devices/system/cpu/possible");
	kernel.nrCpus =
		typeof possible === "number"
			? 1
			: Number(/(\d+)\s*$/.exec(Buffer.from(possible).toString())?.[1] ?? 0) + 1;
	await kernel.endProcess(sys);
	return { kernel, accel, kernelName: parts.kernelName, console: () => last?.console ?? tail(serial), end };
}

/** Boot a machine; throws BootFailed with the console's last lines where it does not come up. */
export async function bootVm(parts: VmParts, options: VmOptions = {}): Promise<Vm> {
	if (options.accel) return boot(parts, options, options.accel);
	const machine = `${release()} ${cpus()[0]?.model ?? ""}`;
	const { kvmNote } = options;
	const started = Date.now();
	const broken = kvmNote !== undefined && existsSync(kvmNote) && readFileSync(kvmNote, "utf8") === machine;
	if (kvmUsable(parts.arch) && !broken) {
		try {
			return await boot(parts, options, "kvm");
		} catch (e) {
			if (!(e instanceof BootFailed)) throw e;
			options.say?.(
				`KVM does not work here, emulating: ${e.message.split("\n")[0]!.replace(/; it said.*/, "")}`,
			);
			if (kvmNote !== undefined) writeFileSync(kvmNote, machine);
		}
	}
	// whoever waits is told within a minute, also when KVM was tried first
	const timeout = options.timeout ?? BOOT_MS - (Date.now() - started);
	return boot(parts, { ...options, timeout }, "tcg");
}
