// SPDX-License-Identifier: GPL-2.0-only
/*
 * The agent of a remote kernel: init of an initramfs, and of every process that a client asks for.
 *
 * It needs no libc. Port 1 of the virtio console is the control port, read by init itself: it forks processes and
 * ends them. Each thread of each process reads one of the other ports, takes what it is told there, and answers on it,
 * so that a call that blocks holds up its own thread only.
 *
 * A request is { u32 bytes that follow the header, u32 seq } and operations; an answer is the same header and a result
 * for each operation but OP_STORE. Everything is padded to 8 bytes and little-endian.
 *
 *   operation { u32 op, u32 n, u64 arg[] }                     result { s64 ret, u64 addr, u32 signal, u32 n } + n bytes
 *   OP_SYSCALL  arg: nr and six arguments                      ret
 *   OP_LOAD     arg: address; n bytes of memory                the bytes
 *   OP_STORE    arg: address; the n bytes follow               none, unless it faults
 *   OP_FILL     arg: fd, address, length: read(2) to the end   ret: bytes, or a negative errno
 *   OP_THREAD   arg: port                                      ret: tid of a new thread that reads that port
 *   OP_EXIT     end this thread                                ret: 0
 *   OP_PROCESS  arg: port (control port only)                  ret: pid of a new process
 *   OP_END      arg: port (control port only)                  ret: wait status of the process that was killed
 *   OP_CALL     arg: address of a function, six arguments      ret: what it returned
 *
 * A load, store or call that faults gives the signal and the address in its result; what follows it is not done. When a
 * process ends by itself, init says so on the ports of its threads: an answer with seq SEQ_DEAD and the wait status.
 */
typedef unsigned long u64;
typedef long s64;
typedef unsigned int u32;

enum { OP_SYSCALL = 1, OP_LOAD, OP_STORE, OP_FILL, OP_THREAD, OP_EXIT, OP_PROCESS, OP_END, OP_CALL };

#define SEQ_HELLO 0xfffffffeu
#define SEQ_DEAD 0xffffffffu
#define VERSION 2
#define NR_PORTS 31
#define FIRST_FD 900 /* descriptors of the ports: out of the way of those that tests look at */
#define BUF_SIZE (2ul << 20) /* a half for the request, a half for the answer */
#define STACK_SIZE (64ul << 10)

struct header { u32 len, seq; };
struct op { u32 op, n; u64 arg[]; };
struct result { s64 ret; u64 addr; u32 signal, n; };
struct fault { u64 signal, addr; };
struct kernel_sigaction { void *handler; u64 flags; void *restorer; u64 mask; };

/* Text between copy and copy_end may fault: the handler goes on at copy_fault with signal and address as the result. */
extern struct fault copy(void *to, const void *from, u64 n);
extern char copy_end[], copy_fault[];
/* A call of the client's code under way: where the handler puts the stack back to, and why. */
struct call { s64 tid; u64 sp, signal, addr; };
/* Calls (*a)(a[1], …, a[6]); *sp is the stack at call_end, where the handler goes on. */
extern s64 call_native(const u64 *a, u64 *sp);
extern char call_end[];
/* clone(2) of a thread that runs thread_main(arg) on its own stack. */
extern s64 spawn(u64 flags, void *stack, u64 arg);

#if defined(__x86_64__)
enum {
	NR_read = 0, NR_write = 1, NR_close = 3, NR_mmap = 9, NR_sigaction = 13, NR_sigprocmask = 14, NR_nanosleep = 35,
	NR_getpid = 39, NR_gettid = 186, NR_clone = 56, NR_exit = 60, NR_wait4 = 61, NR_kill = 62, NR_fcntl = 72, NR_setsid = 112, NR_mount = 165, NR_reboot = 169,
	NR_openat = 257, NR_mkdirat = 258, NR_ppoll = 271, NR_signalfd4 = 289, NR_dup3 = 292, NR_finit_module = 313,
};
#define SA_RESTORER 0x04000000
#define UC_PC 168
#define UC_RET0 144 /* rax */
#define UC_RET1 136 /* rdx */
#define UC_SP 160
extern void sigreturn(void);

