// SPDX-License-Identifier: GPL-2.0-only
/* More functions than trampolines fit on a page. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

#define ALL(F) \
	F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11) F(12) F(13) F(14) F(15) F(16) F(17) F(18) F(19) F(20) \
	F(21) F(22) F(23) F(24) F(25) F(26) F(27) F(28) F(29) F(30) F(31) F(32) F(33) F(34) F(35) F(36) F(37) F(38) F(39) F(40)

#define MEMBER(n) int (*tramp_##n)(int);
struct bpf_testmod_ops {
	int (*test_1)(void);
	ALL(MEMBER)
};

SEC("struct_ops") int test_1(void *ctx) { return 0; }
#define PROG(n) SEC("struct_ops") int tramp_##n(void *ctx) { return n; }
ALL(PROG)

#define INIT(n) .tramp_##n = (void *)tramp_##n,
SEC(".struct_ops.link")
struct bpf_testmod_ops multi_pages = { .test_1 = (void *)test_1, ALL(INIT) };
