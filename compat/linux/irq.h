/* SPDX-License-Identifier: GPL-2.0-only */
/* What the flag asked for is how every interrupt is moved since 6.15. */
#ifndef PVHVM_COMPAT_LINUX_IRQ_H
#define PVHVM_COMPAT_LINUX_IRQ_H

#include_next <linux/irq.h>
#include "../config.h"

#ifndef HAVE_IRQ_MOVE_PCNTXT
#define IRQ_MOVE_PCNTXT 0
#endif

#endif
