// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does a bus's match take a const driver? Since 6.11 (d69d80484598,
 * "driver core: have match() callback in struct bus_type take a const *").
 */
#include <linux/device.h>

void pvhvm_probe(struct bus_type *bus,
		 int (*match)(struct device *dev,
			      const struct device_driver *drv))
{
	bus->match = match;
}
