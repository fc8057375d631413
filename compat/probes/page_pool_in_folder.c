// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is the page pool's header <net/page_pool/helpers.h>? Since a9ca9f9ceff3
 * ("page_pool: split types and declarations from page_pool.h", 6.6).
 */
#if !__has_include(<net/page_pool/helpers.h>)
#error no
#endif
