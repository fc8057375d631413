// SPDX-License-Identifier: GPL-2.0-only
/*
 * device.c: the life of one vbd.
 *
 *	HELD -> WAITING -> INITIALISED -> CONNECTED -> (closed) -> WAITING...
 *
 * What the backend publishes moves it on; states: xen/io/blkif.h. A backend
 * that starts again under a disk in use gets the requests it had once more.
 * One that closes is obeyed when nobody has the disk open; one that is gone
 * for good takes the requests with it: they fail.
 */
#include "blkfront.h"

#include <linux/cpumask.h>
#include <linux/kernel.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include <pvhvm/unplug.h>

/* A removal does not wait longer for a backend that answers nothing. */
#define DEVICE_PATIENCE		(30 * HZ)

/* ---- references and works ---- */

static void device_free(struct kref *kref)
{
	struct blkf_dev *dev = container_of(kref, struct blkf_dev, kref);

	kfree(dev->lane);
	kfree(dev->queue);
	kfree(dev);
}

void blkf_dev_get(struct blkf_dev *dev)
{
	kref_get(&dev->kref);
}

void blkf_dev_put(struct blkf_dev *dev)
{
	kref_put(&dev->kref, device_free);
}

void blkf_dev_queue_work(struct blkf_dev *dev, struct work_struct *work)
{
	blkf_dev_get(dev);
	if (!queue_work(blkf_wq, work))
		blkf_dev_put(dev);
}

bool blkf_dev_cancel_work(struct blkf_dev *dev, struct work_struct *work)
{
	if (!cancel_work_sync(work))
		return false;
	blkf_dev_put(dev);
	return true;
}

/* ---- giving up on requests ---- */

void blkf_dev_abort(struct blkf_dev *dev)
{
	blkf_queues_down(dev, BLKF_DOWN_FAIL);
	mutex_lock(&dev->queues_mutex);
	if (dev->disk && READ_ONCE(dev->added) && !dev->deleted)
		blk_mark_disk_dead(dev->disk);
	mutex_unlock(&dev->queues_mutex);
}

/* The backend broke the protocol: the bus tells it, we end the requests. */
static void device_fail_work(struct work_struct *work)
{
	struct blkf_dev *dev = container_of(work, struct blkf_dev, fail_work);

	blkf_queues_down(dev, BLKF_DOWN_FAIL);
	blkf_dev_put(dev);
}

static u64 device_responses(struct blkf_dev *dev)
{
	u64 sum = 0;
	unsigned int i;

	for (i = 0; i < dev->nr_queues_max; i++)
		sum += READ_ONCE(dev->queue[i].stats.responses);
	return sum;
}

/*
 * Queued while a disk is deleted; keeps its reference when it goes on, which
 * it is not let any more once it is being cancelled.
 */
static void device_watchdog(struct work_struct *work)
{
	struct blkf_dev *dev = container_of(to_delayed_work(work),
					    struct blkf_dev, watchdog);
	u64 responses = device_responses(dev);

	if (responses != dev->watchdog_responses) {
		dev->watchdog_responses = responses;
		if (!queue_delayed_work(blkf_wq, &dev->watchdog,
					DEVICE_PATIENCE))
			blkf_dev_put(dev);
		return;
	}
	pr_warn("%s: the backend does not answer, its requests fail\n",
		dev->name);
	blkf_dev_abort(dev);
	blkf_dev_put(dev);
}

/* Deleting a disk waits for its requests; see that they end. */
static void device_delete_disk(struct blkf_dev *dev)
{
	blkf_dev_get(dev);
	dev->watchdog_responses = device_responses(dev);
	queue_delayed_work(blkf_wq, &dev->watchdog, DEVICE_PATIENCE);
	blkf_disk_destroy(dev);
	if (cancel_delayed_work_sync(&dev->watchdog))
		blkf_dev_put(dev);
}

/* ---- closing ---- */

int blkf_dev_close(struct blkf_dev *dev)
{
	int err = 0;

	lockdep_assert_held(&dev->pdev->lock);
	spin_lock(&dev->open_lock);
	if (dev->openers)
		err = -EBUSY;
	else
		dev->closing = true;
	spin_unlock(&dev->open_lock);
	if (err)
		return err;
	device_delete_disk(dev);
	dev->close_wanted = false;
	return 0;
}

