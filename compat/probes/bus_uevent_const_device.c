// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does a bus's uevent take a const device? Since 6.3 (2a81ada32f0e,
 * "driver core: make struct bus_type.uevent() take a const *").
 */
#include <linux/device.h>

void pvhvm_probe(struct bus_type *bus,
		 int (*uevent)(const struct device *dev,
			       struct kobj_uevent_env *env))
{
	bus->uevent = uevent;
}
