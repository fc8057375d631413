// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does a driver drain its own queue? Until 5.19.
 */
#include <linux/blk-mq.h>
#include <linux/blkdev.h>

void pvhvm_probe(struct request_queue *q);
void pvhvm_probe(struct request_queue *q)
{
	blk_cleanup_queue(q);
}
