// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "child.h"
#include "initramfs.h"
#include "sysfs.h"

static const char debian[] = "/usr/sbin/update-initramfs";
static const char dracut[] = "/usr/bin/dracut";

bool initramfs_is_made(void)
{
	return sysfs_exists("%s", debian) || sysfs_exists("%s", dracut);
}

/* Which file the running kernel's image is; it is another one when made anew. 0: none. */
static ino_t image_of(const char *kernel)
{
	char *path = sysfs_file("/boot/initrd.img-%s", kernel);
	struct stat state;
	ino_t found = stat(path, &state) ? 0 : state.st_ino;

	free(path);
	return found;
}

/* Is content, too, where /boot is read-only, or where it is configured to do nothing. */
static int by_update_initramfs(struct why *why)
{
	char *path = sysfs_file("%s", debian);
	char *argv[] = { path, "-u", "-k", "all", NULL };
	int code = PVHVM_OK;
	struct utsname kernel;
	ino_t before, after;

	uname(&kernel);
	before = image_of(kernel.release);
	if (child_run_quietly(argv)) {
		code = why_set(why, PVHVM_FAILED, "%s failed: run by hand it says why", path);
	} else {
		after = image_of(kernel.release);
		if (!after || after == before)
			code = why_set(why, PVHVM_FAILED, "%s has not made /boot/initrd.img-%s anew: run by hand with -u -k all it says why",
				       path, kernel.release);
	}
	free(path);
	return code;
}

static int by_dracut(struct why *why)
{
	char *path = sysfs_file("%s", dracut);
	char *argv[] = { path, "--force", "--regenerate-all", NULL };
	int code = PVHVM_OK;

	if (child_run_quietly(argv))
		code = why_set(why, PVHVM_FAILED, "%s failed: run by hand it says why", path);
	free(path);
	return code;
}

int initramfs_refresh(struct why *why)
{
	if (!initramfs_is_made())
		return sysfs_is_moved() ? PVHVM_OK :
			why_set(why, PVHVM_FAILED, "neither update-initramfs nor dracut is there: make the initramfs anew by hand");
	say("making the initramfs anew; this may take a minute");
	return sysfs_exists("%s", debian) ? by_update_initramfs(why) : by_dracut(why);
}
