// SPDX-License-Identifier: GPL-2.0-only
/*
 * device.c: one vif's life.
 *
 *	backend says	we are		we do
 *	InitWait	Initialising	negotiate, publish, -> Connected
 *	InitWait	Connected	if it was connected, it is anew:
 *					-> Closing, start over
 *	InitWait	Closed		backend anew: -> Initialising
 *	Connected	Connected	carrier on, twin up
 *	Closing		any		tear down, -> Closed
 *	Closed		any		the same; then, if it was not us who
 *					wanted to close, and the toolstack still
 *					wants the device, -> Initialising
 *
 * All of it in the bus's callbacks, one at a time. The bus publishes Closing
 * for us before it calls remove, after a quarantine, and on shutdown.
 */
#include "netfront.h"

#include <linux/etherdevice.h>
#include <linux/hex.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>

#include <pvhvm/unplug.h>

/* Connections in a row that may fail before the device is given up. */
#define FAILURES_MAX	5

static void twin_down(struct netf_dev *nd)
{
	if (atomic_xchg(&nd->twin, 0))
		pvhvm_unplug_twin_down(PVHVM_CLASS_NIC);
}

static void twin_up(struct netf_dev *nd)
{
	if (!atomic_xchg(&nd->twin, 1))
		pvhvm_unplug_twin_up(PVHVM_CLASS_NIC);
	/* As in netf_carrier_up(). */
	if (READ_ONCE(nd->broken))
		twin_down(nd);
}

void netf_breach(struct netf_queue *q, enum netf_breach breach)
{
	struct netf_dev *nd = q->nd;

	if (xchg(&nd->broken, true))
		return;
	u64_stats_inc(&q->stats->breaches);
	pvhvm_quarantine(nd->pdev, netf_breach_text(breach));
	netif_carrier_off(nd->netdev);
	twin_down(nd);
}

/* ---- connecting ---- */

static void device_disconnect(struct netf_dev *nd)
{
	unsigned int i;

	cancel_delayed_work_sync(&nd->announce);
	netf_netdev_dead(nd);
	twin_down(nd);
	netf_ctrl_free(nd);
	for (i = 0; i < nd->nr_queues; i++)
		netf_queue_free(&nd->queue[i]);
	WRITE_ONCE(nd->nr_queues, 0);
}

unsigned int netf_queues_to_be(const struct netf_dev *nd)
{
	return min3(READ_ONCE(nd->want_queues), nd->feat.queues,
		    num_online_cpus());
}

static int device_build(struct netf_dev *nd)
{
	unsigned int i, n;
	int err = 0;

	if (netf_fail_step(nd, "features"))
		return -ENOMEM;
	netf_mcast_reset(nd);
	if (!nd->feat.rx_copy) {
		dev_err(&nd->pdev->dev,
			"the backend cannot copy (feature-rx-copy): too old\n");
		return -EOPNOTSUPP;
	}
	/* If it changes meanwhile, device_live() finds out. */
	nd->conn_xdp = rcu_access_pointer(nd->xdp_prog);
	n = netf_queues_to_be(nd);
	for (i = 0; i < n && !err; i++) {
		/* Counted before it is built: so it is freed if that fails. */
		WRITE_ONCE(nd->nr_queues, i + 1);
		err = netf_queue_build(&nd->queue[i]);
	}
	if (!err)
		err = netf_ctrl_build(nd);
	if (err)
		return err;

	if (netf_fail_step(nd, "publish"))
		return -ENOMEM;
	return netf_publish(nd);
}

/* We are not connected any more, and want to begin again when we can. */
static void device_fatal(struct netf_dev *nd, int err, const char *what)
{
	device_disconnect(nd);
	nd->restart = true;
	pvhvm_dev_fatal(nd->pdev, err, "%s", what);
}

static void device_connect(struct netf_dev *nd)
{
	int err;

	if (nd->failures >= FAILURES_MAX) {
		pvhvm_dev_error(nd->pdev, -ECONNABORTED,
				"given up after %u attempts; unbind and bind to try again",
				nd->failures);
		nd->pdev->idle = true;
		return;
	}
	if (netf_read_features(nd)) {
		pvhvm_look_again(nd->pdev);
		return;
	}
	nd->failures++;
	WRITE_ONCE(nd->broken, false);
	err = device_build(nd);
	if (!err)
		err = pvhvm_switch_state(nd->pdev, XenbusStateConnected);
	if (err)
		device_fatal(nd, err, "cannot connect");
}

/* ---- making a connection anew ---- */

static bool device_is_stale(const struct netf_dev *nd)
{
	ASSERT_RTNL();
	return nd->live && !nd->broken &&
		(nd->nr_queues != netf_queues_to_be(nd) ||
		 nd->conn_xdp != !!rcu_access_pointer(nd->xdp_prog));
}

