// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does a page pool want to know its net_device? Since 083772c9f972 ("net:
 * page_pool: record pools per netdev", 6.8).
 */
#include <net/page_pool/helpers.h>

void *probe(struct page_pool_params *params);
void *probe(struct page_pool_params *params)
{
	return params->netdev;
}
