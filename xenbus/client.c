// SPDX-License-Identifier: GPL-2.0-only
/*
 * client.c: what every frontend needs: publish a state, ask whether the other
 * side is to stay, report an error, give up on a backend, share a ring.
 */
#include "xenbus.h"

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include <pvhvm/export.h>

struct client_state {
	struct pvhvm_device *pdev;
	enum xenbus_state state;
};

/*
 * Writing "state" into a directory that the toolstack has just removed would
 * bring a corpse of it back, which then looks like a device. The transaction
 * makes "it is there" and "write" one step.
 */
static int client_write_state(struct pvhvm_xs_txn *txn, void *arg)
{
	struct client_state *s = arg;
	u64 old;
	int err = pvhvm_xs_read_u64(txn, s->pdev->nodename, "state", &old);

	if (err && err != -EINVAL)
		return err;
	return pvhvm_xs_printf(txn, s->pdev->nodename, "state", "%u", s->state);
}

static bool client_is_closing(enum xenbus_state state)
{
	return state == XenbusStateClosing || state == XenbusStateClosed;
}

int pvhvm_switch_state(struct pvhvm_device *pdev, enum xenbus_state state)
{
	struct client_state s = { .pdev = pdev, .state = state };
	int err;

	if (pdev->state == state)
		return 0;
	/* a backend that is offered a new start now would map pages again */
	if (pdev->leaving && !client_is_closing(state))
		return -ENODEV;
	err = pvhvm_xs_transaction(client_write_state, &s);
	pdev->unsure = pvhvm_xs_unanswered(err);
	if (!err || err == -ENOENT)
		WRITE_ONCE(pdev->state, state);
	bus_kick();
	if (err == -ENOENT)
		return -ENODEV;
	if (err)
		dev_err(&pdev->dev, "cannot publish state %s (%d)\n",
			xs_state_name(state), err);
	return err;
}
PVHVM_EXPORT(pvhvm_switch_state);

void pvhvm_frontend_closed(struct pvhvm_device *pdev)
{
	pvhvm_switch_state(pdev, XenbusStateClosed);
	complete_all(&pdev->down);
}
PVHVM_EXPORT(pvhvm_frontend_closed);

bool pvhvm_backend_is_online(struct pvhvm_device *pdev)
{
	struct pvhvm_xs_uint online = { "online", 1 };

	if (pvhvm_xs_read_uints(pdev->otherend, &online, 1))
		pvhvm_look_again(pdev);
	return online.value;
}
PVHVM_EXPORT(pvhvm_backend_is_online);

/* ---- errors ---- */

__printf(3, 0)
static void client_error(struct pvhvm_device *pdev, int err, const char *fmt,
			 va_list args)
{
	char *text = kvasprintf(GFP_KERNEL, fmt, args);
	char *dir;

	dev_err(&pdev->dev, "%s (%d)\n", text ?: fmt, err);
	dir = kasprintf(GFP_KERNEL, "error/%s", pdev->nodename);
	if (dir && text)
		pvhvm_xs_printf(PVHVM_XS_NONE, dir, "error", "%d %s", -err,
				text);
	kfree(dir);
	kfree(text);
}

void pvhvm_dev_error(struct pvhvm_device *pdev, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	client_error(pdev, err, fmt, args);
	va_end(args);
}
PVHVM_EXPORT(pvhvm_dev_error);

void pvhvm_dev_fatal(struct pvhvm_device *pdev, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	client_error(pdev, err, fmt, args);
	va_end(args);
	pvhvm_switch_state(pdev, XenbusStateClosing);
}
PVHVM_EXPORT(pvhvm_dev_fatal);

/* ---- quarantine ---- */

void client_quarantine_work(struct work_struct *work)
{
	struct pvhvm_device *pdev = container_of(work, struct pvhvm_device,
						 quarantine_work);

	mutex_lock(&pdev->lock);
	/* rebound meanwhile: then it is another life */
	if (pdev->live && pdev->quarantined)
		pvhvm_dev_fatal(pdev, -EPROTO, "quarantined: %s", pdev->why);
	mutex_unlock(&pdev->lock);
	bus_kick();
	put_device(&pdev->dev);
}

void pvhvm_quarantine(struct pvhvm_device *pdev, const char *why)
{
	if (cmpxchg(&pdev->why, NULL, why))
		return;
	/* the reason before the mark that says that there is one */
	smp_store_release(&pdev->quarantined, true);
	xenbus_count(quarantines);
	dev_err(&pdev->dev,
		"quarantined, the backend broke the protocol: %s; unbind and bind the device to use it again\n",
		why);
	get_device(&pdev->dev);
	if (!bus_queue(&pdev->quarantine_work))
		put_device(&pdev->dev);
}
PVHVM_EXPORT(pvhvm_quarantine);

/* ---- rings ---- */

int pvhvm_ring_alloc(struct pvhvm_device *pdev, struct pvhvm_ring *ring,
		     unsigned int nr_pages)
{
	unsigned int i;
	int err;

	memset(ring, 0, sizeof(*ring));
	if (!nr_pages || nr_pages > PVHVM_RING_MAX_PAGES)
		return -EINVAL;
	/* Each page has a count of its own, so that it can be parked alone. */
	ring->addr = alloc_pages_exact(nr_pages * PAGE_SIZE,
				       GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN);
	if (!ring->addr)
		return -ENOMEM;
	err = pvhvm_grants_reserve(&ring->grants, nr_pages);
	if (err)
		goto err_free_pages;
	ring->nr_pages = nr_pages;
	for (i = 0; i < nr_pages; i++) {
		void *page = ring->addr + i * PAGE_SIZE;

		ring->ref[i] = pvhvm_grant_take(&ring->grants);
		pvhvm_grant_access(ring->ref[i], pdev->otherend_id,
				   page_to_pfn(virt_to_page(page)), false);
	}
	return 0;

err_free_pages:
	free_pages_exact(ring->addr, nr_pages * PAGE_SIZE);
	ring->addr = NULL;
	return err;
}
PVHVM_EXPORT(pvhvm_ring_alloc);

void pvhvm_ring_free(struct pvhvm_ring *ring)
{
	unsigned int i;

	for (i = 0; i < ring->nr_pages; i++) {
		void *page = ring->addr + i * PAGE_SIZE;

		if (pvhvm_grant_end(ring->ref[i])) {
			pvhvm_grant_put(&ring->grants, ring->ref[i]);
			free_page((unsigned long)page);
		} else {
			pvhvm_grant_park(&ring->grants, ring->ref[i],
					 virt_to_page(page));
		}
	}
	pvhvm_grants_release(&ring->grants);
	memset(ring, 0, sizeof(*ring));
}
PVHVM_EXPORT(pvhvm_ring_free);
