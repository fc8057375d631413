// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is a symbol namespace given as a bare word? Since 6.13 (cdd30ebb1b9f,
 * "module: Convert symbol namespace to string literal") it is a string.
 */
#include <linux/module.h>

MODULE_IMPORT_NS(PVHVM);
