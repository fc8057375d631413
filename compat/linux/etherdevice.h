/* SPDX-License-Identifier: GPL-2.0-only */
/* eth_hw_addr_set() was once a copy by hand. */
#ifndef PVHVM_COMPAT_LINUX_ETHERDEVICE_H
#define PVHVM_COMPAT_LINUX_ETHERDEVICE_H

#include_next <linux/etherdevice.h>
#include "../config.h"

#ifndef HAVE_ETH_HW_ADDR_SET
static inline void eth_hw_addr_set(struct net_device *dev, const u8 *addr)
{
	ether_addr_copy(dev->dev_addr, addr);
}
#endif

#endif
