// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is the write cache one of the limits? Since 6.11.
 */
#include <linux/blk-mq.h>
#include <linux/blkdev.h>

extern struct queue_limits pvhvm_probe;
struct queue_limits pvhvm_probe = { .features = BLK_FEAT_WRITE_CACHE };
