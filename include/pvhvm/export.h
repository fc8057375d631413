/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * export.h: how one module of the bundle offers a symbol to another.
 *
 * Every exported name starts with pvhvm_ and lives in the symbol namespace
 * PVHVM: kernels with CONFIG_XEN=y export xenbus_*, gnttab_* and bind_*
 * themselves, and a module whose export has an equal name does not load.
 */
#ifndef PVHVM_EXPORT_H
#define PVHVM_EXPORT_H

#include <linux/export.h>
#include <linux/module.h>
/* compat/linux/module.h tells whether the namespace is a string here. */

#ifdef PVHVM_NS_IS_STRING
#define PVHVM_EXPORT(name)	EXPORT_SYMBOL_NS_GPL(name, "PVHVM")
#define PVHVM_IMPORT		MODULE_IMPORT_NS("PVHVM")
#else
#define PVHVM_EXPORT(name)	EXPORT_SYMBOL_NS_GPL(name, PVHVM)
#define PVHVM_IMPORT		MODULE_IMPORT_NS(PVHVM)
#endif

#endif /* PVHVM_EXPORT_H */
