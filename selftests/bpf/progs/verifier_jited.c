// SPDX-License-Identifier: GPL-2.0-only
/* What the JITs make of programs: __jited lines are machine code, as LLVM disassembles it. */
#include "bpf_helpers.h"
#include "bpf_misc.h"

int one(void *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__uint(key_size, sizeof(__u32));
	__array(values, int (void *));
} jumps SEC(".maps") = {
	.values = { [1] = (void *)&one },
};

SEC("tc") __auxiliary
int one(void *ctx)
{
	return 1;
}

SEC("tc") __success __retval(3)
__arch_x86_64
__jited("	movl	$0x3, %eax")
__jited("	leave")
__jited("	{{(retq|jmp	0x)}}")
__arch_arm64
__jited("	mov	w7, #0x3")
__jited("...")
__jited("	add	x0, x7, #0x0")
int three(void *ctx)
{
	return 3;
}

/*
 * The entry that user space filled after the load is a direct jump by now, and the way around it is closed.
 * arm64 looks into the array each time.
 */
SEC("tc") __success __retval(1)
__arch_x86_64
__jited("	{{cmpq	\\$0x21, \\(%rax\\)}}")
__jited("	jae	L{{[0-9]}}")
__jited("	nopl	(%rax,%rax)")
__jited("	addq	$0x1, (%rax)")
__jited("...")
__jited("	jmp	{{0x|-}}")
__jited("L{{[0-9]}}:")
__arch_arm64
__jited("	cmp	w2, w10")
__jited("	b.hs	L{{[0-9]}}")
__jited("	mov	w10, #0x21")
__jited("	ldr	x12, [x26]")
__jited("...")
__jited("	cbz	x11, L{{[0-9]}}")
__jited("	str	x12, [x26]")
__jited("...")
__jited("	br	x10")
__jited("L{{[0-9]}}:	mov	x7, #0x0")
__naked int jump(void)
{
	asm volatile ("r2 = %[jumps] ll; r3 = 1; call 12; r0 = 0; exit;" :: __imm_addr(jumps) : __clobber_all);
}

/* An empty entry: the program goes on behind the call. */
SEC("tc") __success __retval(7)
__arch_x86_64
__jited("	jae	L{{[0-9]}}")
__jited("	jmp	L{{[0-9]}}")
__jited("	addq	$0x1, (%rax)")
__jited("...")
__jited("	nopl	(%rax,%rax)")
__jited("L{{[0-9]}}:	movl	$0x7, %eax")
__arch_arm64
__jited("	cmp	w2, w10")
__jited("	b.hs	L{{[0-9]}}")
__jited("	mov	w10, #0x21")
__jited("	ldr	x12, [x26]")
__jited("...")
__jited("	cbz	x11, L{{[0-9]}}")
__jited("	str	x12, [x26]")
__jited("...")
__jited("	br	x10")
__jited("L{{[0-9]}}:	mov	x7, #0x7")
__naked int stay(void)
{
	asm volatile ("r2 = %[jumps] ll; r3 = 0; call 12; r0 = 7; exit;" :: __imm_addr(jumps) : __clobber_all);
}

char _license[] SEC("license") = "GPL";
