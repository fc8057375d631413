// SPDX-License-Identifier: GPL-2.0-only
/*
 * suspend.c: what platform-pci tells us about suspend, carried upwards.
 *
 * Going down: drivers stop, callbacks are kept still, the last requests are
 * answered, the ring is left alone. Coming up is the mirror image; after a
 * real one the server has forgotten us, so watches are set again before
 * drivers start over.
 */
#include "xenbus.h"

#include <pvhvm/suspend.h>

static int suspend_prepare(void)
{
	int err;

	bus_suspend();
	watch_pause();
	err = xs_suspend();
	if (!err)
		return 0;
	pr_err("cannot suspend: xenstore requests are still unanswered\n");
	watch_unpause();
	bus_cancel();
	return err;
}

static void suspend_undo(void)
{
	xs_resume(false);
	watch_unpause();
	bus_cancel();
}

static void suspend_resume(void)
{
	xs_resume(true);
	watch_resume();
	watch_unpause();
	bus_resume();
}

static int suspend_notify(struct notifier_block *nb, unsigned long event,
			  void *data)
{
	switch (event) {
	case PVHVM_SUSPEND_PREPARE:
		return notifier_from_errno(suspend_prepare());
	case PVHVM_SUSPEND_CANCELLED:
		suspend_undo();
		break;
	case PVHVM_SUSPEND_RESUMED:
		suspend_resume();
		break;
	}
	return NOTIFY_OK;
}

static struct notifier_block suspend_nb = {
	.notifier_call = suspend_notify,
};

int suspend_init(void)
{
	return pvhvm_suspend_register(&suspend_nb);
}

void suspend_exit(void)
{
	pvhvm_suspend_unregister(&suspend_nb);
}