/* The last opener has left a disk whose backend wants to close. */
static void device_close_work(struct work_struct *work)
{
	struct blkf_dev *dev = container_of(work, struct blkf_dev, close_work);
	struct pvhvm_device *pdev = dev->pdev;

	mutex_lock(&pdev->lock);
	if (!dev->gone && dev->close_wanted && !blkf_dev_close(dev)) {
		dev->state = BLKF_DEAD;
		pvhvm_frontend_closed(pdev);
	}
	mutex_unlock(&pdev->lock);
	put_device(&pdev->dev);
	blkf_dev_put(dev);
}

void blkf_dev_last_closed(struct blkf_dev *dev)
{
	lockdep_assert_held(&dev->open_lock);
	if (!dev->close_wanted || dev->gone)
		return;
	get_device(&dev->pdev->dev);
	blkf_dev_get(dev);
	if (!queue_work(blkf_wq, &dev->close_work)) {
		put_device(&dev->pdev->dev);
		blkf_dev_put(dev);
	}
}

/*
 * Both ends are closed. If the toolstack keeps the device, offer ourselves
 * again: the backend answers with InitWait. Not after a failure of ours, which
 * would only repeat itself; and not when the machine goes down: the next
 * kernel is to find the backend without any page of ours.
 */
static void device_restart(struct blkf_dev *dev)
{
	if (dev->pdev->quarantined || dev->given_up ||
	    system_state > SYSTEM_RUNNING || !pvhvm_backend_is_online(dev->pdev))
		return;
	if (dev->state != BLKF_HELD)
		dev->state = BLKF_WAITING;
	/* the disk is to be had again */
	dev->close_wanted = false;
	pvhvm_switch_state(dev->pdev, XenbusStateInitialising);
}

static void device_backend_closing(struct blkf_dev *dev)
{
	struct pvhvm_device *pdev = dev->pdev;
	bool told = dev->close_wanted;

	/* first: whoever closes it last looks at this, see open_lock */
	dev->close_wanted = true;
	if (blkf_dev_close(dev)) {
		/* the toolstack finds the reason in xenstore, error/ */
		if (!told)
			pvhvm_dev_error(pdev, -EBUSY,
					"%s is in use: it stays until it is closed",
					dev->name);
		/* what it was to do once it is back will not be done */
		if (dev->state == BLKF_INITIALISED) {
			blkf_queues_down(dev, BLKF_DOWN_FAIL);
			dev->state = BLKF_WAITING;
		}
		return;
	}
	if (dev->state != BLKF_HELD)
		dev->state = BLKF_DEAD;
	pvhvm_frontend_closed(pdev);
}

/* Gone without asking, or after we had closed. */
static void device_backend_closed(struct blkf_dev *dev)
{
	struct pvhvm_device *pdev = dev->pdev;

	if (dev->state == BLKF_INITIALISED || dev->state == BLKF_CONNECTED ||
	    (dev->state == BLKF_WAITING && dev->disk)) {
		dev_warn(&pdev->dev, "the backend of %s is gone\n", dev->name);
		blkf_queues_down(dev, BLKF_DOWN_FAIL);
		dev->state = BLKF_DEAD;
		/* or whoever has it open takes the disk along when leaving */
		dev->close_wanted = true;
		blkf_dev_close(dev);
		pvhvm_frontend_closed(pdev);
	}
	if (pdev->state == XenbusStateClosed)
		device_restart(dev);
}

/* ---- connecting ---- */

static void device_give_up(struct blkf_dev *dev, int err, const char *what)
{
	blkf_queues_down(dev, BLKF_DOWN_FAIL);
	dev->state = BLKF_DEAD;
	dev->given_up = true;
	pvhvm_dev_fatal(dev->pdev, err, "%s", what);
}

static int device_negotiate(struct blkf_dev *dev)
{
	int err = blkf_negotiate_choose(dev);

	if (err) {
		pvhvm_look_again(dev->pdev);
		return err;
	}
	err = blkf_negotiate(dev);
	if (err)
		device_give_up(dev, err, "cannot set up the rings");
	else
		dev->state = BLKF_INITIALISED;
	return err;
}

static int device_connect_disk(struct blkf_dev *dev)
{
	if (!dev->disk)
		return blkf_disk_create(dev);
	return blkf_limits_apply(dev);
}

