// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does get_ringparam have four arguments? Since 74624944462f ("ethtool: extend
 * ringparam setting/getting API with rx_buf_len", 5.17).
 */
#include <linux/ethtool.h>

void pvhvm_probe(const struct ethtool_ops *ops, struct net_device *dev,
	   struct ethtool_ringparam *ring)
{
	ops->get_ringparam(dev, ring, NULL, NULL);
}
