/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ethstats.h: a network card's own counters, those of `ethtool -S`.
 */
#ifndef PVHVM_ETHSTATS_H
#define PVHVM_ETHSTATS_H

#include <linux/ethtool.h>

struct ethstats {
	int count;
	char (*names)[ETH_GSTRING_LEN + 1];
	unsigned long long *values;
};

/**
 * ethstats_read() - ask the driver
 * @name: the interface
 *
 * In a moved root a file `ethtool-S` of lines "name: value", beside the
 * interface's others, plays the driver's part if it is there.
 * An interface without such counters has none: count is 0.
 */
void ethstats_read(struct ethstats *stats, const char *name);
void ethstats_free(struct ethstats *stats);

#endif
