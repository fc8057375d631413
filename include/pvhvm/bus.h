/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * bus.h: the PV device bus "pvhvm" and what a frontend needs to live on it.
 * Offered by pvhvm_xenbus.
 *
 * A directory device/<type>/<id> in the guest's xenstore becomes the device
 * "<type>-<id>" on /sys/bus/pvhvm, modalias "pvhvm:<type>".
 */
#ifndef PVHVM_BUS_H
#define PVHVM_BUS_H

#include <linux/completion.h>
#include <linux/device.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>

#include <pvhvm/abi.h>
#include <pvhvm/grant.h>
#include <pvhvm/xs.h>

/* Most pages that a shared ring may have. */
#define PVHVM_RING_MAX_PAGES	16
#define PVHVM_ID_SIZE		32

/**
 * struct pvhvm_device - one frontend device
 * @dev: the driver model's
 * @type: "vif", "vbd"
 * @id: the number behind it: 0 for vif-0, 768 for vbd-768
 * @nodename: our directory, "device/vif/0"
 * @otherend: the backend's directory; stable while a driver is bound, but for
 *	a resume, and then changed before @resume is called
 * @otherend_id: the backend's domain
 * @state: what we last published (enum xenbus_state)
 * @otherend_state: what the backend last published
 * @quarantined: set once by pvhvm_quarantine(), cleared when rebound
 * @idle: set by the driver while it leaves the device unconnected on purpose
 *	(a disk on hold): nobody waits for it. Cleared before probe
 * @gone: the toolstack has removed it from xenstore
 * @lock: serialises the driver's callbacks; held around each
 */
struct pvhvm_device {
	struct device dev;
	const char *type;
	unsigned int id;
	char *nodename;
	char *otherend;
	domid_t otherend_id;
	enum xenbus_state state;
	enum xenbus_state otherend_state;
	bool quarantined;
	bool idle;
	bool gone;
	/* held around each callback of the driver */
	struct mutex lock;
	/* private: the bus's own, see xenbus/device.c */
	bool live;
	bool leaving;
	bool unsure;		/* may have published more than @state */
	bool unanswered;	/* its probe was: the next scan tries again */
	bool aside;		/* the driver's, before the device is locked for it */
	const char *why;
	struct pvhvm_xs_watch watch;
	struct completion down;
	struct work_struct quarantine_work;
	struct delayed_work again;
	char type_buf[PVHVM_ID_SIZE];
};

/**
 * struct pvhvm_driver - a frontend driver
 * @type: which devices it drives, "vif"
 * @probe: a device appeared (or is bound); publish nothing that a failure
 *	does not take back. The bus has already read @otherend and the
 *	driver is called with @lock held; so are the others
 * @remove: forget the device; the backend may be gone already. The bus has
 *	published XenbusStateClosing before; it publishes Closed after
 * @otherend_changed: the backend published a state (called once after probe
 *	too, from the watch thread; may sleep)
 * @suspend: stop using the rings, keep everything, may be NULL
 * @cancel: the suspend did not happen, go on as before, may be NULL
 * @resume: rings, ports and grants of old are gone: forget them, start over
 * @aside: its callbacks wait for locks whose holders may wait for a disk (RTNL).
 *	They are called from another thread, and the device is suspended before
 *	and resumed after the others
 * @driver: .name, .groups, .dev_groups may be set by the driver
 */
struct pvhvm_driver {
	const char *type;
	int (*probe)(struct pvhvm_device *pdev);
	void (*remove)(struct pvhvm_device *pdev);
	void (*otherend_changed)(struct pvhvm_device *pdev,
				 enum xenbus_state state);
	int (*suspend)(struct pvhvm_device *pdev);
	void (*cancel)(struct pvhvm_device *pdev);
	int (*resume)(struct pvhvm_device *pdev);
	bool aside;
	struct device_driver driver;
};

#define to_pvhvm_device(d)	container_of(d, struct pvhvm_device, dev)

int __pvhvm_driver_register(struct pvhvm_driver *drv, struct module *owner);
void pvhvm_driver_unregister(struct pvhvm_driver *drv);

/**
 * pvhvm_driver_register() - offer a driver; known devices are probed at once
 * @drv: the driver, with .type, .probe and .remove at least
 *
 * Waits, bounded (module parameter backend_timeout of xenbus, in seconds),
 * until the devices of this type that xenstore lists have connected, failed
 * or say that they are @idle, so that what is mounted next finds them.
 * Context: process; may sleep. Return: 0 or negative errno.
 */
#define pvhvm_driver_register(drv) __pvhvm_driver_register(drv, THIS_MODULE)

