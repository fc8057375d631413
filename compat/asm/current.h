/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVHVM_COMPAT_ASM_CURRENT_H
#define PVHVM_COMPAT_ASM_CURRENT_H

#include_next <asm/current.h>

#include "../config.h"

/* What another CPU runs just now; has no name of its own in any kernel. */
#ifdef HAVE_PCPU_HOT
#define compat_current_of(cpu)	READ_ONCE(per_cpu(pcpu_hot.current_task, cpu))
#else
#define compat_current_of(cpu)	READ_ONCE(per_cpu(current_task, cpu))
#endif

#endif /* PVHVM_COMPAT_ASM_CURRENT_H */
