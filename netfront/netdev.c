// SPDX-License-Identifier: GPL-2.0-only
/*
 * netdev.c: the network device, its operations, and starting and stopping
 * the queues behind it.
 *
 * NAPI runs as long as the backend is connected, whether the interface is up
 * or not: down means that received packets are discarded, the ring runs dry,
 * and what was sent is still reaped.
 */
#include "netfront.h"

#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/if_vlan.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>

#include <pvhvm/unplug.h>

/* What a backend may let us do. */
#define OFFLOADS	(NETIF_F_SG | NETIF_F_IP_CSUM | NETIF_F_IPV6_CSUM | \
			 NETIF_F_TSO | NETIF_F_TSO6)
/* What it may do for us, if asked. */
#define WISHES		NETIF_F_RXHASH

/* ---- operations; under RTNL where not said otherwise ---- */

void netf_receive_start(struct netf_dev *nd)
{
	unsigned int i;

	for (i = 0; i < nd->nr_queues; i++) {
		/* No packet passes a program that has come meanwhile. */
		WRITE_ONCE(nd->queue[i].rx.active, nd->conn_xdp ||
			   !rcu_access_pointer(nd->xdp_prog));
		/* The first poll fills the ring. */
		local_bh_disable();
		napi_schedule(&nd->queue[i].napi);
		local_bh_enable();
	}
}

void netf_receive_stop(struct netf_dev *nd)
{
	unsigned int i;

	for (i = 0; i < nd->nr_queues; i++)
		WRITE_ONCE(nd->queue[i].rx.active, false);
	/*
	 * A poll has BH off, in whatever thread, and that is an RCU reader.
	 * NAPI itself may be busy for long: as long as a suspend lasts, or for
	 * ever when a thread polls.
	 */
	synchronize_net();
}

static void netdev_start(struct netf_dev *nd)
{
	netf_receive_start(nd);
	/* Woken, not just started: what waits in a qdisc goes out now. */
	netif_tx_wake_all_queues(nd->netdev);
}

static int netf_open(struct net_device *dev)
{
	struct netf_dev *nd = netdev_priv(dev);

	if (nd->live)
		netdev_start(nd);
	return 0;
}

static int netf_stop(struct net_device *dev)
{
	struct netf_dev *nd = netdev_priv(dev);

	netif_tx_stop_all_queues(dev);
	if (nd->live)
		netf_receive_stop(nd);
	return 0;
}

static netdev_features_t netf_fix_features(struct net_device *dev,
					   netdev_features_t features)
{
	const struct netf_features *feat = &((struct netf_dev *)
					     netdev_priv(dev))->feat;

	if (!feat->sg)
		features &= ~NETIF_F_SG;
	if (!feat->csum_ipv4)
		features &= ~NETIF_F_IP_CSUM;
	if (!feat->csum_ipv6)
		features &= ~NETIF_F_IPV6_CSUM;
	if (!feat->gso_tcpv4)
		features &= ~NETIF_F_TSO;
	if (!feat->gso_tcpv6)
		features &= ~NETIF_F_TSO6;
	if (!feat->ctrl)
		features &= ~NETIF_F_RXHASH;
	return features;
}

static int netf_set_features(struct net_device *dev,
			     netdev_features_t features)
{
	struct netf_dev *nd = netdev_priv(dev);

	/* Without a connection the next one is told. */
	if (!nd->live || !((features ^ dev->features) & NETIF_F_RXHASH))
		return 0;
	return netf_rss_apply(nd, features & NETIF_F_RXHASH);
}

static int netf_change_mtu(struct net_device *dev, int mtu)
{
	const struct netf_dev *nd = netdev_priv(dev);

	if (rcu_access_pointer(nd->xdp_prog) &&
	    mtu > (int)netf_xdp_max_mtu())
		return -EINVAL;
	WRITE_ONCE(dev->mtu, mtu);
	return 0;
}

/* Context: timer. A lost event would show here; look for ourselves. */
static void netf_tx_timeout(struct net_device *dev, unsigned int txqueue)
{
	struct netf_dev *nd = netdev_priv(dev);

	if (!READ_ONCE(nd->live) || txqueue >= nd->nr_queues)
		return;
	if (net_ratelimit())
		netdev_warn(dev, "queue %u: the backend does not answer\n",
			    txqueue);
	pvhvm_evtchn_notify(&nd->queue[txqueue].tx.chan);
	napi_schedule(&nd->queue[txqueue].napi);
}

