// SPDX-License-Identifier: GPL-2.0-only
/*
 * stats.c: the counters' one table, and the sums the stack asks for.
 */
#include "netfront.h"

#include <linux/stddef.h>

struct stat_entry {
	const char *name;
	size_t offset;
};

#define STAT(field)	{ #field, offsetof(struct netf_qstats, field) }

static const struct stat_entry stat_table[] = {
	STAT(tx_packets),
	STAT(tx_bytes),
	STAT(tx_slots),
	STAT(tx_copied),
	STAT(tx_gso),
	STAT(tx_linearized),
	STAT(tx_doorbells),
	STAT(tx_doorbells_saved),
	STAT(tx_events),
	STAT(tx_stop_ring_full),
	STAT(tx_stop_down),
	STAT(tx_wakes),
	STAT(tx_failed),
	STAT(tx_xdp),
	STAT(tx_xdp_full),
	STAT(tx_drop_down),
	STAT(tx_drop_too_long),
	STAT(tx_drop_no_memory),
	STAT(rx_packets),
	STAT(rx_bytes),
	STAT(rx_slots),
	STAT(rx_copied),
	STAT(rx_gso),
	STAT(rx_csum_fixed),
	STAT(rx_doorbells),
	STAT(rx_doorbells_saved),
	STAT(rx_events),
	STAT(rx_refill_failed),
	STAT(rx_drop_backend),
	STAT(rx_drop_malformed),
	STAT(rx_drop_too_long),
	STAT(rx_drop_no_memory),
	STAT(rx_drop_down),
	STAT(rx_xdp_pass),
	STAT(rx_xdp_drop),
	STAT(rx_xdp_tx),
	STAT(rx_xdp_redirect),
	STAT(rx_xdp_aborted),
	STAT(rx_xdp_copied),
	STAT(rx_xdp_unfit),
	STAT(polls),
	STAT(breaches),
};

unsigned int netf_stats_count(void)
{
	return ARRAY_SIZE(stat_table);
}

const char *netf_stats_name(unsigned int i)
{
	return stat_table[i].name;
}

u64 netf_stats_value(const struct netf_qstats *stats, unsigned int i)
{
	return u64_stats_read((const u64_stats_t *)
			      ((const char *)stats + stat_table[i].offset));
}

static void stats_add_xmit(const struct netf_qstats *st,
			   struct rtnl_link_stats64 *sum)
{
	u64 packets, bytes, dropped;
	unsigned int start;

	do {
		start = u64_stats_fetch_begin(&st->xmit_sync);
		packets = u64_stats_read(&st->tx_packets);
		bytes = u64_stats_read(&st->tx_bytes);
		dropped = u64_stats_read(&st->tx_drop_down) +
			  u64_stats_read(&st->tx_drop_too_long) +
			  u64_stats_read(&st->tx_drop_no_memory) +
			  u64_stats_read(&st->tx_xdp_full);
	} while (u64_stats_fetch_retry(&st->xmit_sync, start));

	sum->tx_packets += packets;
	sum->tx_bytes += bytes;
	sum->tx_dropped += dropped;
}

static void stats_add_napi(const struct netf_qstats *st,
			   struct rtnl_link_stats64 *sum)
{
	u64 packets, bytes, dropped, errors, tx_errors;
	unsigned int start;

	do {
		start = u64_stats_fetch_begin(&st->napi_sync);
		packets = u64_stats_read(&st->rx_packets);
		bytes = u64_stats_read(&st->rx_bytes);
		dropped = u64_stats_read(&st->rx_drop_no_memory) +
			  u64_stats_read(&st->rx_drop_too_long) +
			  u64_stats_read(&st->rx_xdp_unfit);
		errors = u64_stats_read(&st->rx_drop_backend) +
			 u64_stats_read(&st->rx_drop_malformed);
		tx_errors = u64_stats_read(&st->tx_failed);
	} while (u64_stats_fetch_retry(&st->napi_sync, start));

	sum->rx_packets += packets;
	sum->rx_bytes += bytes;
	sum->rx_dropped += dropped;
	sum->rx_errors += errors;
	sum->tx_errors += tx_errors;
}

void netf_get_stats64(struct net_device *dev, struct rtnl_link_stats64 *sum)
{
	struct netf_dev *nd = netdev_priv(dev);
	unsigned int i;

	for (i = 0; i < nd->max_queues; i++) {
		stats_add_xmit(&nd->stats[i], sum);
		stats_add_napi(&nd->stats[i], sum);
	}
}
