/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Making and unmaking a blk-mq disk: who owns the queue, and what drains it,
 * has changed hands several times.
 */
#ifndef PVHVM_COMPAT_LINUX_BLK_MQ_H
#define PVHVM_COMPAT_LINUX_BLK_MQ_H

#include_next <linux/blk-mq.h>
#include <linux/blkdev.h>
#include "../config.h"

/* Merging wanted (was asked for until 6.13), no scheduler unless chosen. */
#ifdef HAVE_BLK_MQ_SHOULD_MERGE
#define DISK_FLAG_MERGE		BLK_MQ_F_SHOULD_MERGE
#else
#define DISK_FLAG_MERGE		0
#endif
#ifdef HAVE_BLK_MQ_NO_SCHED_BY_DEFAULT
#define DISK_FLAG_NO_SCHED	BLK_MQ_F_NO_SCHED_BY_DEFAULT
#else
#define DISK_FLAG_NO_SCHED	0
#endif
#define DISK_TAG_SET_FLAGS	(DISK_FLAG_MERGE | DISK_FLAG_NO_SCHED)

/*
 * DEFINE_MQ_POLL(f), MQ_POLL(f): f, int f(struct blk_mq_hw_ctx *), as the
 * operation poll, which since 5.16 may collect what it completes.
 * DEFINE_MQ_MAP(f), MQ_MAP(f): f, void f(struct blk_mq_tag_set *), as the
 * operation map_queues, which returned something until 6.0.
 */
#define MQ_POLL(f)	f##_thunk
#ifdef HAVE_BLK_MQ_POLL_BATCHES
#define DEFINE_MQ_POLL(f)						\
	static int f##_thunk(struct blk_mq_hw_ctx *hctx,		\
			     struct io_comp_batch *iob)			\
	{								\
		return f(hctx);						\
	}
#else
#define DEFINE_MQ_POLL(f)						\
	static int f##_thunk(struct blk_mq_hw_ctx *hctx)		\
	{								\
		return f(hctx);						\
	}
#endif

#define MQ_MAP(f)	f##_thunk
#ifdef HAVE_BLK_MQ_MAP_VOID
#define DEFINE_MQ_MAP(f)						\
	static void f##_thunk(struct blk_mq_tag_set *set)		\
	{								\
		f(set);							\
	}
#else
#define DEFINE_MQ_MAP(f)						\
	static int f##_thunk(struct blk_mq_tag_set *set)		\
	{								\
		f(set);							\
		return 0;						\
	}
#endif

/**
 * disk_alloc_mq() - allocate a disk with its queue, limits set
 *
 * The caller gives names and numbers afterwards. Return: or ERR_PTR().
 */
static inline struct gendisk *disk_alloc_mq(struct blk_mq_tag_set *set,
					    const struct disk_limits *d,
					    void *data)
{
	struct gendisk *disk;

#if defined(HAVE_BLK_ALLOC_DISK_TAKES_LIMITS)
	struct queue_limits lim = { };

	disk_fill_limits(&lim, d);
	disk = blk_mq_alloc_disk(set, &lim, data);
	if (!IS_ERR(disk))
		disk_apply_flags(disk, d);
#elif defined(HAVE_BLK_ALLOC_DISK)
	disk = blk_mq_alloc_disk(set, data);
	if (!IS_ERR(disk))
		disk_apply_limits(disk, d);
#else
	struct request_queue *q = blk_mq_init_queue(set);

	if (IS_ERR(q))
		return ERR_CAST(q);
	disk = alloc_disk(0);
	if (!disk) {
		blk_cleanup_queue(q);
		return ERR_PTR(-ENOMEM);
	}
	q->queuedata = data;
	disk->queue = q;
	disk_apply_limits(disk, d);
#endif
#ifdef GENHD_FL_EXT_DEVT
	if (!IS_ERR(disk))
		disk->flags |= GENHD_FL_EXT_DEVT;
#endif
	return disk;
}

/**
 * disk_del() - the disk disappears, its requests end, no more come
 * @added: device_add_disk() has succeeded
 */
static inline void disk_del(struct gendisk *disk, bool added)
{
	if (added)
		del_gendisk(disk);
#ifdef HAVE_BLK_CLEANUP_QUEUE
#ifndef HAVE_BLK_ALLOC_DISK
	/* put_disk() also puts what only adding the disk gets */
	if (!added)
		WARN_ON_ONCE(!blk_get_queue(disk->queue));
#endif
	blk_cleanup_queue(disk->queue);
#endif
}

/* Drop our reference after disk_del(), and the tags with it. */
static inline void disk_put(struct gendisk *disk, struct blk_mq_tag_set *set)
{
	put_disk(disk);
	blk_mq_free_tag_set(set);
}

#endif /* PVHVM_COMPAT_LINUX_BLK_MQ_H */
