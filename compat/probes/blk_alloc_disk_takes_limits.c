// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does allocating a disk take its limits? Since 6.9.
 */
#include <linux/blk-mq.h>
#include <linux/blkdev.h>

struct gendisk *pvhvm_probe(struct blk_mq_tag_set *set, struct queue_limits *lim);
struct gendisk *pvhvm_probe(struct blk_mq_tag_set *set, struct queue_limits *lim)
{
	return blk_mq_alloc_disk(set, lim, NULL);
}
