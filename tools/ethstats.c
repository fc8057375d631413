// SPDX-License-Identifier: GPL-2.0-only
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ethstats.h"
#include "sysfs.h"
#include "text.h"

/* More than any driver has; what a confused one tells is not believed. */
#define COUNT_MAX	65536

static void add(struct ethstats *stats, const char *name, unsigned long long value)
{
	int n = stats->count++;

	stats->names = text_grow(stats->names, stats->count, sizeof(*stats->names));
	stats->values = text_grow(stats->values, stats->count, sizeof(*stats->values));
	text_set(stats->names[n], sizeof(stats->names[n]), name);
	stats->values[n] = value;
}

static bool ask(int fd, const char *name, void *what)
{
	struct ifreq ifr = { .ifr_data = what };

	text_set(ifr.ifr_name, sizeof(ifr.ifr_name), name);
	return !ioctl(fd, SIOCETHTOOL, &ifr);
}

static unsigned int count(int fd, const char *name)
{
	struct {
		struct ethtool_sset_info info;
		__u32 length;
	} q = { .info = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ULL << ETH_SS_STATS } };

	if (!ask(fd, name, &q) || !q.info.sset_mask || q.length > COUNT_MAX)
		return 0;
	return q.length;
}

/* The number can change between the questions; then there is nothing. */
static void ask_driver(struct ethstats *stats, int fd, const char *name)
{
	unsigned int n = count(fd, name);
	struct ethtool_gstrings *names = text_alloc(sizeof(*names) + (size_t)n * ETH_GSTRING_LEN);
	struct ethtool_stats *values = text_alloc(sizeof(*values) + (size_t)n * sizeof(__u64));
	char one[ETH_GSTRING_LEN + 1] = "";

	names->cmd = ETHTOOL_GSTRINGS;
	names->string_set = ETH_SS_STATS;
	names->len = n;
	values->cmd = ETHTOOL_GSTATS;
	values->n_stats = n;
	if (n && ask(fd, name, names) && ask(fd, name, values) &&
	    names->len == n && values->n_stats == n)
		for (unsigned int i = 0; i < n; i++) {
			memcpy(one, names->data + (size_t)i * ETH_GSTRING_LEN, ETH_GSTRING_LEN);
			add(stats, one, values->data[i]);
		}
	free(names);
	free(values);
}

static void read_text(struct ethstats *stats, char *text)
{
	char *rest = NULL;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *colon = strrchr(line, ':');

		if (!colon || !colon[1])
			continue;
		*colon = '\0';
		add(stats, line + strspn(line, " "), strtoull(colon + 1, NULL, 10));
	}
}

void ethstats_read(struct ethstats *stats, const char *name)
{
	char *text = NULL;
	int fd;

	*stats = (struct ethstats){ 0 };
	if (sysfs_is_moved())
		text = sysfs_slurp("/sys/class/net/%s/ethtool-S", name);
	if (text) {
		read_text(stats, text);
		free(text);
		return;
	}
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	ask_driver(stats, fd, name);
	close(fd);
}

void ethstats_free(struct ethstats *stats)
{
	free(stats->names);
	free(stats->values);
	*stats = (struct ethstats){ 0 };
}
