// SPDX-License-Identifier: GPL-2.0-only
/*
 * device.c: the life of one device, from the directory that appears in
 * xenstore to the one that is gone.
 *
 * Locks: @pdev->lock is held around every callback of the driver. Setting and
 * clearing the watch happens outside of it, as its callback takes it.
 */
#include "xenbus.h"

#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include <pvhvm/export.h>

/* Domains above are special numbers (DOMID_SELF and others, xen/xen.h). */
#define DEVICE_DOMID_MAX	(DOMID_FIRST_RESERVED - 1)

/* ---- /sys/bus/pvhvm/devices/X/ ---- */

static ssize_t modalias_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "pvhvm:%s\n", to_pvhvm_device(dev)->type);
}
static DEVICE_ATTR_RO(modalias);

static ssize_t devtype_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%s\n", to_pvhvm_device(dev)->type);
}
static DEVICE_ATTR_RO(devtype);

static ssize_t nodename_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%s\n", to_pvhvm_device(dev)->nodename);
}
static DEVICE_ATTR_RO(nodename);

static ssize_t otherend_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	struct pvhvm_device *pdev = to_pvhvm_device(dev);
	ssize_t n;

	/* replaced while unbound, see device_find_otherend() */
	mutex_lock(&pdev->lock);
	n = sysfs_emit(buf, "%s\n", pdev->otherend);
	mutex_unlock(&pdev->lock);
	return n;
}
static DEVICE_ATTR_RO(otherend);

static ssize_t state_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	struct pvhvm_device *pdev = to_pvhvm_device(dev);

	return sysfs_emit(buf, "%s\n", xs_state_name(READ_ONCE(pdev->state)));
}
static DEVICE_ATTR_RO(state);

static ssize_t otherend_state_show(struct device *dev,
				   struct device_attribute *attr, char *buf)
{
	struct pvhvm_device *pdev = to_pvhvm_device(dev);
	enum xenbus_state state;

	mutex_lock(&pdev->lock);
	/* nobody watches it for an unbound device */
	state = pdev->live ? pdev->otherend_state :
			     handshake_read(pdev->otherend);
	mutex_unlock(&pdev->lock);
	return sysfs_emit(buf, "%s\n", xs_state_name(state));
}
static DEVICE_ATTR_RO(otherend_state);

static ssize_t quarantined_show(struct device *dev,
				struct device_attribute *attr, char *buf)
{
	struct pvhvm_device *pdev = to_pvhvm_device(dev);
	ssize_t len;

	/* the text is the driver's, which may be about to go */
	mutex_lock(&pdev->lock);
	len = sysfs_emit(buf, "%s\n", pdev->why ?: "no");
	mutex_unlock(&pdev->lock);
	return len;
}
static DEVICE_ATTR_RO(quarantined);

static struct attribute *device_attrs[] = {
	&dev_attr_modalias.attr,
	&dev_attr_devtype.attr,
	&dev_attr_nodename.attr,
	&dev_attr_otherend.attr,
	&dev_attr_state.attr,
	&dev_attr_otherend_state.attr,
	&dev_attr_quarantined.attr,
	NULL
};
ATTRIBUTE_GROUPS(device);

/* ---- where the backend is, and what it does ---- */

/* Where the backend is; only while no driver is bound. */
static int device_find_otherend(struct pvhvm_device *pdev)
{
	char *path = pvhvm_xs_read(PVHVM_XS_NONE, pdev->nodename, "backend",
				   NULL);
	u64 domid;
	int err;

	if (IS_ERR(path))
		return PTR_ERR(path);
	err = pvhvm_xs_read_u64(PVHVM_XS_NONE, pdev->nodename, "backend-id",
				&domid);
	if (!err && (!*path || domid > DEVICE_DOMID_MAX))
		err = -EINVAL;
	if (err) {
		kfree(path);
		return err;
	}
	kfree(pdev->otherend);
	pdev->otherend = path;
	pdev->otherend_id = domid;
	return 0;
}

static void device_tell_driver(struct pvhvm_device *pdev,
			       enum xenbus_state state)
{
	struct pvhvm_driver *drv = to_pvhvm_driver(pdev->dev.driver);

	/* a backend that has vanished will not say Closed any more */
	if (state == XenbusStateUnknown &&
	    pdev->otherend_state != XenbusStateUnknown)
		state = XenbusStateClosed;
	pdev->otherend_state = state;
	if (drv->otherend_changed)
		drv->otherend_changed(pdev, state);
}

