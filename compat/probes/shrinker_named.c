// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does register_shrinker() want a name? Since e33c267ab70d ("mm: shrinkers:
 * provide shrinkers with names", 6.0).
 */
#include <linux/shrinker.h>

int pvhvm_probe(struct shrinker *s);
int pvhvm_probe(struct shrinker *s)
{
	return register_shrinker(s, "probe");
}
