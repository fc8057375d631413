/* SPDX-License-Identifier: GPL-2.0-only */
/* kstrtobool() and its like were once declared in <linux/kernel.h>. */
#ifndef PVHVM_COMPAT_LINUX_KSTRTOX_H
#define PVHVM_COMPAT_LINUX_KSTRTOX_H

#include "../config.h"

#ifdef HAVE_KSTRTOX_HEADER
#include_next <linux/kstrtox.h>
#else
#include <linux/kernel.h>
#endif

#endif
