/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * netif_napi_add() once took a weight. An interface that is up could once be
 * renamed only with its driver's consent; now always, and the flag is gone.
 */
#ifndef PVHVM_COMPAT_LINUX_NETDEVICE_H
#define PVHVM_COMPAT_LINUX_NETDEVICE_H

#include_next <linux/netdevice.h>
#include "../config.h"

#ifndef HAVE_NAPI_ADD_NO_WEIGHT
#define netif_napi_add(dev, napi, poll) \
	(netif_napi_add)(dev, napi, poll, NAPI_POLL_WEIGHT)
#endif

#ifndef IFF_LIVE_RENAME_OK
#define IFF_LIVE_RENAME_OK	0
#endif

#endif
