// SPDX-License-Identifier: GPL-2.0-only
/* switch.c: the subcommand: its options, the steps, what came of it. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "commands.h"
#include "job.h"
#include "json_text.h"
#include "sysfs.h"

#define WAIT_DEFAULT 10.0
#define WAIT_MAX 600.0

static const char usage[] =
	"Usage: pvhvm switch [--dry-run] [--nic IFACE]... [--all-nics] [--disk DEV]...\n"
	"                    [--all-disks] [--no-persist] [--wait SECONDS] [--json]\n"
	"       pvhvm switch --root\n"
	"       pvhvm switch --forget\n"
	"\n"
	"Hand emulated devices over to their PV twins while the system runs: names,\n"
	"addresses, routes and open connections stay. Without --nic or --disk: all NICs\n"
	"and all unused disks that have a twin. If a step fails, all are undone.\n"
	"\n"
	"  --nic IFACE      this network interface (name or MAC address); may be repeated\n"
	"  --all-nics       all emulated NICs with a connected PV twin\n"
	"  --disk DEV       this emulated disk (sdb or /dev/sdb); may be repeated\n"
	"  --all-disks      all unused emulated disks with a PV twin\n"
	"  --dry-run        print the steps and their undo; change nothing\n"
	"  --no-persist     do not do it again at the next boot\n"
	"  --root           from the next boot on all disks, the root disk included: they\n"
	"                   change over in the initramfs, which is made anew\n"
	"  --forget         boot with the emulated devices again: remove " PERSIST_CONF "\n"
	"  --boot           do what " PERSIST_CONF " says; always exits with 0\n"
	"  --wait SECONDS   how long to wait for a device or an answer (default 10)\n"
	"  --json           the result as JSON on standard output\n"
	"  --sysroot DIR    look at a copy of /sys, /proc, /dev and /etc below DIR\n"
	"\n"
	"Exit status: 0 done, 1 failed and undone, 2 usage, 3 not root, 4 nothing to do,\n"
	"5 refused or in use, 6 drivers not active, 7 failed and not all undone. See\n"
	"pvhvm(8).\n";

static int parse(int argc, char **argv, struct options *opt, struct why *why)
{
	static const struct option longs[] = {
		{ "dry-run", no_argument, NULL, 'n' },
		{ "json", no_argument, NULL, 'j' },
		{ "nic", required_argument, NULL, 'N' },
		{ "all-nics", no_argument, NULL, 'A' },
		{ "disk", required_argument, NULL, 'D' },
		{ "all-disks", no_argument, NULL, 'B' },
		{ "no-persist", no_argument, NULL, 'P' },
		{ "forget", no_argument, NULL, 'F' },
		{ "root", no_argument, NULL, 'R' },
		{ "boot", no_argument, NULL, 'b' },
		{ "wait", required_argument, NULL, 'w' },
		{ "sysroot", required_argument, NULL, 'S' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	int c;

	opt->wait = WAIT_DEFAULT;
	while ((c = getopt_long(argc, argv, ":hn", longs, NULL)) != -1) {
		switch (c) {
		case 'n': opt->dry_run = true; break;
		case 'j': opt->json = true; break;
		case 'A': opt->all_nics = true; break;
		case 'B': opt->all_disks = true; break;
		case 'P': opt->no_persist = true; break;
		case 'F': opt->forget = true; break;
		case 'R': opt->root = true; break;
		case 'b': opt->boot = true; break;
		case 'N':
		case 'D':
			if ((c == 'N' ? opt->nr_nics : opt->nr_disks) == MAX_DEVICES)
				return why_set(why, PVHVM_USAGE, "more than %d devices", MAX_DEVICES);
			if (c == 'N')
				opt->nics[opt->nr_nics++] = optarg;
			else
				opt->disks[opt->nr_disks++] = optarg;
			break;
		case 'w':
			if (!command_number(optarg, 0.1, WAIT_MAX, &opt->wait))
				return why_set(why, PVHVM_USAGE, "--wait wants seconds from 0.1 to %.0f", WAIT_MAX);
			break;
		case 'S':
			if (!sysfs_set_root(optarg))
				return why_set(why, PVHVM_USAGE, "--sysroot: no folder %s", optarg);
			break;
		case 'h': return command_help(usage);
		default: return command_option(c, argv, "switch", why);
		}
	}
	if (optind < argc)
		return why_set(why, PVHVM_USAGE, "unexpected argument %s; name devices by --nic or --disk",
			       argv[optind]);
	if ((opt->boot || opt->forget || opt->root) &&
	    (opt->boot + opt->forget + opt->root > 1 || opt->nr_nics || opt->nr_disks ||
	     opt->all_nics || opt->all_disks))
		return why_set(why, PVHVM_USAGE, "--boot, --root and --forget stand alone: devices come from %s",
			       PERSIST_CONF);
	if (opt->root && opt->no_persist)
		return why_set(why, PVHVM_USAGE, "--root is for the next boot: it cannot be had with --no-persist");
	if (!opt->nr_nics && !opt->nr_disks && !opt->all_nics && !opt->all_disks && !opt->boot)
		opt->all_nics = opt->all_disks = true;
	return PVHVM_OK;
}

static int unplug_nics(void *arg, struct why *why)
{
	struct job *job = arg;

	return xen_unplug(&job->xen, "nics", why);
}

static int unplug_ide(void *arg, struct why *why)
{
	struct job *job = arg;

	return xen_unplug(&job->xen, "ide-disks", why);
}

static void plan_persist(struct job *job, struct persist *p, bool nics)
{
	if (job->opt.no_persist || job->opt.boot)
		return;
	persist_read(p);
	for (int i = 0; i < job->nr_disks; i++)
		persist_add_disk(p, job->disks[i].vdev);
	for (int i = 0; i < job->nr_nics && nics; i++)
		persist_add_nic(p, job->nics[i].mac, job->nics[i].name);
	plan_add(&job->plan, persist_save, persist_put_back, p,
		 text_printf("write %s, so that the next boot does this again", PERSIST_CONF),
		 text_printf("put the file back as it was"));
}

static void plan_disks(struct job *job)
{
	int emulated = 0;

	for (int i = 0; i < job->nr_disks; i++)
		disk_plan(&job->plan, &job->disks[i]);
	plan_persist(job, &job->with_disks, false);
	for (int i = 0; i < job->devs.nr_disks; i++)
		emulated += job->devs.disks[i].kind == DEV_EMULATED;
	if (job->nr_disks != emulated)
		job_skip(job, "not every emulated disk is switched, so the host keeps them: a SCSI rescan or reboot shows them again");
	else if (!job->ide_disk_moved)
		job_skip(job, "not every host can unplug SATA disks, so it keeps them: a SCSI rescan or reboot shows them again");
	else
		plan_add_final(&job->plan, unplug_ide, job,
			       text_printf("unplug the class ide-disks: the host takes them away until the next reset"));
}

/*
 * Whatever comes of it, the NICs are switched: that is no reason to undo. It
 * says on standard error what is left to do.
 */
