// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "pci.h"
#include "sysfs.h"

#define FUNCTIONS "/sys/bus/pci/devices"
#define CLASS_NETWORK 0x02

int pci_remove(const char *function)
{
	return sysfs_write("1", FUNCTIONS "/%s/remove", function);
}

static bool listed(char **list, const char *function)
{
	while (*list)
		if (!strcmp(*list++, function))
			return true;
	return false;
}

static bool is_network(const char *function)
{
	return sysfs_number(0, FUNCTIONS "/%s/class", function) >> 16 == CLASS_NETWORK;
}

int pci_bring_back(const char *function)
{
	char **before, **after;
	int err;

	if (sysfs_exists(FUNCTIONS "/%s", function))
		return 0;
	before = sysfs_list(FUNCTIONS);
	err = sysfs_write("1", "/sys/bus/pci/rescan");
	after = sysfs_list(FUNCTIONS);
	for (char **f = after; *f; f++)
		if (strcmp(*f, function) && !listed(before, *f) && is_network(*f))
			pci_remove(*f);
	sysfs_list_free(before);
	sysfs_list_free(after);
	return err;
}
