// SPDX-License-Identifier: GPL-2.0-only
/* rootdisk.c: what changes over, or no longer does, in the initramfs of the next boot. */
#include <string.h>

#include "boottab.h"
#include "job.h"
#include "sysfs.h"

static void plan_initramfs(struct job *job)
{
	plan_add(&job->plan, persist_refresh_initramfs, persist_refresh_back, &job->persist,
		 text_printf("make the initramfs of every kernel anew"),
		 text_printf("make it anew with the file as it was"));
}

#define BOOT_DISKS "/usr/lib/pvhvm/boot-disks"

/* For the next boot; now the root disk is in use. */
int job_plan_root(struct job *job, struct why *why)
{
	bool some_are_pv = false;
	int code;

	if (!sysfs_exists(BOOT_DISKS))
		return why_set(why, PVHVM_REFUSED,
			       "there is no %s, which hands the disks over: install the package pvhvm-dkms", BOOT_DISKS);
	devices_look(&job->devs);
	for (int i = 0; i < job->devs.nr_disks; i++) {
		const struct disk *disk = &job->devs.disks[i];

		some_are_pv |= disk->kind == DEV_PV && !disk->held;
		code = disk->kind == DEV_EMULATED ? boottab_check(disk->name, why) : PVHVM_OK;
		if (code)
			return code;
	}
	code = boottab_check_root(some_are_pv, why);
	if (!code && devices_has_controller(DEVICES_AHCI))
		code = why_set(why, PVHVM_REFUSED, "emulated SATA (hdtype=ahci), which not every host unplugs: only data disks can change over");
	if (!code && devices_has_controller(DEVICES_NVME))
		code = why_set(why, PVHVM_REFUSED, "emulated NVMe, which is not unplugged with IDE: its disks stay emulated");
	if (code)
		return code;
	/* Asked again, as after a new kernel's modules: the images may lack them. */
	if (!job->persist.root) {
		job->persist.root = true;
		plan_add(&job->plan, persist_save, persist_put_back, &job->persist,
			 text_printf("add 'root' to %s", PERSIST_CONF),
			 text_printf("put the file back as it was"));
	}
	plan_initramfs(job);
	return PVHVM_OK;
}

/*
 * Has the initramfs handed the disks over, whatever the file says now? No
 * emulated one is left then: a switch of data disks leaves the root disk.
 */
static bool root_is_pv(struct job *job)
{
	bool in_use = false;

	devices_look(&job->devs);
	for (int i = 0; i < job->devs.nr_disks; i++) {
		const struct disk *disk = &job->devs.disks[i];
		char use[sizeof(disk->use)] = "";

		if (disk->kind == DEV_EMULATED)
			return false;
		if (disk->kind == DEV_PV && disk->name[0])
			devices_disk_use(disk->name, use, sizeof(use));
		in_use |= use[0];
	}
	return in_use;
}

int job_plan_forget(struct job *job, struct why *why)
{
	bool file = sysfs_exists(PERSIST_CONF);
	bool initramfs = job->persist.root || (!file && root_is_pv(job));

	if (!file && !initramfs)
		return why_set(why, PVHVM_NOTHING, "there is no %s: nothing to forget", PERSIST_CONF);
	if (file)
		plan_add(&job->plan, persist_remove, persist_put_back, &job->persist,
			 text_printf("remove %s", PERSIST_CONF),
			 text_printf("put the file back as it was"));
	if (initramfs)
		plan_initramfs(job);
	return PVHVM_OK;
}
