// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "child.h"
#include "networkmanager.h"
#include "sysfs.h"

#define ANSWER_SECONDS 60.0
/* NM_DEVICE_STATE_UNMANAGED in nm-dbus-interface.h; above it are those that it has */
#define STATE_UNMANAGED 10

bool networkmanager_has(const char *name)
{
	char *const argv[] = {
		"nmcli", "-g", "GENERAL.STATE", "device", "show", (char *)name, NULL
	};
	struct why why;
	char *state;
	bool has;

	if (sysfs_is_moved())
		return false;
	/* "100 (connected)" */
	has = !child_output(argv, ANSWER_SECONDS, &state, &why) && atoi(state) > STATE_UNMANAGED;
	free(state);
	return has;
}

int networkmanager_give(const char *name, struct why *why)
{
	char *const argv[] = { "nmcli", "device", "set", (char *)name, "managed", "yes", NULL };
	char *unused;
	int code = child_output(argv, ANSWER_SECONDS, &unused, why);

	free(unused);
	return code ? PVHVM_FAILED : PVHVM_OK;
}
