// SPDX-License-Identifier: GPL-2.0-only
/* bench.c: the subcommand: which rows, in which order, how often. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "child.h"
#include "commands.h"
#include "devices.h"
#include "json_text.h"
#include "measure.h"
#include "results.h"
#include "sysfs.h"
#include "wholefile.h"
#include "xen.h"

#define FILE_NAME "pvhvm-bench.tmp"
#define DEFAULT_PORT 5201
#define DEFAULT_SECONDS 3
#define DEFAULT_ROUNDS 3
#define DEFAULT_SIZE_MIB 128

struct options {
	const char *nic, *peer, *disk, *dir, *json, *label, *only;
	double port, rounds, seconds, size;
	bool overwrite, clock_check;
};

struct bench {
	struct options opt;
	char nic[IFNAMSIZ];		/* the way to the peer */
	char source[64];		/* our address on it, if --nic was given */
	char net_variant[24], disk_variant[24];
	char *path;			/* what fio reads and writes */
	bool path_is_file;
	bool rows[ROWS];
	struct results results;
	struct clock_now start, end;
	int failures;
};

static const char usage[] =
	"Usage: pvhvm bench [--peer IP [--nic IFACE] [--port N]] [--dir DIR | --disk DEV]\n"
	"                   [--rounds N] [--seconds S] [--only net|disk|ROW[,ROW]...]\n"
	"                   [--label NAME] [--json FILE] [--clock-check]\n"
	"\n"
	"Measure network (iperf3 and ping, against `iperf3 -s` on the peer) and disk (fio).\n"
	"\n"
	"  --peer IP       the host that runs `iperf3 -s`\n"
	"  --nic IFACE     go by this interface\n"
	"  --port N        the server's port (default 5201)\n"
	"  --dir DIR       measure in a file in DIR, removed afterwards\n"
	"  --disk DEV      measure a block device; reads only, unless\n"
	"  --overwrite     lets the write rows destroy what is on DEV\n"
	"  --size MIB      size of the file in DIR (default 128)\n"
	"  --rounds N      each row N times (default 3)\n"
	"  --seconds S     each time so long (default 3)\n"
	"  --only LIST     net, disk or names of rows, separated by commas\n"
	"  --label NAME    what to call this variant (default: emulated, pvhvm,\n"
	"                  inkernel or other, by the drivers in use)\n"
	"  --json FILE     write the results for `pvhvm report`; - is standard output\n"
	"  --clock-check   also record how the clocks went, and the peer's\n"
	"\n"
	"Rows: net.tcp_tx net.tcp_rx net.rtt disk.randread_4k_qd1 disk.randread_4k_qd32\n"
	"      disk.randwrite_4k_qd32 disk.read_1m_qd4 disk.write_1m_qd4\n"
	"\n"
	"Exit status: 0 done, 1 a row failed, 2 usage, 3 not root, 4 no such device, 5 in use,\n"
	"8 fio or iperf3 is missing. See pvhvm(8).\n";

static int number(const char *name, const char *s, double min, double max,
		  double *value, struct why *why)
{
	if (command_number(s, min, max, value))
		return PVHVM_OK;
	return why_set(why, PVHVM_USAGE, "--%s wants a number from %.10g to %.10g", name, min, max);
}

static int whole_number(const char *name, const char *s, double max, double *value,
			struct why *why)
{
	int code = number(name, s, 1, max, value, why);

	if (!code && *value != (int)*value)
		return why_set(why, PVHVM_USAGE, "--%s wants a whole number", name);
	return code;
}

/* A name in a table, and a key in JSON. */
static int check_label(const char *label, struct why *why)
{
	const size_t most = sizeof(((struct variant *)0)->name) - 1;

	for (const char *s = label; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 127)
			return why_set(why, PVHVM_USAGE, "--label wants a name in one line");
	if (!*label || strlen(label) > most)
		return why_set(why, PVHVM_USAGE, "--label wants 1 to %zu characters", most);
	return PVHVM_OK;
}

