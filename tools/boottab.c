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

/* What only an emulated disk has, as far as a name tells. */
static bool is_emulated_name(const char *path)
{
	return !strncmp(path, "/dev/sd", 7) || !strncmp(path, "/dev/hd", 7) ||
	       !strncmp(path, "/dev/disk/by-id/ata-", 20) ||
	       !strncmp(path, "/dev/disk/by-id/scsi-", 21) ||
	       (!strncmp(path, "/dev/disk/by-path/", 18) && strncmp(path + 18, "xen-", 4));
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

/* A file of lines that name sources and options of what the boot waits for. */
struct table {
	const char *file;
	int source, options;	/* fields, from 0 */
};

static const struct table tables[] = {
	{ "/etc/fstab", 0, 3 },
	{ "/etc/crypttab", 1, 3 },
};

/*
 * Does the boot wait in vain for @source, when @disk is PV; or, with no disk,
 * now that some are?
 */
static bool in_vain(const char *source, const char *options, const char *disk)
{
	if (strncmp(source, "/dev/", 5) || is_content(source))
		return false;
	if (disk)
		return is_of_disk(source, disk);
	return is_emulated_name(source) && !sysfs_exists("%s", source) &&
	       !strstr(options, "noauto") && !strstr(options, "nofail");
}

static int check_table(const struct table *t, const char *disk, struct why *why)
{
	char *all = sysfs_slurp("%s", t->file), *rest = all, *line;
	int code = PVHVM_OK;

	for (int nr = 1; !code && (line = strsep(&rest, "\n")); nr++) {
		char *save = NULL, *word = strtok_r(line, " \t", &save);
		const char *source = "", *options = "";

		if (!word || *word == '#')
			continue;
		for (int i = 0; word; i++, word = strtok_r(NULL, " \t", &save)) {
			if (i == t->source)
				source = word;
			if (i == t->options)
				options = word;
		}
		if (in_vain(source, options, disk))
			code = why_set(why, PVHVM_REFUSED,
				       "line %d of %s names %s, which the next boot would wait for in vain, as %s is PV by then: write UUID= there (blkid tells it), then switch again",
				       nr, t->file, source, disk ? disk : "that disk");
	}
	free(all);
	return code;
}

static int check_tables(const char *disk, struct why *why)
{
	int code = check_table(&tables[0], disk, why);

	return code ? code : check_table(&tables[1], disk, why);
}

#define LVM_DEVICES "/etc/lvm/devices/system.devices"

/* Is a line's last known name, DEVNAME=/dev/sdb1, of the disk? */
static bool is_line_of(const char *line, const char *disk)
{
	const char *name = strstr(line, "DEVNAME=");
	char *path;
	bool of;

	if (!name)
		return false;
	name += strlen("DEVNAME=");
	path = text_printf("%.*s", (int)strcspn(name, " \t"), name);
	of = *path == '/' && is_of_disk(path, disk);
	free(path);
	return of;
}

/* For a disk, or with none for all of them. */
static int check_lvm(const char *disk, struct why *why)
{
	char *all = sysfs_slurp(LVM_DEVICES), *rest = all, *line;
	int code = PVHVM_OK;

	for (int nr = 1; !code && (line = strsep(&rest, "\n")); nr++)
		if (*line != '#' && !strstr(line, "IDTYPE=devname") &&
		    (strstr(line, "QEMU") || strstr(line, "IDNAME=QM0")) &&
		    (!disk || is_line_of(line, disk)))
			code = why_set(why, PVHVM_REFUSED,
				       "line %d of " LVM_DEVICES " knows a disk by what only its emulated half has: move that file away, which has LVM look at every disk, then switch again",
				       nr);
	free(all);
	return code;
}

int boottab_check(const char *disk, struct why *why)
{
	int code = check_tables(disk, why);

	return code ? code : check_lvm(disk, why);
}

/* A line of a configuration that lists disks and leaves PV ones out. */
struct list {
	const char *file;
	const char *key, *also;	/* how the line begins */
	const char *rest;	/* how it rejects the rest; NULL: what is not named is out */
};

static const struct list lists[] = {
	{ "/etc/lvm/lvm.conf", "filter", "global_filter", ".*" },
	{ "/etc/lvm/lvmlocal.conf", "filter", "global_filter", ".*" },
	{ "/etc/mdadm/mdadm.conf", "DEVICE", "DEVICE", NULL },
	{ "/etc/mdadm.conf", "DEVICE", "DEVICE", NULL },
};

/* The rejection of all that was not accepted before, as "r|.*|" is. */
static bool rejects_rest(const char *line, const char *rest)
{
	for (const char *s = strstr(line, rest); s; s = strstr(s + 1, rest))
		if (s - line >= 2 && s[-2] == 'r')
			return true;
	return false;
}

static bool leaves_out_pv(const struct list *l, const char *line)
{
	size_t len;

	line += strspn(line, " \t");
	len = strcspn(line, " \t=");
	if ((len != strlen(l->key) || strncmp(line, l->key, len)) &&
	    (len != strlen(l->also) || strncmp(line, l->also, len)))
		return false;
	if (strstr(line, "xvd"))
		return false;
	if (l->rest)
		return rejects_rest(line, l->rest);
	return strstr(line, "/dev/sd") || strstr(line, "/dev/hd");
}

static int check_list(const struct list *l, struct why *why)
{
	char *all = sysfs_slurp("%s", l->file), *rest = all, *line;
	int code = PVHVM_OK;

	for (int nr = 1; !code && (line = strsep(&rest, "\n")); nr++)
		if (leaves_out_pv(l, line))
			code = why_set(why, PVHVM_REFUSED,
				       "line %d of %s leaves PV disks out: have it accept /dev/xvd*, too, then switch again",
				       nr, l->file);
	free(all);
	return code;
}

/* What packaging/boot/boot-disks would not hand over for. */
static int check_cmdline(struct why *why)
{
	char *all = sysfs_slurp("/proc/cmdline"), *save = NULL;
	int code = PVHVM_OK;

	for (char *word = all ? strtok_r(all, " \n", &save) : NULL; word && !code;
	     word = strtok_r(NULL, " \n", &save)) {
		const char *root = strncmp(word, "root=", 5) ? "" : word + 5;

		root += strncmp(root, "block:", 6) ? 0 : 6;
		if (is_emulated_name(root))
			code = why_set(why, PVHVM_REFUSED,
				       "%s on the kernel's command line names the emulated disk: write root=UUID= there (blkid tells it), then switch again",
				       word);
	}
	free(all);
	return code;
}

int boottab_check_root(bool some_are_pv, struct why *why)
{
	int code = some_are_pv ? check_tables(NULL, why) : PVHVM_OK;

	if (!code)
		code = check_lvm(NULL, why);
	for (size_t i = 0; !code && i < sizeof(lists) / sizeof(lists[0]); i++)
		code = check_list(&lists[i], why);
	return code ? code : check_cmdline(why);
}
