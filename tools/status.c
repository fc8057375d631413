// SPDX-License-Identifier: GPL-2.0-only
#include <getopt.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boottab.h"
#include "commands.h"
#include "devices.h"
#include "json_text.h"
#include "netlink.h"
#include "nic.h"
#include "persist.h"
#include "sysfs.h"
#include "xen.h"

static const char usage[] =
	"Usage: pvhvm status [--json] [--sysroot DIR]\n"
	"\n"
	"Show which Xen this is, which devices are emulated and which are PV, and what\n"
	"`pvhvm switch` would do with each.\n"
	"\n"
	"  --json         the same as JSON\n"
	"  --sysroot DIR  look at a copy of /sys, /proc, /dev and /etc below DIR\n"
	"\n"
	"Exit status: 0 pvhvm drives this guest, 1 the output cannot be written, 2 usage,\n"
	"6 pvhvm does not drive this guest (and why).\n";

#define STR(o, key, value) \
	json_object_object_add(o, key, json_text(value))
#define NUM(o, key, value) \
	json_object_object_add(o, key, json_object_new_int64(value))

#define OUTLOOK 360

/* What a switch would refuse is said before it is tried. */
static void look_for_refusals(struct devices *devs, bool of_this_machine)
{
	struct why why;
	struct netlink *nl = of_this_machine ? netlink_open(&why) : NULL;

	for (int i = 0; nl && i < devs->nr_nics; i++) {
		struct nic *nic = &devs->nics[i];

		if (nic->kind == DEV_EMULATED && !nic->reason[0] && nic_refused(nl, nic, &why))
			text_set(nic->reason, sizeof(nic->reason), why.text);
	}
	netlink_close(nl);
	for (int i = 0; i < devs->nr_disks; i++) {
		struct disk *disk = &devs->disks[i];

		if (disk->kind == DEV_EMULATED && !disk->reason[0] && !disk->use[0] &&
		    boottab_check(disk->name, &why))
			text_set(disk->reason, sizeof(disk->reason), why.text);
	}
}

/* What switch would do with a NIC, in a phrase; "" for those not emulated. */
static void nic_outlook(const struct xen *xen, const struct nic *nic, char *buf, size_t size)
{
	buf[0] = '\0';
	if (nic->kind != DEV_EMULATED)
		return;
	if (xen->state != XEN_DRIVEN)
		snprintf(buf, size, "stays emulated");
	else if (nic->reason[0])
		snprintf(buf, size, "stays emulated: %s", nic->reason);
	else
		snprintf(buf, size, "switch hands it to %s (%s, %s)", nic->twin->name,
			 nic->twin->pvdev, nic->twin->state);
}

static void disk_outlook(const struct xen *xen, const struct disk *disk, char *buf, size_t size)
{
	buf[0] = '\0';
	if (disk->kind == DEV_PV) {
		if (disk->held)
			snprintf(buf, size, "held while its emulated twin is there");
		else if (disk->cdrom)
			snprintf(buf, size, "the emulated CD-ROM stays in use");
		else if (!disk->driver[0])
			snprintf(buf, size, "no driver has taken it");
		return;
	}
	if (disk->kind != DEV_EMULATED)
		return;
	if (xen->state != XEN_DRIVEN)
		snprintf(buf, size, "stays emulated");
	else if (disk->reason[0])
		snprintf(buf, size, "stays emulated: %s", disk->reason);
	else if (disk->use[0])
		snprintf(buf, size, "stays emulated for now: %s", disk->use);
	else
		snprintf(buf, size, "switch replaces it by %s", disk->twin->pvdev);
}

static void print_xen(const struct xen *xen)
{
	const char *advice = xen_advice(xen);

	if (xen->state == XEN_NOT)
		say("No Xen");
	else
		say("Xen %s, %s", xen->version[0] ? xen->version : "(version unknown)",
		    xen->state == XEN_DRIVEN ? "driven by pvhvm" : "not driven by pvhvm");
	if (advice[0])
		say("  %s", advice);
	if (xen->state == XEN_DRIVEN)
		say("  upcall %s, events %s, clocksource %s", xen->upcall, xen->evtchn_abi,
		    xen->clocksource);
	if (xen->grants[0])
		say("  grants %s; ports %s", xen->grants, xen->ports);
	for (int i = 0; i < XEN_MODULES; i++) {
		const struct xen_module *m = &xen->modules[i];

		say("  %-15s %s%s", m->name, m->loaded ? "loaded " : "not loaded", m->version);
	}
	for (int i = 0; i < xen->nr_classes; i++) {
		const struct xen_class *c = &xen->classes[i];

		if (strcmp(c->state, "absent"))
			say("  class %-15s %s (emulated %d, connected twins %d)", c->name,
			    c->state, c->emulated, c->twins);
	}
}

