// SPDX-License-Identifier: GPL-2.0-only
/*
 * bus.c: the bus "pvhvm", its drivers, and the directory "device" of xenstore
 * that says which devices there are.
 *
 * Devices come and go in one ordered workqueue, never in the watch thread:
 * a driver's probe and remove may wait for what that thread delivers.
 */
#include "xenbus.h"

#include <linux/delay.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <pvhvm/export.h>

static void bus_scan(struct work_struct *work);

static struct {
	struct workqueue_struct *wq;
	struct delayed_work scan;
	struct pvhvm_xs_watch watch;
	/* woken whenever a device may have settled */
	wait_queue_head_t settle;
	/* from suspend to resume xenstore may not say what our devices are */
	enum bus_still still;
	/* something in this scan is to be asked again; in the last one, which has been said */
	bool ask_again;
	bool said;
} bus = {
	.scan = __DELAYED_WORK_INITIALIZER(bus.scan, bus_scan, 0),
	.settle = __WAIT_QUEUE_HEAD_INITIALIZER(bus.settle),
};

/* ---- the driver model ---- */

static int bus_match(struct device *dev, const struct device_driver *driver)
{
	const struct pvhvm_driver *drv = container_of(driver,
						      struct pvhvm_driver,
						      driver);

	if (strcmp(to_pvhvm_device(dev)->type, drv->type))
		return 0;
	/* the first word of what is to come: bus_take_turn() goes by it */
	WRITE_ONCE(to_pvhvm_device(dev)->aside, drv->aside);
	return 1;
}

static int bus_uevent(const struct device *dev, struct kobj_uevent_env *env)
{
	const struct pvhvm_device *pdev = container_of(dev, struct pvhvm_device,
						       dev);

	return add_uevent_var(env, "MODALIAS=pvhvm:%s", pdev->type) ?:
	       add_uevent_var(env, "PVHVM_TYPE=%s", pdev->type) ?:
	       add_uevent_var(env, "PVHVM_NODE=%s", pdev->nodename);
}

static int bus_probe(struct device *dev)
{
	return device_probe_pv(to_pvhvm_device(dev),
			       to_pvhvm_driver(dev->driver));
}

static void bus_remove(struct device *dev)
{
	device_remove_pv(to_pvhvm_device(dev), to_pvhvm_driver(dev->driver));
}

static void bus_shutdown(struct device *dev)
{
	if (dev->driver)
		device_shutdown_pv(to_pvhvm_device(dev));
}

DEFINE_BUS_MATCH(bus_match);
DEFINE_BUS_UEVENT(bus_uevent);
DEFINE_BUS_REMOVE(bus_remove);

struct bus_type pvhvm_bus = {
	.name = "pvhvm",
	.match = BUS_MATCH(bus_match),
	.uevent = BUS_UEVENT(bus_uevent),
	.probe = bus_probe,
	.remove = BUS_REMOVE(bus_remove),
	.shutdown = bus_shutdown,
};

/* ---- looking at the directory ---- */

static struct pvhvm_device *bus_find(const char *type, unsigned int id)
{
	char name[PVHVM_ID_SIZE + 12];
	struct device *dev;

	snprintf(name, sizeof(name), "%s-%u", type, id);
	dev = bus_find_device_by_name(&pvhvm_bus, NULL, name);
	return dev ? to_pvhvm_device(dev) : NULL;
}

/* What may pass is asked again: nobody else would. */
static void bus_scan_failed(int err)
{
	bool again = xs_may_pass(err);

	if (err == -ENOENT)
		return;
	if (!again || !bus.said)
		pr_warn("cannot look at the devices (%d)%s\n", err,
			again ? ", trying again" : "");
	if (again) {
		bus.said = true;
		bus.ask_again = true;
	}
}

/* Does the toolstack (still) list it? When in doubt, yes. */
static bool bus_is_listed(struct pvhvm_device *pdev)
{
	char *backend = pvhvm_xs_read(PVHVM_XS_NONE, pdev->nodename, "backend",
				      NULL);

	if (!IS_ERR(backend)) {
		kfree(backend);
		return true;
	}
	bus_scan_failed(PTR_ERR(backend));
	return PTR_ERR(backend) != -ENOENT;
}

static bool bus_is_obsolete(struct pvhvm_device *pdev)
{
	int replaced;

	if (!bus_is_listed(pdev))
		return true;
	replaced = device_replaced(pdev);
	if (replaced < 0)
		bus_scan_failed(replaced);
	return replaced > 0;
}

