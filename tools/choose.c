// SPDX-License-Identifier: GPL-2.0-only
/* choose.c: which devices a switch takes, and why the others stay. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "boottab.h"
#include "job.h"

void job_skip(struct job *job, const char *fmt, ...)
{
	char line[400];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	/* while a boot waits for twins it looks again and again */
	for (int i = 0; i < job->nr_skipped; i++)
		if (!strcmp(job->skipped[i], line))
			return;
	if (job->nr_skipped < MAX_DEVICES * 2)
		job->skipped[job->nr_skipped++] = text_copy(line);
	say("%s", line);
}

/* Take a NIC into the job. A named one that cannot go is an error. */
static int add_nic(struct job *job, const struct nic *nic, bool named, struct why *why)
{
	struct nic_switch *ns = &job->nics[job->nr_nics];
	int code = PVHVM_OK;

	for (int i = 0; i < job->nr_nics; i++)
		if (!strcmp(job->nics[i].name, nic->name))
			return PVHVM_OK;
	if (job->nr_nics == MAX_DEVICES)
		return PVHVM_OK;
	if (nic->reason[0])
		code = why_set(why, PVHVM_NOTHING, "%s stays emulated: %s; see `pvhvm status`",
			       nic->name, nic->reason);
	if (!code) {
		code = nic_begin(ns, job->nl, nic, !job->opt.dry_run && !job->opt.boot,
				 job->opt.wait, why);
		if (code)
			nic_end(ns);
		else
			job->nr_nics++;
	}
	if (!code && ns->cfg.notes[0])
		say_err("pvhvm: %s: %s", nic->name, ns->cfg.notes);
	if (code && !named) {
		job_skip(job, "%s", why->text);
		code = PVHVM_OK;
	}
	return code;
}

static int add_disk(struct job *job, const struct disk *disk, bool named, struct why *why)
{
	struct disk_switch *ds = &job->disks[job->nr_disks];
	int code = PVHVM_OK;

	for (int i = 0; i < job->nr_disks; i++)
		if (!strcmp(job->disks[i].name, disk->name))
			return PVHVM_OK;
	if (job->nr_disks == MAX_DEVICES)
		return PVHVM_OK;
	if (disk->reason[0])
		code = why_set(why, PVHVM_NOTHING, "%s stays emulated: %s; see `pvhvm status`",
			       disk->name, disk->reason);
	if (!code && !job->opt.no_persist)
		code = boottab_check(disk->name, why);
	if (!code)
		code = disk_begin(ds, disk, job->opt.wait, why);
	if (!code) {
		job->nr_disks++;
		if (!strcmp(disk->driver, "ata_piix"))
			job->ide_disk_moved = true;
	} else if (!named) {
		job_skip(job, "%s stays emulated: %s", disk->name,
			 disk->use[0] ? disk->use : why->text);
		code = PVHVM_OK;
	}
	return code;
}

static int not_emulated(const char *name, bool found, enum dev_kind kind, struct why *why)
{
	if (!found)
		return why_set(why, PVHVM_NOTHING, "there is no device %s; `pvhvm status` lists them", name);
	if (kind == DEV_PV)
		return why_set(why, PVHVM_NOTHING, "%s is a PV device already: nothing to do", name);
	return why_set(why, PVHVM_NOTHING,
		       "%s is not an emulated device of this guest: only those have PV twins", name);
}

static int choose_nics(struct job *job, struct why *why)
{
	for (int i = 0; i < job->opt.nr_nics; i++) {
		const char *name = job->opt.nics[i];
		struct nic *nic = devices_nic(&job->devs, name);
		int code;

		if (!nic || nic->kind != DEV_EMULATED)
			code = not_emulated(name, nic || if_nametoindex(name),
					    nic ? nic->kind : DEV_OTHER, why);
		else
			code = add_nic(job, nic, true, why);
		if (code)
			return code;
	}
	for (int i = 0; i < job->devs.nr_nics && job->opt.all_nics; i++)
		if (job->devs.nics[i].kind == DEV_EMULATED)
			add_nic(job, &job->devs.nics[i], false, why);
	return PVHVM_OK;
}

static int choose_disks(struct job *job, struct why *why)
{
	for (int i = 0; i < job->opt.nr_disks; i++) {
		const char *name = job->opt.disks[i];
		struct disk *disk = devices_disk(&job->devs, name);
		int code;

		if (!disk || disk->kind != DEV_EMULATED)
			code = not_emulated(name, disk, disk ? disk->kind : DEV_OTHER, why);
		else
			code = add_disk(job, disk, true, why);
		if (code)
			return code;
	}
	for (int i = 0; i < job->devs.nr_disks && job->opt.all_disks; i++)
		if (job->devs.disks[i].kind == DEV_EMULATED)
			add_disk(job, &job->devs.disks[i], false, why);
	return PVHVM_OK;
}