static int restart_dhcp(void *arg, struct why *why)
{
	struct job *job = arg;

	if (dhcp_restart(&job->dhcp, why))
		job_skip(job, "%s", why->text);
	return PVHVM_OK;
}

static void plan_dhcp(struct job *job)
{
	char *names;

	for (int i = 0; i < job->nr_nics; i++)
		nic_find_dhcp(&job->nics[i], &job->dhcp);
	if (!job->dhcp.n)
		return;
	names = dhcp_names(&job->dhcp);
	plan_add(&job->plan, restart_dhcp, NULL, job,
		 text_printf("start %s anew, which would not renew the lease by the PV interface", names),
		 NULL);
	free(names);
}

static void plan_nics(struct job *job)
{
	for (int i = 0; i < job->nr_nics; i++)
		nic_plan_move(&job->plan, &job->nics[i]);
	for (int i = 0; i < job->nr_nics; i++)
		nic_plan_remove(&job->plan, &job->nics[i]);
	plan_persist(job, &job->with_all, true);
	/* It takes them all, so each one must have been moved. */
	if (job->nr_nics == devices_count_emulated_nics())
		plan_add_final(&job->plan, unplug_nics, job,
			       text_printf("unplug the class nics: the host takes them away until the next reset"));
	else
		job_skip(job, "not every emulated NIC is switched, so the host keeps them: a PCI rescan or reboot shows them again");
	for (int i = 0; i < job->nr_nics; i++)
		nic_plan_refresh(&job->plan, &job->nics[i]);
	plan_dhcp(job);
}

static struct json_object *devices_json(const struct job *job)
{
	struct json_object *list = json_object_new_array(), *o;

	for (int i = 0; i < job->nr_nics; i++) {
		const struct nic_switch *ns = &job->nics[i];

		o = json_object_new_object();
		json_object_object_add(o, "nic", json_text(ns->name));
		json_object_object_add(o, "mac", json_text(ns->mac));
		json_object_object_add(o, "was", json_text(ns->pv_name));
		if (ns->moved)
			json_object_object_add(o, "outage_seconds",
					       json_object_new_double(ns->outage));
		if (ns->peer)
			json_object_object_add(o, "verified_by", json_text(ns->peer_text));
		if (ns->cfg.notes[0])
			json_object_object_add(o, "notes", json_text(ns->cfg.notes));
		json_object_array_add(list, o);
	}
	for (int i = 0; i < job->nr_disks; i++) {
		const struct disk_switch *ds = &job->disks[i];

		o = json_object_new_object();
		json_object_object_add(o, "disk", json_text(ds->name));
		json_object_object_add(o, "vdev", json_object_new_int64(ds->vdev));
		json_object_object_add(o, "pv_disk", json_text(ds->pv_name));
		json_object_array_add(list, o);
	}
	return list;
}

