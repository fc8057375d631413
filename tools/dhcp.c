// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "dhcp.h"

/* The network is that of this process, whatever folder --sysroot names: /proc, too. */
#define PROC "/proc"
#define END_SECONDS 5.0
#define START_SECONDS 15.0

static char *proc_file(pid_t pid, const char *name)
{
	return text_printf(PROC "/%d/%s", (int)pid, name);
}

/* All of a file of a process, with its length; NULL if it is gone. */
static char *proc_slurp(pid_t pid, const char *name, size_t *len)
{
	char *path = proc_file(pid, name);
	FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t room = 4096;

	free(path);
	*len = 0;
	if (!f)
		return NULL;
	do {
		text = text_grow(text, room *= 2, 1);
		*len += fread(text + *len, 1, room - *len - 1, f);
	} while (*len == room - 1);
	text[*len] = '\0';
	fclose(f);
	return text;
}

static char *proc_link(pid_t pid, const char *name)
{
	char *path = proc_file(pid, name);
	char *target = text_alloc(PATH_MAX);
	ssize_t len = readlink(path, target, PATH_MAX - 1);

	free(path);
	if (len < 0) {
		free(target);
		return NULL;
	}
	return target;
}

static bool is_called(pid_t pid, const char *name)
{
	size_t len;
	char *comm = proc_slurp(pid, "comm", &len);
	bool same;

	if (comm)
		comm[strcspn(comm, "\n")] = '\0';
	same = comm && !strcmp(comm, name);
	free(comm);
	return same;
}

static bool in_our_network(pid_t pid)
{
	char *ours = proc_link(getpid(), "ns/net"), *its = proc_link(pid, "ns/net");
	bool same = ours && its && !strcmp(ours, its);

	free(ours);
	free(its);
	return same;
}

/* "PPid:" of its status; 0 if it is gone. */
static pid_t parent_of(pid_t pid)
{
	size_t len;
	char *status = proc_slurp(pid, "status", &len);
	char *line = status ? strstr(status, "\nPPid:") : NULL;
	pid_t parent = line ? atoi(line + strlen("\nPPid:")) : 0;

	free(status);
	return parent;
}

static char **argv_of(pid_t pid)
{
	size_t len, at = 0;
	char *line = proc_slurp(pid, "cmdline", &len);
	char **argv = text_alloc(sizeof(*argv));
	int n = 0;

	while (line && at < len) {
		argv = text_grow(argv, n + 2, sizeof(*argv));
		argv[n++] = text_copy(line + at);
		argv[n] = NULL;
		at += strlen(line + at) + 1;
	}
	free(line);
	return argv;
}

static void free_argv(char **argv)
{
	for (int i = 0; argv[i]; i++)
		free(argv[i]);
	free(argv);
}

static bool same_argv(char *const a[], char *const b[])
{
	int i = 0;

	while (a[i] && b[i] && !strcmp(a[i], b[i]))
		i++;
	return !a[i] && !b[i];
}

/* "0::/system.slice/..." as the one hierarchy has it; NULL with older ones. */
static char *cgroup_of(pid_t pid)
{
	size_t len;
	char *text = proc_slurp(pid, "cgroup", &len), *path = NULL;

	if (text && !strncmp(text, "0::/", 4)) {
		text[strcspn(text, "\n")] = '\0';
		path = text_printf("/sys/fs/cgroup%s/cgroup.procs", text + 3);
	}
	free(text);
	return path;
}

/* Without an interface in its arguments it looks after all of them. */
static bool dhclient_serves(char *const argv[], const char *name)
{
	bool named = false;

	for (int i = 1; argv[i]; i++) {
		if (!strcmp(argv[i], name))
			return true;
		named |= if_nametoindex(argv[i]) > 0;
	}
	return !named;
}

/* dhcpcd writes what it does over its arguments: "dhcpcd: eth0 [ip4]". */
static char **dhcpcd_argv(char *const title[], const char *name)
{
	char *start = text_printf("dhcpcd: %s ", name);
	const char *does = strncmp(title[0], start, strlen(start)) ? "" :
			   title[0] + strlen(start);
	bool ip4 = strstr(does, "[ip4]"), ip6 = strstr(does, "[ip6]");
	char **argv = NULL;
	int n = 0;

	free(start);
	if (ip4 || ip6) {
		argv = text_alloc(4 * sizeof(*argv));
		argv[n++] = text_copy("dhcpcd");
		if (ip4 != ip6)
			argv[n++] = text_copy(ip4 ? "-4" : "-6");
		argv[n] = text_copy(name);
	}
	return argv;
}

/* Its file; an upgrade has put a new one in the place of what still runs. */
static char *program_of(pid_t pid, const char *called)
{
	static const char gone[] = " (deleted)";
	char *path = proc_link(pid, "exe");
	size_t len = path ? strlen(path) : 0;

	if (len > strlen(gone) && !strcmp(path + len - strlen(gone), gone))
		path[len - strlen(gone)] = '\0';
	if (path && !access(path, X_OK))
		return path;
	free(path);
	return text_copy(called);
}

