/* SPDX-License-Identifier: GPL-2.0-only */
/* Affinity and hint were one thing until 5.17, and had one name. */
#ifndef PVHVM_COMPAT_LINUX_INTERRUPT_H
#define PVHVM_COMPAT_LINUX_INTERRUPT_H

#include_next <linux/interrupt.h>
#include "../config.h"

#ifndef HAVE_IRQ_AFFINITY_AND_HINT
#define irq_set_affinity_and_hint(irq, mask)	irq_set_affinity_hint(irq, mask)
#define irq_update_affinity_hint(irq, mask)	irq_set_affinity_hint(irq, mask)
#endif

#endif
