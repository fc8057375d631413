// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does xdp_rxq_info_reg() take a NAPI id? Since b02e5a0ebb17 ("xsk: Propagate
 * napi_id to XDP socket Rx path", 5.11).
 */
#include <net/xdp.h>

int pvhvm_probe(struct xdp_rxq_info *rxq, struct net_device *dev)
{
	return xdp_rxq_info_reg(rxq, dev, 0, 0);
}
