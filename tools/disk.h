/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * disk.h: replacing an unused emulated disk by its PV twin.
 */
#ifndef PVHVM_DISK_H
#define PVHVM_DISK_H

#include "devices.h"
#include "plan.h"

struct disk_switch {
	char name[32];			/* sdb */
	char scsi[24];			/* 0:0:1:0; it stays, the name may not */
	char pvdev[16];			/* vbd-832 */
	char pv_name[32];		/* xvdb; "" until it appears */
	long vdev;
	bool held;			/* the twin waits and must be let go */
	unsigned long long sectors;
	double wait;
	int fd;				/* open exclusively while it goes; or -1 */
};

/**
 * disk_begin() - look at an emulated disk and its twin; changes nothing
 * Return: PVHVM_OK, or PVHVM_REFUSED with who uses it.
 */
int disk_begin(struct disk_switch *ds, const struct disk *disk, double wait,
	       struct why *why);
void disk_end(struct disk_switch *ds);

void disk_plan(struct plan *plan, struct disk_switch *ds);

#endif