static int parse(int argc, char **argv, struct options *opt, struct why *why)
{
	static const struct option longs[] = {
		{ "nic", required_argument, NULL, 'N' },
		{ "peer", required_argument, NULL, 'P' },
		{ "port", required_argument, NULL, 'p' },
		{ "disk", required_argument, NULL, 'D' },
		{ "dir", required_argument, NULL, 'd' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "seconds", required_argument, NULL, 's' },
		{ "size", required_argument, NULL, 'z' },
		{ "json", required_argument, NULL, 'j' },
		{ "label", required_argument, NULL, 'l' },
		{ "only", required_argument, NULL, 'o' },
		{ "overwrite", no_argument, NULL, 'O' },
		{ "clock-check", no_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	int c, code = PVHVM_OK;

	*opt = (struct options) {
		.port = DEFAULT_PORT, .rounds = DEFAULT_ROUNDS,
		.seconds = DEFAULT_SECONDS, .size = DEFAULT_SIZE_MIB,
	};
	while (!code && (c = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
		switch (c) {
		case 'N': opt->nic = optarg; break;
		case 'P': opt->peer = optarg; break;
		case 'D': opt->disk = optarg; break;
		case 'd': opt->dir = optarg; break;
		case 'j': opt->json = optarg; break;
		case 'l': code = check_label(opt->label = optarg, why); break;
		case 'o': opt->only = optarg; break;
		case 'O': opt->overwrite = true; break;
		case 'c': opt->clock_check = true; break;
		case 'p': code = whole_number("port", optarg, 65535, &opt->port, why); break;
		case 'r': code = whole_number("rounds", optarg, 1000, &opt->rounds, why); break;
		case 's': code = number("seconds", optarg, 0.1, 3600, &opt->seconds, why); break;
		case 'z': code = number("size", optarg, 1, 1 << 20, &opt->size, why); break;
		case 'h': return command_help(usage);
		default: return command_option(c, argv, "bench", why);
		}
	}
	if (code)
		return code;
	if (optind < argc)
		return why_set(why, PVHVM_USAGE, "unexpected argument %s", argv[optind]);
	if (!opt->peer && !opt->disk && !opt->dir)
		return why_set(why, PVHVM_USAGE, "nothing to measure: give --peer, --dir or --disk");
	if (opt->disk && opt->dir)
		return why_set(why, PVHVM_USAGE, "--disk and --dir exclude each other");
	if (opt->nic && !opt->peer)
		return why_set(why, PVHVM_USAGE, "--nic needs --peer");
	if ((opt->peer && !*opt->peer) || (opt->disk && !*opt->disk) || (opt->dir && !*opt->dir))
		return why_set(why, PVHVM_USAGE, "--peer, --dir and --disk want a name: is a variable empty?");
	return PVHVM_OK;
}

/* "net,disk.read_1m_qd4" */
static int choose_rows(struct bench *b, struct why *why)
{
	char *list = text_copy(b->opt.only ? b->opt.only : "net,disk"), *save = NULL;
	int code = PVHVM_OK;

	for (char *s = strtok_r(list, ",", &save); s && !code; s = strtok_r(NULL, ",", &save)) {
		bool group = !strcmp(s, "net") || !strcmp(s, "disk");

		if (!group && !row_find(s))
			code = why_set(why, PVHVM_USAGE, "--only: no row %s; see `pvhvm bench --help`", s);
		for (int i = 0; i < ROWS; i++) {
			size_t len = strlen(s);

			if (group ? !strncmp(rows[i].name, s, len) && rows[i].name[len] == '.' :
				    !strcmp(rows[i].name, s))
				b->rows[i] = true;
		}
	}
	free(list);
	for (int i = 0; i < ROWS; i++) {
		bool net = !strncmp(rows[i].name, "net.", 4);

		b->rows[i] &= net ? b->opt.peer != NULL : b->opt.disk || b->opt.dir;
	}
	return code;
}

static bool chosen(const struct bench *b, const char *group)
{
	for (int i = 0; i < ROWS; i++)
		if (b->rows[i] && !strncmp(rows[i].name, group, strlen(group)))
			return true;
	return false;
}

static int check_rows(const struct bench *b, struct why *why)
{
	if (chosen(b, ""))
		return PVHVM_OK;
	return why_set(why, PVHVM_USAGE,
		       "nothing is left to measure: rows of net want --peer, of disk --dir or --disk, and --overwrite to write");
}

/* Our address on the way to the peer, as the kernel chooses it. */
static int source_address(const char *peer, const char *nic, struct sockaddr_storage *own,
			  struct why *why)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM }, *found;
	socklen_t len = sizeof(*own);
	int err = getaddrinfo(peer, "9", &hints, &found), fd;

	if (err)
		return why_set(why, PVHVM_FAILED, "no address for %s: %s", peer, gai_strerror(err));
	fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (nic)
		setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, nic, strlen(nic) + 1);
	err = connect(fd, found->ai_addr, found->ai_addrlen) ? errno : 0;
	if (!err && getsockname(fd, (void *)own, &len))
		err = errno;
	close(fd);
	freeaddrinfo(found);
	if (err)
		return why_set(why, PVHVM_FAILED, "no way to %s%s%s: %s", peer, nic ? " by " : "",
			       nic ? nic : "", strerror(err));
	return PVHVM_OK;
}

