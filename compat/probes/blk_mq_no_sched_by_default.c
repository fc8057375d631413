// SPDX-License-Identifier: GPL-2.0-only
/*
 * Can a driver prefer no I/O scheduler? Since 5.15.
 */
#include <linux/blk-mq.h>
#include <linux/blkdev.h>

extern int pvhvm_probe;
int pvhvm_probe = BLK_MQ_F_NO_SCHED_BY_DEFAULT;
