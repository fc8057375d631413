/* SPDX-License-Identifier: GPL-2.0-only */
/* Tells how a symbol namespace is written, see include/pvhvm/export.h. */
#ifndef PVHVM_COMPAT_LINUX_MODULE_H
#define PVHVM_COMPAT_LINUX_MODULE_H

#include_next <linux/module.h>
#include "../config.h"

#ifndef HAVE_IMPORT_NS_TOKEN
#define PVHVM_NS_IS_STRING
#endif

#endif