/* Context: BH off, under the address lock. */
static void netf_set_rx_mode(struct net_device *dev)
{
	netf_mcast_update(netdev_priv(dev));
}

/* Context: as ndo_start_xmit. Forwarded, GRO's packets can be too long. */
static netdev_features_t netf_features_check(struct sk_buff *skb,
					     struct net_device *dev,
					     netdev_features_t features)
{
	if (unlikely(skb->len > XEN_NETIF_MAX_TX_SIZE))
		features &= ~NETIF_F_GSO_MASK;
	return vlan_features_check(skb, features);
}

static const struct net_device_ops netf_netdev_ops = {
	.ndo_open = netf_open,
	.ndo_stop = netf_stop,
	.ndo_start_xmit = netf_start_xmit,
	.ndo_tx_timeout = netf_tx_timeout,
	.ndo_get_stats64 = netf_get_stats64,
	.ndo_features_check = netf_features_check,
	.ndo_fix_features = netf_fix_features,
	.ndo_set_features = netf_set_features,
	.ndo_change_mtu = netf_change_mtu,
	.ndo_set_rx_mode = netf_set_rx_mode,
	.ndo_bpf = netf_bpf,
	.ndo_xdp_xmit = netf_xdp_xmit,
	.ndo_set_mac_address = eth_mac_addr,
	.ndo_validate_addr = eth_validate_addr,
};

/* ---- existence ---- */

struct netf_dev *netf_netdev_alloc(struct pvhvm_device *pdev)
{
	unsigned int max = netf_max_queues(), i;
	struct net_device *dev;
	struct netf_dev *nd;

	dev = alloc_etherdev_mqs(sizeof(*nd), max, max);
	if (!dev)
		return NULL;
	nd = netdev_priv(dev);
	nd->netdev = dev;
	nd->pdev = pdev;
	nd->max_queues = max;
	nd->want_queues = max;
	nd->rx_frames = 1;
	nd->tx_frames = NETF_TX_SIZE;
	nd->queue = kvcalloc(max, sizeof(*nd->queue), GFP_KERNEL);
	nd->stats = kvcalloc(max, sizeof(*nd->stats), GFP_KERNEL);
	if (!nd->queue || !nd->stats) {
		netf_netdev_free(nd);
		return NULL;
	}
	for (i = 0; i < max; i++) {
		nd->queue[i].nd = nd;
		nd->queue[i].index = i;
		nd->queue[i].stats = &nd->stats[i];
		u64_stats_init(&nd->stats[i].xmit_sync);
		u64_stats_init(&nd->stats[i].napi_sync);
	}

	/* The name eth0 belongs to the emulated twin for as long as it lives. */
	if (pvhvm_unplug_emulated(PVHVM_CLASS_NIC))
		strscpy(dev->name, "pv%d", sizeof(dev->name));
	SET_NETDEV_DEV(dev, &pdev->dev);
	dev->netdev_ops = &netf_netdev_ops;
	dev->ethtool_ops = &netf_ethtool_ops;
	/* it takes over the emulated card's name while traffic runs */
	dev->priv_flags |= IFF_LIVE_RENAME_OK;
	/* tx_plan() may change a packet: it must not be somebody else's, too */
	dev->priv_flags &= ~IFF_TX_SKB_SHARING;
	dev->hw_features = OFFLOADS | WISHES;
	dev->features = OFFLOADS | NETIF_F_RXCSUM | NETIF_F_HIGHDMA |
		NETIF_F_GSO_ROBUST;
	pvhvm_xdp_features(dev);
	netf_rss_init(nd);
	dev->min_mtu = ETH_MIN_MTU;
	dev->max_mtu = XEN_NETIF_MAX_TX_SIZE - ETH_HLEN;
	netif_carrier_off(dev);
	return nd;
}

void netf_netdev_free(struct netf_dev *nd)
{
	if (!nd)
		return;
	kvfree(nd->queue);
	kvfree(nd->stats);
	free_netdev(nd->netdev);
}

/* ---- coming alive and dying ---- */

