/* SPDX-License-Identifier: GPL-2.0-only */
/* What a test of the verifier expects of a program, as tags in its BTF that test_loader reads. */
#ifndef BPF_MIRROR_BPF_MISC_H
#define BPF_MIRROR_BPF_MISC_H

#define __tag_text(x) #x
#define __tag_str(x) __tag_text(x)
#define __tag(text) __attribute__((btf_decl_tag("comment:test_" text)))
/* A counter keeps tags of the same text apart. */
#define __tag_seq(key, text) __tag(key "=" __tag_str(__COUNTER__) "=" text)

#define __success __tag("expect_success")
#define __failure __tag("expect_failure")
#define __success_unpriv __tag("expect_success_unpriv")
#define __failure_unpriv __tag("expect_failure_unpriv")
#define __msg(text) __tag_seq("expect_msg", text)
#define __msg_unpriv(text) __tag_seq("expect_msg_unpriv", text)
#define __xlated(text) __tag_seq("expect_xlated", text)
#define __jited(text) __tag_seq("jited", text)
#define __arch_x86_64 __tag("arch=X86_64")
#define __arch_arm64 __tag("arch=ARM64")
#define __retval(val) __tag("retval=" __tag_str(val))
#define __log_level(n) __tag("log_level=" __tag_str(n))
#define __flag(flag) __tag("prog_flags=" __tag_str(flag))
#define __description(text) __tag("description=" text)
#define __auxiliary __tag("auxiliary")

#define __naked __attribute__((naked))
#define __clobber_all "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "memory"
#define __imm(name) [name] "i"(name)
#define __imm_addr(name) [name] "i"(&name)

/* A program that is turned down with a message. */
#define REJECT(sec, text) SEC(sec) __failure __msg(text)
#define ACCEPT(sec) SEC(sec) __success

/* Arguments of global functions, and exception callbacks. */
#define __arg_ctx __attribute__((btf_decl_tag("arg:ctx")))
#define __arg_nonnull __attribute__((btf_decl_tag("arg:nonnull")))
#define __arg_nullable __attribute__((btf_decl_tag("arg:nullable")))
#define __arg_trusted __attribute__((btf_decl_tag("arg:trusted")))
#define __arg_arena __attribute__((btf_decl_tag("arg:arena")))
#define __exception_cb(name) __attribute__((btf_decl_tag("exception_callback:" #name)))

#endif
