// SPDX-License-Identifier: GPL-2.0-only
/*
 * main.c: up and down the ladder.
 *
 * The PCI alias of the Xen platform device is ours too, though we never bind
 * it: udev's modprobe by alias then loads platform and xenbus together.
 */
#include "xenbus.h"

#include <linux/module.h>
#include <linux/pci.h>

#include <pvhvm/export.h>
#include <pvhvm/hvm.h>

static unsigned int backend_timeout = 10;
module_param(backend_timeout, uint, 0444);
MODULE_PARM_DESC(backend_timeout,
		 "Seconds to wait at most for a backend to connect or to close (default 10, 0..300; 0: do not wait)");

static unsigned int fail_step;
module_param(fail_step, uint, 0444);
MODULE_PARM_DESC(fail_step,
		 "Testing: make this step of loading fail (default 0: none, 1 and up)");

unsigned long xenbus_backend_timeout(void)
{
	return min(backend_timeout, 300u) * HZ;
}

static const struct step {
	const char *name;
	int (*up)(void);
	void (*down)(void);
} steps[] = {
	{ "platform", pvhvm_platform_get, pvhvm_platform_put },
	{ "stats", stats_init, stats_exit },
	{ "comms", comms_init, comms_exit },
	{ "watch", watch_init, watch_exit },
	{ "xs", xs_init, xs_exit },
	{ "chardev", chardev_init, chardev_exit },
	{ "bus", bus_init, bus_exit },
	{ "suspend", suspend_init, suspend_exit },
	{ "shutdown", shutdown_init, shutdown_exit },
	{ "cpus", cpus_init, cpus_exit },
};

static int __init step_up(unsigned int i)
{
	if (i + 1 == fail_step) {
		pr_info("fail_step %u (%s)\n", fail_step, steps[i].name);
		return -ENOMEM;
	}
	return steps[i].up();
}

static int __init xenbus_init(void)
{
	unsigned int i;
	int err;

	if (!pvhvm_platform_ready()) {
		pr_info("pvhvm_platform drives no Xen platform device here, nothing to do\n");
		return -ENODEV;
	}
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		err = step_up(i);
		if (err)
			goto err_step_down;
	}
	return 0;

err_step_down:
	while (i--)
		steps[i].down();
	return err;
}

static void __exit xenbus_exit(void)
{
	unsigned int i = ARRAY_SIZE(steps);

	while (i--)
		steps[i].down();
}

module_init(xenbus_init);
module_exit(xenbus_exit);

static const struct pci_device_id xenbus_alias[] = {
	{ PCI_DEVICE(0x5853, 0x0001) },
	{ }
};
MODULE_DEVICE_TABLE(pci, xenbus_alias);

MODULE_DESCRIPTION("Xen HVM guest: xenstore client and device bus");
MODULE_AUTHOR("The pvhvm authors");
MODULE_LICENSE("GPL");
MODULE_VERSION(PVHVM_VERSION);
PVHVM_IMPORT;