static void device_connect(struct blkf_dev *dev)
{
	bool fresh = !dev->disk;
	int err;

	err = blkf_limits_read(dev);
	if (pvhvm_xs_unanswered(err)) {
		pvhvm_look_again(dev->pdev);
		return;
	}
	if (!err)
		err = blkf_step("properties") ?: blkf_queues_bounce(dev);
	if (!err)
		err = device_connect_disk(dev);
	if (err) {
		device_give_up(dev, err, "cannot set up the disk");
		if (fresh)
			blkf_dev_close(dev);
		return;
	}
	blkf_queues_spread(dev);
	dev->state = BLKF_CONNECTED;
	/* what an earlier backend wanted */
	dev->close_wanted = false;
	pvhvm_switch_state(dev->pdev, XenbusStateConnected);
	blkf_queues_start(dev);
	if (fresh) {
		blkf_disk_add(dev);
	} else {
		/* 5.10 waits for requests in here */
		blkf_limits_resize(dev);
		blkf_dev_queue_work(dev, &dev->limits_work);
		if (READ_ONCE(dev->added))
			blkf_identity_twin(dev, true);
	}
	dev_info(&dev->pdev->dev,
		 "%s%s: %llu MiB, %u+%u ring(s) of %u requests of %u segments%s%s%s\n",
		 dev->name, fresh ? "" : " is back",
		 (unsigned long long)dev->props.capacity >> 11,
		 dev->nr_queues - dev->nr_poll, dev->nr_poll,
		 dev->depth, dev->max_segs,
		 dev->bounce ? ", persistent grants" : "",
		 blkf_limits_flush_op(dev) != BLKF_OP_NONE ? ", flush" : "",
		 dev->discard ? ", discard" : "");
}

/* The backend offers itself. */
static void device_backend_waits(struct blkf_dev *dev)
{
	switch (dev->state) {
	case BLKF_CONNECTED:
		dev_info(&dev->pdev->dev, "the backend of %s starts again\n",
			 dev->name);
		blkf_queues_down(dev, BLKF_DOWN_KEEP);
		fallthrough;
	case BLKF_WAITING:
		device_negotiate(dev);
		break;
	default:
		break;
	}
}

void blkf_otherend_changed(struct pvhvm_device *pdev, enum xenbus_state state)
{
	struct blkf_dev *dev = pvhvm_get_drvdata(pdev);
	/* memory may be waiting for this very disk */
	unsigned int noio = memalloc_noio_save();

	switch (state) {
	case XenbusStateInitialised:
		/* a backend without options may skip InitWait, see blkif.h */
		if (dev->state != BLKF_WAITING)
			break;
		fallthrough;
	case XenbusStateInitWait:
		if (!pdev->quarantined)
			device_backend_waits(dev);
		break;
	case XenbusStateConnected:
		if (dev->state == BLKF_INITIALISED)
			device_connect(dev);
		else if (dev->state == BLKF_CONNECTED && !pdev->quarantined)
			blkf_limits_resize(dev);
		break;
	case XenbusStateClosing:
		device_backend_closing(dev);
		break;
	case XenbusStateClosed:
		device_backend_closed(dev);
		break;
	default:
		break;
	}
	memalloc_noio_restore(noio);
}

/* ---- hold ---- */

static void device_set_held(struct blkf_dev *dev, bool held)
{
	dev->state = held ? BLKF_HELD : BLKF_WAITING;
	dev->pdev->idle = held;
}

int blkf_dev_hold(struct blkf_dev *dev, bool hold)
{
	struct pvhvm_device *pdev = dev->pdev;
	bool held = dev->state == BLKF_HELD;
	int err;

	if (hold == held)
		return 0;
	if (!hold) {
		if (pdev->quarantined)
			return -ENODEV;
		device_set_held(dev, false);
		return pdev->state == XenbusStateInitialising &&
		       (pdev->otherend_state == XenbusStateInitWait ||
			pdev->otherend_state == XenbusStateInitialised) ?
		       device_negotiate(dev) : 0;
	}
	err = blkf_dev_close(dev);
	if (err)
		return err;
	device_set_held(dev, true);
	/* whoever lets it go again wants another try */
	dev->given_up = false;
	/* the backend follows, and device_restart() makes us Initialising */
	if (pdev->state == XenbusStateInitialised ||
	    pdev->state == XenbusStateConnected)
		pvhvm_switch_state(pdev, XenbusStateClosing);
	else if (pdev->state == XenbusStateClosed &&
		 pdev->otherend_state == XenbusStateClosed)
		device_restart(dev);
	return 0;
}

/* ---- suspend ---- */

int blkf_suspend(struct pvhvm_device *pdev)
{
	blkf_queues_pause(pvhvm_get_drvdata(pdev));
	return 0;
}

