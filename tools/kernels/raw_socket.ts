// SPDX-License-Identifier: GPL-2.0-only
/** Unix sockets read and written with blocking calls: system calls of `Sys` answer at once, not in a promise. */
import koffi from "koffi";
import { EAGAIN, EINTR } from "../../include/uapi/asm-generic/errno.ts";

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;
const MSG_DONTWAIT = 0x40;
const POLLIN = 1;
const SUN_PATH_MAX = 107;

interface Libc {
	socket(domain: number, type: number, protocol: number): number;
	connect(fd: number, addr: Uint8Array, len: number): number;
	send(fd: number, buf: Uint8Array, len: number, flags: number): number;
	recv(fd: number, buf: Uint8Array, len: number, flags: number): number;
	poll(fds: Uint8Array, n: number, timeout: number): number;
	close(fd: number): number;
}

/** The few calls of libc; bound once for a connection to a machine. */
export function bindLibc(): Libc {
	const lib = koffi.load("libc.so.6");
	return {
		socket: lib.func("int socket(int domain, int type, int protocol)"),
		connect: lib.func("int connect(int fd, const void *addr, uint32_t len)"),
		send: lib.func("int64_t send(int fd, const void *buf, size_t len, int flags)"),
		recv: lib.func("int64_t recv(int fd, void *buf, size_t len, int flags)"),
		poll: lib.func("int poll(void *fds, size_t n, int timeout)"),
		close: lib.func("int close(int fd)"),
	};
}

/** The other side closed the connection. */
export class Disconnected extends Error {}
/** Nothing came in time. */
export class ReadTimeout extends Error {}

/** One end of a connection. */
export class RawSocket {
	private readonly libc: Libc;
	private readonly fd: number;
	private readonly pollfd: Uint8Array;
	private open = true;

	private constructor(libc: Libc, fd: number) {
		this.libc = libc;
		this.fd = fd;
		this.pollfd = new Uint8Array(8);
		const v = new DataView(this.pollfd.buffer);
		v.setInt32(0, fd, true);
		v.setInt16(4, POLLIN, true);
	}

	/** Connect to a listening socket; a positive errno where that fails. */
	static connect(libc: Libc, path: string): RawSocket | number {
		const name = new TextEncoder().encode(path);
		if (name.length > SUN_PATH_MAX) throw new Error(`${path} is too long for a socket's name`);
		const fd = libc.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0) return koffi.errno();
		const addr = new Uint8Array(2 + name.length + 1);
		addr[0] = AF_UNIX;
		addr.set(name, 2);
		if (libc.connect(fd, addr, addr.length) === 0) return new RawSocket(libc, fd);
		const err = koffi.errno();
		libc.close(fd);
		return err;
	}

	/** Send all of it. */
	send(bytes: Uint8Array): void {
		let at = 0;
		while (at < bytes.length) {
			const n = this.libc.send(this.fd, bytes.subarray(at), bytes.length - at, MSG_NOSIGNAL);
			if (n > 0) at += n;
			else if (koffi.errno() !== EINTR) throw new Disconnected("the connection is closed");
		}
	}

	/** Exactly `buf.length` bytes; waits at most `timeout` ms for the next of them. */
	receive(buf: Uint8Array, timeout: number): void {
		let at = 0;
		while (at < buf.length) {
			const n = this.libc.recv(this.fd, buf.subarray(at), buf.length - at, MSG_DONTWAIT);
			if (n > 0) at += n;
			else if (n === 0) throw new Disconnected("the connection is closed");
			else {
				const err = koffi.errno();
				if (err === EAGAIN) {
					if (!this.readable(timeout)) throw new ReadTimeout(`no answer within ${timeout / 1000} s`);
				} else if (err !== EINTR) throw new Disconnected(`the connection is closed (errno ${err})`);
			}
		}
	}

	/** Whether there is something to read (or the other side is gone), after at most `timeout` ms. */
	readable(timeout = 0): boolean {
		const until = Date.now() + timeout;
		for (;;) {
			const n = this.libc.poll(this.pollfd, 1, Math.max(0, until - Date.now()));
			if (n > 0) return true;
			if (n === 0 || koffi.errno() !== EINTR) return false;
		}
	}

	close(): void {
		if (this.open) this.libc.close(this.fd);
		this.open = false;
	}
}
