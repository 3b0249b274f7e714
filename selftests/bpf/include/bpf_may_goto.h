/* SPDX-License-Identifier: GPL-2.0-only */
/* Loops whose end the verifier need not see: may_goto ends them when they run for too long. */
#ifndef BPF_MIRROR_BPF_MAY_GOTO_H
#define BPF_MIRROR_BPF_MAY_GOTO_H

#include "bpf_helpers.h"

/* may_goto: true until the program has looped for too long. */
#define can_loop                                                                                    \
	({                                                                                          \
		__label__ stop, out;                                                                \
		bool __go_on = true;                                                                \
		asm volatile goto("1: .byte 0xe5; .byte 0;"                                         \
				  ".long ((%l[stop] - 1b - 8) / 8) & 0xffff; .short 0" ::::stop);   \
		goto out;                                                                           \
	stop:                                                                                       \
		__go_on = false;                                                                    \
	out:;                                                                                       \
		__go_on;                                                                            \
	})

/* Leaves the loop it stands in, once the program has looped for too long. */
#define cond_break                                                                                  \
	{                                                                                           \
		if (!can_loop)                                                                      \
			break;                                                                      \
	}

#endif
