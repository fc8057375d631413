// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does a net_device say what it can do for XDP? Since d3d854fd6a1d ("netdev-
 * genl: create a simple family for netdev stuff", 6.3).
 */
#include <linux/netdevice.h>

void pvhvm_probe(struct net_device *dev)
{
	dev->xdp_features = NETDEV_XDP_ACT_BASIC;
}