static void print_json(const struct job *job, int code, const struct why *why)
{
	struct json_object *o = json_object_new_object();
	struct json_object *skipped = json_object_new_array();
	char *text;

	for (int i = 0; i < job->nr_skipped; i++)
		json_object_array_add(skipped, json_text(job->skipped[i]));
	json_object_object_add(o, "exit", json_object_new_int(code));
	json_object_object_add(o, "message", json_text(why->text));
	json_object_object_add(o, "dry_run", json_object_new_boolean(job->opt.dry_run));
	json_object_object_add(o, "devices", devices_json(job));
	json_object_object_add(o, "steps", plan_json(&job->plan));
	json_object_object_add(o, "skipped", skipped);
	text = text_printf("%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY |
								    JSON_C_TO_STRING_SPACED));
	say_raw(text);
	free(text);
	json_object_put(o);
}

static void print_outcome(const struct job *job)
{
	if (job->opt.root)
		say("the next boot hands over all disks in the initramfs; pvhvm.root=0 on the kernel's command line keeps it from that");
	for (int i = 0; i < job->nr_disks; i++)
		say("%s is now %s (PV, %s)", job->disks[i].name, job->disks[i].pv_name,
		    job->disks[i].pvdev);
	for (int i = 0; i < job->nr_nics; i++) {
		const struct nic_switch *ns = &job->nics[i];

		if (ns->moved)
			say("%s is now PV: outage %.0f ms%s%s", ns->name, ns->outage * 1e3,
			    ns->peer ? ", verified with " : "", ns->peer_text);
		else
			say("%s is now PV (it was down)", ns->name);
	}
}

/* Two at once would undo each other's steps. */
static int take_lock(struct why *why)
{
	char *path = sysfs_file("/run/pvhvm-switch.lock");
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int err = fd < 0 ? errno : 0;

	free(path);
	if (fd < 0)
		return why_set(why, PVHVM_FAILED, "cannot open the lock /run/pvhvm-switch.lock: %s",
			       strerror(err));
	/* Held until the process ends. */
	if (flock(fd, LOCK_EX | LOCK_NB))
		return why_set(why, PVHVM_REFUSED, "another pvhvm switch is running: wait for it");
	return PVHVM_OK;
}

/* Each class ends with the one step that has no way back, or nothing to undo. */
static int plan_devices(struct job *job, struct why *why)
{
	int code;

	job->nl = netlink_open(why);
	if (!job->nl)
		return PVHVM_FAILED;
	xen_look(&job->xen);
	devices_look(&job->devs);
	code = job_choose(job, why);
	if (code)
		return code;
	/* At boot nothing may be left, because the initramfs has done it. */
	if (!job->nr_nics && !job->nr_disks && !job->nr_names &&
	    (!job->opt.boot || job->nr_skipped))
		return why_set(why, PVHVM_NOTHING, "no emulated device can be switched; `pvhvm status` says why");
	if (job->nr_disks)
		plan_disks(job);
	for (int i = 0; i < job->nr_names; i++)
		nic_plan_name(&job->plan, &job->names[i]);
	if (job->nr_nics)
		plan_nics(job);
	return PVHVM_OK;
}

static int run(struct job *job, struct why *why)
{
	int code;

	if (!job->opt.dry_run && geteuid())
		return why_set(why, PVHVM_NOT_ROOT, "switching devices needs root: run it with sudo, or see --dry-run");
	if (!job->opt.dry_run) {
		code = take_lock(why);
		if (code)
			return code;
	}
	persist_read(&job->persist);
	if (job->opt.forget)
		code = job_plan_forget(job, why);
	else if (job->opt.root)
		code = job_plan_root(job, why);
	else
		code = plan_devices(job, why);
	if (code)
		return code;
	if (job->opt.dry_run) {
		plan_print(&job->plan);
		return PVHVM_OK;
	}
	code = plan_run(&job->plan, why);
	if (!code)
		print_outcome(job);
	return code;
}

static void end(struct job *job)
{
	job_forget_choice(job);
	dhcp_free(&job->dhcp);
	plan_free(&job->plan);
	persist_free(&job->persist);
	persist_free(&job->with_disks);
	persist_free(&job->with_all);
	devices_free(&job->devs);
	netlink_close(job->nl);
	for (int i = 0; i < job->nr_skipped; i++)
		free(job->skipped[i]);
	free(job);
}

int command_switch(int argc, char **argv, struct why *why)
{
	struct job *job = text_alloc(sizeof(*job));
	int code = parse(argc, argv, &job->opt, why);

	if (code) {
		free(job);
		return code == COMMAND_HELPED ? PVHVM_OK : code;
	}
	say_quiet(job->opt.json);
	code = run(job, why);
	/* Nothing about a switch may keep a guest from booting. */
	if (job->opt.boot && code) {
		say_err("pvhvm: %s%s", why->text,
			code == PVHVM_PARTIAL ? "" : "; booting with the emulated devices");
		code = PVHVM_OK;
	}
	if (!code)
		why->text[0] = '\0';
	if (job->opt.json)
		print_json(job, code, why);
	end(job);
	return code;
}
