// SPDX-License-Identifier: GPL-2.0-only
/* Does mac_pton() have its home in <linux/hex.h>? In <linux/kernel.h> before. */
#include <linux/hex.h>

bool probe(const char *s, u8 *mac);
bool probe(const char *s, u8 *mac)
{
	return mac_pton(s, mac);
}
