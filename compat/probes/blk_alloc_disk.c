// SPDX-License-Identifier: GPL-2.0-only
/*
 * Are disk and queue allocated together, without limits? 5.14 to 6.8.
 */
#include <linux/blk-mq.h>
#include <linux/blkdev.h>

struct gendisk *pvhvm_probe(struct blk_mq_tag_set *set);
struct gendisk *pvhvm_probe(struct blk_mq_tag_set *set)
{
	return blk_mq_alloc_disk(set, NULL);
}
