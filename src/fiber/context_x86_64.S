/* SPDX-License-Identifier: ISC */

/*
 * The switch for x86_64 (System V ABI).  A suspended stack holds, from its
 * saved stack pointer up:
 *
 *	 0  mxcsr, 4 bytes; x87 control word, 2 bytes; unused, 2 bytes
 *	 8  r15  r14  r13  r12  rbx  rbp
 *	56  where to go on
 *
 * A call must preserve the control bits of mxcsr and the x87 control word: else
 * a handler's rounding mode would become its neighbours'.  Storing them is most
 * of what a switch costs (5 of 6 ns); loading them would cost more, so
 * they are loaded only when the two sides differ, which is rare.  (mxcsr's
 * low six bits are status, and nobody's to preserve.)
 *
 * The last step is an indirect jump, not ret: the return predictor knows only
 * the other stack's calls.
 */

#ifdef __x86_64__

	.text

	.globl	context_jump
	.hidden	context_jump
	.type	context_jump, @function
	.p2align 4
context_jump:				/* rdi: where to save the stack pointer, rsi: the new one */
	.cfi_startproc
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rbp, 0
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	pushq	%r12
	.cfi_adjust_cfa_offset 8
	pushq	%r13
	.cfi_adjust_cfa_offset 8
	pushq	%r14
	.cfi_adjust_cfa_offset 8
	pushq	%r15
	.cfi_adjust_cfa_offset 8
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)
	movl	(%rsp), %eax
	movzwl	4(%rsp), %ecx
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp		/* from here on the other stack, of the same layout */
	movzwl	4(%rsp), %edx
	xorl	(%rsp), %eax
	andl	$0xffc0, %eax
	xorl	%edx, %ecx
	orl	%ecx, %eax
	jnz	2f
1:	movq	8(%rsp), %r15
	movq	16(%rsp), %r14
	movq	24(%rsp), %r13
	movq	32(%rsp), %r12
	movq	40(%rsp), %rbx
	movq	48(%rsp), %rbp
	movq	56(%rsp), %rcx
	addq	$64, %rsp
	.cfi_def_cfa_offset 0
	.cfi_same_value rbp
	.cfi_register rip, rcx
	jmp	*%rcx
	.cfi_endproc
2:	ldmxcsr	(%rsp)
	fldcw	4(%rsp)
	jmp	1b
	.size	context_jump, . - context_jump

	.globl	context_prepare
	.hidden	context_prepare
	.type	context_prepare, @function
	.p2align 4
context_prepare:			/* rdi: top of the stack, rsi: function, rdx: its argument */
	.cfi_startproc
	leaq	-80(%rdi), %rax
	xorl	%ecx, %ecx
	stmxcsr	(%rax)
	fnstcw	4(%rax)
	movq	%rcx, 8(%rax)
	movq	%rcx, 16(%rax)
	movq	%rsi, 24(%rax)		/* r13 */
	movq	%rdx, 32(%rax)		/* r12 */
	movq	%rcx, 40(%rax)
	movq	%rcx, 48(%rax)		/* rbp is 0: here walks along frame pointers end */
	movq	%rcx, 64(%rax)
	movq	%rcx, 72(%rax)
	leaq	context_start(%rip), %rcx
	movq	%rcx, 56(%rax)
	ret
	.cfi_endproc
	.size	context_prepare, . - context_prepare

	/* The bottom of a stack: no caller, and unwinders are told so. */
	.type	context_start, @function
	.p2align 4
context_start:
	.cfi_startproc
	.cfi_undefined rip
	.cfi_undefined rbp
	movq	%r12, %rdi
	call	*%r13
	ud2
	.cfi_endproc
	.size	context_start, . - context_start

#endif

	.section .note.GNU-stack, "", %progbits
