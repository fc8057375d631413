// SPDX-License-Identifier: GPL-2.0-only
/*
 * One call for a new size? Since 5.11.
 */
#include <linux/blk-mq.h>
#include <linux/blkdev.h>

bool pvhvm_probe(struct gendisk *disk);
bool pvhvm_probe(struct gendisk *disk)
{
	return set_capacity_and_notify(disk, 0);
}
