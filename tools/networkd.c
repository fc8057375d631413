// SPDX-License-Identifier: GPL-2.0-only
/* Asked by D-Bus; the methods are those of org.freedesktop.network1(5). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "networkd.h"
#include "sysfs.h"

#define SERVICE "org.freedesktop.network1"
#define MANAGER "/org/freedesktop/network1", "org.freedesktop.network1.Manager"
#define LINK "org.freedesktop.network1.Link"
#define STATES "/run/systemd/netif"

/* One answer; hearing what is new; taking up an interface. It may be busy. */
#define ANSWER_SECONDS 20.0
#define BUSY_SECONDS 60.0
#define MANAGED_SECONDS 10.0
#define POLL_USEC 50000

/* Its object of the interface, and the name that it has for it; to be freed, NULL: no answer. */
static char *find(int ifindex, char **name)
{
	char *index = text_printf("%d", ifindex);
	char *const argv[] = {
		"busctl", "--auto-start=no", "call", SERVICE, MANAGER, "GetLinkByIndex", "i", index, NULL
	};
	char *path = NULL, *out;
	struct why why;

	*name = NULL;
	/* so "eth0" "/org/freedesktop/network1/link/_32" */
	if (!child_output(argv, ANSWER_SECONDS, &out, &why) &&
	    sscanf(out, "so \"%m[^\"]\" \"%m[^\"]\"", name, &path) != 2) {
		free(*name);
		*name = NULL;
	}
	free(out);
	free(index);
	return path;
}

static bool looks_after(int ifindex)
{
	char *name, *path = find(ifindex, &name);
	char *const argv[] = {
		"busctl", "--auto-start=no", "get-property", SERVICE, path, LINK, "AdministrativeState", NULL
	};
	bool does = false;
	struct why why;
	char *out;

	if (path) {
		does = !child_output(argv, ANSWER_SECONDS, &out, &why) &&
		       (!strncmp(out, "s \"configured\"", 14) || !strncmp(out, "s \"configuring\"", 15));
		free(out);
	}
	free(path);
	free(name);
	return does;
}

bool networkd_has(int ifindex)
{
	return !sysfs_is_moved() && !access(STATES, F_OK) && looks_after(ifindex);
}

bool networkd_wait_name(int ifindex, const char *name, double seconds)
{
	double end = text_now() + seconds;
	bool heard;

	do {
		char *known, *path = find(ifindex, &known);

		heard = known && !strcmp(known, name);
		free(known);
		free(path);
	} while (!heard && text_now() < end && !usleep(POLL_USEC));
	return heard;
}

static bool comes_to_look_after(int ifindex)
{
	double end = text_now() + MANAGED_SECONDS;

	while (!looks_after(ifindex)) {
		if (text_now() > end)
			return false;
		usleep(POLL_USEC);
	}
	return true;
}

int networkd_give(int ifindex, const char *name, struct why *why)
{
	char *index, *out;
	int code;

	/* what it says before it has heard may be over then */
	if (!networkd_wait_name(ifindex, name, BUSY_SECONDS))
		return why_set(why, PVHVM_FAILED, "it does not answer");
	if (comes_to_look_after(ifindex))
		return PVHVM_OK;
	index = text_printf("%d", ifindex);
	code = child_output((char *const []) { "busctl", "--auto-start=no", "call", SERVICE, MANAGER,
					       "ReconfigureLink", "i", index, NULL },
			    ANSWER_SECONDS, &out, why);
	free(out);
	free(index);
	if (code)
		return PVHVM_FAILED;
	if (!comes_to_look_after(ifindex))
		return why_set(why, PVHVM_FAILED, "no .network file of its matches, or its journal tells why");
	return PVHVM_OK;
}
