/* SPDX-License-Identifier: GPL-2.0-only */
/* netif_napi_add() once took a weight. */
#ifndef PVHVM_COMPAT_LINUX_NETDEVICE_H
#define PVHVM_COMPAT_LINUX_NETDEVICE_H

#include_next <linux/netdevice.h>
#include "../config.h"

#ifndef HAVE_NAPI_ADD_NO_WEIGHT
#define netif_napi_add(dev, napi, poll) \
	(netif_napi_add)(dev, napi, poll, NAPI_POLL_WEIGHT)
#endif

#endif
