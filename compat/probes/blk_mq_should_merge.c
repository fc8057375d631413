// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does a driver ask for merging? Until 6.13.
 */
#include <linux/blk-mq.h>
#include <linux/blkdev.h>

extern int pvhvm_probe;
int pvhvm_probe = BLK_MQ_F_SHOULD_MERGE;