void netf_renegotiate(struct netf_dev *nd)
{
	if (device_is_stale(nd))
		schedule_delayed_work(&nd->renegotiate, 0);
}

static void device_renegotiate(struct work_struct *work)
{
	struct netf_dev *nd = container_of(work, struct netf_dev,
					   renegotiate.work);
	struct pvhvm_device *pdev = nd->pdev;
	int err = 0;
	bool stale;

	/* remove() waits for us, and holds the lock. */
	if (!mutex_trylock(&pdev->lock)) {
		schedule_delayed_work(&nd->renegotiate, HZ / 50);
		return;
	}
	rtnl_lock();
	stale = device_is_stale(nd);
	rtnl_unlock();
	if (stale && pdev->state == XenbusStateConnected) {
		/* The backend's Closing and Closed take us further. */
		nd->restart = true;
		err = pvhvm_switch_state(pdev, XenbusStateClosing);
	}
	mutex_unlock(&pdev->lock);
	if (err && err != -ENODEV)
		schedule_delayed_work(&nd->renegotiate, HZ);
}

/*
 * After a migration the switches must learn where we are now. Not at once:
 * the stack does not send before it has noticed the carrier.
 */
static void device_announce(struct work_struct *work)
{
	struct netf_dev *nd = container_of(work, struct netf_dev,
					   announce.work);

	netdev_notify_peers(nd->netdev);
}

static void device_live(struct netf_dev *nd)
{
	int err;

	if (!nd->nr_queues || nd->live)
		return;
	err = netf_fail_step(nd, "live") ? -ENOMEM : netf_netdev_live(nd);
	if (err) {
		device_fatal(nd, err, "cannot start");
		return;
	}
	nd->failures = 0;
	twin_up(nd);
	schedule_delayed_work(&nd->announce, HZ / 5);
	netf_mcast_update(nd);
	/* Somebody may have wished for something else meanwhile. */
	rtnl_lock();
	netf_renegotiate(nd);
	rtnl_unlock();
	netdev_info(nd->netdev, "connected, %u queue%s%s%s\n", nd->nr_queues,
		    nd->nr_queues > 1 ? "s" : "",
		    nd->feat.split_channels ? ", split channels" : "",
		    nd->feat.trusted ? "" : ", not trusted");
}

/* The backend is anew, or ready again: begin with the first state. */
static void device_restart(struct netf_dev *nd)
{
	struct pvhvm_device *pdev = nd->pdev;

	nd->restart = false;
	if (!pdev->quarantined)
		pvhvm_switch_state(pdev, XenbusStateInitialising);
}

static void device_closed(struct netf_dev *nd)
{
	struct pvhvm_device *pdev = nd->pdev;

	/* Not our wish, and not the bus's: the backend's. */
	if (pdev->state == XenbusStateConnected)
		nd->restart = true;
	device_disconnect(nd);
	if (pdev->state != XenbusStateClosed)
		pvhvm_frontend_closed(pdev);
}

void netf_otherend_changed(struct pvhvm_device *pdev, enum xenbus_state state)
{
	struct netf_dev *nd = pvhvm_get_drvdata(pdev);

	switch (state) {
	case XenbusStateInitWait:
		if (pdev->quarantined)
			break;
		if (pdev->state == XenbusStateConnected) {
			/* It has not looked at what we have published yet. */
			if (!nd->live)
				break;
			/* Its Closing will take us further. */
			nd->restart = true;
			pvhvm_switch_state(pdev, XenbusStateClosing);
			break;
		}
		if (pdev->state == XenbusStateClosed)
			device_restart(nd);
		if (pdev->state == XenbusStateInitialising)
			device_connect(nd);
		break;
	case XenbusStateConnected:
		if (pdev->state == XenbusStateConnected)
			device_live(nd);
		break;
	case XenbusStateClosing:
		device_closed(nd);
		break;
	case XenbusStateClosed:
		/* A fresh start that the backend has not seen yet. */
		if (pdev->state == XenbusStateInitialising)
			break;
		device_closed(nd);
		if (nd->restart && pvhvm_backend_is_online(nd->pdev))
			device_restart(nd);
		break;
	default:
		break;
	}
}

/* ---- carrier ---- */

/*
 * The backend's carrier may change at any time. Not under the device's lock:
 * remove() holds it while it waits for us. So pdev->otherend is not for us, a
 * resume replaces it; the watch's path is there as long as we run.
 */