static void device_look(struct pvhvm_device *pdev)
{
	enum xenbus_state state;

	mutex_lock(&pdev->lock);
	/* not to know is no reason to give a backend up, or to leave it at that */
	if (!handshake_ask(pdev->otherend, &state)) {
		dev_warn(&pdev->dev, "the backend's state cannot be read\n");
		pvhvm_look_again(pdev);
	} else if (pdev->live) {
		device_tell_driver(pdev, state);
	} else if (state == XenbusStateClosing) {
		pvhvm_switch_state(pdev, XenbusStateClosed);
	}
	mutex_unlock(&pdev->lock);
	bus_kick();
}

/*
 * In the watch thread. The watch is also set while no driver is bound: a
 * toolstack that takes such a device away waits for our Closed, too.
 */
static void device_otherend_changed(struct pvhvm_xs_watch *watch,
				    const char *path)
{
	device_look(container_of(watch, struct pvhvm_device, watch));
}

#define DEVICE_AGAIN	HZ

void pvhvm_look_again(struct pvhvm_device *pdev)
{
	if (comms_broken())
		return;
	get_device(&pdev->dev);
	/* not the bus's queue: a card's look, which takes RTNL, may wait for a disk's */
	if (!schedule_delayed_work(&pdev->again, DEVICE_AGAIN))
		put_device(&pdev->dev);
}
PVHVM_EXPORT(pvhvm_look_again);

static void device_again_work(struct work_struct *work)
{
	struct pvhvm_device *pdev = container_of(to_delayed_work(work),
						 struct pvhvm_device, again);
	/* its lock is held, and its disk may wait for just this */
	unsigned int noio = memalloc_noio_save();

	/* in another domain the old backend's end would be seen */
	if (bus_is_still(pdev))
		pvhvm_look_again(pdev);
	else
		device_look(pdev);
	put_device(&pdev->dev);
	memalloc_noio_restore(noio);
}

static int device_watch(struct pvhvm_device *pdev)
{
	return pvhvm_xs_watch_in(&pdev->watch, pdev->otherend, "state",
				 device_otherend_changed);
}

void device_end_look(struct pvhvm_device *pdev)
{
	flush_work(&pdev->again.work);
}

/* For good: nothing looks at the backend after it. */
static void device_unwatch(struct pvhvm_device *pdev)
{
	pvhvm_xs_unwatch_in(&pdev->watch);
	if (cancel_delayed_work_sync(&pdev->again))
		put_device(&pdev->dev);
}

/* ---- appearing and disappearing ---- */

static void device_release_pv(struct device *dev)
{
	struct pvhvm_device *pdev = to_pvhvm_device(dev);

	kfree(pdev->otherend);
	kfree(pdev->nodename);
	kfree(pdev);
	xenbus_uncount(devices);
}

int device_create_pv(const char *type, unsigned int id)
{
	struct pvhvm_device *pdev = kzalloc(sizeof(*pdev), GFP_KERNEL);
	int err;

	if (!pdev)
		return -ENOMEM;
	xenbus_count(devices);
	strscpy(pdev->type_buf, type, sizeof(pdev->type_buf));
	pdev->type = pdev->type_buf;
	pdev->id = id;
	mutex_init(&pdev->lock);
	init_completion(&pdev->down);
	INIT_LIST_HEAD(&pdev->watch.list);
	INIT_WORK(&pdev->quarantine_work, client_quarantine_work);
	INIT_DELAYED_WORK(&pdev->again, device_again_work);
	device_initialize(&pdev->dev);
	pdev->dev.bus = &pvhvm_bus;
	pdev->dev.parent = stats_root();
	pdev->dev.release = device_release_pv;
	pdev->dev.groups = device_groups;

	err = -ENOMEM;
	pdev->nodename = kasprintf(GFP_KERNEL, "device/%s/%u", type, id);
	if (!pdev->nodename)
		goto err_put;
	err = device_find_otherend(pdev);
	if (err)
		goto err_put;
	pdev->state = handshake_read(pdev->nodename);
	err = dev_set_name(&pdev->dev, "%s-%u", type, id);
	if (err)
		goto err_put;
	/* also when it fails it may have been told something already */
	err = device_watch(pdev);
	if (err)
		goto err_unwatch;
	err = device_add(&pdev->dev);
	if (err)
		goto err_unwatch;
	return 0;

err_unwatch:
	device_unwatch(pdev);
err_put:
	put_device(&pdev->dev);
	return err;
}

