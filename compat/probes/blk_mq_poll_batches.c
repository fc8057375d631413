// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does a poll collect what it completes? Since 5.16.
 */
#include <linux/blk-mq.h>

int pvhvm_probe(const struct blk_mq_ops *ops, struct blk_mq_hw_ctx *hctx);
int pvhvm_probe(const struct blk_mq_ops *ops, struct blk_mq_hw_ctx *hctx)
{
	return ops->poll(hctx, NULL);
}