void blkf_cancel(struct pvhvm_device *pdev)
{
	blkf_queues_unpause(pvhvm_get_drvdata(pdev));
}

int blkf_resume(struct pvhvm_device *pdev)
{
	struct blkf_dev *dev = pvhvm_get_drvdata(pdev);

	if (dev->state != BLKF_INITIALISED && dev->state != BLKF_CONNECTED)
		return 0;
	if (pdev->quarantined) {
		/* nobody is awaited: what it had has failed, and so goes on */
		blkf_queues_down(dev, BLKF_DOWN_FAIL);
		dev->state = BLKF_DEAD;
	} else {
		blkf_queues_down(dev, BLKF_DOWN_KEEP);
		dev->state = BLKF_WAITING;
	}
	return 0;
}

/* ---- probe and remove ---- */

static struct blkf_dev *device_alloc(struct pvhvm_device *pdev)
{
	struct blkf_dev *dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	unsigned int i, nr;

	if (!dev)
		return NULL;
	kref_init(&dev->kref);
	dev->pdev = pdev;
	mutex_init(&dev->queues_mutex);
	spin_lock_init(&dev->open_lock);
	spin_lock_init(&dev->split_lock);
	bio_list_init(&dev->split);
	INIT_WORK(&dev->add_work, blkf_disk_add_work);
	INIT_WORK(&dev->close_work, device_close_work);
	INIT_WORK(&dev->fail_work, device_fail_work);
	INIT_WORK(&dev->limits_work, blkf_limits_work);
	INIT_DELAYED_WORK(&dev->trim_work, blkf_pool_trim_work);
	INIT_DELAYED_WORK(&dev->watchdog, device_watchdog);

	nr = blkf_queues(blkf_param_queues(), num_possible_cpus(),
			 BLKF_QUEUES_MAX);
	dev->nr_queues_max = nr + blkf_poll_queues(blkf_param_poll_queues(),
						   nr, BLKF_QUEUES_MAX);
	dev->queue = kcalloc(dev->nr_queues_max, sizeof(*dev->queue),
			     GFP_KERNEL);
	dev->lane = kcalloc(dev->nr_queues_max, sizeof(*dev->lane), GFP_KERNEL);
	if (!dev->queue || !dev->lane) {
		blkf_dev_put(dev);
		return NULL;
	}
	for (i = 0; i < dev->nr_queues_max; i++) {
		struct blkf_queue *q = &dev->queue[i];

		dev->lane[i].dev = dev;
		q->dev = dev;
		q->index = i;
		spin_lock_init(&q->send_lock);
		spin_lock_init(&q->reap_lock);
		spin_lock_init(&q->grant_lock);
	}
	return dev;
}

int blkf_probe(struct pvhvm_device *pdev)
{
	struct blkf_dev *dev;
	int err;

	err = blkf_step("allocate device");
	if (err)
		return err;
	dev = device_alloc(pdev);
	if (!dev)
		return -ENOMEM;
	err = blkf_step("identity") ?: blkf_identity_read(dev);
	if (err)
		goto err_put_dev;

	dev->state = BLKF_WAITING;
	if (dev->twin && blkf_param_hold() &&
	    pvhvm_unplug_emulated(PVHVM_CLASS_DISK)) {
		device_set_held(dev, true);
		dev_info(&pdev->dev,
			 "%s is held: the emulated disk may be in use; 'pvhvm switch' changes over\n",
			 dev->name);
	}
	blkf_pool_watch(dev);
	pvhvm_set_drvdata(pdev, dev);
	return 0;

err_put_dev:
	blkf_dev_put(dev);
	return err;
}

void blkf_remove(struct pvhvm_device *pdev)
{
	struct blkf_dev *dev = pvhvm_get_drvdata(pdev);

	spin_lock(&dev->open_lock);
	dev->gone = true;
	dev->closing = true;
	spin_unlock(&dev->open_lock);

	if (pdev->gone || pdev->quarantined ||
	    pdev->otherend_state == XenbusStateClosed ||
	    pdev->otherend_state == XenbusStateUnknown)
		blkf_dev_abort(dev);
	device_delete_disk(dev);
	blkf_pool_unwatch(dev);
	blkf_dev_cancel_work(dev, &dev->fail_work);
	blkf_identity_release(dev);
	pvhvm_set_drvdata(pdev, NULL);
	blkf_dev_put(dev);
}