/* Unbind and forget; the last reference may be somebody else's. */
void device_destroy_pv(struct pvhvm_device *pdev)
{
	get_device(&pdev->dev);
	device_unregister(&pdev->dev);
	device_unwatch(pdev);
	put_device(&pdev->dev);
}

/*
 * Nobody but us writes our state, and we do it under the lock: if xenstore
 * has us Initialising and we did not say so, it is another device's life. What
 * was said without an answer may have been just that.
 */
int device_replaced(struct pvhvm_device *pdev)
{
	enum xenbus_state state;
	int replaced = 0;

	mutex_lock(&pdev->lock);
	if (pdev->state != XenbusStateInitialising && !pdev->unsure)
		replaced = handshake_ask(pdev->nodename, &state) ?
				   state == XenbusStateInitialising :
				   -ETIMEDOUT;
	mutex_unlock(&pdev->lock);
	return replaced;
}

bool device_settled(struct pvhvm_device *pdev)
{
	/* not (yet) bound, or its probe has failed */
	if (!READ_ONCE(pdev->live))
		return true;
	return pdev->state >= XenbusStateConnected || pdev->idle ||
	       pdev->quarantined || pdev->gone;
}

/* ---- the driver model's callbacks ---- */

/* With the driver goes what it found; the text is in its memory. */
static void device_pardon(struct pvhvm_device *pdev)
{
	pdev->quarantined = false;
	pdev->why = NULL;
}

/* How often a probe asks a server that does not answer; a minute, then seconds each. */
#define DEVICE_START_TRIES	4

static int device_both_ends(struct pvhvm_device *pdev)
{
	unsigned int left = DEVICE_START_TRIES;
	int err;

	do {
		err = device_find_otherend(pdev) ?: handshake_reset(pdev);
	} while (pvhvm_xs_unanswered(err) && --left && !comms_broken());
	return err;
}

static int device_start(struct pvhvm_device *pdev, struct pvhvm_driver *drv)
{
	int err;

	mutex_lock(&pdev->lock);
	device_pardon(pdev);
	pdev->idle = false;
	pdev->leaving = false;
	reinit_completion(&pdev->down);
	err = device_both_ends(pdev);
	if (!err) {
		pdev->otherend_state = handshake_read(pdev->otherend);
		err = drv->probe(pdev);
	}
	if (!err)
		WRITE_ONCE(pdev->live, true);
	else
		device_pardon(pdev);
	mutex_unlock(&pdev->lock);
	/* vanished meanwhile: nothing worth a message */
	return err == -ENOENT ? -ENODEV : err;
}

static void device_stop(struct pvhvm_device *pdev, struct pvhvm_driver *drv)
{
	mutex_lock(&pdev->lock);
	WRITE_ONCE(pdev->live, false);
	drv->remove(pdev);
	device_pardon(pdev);
	pvhvm_switch_state(pdev, XenbusStateClosed);
	mutex_unlock(&pdev->lock);
}

/* Watched anew, so that the driver is told the state once it is live. */
int device_probe_pv(struct pvhvm_device *pdev, struct pvhvm_driver *drv)
{
	int err, watch_err;

	pvhvm_xs_unwatch_in(&pdev->watch);
	pdev->watch.aside = drv->aside;
	err = device_start(pdev, drv);
	watch_err = device_watch(pdev);
	if (!err && watch_err) {
		device_stop(pdev, drv);
		err = watch_err;
	}
	WRITE_ONCE(pdev->unanswered,
		   err == -ETIMEDOUT || watch_err == -ETIMEDOUT);
	if (pdev->unanswered)
		bus_rescan_later();
	bus_kick();
	return err;
}

void device_probe_again(struct pvhvm_device *pdev)
{
	if (READ_ONCE(pdev->unanswered) &&
	    device_attach(&pdev->dev) < 0)
		dev_warn(&pdev->dev, "cannot be probed again\n");
}

void device_remove_pv(struct pvhvm_device *pdev, struct pvhvm_driver *drv)
{
	/* its lock is held, and its disk may wait for a backend, so for just this */
	unsigned int noio = memalloc_noio_save();

	handshake_close(pdev);
	device_stop(pdev, drv);
	/* pages that the driver had to park are given back by this */
	handshake_let_go(pdev);
	bus_kick();
	memalloc_noio_restore(noio);
}

