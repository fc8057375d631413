// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is there xdp_init_buff(), and with it xdp_prepare_buff()? Since 43b5169d8355
 * ("net, xdp: Introduce xdp_init_buff utility routine", 5.12).
 */
#include <net/xdp.h>

void pvhvm_probe(struct xdp_buff *xdp, struct xdp_rxq_info *rxq)
{
	xdp_init_buff(xdp, 4096, rxq);
}
