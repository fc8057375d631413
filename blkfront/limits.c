// SPDX-License-Identifier: GPL-2.0-only
/*
 * limits.c: the disk's properties, as the connected backend publishes them
 * and as the block layer wants them. Protocol: xen/io/blkif.h.
 */
#include "blkfront.h"

#include <linux/slab.h>

/* 1: to be read only; 0: not so; or errno: not known. */
static int limits_is_mode_r(struct blkf_dev *dev)
{
	char *mode = pvhvm_xs_read(PVHVM_XS_NONE, dev->pdev->otherend, "mode",
				   NULL);
	int r;

	if (IS_ERR(mode))
		return pvhvm_xs_unanswered(PTR_ERR(mode)) ? PTR_ERR(mode) : 0;
	r = !strcmp(mode, "r");
	kfree(mode);
	return r;
}

/*
 * What kind of disk it is, and what it can beyond reading and writing. What is
 * not known is not guessed: a disk without flushes would lose what it has
 * promised to keep.
 */
static int limits_read_kind(struct blkf_dev *dev)
{
	enum { FLUSH, BARRIER, DISCARD, PERSISTENT, INFO };
	struct pvhvm_xs_uint key[] = {
		[FLUSH]		= { "feature-flush-cache", 1 },
		[BARRIER]	= { "feature-barrier", 1 },
		[DISCARD]	= { "feature-discard", 1 },
		[PERSISTENT]	= { "feature-persistent", 1 },
		[INFO]		= { "info", UINT_MAX },
	};
	struct pvhvm_xs_uint trusted = { "trusted", 1, 1 };
	int err, mode_r;

	err = pvhvm_xs_read_uints(dev->pdev->nodename, &trusted, 1) ?:
	      pvhvm_xs_read_uints(dev->pdev->otherend, key, ARRAY_SIZE(key));
	if (err)
		return err;
	mode_r = limits_is_mode_r(dev);
	if (mode_r < 0)
		return mode_r;
	dev->flush_cache = key[FLUSH].value;
	dev->barrier = key[BARRIER].value;
	dev->discard = key[DISCARD].value;
	dev->degraded = 0;
	/* Both must want it; or ours does not trust the other one. */
	dev->bounce = !trusted.value ||
		      (blkf_param_persistent() && key[PERSISTENT].value);
	dev->cdrom = key[INFO].value & VDISK_CDROM;
	dev->removable = key[INFO].value & VDISK_REMOVABLE;
	dev->readonly = key[INFO].value & VDISK_READONLY || mode_r;
	return 0;
}

static int limits_read_props(struct blkf_dev *dev, struct blkf_props *p)
{
	enum { SECTOR, PHYSICAL, GRANULARITY, ALIGNMENT, SECURE };
	struct pvhvm_xs_uint key[] = {
		[SECTOR]	= { "sector-size", UINT_MAX, BLKF_SECTOR_SIZE },
		[PHYSICAL]	= { "physical-sector-size", UINT_MAX },
		[GRANULARITY]	= { "discard-granularity", UINT_MAX },
		[ALIGNMENT]	= { "discard-alignment", UINT_MAX },
		[SECURE]	= { "discard-secure", 1 },
	};
	const char *dir = dev->pdev->otherend, *why;
	int err;

	memset(p, 0, sizeof(*p));
	err = pvhvm_xs_read_u64(PVHVM_XS_NONE, dir, "sectors", &p->capacity);
	if (pvhvm_xs_unanswered(err))
		return err;
	if (err) {
		pvhvm_dev_error(dev->pdev, err,
				"the backend does not tell the disk's size");
		return err;
	}
	err = pvhvm_xs_read_uints(dir, key, ARRAY_SIZE(key));
	if (err)
		return err;
	p->sector_size = key[SECTOR].value;
	p->physical_size = key[PHYSICAL].value ?: p->sector_size;
	p->discard_granularity = key[GRANULARITY].value;
	p->discard_alignment = key[ALIGNMENT].value;
	p->secure = key[SECURE].value;
	why = blkf_props_clamp(p, dev->discard);
	if (why) {
		pvhvm_dev_error(dev->pdev, -EINVAL, "the backend tells an %s",
				why);
		return -EINVAL;
	}
	return 0;
}