static bool same_address(const struct sockaddr *a, const struct sockaddr_storage *b)
{
	if (!a || a->sa_family != b->ss_family)
		return false;
	if (a->sa_family == AF_INET)
		return !memcmp(&((const struct sockaddr_in *)a)->sin_addr,
			       &((const struct sockaddr_in *)b)->sin_addr, 4);
	if (a->sa_family == AF_INET6)
		return !memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
			       &((const struct sockaddr_in6 *)b)->sin6_addr, 16);
	return false;
}

static int find_way(struct bench *b, struct why *why)
{
	struct sockaddr_storage own;
	struct ifaddrs *all;
	int code;

	if (b->opt.nic && !if_nametoindex(b->opt.nic))
		return why_set(why, PVHVM_NOTHING, "there is no interface %s", b->opt.nic);
	code = source_address(b->opt.peer, b->opt.nic, &own, why);
	if (code)
		return code;
	if (!getifaddrs(&all)) {
		for (struct ifaddrs *i = all; i; i = i->ifa_next)
			if (same_address(i->ifa_addr, &own))
				text_set(b->nic, sizeof(b->nic), i->ifa_name);
		freeifaddrs(all);
	}
	if (b->opt.nic) {
		text_set(b->nic, sizeof(b->nic), b->opt.nic);
		if (getnameinfo((void *)&own, sizeof(own), b->source, sizeof(b->source), NULL, 0,
				NI_NUMERICHOST))
			b->source[0] = '\0';
	}
	return PVHVM_OK;
}

static const char *path_word(const char *path)
{
	char bus[32];

	sysfs_target_name(bus, sizeof(bus), "%s/device/subsystem", path);
	if (!strcmp(bus, "pvhvm"))
		return "pvhvm";
	return !strcmp(bus, "xen") ? "inkernel" : "other";
}

/* By the drivers in use; a disk behind dm or md is "other". */
static void find_variants(struct bench *b)
{
	char disk[64] = "", dir[PATH_MAX];
	struct devices devs;
	struct nic *nic;
	struct disk *d;
	struct stat st;
	char *sys;

	devices_look(&devs);
	nic = b->nic[0] ? devices_nic(&devs, b->nic) : NULL;
	text_set(b->net_variant, sizeof(b->net_variant),
		 nic ? devices_kind_word(nic->kind) : "other");
	if ((b->opt.dir && !stat(b->opt.dir, &st)) || (b->opt.disk && !stat(b->opt.disk, &st))) {
		dev_t dev = b->opt.dir ? st.st_dev : st.st_rdev;

		/* A partition's folder lies in its disk's. */
		if (sysfs_target(dir, "/sys/dev/block/%u:%u", major(dev), minor(dev))) {
			if (sysfs_exists("%s/partition", dir))
				*strrchr(dir, '/') = '\0';
			text_set(disk, sizeof(disk), strrchr(dir, '/') + 1);
		}
	}
	d = disk[0] ? devices_disk(&devs, disk) : NULL;
	sys = text_printf("/sys/block/%s", disk);
	text_set(b->disk_variant, sizeof(b->disk_variant),
		 d ? devices_kind_word(d->kind) : disk[0] ? path_word(sys) : "other");
	free(sys);
	devices_free(&devs);
	if (b->opt.label) {
		text_set(b->net_variant, sizeof(b->net_variant), b->opt.label);
		text_set(b->disk_variant, sizeof(b->disk_variant), b->opt.label);
		/* a key in JSON */
		text_utf8(b->net_variant);
		text_utf8(b->disk_variant);
	}
}

/* What is to go when a signal ends the program; or NULL. */
static const char *volatile temporary;

static void on_stop(int sig)
{
	const char *path = temporary;

	/* or it would make the file again, and write on */
	child_stop();
	if (path)
		unlink(path);
	_exit(128 + sig);
}

