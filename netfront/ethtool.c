// SPDX-License-Identifier: GPL-2.0-only
/*
 * ethtool.c: what ethtool shows. Setting things is for later.
 */
#include "netfront.h"

#include <linux/ethtool.h>

/* Gauges behind each queue's counters, read from the queue as it is. */
static const char *const gauge_name[] = { "tx_grants_used", "rx_grants_used" };

#define GAUGES	ARRAY_SIZE(gauge_name)

static void gauge_values(const struct netf_queue *q, u64 *value)
{
	unsigned int i;

	value[0] = 0;
	value[1] = 0;
	for (i = 0; q->tx.slot && i < NETF_TX_SIZE; i++)
		value[0] += !!READ_ONCE(q->tx.slot[i].page);
	for (i = 0; i < NETF_CELL_PAGES; i++)
		value[0] += !!q->tx.cell_ref[i];
	for (i = 0; q->rx.slot && i < NETF_RX_SIZE; i++)
		value[1] += !!READ_ONCE(q->rx.slot[i].page);
}

static void netf_get_drvinfo(struct net_device *dev,
			     struct ethtool_drvinfo *info)
{
	struct netf_dev *nd = netdev_priv(dev);

	strscpy(info->driver, KBUILD_MODNAME, sizeof(info->driver));
	strscpy(info->version, PVHVM_VERSION, sizeof(info->version));
	strscpy(info->bus_info, dev_name(&nd->pdev->dev),
		sizeof(info->bus_info));
}

/* The link is a bridge in another domain: no speed to speak of. */
static int netf_get_link_ksettings(struct net_device *dev,
				   struct ethtool_link_ksettings *cmd)
{
	cmd->base.speed = SPEED_UNKNOWN;
	cmd->base.duplex = DUPLEX_FULL;
	cmd->base.port = PORT_OTHER;
	cmd->base.autoneg = AUTONEG_DISABLE;
	return 0;
}

static void netf_get_channels(struct net_device *dev,
			      struct ethtool_channels *ch)
{
	struct netf_dev *nd = netdev_priv(dev);

	ch->max_combined = min(nd->max_queues, max(nd->feat.queues, 1u));
	ch->combined_count = nd->nr_queues;
}

static void netf_get_ringparam(struct net_device *dev,
			       struct ethtool_ringparam *ring,
			       struct kernel_ethtool_ringparam *kernel_ring,
			       struct netlink_ext_ack *extack)
{
	ring->rx_max_pending = NETF_RX_SIZE;
	ring->tx_max_pending = NETF_TX_SIZE;
	ring->rx_pending = NETF_RX_SIZE;
	ring->tx_pending = NETF_TX_SIZE;
}

static int netf_get_sset_count(struct net_device *dev, int set)
{
	struct netf_dev *nd = netdev_priv(dev);

	if (set != ETH_SS_STATS)
		return -EOPNOTSUPP;
	return nd->max_queues * (netf_stats_count() + GAUGES);
}

static void netf_get_strings(struct net_device *dev, u32 set, u8 *data)
{
	struct netf_dev *nd = netdev_priv(dev);
	unsigned int n, i;

	if (set != ETH_SS_STATS)
		return;
	for (n = 0; n < nd->max_queues; n++) {
		for (i = 0; i < netf_stats_count() + GAUGES; i++) {
			const char *name = i < netf_stats_count() ?
				netf_stats_name(i) :
				gauge_name[i - netf_stats_count()];

			snprintf(data, ETH_GSTRING_LEN, "q%u_%s", n, name);
			data += ETH_GSTRING_LEN;
		}
	}
}

static void netf_get_ethtool_stats(struct net_device *dev,
				   struct ethtool_stats *stats, u64 *data)
{
	struct netf_dev *nd = netdev_priv(dev);
	unsigned int n, i;

	for (n = 0; n < nd->max_queues; n++) {
		for (i = 0; i < netf_stats_count(); i++)
			*data++ = netf_stats_value(&nd->stats[n], i);
		/* Queues are live or not under RTNL, which is held here. */
		if (nd->live && n < nd->nr_queues)
			gauge_values(&nd->queue[n], data);
		else
			memset(data, 0, GAUGES * sizeof(*data));
		data += GAUGES;
	}
}

PVHVM_ETHTOOL_RINGPARAM(netf_get_ringparam);

const struct ethtool_ops netf_ethtool_ops = {
	.get_drvinfo = netf_get_drvinfo,
	.get_link = ethtool_op_get_link,
	.get_link_ksettings = netf_get_link_ksettings,
	.get_ts_info = ethtool_op_get_ts_info,
	.get_channels = netf_get_channels,
	.get_ringparam = PVHVM_ETHTOOL_RINGPARAM_FN(netf_get_ringparam),
	.get_sset_count = netf_get_sset_count,
	.get_strings = netf_get_strings,
	.get_ethtool_stats = netf_get_ethtool_stats,
};
