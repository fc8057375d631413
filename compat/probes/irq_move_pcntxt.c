// SPDX-License-Identifier: GPL-2.0-only
/*
 * Must an interrupt be marked as movable in process context? Not since 6.15
 * (fe35ece5ee71, "genirq: Remove IRQ_MOVE_PCNTXT and related code").
 */
#include <linux/irq.h>

int pvhvm_probe = IRQ_MOVE_PCNTXT;
