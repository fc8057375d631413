// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "child.h"
#include "initramfs.h"
#include "persist.h"
#include "sysfs.h"
#include "wholefile.h"

static const char header[] =
	"# Written by `pvhvm switch`, read by `pvhvm switch --boot` (pvhvm-switch.service).\n"
	"# One device a line:  nic MAC-ADDRESS NAME  or  disk VDEV (768 hda, 832 hdb, 5632 hdc, 5696 hdd).\n"
	"# The line  nic all  is for a template, of which copies get addresses of their own.\n"
	"# The line  root  hands over all disks in the initramfs, which must be made anew after a change.\n"
	"# Delete a line, or run `pvhvm switch --forget`, to boot with the emulated device again.\n";

bool persist_is_empty(const struct persist *p)
{
	return !p->nr_nics && !p->all_nics && !p->nr_vdevs && !p->root;
}

void persist_add_nic(struct persist *p, const char *mac, const char *name)
{
	int i = 0;

	while (i < p->nr_nics && strcasecmp(p->nics[i].mac, mac))
		i++;
	if (i == p->nr_nics) {
		p->nics = text_grow(p->nics, ++p->nr_nics, sizeof(*p->nics));
		text_set(p->nics[i].mac, sizeof(p->nics[i].mac), mac);
	}
	text_set(p->nics[i].name, sizeof(p->nics[i].name), name);
}

void persist_add_disk(struct persist *p, long vdev)
{
	for (int i = 0; i < p->nr_vdevs; i++)
		if (p->vdevs[i] == vdev)
			return;
	p->vdevs = text_grow(p->vdevs, p->nr_vdevs + 1, sizeof(*p->vdevs));
	p->vdevs[p->nr_vdevs++] = vdev;
}

static bool is_mac(const char *s)
{
	unsigned int a[6];

	return strlen(s) == 17 &&
	       sscanf(s, "%2x:%2x:%2x:%2x:%2x:%2x", &a[0], &a[1], &a[2], &a[3],
		      &a[4], &a[5]) == 6;
}

static void read_line(struct persist *p, char *line)
{
	char kind[8], value[32] = "", name[IFNAMSIZ + 1] = "", extra[2];
	char *end;
	long vdev;
	int n;

	line[strcspn(line, "#")] = '\0';
	n = sscanf(line, "%7s %31s %16s %1s", kind, value, name, extra);
	if (n <= 0)
		return;
	if (n == 1 && !strcmp(kind, "root")) {
		p->root = true;
		return;
	}
	if (n == 2 && !strcmp(kind, "nic") && !strcmp(value, "all")) {
		p->all_nics = true;
		return;
	}
	if ((n == 2 || n == 3) && !strcmp(kind, "nic") && is_mac(value) &&
	    strlen(name) < IFNAMSIZ) {
		persist_add_nic(p, value, name);
		return;
	}
	vdev = strtol(value, &end, 10);
	if (n == 2 && !strcmp(kind, "disk") && !*end && vdev > 0) {
		persist_add_disk(p, vdev);
		return;
	}
	say_err("pvhvm: %s: line not understood and left out: %s", PERSIST_CONF, line);
}

void persist_read(struct persist *p)
{
	char *all, *save = NULL;

	memset(p, 0, sizeof(*p));
	all = sysfs_slurp(PERSIST_CONF);
	if (!all)
		return;
	for (char *line = strtok_r(all, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		read_line(p, line);
	free(all);
}

void persist_free(struct persist *p)
{
	free(p->nics);
	free(p->vdevs);
	free(p->before);
	memset(p, 0, sizeof(*p));
}

static int replace_file(const struct persist *p, const char *text, struct why *why)
{
	char *path = sysfs_file(PERSIST_CONF);
	char *dir = sysfs_file("/etc/pvhvm");
	int err;

	mkdir(dir, 0755);
	err = wholefile_replace(path, text);
	free(dir);
	free(path);
	if (err)
		return why_set(why, PVHVM_FAILED, "cannot write %s: %s%s", PERSIST_CONF, strerror(err),
			       p->root ? "" : "; use --no-persist to do without");
	return PVHVM_OK;
}

static int remove_file(struct why *why)
{
	char *path = sysfs_file(PERSIST_CONF);
	int err = unlink(path) && errno != ENOENT ? errno : 0;

	free(path);
	if (err)
		return why_set(why, PVHVM_FAILED, "cannot remove %s: %s", PERSIST_CONF, strerror(err));
	return PVHVM_OK;
}

/* Offline and quick: only links are made, the running manager is not asked. */
static void enable_unit(bool on)
{
	char *const argv[] = {
		"systemctl", "--quiet", "--no-reload", on ? "enable" : "disable",
		PERSIST_UNIT, NULL
	};

	if (sysfs_is_moved() || access("/run/systemd/system", F_OK))
		return;
	if (child_run_quietly(argv) && on)
		say_err("pvhvm: cannot enable %s: enable it by hand, or run `pvhvm switch --boot` early at boot",
			PERSIST_UNIT);
}

static void keep_before(struct persist *p)
{
	free(p->before);
	p->before = sysfs_slurp(PERSIST_CONF);
}

int persist_save(void *arg, struct why *why)
{
	struct persist *p = arg;
	char *text = text_copy(header), *next;
	int code;

	keep_before(p);
	if (p->all_nics) {
		next = text_printf("%snic all\n", text);
		free(text);
		text = next;
	}
	for (int i = 0; i < p->nr_nics; i++) {
		next = text_printf("%snic %s%s%s\n", text, p->nics[i].mac,
				   p->nics[i].name[0] ? " " : "", p->nics[i].name);
		free(text);
		text = next;
	}
	for (int i = 0; i < p->nr_vdevs; i++) {
		next = text_printf("%sdisk %ld\n", text, p->vdevs[i]);
		free(text);
		text = next;
	}
	if (p->root) {
		next = text_printf("%sroot\n", text);
		free(text);
		text = next;
	}
	code = replace_file(p, text, why);
	free(text);
	if (code)
		return code;
	p->changed = true;
	enable_unit(true);
	return PVHVM_OK;
}

int persist_remove(void *arg, struct why *why)
{
	struct persist *p = arg;
	int code;

	keep_before(p);
	code = remove_file(why);
	if (code)
		return code;
	p->changed = true;
	enable_unit(false);
	return PVHVM_OK;
}

int persist_put_back(void *arg, struct why *why)
{
	struct persist *p = arg;
	int code;

	/* What could not be changed could not be put back, either. */
	if (!p->changed)
		return PVHVM_OK;
	code = p->before ? replace_file(p, p->before, why) : remove_file(why);
	if (code)
		return code;
	p->changed = false;
	enable_unit(p->before);
	return PVHVM_OK;
}

int persist_refresh_initramfs(void *arg, struct why *why)
{
	(void)arg;
	return initramfs_refresh(why);
}

int persist_refresh_back(void *arg, struct why *why)
{
	int code = persist_put_back(arg, why);

	if (code || !initramfs_is_made())
		return code;
	return initramfs_refresh(why);
}