static void print_nics(const struct xen *xen, const struct devices *devs)
{
	char outlook[OUTLOOK];

	if (devs->nr_nics)
		say("Network");
	for (int i = 0; i < devs->nr_nics; i++) {
		const struct nic *nic = &devs->nics[i];

		nic_outlook(xen, nic, outlook, sizeof(outlook));
		say("  %-10s %-9s %s %s%s%s", nic->name, devices_kind_word(nic->kind), nic->mac,
		    nic->kind == DEV_PV ? nic->pvdev : nic->driver,
		    nic->kind == DEV_PV ? " " : "", nic->state);
		if (nic->quarantined[0])
			say("             quarantined: %s", nic->quarantined);
		if (outlook[0])
			say("             %s", outlook);
	}
}

static void print_disks(const struct xen *xen, const struct devices *devs)
{
	char outlook[OUTLOOK], size[32];

	if (devs->nr_disks)
		say("Disks");
	for (int i = 0; i < devs->nr_disks; i++) {
		const struct disk *disk = &devs->disks[i];

		disk_outlook(xen, disk, outlook, sizeof(outlook));
		/* a disk not connected yet has not told its size */
		if (disk->sectors)
			snprintf(size, sizeof(size), "%6.1f GiB", disk->sectors / 2097152.0);
		else
			snprintf(size, sizeof(size), "%10s", "-");
		say("  %-10s %-9s %s %s%s%s", disk->name[0] ? disk->name : "-",
		    devices_kind_word(disk->kind), size,
		    disk->kind == DEV_PV ? disk->pvdev : disk->driver,
		    disk->state[0] ? " " : "", disk->state);
		if (disk->quarantined[0])
			say("             quarantined: %s", disk->quarantined);
		if (outlook[0])
			say("             %s", outlook);
	}
}

static struct json_object *xen_json(const struct xen *xen)
{
	struct json_object *o = json_object_new_object();
	struct json_object *list = json_object_new_array(), *m;

	STR(o, "state", xen_state_word(xen->state));
	STR(o, "advice", xen_advice(xen));
	STR(o, "version", xen->version);
	STR(o, "upcall", xen->upcall);
	STR(o, "evtchn_abi", xen->evtchn_abi);
	STR(o, "grants", xen->grants);
	STR(o, "ports", xen->ports);
	STR(o, "clocksource", xen->clocksource);
	for (int i = 0; i < XEN_MODULES; i++) {
		m = json_object_new_object();
		STR(m, "name", xen->modules[i].name);
		json_object_object_add(m, "loaded", json_object_new_boolean(xen->modules[i].loaded));
		STR(m, "version", xen->modules[i].version);
		json_object_array_add(list, m);
	}
	json_object_object_add(o, "modules", list);
	list = json_object_new_array();
	for (int i = 0; i < xen->nr_classes; i++) {
		m = json_object_new_object();
		STR(m, "name", xen->classes[i].name);
		STR(m, "state", xen->classes[i].state);
		NUM(m, "emulated", xen->classes[i].emulated);
		NUM(m, "twins", xen->classes[i].twins);
		json_object_array_add(list, m);
	}
	json_object_object_add(o, "classes", list);
	return o;
}

static struct json_object *nic_json(const struct xen *xen, const struct nic *nic)
{
	struct json_object *o = json_object_new_object();
	char outlook[OUTLOOK];

	nic_outlook(xen, nic, outlook, sizeof(outlook));
	STR(o, "name", nic->name);
	STR(o, "kind", devices_kind_word(nic->kind));
	STR(o, "mac", nic->mac);
	STR(o, "driver", nic->driver);
	STR(o, "pci", nic->pci);
	STR(o, "pv_device", nic->pvdev);
	STR(o, "state", nic->state);
	STR(o, "quarantined", nic->quarantined);
	STR(o, "twin", nic->twin ? nic->twin->name : "");
	json_object_object_add(o, "switchable", json_object_new_boolean(
		xen->state == XEN_DRIVEN && nic->kind == DEV_EMULATED && !nic->reason[0]));
	STR(o, "outlook", outlook);
	return o;
}

