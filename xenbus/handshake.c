// SPDX-License-Identifier: GPL-2.0-only
/*
 * handshake.c: bringing our end and the backend's to a known state.
 *
 * A backend follows its frontend: Closing makes it close, Closed makes it
 * unmap our pages, and only when a frontend starts again with Initialising
 * does it offer itself again (InitWait). A device that a dead kernel, or this
 * module before it was reloaded, left anywhere in that circle is walked
 * through the rest of it.
 *
 * States: xen/io/xenbus.h. All waits are bounded, by backend_timeout each.
 */
#include "xenbus.h"

#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/slab.h>

#define BIT_OF(name)	BIT(XenbusState##name)

/* How long a driver has to answer its backend's Closing; a busy one never. */
#define HANDSHAKE_DRIVER	(2 * HZ)

/* The backend does not use our pages in any of these. */
#define HANDSHAKE_GONE	\
	(BIT_OF(Unknown) | BIT_OF(Initialising) | BIT_OF(Closed))

/*
 * The state published in a directory; unknown if there is none. Return: false
 * when xenstore has not answered: then it may well be what it was.
 */
bool handshake_ask(const char *dir, enum xenbus_state *state)
{
	u64 value;
	int err = pvhvm_xs_read_u64(PVHVM_XS_NONE, dir, "state", &value);

	*state = err || value > XenbusStateReconfigured ? XenbusStateUnknown :
							  value;
	return !pvhvm_xs_unanswered(err);
}

/* The same where no answer is as good as none. */
enum xenbus_state handshake_read(const char *dir)
{
	enum xenbus_state state;

	handshake_ask(dir, &state);
	return state;
}

/*
 * Wait until the backend is in one of some states (a bit each). Asks instead
 * of watching: it is used where no watch is set, or where its callback could
 * not run. Return: false when that did not happen in time.
 */
static bool handshake_wait(struct pvhvm_device *pdev, unsigned int states)
{
	unsigned long end = jiffies + xenbus_backend_timeout();
	unsigned int pause_ms = 1;
	enum xenbus_state state;

	for (;;) {
		if (handshake_ask(pdev->otherend, &state) &&
		    BIT(state) & states)
			return true;
		if (time_after(jiffies, end) || comms_broken())
			return false;
		msleep(pause_ms);
		pause_ms = min(2 * pause_ms, 100u);
	}
}

/* Publish even what is published already: the backend's watch fires. */
static int handshake_publish(struct pvhvm_device *pdev, enum xenbus_state s)
{
	enum xenbus_state was = pdev->state;
	int err;

	pdev->state = XenbusStateUnknown;
	err = pvhvm_switch_state(pdev, s);
	if (err)
		pdev->state = was;
	return err;
}

/* @late: set when the backend does not follow in time. */
static int handshake_step(struct pvhvm_device *pdev, enum xenbus_state s,
			  unsigned int until, bool *late)
{
	int err = handshake_publish(pdev, s);

	*late = !err && !handshake_wait(pdev, until);
	return err;
}

static bool handshake_is_fresh(enum xenbus_state ours,
			       enum xenbus_state theirs)
{
	return (BIT(ours) & (BIT_OF(Unknown) | BIT_OF(Initialising))) &&
	       (BIT(theirs) & (BIT_OF(Unknown) | BIT_OF(Initialising) |
			       BIT_OF(InitWait)));
}

/* The toolstack is taking the device away: do not revive it. */
static bool handshake_is_leaving(struct pvhvm_device *pdev)
{
	u64 online;

	return !pvhvm_xs_read_u64(PVHVM_XS_NONE, pdev->otherend, "online",
				  &online) && !online;
}

/**
 * handshake_reset() - both ends to where a driver can start
 * @pdev: the device, @lock held, no driver's callback possible
 *
 * Context: process; sleeps, bounded.
 * Return: 0: we are Initialising, the backend is there or on its way.
 * -ENODEV: the device is being removed; other errno: xenstore failed, with
 * -ETIMEDOUT it has not answered and may be asked again.
 */
int handshake_reset(struct pvhvm_device *pdev)
{
	const unsigned int gone = BIT_OF(Unknown) | BIT_OF(Closed);
	enum xenbus_state theirs, ours;
	bool late = false;
	int err = 0;

	if (!handshake_ask(pdev->otherend, &theirs) ||
	    !handshake_ask(pdev->nodename, &ours))
		return -ETIMEDOUT;
	pdev->state = ours;
	pdev->unsure = false;
	if (handshake_is_fresh(ours, theirs))
		return 0;
	if (handshake_is_leaving(pdev))
		return -ENODEV;
	if (ours != XenbusStateClosed)
		dev_info(&pdev->dev,
			 "found %s with the backend %s, starting it afresh\n",
			 xs_state_name(ours), xs_state_name(theirs));

	if (!(BIT(theirs) & (gone | BIT_OF(Closing))))
		err = handshake_step(pdev, XenbusStateClosing,
				     gone | BIT_OF(Closing), &late);
	if (!err)
		err = handshake_step(pdev, XenbusStateClosed, gone, &late);
	if (!err)
		err = handshake_step(pdev, XenbusStateInitialising,
				     BIT_OF(Initialising) | BIT_OF(InitWait),
				     &late);
	if (late)
		dev_warn(&pdev->dev,
			 "the backend did not start afresh in time, it is %s\n",
			 xs_state_name(handshake_read(pdev->otherend)));
	return err;
}

/**
 * handshake_close() - the driver is about to let go, or the system goes down
 * @pdev: the device, @lock not held: the driver's otherend_changed() is
 *	meant to see the backend close
 *
 * Publishes Closing and gives the backend time to follow. If the driver then
 * says that it is done (pvhvm_frontend_closed()) the backend also gets time
 * to let go of our pages.
 */
void handshake_close(struct pvhvm_device *pdev)
{
	mutex_lock(&pdev->lock);
	pdev->leaving = true;
	/* an earlier close, undone since by the driver, does not count */
	if (pdev->state != XenbusStateClosed)
		reinit_completion(&pdev->down);
	if (pdev->state < XenbusStateClosing ||
	    pdev->state > XenbusStateClosed)
		pvhvm_switch_state(pdev, XenbusStateClosing);
	mutex_unlock(&pdev->lock);
	if (READ_ONCE(pdev->gone))
		return;
	if (!handshake_wait(pdev, HANDSHAKE_GONE | BIT_OF(Closing)))
		dev_warn(&pdev->dev, "the backend does not close\n");
	else if (wait_for_completion_timeout(&pdev->down, HANDSHAKE_DRIVER))
		handshake_wait(pdev, HANDSHAKE_GONE);
}

/**
 * handshake_let_go() - after Closed: until the backend has let go of our pages
 * @pdev: the device
 */
void handshake_let_go(struct pvhvm_device *pdev)
{
	if (!READ_ONCE(pdev->gone) && !handshake_wait(pdev, HANDSHAKE_GONE))
		dev_warn(&pdev->dev, "the backend keeps its pages\n");
}
