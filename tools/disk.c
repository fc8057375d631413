// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "disk.h"
#include "sysfs.h"

#define POLL_US 20000
/* Whoever looks at a disk that has just appeared, as udev does, is done by then. */
#define HOLD_SECONDS 5.0

static int in_use(const char *name, const char *use, struct why *why)
{
	return why_set(why, PVHVM_REFUSED,
		       "%s is %s: unmount or stop using it, then switch again; the root disk changes over at the next boot after pvhvm switch --root",
		       name, use);
}

/* Mounts, swap, md, dm and others all claim what they use. */
static int open_exclusively(struct disk_switch *ds, struct why *why)
{
	char *path = sysfs_file("/dev/%s", ds->name);
	int err;

	/*
	 * Not for writing: when that is closed udev looks at all partitions
	 * anew, and md and LVM take them back.
	 */
	ds->fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);
	err = errno;
	free(path);
	if (ds->fd >= 0)
		return PVHVM_OK;
	if (err == EBUSY)
		return in_use(ds->name, "in use", why);
	return why_set(why, PVHVM_FAILED, "cannot open %s: %s", ds->name, strerror(err));
}

static void close_disk(struct disk_switch *ds)
{
	if (ds->fd >= 0)
		close(ds->fd);
	ds->fd = -1;
}

int disk_begin(struct disk_switch *ds, const struct disk *disk, double wait,
	       struct why *why)
{
	int code;

	memset(ds, 0, sizeof(*ds));
	ds->fd = -1;
	ds->wait = wait;
	text_set(ds->name, sizeof(ds->name), disk->name);
	text_set(ds->scsi, sizeof(ds->scsi), disk->scsi);
	text_set(ds->pvdev, sizeof(ds->pvdev), disk->twin->pvdev);
	ds->vdev = disk->twin->vdev;
	ds->held = disk->twin->held;
	ds->sectors = disk->sectors;
	if (disk->use[0])
		return in_use(ds->name, disk->use, why);
	if (geteuid())
		return PVHVM_OK;
	code = open_exclusively(ds, why);
	close_disk(ds);
	return code;
}

void disk_end(struct disk_switch *ds)
{
	close_disk(ds);
}

static int flush(void *arg, struct why *why)
{
	struct disk_switch *ds = arg;
	int code = open_exclusively(ds, why);

	if (code)
		return code;
	if (fsync(ds->fd))
		return why_set(why, PVHVM_FAILED, "cannot flush %s: %s", ds->name, strerror(errno));
	/* What is cached must not be taken for what the PV disk will show. */
	ioctl(ds->fd, BLKFLSBUF, 0);
	return PVHVM_OK;
}

static int unflush(void *arg, struct why *why)
{
	(void)why;
	close_disk(arg);
	return PVHVM_OK;
}

static bool emulated_is_there(const struct disk_switch *ds)
{
	return sysfs_exists("/sys/bus/scsi/devices/%s/block", ds->scsi);
}

/* Still open exclusively: nobody can mount it between the check and this. */
static int delete_disk(void *arg, struct why *why)
{
	struct disk_switch *ds = arg;
	double end = text_now() + ds->wait;
	int err = sysfs_write("1", "/sys/block/%s/device/delete", ds->name);

	close_disk(ds);
	if (err)
		return why_set(why, PVHVM_FAILED, "cannot remove %s from the SCSI layer: %s",
			       ds->name, strerror(-err));
	while (emulated_is_there(ds)) {
		if (text_now() > end)
			return why_set(why, PVHVM_FAILED, "%s was removed but does not go away: dmesg may tell why",
				       ds->name);
		usleep(POLL_US);
	}
	return PVHVM_OK;
}