/* bus_find_device() takes other types of match functions over the years. */
static int bus_pick_obsolete(struct device *dev, void *found)
{
	struct device **picked = found;

	if (!bus_is_obsolete(to_pvhvm_device(dev)))
		return 0;
	*picked = get_device(dev);
	return 1;
}

static void bus_drop_obsolete(void)
{
	struct device *dev;

	for (;;) {
		dev = NULL;
		bus_for_each_dev(&pvhvm_bus, NULL, &dev, bus_pick_obsolete);
		if (!dev)
			return;
		WRITE_ONCE(to_pvhvm_device(dev)->gone, true);
		device_destroy_pv(to_pvhvm_device(dev));
		put_device(dev);
	}
}

static void bus_add_new(const char *type, const char *name)
{
	struct pvhvm_device *pdev;
	unsigned int id;
	int err;

	if (xs_parse_id(name, strlen(name), &id))
		return;
	pdev = bus_find(type, id);
	if (pdev) {
		device_probe_again(pdev);
		put_device(&pdev->dev);
		return;
	}
	err = device_create_pv(type, id);
	if (xs_may_pass(err))
		bus_scan_failed(err);
	else if (err && err != -ENOENT)
		pr_warn("device/%s/%s is not usable (%d)\n", type, name, err);
}

static void bus_scan_type(const char *type)
{
	unsigned int i, n;
	char **id;

	if (strlen(type) >= PVHVM_ID_SIZE)
		return;
	id = pvhvm_xs_directory(PVHVM_XS_NONE, "device", type, &n);
	if (IS_ERR(id)) {
		bus_scan_failed(PTR_ERR(id));
		return;
	}
	for (i = 0; i < n; i++)
		bus_add_new(type, id[i]);
	kfree(id);
}

static void bus_scan_types(void)
{
	unsigned int i, n;
	char **type;

	type = pvhvm_xs_directory(PVHVM_XS_NONE, "device", "", &n);
	if (IS_ERR(type)) {
		bus_scan_failed(PTR_ERR(type));
		return;
	}
	for (i = 0; i < n; i++)
		bus_scan_type(type[i]);
	kfree(type);
}

static void bus_scan_all(void)
{
	bus.ask_again = false;
	bus_drop_obsolete();
	bus_scan_types();
	bus.said = bus.ask_again;
	if (bus.ask_again)
		bus_rescan_later();
	bus_kick();
}

static void bus_scan(struct work_struct *work)
{
	/* a device's lock is held on the way, and its disk may not run */
	unsigned int noio = memalloc_noio_save();

	/* the end of a suspend looks again */
	if (READ_ONCE(bus.still) == BUS_STILL_NONE)
		bus_scan_all();
	memalloc_noio_restore(noio);
}

void bus_rescan(void)
{
	mod_delayed_work(bus.wq, &bus.scan, 0);
}

#define BUS_SCAN_AGAIN	HZ

void bus_rescan_later(void)
{
	if (!comms_broken())
		queue_delayed_work(bus.wq, &bus.scan, BUS_SCAN_AGAIN);
}

bool bus_queue(struct work_struct *work)
{
	return queue_work(bus.wq, work);
}

bool bus_is_still(const struct pvhvm_device *pdev)
{
	switch (READ_ONCE(bus.still)) {
	case BUS_STILL_NONE:
		return false;
	case BUS_STILL_ASIDE:
		return !READ_ONCE(pdev->live) || READ_ONCE(pdev->aside);
	default:
		return true;
	}
}

/* Keys inside a device that is known are its driver's business, not ours. */
static void bus_changed(struct pvhvm_xs_watch *watch, const char *path)
{
	struct pvhvm_device *pdev;
	struct xs_dev_path p;

	if (xs_parse_dev_path(path, &p))
		return;
	if (p.deeper) {
		pdev = bus_find(p.type, p.id);
		if (pdev) {
			put_device(&pdev->dev);
			return;
		}
	}
	bus_rescan();
}

/* ---- drivers ---- */

void bus_kick(void)
{
	wake_up_all(&bus.settle);
}

static int bus_is_unsettled(struct device *dev, void *type)
{
	struct pvhvm_device *pdev = to_pvhvm_device(dev);

	return !strcmp(pdev->type, type) && !device_settled(pdev);
}

static bool bus_has_settled(const char *type)
{
	return comms_broken() || !bus_for_each_dev(&pvhvm_bus, NULL,
						   (void *)type,
						   bus_is_unsettled);
}

