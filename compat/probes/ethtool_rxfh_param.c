// SPDX-License-Identifier: GPL-2.0-only
/*
 * Do get_rxfh and set_rxfh take one structure? Since fb6e30a72539 ("net:
 * ethtool: pass a pointer to parameters to get/set_rxfh ethtool ops", 6.8).
 */
#include <linux/ethtool.h>

int pvhvm_probe(const struct ethtool_ops *ops, struct net_device *dev,
	   struct ethtool_rxfh_param *rxfh)
{
	return ops->get_rxfh(dev, rxfh);
}