int blkf_limits_read(struct blkf_dev *dev)
{
	struct blkf_props p;
	int err;

	err = limits_read_kind(dev) ?: limits_read_props(dev, &p);
	if (err)
		return err;
	/* blkf_limits_work() may be late */
	mutex_lock(&dev->queues_mutex);
	dev->props = p;
	mutex_unlock(&dev->queues_mutex);
	blkf_identity_serial(dev);
	return 0;
}

u8 blkf_limits_flush_op(const struct blkf_dev *dev)
{
	return blkf_flush_op(dev->flush_cache &&
			     !test_bit(BLKF_NO_FLUSH_CACHE, &dev->degraded),
			     dev->barrier &&
			     !test_bit(BLKF_NO_BARRIER, &dev->degraded));
}

void blkf_limits_fill(struct blkf_dev *dev, struct disk_limits *lim)
{
	const struct blkf_props *p = &dev->props;

	memset(lim, 0, sizeof(*lim));
	lim->logical_block_size = p->sector_size;
	lim->physical_block_size = p->physical_size;
	/* A segment on the ring is a piece of one page: so it is here. */
	lim->segment_size = PAGE_SIZE;
	lim->max_segments = dev->max_segs;
	lim->max_hw_sectors = dev->max_segs * BLKF_SECTORS_PER_PAGE;
	lim->write_cache = blkf_limits_flush_op(dev) != BLKF_OP_NONE;
	if (dev->discard && !test_bit(BLKF_NO_DISCARD, &dev->degraded)) {
		lim->max_discard_sectors = BLKF_DISCARD_MAX;
		lim->discard_granularity = p->discard_granularity;
		lim->discard_alignment = p->discard_alignment;
		if (p->secure && !test_bit(BLKF_NO_SECURE, &dev->degraded))
			lim->max_secure_erase_sectors = BLKF_DISCARD_MAX;
	}
}

void blkf_limits_resize(struct blkf_dev *dev)
{
	struct blkf_props now;
	sector_t old;
	int err;

	if (!dev->disk)
		return;
	err = limits_read_props(dev, &now);
	if (pvhvm_xs_unanswered(err))
		pvhvm_look_again(dev->pdev);
	if (err)
		return;
	old = get_capacity(dev->disk);
	dev->props.capacity = now.capacity;
	if (now.capacity == old)
		return;
	dev_info(&dev->pdev->dev, "%s: now %llu MiB instead of %llu\n",
		 dev->name, (unsigned long long)now.capacity >> 11,
		 (unsigned long long)old >> 11);
	set_capacity_and_notify(dev->disk, now.capacity);
}

int blkf_limits_apply(struct blkf_dev *dev)
{
	struct disk_limits lim;
	int err;

	blkf_limits_fill(dev, &lim);
	err = disk_try_limits(dev->disk, &lim);
	return err == -EBUSY ? 0 : err;
}

static void limits_tell_refused(struct blkf_dev *dev)
{
	if (!READ_ONCE(dev->degraded))
		return;
	pr_warn("%s: the backend refused%s%s%s%s; done without from now on\n",
		dev->name,
		test_bit(BLKF_NO_FLUSH_CACHE, &dev->degraded) ?
			" to flush its cache" : "",
		test_bit(BLKF_NO_BARRIER, &dev->degraded) ?
			" a barrier" : "",
		test_bit(BLKF_NO_DISCARD, &dev->degraded) ?
			" to discard" : "",
		test_bit(BLKF_NO_SECURE, &dev->degraded) ?
			" to discard securely" : "");
}

/*
 * Waits for whoever changes limits, and he for requests to end: so without the
 * mutex, which is needed to make them fail. The disk is not put before this
 * work is cancelled.
 */
void blkf_limits_work(struct work_struct *work)
{
	struct blkf_dev *dev = container_of(work, struct blkf_dev, limits_work);
	struct gendisk *disk;
	struct disk_limits lim;
	int err = -ENODEV;

	mutex_lock(&dev->queues_mutex);
	disk = dev->deleted ? NULL : dev->disk;
	blkf_limits_fill(dev, &lim);
	mutex_unlock(&dev->queues_mutex);
	if (disk) {
		limits_tell_refused(dev);
		err = disk_apply_limits(disk, &lim);
	}
	/* with limits that do not hold they would come back for ever */
	if (err)
		blkf_oversize_fail(dev);
	else
		blkf_oversize_resubmit(dev);
	blkf_dev_put(dev);
}