static void leave_nothing_when_stopped(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction stop = { .sa_handler = on_stop }, before;

	sigfillset(&stop.sa_mask);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		sigaction(signals[i], &stop, &before);
		/* as nohup wants it */
		if (before.sa_handler == SIG_IGN)
			sigaction(signals[i], &before, NULL);
	}
}

static int check_disk(struct bench *b, struct why *why)
{
	bool writes = false;
	struct stat st;
	int fd;

	if (b->opt.dir) {
		b->path = text_printf("%s/" FILE_NAME, b->opt.dir);
		fd = open(b->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0)
			return why_set(why, PVHVM_FAILED,
				       "cannot make %s: %s%s", b->path, strerror(errno),
				       errno == EEXIST ? "; is another bench running there, or was one killed?" : "");
		close(fd);
		b->path_is_file = true;
		temporary = b->path;
		return PVHVM_OK;
	}
	if (!b->opt.disk)
		return PVHVM_OK;
	if (stat(b->opt.disk, &st))
		return why_set(why, PVHVM_NOTHING, "there is no %s", b->opt.disk);
	if (!S_ISBLK(st.st_mode) && !(S_ISREG(st.st_mode) && st.st_size))
		return why_set(why, PVHVM_USAGE, "%s is no disk; a file in a folder is measured by --dir",
			       b->opt.disk);
	b->path = text_copy(b->opt.disk);
	for (int i = 0; i < ROWS; i++) {
		if (!b->rows[i] || strncmp(rows[i].name, "disk.", 5) || !fio_writes(rows[i].name))
			continue;
		if (!b->opt.overwrite) {
			say_err("%s left out: it would destroy what is on %s (--overwrite, or --dir DIR)",
				rows[i].name, b->opt.disk);
			b->rows[i] = false;
		}
		writes |= b->rows[i];
	}
	if (check_rows(b, why))
		return PVHVM_USAGE;
	if (!chosen(b, "disk."))
		return PVHVM_OK;
	fd = open(b->opt.disk, (writes ? O_RDWR | O_EXCL : O_RDONLY) | O_CLOEXEC);
	if (fd < 0 && (errno == EACCES || errno == EPERM))
		return why_set(why, PVHVM_NOT_ROOT, "cannot open %s: %s; run it as root",
			       b->opt.disk, strerror(errno));
	if (fd < 0)
		return why_set(why, PVHVM_REFUSED, "%s is not %s: %s%s", b->opt.disk,
			       writes ? "overwritten" : "read",
			       strerror(errno), errno == EBUSY ? "; unmount it, or use --dir" : "");
	close(fd);
	return PVHVM_OK;
}

/* Before the first minutes are spent; only what is missing counts. */
static int check_programs(const struct bench *b, struct why *why)
{
	if (chosen(b, "disk.") && !child_is_installed("fio", why))
		return PVHVM_NO_PROGRAM;
	if (chosen(b, "net.tcp_") && !child_is_installed("iperf3", why))
		return PVHVM_NO_PROGRAM;
	return chosen(b, "net.rtt") ? rtt_check(b->opt.peer, b->opt.nic, why) : PVHVM_OK;
}

static int measure_row(struct bench *b, const struct row *row, double *value, struct why *why)
{
	const char *nic = b->opt.nic ? b->nic : NULL;

	if (!strcmp(row->name, "net.rtt"))
		return rtt_measure(b->opt.peer, nic, b->opt.seconds, value, why);
	if (!strncmp(row->name, "net.", 4))
		return iperf_measure(b->opt.peer, b->opt.port, b->source[0] ? b->source : NULL,
				     !strcmp(row->name, "net.tcp_rx"), b->opt.seconds, value, why);
	return fio_measure(row->name, b->path, b->path_is_file ? b->opt.size * 1048576 : 0,
			   b->opt.seconds, value, why);
}

/* Rounds outside: what drifts over the minutes hits all rows alike. */
static int measure_all(struct bench *b, struct why *why)
{
	for (int round = 0; round < b->opt.rounds; round++) {
		for (int i = 0; i < ROWS; i++) {
			bool net = !strncmp(rows[i].name, "net.", 4);
			struct why row_why = { "" };
			char text[32];
			double value;
			int code;

			if (!b->rows[i])
				continue;
			code = measure_row(b, &rows[i], &value, &row_why);
			if (code == PVHVM_NO_PROGRAM || code == PVHVM_NOT_ROOT) {
				*why = row_why;
				return code;
			}
			if (code) {
				say_err("round %d/%.0f  %s failed: %s", round + 1, b->opt.rounds,
					rows[i].name, row_why.text);
				b->failures++;
				*why = row_why;
				continue;
			}
			results_add(&b->results, &rows[i],
				    net ? b->net_variant : b->disk_variant, value);
			results_number(value, text, sizeof(text));
			say_err("round %d/%.0f  %-24s %8s %s", round + 1, b->opt.rounds,
				rows[i].name, text, rows[i].unit);
		}
	}
	return PVHVM_OK;
}

