// SPDX-License-Identifier: GPL-2.0-only
/*
 * stats.c: /sys/devices/pvhvm, the parent of all devices of the bus, and its
 * directory xenstore/ with what this module has counted.
 */
#include "xenbus.h"

#include <linux/stat.h>

struct xenbus_stats xenbus_stats;

static struct device *stats_dev;

static ssize_t stats_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	struct dev_ext_attribute *ext = container_of(attr,
						     struct dev_ext_attribute,
						     attr);

	return sysfs_emit(buf, "%u\n", atomic_read((atomic_t *)ext->var));
}

static ssize_t broken_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	return sysfs_emit(buf, "%s\n", comms_broken() ?: "no");
}
static DEVICE_ATTR_RO(broken);

#define STATS_ATTR(name)						\
	{								\
		.attr = __ATTR(name, 0444, stats_show, NULL),		\
		.var = &xenbus_stats.name,				\
	}

/* The one table: a counter's name is its member's. */
static struct dev_ext_attribute stats_table[] = {
	STATS_ATTR(requests),
	STATS_ATTR(replies),
	STATS_ATTR(stale_replies),
	STATS_ATTR(timeouts),
	STATS_ATTR(transactions),
	STATS_ATTR(retries),
	STATS_ATTR(watch_events),
	STATS_ATTR(stale_events),
	STATS_ATTR(merged_events),
	STATS_ATTR(dropped_events),
	STATS_ATTR(quarantines),
	STATS_ATTR(pending),
	STATS_ATTR(watches),
	STATS_ATTR(devices),
	STATS_ATTR(opens),
};

static struct attribute *stats_attrs[ARRAY_SIZE(stats_table) + 2];

static const struct attribute_group stats_group = {
	.name = "xenstore",
	.attrs = stats_attrs,
};

struct device *stats_root(void)
{
	return stats_dev;
}

int stats_init(void)
{
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(stats_table); i++) {
		sysfs_attr_init(&stats_table[i].attr.attr);
		stats_attrs[i] = &stats_table[i].attr.attr;
	}
	stats_attrs[i] = &dev_attr_broken.attr;

	stats_dev = root_device_register("pvhvm");
	if (IS_ERR(stats_dev))
		return PTR_ERR(stats_dev);
	err = sysfs_create_group(&stats_dev->kobj, &stats_group);
	if (err)
		root_device_unregister(stats_dev);
	return err;
}

void stats_exit(void)
{
	sysfs_remove_group(&stats_dev->kobj, &stats_group);
	root_device_unregister(stats_dev);
}
