// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "child.h"
#include "ifupdown.h"
#include "sysfs.h"

#define UNITS "/run/systemd/system"
#define ESCAPE_SECONDS 60

/* ifup@eth0.service, to be freed; NULL without systemd. */
static char *unit_of(const char *name)
{
	char *const argv[] = {
		"systemd-escape", "--template=ifup@.service", (char *)name, NULL
	};
	struct why why;
	char *unit;

	if (sysfs_is_moved() || access(UNITS, F_OK))
		return NULL;
	if (child_output(argv, ESCAPE_SECONDS, &unit, &why)) {
		free(unit);
		return NULL;
	}
	unit[strcspn(unit, "\n")] = '\0';
	return unit;
}

static int reload(struct why *why)
{
	char *const argv[] = { "systemctl", "daemon-reload", NULL };

	if (child_run_quietly(argv))
		return why_set(why, PVHVM_FAILED,
			       "systemd does not reload its units: `systemctl daemon-reload` says why");
	return PVHVM_OK;
}

bool ifupdown_binds(const char *name)
{
	char *unit = unit_of(name);
	char *const argv[] = { "systemctl", "--quiet", "is-active", unit, NULL };
	bool active = unit && !child_run_quietly(argv);

	free(unit);
	return active;
}

static int write_dropin(const char *dir, const char *file)
{
	FILE *f;

	if (mkdir(dir, 0755) && errno != EEXIST)
		return -errno;
	f = fopen(file, "we");
	if (!f)
		return -errno;
	fputs("# by pvhvm switch: the name has passed to the PV interface\n"
	      "[Service]\nExecStop=\n", f);
	return fclose(f) ? -errno : 0;
}

static void drop(const char *dir, const char *file)
{
	unlink(file);
	rmdir(dir);
}

int ifupdown_hold(const char *name, struct why *why)
{
	char *unit = unit_of(name);
	char *dir = text_printf(UNITS "/%s.d", unit ? unit : "");
	char *file = text_printf("%s/pvhvm.conf", dir);
	int err = unit ? write_dropin(dir, file) : 0;
	int code = PVHVM_OK;

	if (err)
		code = why_set(why, PVHVM_FAILED, "cannot write %s: %s", file, strerror(-err));
	else if (unit)
		code = reload(why);
	if (code)
		drop(dir, file);
	free(file);
	free(dir);
	free(unit);
	return code;
}

int ifupdown_release(const char *name, struct why *why)
{
	char *unit = unit_of(name);
	char *dir = text_printf(UNITS "/%s.d", unit ? unit : "");
	char *file = text_printf("%s/pvhvm.conf", dir);
	int code = PVHVM_OK;

	if (unit && !access(file, F_OK)) {
		drop(dir, file);
		code = reload(why);
	}
	free(file);
	free(dir);
	free(unit);
	return code;
}
