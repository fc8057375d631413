// SPDX-License-Identifier: GPL-2.0-only
/*
 * Can an XDP frame have fragments? Since 2e88d4ff0301 ("xdp: introduce
 * flags field in xdp_buff/xdp_frame", 5.18).
 */
#include <net/xdp.h>

bool pvhvm_probe(struct xdp_frame *frame)
{
	return xdp_frame_has_frags(frame);
}
