// SPDX-License-Identifier: GPL-2.0-only
/*
 * diskuse.c: who uses a disk or one of its partitions. For the message only:
 * whether a disk is free is decided by opening it exclusively.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices.h"
#include "sysfs.h"

/* "sda2" and "xvda2" are parts of "sda" and "xvda"; "sdab" is not. */
static bool is_part_of(const char *node, const char *disk)
{
	size_t len = strlen(disk);

	return !strncmp(node, disk, len) &&
	       (!node[len] || (node[len] >= '0' && node[len] <= '9') ||
		(node[len] == 'p' && disk[len - 1] >= '0' && disk[len - 1] <= '9'));
}

/* Do @major:@minor numbers belong to the disk or a partition of it? */
static bool has_number(const char *disk, const char *number)
{
	char dev[24];
	char **list;
	bool hit;

	sysfs_read(dev, sizeof(dev), "/sys/block/%s/dev", disk);
	if (dev[0] && !strcmp(dev, number))
		return true;
	hit = false;
	list = sysfs_list("/sys/block/%s", disk);
	for (char **s = list; *s && !hit; s++) {
		if (!is_part_of(*s, disk))
			continue;
		sysfs_read(dev, sizeof(dev), "/sys/block/%s/%s/dev", disk, *s);
		hit = dev[0] && !strcmp(dev, number);
	}
	sysfs_list_free(list);
	return hit;
}

/* btrfs and others mount under a number of their own: look at the source, too. */
static bool used_by_mount(const char *disk, char *use, size_t size)
{
	char *all = sysfs_slurp("/proc/self/mountinfo");
	char *save = NULL;
	bool hit = false;

	if (!all)
		return false;
	for (char *line = strtok_r(all, "\n", &save); line && !hit;
	     line = strtok_r(NULL, "\n", &save)) {
		char number[24], where[100], source[100] = "";
		const char *rest = strstr(line, " - ");

		if (sscanf(line, "%*d %*d %23s %*s %99s", number, where) != 2)
			continue;
		if (rest)
			sscanf(rest, " - %*s %99s", source);
		hit = has_number(disk, number) ||
		      (!strncmp(source, "/dev/", 5) && is_part_of(source + 5, disk));
		if (hit)
			snprintf(use, size, "mounted on %s", where);
	}
	free(all);
	return hit;
}

static bool used_by_swap(const char *disk, char *use, size_t size)
{
	char *all = sysfs_slurp("/proc/swaps");
	char *save = NULL;
	bool hit = false;

	if (!all)
		return false;
	for (char *line = strtok_r(all, "\n", &save); line && !hit;
	     line = strtok_r(NULL, "\n", &save)) {
		line[strcspn(line, " \t")] = '\0';
		hit = !strncmp(line, "/dev/", 5) && is_part_of(line + 5, disk);
		if (hit)
			snprintf(use, size, "swap space (%.40s)", line);
	}
	free(all);
	return hit;
}

static bool held_by(const char *dir, char *use, size_t size)
{
	char **list = sysfs_list("%s/holders", dir);
	char name[64];
	bool hit = *list != NULL;

	if (hit) {
		if (!sysfs_read(name, sizeof(name), "/sys/block/%s/dm/name", *list))
			text_set(name, sizeof(name), *list);
		snprintf(use, size, "part of %s", name);
	}
	sysfs_list_free(list);
	return hit;
}

static bool used_by_holder(const char *disk, char *use, size_t size)
{
	char **list;
	char *dir;
	bool hit;

	dir = text_printf("/sys/block/%s", disk);
	hit = held_by(dir, use, size);
	free(dir);
	list = sysfs_list("/sys/block/%s", disk);
	for (char **s = list; *s && !hit; s++) {
		if (!is_part_of(*s, disk))
			continue;
		dir = text_printf("/sys/block/%s/%s", disk, *s);
		hit = held_by(dir, use, size);
		free(dir);
	}
	sysfs_list_free(list);
	return hit;
}

void devices_disk_use(const char *name, char *use, size_t size)
{
	use[0] = '\0';
	if (!used_by_mount(name, use, size) && !used_by_holder(name, use, size))
		used_by_swap(name, use, size);
}