static inline void *pvhvm_get_drvdata(struct pvhvm_device *pdev)
{
	return dev_get_drvdata(&pdev->dev);
}

static inline void pvhvm_set_drvdata(struct pvhvm_device *pdev, void *data)
{
	dev_set_drvdata(&pdev->dev, data);
}

/**
 * pvhvm_look_again() - xenstore has not answered what a callback has to know
 * @pdev: the device
 *
 * In a second the driver is told the backend's state once more, as it is then.
 * Until then it does nothing about the state that it was told.
 * Context: any.
 */
void pvhvm_look_again(struct pvhvm_device *pdev);

/**
 * pvhvm_backend_is_online() - does the toolstack keep the device?
 * @pdev: the device
 *
 * By the "online" that the toolstack writes to the backend; without one it does
 * not. Nor is it said to while xenstore does not answer, but then the driver is
 * told the backend's state once more, see pvhvm_look_again().
 * Context: may sleep; in a callback. Return: true if it is to stay.
 */
bool pvhvm_backend_is_online(struct pvhvm_device *pdev);

/**
 * pvhvm_switch_state() - publish our state
 * @pdev: the device
 * @state: the state
 *
 * A no-op when it is the state already. Context: may sleep; @lock held or in
 * a callback. Return: 0; -ENODEV when the toolstack has removed the device, or
 * when the bus is closing it and @state is not Closing or Closed; or another
 * negative errno, which has been logged.
 */
int pvhvm_switch_state(struct pvhvm_device *pdev, enum xenbus_state state);

/**
 * pvhvm_frontend_closed() - the teardown handshake is done on our side
 * @pdev: the device
 *
 * Publishes Closed, so that the backend lets go of our pages; the driver has
 * stopped using them. When the driver is unbound, the bus publishes Closing,
 * and a driver that answers the backend's Closing with this call before its
 * remove is called finds its pages free there. Context: as
 * pvhvm_switch_state().
 */
void pvhvm_frontend_closed(struct pvhvm_device *pdev);

/**
 * pvhvm_dev_error() - log a problem and write it to error/<nodename>/error
 * @pdev: the device
 * @err: negative errno
 * @fmt: what went wrong, without a newline
 *
 * Context: may sleep.
 */
__printf(3, 4)
void pvhvm_dev_error(struct pvhvm_device *pdev, int err, const char *fmt, ...);

/**
 * pvhvm_dev_fatal() - the same, then publish Closing: the device is given up
 * @pdev: the device
 * @err: negative errno
 * @fmt: what went wrong, without a newline
 *
 * Context: as pvhvm_switch_state().
 */
__printf(3, 4)
void pvhvm_dev_fatal(struct pvhvm_device *pdev, int err, const char *fmt, ...);

/**
 * pvhvm_quarantine() - the backend broke the protocol
 * @pdev: the device
 * @why: one line, constant text
 *
 * Logs once, marks the device (sysfs "quarantined"), and schedules work that
 * publishes Closing. The driver stops touching shared memory by itself when
 * it sees pdev->quarantined. Context: any, hard interrupt included.
 */
void pvhvm_quarantine(struct pvhvm_device *pdev, const char *why);

/**
 * struct pvhvm_ring - pages shared with the backend
 * @addr: virtually contiguous, zeroed
 * @nr_pages: 1..PVHVM_RING_MAX_PAGES
 * @ref: one grant reference a page
 * @grants: their reservation
 */
struct pvhvm_ring {
	void *addr;
	unsigned int nr_pages;
	grant_ref_t ref[PVHVM_RING_MAX_PAGES];
	struct pvhvm_grants grants;
};

/**
 * pvhvm_ring_alloc() - allocate and grant a ring's pages to the backend
 * @pdev: the device whose backend gets access
 * @ring: filled on success, zeroed on failure
 * @nr_pages: 1..PVHVM_RING_MAX_PAGES
 *
 * Context: process; may sleep.
 * Return: 0, -EINVAL, -ENOMEM, or -ENOSPC when the grant table is full.
 */
int pvhvm_ring_alloc(struct pvhvm_device *pdev, struct pvhvm_ring *ring,
		     unsigned int nr_pages);

/**
 * pvhvm_ring_free() - revoke and free
 * @ring: a ring; a zeroed one is a no-op. Zeroed on return
 *
 * Pages that the backend still has mapped are parked, not freed.
 * Context: process; may sleep.
 */
void pvhvm_ring_free(struct pvhvm_ring *ring);

#endif /* PVHVM_BUS_H */
