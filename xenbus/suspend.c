// SPDX-License-Identifier: GPL-2.0-only
/*
 * suspend.c: what platform-pci tells us about suspend, carried upwards.
 *
 * Going down: callbacks are kept still, so that no device connects any more,
 * drivers stop, the last requests are answered, the ring is left alone. First
 * what is aside: a card's driver waits for RTNL, whose holder may wait for a
 * disk that has yet to connect. Coming up is the mirror image; after a real one
 * the server has forgotten us, so watches are set again before drivers start
 * over.
 */
#include "xenbus.h"

#include <pvhvm/suspend.h>

/* Between a PREPARE that went well and what follows it. */
static bool suspend_prepared;

static void suspend_go_on(void)
{
	bus_cancel_first();
	watch_unpause(false);
	bus_cancel_aside();
	watch_unpause(true);
}

static int suspend_prepare(void)
{
	int err;

	bus_flush();
	watch_pause(true);
	bus_suspend_aside();
	watch_pause(false);
	bus_suspend_first();
	err = xs_suspend();
	suspend_prepared = !err;
	if (!err)
		return 0;
	pr_err("cannot suspend: xenstore requests are still unanswered\n");
	suspend_go_on();
	return err;
}

static void suspend_undo(void)
{
	suspend_prepared = false;
	xs_resume(false);
	suspend_go_on();
}

static void suspend_resume(void)
{
	suspend_prepared = false;
	bus_forget_backends();
	xs_resume(true);
	watch_resume();
	watch_unpause(false);
	watch_unpause(true);
	bus_resume();
	shutdown_resume();
}

static int suspend_notify(struct notifier_block *nb, unsigned long event,
			  void *data)
{
	if (event == PVHVM_SUSPEND_PREPARE)
		return notifier_from_errno(suspend_prepare());
	/* we, or somebody before us, said no: there is nothing to undo here */
	if (!suspend_prepared)
		return NOTIFY_OK;
	switch (event) {
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
