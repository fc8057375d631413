// SPDX-License-Identifier: GPL-2.0-only
/*
 * mcast.c: which multicast packets the backend lets through.
 *
 * Unasked, a backend floods us with every multicast packet of its bridge, and
 * each costs a slot, a copy and maybe an upcall. A backend with the dynamic
 * kind of multicast-control takes our addresses, by extras on the transmit
 * ring, and filters while request-multicast-control is 1 (xen/io/netif.h).
 *
 * All of it in one work item, under the device's lock: no connection comes or
 * goes meanwhile. New addresses are told before the filter is asked for.
 */
#include "netfront.h"

#include <linux/etherdevice.h>
#include <linux/slab.h>

/* Again after so long when the lock or the ring was busy. */
#define RETRY_DELAY	(HZ / 50)

/* A copy of what the stack wants. */
struct mcast_wish {
	u8 addr[NETF_MCAST_MAX][ETH_ALEN];
	unsigned int count;
	bool filter;
};

static bool has_addr(u8 (*list)[ETH_ALEN], unsigned int count, const u8 *addr)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (ether_addr_equal_unaligned(list[i], addr))
			return true;
	return false;
}

static void read_wish(struct netf_dev *nd, struct mcast_wish *wish)
{
	struct net_device *dev = nd->netdev;
	struct netdev_hw_addr *ha;

	netif_addr_lock_bh(dev);
	wish->filter = !(dev->flags & (IFF_PROMISC | IFF_ALLMULTI)) &&
		netdev_mc_count(dev) <= NETF_MCAST_MAX &&
		!READ_ONCE(nd->mcast.refused);
	wish->count = 0;
	if (wish->filter) {
		netdev_for_each_mc_addr(ha, dev)
			ether_addr_copy(wish->addr[wish->count++], ha->addr);
	}
	netif_addr_unlock_bh(dev);
}

static int ask_filter(struct netf_dev *nd, bool on)
{
	struct netf_mcast *mc = &nd->mcast;
	int err;

	if (mc->filtering == on)
		return 0;
	err = pvhvm_xs_write(PVHVM_XS_NONE, nd->pdev->nodename,
			     "request-multicast-control", on ? "1" : "0");
	if (!err)
		mc->filtering = on;
	return err;
}

/* Drop first: the backend's list is as short as ours. */
static int tell_addresses(struct netf_dev *nd, struct mcast_wish *wish)
{
	struct netf_mcast *mc = &nd->mcast;
	unsigned int i = 0;
	int err;

	while (i < mc->count) {
		if (has_addr(wish->addr, wish->count, mc->addr[i])) {
			i++;
			continue;
		}
		err = netf_tx_mcast(&nd->queue[0], mc->addr[i], false);
		if (err)
			return err;
		ether_addr_copy(mc->addr[i], mc->addr[--mc->count]);
	}
	for (i = 0; i < wish->count; i++) {
		if (has_addr(mc->addr, mc->count, wish->addr[i]))
			continue;
		err = netf_tx_mcast(&nd->queue[0], wish->addr[i], true);
		if (err)
			return err;
		ether_addr_copy(mc->addr[mc->count++], wish->addr[i]);
	}
	return 0;
}

static int update(struct netf_dev *nd)
{
	struct mcast_wish *wish;
	int err;

	if (!nd->live || nd->broken || !nd->feat.mcast)
		return 0;
	/* the end of a suspend is soon; or another connection is told all */
	if (READ_ONCE(nd->paused))
		return -EBUSY;
	wish = kmalloc(sizeof(*wish), GFP_KERNEL);
	if (!wish)
		return -ENOMEM;
	read_wish(nd, wish);
	err = wish->filter ? tell_addresses(nd, wish) : 0;
	if (!err)
		err = ask_filter(nd, wish->filter);
	kfree(wish);
	return err;
}

static void mcast_work(struct work_struct *work)
{
	struct netf_dev *nd = container_of(work, struct netf_dev,
					   mcast.work.work);
	struct mutex *lock = &nd->pdev->lock;
	bool again = true;

	/* remove() waits for us, and holds the lock. */
	if (mutex_trylock(lock)) {
		again = update(nd) == -EBUSY;
		mutex_unlock(lock);
	}
	if (again)
		schedule_delayed_work(&nd->mcast.work, RETRY_DELAY);
}

void netf_mcast_init(struct netf_dev *nd)
{
	INIT_DELAYED_WORK(&nd->mcast.work, mcast_work);
}

void netf_mcast_reset(struct netf_dev *nd)
{
	nd->mcast.count = 0;
	nd->mcast.filtering = false;
	nd->mcast.refused = false;
}

void netf_mcast_update(struct netf_dev *nd)
{
	schedule_delayed_work(&nd->mcast.work, 0);
}

void netf_mcast_stop(struct netf_dev *nd)
{
	cancel_delayed_work_sync(&nd->mcast.work);
}
