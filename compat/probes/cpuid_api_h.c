// SPDX-License-Identifier: GPL-2.0-only
/*
 * Has cpuid() a header of its own? Since 6.16, and since 6.18 no other
 * includes it for us.
 */
#if !__has_include(<asm/cpuid/api.h>)
#error no
#endif
