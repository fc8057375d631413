/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page pools: where their header is, who owns one, and how a page leaves it
 * for an skb.
 */
#ifndef PVHVM_COMPAT_NET_PAGE_POOL_HELPERS_H
#define PVHVM_COMPAT_NET_PAGE_POOL_HELPERS_H

#include "../../config.h"

#ifdef HAVE_PAGE_POOL_IN_FOLDER
#include_next <net/page_pool/helpers.h>
#else
#include <net/page_pool.h>
#endif
#include <linux/skbuff.h>

#if defined(HAVE_PAGE_POOL_PARAMS_NETDEV)
#define PVHVM_PAGE_POOL_OWNER(params, dev, napi_)	\
	((params).netdev = (dev), (params).napi = (napi_))
#elif defined(HAVE_PAGE_POOL_PARAMS_NAPI)
#define PVHVM_PAGE_POOL_OWNER(params, dev, napi_)	\
	((params).napi = (napi_))
#else
#define PVHVM_PAGE_POOL_OWNER(params, dev, napi_) do { } while (0)
#endif

/*
 * pvhvm_page_pool_handover() - before a page goes into an skb: with recycling
 * it comes back when the skb is freed; without, the pool forgets it here.
 */
static inline void pvhvm_page_pool_handover(struct page_pool *pool,
					    struct sk_buff *skb,
					    struct page *page)
{
#ifdef HAVE_SKB_MARK_FOR_RECYCLE
	skb_mark_for_recycle(skb);
#else
	page_pool_release_page(pool, page);
#endif
}

#endif
