/* SPDX-License-Identifier: GPL-2.0-only */
/* What XDP buffers and their queues have learned. */
#ifndef PVHVM_COMPAT_NET_XDP_H
#define PVHVM_COMPAT_NET_XDP_H

#include_next <net/xdp.h>
#include <linux/netdevice.h>
#include "../config.h"

#ifndef HAVE_XDP_RXQ_NAPI_ID
#define xdp_rxq_info_reg(rxq, dev, index, napi_id)	\
	(xdp_rxq_info_reg)(rxq, dev, index)
#endif

#ifndef HAVE_XDP_INIT_BUFF
static inline void xdp_init_buff(struct xdp_buff *xdp, u32 size,
				 struct xdp_rxq_info *rxq)
{
	xdp->frame_sz = size;
	xdp->rxq = rxq;
}

static inline void xdp_prepare_buff(struct xdp_buff *xdp, unsigned char *start,
				    int headroom, int len, bool meta_valid)
{
	xdp->data_hard_start = start;
	xdp->data = start + headroom;
	xdp->data_end = xdp->data + len;
	xdp->data_meta = meta_valid ? xdp->data : xdp->data + 1;
}
#endif

#ifndef HAVE_XDP_FRAGS
static inline bool xdp_frame_has_frags(const struct xdp_frame *frame)
{
	return false;
}
#endif

/* pvhvm_xdp_features() - say what the driver can, where one can say so. */
#ifdef HAVE_XDP_FEATURES
static inline void pvhvm_xdp_features(struct net_device *dev)
{
	dev->xdp_features = NETDEV_XDP_ACT_BASIC | NETDEV_XDP_ACT_REDIRECT |
		NETDEV_XDP_ACT_NDO_XMIT;
}
#else
static inline void pvhvm_xdp_features(struct net_device *dev) { }
#endif

#endif