static s64 sys(s64 nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	register u64 r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	__asm__ volatile("syscall"
			 : "+a"(nr), "+r"(r10), "+r"(r8), "+r"(r9)
			 : "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return nr;
}

__asm__(".text\n"
	".globl _start, copy, copy_end, copy_fault, call_native, call_end, spawn, sigreturn\n"
	"_start: xor %ebp, %ebp; and $-16, %rsp; call init_main\n"
	"sigreturn: mov $15, %eax; syscall\n"
	"spawn: mov %rdx, %r9; xor %edx, %edx; xor %r10d, %r10d; xor %r8d, %r8d; mov $56, %eax; syscall\n"
	"	test %rax, %rax; jnz 1f; xor %ebp, %ebp; mov %r9, %rdi; call thread_main\n"
	"1:	ret\n"
	"copy:	cmp $8, %rdx; jb 2f\n"
	"1:	mov (%rsi), %rax; mov %rax, (%rdi); add $8, %rsi; add $8, %rdi; sub $8, %rdx; cmp $8, %rdx; jae 1b\n"
	"2:	test $4, %dl; jz 3f; mov (%rsi), %eax; mov %eax, (%rdi); add $4, %rsi; add $4, %rdi\n"
	"3:	test $2, %dl; jz 4f; mov (%rsi), %ax; mov %ax, (%rdi); add $2, %rsi; add $2, %rdi\n"
	"4:	test $1, %dl; jz 5f; mov (%rsi), %al; mov %al, (%rdi)\n"
	"5:	xor %eax, %eax; xor %edx, %edx; ret\n"
	"copy_end:\n"
	"copy_fault: ret\n"
	"call_native: push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15; sub $8, %rsp\n"
	"	mov %rsp, (%rsi); mov %rdi, %rax; mov 8(%rax), %rdi; mov 16(%rax), %rsi; mov 24(%rax), %rdx\n"
	"	mov 32(%rax), %rcx; mov 40(%rax), %r8; mov 48(%rax), %r9; call *(%rax)\n"
	"call_end: add $8, %rsp; pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx; ret\n");
#elif defined(__aarch64__)
enum {
	NR_dup3 = 24, NR_fcntl = 25, NR_mkdirat = 34, NR_mount = 40, NR_openat = 56, NR_close = 57, NR_read = 63, NR_write = 64,
	NR_ppoll = 73, NR_signalfd4 = 74, NR_exit = 93, NR_nanosleep = 101, NR_kill = 129, NR_sigaction = 134,
	NR_sigprocmask = 135, NR_reboot = 142, NR_setsid = 157, NR_getpid = 172, NR_gettid = 178, NR_clone = 220, NR_mmap = 222, NR_wait4 = 260,
	NR_finit_module = 273,
};
#define SA_RESTORER 0
#define UC_PC 440
#define UC_RET0 184 /* x0 */
#define UC_RET1 192 /* x1 */
#define UC_SP 432
#define sigreturn ((void *)0)

static s64 sys(s64 nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	register u64 x8 __asm__("x8") = nr, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
	register u64 x3 __asm__("x3") = d, x4 __asm__("x4") = e, x5 __asm__("x5") = f;
	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	return x0;
}

__asm__(".text\n"
	".globl _start, copy, copy_end, copy_fault, call_native, call_end, spawn\n"
	"_start: mov x29, #0; bl init_main\n"
	"spawn:	mov x9, x2; mov x2, #0; mov x3, #0; mov x4, #0; mov x8, #220; svc #0\n"
	"	cbnz x0, 1f; mov x29, #0; mov x0, x9; bl thread_main\n"
	"1:	ret\n"
	"copy:	cmp x2, #8; b.lo 2f\n"
	"1:	ldr x3, [x1], #8; str x3, [x0], #8; sub x2, x2, #8; cmp x2, #8; b.hs 1b\n"
	"2:	tbz x2, #2, 3f; ldr w3, [x1], #4; str w3, [x0], #4\n"
	"3:	tbz x2, #1, 4f; ldrh w3, [x1], #2; strh w3, [x0], #2\n"
	"4:	tbz x2, #0, 5f; ldrb w3, [x1]; strb w3, [x0]\n"
	"5:	mov x0, #0; mov x1, #0; ret\n"
	"copy_end:\n"
	"copy_fault: ret\n"
	"call_native: stp x29, x30, [sp, #-96]!; stp x19, x20, [sp, #16]; stp x21, x22, [sp, #32]\n"
	"	stp x23, x24, [sp, #48]; stp x25, x26, [sp, #64]; stp x27, x28, [sp, #80]; mov x9, sp; str x9, [x1]\n"
	"	mov x9, x0; ldr x10, [x9]; ldp x0, x1, [x9, #8]; ldp x2, x3, [x9, #24]; ldp x4, x5, [x9, #40]; blr x10\n"
	"call_end: ldp x19, x20, [sp, #16]; ldp x21, x22, [sp, #32]; ldp x23, x24, [sp, #48]\n"
	"	ldp x25, x26, [sp, #64]; ldp x27, x28, [sp, #80]; ldp x29, x30, [sp], #96; ret\n");
#endif

#define SYS(nr, a, b, c, d, e, f) sys(NR_##nr, (u64)(a), (u64)(b), (u64)(c), (u64)(d), (u64)(e), (u64)(f))

enum { EINTR = 4, ENOENT = 2, ESRCH = 3, EINVAL = 22, ENOSYS = 38 };
enum { SIGBUS = 7, SIGKILL = 9, SIGSEGV = 11, SIGCHLD = 17 };
enum { AT_FDCWD = -100, O_RDWR = 2, O_NONBLOCK = 04000, F_SETFL = 4, MAP_SHARED = 1, MAP_PRIVATE = 2 };

void thread_main(u64 port);

/* The process that reads a port, 0 for none; shared by all of them. */
static int *owner;
/* Calls by the port of their thread. */
static struct call calls[NR_PORTS + 1];

void *memcpy(void *to, const void *from, u64 n)
{
	for (u64 i = 0; i < n; i++) ((char *)to)[i] = ((const char *)from)[i];
	return to;
}

void *memset(void *to, int c, u64 n)
{
	for (u64 i = 0; i < n; i++) ((char *)to)[i] = c;
	return to;
}

#define map(len, flags) ((char *)SYS(mmap, 0, len, 3, 0x20 | (flags), -1, 0))
#define pause_10ms() SYS(nanosleep, ((u64[]){ 0, 10000000 }), 0, 0, 0, 0, 0)
#define say(what) SYS(write, 1, what, sizeof(what) - 1, 0, 0, 0)

static void power_off(void)
{
	SYS(reboot, 0xfee1dead, 672274793, 0x4321fedc, 0, 0, 0);
	for (;;) pause_10ms();
}

/* n bytes in or out, fewer at the end: how many, or a negative errno. */
static s64 transfer(int nr, u64 fd, void *buf, u64 n)
{
	u64 done = 0;
	for (s64 got = 1; done < n && got; done += got) {
		do got = sys(nr, fd, (u64)buf + done, n - done, 0, 0, 0);
		while (got == -EINTR);
		if (got < 0) return got;
	}
	return done;
}

static void on_fault(int sig, char *info, char *uc)
{
	u64 pc = *(u64 *)(uc + UC_PC);
	if (pc >= (u64)copy && pc < (u64)copy_end) {
		*(u64 *)(uc + UC_PC) = (u64)copy_fault;
		*(u64 *)(uc + UC_RET0) = sig;
		*(u64 *)(uc + UC_RET1) = *(u64 *)(info + 16);
		return;
	}
	s64 tid = SYS(gettid, 0, 0, 0, 0, 0, 0);
	for (struct call *c = calls; c <= calls + NR_PORTS; c++) {
		if (c->tid != tid) continue;
		*(u64 *)(uc + UC_PC) = (u64)call_end;
		*(u64 *)(uc + UC_SP) = c->sp;
		c->signal = sig;
		c->addr = *(u64 *)(info + 16);
		return;
	}
	SYS(sigaction, sig, &(struct kernel_sigaction){ 0 }, 0, 8, 0, 0); /* end as any process would */
}

static s64 new_thread(u64 creator, u64 port)
{
	if (port < 2 || port > NR_PORTS || owner[port]) return -EINVAL;
	char *stack = map(STACK_SIZE, MAP_PRIVATE);
	if ((s64)stack < 0) return (s64)stack;
	owner[port] = owner[creator];
	/* CLONE_VM | FS | FILES | SIGHAND | THREAD | SYSVSEM */
	s64 tid = spawn(0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000, stack + STACK_SIZE, port);
	if (tid < 0) owner[port] = 0;
	return tid;
}

static s64 new_process(u64 port)
{
	if (port < 2 || port > NR_PORTS || owner[port]) return -EINVAL;
	/* nothing of a reader before may be taken for a request */
	char old[256];
	SYS(fcntl, FIRST_FD + port, F_SETFL, O_RDWR | O_NONBLOCK, 0, 0, 0);
	while (SYS(read, FIRST_FD + port, old, sizeof(old), 0, 0, 0) > 0) {}
	SYS(fcntl, FIRST_FD + port, F_SETFL, O_RDWR, 0, 0, 0);
	s64 pid = SYS(clone, SIGCHLD, 0, 0, 0, 0, 0);
	if (pid == 0) {
		SYS(sigprocmask, 2, &(u64){ 0 }, 0, 8, 0, 0);
		SYS(setsid, 0, 0, 0, 0, 0, 0);
		SYS(close, FIRST_FD, 0, 0, 0, 0, 0); /* init's signalfd */
		thread_main(port);
	}
	if (pid > 0) owner[port] = pid;
	return pid;
}

/* Forget a process; tell its client unless it asked for the end. */
static void forget(int pid, int status, int tell)
{
	for (u64 port = 2; port <= NR_PORTS; port++) {
		if (owner[port] != pid) continue;
		owner[port] = 0;
		struct { struct header h; s64 status; } dead = { { 8, SEQ_DEAD }, status };
		if (tell) transfer(NR_write, FIRST_FD + port, &dead, sizeof(dead));
	}
}

static s64 end_process(u64 port)
{
	int pid = port >= 2 && port <= NR_PORTS ? owner[port] : 0, status = 0;
	if (!pid) return -ESRCH;
	SYS(kill, pid, SIGKILL, 0, 0, 0, 0);
	while (SYS(wait4, pid, &status, 0, 0, 0, 0) == -EINTR) {}
	forget(pid, status, 0);
	return status;
}

/* One request: 0 when the client is gone or this thread is to end. */
static int answer(u64 port, char *in, char *out)
{
	struct header h;
	u64 fd = FIRST_FD + port;
	if (transfer(NR_read, fd, &h, sizeof(h)) != sizeof(h) || h.len > BUF_SIZE / 2) return 0;
	if (transfer(NR_read, fd, in, h.len) != h.len) return 0;
	char *p = in, *end = in + h.len, *o = out + sizeof(h);
	struct fault f = { 0, 0 };
	int go_on = 1;
	while (!f.signal && go_on && p + sizeof(struct op) <= end) {
		struct op *op = (struct op *)p;
		struct result *r = (struct result *)o;
		u64 *a = op->arg;
		u64 padded = (op->n + 7ul) & ~7ul;
		int silent = 0;
		*r = (struct result){ 0 };
		p += sizeof(*op) + 8 * (op->op == OP_SYSCALL || op->op == OP_CALL ? 7 : op->op == OP_FILL ? 3 : 1);
		if (op->op == OP_SYSCALL) {
			r->ret = sys(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
			/* a child that the client made has no port: it ends here */
			if (!r->ret && SYS(getpid, 0, 0, 0, 0, 0, 0) != owner[port]) SYS(exit, 0, 0, 0, 0, 0, 0);
		} else if (op->op == OP_LOAD && (char *)(r + 1) + padded <= out + BUF_SIZE / 2) {
			f = copy(r + 1, (void *)a[0], op->n);
			if (!f.signal) r->n = op->n;
		} else if (op->op == OP_STORE && p + padded <= end) {
			f = copy((void *)a[0], p, op->n);
			p += padded;
			silent = !f.signal;
		} else if (op->op == OP_FILL) {
			r->ret = transfer(NR_read, a[0], (void *)a[1], a[2]);
		} else if (op->op == OP_THREAD && port != 1) {
			r->ret = new_thread(port, a[0]);
		} else if (op->op == OP_CALL && port != 1) {
			struct call *c = calls + port;
			*c = (struct call){ .tid = SYS(gettid, 0, 0, 0, 0, 0, 0) };
			r->ret = call_native(a, &c->sp);
			c->tid = 0;
			f = (struct fault){ c->signal, c->addr };
		} else if (op->op == OP_EXIT && port != 1) {
			go_on = 0;
		} else if (op->op == OP_PROCESS && port == 1) {
			r->ret = new_process(a[0]);
		} else if (op->op == OP_END && port == 1) {
			r->ret = end_process(a[0]);
		} else {
			r->ret = -ENOSYS;
		}
		r->signal = f.signal;
		r->addr = f.addr;
		if (!silent) o += sizeof(*r) + ((r->n + 7ul) & ~7ul);
	}
	*(struct header *)out = (struct header){ o - out - sizeof(h), h.seq };
	if (!go_on) owner[port] = 0;
	return transfer(NR_write, fd, out, o - out) == o - out && go_on;
}

void thread_main(u64 port)
{
	char *buf = map(BUF_SIZE, MAP_PRIVATE);
	while ((s64)buf > 0 && answer(port, buf, buf + BUF_SIZE / 2)) {}
	SYS(exit, 0, 0, 0, 0, 0, 0);
	__builtin_unreachable();
}

static void mounts(void)
{
	static const char *const what[][2] = {
		{ "devtmpfs", "/dev" }, { "proc", "/proc" }, { "sysfs", "/sys" }, { "tmpfs", "/tmp" },
		{ "debugfs", "/sys/kernel/debug" }, { "tracefs", "/sys/kernel/tracing" },
		{ "cgroup2", "/sys/fs/cgroup" }, { "bpf", "/sys/fs/bpf" },
	};
	for (u64 i = 0; i < sizeof(what) / sizeof(*what); i++) {
		SYS(mkdirat, AT_FDCWD, what[i][1], 0755, 0, 0, 0);
		SYS(mount, what[i][0], what[i][1], what[i][0], 0, 0, 0);
	}
}

/* /modules/00.ko, 01.ko, …: dependencies first. */
static void modules(void)
{
	char name[] = "/modules/00.ko";
	for (int i = 0; i < 100; i++) {
		name[9] = '0' + i / 10;
		name[10] = '0' + i % 10;
		s64 fd = SYS(openat, AT_FDCWD, name, 0, 0, 0, 0);
		if (fd < 0) return;
		if (SYS(finit_module, fd, "", 0, 0, 0, 0) < 0) say("agent: a module did not load\n");
		SYS(close, fd, 0, 0, 0, 0, 0);
	}
}

static void open_ports(void)
{
	char name[] = "/dev/vport0p\0\0";
	for (u64 port = 1; port <= NR_PORTS; port++) {
		name[12] = port < 10 ? '0' + port : '0' + port / 10;
		name[13] = port < 10 ? 0 : '0' + port % 10;
		s64 fd = -ENOENT;
		for (int i = 0; i < 1500 && fd < 0; i++) {
			if ((fd = SYS(openat, AT_FDCWD, name, O_RDWR, 0, 0, 0)) < 0) pause_10ms();
		}
		if (fd < 0) say("agent: no virtio port: is virtio_console in this kernel, or among its modules?\n"), power_off();
		SYS(dup3, fd, FIRST_FD + port, 02000000, 0, 0, 0);
		SYS(close, fd, 0, 0, 0, 0, 0);
	}
}

void init_main(void)
{
	mounts();
	s64 console = SYS(openat, AT_FDCWD, "/dev/console", O_RDWR, 0, 0, 0);
	for (u64 fd = 0; fd < 3; fd++)
		if ((s64)fd != console) SYS(dup3, console, fd, 0, 0, 0, 0);
	if (console > 2) SYS(close, console, 0, 0, 0, 0, 0);
	modules();
	open_ports();
	owner = (int *)map(4096, MAP_SHARED);
	owner[1] = 1;
	struct kernel_sigaction sa = { on_fault, 4 /* SA_SIGINFO */ | SA_RESTORER, sigreturn, 0 };
	SYS(sigaction, SIGSEGV, &sa, 0, 8, 0, 0);
	SYS(sigaction, SIGBUS, &sa, 0, 8, 0, 0);
	u64 chld = 1ul << (SIGCHLD - 1);
	SYS(sigprocmask, 0, &chld, 0, 8, 0, 0);
	s64 sigfd = SYS(signalfd4, -1, &chld, 8, 02000000 | O_NONBLOCK, 0, 0);
	SYS(dup3, sigfd, FIRST_FD, 02000000, 0, 0, 0);
	SYS(close, sigfd, 0, 0, 0, 0, 0);
	struct { struct header h; u64 version, ports; } hello = { { 16, SEQ_HELLO }, VERSION, NR_PORTS };
	transfer(NR_write, FIRST_FD + 1, &hello, sizeof(hello));
	char *buf = map(BUF_SIZE, MAP_PRIVATE), info[128];
	for (;;) {
		struct { int fd; short events, revents; } fds[2] = { { FIRST_FD, 1, 0 }, { FIRST_FD + 1, 1, 0 } };
		SYS(ppoll, fds, 2, 0, 0, 8, 0);
		while (SYS(read, FIRST_FD, info, sizeof(info), 0, 0, 0) > 0) {}
		for (int pid, status; (pid = SYS(wait4, -1, &status, 1 /* WNOHANG */, 0, 0, 0)) > 0;) forget(pid, status, 1);
		if (fds[1].revents && !answer(1, buf, buf + BUF_SIZE / 2)) power_off();
	}
}
