// SPDX-License-Identifier: GPL-2.0-only
/* Canary: must compile on no kernel. */
#include <linux/kernel.h>

int pvhvm_probe(void);
int pvhvm_probe(void)
{
	return pvhvm_no_kernel_has_this();
}
