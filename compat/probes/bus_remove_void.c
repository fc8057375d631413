// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does a bus's remove return nothing? Since 5.15 (fc7a6209d571,
 * "bus: Make remove callback return void").
 */
#include <linux/device.h>

void pvhvm_probe(struct bus_type *bus, void (*remove)(struct device *dev))
{
	bus->remove = remove;
}
