// SPDX-License-Identifier: GPL-2.0-only
/** What happens around QEMU, shown with shell scripts in its place. */
import { spawn } from "node:child_process";
import {
	chmodSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readFileSync,
	rmSync,
	utimesSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, expect, it } from "vitest";
import { BootFailed, bootVm, type VmParts } from "./boot.ts";

const dir = mkdtempSync(join(tmpdir(), "bpf-mirror-test."));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** The machine whose QEMU does what a shell script says; $console is the file of the serial console. */
function machine(name: string, script: string): VmParts {
	const path = join(dir, name);
	const find = `for a; do case "$a" in file:*) console=\${a#file:};; esac; done`;
	writeFileSync(path, `#!/bin/sh\n${find}\n${script}\n`);
	chmodSync(path, 0o755);
	return { arch: "x86_64", qemu: { path, args: [], env: {} }, kernel: "k", kernelName: "k", initrd: "i" };
}

async function failure(parts: VmParts, timeout: number): Promise<string> {
	try {
		await bootVm(parts, { accel: "tcg", timeout });
	} catch (e) {
		expect(e).toBeInstanceOf(BootFailed);
		return (e as Error).message;
	}
	return "it booted";
}

it("says what QEMU said when it ends at once", async () => {
	const said = await failure(machine("bad", "echo 'bad: -machine: unsupported' >&2; exit 1"), 20_000);
	expect(said).toBe("QEMU ended with status 1; it said last:\nbad: -machine: unsupported");
});

it("says that there is no QEMU", async () => {
	const parts = machine("none", "");
	expect(await failure({ ...parts, qemu: { ...parts.qemu, path: join(dir, "nowhere") } }, 20_000)).toMatch(
		/^QEMU ended with status 127; it said last:\n.*nowhere/,
	);
});

it("shows the kernel's panic, not the trace after it, and ends the machine", async () => {
	const pid = join(dir, "panic.pid");
	const parts = machine(
		"panic",
		`echo $$ > ${pid}\nprintf 'first\\r\\n[ 1.0] Kernel panic - not syncing: VFS: no root\\r\\n[ 1.0] Call Trace:\\r\\n' > $console\nexec sleep 600`,
	);
	const said = await failure(parts, 1500);
	expect(said).toBe(
		"QEMU opens no socket; it said last:\nfirst\n[ 1.0] Kernel panic - not syncing: VFS: no root",
	);
	expect(existsSync(`/proc/${readFileSync(pid, "utf8").trim()}`)).toBe(false);
});

/** The folder of the machine that a script stood for, as it wrote it. */
const folder = (file: string): string => readFileSync(file, "utf8").trim();

it("leaves no folder of a machine that did not come up", async () => {
	const said = join(dir, "folder.failed");
	const parts = machine("folder", `dirname $console > ${said}\necho 'no memory' >&2\nexit 1`);
	expect(await failure(parts, 20_000)).toBe("QEMU ended with status 1; it said last:\nno memory");
	expect(folder(said)).toMatch(/bpf-mirror-vm\./);
	expect(existsSync(folder(said))).toBe(false);
});

it("clears folders of machines whose client and keeper were killed, and no others", async () => {
	const made = (owner: number, old: boolean): string => {
		const path = join(tmpdir(), `bpf-mirror-vm.${owner}.test${process.pid}${old ? "old" : ""}`);
		mkdirSync(path);
		writeFileSync(join(path, "console"), "");
		const when = new Date(Date.now() - (old ? 3_600_000 : 0));
		utimesSync(path, when, when);
		return path;
	};
	// numbers of processes end at 4194304
	const gone = made(4_194_305, true);
	const young = made(4_194_305, false);
	const mine = made(process.pid, true);
	try {
		await failure(machine("sweeper", "exit 1"), 20_000);
		expect([gone, young, mine].map((p) => existsSync(p))).toEqual([false, true, true]);
	} finally {
		for (const p of [gone, young, mine]) rmSync(p, { recursive: true, force: true });
	}
});

it.each(["SIGKILL", "SIGINT"] as const)(
	"ends QEMU when its client gets %s, and leaves no folder",
	async (signal) => {
		const pid = join(dir, `client.${signal}`);
		const parts = machine(
			`client${signal}`,
			`echo $$ $(dirname $console) > ${pid}.tmp\nmv ${pid}.tmp ${pid}\nexec sleep 600`,
		);
		const program = join(dir, "client.mts");
		const boot = pathToFileURL(fileURLToPath(new URL("./boot.ts", import.meta.url))).href;
		writeFileSync(
			program,
			`import { bootVm } from ${JSON.stringify(boot)};\nawait bootVm(${JSON.stringify(parts)}, { accel: "tcg" });\n`,
		);
		const tsx = fileURLToPath(new URL("../../node_modules/tsx/dist/cli.mjs", import.meta.url));
		// the loader in this very process, so that the one that is killed is the client
		const client = spawn(
			process.execPath,
			["--import", pathToFileURL(join(tsx, "../esm/index.mjs")).href, program],
			{
				stdio: "ignore",
			},
		);
		const until = async (what: () => boolean): Promise<void> => {
			for (let i = 0; i < 1000 && !what(); i++) await new Promise((r) => setTimeout(r, 20));
			expect(what()).toBe(true);
		};
		await until(() => existsSync(pid));
		const [number, vmDir] = folder(pid).split(" ") as [string, string];
		const qemu = `/proc/${number}`;
		expect([qemu, vmDir].map((p) => existsSync(p))).toEqual([true, true]);
		client.kill(signal);
		await until(() => !existsSync(qemu) && !existsSync(vmDir));
	},
);
