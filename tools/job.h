/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * job.h: one run of `pvhvm switch`, for the files that make it up:
 *
 *	switch -> choose, rootdisk -> job
 */
#ifndef PVHVM_JOB_H
#define PVHVM_JOB_H

#include <stdbool.h>

#include "devices.h"
#include "dhcp.h"
#include "disk.h"
#include "nic.h"
#include "persist.h"
#include "plan.h"
#include "xen.h"

#define MAX_DEVICES 32

struct options {
	bool dry_run, json, no_persist, boot, forget, root;
	bool all_nics, all_disks;
	const char *nics[MAX_DEVICES], *disks[MAX_DEVICES];
	int nr_nics, nr_disks;
	double wait;
};

/* One run of the command. */
struct job {
	struct options opt;
	struct xen xen;
	struct devices devs;
	struct persist persist;		/* as found */
	struct persist with_disks, with_all;	/* as it is to be */
	struct nic_name names[MAX_DEVICES];	/* of cards without an emulated half */
	int nr_names;
	struct netlink *nl;
	struct nic_switch nics[MAX_DEVICES];
	struct disk_switch disks[MAX_DEVICES];
	int nr_nics, nr_disks;
	bool ide_disk_moved;
	struct dhcp_clients dhcp;	/* to be started anew at the end */
	struct plan plan;
	char *skipped[MAX_DEVICES * 2];	/* "eth1 stays emulated: ..." */
	int nr_skipped;
};

/* Say that a device stays as it is, or what else is left; once. */
__attribute__((format(printf, 2, 3)))
void job_skip(struct job *job, const char *fmt, ...);

/* choose.c: which devices, by the options or by the file; fills the job. */
int job_choose(struct job *job, struct why *why);
void job_forget_choice(struct job *job);

/* rootdisk.c: the plan of --root, and that of --forget. */
int job_plan_root(struct job *job, struct why *why);
int job_plan_forget(struct job *job, struct why *why);

#endif
