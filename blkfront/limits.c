// SPDX-License-Identifier: GPL-2.0-only
/*
 * limits.c: the disk's properties, as the connected backend publishes them
 * and as the block layer wants them. Protocol: xen/io/blkif.h.
 */
#include "blkfront.h"

#include <linux/slab.h>

static unsigned int limits_key(struct blkf_dev *dev, const char *key,
			       unsigned int max, unsigned int def)
{
	return pvhvm_xs_read_uint(dev->pdev->otherend, key, max, def);
}

static bool limits_flag(struct blkf_dev *dev, const char *key)
{
	return limits_key(dev, key, 1, 0);
}

static void limits_read_flush(struct blkf_dev *dev)
{
	dev->flush_cache = limits_flag(dev, "feature-flush-cache");
	dev->barrier = limits_flag(dev, "feature-barrier");
	dev->discard = limits_flag(dev, "feature-discard");
	dev->degraded = 0;
}

static void limits_read_kind(struct blkf_dev *dev)
{
	unsigned int info = limits_key(dev, "info", UINT_MAX, 0);
	char *mode = pvhvm_xs_read(PVHVM_XS_NONE, dev->pdev->otherend, "mode",
				   NULL);

	dev->cdrom = info & VDISK_CDROM;
	dev->removable = info & VDISK_REMOVABLE;
	dev->readonly = info & VDISK_READONLY;
	if (!IS_ERR(mode)) {
		if (!strcmp(mode, "r"))
			dev->readonly = true;
		kfree(mode);
	}
}

/* Both must want it; or ours does not trust the other one. */
static void limits_read_bounce(struct blkf_dev *dev)
{
	bool untrusted = !pvhvm_xs_read_uint(dev->pdev->nodename, "trusted", 1,
					     1);

	dev->bounce = untrusted ||
		      (blkf_param_persistent() &&
		       limits_flag(dev, "feature-persistent"));
}

static int limits_read_props(struct blkf_dev *dev, struct blkf_props *p)
{
	const char *why;
	int err;

	memset(p, 0, sizeof(*p));
	err = pvhvm_xs_read_u64(PVHVM_XS_NONE, dev->pdev->otherend, "sectors",
				&p->capacity);
	if (err) {
		pvhvm_dev_error(dev->pdev, err,
				"the backend does not tell the disk's size");
		return err;
	}
	p->sector_size = limits_key(dev, "sector-size", UINT_MAX,
				    BLKF_SECTOR_SIZE);
	p->physical_size = limits_key(dev, "physical-sector-size", UINT_MAX,
				      p->sector_size);
	p->discard_granularity = limits_key(dev, "discard-granularity",
					    UINT_MAX, 0);
	p->discard_alignment = limits_key(dev, "discard-alignment", UINT_MAX,
					  0);
	p->secure = limits_flag(dev, "discard-secure");
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
	int err;

	limits_read_flush(dev);
	limits_read_kind(dev);
	limits_read_bounce(dev);
	err = blkf_step("properties") ?: limits_read_props(dev, &dev->props);
	if (!err)
		blkf_identity_serial(dev);
	return err;
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

	if (!dev->disk || limits_read_props(dev, &now))
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

void blkf_limits_degrade(struct work_struct *work)
{
	struct blkf_dev *dev = container_of(work, struct blkf_dev,
					    degrade_work);
	struct disk_limits lim;

	mutex_lock(&dev->queues_mutex);
	if (dev->disk && !dev->deleted) {
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
		blkf_limits_fill(dev, &lim);
		disk_apply_limits(dev->disk, &lim);
	}
	mutex_unlock(&dev->queues_mutex);
	blkf_dev_put(dev);
}
