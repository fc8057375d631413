// SPDX-License-Identifier: GPL-2.0-only
/*
 * main.c: parameters, and the driver in and out.
 */
#include "netfront.h"

#include <linux/module.h>

#include <pvhvm/export.h>
#include <pvhvm/hvm.h>

#define QUEUES_DEFAULT	4
#define QUEUES_MOST	64

static unsigned int max_queues;
module_param(max_queues, uint, 0444);
MODULE_PARM_DESC(max_queues,
		 "Most queues of an interface, 1 to 64; 0 (default): 4, or the number of CPUs if that is less");

static int fail_step;
module_param(fail_step, int, 0444);
MODULE_PARM_DESC(fail_step,
		 "For tests: make this step of setting up a device fail, from 1 on; 0 (default): none");

unsigned int netf_max_queues(void)
{
	if (!max_queues)
		return min_t(unsigned int, num_possible_cpus(), QUEUES_DEFAULT);
	return min_t(unsigned int, max_queues, QUEUES_MOST);
}

bool netf_fail_step(struct netf_dev *nd, const char *name)
{
	if (++nd->step != fail_step)
		return false;
	pr_info("fail_step %d (%s)\n", fail_step, name);
	return true;
}

static struct pvhvm_driver netfront = {
	.type = "vif",
	.probe = netf_probe,
	.remove = netf_remove,
	.otherend_changed = netf_otherend_changed,
	.suspend = netf_suspend,
	.cancel = netf_cancel,
	.resume = netf_resume,
	.aside = true,
	.driver.name = "pvhvm-netfront",
};

static int __init netfront_init(void)
{
	if (!pvhvm_platform_ready())
		return -ENODEV;
	return pvhvm_driver_register(&netfront);
}
module_init(netfront_init);

static void __exit netfront_exit(void)
{
	pvhvm_driver_unregister(&netfront);
}
module_exit(netfront_exit);

MODULE_DESCRIPTION("PV network driver for Xen HVM guests");
MODULE_LICENSE("GPL");
MODULE_VERSION(PVHVM_VERSION);
MODULE_ALIAS("pvhvm:vif");
PVHVM_IMPORT;
