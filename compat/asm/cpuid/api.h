/* SPDX-License-Identifier: GPL-2.0-only */
/* cpuid() and its kin: a header of their own since Linux 6.16. */
#ifndef PVHVM_COMPAT_ASM_CPUID_API_H
#define PVHVM_COMPAT_ASM_CPUID_API_H

#if __has_include_next(<asm/cpuid/api.h>)
#include_next <asm/cpuid/api.h>
#else
#include <asm/processor.h>
#endif

#endif
