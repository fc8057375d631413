// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does netif_napi_add() do without a weight? Since b48b89f9c189 ("net: drop
 * the weight argument from netif_napi_add", 6.1).
 */
#include <linux/netdevice.h>

void pvhvm_probe(struct net_device *dev, struct napi_struct *napi,
	   int (*poll)(struct napi_struct *, int))
{
	netif_napi_add(dev, napi, poll);
}
