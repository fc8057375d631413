/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * persist.h: /etc/pvhvm/switch.conf, what `pvhvm switch --boot` does again.
 */
#ifndef PVHVM_PERSIST_H
#define PVHVM_PERSIST_H

#include <net/if.h>
#include <stdbool.h>

#include "text.h"

#define PERSIST_CONF "/etc/pvhvm/switch.conf"
#define PERSIST_UNIT "pvhvm-switch.service"

struct persist_nic {
	char mac[18];
	char name[IFNAMSIZ];	/* what it is called when it is switched, or "" */
};

struct persist {
	struct persist_nic *nics;
	int nr_nics;
	bool all_nics;		/* whatever their addresses are, as in a template */
	long *vdevs;
	int nr_vdevs;
	bool root;		/* all emulated disks, in the initramfs already */
	char *before;		/* the file as it was before a change, or NULL */
	bool changed;		/* there is something to put back */
};

/* No file is no entries. Lines that mean nothing are warned about. */
void persist_read(struct persist *p);
void persist_free(struct persist *p);
bool persist_is_empty(const struct persist *p);

/* Add an entry; one that is there already is not doubled, but gets the name. */
void persist_add_nic(struct persist *p, const char *mac, const char *name);
void persist_add_disk(struct persist *p, long vdev);

/*
 * Plan steps (arg: struct persist *): write the file and enable the unit, or
 * remove and disable them; and put the file back as either has found it.
 */
int persist_save(void *arg, struct why *why);
int persist_remove(void *arg, struct why *why);
int persist_put_back(void *arg, struct why *why);

/*
 * Plan steps (arg: struct persist *): put the file's present state into the
 * initramfs of every kernel; and, since some have it by then, the earlier one.
 */
int persist_refresh_initramfs(void *arg, struct why *why);
int persist_refresh_back(void *arg, struct why *why);

#endif
