/* SPDX-License-Identifier: ISC */

/*
 * The switch for aarch64 (AAPCS64).  A suspended stack holds, from its saved
 * stack pointer up: x19 to x30, d8 to d15, fpcr, 8 unused bytes: 176 in all.
 * Writing fpcr is slow, so it is written only when the two sides differ.
 */

#ifdef __aarch64__

	.text

	.globl	context_jump
	.hidden	context_jump
	.type	context_jump, %function
	.p2align 4
context_jump:				/* x0: where to save the stack pointer, x1: the new one */
	.cfi_startproc
	sub	sp, sp, #176
	.cfi_def_cfa_offset 176
	stp	x19, x20, [sp, #0]
	stp	x21, x22, [sp, #16]
	stp	x23, x24, [sp, #32]
	stp	x25, x26, [sp, #48]
	stp	x27, x28, [sp, #64]
	stp	x29, x30, [sp, #80]
	stp	d8, d9, [sp, #96]
	stp	d10, d11, [sp, #112]
	stp	d12, d13, [sp, #128]
	stp	d14, d15, [sp, #144]
	mrs	x9, fpcr
	str	x9, [sp, #160]
	mov	x10, sp
	str	x10, [x0]
	mov	sp, x1			/* from here on the other stack, of the same layout */
	ldr	x11, [sp, #160]
	cmp	x9, x11
	b.eq	1f
	msr	fpcr, x11
1:	ldp	x19, x20, [sp, #0]
	ldp	x21, x22, [sp, #16]
	ldp	x23, x24, [sp, #32]
	ldp	x25, x26, [sp, #48]
	ldp	x27, x28, [sp, #64]
	ldp	x29, x30, [sp, #80]
	ldp	d8, d9, [sp, #96]
	ldp	d10, d11, [sp, #112]
	ldp	d12, d13, [sp, #128]
	ldp	d14, d15, [sp, #144]
	add	sp, sp, #176
	.cfi_def_cfa_offset 0
	ret
	.cfi_endproc
	.size	context_jump, . - context_jump

	.globl	context_prepare
	.hidden	context_prepare
	.type	context_prepare, %function
	.p2align 4
context_prepare:			/* x0: top of the stack, x1: function, x2: its argument */
	.cfi_startproc
	sub	x0, x0, #192
	stp	x1, x2, [x0, #0]	/* x19, x20 */
	adrp	x9, context_start
	add	x9, x9, :lo12:context_start
	stp	xzr, x9, [x0, #80]	/* x29 is 0: here walks along frame pointers end */
	stp	xzr, xzr, [x0, #16]
	stp	xzr, xzr, [x0, #32]
	stp	xzr, xzr, [x0, #48]
	stp	xzr, xzr, [x0, #64]
	stp	xzr, xzr, [x0, #96]
	stp	xzr, xzr, [x0, #112]
	stp	xzr, xzr, [x0, #128]
	stp	xzr, xzr, [x0, #144]
	mrs	x9, fpcr
	stp	x9, xzr, [x0, #160]
	stp	xzr, xzr, [x0, #176]
	ret
	.cfi_endproc
	.size	context_prepare, . - context_prepare

	/* The bottom of a stack: no caller, and unwinders are told so. */
	.type	context_start, %function
	.p2align 4
context_start:
	.cfi_startproc
	.cfi_undefined x30
	.cfi_undefined x29
	mov	x0, x20
	blr	x19
	brk	#1
	.cfi_endproc
	.size	context_start, . - context_start

#endif

	.section .note.GNU-stack, "", %progbits
