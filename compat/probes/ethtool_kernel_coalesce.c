// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does get_coalesce have four arguments? Since f3ccfda19319 ("ethtool: extend
 * coalesce setting uAPI with CQE mode", 5.15).
 */
#include <linux/ethtool.h>

int pvhvm_probe(const struct ethtool_ops *ops, struct net_device *dev,
	   struct ethtool_coalesce *c)
{
	return ops->get_coalesce(dev, c, NULL, NULL);
}