int __pvhvm_driver_register(struct pvhvm_driver *drv, struct module *owner)
{
	unsigned long timeout = xenbus_backend_timeout();
	int err;

	drv->driver.bus = &pvhvm_bus;
	drv->driver.owner = owner;
	if (!drv->driver.name)
		drv->driver.name = drv->type;
	err = driver_register(&drv->driver);
	if (err)
		return err;
	if (timeout && !wait_event_timeout(bus.settle,
					   bus_has_settled(drv->type), timeout))
		pr_warn("not every %s has connected within %u s, going on without\n",
			drv->type, jiffies_to_msecs(timeout) / 1000);
	return 0;
}
PVHVM_EXPORT(__pvhvm_driver_register);

void pvhvm_driver_unregister(struct pvhvm_driver *drv)
{
	driver_unregister(&drv->driver);
}
PVHVM_EXPORT(pvhvm_driver_unregister);

/* ---- suspend and resume ---- */

/* In this order devices are resumed: see @aside of struct pvhvm_driver. */
enum bus_stage { BUS_FIRST, BUS_ASIDE, BUS_UNBOUND };

/* The driver cannot go: it is live, or the device is locked. */
static bool bus_is_stage(struct device *dev, const enum bus_stage *stage)
{
	if (!dev->driver)
		return *stage == BUS_UNBOUND;
	return *stage == (to_pvhvm_driver(dev->driver)->aside ? BUS_ASIDE :
			  BUS_FIRST);
}

/*
 * Whoever holds a card's locks may wait for RTNL, whose holder for a disk: the turn
 * of the disks does not wait for them, also when the card got its driver just now.
 */
static bool bus_is_turn(struct pvhvm_device *pdev, enum bus_stage stage)
{
	return stage == BUS_UNBOUND ||
	       stage == (READ_ONCE(pdev->aside) ? BUS_ASIDE : BUS_FIRST);
}

static void bus_turn_pause(void)
{
	usleep_range(500, 1000);
}

/* In its turn the device's lock; false when it is not. */
static bool bus_take_turn(struct pvhvm_device *pdev, enum bus_stage stage)
{
	for (; bus_is_turn(pdev, stage); bus_turn_pause())
		if (mutex_trylock(&pdev->lock))
			return true;
	return false;
}

/* The same with the driver model's, which a probe and a removal hold. */
static bool bus_take_turn_bound(struct device *dev, enum bus_stage stage)
{
	for (; bus_is_turn(to_pvhvm_device(dev), stage); bus_turn_pause())
		if (device_trylock(dev))
			return true;
	return false;
}

static void bus_for_stage(enum bus_stage stage,
			  int (*fn)(struct device *dev, void *stage))
{
	bus_for_each_dev(&pvhvm_bus, NULL, &stage, fn);
}

static int bus_suspend_one(struct device *dev, void *data)
{
	struct pvhvm_device *pdev = to_pvhvm_device(dev);
	const enum bus_stage *stage = data;
	struct pvhvm_driver *drv;
	int err = 0;

	if (!bus_take_turn(pdev, *stage))
		return 0;
	if (pdev->live && bus_is_stage(dev, stage)) {
		drv = to_pvhvm_driver(dev->driver);
		if (drv->suspend)
			err = drv->suspend(pdev);
	}
	mutex_unlock(&pdev->lock);
	if (err)
		dev_warn(dev, "does not suspend cleanly (%d)\n", err);
	return 0;
}

static int bus_end_look(struct device *dev, void *unused)
{
	device_end_look(to_pvhvm_device(dev));
	return 0;
}

static int bus_cancel_one(struct device *dev, void *data)
{
	struct pvhvm_device *pdev = to_pvhvm_device(dev);
	const enum bus_stage *stage = data;
	struct pvhvm_driver *drv;

	if (!bus_take_turn(pdev, *stage))
		return 0;
	if (pdev->live && bus_is_stage(dev, stage)) {
		drv = to_pvhvm_driver(dev->driver);
		if (drv->cancel)
			drv->cancel(pdev);
	}
	mutex_unlock(&pdev->lock);
	return 0;
}

/* How long a resume gives those that somebody waits for a clear road. */
#define BUS_RESUME_FIRST	(2 * HZ)

static int bus_is_connecting(struct device *dev, void *unused)
{
	struct pvhvm_device *pdev = to_pvhvm_device(dev);

	return READ_ONCE(pdev->live) &&
	       (!device_settled(pdev) ||
		(pdev->state == XenbusStateConnected &&
		 READ_ONCE(pdev->otherend_state) < XenbusStateConnected));
}

