// SPDX-License-Identifier: GPL-2.0-only
/*
 * Has cpuid() a header of its own? Since 6.16, and since 6.18 no other
 * includes it for us.
 */
#include <asm/cpuid/api.h>

int leaf(void);

int leaf(void)
{
	return cpuid_eax(0);
}
