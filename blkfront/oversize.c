// SPDX-License-Identifier: GPL-2.0-only
/*
 * oversize.c: requests that were made for an earlier backend, which took more
 * at a time: the block layer gets what is in them once more, to make several of
 * each when it knows the new limits. A step of a flush sequence ends like any
 * other; its bio asks for the whole sequence again. Not so what is polled for:
 * he would look on the wrong ring.
 */
#include "blkfront.h"

blk_status_t blkf_oversize_split(struct blkf_queue *q, struct request *rq)
{
	struct blkf_dev *dev = q->dev;

	if (rq->mq_hctx->type == HCTX_TYPE_POLL) {
		pr_warn_ratelimited("%s: a polled request is too large for this backend and fails\n",
				    dev->name);
		return BLK_STS_IOERR;
	}
	blk_mq_start_request(rq);
	spin_lock(&dev->split_lock);
	blk_steal_bios(&dev->split, rq);
	spin_unlock(&dev->split_lock);
	blk_mq_end_request(rq, BLK_STS_OK);
	blkf_dev_queue_work(dev, &dev->limits_work);
	return BLK_STS_OK;
}

static struct bio_list oversize_take(struct blkf_dev *dev)
{
	struct bio_list bios;

	spin_lock(&dev->split_lock);
	bios = dev->split;
	bio_list_init(&dev->split);
	spin_unlock(&dev->split_lock);
	return bios;
}

void blkf_oversize_resubmit(struct blkf_dev *dev)
{
	struct bio_list bios = oversize_take(dev);
	struct bio *bio;

	while ((bio = bio_list_pop(&bios))) {
		/* whoever would rather not have waited has long done so */
		bio->bi_opf &= ~REQ_NOWAIT;
		submit_bio_noacct(bio);
	}
}

void blkf_oversize_fail(struct blkf_dev *dev)
{
	struct bio_list bios = oversize_take(dev);
	struct bio *bio;

	while ((bio = bio_list_pop(&bios)))
		bio_io_error(bio);
}