/*
 * A restart may be a kexec, which cannot be told from here: then the memory
 * that the backend may write to gets another owner, so it must have let go
 * before, also of what it was given while connecting, or has not let go of
 * while closing. A guest that powers off needs no such care.
 */
static void device_end(struct pvhvm_device *pdev)
{
	enum xenbus_state state;
	bool unsure;

	mutex_lock(&pdev->lock);
	/* nothing but its end is published any more */
	pdev->leaving = true;
	state = pdev->state;
	unsure = pdev->unsure;
	mutex_unlock(&pdev->lock);
	if (state == XenbusStateInitialising && !unsure)
		return;
	if (state != XenbusStateClosed) {
		handshake_close(pdev);
		mutex_lock(&pdev->lock);
		pvhvm_switch_state(pdev, XenbusStateClosed);
		mutex_unlock(&pdev->lock);
	}
	handshake_let_go(pdev);
}

void device_shutdown_pv(struct pvhvm_device *pdev)
{
	unsigned int noio;

	if (system_state != SYSTEM_RESTART || !READ_ONCE(pdev->live))
		return;
	/* as in a removal */
	noio = memalloc_noio_save();
	device_end(pdev);
	memalloc_noio_restore(noio);
}

static int device_resume_driver(struct pvhvm_device *pdev)
{
	struct pvhvm_driver *drv = to_pvhvm_driver(pdev->dev.driver);
	int err = handshake_reset(pdev);

	if (err)
		return err;
	pdev->otherend_state = handshake_read(pdev->otherend);
	return drv->resume ? drv->resume(pdev) : 0;
}

/*
 * Its end, seen in the new domain, is not our backend's. The path stays: a
 * probe may be about to send it.
 */
void device_forget_backend(struct pvhvm_device *pdev)
{
	watch_forget(&pdev->watch);
}

static int device_try_resume(struct pvhvm_device *pdev)
{
	enum xenbus_state state;
	int err = 0;

	/* the path; and the watch, if it was bound or unbound since */
	pvhvm_xs_unwatch_in(&pdev->watch);
	mutex_lock(&pdev->lock);
	if (handshake_ask(pdev->nodename, &state)) {
		pdev->state = state;
		pdev->unsure = false;
	} else {
		err = -ETIMEDOUT;
	}
	if (!err)
		err = device_find_otherend(pdev);
	if (!err && pdev->live)
		err = device_resume_driver(pdev);
	mutex_unlock(&pdev->lock);
	return err ?: device_watch(pdev);
}

/*
 * The driver is not to stay paused. A backend that is being taken away has
 * closed, as far as this domain is concerned; another may yet be heard of.
 */
static void device_resume_alone(struct pvhvm_device *pdev, bool leaving)
{
	struct pvhvm_driver *drv;

	mutex_lock(&pdev->lock);
	if (pdev->live) {
		drv = to_pvhvm_driver(pdev->dev.driver);
		if (drv->resume)
			drv->resume(pdev);
		if (leaving)
			device_tell_driver(pdev, XenbusStateClosed);
	}
	mutex_unlock(&pdev->lock);
	device_watch(pdev);
}

/*
 * A server that is silent or full must not cost the guest its disk: what may pass
 * is asked again for as long as the guest is to run; what fails otherwise, or for
 * a device that nobody uses, five times. An -EIO while the transport works is
 * an answer.
 */
#define DEVICE_RESUME_TRIES	5

static bool device_resumes_again(struct pvhvm_device *pdev, int err,
				 unsigned int *left)
{
	if (!err || err == -ENOENT || err == -ENODEV || comms_broken())
		return false;
	if (READ_ONCE(pdev->live) && xs_may_pass(err) && err != -EIO)
		return system_state <= SYSTEM_RUNNING;
	return --*left;
}

void device_resume_pv(struct pvhvm_device *pdev)
{
	unsigned int left = DEVICE_RESUME_TRIES;
	int err;

	while (device_resumes_again(pdev, err = device_try_resume(pdev), &left))
		ssleep(1);
	/* not there any more: the scan that follows takes it away */
	if (err && err != -ENOENT) {
		dev_err(&pdev->dev, "not resumed (%d)\n", err);
		device_resume_alone(pdev, err == -ENODEV);
	}
}
