// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "boottab.h"
#include "sysfs.h"
#include "text.h"

/* What both halves of a disk have. */
static bool is_content(const char *path)
{
	return !strncmp(path, "/dev/disk/by-uuid/", 18) ||
	       !strncmp(path, "/dev/disk/by-label/", 19) ||
	       !strncmp(path, "/dev/disk/by-part", 17) ||
	       !strncmp(path, "/dev/mapper/", 12);
}

/* Is it the disk or a partition of it, perhaps by a link? */
static bool is_of_disk(const char *path, const char *disk)
{
	size_t len = strlen(disk);
	char real[PATH_MAX];
	char *file = sysfs_file("%s", path);
	const char *name = strrchr(realpath(file, real) ? real : path, '/') + 1;
	bool of = !strncmp(name, disk, len);

	for (name += of ? len : 0; of && *name; name++)
		of = isdigit((unsigned char)*name);
	free(file);
	return of;
}

static int check_table(const char *table, int field, const char *disk, struct why *why)
{
	char *all = sysfs_slurp("%s", table), *rest = all, *line;
	int code = PVHVM_OK;

	for (int nr = 1; !code && (line = strsep(&rest, "\n")); nr++) {
		char *save = NULL, *word = strtok_r(line, " \t", &save);

		if (!word || *word == '#')
			continue;
		for (int i = 0; word && i < field; i++)
			word = strtok_r(NULL, " \t", &save);
		if (word && !strncmp(word, "/dev/", 5) && !is_content(word) && is_of_disk(word, disk))
			code = why_set(why, PVHVM_REFUSED,
				       "line %d of %s names %s, which the next boot would wait for in vain, as %s is PV by then: write UUID= there (blkid tells it), then switch again",
				       nr, table, word, disk);
	}
	free(all);
	return code;
}

int boottab_check(const char *disk, struct why *why)
{
	int code = check_table("/etc/fstab", 0, disk, why);

	return code ? code : check_table("/etc/crypttab", 1, disk, why);
}

#define LVM_DEVICES "/etc/lvm/devices/system.devices"

int boottab_check_lvm(struct why *why)
{
	char *all = sysfs_slurp(LVM_DEVICES), *rest = all, *line;
	int code = PVHVM_OK;

	for (int nr = 1; !code && (line = strsep(&rest, "\n")); nr++)
		if (*line != '#' && !strstr(line, "IDTYPE=devname") &&
		    (strstr(line, "QEMU") || strstr(line, "IDNAME=QM0")))
			code = why_set(why, PVHVM_REFUSED,
				       "line %d of " LVM_DEVICES " knows a disk by what only its emulated half has: move that file away, which has LVM look at every disk, then switch again",
				       nr);
	free(all);
	return code;
}