static void add(struct dhcp_clients *clients, pid_t pid, char **argv, bool ends_itself)
{
	struct dhcp_client *c;

	clients->v = text_grow(clients->v, clients->n + 1, sizeof(*clients->v));
	c = &clients->v[clients->n++];
	*c = (struct dhcp_client) {
		.pid = pid, .program = program_of(pid, argv[0]), .argv = argv,
		.cgroup = cgroup_of(pid), .ends_itself = ends_itself,
	};
}

static bool known(const struct dhcp_clients *clients, pid_t pid)
{
	for (int i = 0; i < clients->n; i++)
		if (clients->v[i].pid == pid)
			return true;
	return false;
}

static void look_at(struct dhcp_clients *clients, pid_t pid, const char *name)
{
	bool dhclient = is_called(pid, "dhclient");
	char **argv, **again;

	if ((!dhclient && !is_called(pid, "dhcpcd")) || known(clients, pid) ||
	    !in_our_network(pid) || is_called(parent_of(pid), "NetworkManager"))
		return;
	argv = argv_of(pid);
	/* one that has just ended has no arguments any more */
	if (argv[0] && dhclient && dhclient_serves(argv, name)) {
		add(clients, pid, argv, false);
		return;
	}
	again = argv[0] && !dhclient ? dhcpcd_argv(argv, name) : NULL;
	if (again)
		add(clients, pid, again, true);
	free_argv(argv);
}

void dhcp_find(struct dhcp_clients *clients, const char *name)
{
	DIR *proc = opendir(PROC);
	struct dirent *entry;

	while (proc && (entry = readdir(proc)))
		if (isdigit((unsigned char)entry->d_name[0]))
			look_at(clients, atoi(entry->d_name), name);
	if (proc)
		closedir(proc);
}

void dhcp_free(struct dhcp_clients *clients)
{
	for (int i = 0; i < clients->n; i++) {
		struct dhcp_client *c = &clients->v[i];

		free(c->program);
		free_argv(c->argv);
		free(c->cgroup);
	}
	free(clients->v);
	memset(clients, 0, sizeof(*clients));
}

static char *command_of(const struct dhcp_client *c)
{
	char *text = text_copy(c->argv[0]);

	for (int i = 1; c->argv[i]; i++) {
		char *more = text_printf("%s %s", text, c->argv[i]);

		free(text);
		text = more;
	}
	return text;
}

char *dhcp_names(const struct dhcp_clients *clients)
{
	char *text = text_copy("");

	for (int i = 0; i < clients->n; i++) {
		char *more = text_printf("%s%s%s (pid %d)", text, i ? ", " : "",
					 clients->v[i].ends_itself ? "dhcpcd" : "dhclient",
					 (int)clients->v[i].pid);

		free(text);
		text = more;
	}
	return text;
}

/* Still the process that was found, and not another one with its number? */
static bool lives(const struct dhcp_client *c)
{
	char **argv;
	bool same;

	if (c->ends_itself)
		return is_called(c->pid, "dhcpcd");
	argv = argv_of(c->pid);
	same = same_argv(argv, c->argv);
	free_argv(argv);
	return same;
}

static bool wait_for_end(const struct dhcp_client *c)
{
	double end = text_now() + END_SECONDS;

	while (lives(c)) {
		if (text_now() > end)
			return false;
		usleep(10000);
	}
	return true;
}

/* dhclient gives nothing back when it is told to end: lease and address stay. */
static bool end_it(const struct dhcp_client *c)
{
	if (!c->ends_itself && lives(c))
		kill(c->pid, SIGTERM);
	if (wait_for_end(c))
		return true;
	kill(c->pid, SIGKILL);
	return wait_for_end(c);
}

static int restart(const struct dhcp_client *c, struct why *why)
{
	char *command;
	int status;

	if (!end_it(c))
		return why_set(why, PVHVM_FAILED, "%s (pid %d) does not end: its lease will not be renewed until it is started anew",
			       c->argv[0], (int)c->pid);
	status = child_start(c->program, c->argv, c->cgroup, START_SECONDS);
	if (!status || status == CHILD_GOES_ON)
		return PVHVM_OK;
	command = command_of(c);
	why_set(why, PVHVM_FAILED, "the lease will not be renewed: `%.300s` failed: start it by hand",
		command);
	free(command);
	return PVHVM_FAILED;
}

int dhcp_restart(const struct dhcp_clients *clients, struct why *why)
{
	int code = PVHVM_OK;

	for (int i = 0; i < clients->n; i++) {
		struct why cause;

		if (!restart(&clients->v[i], &cause))
			continue;
		say_err("pvhvm: %s", cause.text);
		if (!code)
			code = why_set(why, PVHVM_FAILED, "%s", cause.text);
	}
	return code;
}