/* It has no emulated half: it comes under a name of the kernel's. */
static void add_name(struct job *job, const struct nic *nic, const char *name)
{
	struct nic_name *nn = &job->names[job->nr_names];

	if (!name[0] || !strcmp(nic->name, name) || job->nr_names == MAX_DEVICES)
		return;
	nn->nl = job->nl;
	text_set(nn->from, sizeof(nn->from), nic->name);
	text_set(nn->to, sizeof(nn->to), name);
	job->nr_names++;
}

/* At boot: true if @nic could be taken into the job, or need not be. */
static bool choose_nic(struct job *job, struct nic *nic, const char *what, bool complain,
		       struct why *why)
{
	if (nic && !nic->reason[0])
		add_nic(job, nic, false, why);
	else if (complain)
		job_skip(job, "NIC %s: %s", what,
			 nic ? nic->reason : "no such emulated NIC (any more)");
	return nic && !nic->reason[0];
}

static int choose_remembered_nics(struct job *job, bool complain, struct why *why)
{
	int missing = 0;

	for (int i = 0; i < job->persist.nr_nics; i++) {
		const struct persist_nic *line = &job->persist.nics[i];
		struct nic *nic = devices_nic(&job->devs, line->mac);
		struct nic *pv = nic ? NULL : devices_lone_nic(&job->devs, line->mac);

		if (pv)
			add_name(job, pv, line->name);
		else
			missing += !choose_nic(job, nic, line->mac, complain, why);
	}
	if (!job->persist.all_nics)
		return missing;
	/* also those that wait for their driver */
	missing += devices_count_emulated_nics();
	for (int i = 0; i < job->devs.nr_nics; i++) {
		struct nic *nic = &job->devs.nics[i];

		if (nic->kind == DEV_EMULATED)
			missing -= choose_nic(job, nic, nic->name, complain, why);
	}
	return missing;
}

/* At boot: devices of the file whose emulated side and twin are there. */
static int choose_remembered(struct job *job, bool complain, struct why *why)
{
	int missing = choose_remembered_nics(job, complain, why);

	for (int i = 0; i < job->persist.nr_vdevs; i++) {
		struct disk *found = NULL;
		bool pv = false;

		for (int j = 0; j < job->devs.nr_disks; j++) {
			struct disk *disk = &job->devs.disks[j];

			if (disk->vdev != job->persist.vdevs[i])
				continue;
			if (disk->kind == DEV_EMULATED)
				found = disk;
			pv |= disk->kind == DEV_PV && !strcmp(disk->state, "connected");
		}
		/* in the initramfs already */
		if (pv && !found)
			continue;
		if (found && !found->reason[0])
			add_disk(job, found, false, why);
		else
			missing++;
		if (complain && (!found || found->reason[0]))
			job_skip(job, "disk %ld: %s", job->persist.vdevs[i],
				 found ? found->reason : "no such emulated disk (any more)");
	}
	return missing;
}

void job_forget_choice(struct job *job)
{
	for (int i = 0; i < job->nr_nics; i++)
		nic_end(&job->nics[i]);
	for (int i = 0; i < job->nr_disks; i++)
		disk_end(&job->disks[i]);
	job->nr_nics = 0;
	job->nr_disks = 0;
	job->nr_names = 0;
	job->ide_disk_moved = false;
}

static int choose_at_boot(struct job *job, struct why *why)
{
	double end = text_now() + job->opt.wait;
	bool last;

	if (persist_is_empty(&job->persist))
		return why_set(why, PVHVM_NOTHING, "%s names no device", PERSIST_CONF);
	do {
		last = text_now() > end;
		xen_look(&job->xen);
		devices_free(&job->devs);
		devices_look(&job->devs);
		job_forget_choice(job);
		/* Twins connect one after the other while the modules load. */
		if (!choose_remembered(job, last, why))
			break;
		if (!last)
			usleep(200000);
	} while (!last);
	return xen_need(&job->xen, why);
}

int job_choose(struct job *job, struct why *why)
{
	int code;

	if (job->opt.boot)
		return choose_at_boot(job, why);
	code = xen_need(&job->xen, why);
	if (!code)
		code = choose_nics(job, why);
	if (!code)
		code = choose_disks(job, why);
	return code;
}
