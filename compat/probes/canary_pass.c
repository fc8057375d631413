// SPDX-License-Identifier: GPL-2.0-only
/* Canary: must compile on every kernel. */
#include <linux/kernel.h>

int pvhvm_probe(void);
int pvhvm_probe(void)
{
	return BITS_PER_LONG;
}