static struct json_object *disk_json(const struct xen *xen, const struct disk *disk)
{
	struct json_object *o = json_object_new_object();
	char outlook[OUTLOOK];

	disk_outlook(xen, disk, outlook, sizeof(outlook));
	STR(o, "name", disk->name);
	STR(o, "kind", devices_kind_word(disk->kind));
	NUM(o, "sectors", disk->sectors);
	STR(o, "driver", disk->driver);
	STR(o, "pci", disk->pci);
	STR(o, "pv_device", disk->pvdev);
	NUM(o, "vdev", disk->vdev);
	STR(o, "state", disk->state);
	STR(o, "quarantined", disk->quarantined);
	json_object_object_add(o, "held", json_object_new_boolean(disk->held));
	json_object_object_add(o, "cdrom", json_object_new_boolean(disk->cdrom));
	STR(o, "twin", !disk->twin ? "" :
	    disk->kind == DEV_PV ? disk->twin->name : disk->twin->pvdev);
	STR(o, "use", disk->use);
	json_object_object_add(o, "switchable", json_object_new_boolean(
		xen->state == XEN_DRIVEN && disk->kind == DEV_EMULATED &&
		!disk->reason[0] && !disk->use[0]));
	STR(o, "outlook", outlook);
	return o;
}

static void print_json(const struct xen *xen, const struct devices *devs,
		       const struct persist *persist)
{
	struct json_object *o = json_object_new_object();
	struct json_object *nics = json_object_new_array();
	struct json_object *disks = json_object_new_array();
	char *text;

	for (int i = 0; i < devs->nr_nics; i++)
		json_object_array_add(nics, nic_json(xen, &devs->nics[i]));
	for (int i = 0; i < devs->nr_disks; i++)
		json_object_array_add(disks, disk_json(xen, &devs->disks[i]));
	STR(o, "version", PVHVM_VERSION);
	json_object_object_add(o, "xen", xen_json(xen));
	json_object_object_add(o, "nics", nics);
	json_object_object_add(o, "disks", disks);
	json_object_object_add(o, "persistent", json_object_new_boolean(!persist_is_empty(persist)));
	text = text_printf("%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY |
								    JSON_C_TO_STRING_SPACED));
	say_raw(text);
	free(text);
	json_object_put(o);
}

static void print_persist(const struct persist *p)
{
	char *disks = p->root ? text_copy("all disks") :
		      text_printf("%d disk%s", p->nr_vdevs, p->nr_vdevs == 1 ? "" : "s");
	char *nics = p->all_nics ? text_copy("all NICs") :
		     text_printf("%d NIC%s", p->nr_nics, p->nr_nics == 1 ? "" : "s");

	if (!persist_is_empty(p))
		say("%s: %s and %s to be switched at boot", PERSIST_CONF, nics, disks);
	free(nics);
	free(disks);
}

int command_status(int argc, char **argv, struct why *why)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "sysroot", required_argument, NULL, 'S' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	struct persist persist;
	struct devices devs;
	struct xen xen;
	bool json = false, elsewhere = false;
	int c;

	while ((c = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
		if (c == 'h')
			return command_help(usage) == COMMAND_HELPED ? PVHVM_OK : PVHVM_FAILED;
		if (c == ':' || c == '?')
			return command_option(c, argv, "status", why);
		if (c == 'S' && !sysfs_set_root(optarg))
			return why_set(why, PVHVM_USAGE, "--sysroot: no folder %s", optarg);
		json |= c == 'j';
		elsewhere |= c == 'S';
	}
	if (optind < argc)
		return why_set(why, PVHVM_USAGE, "unexpected argument %s", argv[optind]);
	xen_look(&xen);
	devices_look(&devs);
	if (xen.state == XEN_DRIVEN)
		look_for_refusals(&devs, !elsewhere);
	persist_read(&persist);
	if (json) {
		print_json(&xen, &devs, &persist);
	} else {
		print_xen(&xen);
		print_nics(&xen, &devs);
		print_disks(&xen, &devs);
		print_persist(&persist);
	}
	devices_free(&devs);
	persist_free(&persist);
	return xen.state == XEN_DRIVEN ? PVHVM_OK : PVHVM_NO_DRIVERS;
}
