// SPDX-License-Identifier: GPL-2.0-only
/* Has kstrtobool() its home in <linux/kstrtox.h> (5.14, late 5.10)? In <linux/kernel.h> before. */
#if !__has_include(<linux/kstrtox.h>)
#error no
#endif
