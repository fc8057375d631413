// SPDX-License-Identifier: GPL-2.0-only
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "devices.h"
#include "ethstats.h"
#include "samples.h"
#include "sysfs.h"
#include "wholefile.h"
#include "xen.h"

static const char usage[] =
	"Usage: pvhvm metrics [--output FILE] [--sysroot DIR]\n"
	"\n"
	"Show the drivers' state and counters in Prometheus' text format, for the\n"
	"textfile collector of its node_exporter.\n"
	"\n"
	"  --output FILE  put them into FILE, which is replaced as a whole; - is\n"
	"                 standard output\n"
	"  --sysroot DIR  look at a copy of /sys, /proc, /dev and /etc below DIR\n"
	"\n"
	"Exit status: 0 they are written, also when pvhvm does not drive this guest;\n"
	"1 they could not be; 2 usage.\n";

/* One sample with any number of labels: name, value, name, value, NULL. */
__attribute__((sentinel))
static void add(struct samples *s, enum sample_type type, const char *family, const char *help,
		double value, ...)
{
	char *labels = text_copy(""), *longer, *quoted;
	const char *name;
	va_list args;

	va_start(args, value);
	while ((name = va_arg(args, const char *))) {
		quoted = samples_quoted(va_arg(args, const char *));
		longer = text_printf("%s%s%s=%s", labels, *labels ? "," : "", name, quoted);
		free(quoted);
		free(labels);
		labels = longer;
	}
	va_end(args);
	samples_add(s, type, family, help, labels, value);
	free(labels);
}

/* "used 9 parked 0 free 503": a sample for each pair. */
static void add_pairs(struct samples *s, enum sample_type type, const char *family,
		      const char *help, const char *pairs)
{
	const char *label = type == SAMPLE_GAUGE ? "state" : "kind";
	char word[32];
	double value;
	int length;

	while (sscanf(pairs, " %31s %lf%n", word, &value, &length) == 2) {
		pairs += length;
		/* among states, and no state */
		if (!strcmp(word, "rests"))
			add(s, SAMPLE_COUNTER, "pvhvm_event_channel_rests_total",
			    "How often a port rested that brought events without work.", value, NULL);
		else
			add(s, type, family, help, value, label, word, NULL);
	}
}

/* The same of an attribute of the platform device. */
static void add_counts(struct samples *s, const struct xen *xen, const char *attribute,
		       const char *family, const char *help)
{
	char text[128];

	if (sysfs_read(text, sizeof(text), "%s/pvhvm/%s", xen->platform, attribute))
		add_pairs(s, SAMPLE_COUNTER, family, help, text);
}

static bool one_of(const char *name, const char *const *names)
{
	while (*names && strcmp(*names, name))
		names++;
	return *names;
}

static void look_at_xen(struct samples *s, const struct xen *xen)
{
	add(s, SAMPLE_GAUGE, "pvhvm_info", "Versions and modes, as labels.", 1,
	    "version", PVHVM_VERSION, "xen", xen->version, "upcall", xen->upcall,
	    "evtchn_abi", xen->evtchn_abi, "clocksource", xen->clocksource, NULL);
	add(s, SAMPLE_GAUGE, "pvhvm_driven", "Whether pvhvm drives this guest; state says why not.",
	    xen->state == XEN_DRIVEN, "state", xen_state_word(xen->state), NULL);
	for (int i = 0; i < XEN_MODULES; i++)
		add(s, SAMPLE_GAUGE, "pvhvm_module_loaded", "Whether a module is loaded.",
		    xen->modules[i].loaded, "module", xen->modules[i].name, NULL);
	add_pairs(s, SAMPLE_GAUGE, "pvhvm_grants", "Grant references by state.", xen->grants);
	add_pairs(s, SAMPLE_GAUGE, "pvhvm_event_channels", "Event channels by state.", xen->ports);
	add_counts(s, xen, "timer", "pvhvm_timer_total",
		   "Ticks' deadlines that Xen was told, spared, and met early.");
	add_counts(s, xen, "ipis", "pvhvm_ipis_total",
		   "Interrupts between CPUs, by the way they took.");
	add(s, SAMPLE_COUNTER, "pvhvm_resumes_total",
	    "How often the guest was restored or a suspend ended.",
	    sysfs_number(0, "%s/pvhvm/resumes", xen->platform), NULL);
	for (int i = 0; i < xen->nr_classes; i++) {
		const struct xen_class *c = &xen->classes[i];

		add(s, SAMPLE_GAUGE, "pvhvm_emulated_devices", "Emulated devices by class.",
		    c->emulated, "class", c->name, NULL);
		add(s, SAMPLE_GAUGE, "pvhvm_connected_twins",
		    "Connected PV twins of a class of emulated devices.", c->twins,
		    "class", c->name, NULL);
		add(s, SAMPLE_GAUGE, "pvhvm_unplugged",
		    "Whether the host has taken a class of emulated devices away.",
		    !strcmp(c->state, "unplugged"), "class", c->name, NULL);
	}
}

static void look_at_xenstore(struct samples *s)
{
	static const char folder[] = "/sys/devices/pvhvm/xenstore";
	static const char *const gauges[] = { "pending", "watches", "devices", "opens", NULL };
	char **files = sysfs_list("%s", folder);
	char text[128];

	for (char **name = files; *name; name++) {
		bool gauge = one_of(*name, gauges);
		char *family, *help;

		if (!strcmp(*name, "broken")) {
			sysfs_read(text, sizeof(text), "%s/broken", folder);
			add(s, SAMPLE_GAUGE, "pvhvm_xenstore_broken",
			    "Whether the connection to xenstore was given up.",
			    !!strcmp(text, "no"), NULL);
			continue;
		}
		family = text_printf("pvhvm_xenstore_%s%s", *name, gauge ? "" : "_total");
		help = text_printf("The xenstore client's %s %s.", gauge ? "number of" : "counter",
				   *name);
		add(s, gauge ? SAMPLE_GAUGE : SAMPLE_COUNTER, family, help,
		    sysfs_number(0, "%s/%s", folder, *name), NULL);
		free(family);
		free(help);
	}
	sysfs_list_free(files);
}

