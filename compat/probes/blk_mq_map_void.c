// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does map_queues return nothing? Since 6.1.
 */
#include <linux/blk-mq.h>

void pvhvm_probe(struct blk_mq_ops *ops, void (*map)(struct blk_mq_tag_set *set));
void pvhvm_probe(struct blk_mq_ops *ops, void (*map)(struct blk_mq_tag_set *set))
{
	ops->map_queues = map;
}
