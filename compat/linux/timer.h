/* SPDX-License-Identifier: GPL-2.0-only */
/* timer_delete_sync() was once called del_timer_sync(). */
#ifndef PVHVM_COMPAT_LINUX_TIMER_H
#define PVHVM_COMPAT_LINUX_TIMER_H

#include_next <linux/timer.h>
#include "../config.h"

#ifndef HAVE_TIMER_DELETE_SYNC
#define timer_delete_sync(t)	del_timer_sync(t)
#endif

#endif
