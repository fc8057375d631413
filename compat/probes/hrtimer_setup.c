// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is there hrtimer_setup(), which takes the callback? Since 908a1d775422
 * ("hrtimers: Introduce hrtimer_setup() to replace hrtimer_init()", 6.13).
 */
#include <linux/hrtimer.h>

void pvhvm_probe(struct hrtimer *t,
	   enum hrtimer_restart (*fn)(struct hrtimer *))
{
	hrtimer_setup(t, fn, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
}
