// SPDX-License-Identifier: GPL-2.0-only
/*
 * sysfs.c: what users see: pvhvm/ below the platform device, and
 * /sys/hypervisor, where tools and udev rules look for Xen.
 */
#include "platform.h"

#include <linux/kernfs.h>
#include <linux/kobject.h>
#include <linux/sysfs.h>

#include "evtchn.h"
#include "hypercall.h"
#include "upcall.h"

static ssize_t xen_version_show(struct device *dev,
				struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u.%u\n", pvhvm_xen_version() >> 16,
			  pvhvm_xen_version() & 0xffff);
}
static DEVICE_ATTR_RO(xen_version);

static ssize_t upcall_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	return sysfs_emit(buf, "%s\n", upcall_name());
}
static DEVICE_ATTR_RO(upcall);

static ssize_t evtchn_abi_show(struct device *dev,
			       struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", evtchn_abi());
}
static DEVICE_ATTR_RO(evtchn_abi);

static ssize_t grants_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	struct gnttab_usage u;

	gnttab_usage(&u);
	return sysfs_emit(buf, "used %u parked %u free %u max %u\n", u.used,
			  u.parked, u.free, u.max);
}
static DEVICE_ATTR_RO(grants);

static ssize_t ports_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	return sysfs_emit(buf, "used %u max %u rests %u\n", evtchn_used(),
			  evtchn_max(), evtchn_rests());
}
static DEVICE_ATTR_RO(ports);

static ssize_t timer_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	struct timer_use u;

	timer_usage(&u);
	return sysfs_emit(buf, "told %llu saved %llu early %llu\n", u.told,
			  u.saved, u.early);
}
static DEVICE_ATTR_RO(timer);

static ssize_t ipis_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	struct ipi_use u;

	ipi_usage(&u);
	return sysfs_emit(buf, "events %llu native %llu again %llu\n",
			  u.events, u.native, u.again);
}
static DEVICE_ATTR_RO(ipis);

static ssize_t resumes_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%u\n", suspend_count());
}
static DEVICE_ATTR_RO(resumes);

static ssize_t unplug_attr_show(struct device *dev,
				struct device_attribute *attr, char *buf)
{
	return unplug_show(buf);
}

static ssize_t unplug_attr_store(struct device *dev,
				 struct device_attribute *attr,
				 const char *buf, size_t count)
{
	int ret = unplug_store(buf);

	return ret ? ret : count;
}

static struct device_attribute dev_attr_unplug =
	__ATTR(unplug, 0644, unplug_attr_show, unplug_attr_store);

static struct attribute *device_attrs[] = {
	&dev_attr_xen_version.attr,
	&dev_attr_upcall.attr,
	&dev_attr_evtchn_abi.attr,
	&dev_attr_grants.attr,
	&dev_attr_ports.attr,
	&dev_attr_timer.attr,
	&dev_attr_ipis.attr,
	&dev_attr_resumes.attr,
	&dev_attr_unplug.attr,
	NULL
};

static const struct attribute_group device_group = {
	.name = "pvhvm",
	.attrs = device_attrs,
};

/* Below /sys/hypervisor the same names as everywhere on Xen. */

#define HYP_ATTR(name) \
	static struct kobj_attribute name##_attr = __ATTR_RO(name)

static ssize_t type_show(struct kobject *kobj, struct kobj_attribute *attr,
			 char *buf)
{
	return sysfs_emit(buf, "xen\n");
}
HYP_ATTR(type);

static ssize_t guest_type_show(struct kobject *kobj,
			       struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "HVM\n");
}
HYP_ATTR(guest_type);

static ssize_t uuid_show(struct kobject *kobj, struct kobj_attribute *attr,
			 char *buf)
{
	xen_domain_handle_t uuid;
	int ret = hypercall_version(XENVER_guest_handle, uuid);

	return ret ? ret : sysfs_emit(buf, "%pU\n", uuid);
}
HYP_ATTR(uuid);