static struct json_object *host_json(const struct bench *b)
{
	struct json_object *o = json_object_new_object();
	struct utsname u;
	struct xen xen;

	uname(&u);
	xen_look(&xen);
	json_object_object_add(o, "name", json_text(u.nodename));
	json_object_object_add(o, "kernel", json_text(u.release));
	json_object_object_add(o, "cpus", json_object_new_int(sysconf(_SC_NPROCESSORS_ONLN)));
	json_object_object_add(o, "xen", json_text(xen.version));
	json_object_object_add(o, "clocksource", json_text(xen.clocksource));
	json_object_object_add(o, "pvhvm", json_text(PVHVM_VERSION));
	json_object_object_add(o, "time", json_object_new_int64(b->start.realtime));
	return o;
}

static int write_json(struct bench *b, struct why *why)
{
	struct json_object *o = json_object_new_object();
	struct json_object *set = json_object_new_object();
	int code;

	json_object_object_add(set, "rounds", json_object_new_int(b->opt.rounds));
	json_object_object_add(set, "seconds", json_object_new_double(b->opt.seconds));
	if (b->opt.peer)
		json_object_object_add(set, "peer", json_text(b->opt.peer));
	if (b->nic[0])
		json_object_object_add(set, "nic", json_text(b->nic));
	if (b->path)
		json_object_object_add(set, "path", json_text(b->path));
	json_object_object_add(o, "host", host_json(b));
	json_object_object_add(o, "settings", set);
	if (b->opt.clock_check)
		json_object_object_add(o, "clock", clock_json(&b->start, &b->end));
	json_object_object_add(o, "results", results_json(&b->results));
	code = results_write(o, b->opt.json, why);
	json_object_put(o);
	return code;
}

static void print_table(const struct bench *b)
{
	say("%-24s %-10s %10s %10s %10s %3s  %s", "row", "variant", "median", "min", "max", "n", "unit");
	for (int i = 0; i < b->results.n; i++) {
		const struct result *r = &b->results.v[i];

		for (int j = 0; j < r->nr_variants; j++) {
			const struct variant *v = &r->variants[j];
			char median[32], min[32], max[32];

			results_number(v->median, median, sizeof(median));
			results_number(v->min, min, sizeof(min));
			results_number(v->max, max, sizeof(max));
			say("%-24s %-10s %10s %10s %10s %3d  %s", r->name, v->name,
			    median, min, max, v->n, r->unit);
		}
	}
}

static int run(struct bench *b, struct why *why)
{
	const char *clock_peer = b->opt.clock_check ? b->opt.peer : NULL;
	int code = choose_rows(b, why);

	if (!code)
		code = check_rows(b, why);
	if (!code && b->opt.peer)
		code = find_way(b, why);
	if (!code)
		code = check_programs(b, why);
	if (!code && b->opt.json)
		code = wholefile_check(b->opt.json, why);
	if (!code)
		code = check_disk(b, why);
	if (code)
		return code;
	find_variants(b);
	clock_read(&b->start, clock_peer);
	code = measure_all(b, why);
	clock_read(&b->end, clock_peer);
	if (code)
		return code;
	results_sort(&b->results);
	if (!b->opt.json || strcmp(b->opt.json, "-"))
		print_table(b);
	if (b->opt.json)
		code = write_json(b, why);
	return code ? code : b->failures ? PVHVM_FAILED : PVHVM_OK;
}

int command_bench(int argc, char **argv, struct why *why)
{
	struct bench *b = text_alloc(sizeof(*b));
	int code = parse(argc, argv, &b->opt, why);

	leave_nothing_when_stopped();
	if (!code)
		code = run(b, why);
	if (b->path_is_file)
		unlink(b->path);
	/* The name may belong to another bench from here on. */
	temporary = NULL;
	free(b->path);
	results_free(&b->results);
	free(b);
	return code == COMMAND_HELPED ? PVHVM_OK : code;
}
