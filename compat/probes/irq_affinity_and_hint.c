// SPDX-License-Identifier: GPL-2.0-only
/*
 * May the hint for irqbalance be set apart from the affinity? Since 5.17
 * (65c7cdedeb30, "genirq: Provide new interfaces for affinity hints").
 */
#include <linux/interrupt.h>

int pvhvm_probe(unsigned int irq)
{
	return irq_set_affinity_and_hint(irq, NULL);
}
