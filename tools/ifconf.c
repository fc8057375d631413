// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ifconf.h"
#include "text.h"

/*
 * These are the running kernel's and the current network namespace's even
 * when tests have moved sysfs: the network is always a real one.
 */
static const char *const folders[] = { "ipv4/conf", "ipv6/conf", "ipv4/neigh", "ipv6/neigh" };

#define GEN_MODE "addr_gen_mode"
#define GEN_MODE_NONE "1"
#define ARP_IGNORE "arp_ignore"
#define ARP_IGNORE_ALL "8"
#define LOCKTIME "locktime"
#define LOCKTIME_NONE "0"

struct value {
	int folder;
	char name[64];
	char text[128];
};

struct ifconf {
	struct value *v;
	int n;
	char gen_mode[16];
};

static void path_of(char *path, size_t size, int folder, const char *ifname,
		    const char *name)
{
	snprintf(path, size, "/proc/sys/net/%s/%s/%s", folders[folder], ifname, name);
}

static bool get(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, size - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return true;
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	/* Best effort, as documented: a newer kernel may refuse a value. */
	if (write(fd, text, strlen(text)) < 0)
		say_err("pvhvm: %s does not take %s", path, text);
	close(fd);
}

/*
 * The IPv6 MTU follows the link's; the mode is set around the switch; the
 * coarse times have finer twins, and the kernel complains when they are used.
 */
static bool skipped(const char *name)
{
	static const char *const names[] = {
		"mtu", GEN_MODE, "stable_secret", "flush",
		"base_reachable_time", "retrans_time",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i]))
			return true;
	return name[0] == '.';
}

static void take_folder(struct ifconf *conf, int folder, const char *ifname)
{
	char path[512];
	struct dirent *d;
	struct stat st;
	DIR *dir;

	path_of(path, sizeof(path), folder, ifname, "");
	dir = opendir(path);
	if (!dir)
		return;
	while ((d = readdir(dir))) {
		struct value value = { .folder = folder };

		path_of(path, sizeof(path), folder, ifname, d->d_name);
		if (skipped(d->d_name) || stat(path, &st) || !(st.st_mode & 0200) ||
		    !get(path, value.text, sizeof(value.text)))
			continue;
		text_set(value.name, sizeof(value.name), d->d_name);
		conf->v = text_grow(conf->v, conf->n + 1, sizeof(value));
		conf->v[conf->n++] = value;
	}
	closedir(dir);
}

struct ifconf *ifconf_take(const char *ifname)
{
	struct ifconf *conf = text_alloc(sizeof(*conf));
	char path[512];

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		take_folder(conf, i, ifname);
	path_of(path, sizeof(path), 1, ifname, GEN_MODE);
	get(path, conf->gen_mode, sizeof(conf->gen_mode));
	return conf;
}

void ifconf_give(const struct ifconf *conf, const char *ifname)
{
	for (int i = 0; i < conf->n; i++) {
		const struct value *v = &conf->v[i];
		char path[512], now[128];

		path_of(path, sizeof(path), v->folder, ifname, v->name);
		if (get(path, now, sizeof(now)) && strcmp(now, v->text))
			put(path, v->text);
	}
}

void ifconf_autoconf(const struct ifconf *conf, const char *ifname, int on)
{
	const char *mode = on ? conf->gen_mode : GEN_MODE_NONE;
	char path[512], now[16];

	path_of(path, sizeof(path), 1, ifname, GEN_MODE);
	if (conf->gen_mode[0] && get(path, now, sizeof(now)) && strcmp(now, mode))
		put(path, mode);
}

/* Another value for a while; NULL: as @conf has it. */
static void set_meanwhile(const struct ifconf *conf, const char *ifname, int folder,
			  const char *name, const char *text)
{
	char path[512];

	for (int i = 0; i < conf->n && !text; i++)
		if (conf->v[i].folder == folder && !strcmp(conf->v[i].name, name))
			text = conf->v[i].text;
	path_of(path, sizeof(path), folder, ifname, name);
	if (text)
		put(path, text);
}

void ifconf_arp(const struct ifconf *conf, const char *ifname, int on)
{
	set_meanwhile(conf, ifname, 0, ARP_IGNORE, on ? NULL : ARP_IGNORE_ALL);
}

void ifconf_believe_at_once(const struct ifconf *conf, const char *ifname, int on)
{
	set_meanwhile(conf, ifname, 2, LOCKTIME, on ? LOCKTIME_NONE : NULL);
}

void ifconf_free(struct ifconf *conf)
{
	if (!conf)
		return;
	free(conf->v);
	free(conf);
}
