// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does a bus's remove return nothing? Since 5.15 (fc7a6209d571,
 * "bus: Make remove callback return void").
 */
#include <linux/device.h>

static void remove(struct device *dev)
{
}

extern struct bus_type probe;
struct bus_type probe = { .remove = remove };
