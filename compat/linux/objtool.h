/* SPDX-License-Identifier: GPL-2.0-only */
/* Before 5.18 no code had to be marked for indirect branch tracking. */
#ifndef PVHVM_COMPAT_LINUX_OBJTOOL_H
#define PVHVM_COMPAT_LINUX_OBJTOOL_H

#include_next <linux/objtool.h>

#ifndef ANNOTATE_NOENDBR
#define ANNOTATE_NOENDBR ""
#endif

/* Nor, before 6.18, that it calls where no type is checked. */
#ifndef ANNOTATE_NOCFI_SYM
#define ANNOTATE_NOCFI_SYM(symbol)
#endif

#endif
