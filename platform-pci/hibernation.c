// SPDX-License-Identifier: GPL-2.0-only
/*
 * hibernation.c: refused while we are loaded.
 *
 * An image holds the memory, and not what Xen has put in the place of some of
 * it: shared info, grant frames, the pages of events. The kernel that wakes up
 * in a new domain would take RAM for all of these, and Xen would know nothing
 * of its ports and grants. Nor may we be there in the kernel that reads an
 * image: Xen would go on writing into memory that is the image's then.
 */
#include "platform.h"

#include <linux/notifier.h>
#include <linux/suspend.h>

static int hibernation_notify(struct notifier_block *nb, unsigned long event,
			      void *data)
{
	if (event != PM_HIBERNATION_PREPARE && event != PM_RESTORE_PREPARE)
		return NOTIFY_DONE;
	pr_err("no hibernation in a guest with PV devices; save it from the host instead (xl save)\n");
	return notifier_from_errno(-EOPNOTSUPP);
}

static struct notifier_block hibernation_nb = {
	.notifier_call = hibernation_notify,
};

/**
 * hibernation_init() - have the kernel ask us, and say no
 *
 * Context: process; may sleep. Return: 0 or negative errno.
 */
int hibernation_init(void)
{
	int ret = register_pm_notifier(&hibernation_nb);

	if (ret && ret != -ENOMEM)
		pr_err("cannot keep the guest from hibernation (%d)\n", ret);
	return ret;
}

void hibernation_exit(void)
{
	unregister_pm_notifier(&hibernation_nb);
}
