/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * stats.h: a queue's counters; their names, for ethtool -S, are in stats.c.
 */
#ifndef PVHVM_NETFRONT_STATS_H
#define PVHVM_NETFRONT_STATS_H

#include <linux/cache.h>
#include <linux/u64_stats_sync.h>

/**
 * struct netf_qstats - one queue's counters
 *
 * They outlive the queue: counts go on after a reconnect. Two writers, two
 * blocks: the first changes under the transmit lock, the second in NAPI,
 * the two *_events in their interrupt handlers. The names, for ethtool -S,
 * are in stats.c.
 */
struct netf_qstats {
	struct u64_stats_sync xmit_sync;
	u64_stats_t tx_packets;
	u64_stats_t tx_bytes;
	u64_stats_t tx_slots;
	u64_stats_t tx_copied;
	u64_stats_t tx_gso;
	u64_stats_t tx_linearized;
	u64_stats_t tx_doorbells;
	u64_stats_t tx_doorbells_saved;
	u64_stats_t tx_stop_ring_full;
	u64_stats_t tx_stop_down;
	u64_stats_t tx_xdp;
	u64_stats_t tx_xdp_full;
	u64_stats_t tx_drop_down;
	u64_stats_t tx_drop_too_long;
	u64_stats_t tx_drop_no_memory;

	struct u64_stats_sync napi_sync ____cacheline_aligned_in_smp;
	u64_stats_t rx_packets;
	u64_stats_t rx_bytes;
	u64_stats_t rx_slots;
	u64_stats_t rx_copied;
	u64_stats_t rx_gso;
	u64_stats_t rx_csum_fixed;
	u64_stats_t rx_doorbells;
	u64_stats_t rx_doorbells_saved;
	u64_stats_t rx_refill_failed;
	u64_stats_t rx_drop_backend;
	u64_stats_t rx_drop_malformed;
	u64_stats_t rx_drop_too_long;
	u64_stats_t rx_drop_no_memory;
	u64_stats_t rx_drop_down;
	u64_stats_t rx_xdp_pass;
	u64_stats_t rx_xdp_drop;
	u64_stats_t rx_xdp_tx;
	u64_stats_t rx_xdp_redirect;
	u64_stats_t rx_xdp_aborted;
	u64_stats_t rx_xdp_copied;
	u64_stats_t rx_xdp_unfit;
	u64_stats_t tx_failed;
	u64_stats_t tx_wakes;
	u64_stats_t polls;
	u64_stats_t breaches;

	u64_stats_t tx_events ____cacheline_aligned_in_smp;
	u64_stats_t rx_events;
};

/* The counters' names and values, in the same order. Context: any. */
unsigned int netf_stats_count(void);
const char *netf_stats_name(unsigned int i);
u64 netf_stats_value(const struct netf_qstats *stats, unsigned int i);

#endif /* PVHVM_NETFRONT_STATS_H */
