// SPDX-License-Identifier: GPL-2.0-only
/* Canary: must compile on no kernel. */
#include <linux/kernel.h>

int canary(void);
int canary(void)
{
	return pvhvm_no_kernel_has_this();
}
