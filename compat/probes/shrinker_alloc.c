// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does the kernel allocate shrinkers? Since c42d50aefd17 ("mm: shrinker: add
 * infrastructure for dynamically allocating shrinker", 6.7).
 */
#include <linux/shrinker.h>

struct shrinker *pvhvm_probe(void);
struct shrinker *pvhvm_probe(void)
{
	return shrinker_alloc(0, "probe");
}
