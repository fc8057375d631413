// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is del_timer_sync() called timer_delete_sync()? Since 9b13df3fb64e
 * ("timers: Rename del_timer_sync() to timer_delete_sync()", 6.2).
 */
#include <linux/timer.h>

void pvhvm_probe(struct timer_list *t)
{
	timer_delete_sync(t);
}