static void netdev_set_xps(struct netf_dev *nd)
{
	unsigned int i, n, cpu;
	cpumask_var_t mask;

	if (nd->nr_queues < 2 || !zalloc_cpumask_var(&mask, GFP_KERNEL))
		return;
	/* CPUs take turns, as queue_channels() gives them out. */
	for (i = 0; i < nd->nr_queues; i++) {
		cpumask_clear(mask);
		n = 0;
		for_each_online_cpu(cpu)
			if (n++ % nd->nr_queues == i)
				cpumask_set_cpu(cpu, mask);
		netif_set_xps_queue(nd->netdev, mask, i);
	}
	free_cpumask_var(mask);
}

static int netdev_adapt(struct netf_dev *nd)
{
	struct net_device *dev = nd->netdev;
	int err;

	err = netif_set_real_num_tx_queues(dev, nd->nr_queues);
	if (!err)
		err = netif_set_real_num_rx_queues(dev, nd->nr_queues);
	if (err)
		return err;
	netdev_set_xps(nd);

	dev->max_mtu = nd->feat.sg ? XEN_NETIF_MAX_TX_SIZE - ETH_HLEN :
		ETH_DATA_LEN;
	if (dev->mtu > dev->max_mtu) {
		netdev_warn(dev, "the backend takes no more than %u bytes\n",
			    dev->max_mtu);
		err = dev_set_mtu(dev, dev->max_mtu);
	}
	netdev_update_features(dev);
	return err;
}

void netf_carrier_up(struct netf_dev *nd)
{
	netif_carrier_on(nd->netdev);
	/*
	 * netf_breach() first says that it is broken, then takes the carrier:
	 * it found none if it did before we were here. Both changes are atomic
	 * and ordered, so one of us sees the other.
	 */
	if (READ_ONCE(nd->broken))
		netif_carrier_off(nd->netdev);
}

int netf_netdev_live(struct netf_dev *nd)
{
	struct net_device *dev = nd->netdev;
	unsigned int i;
	int err;

	rtnl_lock();
	err = netdev_adapt(nd);
	if (err)
		goto out_unlock;
	for (i = 0; i < nd->nr_queues; i++) {
		netdev_tx_reset_queue(nd->queue[i].tx.txq);
		napi_enable(&nd->queue[i].napi);
	}
	WRITE_ONCE(nd->live, true);
	if ((dev->features & NETIF_F_RXHASH) && netf_rss_apply(nd, true))
		netdev_warn(dev, "the backend does not hash\n");
	if (netif_running(dev))
		netdev_start(nd);
	if (nd->feat.carrier)
		netf_carrier_up(nd);
out_unlock:
	rtnl_unlock();
	return err;
}

void netf_netdev_pause(struct netf_dev *nd)
{
	unsigned int i;

	rtnl_lock();
	if (nd->live && !nd->paused) {
		netif_device_detach(nd->netdev);
		for (i = 0; i < nd->nr_queues; i++)
			napi_disable(&nd->queue[i].napi);
		/* Senders that were on their way. */
		netif_tx_disable(nd->netdev);
		WRITE_ONCE(nd->paused, true);
		/* Those who redirect frames to us, past the check of it. */
		synchronize_net();
	}
	rtnl_unlock();
}

void netf_netdev_unpause(struct netf_dev *nd)
{
	unsigned int i;

	rtnl_lock();
	if (nd->paused) {
		WRITE_ONCE(nd->paused, false);
		for (i = 0; i < nd->nr_queues; i++)
			napi_enable(&nd->queue[i].napi);
		netif_device_attach(nd->netdev);
		/* Events of the pause have found NAPI busy: look once. */
		local_bh_disable();
		for (i = 0; i < nd->nr_queues; i++)
			napi_schedule(&nd->queue[i].napi);
		local_bh_enable();
	}
	rtnl_unlock();
}

void netf_netdev_dead(struct netf_dev *nd)
{
	struct net_device *dev = nd->netdev;
	unsigned int i;

	rtnl_lock();
	if (nd->live) {
		netif_carrier_off(dev);
		WRITE_ONCE(nd->live, false);
		/* NAPI first: it is who wakes senders. */
		for (i = 0; i < nd->nr_queues; i++) {
			if (!nd->paused)
				napi_disable(&nd->queue[i].napi);
			u64_stats_inc(&nd->stats[i].tx_stop_down);
		}
		netif_tx_disable(dev);
		/* Senders past the check of nd->live. */
		synchronize_net();
	}
	if (nd->paused) {
		nd->paused = false;
		/* Without a carrier, and senders find us not live. */
		netif_device_attach(dev);
	}
	rtnl_unlock();
}
