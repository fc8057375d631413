/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A disk's operations and limits. Limits are named as the newest kernels name
 * them; how they are set has changed too often for anything but one structure
 * of our own and one function that knows.
 */
#ifndef PVHVM_COMPAT_LINUX_BLKDEV_H
#define PVHVM_COMPAT_LINUX_BLKDEV_H

#include_next <linux/blkdev.h>
#include "../config.h"

/* ---- operations ---- */

#ifdef HAVE_BLK_OPEN_TAKES_DISK
#define DISK_OPEN(fn)		fn
#define DISK_RELEASE(fn)	fn
/* In the file that defines the operations, behind the two functions. */
#define DEFINE_DISK_THUNKS(open, release)
#else
typedef fmode_t blk_mode_t;
#define DISK_OPEN(fn)		fn##_thunk
#define DISK_RELEASE(fn)	fn##_thunk
#define DEFINE_DISK_THUNKS(open, release)				\
static int open##_thunk(struct block_device *bdev, fmode_t mode)	\
{									\
	return open(bdev->bd_disk, mode);				\
}									\
static void release##_thunk(struct gendisk *disk, fmode_t mode)		\
{									\
	release(disk);							\
}
#endif

#ifndef HAVE_BLK_ADD_DISK_RETURNS
static inline int disk_device_add(struct device *parent, struct gendisk *disk,
				  const struct attribute_group **groups)
{
	device_add_disk(parent, disk, groups);
	return 0;
}
#define device_add_disk(parent, disk, groups) \
	disk_device_add(parent, disk, groups)
#endif

#ifndef HAVE_BLK_SET_CAPACITY_AND_NOTIFY
static inline bool set_capacity_and_notify(struct gendisk *disk, sector_t size)
{
	return set_capacity_revalidate_and_notify(disk, size, true);
}
#endif

#ifndef HAVE_BLK_MARK_DISK_DEAD
static inline void blk_mark_disk_dead(struct gendisk *disk)
{
	blk_set_queue_dying(disk->queue);
}
#endif

/* ---- limits ---- */

/**
 * struct disk_limits - what disk_apply_limits() sets
 * @segment_size: bytes; no segment is longer or crosses a multiple of it
 * @write_cache: there is a volatile cache, flushes are sent
 * @max_discard_sectors: 0: no discard
 * others: as in struct queue_limits
 */
struct disk_limits {
	unsigned int logical_block_size;
	unsigned int physical_block_size;
	unsigned int segment_size;
	unsigned int max_segments;
	unsigned int max_hw_sectors;
	unsigned int max_discard_sectors;
	unsigned int discard_granularity;
	unsigned int discard_alignment;
	unsigned int max_secure_erase_sectors;
	bool write_cache;
};

#ifdef HAVE_BLK_ALLOC_DISK_TAKES_LIMITS

static inline void disk_fill_limits(struct queue_limits *lim,
				    const struct disk_limits *d)
{
	lim->logical_block_size = d->logical_block_size;
	lim->physical_block_size = d->physical_block_size;
	lim->seg_boundary_mask = d->segment_size - 1;
	lim->max_segment_size = d->segment_size;
	lim->max_segments = d->max_segments;
	lim->max_hw_sectors = d->max_hw_sectors;
	/* so is each piece of a page a number of whole sectors */
	lim->dma_alignment = d->logical_block_size - 1;
	lim->max_hw_discard_sectors = d->max_discard_sectors;
	lim->discard_granularity = d->discard_granularity;
	lim->discard_alignment = d->discard_alignment;
	lim->max_secure_erase_sectors = d->max_secure_erase_sectors;
#ifdef HAVE_BLK_LIMIT_FEATURES
	if (d->write_cache)
		lim->features |= BLK_FEAT_WRITE_CACHE;
	else
		lim->features &= ~BLK_FEAT_WRITE_CACHE;
#endif
}

static inline void disk_apply_flags(struct gendisk *disk,
				    const struct disk_limits *d)
{
#ifndef HAVE_BLK_LIMIT_FEATURES
	blk_queue_flag_set(QUEUE_FLAG_NONROT, disk->queue);
	blk_queue_write_cache(disk->queue, d->write_cache, false);
#endif
}

static inline int disk_commit_limits(struct gendisk *disk,
				     struct queue_limits *lim,
				     const struct disk_limits *d)
{
	disk_fill_limits(lim, d);
	disk_apply_flags(disk, d);
	return queue_limits_commit_update(disk->queue, lim);
}

static inline int disk_apply_limits(struct gendisk *disk,
				    const struct disk_limits *d)
{
	struct queue_limits lim = queue_limits_start_update(disk->queue);

	return disk_commit_limits(disk, &lim, d);
}

/**
 * disk_try_limits() - apply them, unless it is somebody else's turn
 *
 * Who writes a limit in sysfs may have his turn until all requests have
 * ended. Return: as disk_apply_limits(), or -EBUSY.
 */
static inline int disk_try_limits(struct gendisk *disk,
				  const struct disk_limits *d)
{
	struct queue_limits lim;

	if (!mutex_trylock(&disk->queue->limits_lock))
		return -EBUSY;
	lim = disk->queue->limits;
	return disk_commit_limits(disk, &lim, d);
}

#else /* a setter for each */

static inline void disk_apply_discard(struct request_queue *q,
				      const struct disk_limits *d)
{
	blk_queue_max_discard_sectors(q, d->max_discard_sectors);
	q->limits.discard_granularity = d->discard_granularity;
	q->limits.discard_alignment = d->discard_alignment;
#ifdef QUEUE_FLAG_DISCARD
	if (d->max_discard_sectors)
		blk_queue_flag_set(QUEUE_FLAG_DISCARD, q);
	else
		blk_queue_flag_clear(QUEUE_FLAG_DISCARD, q);
#endif
#ifdef QUEUE_FLAG_SECERASE
	if (d->max_secure_erase_sectors)
		blk_queue_flag_set(QUEUE_FLAG_SECERASE, q);
	else
		blk_queue_flag_clear(QUEUE_FLAG_SECERASE, q);
#else
	blk_queue_max_secure_erase_sectors(q, d->max_secure_erase_sectors);
#endif
}

static inline int disk_apply_limits(struct gendisk *disk,
				    const struct disk_limits *d)
{
	struct request_queue *q = disk->queue;

	blk_queue_logical_block_size(q, d->logical_block_size);
	blk_queue_physical_block_size(q, d->physical_block_size);
	blk_queue_segment_boundary(q, d->segment_size - 1);
	blk_queue_max_segment_size(q, d->segment_size);
	blk_queue_max_segments(q, d->max_segments);
	blk_queue_max_hw_sectors(q, d->max_hw_sectors);
	blk_queue_dma_alignment(q, d->logical_block_size - 1);
	disk_apply_discard(q, d);
	blk_queue_flag_set(QUEUE_FLAG_NONROT, q);
	blk_queue_write_cache(q, d->write_cache, false);
	return 0;
}

/* Nobody has turns. */
static inline int disk_try_limits(struct gendisk *disk,
				  const struct disk_limits *d)
{
	return disk_apply_limits(disk, d);
}

#endif /* HAVE_BLK_ALLOC_DISK_TAKES_LIMITS */

#endif /* PVHVM_COMPAT_LINUX_BLKDEV_H */
