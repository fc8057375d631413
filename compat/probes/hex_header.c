// SPDX-License-Identifier: GPL-2.0-only
/* Does mac_pton() have its home in <linux/hex.h>? In <linux/kernel.h> before. */
#if !__has_include(<linux/hex.h>)
#error no
#endif
