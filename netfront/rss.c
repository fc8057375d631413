// SPDX-License-Identifier: GPL-2.0-only
/*
 * rss.c: which queue the backend puts a packet on: Toeplitz hash, key and
 * table, told over the control ring (xen/io/netif.h).
 *
 * Off until asked for, by ethtool -X or -K rxhash on: unasked, a backend
 * spreads flows by a hash of its own and need not tell it with each packet,
 * which costs a slot.
 */
#include "netfront.h"

#include <linux/ethtool.h>
#include <linux/slab.h>

#define HASH_TYPES	(XEN_NETIF_CTRL_HASH_TYPE_IPV4 | \
			 XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP | \
			 XEN_NETIF_CTRL_HASH_TYPE_IPV6 | \
			 XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP)

void netf_rss_init(struct netf_dev *nd)
{
	netdev_rss_key_fill(nd->rss.key, sizeof(nd->rss.key));
}

/* ---- telling the backend ---- */

/* A table made for other queues, or by nobody: all alike. */
static void rss_check_map(struct netf_dev *nd)
{
	bool good = nd->rss.chosen;
	unsigned int i;

	for (i = 0; i < NETF_RSS_MAP; i++)
		good &= nd->rss.map[i] < nd->nr_queues;
	nd->rss.chosen = good;
	for (i = 0; i < NETF_RSS_MAP && !good; i++)
		nd->rss.map[i] = ethtool_rxfh_indir_default(i, nd->nr_queues);
}

static int rss_set_types(struct netf_dev *nd)
{
	u32 types;
	int err;

	err = netf_ctrl_request(nd, XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM,
				XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ, 0, 0,
				NULL);
	if (!err)
		err = netf_ctrl_request(nd, XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS,
					0, 0, 0, &types);
	if (!err)
		err = netf_ctrl_request(nd, XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS,
					types & HASH_TYPES, 0, 0, NULL);
	return err;
}

static int rss_set_key(struct netf_dev *nd)
{
	memcpy(nd->ctrl.page, nd->rss.key, NETF_RSS_KEY);
	return netf_ctrl_request(nd, XEN_NETIF_CTRL_TYPE_SET_HASH_KEY,
				 nd->ctrl.page_ref, NETF_RSS_KEY, 0, NULL);
}

static int rss_set_map(struct netf_dev *nd)
{
	u32 most;
	int err;

	err = netf_ctrl_request(nd, XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE,
				0, 0, 0, &most);
	if (!err && most < NETF_RSS_MAP)
		err = -EOPNOTSUPP;
	if (!err)
		err = netf_ctrl_request(nd,
					XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE,
					NETF_RSS_MAP, 0, 0, NULL);
	if (err)
		return err;
	BUILD_BUG_ON(sizeof(nd->rss.map) > PAGE_SIZE);
	memcpy(nd->ctrl.page, nd->rss.map, sizeof(nd->rss.map));
	return netf_ctrl_request(nd, XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING,
				 nd->ctrl.page_ref, NETF_RSS_MAP, 0, NULL);
}

int netf_rss_apply(struct netf_dev *nd, bool on)
{
	int err = 0;

	if (on) {
		rss_check_map(nd);
		err = rss_set_types(nd);
		if (!err)
			err = rss_set_key(nd);
		if (!err)
			err = rss_set_map(nd);
		if (!err)
			return 0;
	}
	/* Not half of it. */
	on = netf_ctrl_request(nd, XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM,
			       XEN_NETIF_CTRL_HASH_ALGORITHM_NONE, 0, 0, NULL);
	return err ?: on ? -EIO : 0;
}

/* ---- ethtool ---- */

int netf_get_rxnfc(struct net_device *dev, struct ethtool_rxnfc *info,
		   u32 *rules)
{
	if (info->cmd != ETHTOOL_GRXRINGS)
		return -EOPNOTSUPP;
	info->data = dev->real_num_rx_queues;
	return 0;
}

u32 netf_get_rxfh_size(struct net_device *dev)
{
	return NETF_RSS_MAP;
}

u32 netf_get_rxfh_key_size(struct net_device *dev)
{
	return NETF_RSS_KEY;
}

int netf_get_rxfh(struct net_device *dev, struct ethtool_rxfh_param *rxfh)
{
	struct netf_dev *nd = netdev_priv(dev);

	if (nd->live)
		rss_check_map(nd);
	if (rxfh->indir)
		memcpy(rxfh->indir, nd->rss.map, sizeof(nd->rss.map));
	if (rxfh->key)
		memcpy(rxfh->key, nd->rss.key, sizeof(nd->rss.key));
	rxfh->hfunc = dev->features & NETIF_F_RXHASH ? ETH_RSS_HASH_TOP :
		ETH_RSS_HASH_UNKNOWN;
	return 0;
}

static int rss_turn_on(struct netf_dev *nd)
{
	struct net_device *dev = nd->netdev;

	if (dev->features & NETIF_F_RXHASH)
		return netf_rss_apply(nd, true);
	dev->wanted_features |= NETIF_F_RXHASH;
	netdev_update_features(dev);
	if (dev->features & NETIF_F_RXHASH)
		return 0;
	dev->wanted_features &= ~NETIF_F_RXHASH;
	return -EOPNOTSUPP;
}

int netf_set_rxfh(struct net_device *dev, struct ethtool_rxfh_param *rxfh,
		  struct netlink_ext_ack *extack)
{
	struct netf_dev *nd = netdev_priv(dev);
	struct netf_rss *old;
	int err;

	if (!nd->live || !nd->feat.ctrl ||
	    (rxfh->hfunc != ETH_RSS_HASH_NO_CHANGE &&
	     rxfh->hfunc != ETH_RSS_HASH_TOP))
		return -EOPNOTSUPP;
	old = kmemdup(&nd->rss, sizeof(nd->rss), GFP_KERNEL);
	if (!old)
		return -ENOMEM;
	if (rxfh->key)
		memcpy(nd->rss.key, rxfh->key, sizeof(nd->rss.key));
	if (rxfh->indir) {
		memcpy(nd->rss.map, rxfh->indir, sizeof(nd->rss.map));
		nd->rss.chosen = true;
	}
	err = rss_turn_on(nd);
	if (err) {
		nd->rss = *old;
		/* what was in force is so again */
		if (dev->features & NETIF_F_RXHASH)
			netf_rss_apply(nd, true);
	}
	kfree(old);
	return err;
}