static ssize_t major_show(struct kobject *kobj, struct kobj_attribute *attr,
			  char *buf)
{
	return sysfs_emit(buf, "%u\n", pvhvm_xen_version() >> 16);
}
HYP_ATTR(major);

static ssize_t minor_show(struct kobject *kobj, struct kobj_attribute *attr,
			  char *buf)
{
	return sysfs_emit(buf, "%u\n", pvhvm_xen_version() & 0xffff);
}
HYP_ATTR(minor);

static ssize_t extra_show(struct kobject *kobj, struct kobj_attribute *attr,
			  char *buf)
{
	xen_extraversion_t extra = "";
	int ret = hypercall_version(XENVER_extraversion, extra);

	return ret ? ret : sysfs_emit(buf, "%.*s\n", (int)sizeof(extra), extra);
}
HYP_ATTR(extra);

static ssize_t features_show(struct kobject *kobj, struct kobj_attribute *attr,
			     char *buf)
{
	unsigned int i = XENFEAT_NR_SUBMAPS;
	int len = 0;

	/* one number, the last ones first */
	while (i--)
		len += sysfs_emit_at(buf, len, "%08x", hypercall_features(i));
	return len + sysfs_emit_at(buf, len, "\n");
}
HYP_ATTR(features);

static struct attribute *root_attrs[] = {
	&type_attr.attr, &guest_type_attr.attr, &uuid_attr.attr, NULL
};

static struct attribute *version_attrs[] = {
	&major_attr.attr, &minor_attr.attr, &extra_attr.attr, NULL
};

static struct attribute *properties_attrs[] = { &features_attr.attr, NULL };

static const struct attribute_group root_group = {
	.attrs = root_attrs,
};

static const struct attribute_group version_group = {
	.name = "version",
	.attrs = version_attrs,
};

static const struct attribute_group properties_group = {
	.name = "properties",
	.attrs = properties_attrs,
};

static const struct attribute_group *hypervisor_groups[] = {
	&root_group, &version_group, &properties_group, NULL
};

static struct kobject *hypervisor;
/* Made by us, on a kernel that was built without the folder. */
static struct kobject *own_folder;

static struct kobject *hypervisor_folder(void)
{
#ifdef CONFIG_SYS_HYPERVISOR
	return hypervisor_kobj;
#else
	if (!own_folder)
		own_folder = kobject_create_and_add("hypervisor", NULL);
	return own_folder;
#endif
}

/* Does somebody already say which hypervisor this is? */
static bool folder_taken(struct kobject *folder)
{
	struct kernfs_node *node = kernfs_find_and_get(folder->sd, "type");

	kernfs_put(node);
	return node;
}

/**
 * platform_sysfs_init() - show what there is
 *
 * /sys/hypervisor is left alone when it is not free; that is no failure.
 * Context: process; may sleep. Return: 0 or negative errno; all undone.
 */
int platform_sysfs_init(void)
{
	struct kobject *folder = hypervisor_folder();
	int ret;

	ret = sysfs_create_group(&platform_pdev->dev.kobj, &device_group);
	if (ret)
		goto err_put;
	if (folder && !folder_taken(folder)) {
		ret = sysfs_create_groups(folder, hypervisor_groups);
		if (ret)
			goto err_remove;
		hypervisor = folder;
	}
	return 0;

err_remove:
	sysfs_remove_group(&platform_pdev->dev.kobj, &device_group);
err_put:
	kobject_put(own_folder);
	own_folder = NULL;
	return ret;
}

void platform_sysfs_exit(void)
{
	if (hypervisor)
		sysfs_remove_groups(hypervisor, hypervisor_groups);
	hypervisor = NULL;
	sysfs_remove_group(&platform_pdev->dev.kobj, &device_group);
	kobject_put(own_folder);
	own_folder = NULL;
}
