/* SPDX-License-Identifier: GPL-2.0-only */
/* mac_pton() was once declared in <linux/kernel.h>. */
#ifndef PVHVM_COMPAT_LINUX_HEX_H
#define PVHVM_COMPAT_LINUX_HEX_H

#include "../config.h"

#ifdef HAVE_HEX_HEADER
#include_next <linux/hex.h>
#else
#include <linux/kernel.h>
#endif

#endif
