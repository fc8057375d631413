// SPDX-License-Identifier: GPL-2.0-only
/*
 * ethtool.c: what ethtool shows and sets. All of it under RTNL.
 */
#include "netfront.h"

#include <linux/ethtool.h>

/* Gauges behind each queue's counters, read from the queue as it is. */
enum {
	GAUGE_TX_GRANTS,
	GAUGE_RX_GRANTS,
	GAUGE_TX_IN_FLIGHT,
	GAUGE_RX_POSTED,
	GAUGE_TX_STOPPED,
	GAUGES
};

static const char *const gauge_name[GAUGES] = {
	[GAUGE_TX_GRANTS] = "tx_grants_used",
	[GAUGE_RX_GRANTS] = "rx_grants_used",
	[GAUGE_TX_IN_FLIGHT] = "tx_in_flight",
	[GAUGE_RX_POSTED] = "rx_posted",
	[GAUGE_TX_STOPPED] = "tx_stopped",
};

/* Why a queue takes no packets, the values of tx_stopped. */
enum { STOPPED_NOT, STOPPED_RING_FULL, STOPPED_BQL, STOPPED_DOWN };

static unsigned int gauge_stopped(const struct netf_queue *q)
{
	if (!netif_running(q->nd->netdev) || q->nd->broken)
		return STOPPED_DOWN;
	if (netif_tx_queue_stopped(q->tx.txq))
		return STOPPED_RING_FULL;
	return netif_xmit_stopped(q->tx.txq) ? STOPPED_BQL : STOPPED_NOT;
}

static void gauge_values(const struct netf_queue *q, u64 *value)
{
	unsigned int i;

	memset(value, 0, GAUGES * sizeof(*value));
	if (!q->nd->live || q->index >= q->nd->nr_queues) {
		value[GAUGE_TX_STOPPED] = STOPPED_DOWN;
		return;
	}
	for (i = 0; i < NETF_TX_SIZE; i++)
		value[GAUGE_TX_GRANTS] += READ_ONCE(q->tx.slot[i].page) ||
			READ_ONCE(q->tx.slot[i].bounce);
	for (i = 0; i < NETF_CELL_PAGES; i++)
		value[GAUGE_TX_GRANTS] += !!q->tx.cell_ref[i];
	for (i = 0; i < NETF_RX_SIZE; i++)
		value[GAUGE_RX_GRANTS] += !!READ_ONCE(q->rx.slot[i].page);
	value[GAUGE_TX_IN_FLIGHT] = READ_ONCE(q->tx.prod) -
		READ_ONCE(q->tx.cons);
	value[GAUGE_RX_POSTED] = READ_ONCE(q->rx.prod) - READ_ONCE(q->rx.cons);
	value[GAUGE_TX_STOPPED] = gauge_stopped(q);
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

/* The queues are the connection's: another number takes another one. */
static int netf_set_channels(struct net_device *dev,
			     struct ethtool_channels *ch)
{
	struct netf_dev *nd = netdev_priv(dev);

	if (!ch->combined_count || ch->rx_count || ch->tx_count ||
	    ch->other_count || ch->combined_count > num_online_cpus())
		return -EINVAL;
	WRITE_ONCE(nd->want_queues, ch->combined_count);
	netf_renegotiate(nd);
	return 0;
}

static int netf_get_coalesce(struct net_device *dev,
			     struct ethtool_coalesce *coal,
			     struct kernel_ethtool_coalesce *kernel_coal,
			     struct netlink_ext_ack *extack)
{
	const struct netf_dev *nd = netdev_priv(dev);

	coal->rx_max_coalesced_frames = nd->rx_frames;
	coal->rx_coalesce_usecs = nd->rx_usecs;
	coal->tx_max_coalesced_frames = nd->tx_frames;
	return 0;
}

/*
 * Frames are ring slots here, and the thresholds are what the rings have for
 * it: rsp_event. The next poll uses the new ones.
 */
static int netf_set_coalesce(struct net_device *dev,
			     struct ethtool_coalesce *coal,
			     struct kernel_ethtool_coalesce *kernel_coal,
			     struct netlink_ext_ack *extack)
{
	struct netf_dev *nd = netdev_priv(dev);
	u32 frames = coal->rx_max_coalesced_frames;

	if (!frames || frames > NETF_RX_FRAMES_MAX ||
	    coal->rx_coalesce_usecs > NETF_RX_USECS_MAX ||
	    !coal->tx_max_coalesced_frames ||
	    coal->tx_max_coalesced_frames > NETF_TX_SIZE)
		return -ERANGE;
	/* Without a timer the last packets would wait for ever. */
	if (frames > 1 && !coal->rx_coalesce_usecs)
		return -EINVAL;
	WRITE_ONCE(nd->rx_frames, frames);
	WRITE_ONCE(nd->rx_usecs, coal->rx_coalesce_usecs);
	WRITE_ONCE(nd->tx_frames, coal->tx_max_coalesced_frames);
	return 0;
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
		gauge_values(&nd->queue[n], data);
		data += GAUGES;
	}
}

PVHVM_ETHTOOL_RXFH(netf_get_rxfh, netf_set_rxfh);
PVHVM_ETHTOOL_RINGPARAM(netf_get_ringparam);
PVHVM_ETHTOOL_COALESCE(netf_get_coalesce);
PVHVM_ETHTOOL_COALESCE(netf_set_coalesce);

const struct ethtool_ops netf_ethtool_ops = {
	.supported_coalesce_params = ETHTOOL_COALESCE_RX_USECS |
		ETHTOOL_COALESCE_MAX_FRAMES,
	.get_drvinfo = netf_get_drvinfo,
	.get_link = ethtool_op_get_link,
	.get_link_ksettings = netf_get_link_ksettings,
	.get_ts_info = ethtool_op_get_ts_info,
	.get_channels = netf_get_channels,
	.set_channels = netf_set_channels,
	.get_coalesce = PVHVM_ETHTOOL_COALESCE_FN(netf_get_coalesce),
	.set_coalesce = PVHVM_ETHTOOL_COALESCE_FN(netf_set_coalesce),
	.get_ringparam = PVHVM_ETHTOOL_RINGPARAM_FN(netf_get_ringparam),
	.get_rxnfc = netf_get_rxnfc,
	.get_rxfh_indir_size = netf_get_rxfh_size,
	.get_rxfh_key_size = netf_get_rxfh_key_size,
	.get_rxfh = PVHVM_ETHTOOL_RXFH_FN(netf_get_rxfh),
	.set_rxfh = PVHVM_ETHTOOL_RXFH_FN(netf_set_rxfh),
	.get_sset_count = netf_get_sset_count,
	.get_strings = netf_get_strings,
	.get_ethtool_stats = netf_get_ethtool_stats,
};
