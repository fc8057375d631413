// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is a device's address set by a helper? Since 48eab831ae8b ("net: create
 * netdev->dev_addr assignment helpers", 5.15).
 */
#include <linux/etherdevice.h>

void pvhvm_probe(struct net_device *dev, const u8 *addr)
{
	eth_hw_addr_set(dev, addr);
}
