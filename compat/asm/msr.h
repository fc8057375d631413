/* SPDX-License-Identifier: GPL-2.0-only */
/* Before 6.16 the 64-bit accessors ended in l: wrmsrl_safe(). */
#ifndef PVHVM_COMPAT_ASM_MSR_H
#define PVHVM_COMPAT_ASM_MSR_H

#include_next <asm/msr.h>

/* rdmsrq() has always been a macro, and came with the others. */
#ifndef rdmsrq
#define wrmsrq_safe(msr, value)	wrmsrl_safe(msr, value)
#endif

#endif
