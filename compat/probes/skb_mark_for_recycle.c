// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does a freed skb give its pages back to their page pool? Since 6a5bcd84e886
 * ("page_pool: Allow drivers to hint on SKB recycling", 5.14), with this
 * signature since 5.15.
 */
#include <linux/skbuff.h>

void pvhvm_probe(struct sk_buff *skb)
{
	skb_mark_for_recycle(skb);
}
