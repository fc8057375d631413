// SPDX-License-Identifier: GPL-2.0-only
/*
 * sysfs.c: below the device: hold, how it is connected, statistics/; below
 * the disk: serial and wwid, for udev.
 */
#include "blkfront.h"

#include <linux/device.h>
#include <linux/kstrtox.h>
#include <linux/stddef.h>

/* ---- the device ---- */

static ssize_t hold_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	struct pvhvm_device *pdev = to_pvhvm_device(dev);
	struct blkf_dev *bd;
	int held = -1;

	mutex_lock(&pdev->lock);
	bd = pvhvm_get_drvdata(pdev);
	if (bd)
		held = bd->state == BLKF_HELD;
	mutex_unlock(&pdev->lock);
	return held < 0 ? -ENODEV : sysfs_emit(buf, "%d\n", held);
}

/* Fails with EBUSY while the disk is open. */
static ssize_t hold_store(struct device *dev, struct device_attribute *attr,
			  const char *buf, size_t count)
{
	struct pvhvm_device *pdev = to_pvhvm_device(dev);
	struct blkf_dev *bd;
	bool hold;
	int err;

	err = kstrtobool(buf, &hold);
	if (err)
		return err;
	mutex_lock(&pdev->lock);
	bd = pvhvm_get_drvdata(pdev);
	err = bd ? blkf_dev_hold(bd, hold) : -ENODEV;
	mutex_unlock(&pdev->lock);
	return err ?: count;
}
static DEVICE_ATTR_RW(hold);

/* One number of the connection each; 0 while there is none. */
#define SYSFS_NUMBER(name, value)					\
static ssize_t name##_show(struct device *dev,				\
			   struct device_attribute *attr, char *buf)	\
{									\
	struct pvhvm_device *pdev = to_pvhvm_device(dev);		\
	struct blkf_dev *bd;						\
	unsigned int n = 0;						\
									\
	mutex_lock(&pdev->lock);					\
	bd = pvhvm_get_drvdata(pdev);					\
	if (bd && bd->state == BLKF_CONNECTED)				\
		n = value;						\
	mutex_unlock(&pdev->lock);					\
	return sysfs_emit(buf, "%u\n", n);				\
}									\
static DEVICE_ATTR_RO(name)

SYSFS_NUMBER(queues, bd->nr_queues);
SYSFS_NUMBER(ring_pages, 1u << bd->ring_order);
SYSFS_NUMBER(queue_depth, bd->depth);
SYSFS_NUMBER(max_segments, bd->max_segs);
SYSFS_NUMBER(persistent, bd->bounce);
SYSFS_NUMBER(grants_held, blkf_queues_grants(bd));

static struct attribute *sysfs_attrs[] = {
	&dev_attr_hold.attr,
	&dev_attr_queues.attr,
	&dev_attr_ring_pages.attr,
	&dev_attr_queue_depth.attr,
	&dev_attr_max_segments.attr,
	&dev_attr_persistent.attr,
	&dev_attr_grants_held.attr,
	NULL
};

static const struct attribute_group sysfs_group = {
	.attrs = sysfs_attrs,
};

/* ---- statistics: sums over the device's rings ---- */

struct sysfs_stat {
	struct device_attribute attr;
	size_t offset;
};

static ssize_t stat_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	struct sysfs_stat *stat = container_of(attr, struct sysfs_stat, attr);
	struct pvhvm_device *pdev = to_pvhvm_device(dev);
	struct blkf_dev *bd;
	unsigned int i;
	u64 sum = 0;

	mutex_lock(&pdev->lock);
	bd = pvhvm_get_drvdata(pdev);
	for (i = 0; bd && i < bd->nr_queues_max; i++)
		sum += READ_ONCE(*(u64 *)((char *)&bd->queue[i].stats +
					  stat->offset));
	mutex_unlock(&pdev->lock);
	return sysfs_emit(buf, "%llu\n", sum);
}

#define SYSFS_STAT(name) \
	{ __ATTR(name, 0444, stat_show, NULL), offsetof(struct blkf_stats, name) }

static struct sysfs_stat sysfs_stats[] = {
	SYSFS_STAT(requests),
	SYSFS_STAT(segments),
	SYSFS_STAT(indirect),
	SYSFS_STAT(doorbells),
	SYSFS_STAT(doorbells_saved),
	SYSFS_STAT(stop_grants),
	SYSFS_STAT(stop_ring_full),
	SYSFS_STAT(persistent_hits),
	SYSFS_STAT(persistent_grown),
	SYSFS_STAT(persistent_trimmed),
	SYSFS_STAT(interrupts),
	SYSFS_STAT(moves),
	SYSFS_STAT(deferred),
	SYSFS_STAT(responses),
	SYSFS_STAT(errors),
	SYSFS_STAT(unsupported),
};

static struct attribute *sysfs_stat_attrs[ARRAY_SIZE(sysfs_stats) + 1];

static const struct attribute_group sysfs_stat_group = {
	.name = "statistics",
	.attrs = sysfs_stat_attrs,
};

const struct attribute_group *blkf_dev_groups[] = {
	&sysfs_group,
	&sysfs_stat_group,
	NULL
};

void __init blkf_sysfs_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sysfs_stats); i++) {
		sysfs_attr_init(&sysfs_stats[i].attr.attr);
		sysfs_stat_attrs[i] = &sysfs_stats[i].attr.attr;
	}
}

/* ---- the disk ---- */

static ssize_t serial_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	struct blkf_dev *bd = dev_to_disk(dev)->private_data;

	return sysfs_emit(buf, "%s\n", bd->serial);
}
static DEVICE_ATTR_RO(serial);

static ssize_t wwid_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	struct blkf_dev *bd = dev_to_disk(dev)->private_data;

	return sysfs_emit(buf, "%s\n", bd->wwid);
}
static DEVICE_ATTR_RO(wwid);

static struct attribute *sysfs_disk_attrs[] = {
	&dev_attr_serial.attr,
	&dev_attr_wwid.attr,
	NULL
};

static umode_t sysfs_disk_visible(struct kobject *kobj, struct attribute *attr,
				  int index)
{
	struct blkf_dev *bd = dev_to_disk(kobj_to_dev(kobj))->private_data;

	if (attr == &dev_attr_wwid.attr)
		return bd->wwid[0] ? attr->mode : 0;
	return bd->serial[0] ? attr->mode : 0;
}

static const struct attribute_group sysfs_disk_group = {
	.attrs = sysfs_disk_attrs,
	.is_visible = sysfs_disk_visible,
};

const struct attribute_group *blkf_disk_groups[] = {
	&sysfs_disk_group,
	NULL
};
