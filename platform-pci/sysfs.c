// SPDX-License-Identifier: GPL-2.0-only
#include "platform.h"
int platform_sysfs_init(void) { return 0; }
void platform_sysfs_exit(void) { }
