// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does a page pool want to know its net_device? Since 083772c9f972 ("net:
 * page_pool: record pools per netdev", 6.8).
 */
#if __has_include(<net/page_pool/helpers.h>)
#include <net/page_pool/helpers.h>
#else
#include <net/page_pool.h>
#endif

void *pvhvm_probe(struct page_pool_params *params)
{
	return params->netdev;
}
