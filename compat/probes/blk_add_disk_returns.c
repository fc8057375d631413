// SPDX-License-Identifier: GPL-2.0-only
/*
 * Can adding a disk fail? Since 5.15.
 */
#include <linux/blk-mq.h>
#include <linux/blkdev.h>

int pvhvm_probe(struct gendisk *disk);
int pvhvm_probe(struct gendisk *disk)
{
	return device_add_disk(NULL, disk, NULL);
}