/* This one only: others of its host may have a PV twin in use by now. */
static int rescan_disk(void *arg, struct why *why)
{
	struct disk_switch *ds = arg;
	double end = text_now() + plan_undo_seconds(ds->wait);
	unsigned int host, channel, target, unit;
	char where[40];
	int err;

	if (emulated_is_there(ds))
		return PVHVM_OK;
	if (sscanf(ds->scsi, "%u:%u:%u:%u", &host, &channel, &target, &unit) != 4)
		return why_set(why, PVHVM_FAILED, "cannot rescan for %s: its address '%s' is not known here",
			       ds->name, ds->scsi);
	snprintf(where, sizeof(where), "%u %u %u", channel, target, unit);
	err = sysfs_write(where, "/sys/class/scsi_host/host%u/scan", host);
	if (err)
		return why_set(why, PVHVM_FAILED, "cannot rescan host%u: %s", host, strerror(-err));
	while (!emulated_is_there(ds)) {
		if (text_now() > end)
			return why_set(why, PVHVM_FAILED,
				       "%s did not come back: echo '%s' > /sys/class/scsi_host/host%u/scan, then see dmesg",
				       ds->name, where, host);
		usleep(POLL_US);
	}
	return PVHVM_OK;
}

static int let_go(void *arg, struct why *why)
{
	struct disk_switch *ds = arg;
	int err = sysfs_write("0", "/sys/bus/pvhvm/devices/%s/hold", ds->pvdev);

	if (err)
		return why_set(why, PVHVM_FAILED, "cannot let %s connect: %s; dmesg | grep pvhvm says more",
			       ds->pvdev, strerror(-err));
	return PVHVM_OK;
}

/* Both halves at once destroy data: while this one is there, the other stays away. */
static int hold_again(void *arg, struct why *why)
{
	struct disk_switch *ds = arg;
	double end = text_now() + HOLD_SECONDS;
	int err;

	while ((err = sysfs_write("1", "/sys/bus/pvhvm/devices/%s/hold", ds->pvdev)) == -EBUSY &&
	       text_now() < end)
		usleep(POLL_US);
	if (err)
		return why_set(why, PVHVM_PARTIAL,
			       "%s cannot be held again (%s), so %s stays away: use the PV disk, or reboot to have %s back",
			       ds->pvdev, strerror(-err), ds->name, ds->name);
	return PVHVM_OK;
}

/*
 * Until udev has seen the disk, what waits for one of its links or for its
 * device unit would find neither half. If it never does, so be it.
 */
static void wait_for_udev(const struct disk_switch *ds, double end)
{
	char number[24];

	if (!sysfs_exists("/run/udev/control") ||
	    !sysfs_read(number, sizeof(number), "/sys/block/%s/dev", ds->pv_name))
		return;
	while (!sysfs_exists("/run/udev/data/b%s", number) && text_now() < end)
		usleep(POLL_US);
}

static int wait_for_pv(void *arg, struct why *why)
{
	struct disk_switch *ds = arg;
	double end = text_now() + ds->wait;
	unsigned long long sectors;

	while (!devices_vbd_disk(ds->pvdev, ds->pv_name, sizeof(ds->pv_name)) ||
	       !sysfs_exists("/sys/block/%s", ds->pv_name)) {
		if (text_now() > end)
			return why_set(why, PVHVM_FAILED,
				       "%s did not become a disk within %.0f s: is its backend connected in the host?",
				       ds->pvdev, ds->wait);
		usleep(POLL_US);
	}
	sectors = sysfs_number(0, "/sys/block/%s/size", ds->pv_name);
	if (sectors != ds->sectors)
		return why_set(why, PVHVM_FAILED,
			       "%s has %llu sectors but %s had %llu: they are not the same disk",
			       ds->pv_name, sectors, ds->name, ds->sectors);
	wait_for_udev(ds, end);
	return PVHVM_OK;
}

void disk_plan(struct plan *plan, struct disk_switch *ds)
{
	plan_add(plan, flush, unflush, ds,
		 text_printf("take %s exclusively and flush it", ds->name),
		 text_printf("let go of %s", ds->name));
	plan_add(plan, delete_disk, rescan_disk, ds,
		 text_printf("remove %s from the SCSI layer", ds->name),
		 text_printf("rescan for %s at %s and wait for it", ds->name, ds->scsi));
	if (ds->held)
		plan_add(plan, let_go, hold_again, ds,
			 text_printf("let its PV twin %s connect", ds->pvdev),
			 text_printf("hold %s again", ds->pvdev));
	plan_add(plan, wait_for_pv, NULL, ds,
		 text_printf("wait for the PV disk and compare its size"), NULL);
}
