// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does a page pool want to know its NAPI, to recycle without a lock? Since
 * 8c48eea3adf3 ("page_pool: allow caching from safely localized NAPI", 6.4).
 */
#if __has_include(<net/page_pool/helpers.h>)
#include <net/page_pool/helpers.h>
#else
#include <net/page_pool.h>
#endif

void *pvhvm_probe(struct page_pool_params *params)
{
	return params->napi;
}