static void device_carrier_changed(struct pvhvm_xs_watch *watch,
				   const char *path)
{
	struct netf_dev *nd = container_of(watch, struct netf_dev,
					   carrier_watch);
	/* Whatever changes after this is told by another event. */
	bool carrier = netf_read_carrier(watch->path);

	rtnl_lock();
	nd->feat.carrier = carrier;
	if (!nd->live || nd->broken || !nd->feat.carrier)
		netif_carrier_off(nd->netdev);
	else
		netf_carrier_up(nd);
	rtnl_unlock();
}

static int device_watch_carrier(struct netf_dev *nd)
{
	if (netf_fail_step(nd, "carrier"))
		return -ENOMEM;
	nd->carrier_watch.aside = true;
	return pvhvm_xs_watch_in(&nd->carrier_watch, nd->pdev->otherend,
				 "carrier", device_carrier_changed);
}

/* ---- suspend ---- */

int netf_suspend(struct pvhvm_device *pdev)
{
	netf_netdev_pause(pvhvm_get_drvdata(pdev));
	return 0;
}

void netf_cancel(struct pvhvm_device *pdev)
{
	netf_netdev_unpause(pvhvm_get_drvdata(pdev));
}

/* The backend is another one. Its state is told next, and takes us further. */
int netf_resume(struct pvhvm_device *pdev)
{
	struct netf_dev *nd = pvhvm_get_drvdata(pdev);
	int err;

	device_disconnect(nd);
	nd->failures = 0;
	device_restart(nd);
	pvhvm_xs_unwatch_in(&nd->carrier_watch);
	err = device_watch_carrier(nd);
	if (err) {
		dev_warn(&pdev->dev,
			 "the backend's carrier is not followed (%d)\n", err);
		rtnl_lock();
		nd->feat.carrier = true;
		rtnl_unlock();
	}
	return 0;
}

/* ---- probing ---- */

static int device_read_mac(struct netf_dev *nd)
{
	u8 mac[ETH_ALEN];
	char *value;
	bool ok;

	if (netf_fail_step(nd, "mac"))
		return -ENOMEM;
	value = pvhvm_xs_read(PVHVM_XS_NONE, nd->pdev->nodename, "mac", NULL);
	if (IS_ERR(value))
		return PTR_ERR(value);
	ok = mac_pton(value, mac) && is_valid_ether_addr(mac);
	kfree(value);
	if (!ok)
		return -EINVAL;
	eth_hw_addr_set(nd->netdev, mac);
	return 0;
}

/* The toolstack may wish for another size than 1500. */
static void device_read_mtu(struct netf_dev *nd)
{
	struct net_device *dev = nd->netdev;
	unsigned int mtu = pvhvm_xs_read_uint(nd->pdev->nodename, "mtu",
					      dev->max_mtu, ETH_DATA_LEN);

	if (mtu >= dev->min_mtu)
		dev->mtu = mtu;
}

/* Whoever might start work is gone with the network device. */
static void device_farewell(struct netf_dev *nd)
{
	unregister_netdev(nd->netdev);
	cancel_delayed_work_sync(&nd->renegotiate);
	netf_mcast_stop(nd);
}

int netf_probe(struct pvhvm_device *pdev)
{
	struct netf_dev *nd;
	int err;

	nd = netf_netdev_alloc(pdev);
	if (!nd)
		return -ENOMEM;
	if (netf_fail_step(nd, "netdev")) {
		err = -ENOMEM;
		goto err_free_netdev;
	}
	err = device_read_mac(nd);
	if (err) {
		pvhvm_dev_error(pdev, err, "no valid MAC address in xenstore");
		goto err_free_netdev;
	}
	device_read_mtu(nd);
	INIT_DELAYED_WORK(&nd->announce, device_announce);
	INIT_DELAYED_WORK(&nd->renegotiate, device_renegotiate);
	netf_mcast_init(nd);
	pvhvm_set_drvdata(pdev, nd);

	err = netf_fail_step(nd, "register") ? -ENOMEM :
		register_netdev(nd->netdev);
	if (err) {
		pvhvm_dev_error(pdev, err, "cannot register a network device");
		goto err_clear_drvdata;
	}
	err = device_watch_carrier(nd);
	if (err) {
		pvhvm_dev_error(pdev, err, "cannot watch the carrier");
		goto err_unregister;
	}
	return 0;

err_unregister:
	device_farewell(nd);
err_clear_drvdata:
	pvhvm_set_drvdata(pdev, NULL);
err_free_netdev:
	netf_netdev_free(nd);
	return err;
}

void netf_remove(struct pvhvm_device *pdev)
{
	struct netf_dev *nd = pvhvm_get_drvdata(pdev);

	pvhvm_xs_unwatch_in(&nd->carrier_watch);
	device_disconnect(nd);
	device_farewell(nd);
	pvhvm_set_drvdata(pdev, NULL);
	netf_netdev_free(nd);
}
