/* SPDX-License-Identifier: GPL-2.0-only */
/* hrtimer_setup() was once hrtimer_init() and an assignment. */
#ifndef PVHVM_COMPAT_LINUX_HRTIMER_H
#define PVHVM_COMPAT_LINUX_HRTIMER_H

#include_next <linux/hrtimer.h>
#include "../config.h"

#ifndef HAVE_HRTIMER_SETUP
static inline void hrtimer_setup(struct hrtimer *t,
				 enum hrtimer_restart (*fn)(struct hrtimer *),
				 clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(t, clock, mode);
	t->function = fn;
}
#endif

#endif
