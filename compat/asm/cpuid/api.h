/* SPDX-License-Identifier: GPL-2.0-only */
/* cpuid() and its kin were part of asm/processor.h until 6.15. */
#ifndef PVHVM_COMPAT_ASM_CPUID_API_H
#define PVHVM_COMPAT_ASM_CPUID_API_H

#include "../../config.h"

#ifdef HAVE_CPUID_API_H
#include_next <asm/cpuid/api.h>
#else
#include <asm/processor.h>
#endif

#endif
