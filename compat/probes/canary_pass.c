// SPDX-License-Identifier: GPL-2.0-only
/* Canary: must compile on every kernel. */
#include <linux/kernel.h>

int canary(void);
int canary(void)
{
	return BITS_PER_LONG;
}
