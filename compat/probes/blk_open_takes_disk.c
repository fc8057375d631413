// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does opening take the disk instead of a block device? Since 6.5.
 */
#include <linux/blk-mq.h>
#include <linux/blkdev.h>

static int pvhvm_probe_open(struct gendisk *disk, blk_mode_t mode)
{
	return 0;
}

extern const struct block_device_operations pvhvm_probe;
const struct block_device_operations pvhvm_probe = { .open = pvhvm_probe_open };
