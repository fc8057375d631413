// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is it the disk that is marked dead, not the queue? Since 5.17.
 */
#include <linux/blk-mq.h>
#include <linux/blkdev.h>

void pvhvm_probe(struct gendisk *disk);
void pvhvm_probe(struct gendisk *disk)
{
	blk_mark_disk_dead(disk);
}