static bool bus_has_connected(void)
{
	return comms_broken() ||
	       !bus_for_each_dev(&pvhvm_bus, NULL, NULL, bus_is_connecting);
}

static int bus_forget_one(struct device *dev, void *unused)
{
	device_forget_backend(to_pvhvm_device(dev));
	return 0;
}

void bus_forget_backends(void)
{
	bus_for_each_dev(&pvhvm_bus, NULL, NULL, bus_forget_one);
}

static int bus_resume_one(struct device *dev, void *data)
{
	const enum bus_stage *stage = data;

	if (!bus_take_turn_bound(dev, *stage))
		return 0;
	if (bus_is_stage(dev, stage))
		device_resume_pv(to_pvhvm_device(dev));
	device_unlock(dev);
	return 0;
}

void bus_flush(void)
{
	flush_workqueue(bus.wq);
}

/* A look that has begun ends before anything changes. */
static void bus_suspend_stage(enum bus_stage stage)
{
	bus_for_each_dev(&pvhvm_bus, NULL, NULL, bus_end_look);
	bus_for_stage(stage, bus_suspend_one);
}

void bus_suspend_aside(void)
{
	WRITE_ONCE(bus.still, BUS_STILL_ASIDE);
	flush_workqueue(bus.wq);
	bus_suspend_stage(BUS_ASIDE);
}

/* Scans do nothing any more, and what else is queued may wait for a card's lock. */
void bus_suspend_first(void)
{
	WRITE_ONCE(bus.still, BUS_STILL_ALL);
	bus_suspend_stage(BUS_FIRST);
}

void bus_cancel_first(void)
{
	bus_for_stage(BUS_FIRST, bus_cancel_one);
	WRITE_ONCE(bus.still, BUS_STILL_ASIDE);
}

void bus_cancel_aside(void)
{
	bus_for_stage(BUS_ASIDE, bus_cancel_one);
	WRITE_ONCE(bus.still, BUS_STILL_NONE);
	bus_rescan();
}

void bus_resume(void)
{
	unsigned int noio = memalloc_noio_save();

	bus_for_stage(BUS_FIRST, bus_resume_one);
	WRITE_ONCE(bus.still, BUS_STILL_ASIDE);
	bus_for_stage(BUS_ASIDE, bus_resume_one);
	wait_event_timeout(bus.settle, bus_has_connected(), BUS_RESUME_FIRST);
	bus_for_stage(BUS_UNBOUND, bus_resume_one);
	memalloc_noio_restore(noio);
	WRITE_ONCE(bus.still, BUS_STILL_NONE);
	bus_rescan();
}

/* ---- coming and going ---- */

int bus_init(void)
{
	int err;

	/* not for reclaim: a network card's end waits for queues that are not */
	bus.wq = alloc_ordered_workqueue("pvhvm-bus", 0);
	if (!bus.wq)
		return -ENOMEM;
	err = bus_register(&pvhvm_bus);
	if (err) {
		pr_err("cannot register the bus \"pvhvm\" (%d)\n", err);
		goto err_destroy_wq;
	}
	/* What is there now is known before a driver can ask for it. */
	bus_rescan();
	flush_delayed_work(&bus.scan);
	bus.watch.path = "device";
	bus.watch.fn = bus_changed;
	err = pvhvm_xs_watch(&bus.watch);
	if (err) {
		pr_err("cannot watch for devices (%d)\n", err);
		goto err_drop_devices;
	}
	return 0;

err_drop_devices:
	bus_exit();
	return err;
err_destroy_wq:
	destroy_workqueue(bus.wq);
	return err;
}

static int bus_pick_any(struct device *dev, void *found)
{
	struct device **picked = found;

	*picked = get_device(dev);
	return 1;
}

/* No driver is left: they need our symbols. Takes a half-built bus too. */
void bus_exit(void)
{
	struct device *dev;

	pvhvm_xs_unwatch(&bus.watch);
	cancel_delayed_work_sync(&bus.scan);
	for (;;) {
		dev = NULL;
		bus_for_each_dev(&pvhvm_bus, NULL, &dev, bus_pick_any);
		if (!dev)
			break;
		device_destroy_pv(to_pvhvm_device(dev));
		put_device(dev);
	}
	/* works of quarantined devices hold references of theirs */
	destroy_workqueue(bus.wq);
	bus_unregister(&pvhvm_bus);
}
