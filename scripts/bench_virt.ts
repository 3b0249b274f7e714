// SPDX-License-Identifier: GPL-2.0-only
/**
 * How fast the emulated machine is: helper round trips, calls into machine code, loads and stores
 * of kernel code, faults, allocators.
 *
 *     npx tsx scripts/bench_virt.ts [milliseconds for each line]
 */
import { assembler, imm64 } from "../arch/testing.ts";
import { call, framed } from "../arch/x86/testing.ts";
import { MachineKmem } from "../mm/kmem.ts";
import { create_machine } from "../mm/machine.ts";

const budget = Number(process.argv[2] ?? 300);

/** Print the median time of one operation; `run(n)` does n of them. */
function bench(name: string, run: (n: number) => void, n0 = 1000): void {
	let n = n0;
	run(n);
	const times: number[] = [];
	const end = performance.now() + budget;
	while (performance.now() < end || times.length < 3) {
		const t = performance.now();
		run(n);
		const ms = performance.now() - t;
		times.push((ms * 1e6) / n);
		if (ms < budget / 20) n *= 2;
	}
	times.sort((a, b) => a - b);
	const ns = times[times.length >> 1]!;
	console.log(`${name.padEnd(44)} ${ns < 100 ? ns.toFixed(1) : ns.toFixed(0)} ns`);
}

const asm = await assembler("x86_64");
const t0 = performance.now();
const m = create_machine({ arch: "x86_64", cpus: 2, memory: 256 << 20 });
const k = new MachineKmem(m, { cur_cpu: () => 0 });
const t1 = performance.now();
let n_code = 0;
const code = (text: string) => m.text.define_code(`bench_${n_code++}`, Uint8Array.from(asm(text)));
const ret = code("mov eax, 1; ret");
m.run(0, ret, []);
console.log(
	`machine made in ${(t1 - t0).toFixed(1)} ms, first run after ${(performance.now() - t1).toFixed(1)} ms more`,
);

const add = m.text.define("bench_add", (cpu) => cpu.argp(0) + cpu.argp(1));
const big = m.text.define("bench_big", (cpu) => cpu.arg(0) + cpu.arg(1));
const loop_over = (helper: number) =>
	code(
		`push rbx; push r12; push rax; mov ebx, edi; movabs r12, ${imm64(helper)};
		again: mov edi, ebx; mov esi, 1; call r12; dec ebx; jnz again; pop rax; pop r12; pop rbx; ret`,
	);
const f_add = loop_over(add);
const f_big = loop_over(big);
bench("helper round trip, numbers", (n) => m.run(0, f_add, [n]));
bench("helper round trip, bigints", (n) => m.run(0, f_big, [n]));
bench("call into machine code and back", (n) => {
	for (let i = 0; i < n; i++) m.run(0, ret, [1, 2]);
});
const nested = m.text.define("bench_nested", () => m.run(0, ret, []));
const f_nested = code(framed(call(nested)));
bench("… with a helper that calls machine code", (n) => {
	for (let i = 0; i < n; i++) m.run(0, f_nested, []);
});
const load = code("mov rax, [rdi]; ret");
m.arch.add_extable(m, [
	{
		insn: load,
		fixup(cpu) {
			cpu.set_reg(0, 0n);
			return load + 3;
		},
	},
]);
bench("fault mended by an exception table", (n) => {
	for (let i = 0; i < n; i++) m.run(0, load, [8]);
});
const spin = code("mov ecx, edi; again: dec ecx; jnz again; ret");
bench("guest: dec and jnz", (n) => m.run(0, spin, [n]), 1_000_000);
const mem_loop = code("mov ecx, edi; again: mov rax, [rsi]; mov [rsi + 8], rax; dec ecx; jnz again; ret");
const va = m.vmalloc.vzalloc(1 << 20);
bench("guest: load and store", (n) => m.run(0, mem_loop, [n, va]), 1_000_000);

const dm = k.kzalloc(4096);
let sink = 0;
bench("mem.r32, direct map", (n) => {
	let s = 0;
	for (let i = 0; i < n; i++) s = (s + m.mem.r32(dm + (i & 0xffc))) | 0;
	sink += s;
});
bench("mem.r32, vmalloc", (n) => {
	let s = 0;
	for (let i = 0; i < n; i++) s = (s + m.mem.r32(va + (i & 0xffffc))) | 0;
	sink += s;
});
bench("mem.r64, vmalloc", (n) => {
	let b = 0n;
	for (let i = 0; i < n; i++) b = m.mem.r64(va + (i & 0xffff8));
	sink += Number(b & 1n);
});
bench("mem.w64, vmalloc", (n) => {
	for (let i = 0; i < n; i++) m.mem.w64(va + (i & 0xffff8), 5n);
});
bench("mem.copy of 256 bytes", (n) => {
	for (let i = 0; i < n; i++) m.mem.copy(va + 4096, va, 256);
});
bench("kmalloc(64) and kfree", (n) => {
	for (let i = 0; i < n; i++) k.kfree(k.kmalloc(64));
});
bench("vzalloc(4096) and vfree", (n) => {
	for (let i = 0; i < n; i++) k.vfree(k.vzalloc(4096));
});
const mm = k.new_mm();
const ua = mm.mmap(0, 1 << 20, 3, 0x22, null, 0);
bench("user store of 8 bytes", (n) => {
	for (let i = 0; i < n; i++) mm.user.w64(ua + (i & 0xffff8), 5n);
});
bench("mmap, touch, munmap", (n) => {
	for (let i = 0; i < n; i++) {
		const a = mm.mmap(0, 4096, 3, 0x22, null, 0);
		mm.user.w8(a, 1);
		mm.munmap(a, 4096);
	}
});
const ut = mm.mmap(0, 4096, 7, 0x22, null, 0);
mm.write(ut, Uint8Array.from(asm("mov eax, 1; again: syscall; jmp again")));
const regs = m.arch.new_user_regs();
regs.pc = ut;
bench("system call from user code", (n) => {
	for (let i = 0; i < n; i++) m.arch.run_user(0, mm.table, regs);
});
if (sink === 0.5) console.log(sink);
m.close();
