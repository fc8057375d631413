// SPDX-License-Identifier: GPL-2.0-only
/*
 * disk.c: the gendisk: made, opened, deleted.
 */
#include "blkfront.h"

#include <linux/cdrom.h>
#include <linux/module.h>

/* ---- operations ---- */

/*
 * Who opens a disk may have found it before it was deleted, and come here
 * after its device is gone (5.10 does not look again). Then it has no owner.
 */
static DEFINE_SPINLOCK(disk_owner_lock);	/* taken before open_lock */

/* Nobody has it open, and nobody will. */
static void disk_disown(struct gendisk *disk)
{
	spin_lock(&disk_owner_lock);
	disk->private_data = NULL;
	spin_unlock(&disk_owner_lock);
}

static int disk_open(struct gendisk *disk, blk_mode_t mode)
{
	struct blkf_dev *dev;
	int err = -ENXIO;

	/* counted while it is this disk's owner: it may make another one */
	spin_lock(&disk_owner_lock);
	dev = disk->private_data;
	if (dev) {
		spin_lock(&dev->open_lock);
		if (!dev->closing) {
			blkf_dev_get(dev);
			dev->openers++;
			err = 0;
		}
		spin_unlock(&dev->open_lock);
	}
	spin_unlock(&disk_owner_lock);
	return err;
}

static void disk_release(struct gendisk *disk)
{
	struct blkf_dev *dev = disk->private_data;
	bool last;

	spin_lock(&dev->open_lock);
	last = !--dev->openers;
	if (last)
		blkf_dev_last_closed(dev);
	/* until then sysfs reads it; blkf_disk_destroy() looks at openers later */
	last = last && READ_ONCE(dev->deleted);
	spin_unlock(&dev->open_lock);
	if (last)
		disk_disown(disk);
	blkf_dev_put(dev);
}

/* Lets udev see a CD-ROM in what says that it is one. */
static int disk_ioctl(struct block_device *bdev, blk_mode_t mode,
		      unsigned int cmd, unsigned long arg)
{
	struct blkf_dev *dev = bdev->bd_disk->private_data;

	if (cmd == CDROM_GET_CAPABILITY && dev->cdrom)
		return 0;
	return -ENOTTY;
}

DEFINE_DISK_THUNKS(disk_open, disk_release);

static const struct block_device_operations disk_fops = {
	.owner = THIS_MODULE,
	.open = DISK_OPEN(disk_open),
	.release = DISK_RELEASE(disk_release),
	.ioctl = disk_ioctl,
};

/* ---- coming ---- */

static int disk_init_tags(struct blkf_dev *dev)
{
	struct blk_mq_tag_set *set = &dev->tag_set;

	memset(set, 0, sizeof(*set));
	set->ops = &blkf_mq_ops;
	set->nr_hw_queues = dev->nr_lanes;
	set->nr_maps = dev->nr_poll_lanes ? HCTX_MAX_TYPES : 1;
	set->queue_depth = dev->depth;
	set->numa_node = NUMA_NO_NODE;
	set->flags = DISK_TAG_SET_FLAGS;
	set->driver_data = dev;
	return blk_mq_alloc_tag_set(set);
}

static void disk_dress(struct blkf_dev *dev, struct gendisk *disk)
{
	strscpy(disk->disk_name, dev->name, sizeof(disk->disk_name));
	if (dev->vdev.part < BLKF_MINORS) {
		disk->major = blkf_major;
		disk->first_minor = dev->vdev.disk * BLKF_MINORS +
				    dev->vdev.part;
		disk->minors = dev->vdev.part ? 1 : BLKF_MINORS;
	}
	disk->fops = &disk_fops;
	disk->private_data = dev;
	if (dev->removable || dev->cdrom)
		disk->flags |= GENHD_FL_REMOVABLE;
	set_capacity(disk, dev->props.capacity);
	if (dev->readonly)
		set_disk_ro(disk, true);
}

int blkf_disk_create(struct blkf_dev *dev)
{
	struct disk_limits lim;
	struct gendisk *disk;
	int err;

	err = blkf_step("tag set") ?: disk_init_tags(dev);
	if (err)
		return err;
	blkf_limits_fill(dev, &lim);
	err = blkf_step("gendisk");
	disk = err ? ERR_PTR(err) : disk_alloc_mq(&dev->tag_set, &lim, dev);
	if (IS_ERR(disk)) {
		blk_mq_free_tag_set(&dev->tag_set);
		return PTR_ERR(disk);
	}
	disk_dress(dev, disk);
	mutex_lock(&dev->queues_mutex);
	dev->disk = disk;
	dev->deleted = false;
	dev->added = false;
	dev->quiesced = false;
	mutex_unlock(&dev->queues_mutex);
	spin_lock(&dev->open_lock);
	dev->closing = false;
	spin_unlock(&dev->open_lock);
	return 0;
}

/*
 * Outside any lock and not in the watch thread, which all devices share:
 * reading the partition table lasts as long as the backend likes.
 */
void blkf_disk_add_work(struct work_struct *work)
{
	struct blkf_dev *dev = container_of(work, struct blkf_dev, add_work);
	int err = blkf_step("add disk");

	/*
	 * Before anybody can see the disk: who sees it, and that it is
	 * connected, may ask for the unplug.
	 */
	if (!err)
		blkf_identity_twin(dev, true);
	if (!err)
		err = device_add_disk(&dev->pdev->dev, dev->disk,
				      blkf_disk_groups);
	if (err) {
		blkf_identity_twin(dev, false);
		pvhvm_dev_error(dev->pdev, err, "cannot add %s", dev->name);
	} else {
		WRITE_ONCE(dev->added, true);
		/* the backend may have been away meanwhile */
		blkf_identity_twin(dev, true);
	}
	blkf_adding(-1);
	blkf_dev_put(dev);
}

void blkf_disk_add(struct blkf_dev *dev)
{
	blkf_adding(1);
	blkf_dev_queue_work(dev, &dev->add_work);
}

/* ---- going ---- */

void blkf_disk_destroy(struct blkf_dev *dev)
{
	struct gendisk *disk = dev->disk;
	bool in_use;

	if (!disk) {
		blkf_queues_down(dev, BLKF_DOWN_FAIL);
		return;
	}
	/* requests kept for a backend to come back would be waited for */
	if (dev->quiesced)
		blkf_queues_down(dev, BLKF_DOWN_FAIL);
	if (blkf_dev_cancel_work(dev, &dev->add_work))
		blkf_adding(-1);

	/* the rings are up: what openers have written still gets out */
	disk_del(disk, dev->added);
	mutex_lock(&dev->queues_mutex);
	WRITE_ONCE(dev->deleted, true);
	mutex_unlock(&dev->queues_mutex);
	blkf_queues_down(dev, BLKF_DOWN_FAIL);
	blkf_dev_cancel_work(dev, &dev->limits_work);

	spin_lock(&dev->open_lock);
	in_use = dev->openers;
	spin_unlock(&dev->open_lock);
	if (!in_use)
		disk_disown(disk);

	mutex_lock(&dev->queues_mutex);
	dev->disk = NULL;
	dev->added = false;
	mutex_unlock(&dev->queues_mutex);
	disk_put(disk, &dev->tag_set);
}