static void look_at_state(struct samples *s, const char *pvdev, const char *name,
			  const char *state, const char *quarantined)
{
	add(s, SAMPLE_GAUGE, "pvhvm_device_connected", "Whether a PV device is connected.",
	    !strcmp(state, "connected"), "device", pvdev, "name", name, NULL);
	add(s, SAMPLE_GAUGE, "pvhvm_device_quarantined",
	    "Whether a PV device was quarantined because its backend broke the protocol.",
	    !!quarantined[0], "device", pvdev, "name", name, NULL);
}

/* "q3_tx_packets": the queue and the rest; without a queue the name as it is. */
static const char *split_queue(const char *counter, char *queue, size_t size)
{
	size_t digits = strspn(counter + (counter[0] == 'q'), "0123456789");

	queue[0] = '\0';
	if (counter[0] != 'q' || !digits || counter[1 + digits] != '_' || digits >= size)
		return counter;
	text_set(queue, digits + 1, counter + 1);
	return counter + digits + 2;
}

static void look_at_nic(struct samples *s, const struct nic *nic)
{
	static const char *const gauges[] = { "tx_grants_used", "rx_grants_used", "tx_in_flight",
					      "rx_posted", "tx_stopped", NULL };
	struct ethstats stats;

	look_at_state(s, nic->pvdev, nic->name, nic->state, nic->quarantined);
	ethstats_read(&stats, nic->name);
	for (int i = 0; i < stats.count; i++) {
		char queue[8], *family, *help;
		const char *rest = split_queue(stats.names[i], queue, sizeof(queue));
		bool gauge = one_of(rest, gauges);

		family = text_printf("pvhvm_net_%s%s", rest, gauge ? "" : "_total");
		help = text_printf("netfront's %s %s.", gauge ? "number of" : "counter", rest);
		if (queue[0])
			add(s, gauge ? SAMPLE_GAUGE : SAMPLE_COUNTER, family, help, stats.values[i],
			    "device", nic->pvdev, "name", nic->name, "queue", queue, NULL);
		else
			add(s, gauge ? SAMPLE_GAUGE : SAMPLE_COUNTER, family, help, stats.values[i],
			    "device", nic->pvdev, "name", nic->name, NULL);
		free(family);
		free(help);
	}
	ethstats_free(&stats);
}

static void look_at_disk(struct samples *s, const struct disk *disk)
{
	char **files = sysfs_list("/sys/bus/pvhvm/devices/%s/statistics", disk->pvdev);

	look_at_state(s, disk->pvdev, disk->name, disk->state, disk->quarantined);
	add(s, SAMPLE_GAUGE, "pvhvm_disk_held", "Whether a PV disk waits for its emulated twin to go.",
	    disk->held, "device", disk->pvdev, NULL);
	add(s, SAMPLE_GAUGE, "pvhvm_disk_grants_held", "Pages that a PV disk's backend can reach now.",
	    sysfs_number(0, "/sys/bus/pvhvm/devices/%s/grants_held", disk->pvdev),
	    "device", disk->pvdev, "name", disk->name, NULL);
	for (char **name = files; *name; name++) {
		char *family = text_printf("pvhvm_disk_%s_total", *name);
		char *help = text_printf("blkfront's counter %s.", *name);

		add(s, SAMPLE_COUNTER, family, help,
		    sysfs_number(0, "/sys/bus/pvhvm/devices/%s/statistics/%s", disk->pvdev, *name),
		    "device", disk->pvdev, "name", disk->name, NULL);
		free(family);
		free(help);
	}
	sysfs_list_free(files);
}

static char *collect(void)
{
	struct samples s = { 0 };
	struct devices devs;
	struct xen xen;
	char *text;

	xen_look(&xen);
	look_at_xen(&s, &xen);
	if (xen.state == XEN_DRIVEN) {
		look_at_xenstore(&s);
		devices_look(&devs);
		for (int i = 0; i < devs.nr_nics; i++)
			if (devs.nics[i].kind == DEV_PV)
				look_at_nic(&s, &devs.nics[i]);
		for (int i = 0; i < devs.nr_disks; i++)
			if (devs.disks[i].kind == DEV_PV)
				look_at_disk(&s, &devs.disks[i]);
		devices_free(&devs);
	}
	text = samples_text(&s);
	samples_free(&s);
	return text;
}

int command_metrics(int argc, char **argv, struct why *why)
{
	static const struct option longs[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "sysroot", required_argument, NULL, 'S' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	const char *output = "-";
	int c, code;
	char *text;

	while ((c = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
		if (c == 'h')
			return command_help(usage) == COMMAND_HELPED ? PVHVM_OK : PVHVM_FAILED;
		if (c == ':' || c == '?')
			return command_option(c, argv, "metrics", why);
		if (c == 'S' && !sysfs_set_root(optarg))
			return why_set(why, PVHVM_USAGE, "--sysroot: no folder %s", optarg);
		if (c == 'o')
			output = optarg;
	}
	if (optind < argc)
		return why_set(why, PVHVM_USAGE, "unexpected argument %s", argv[optind]);
	text = collect();
	code = wholefile_write(output, text, why);
	free(text);
	return code;
}
