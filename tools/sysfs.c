// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sysfs.h"
#include "text.h"

static char root[PATH_MAX];	/* "" or an absolute path without a final slash */

bool sysfs_set_root(const char *dir)
{
	struct stat st;

	if (stat(dir, &st) || !S_ISDIR(st.st_mode) || !realpath(dir, root)) {
		root[0] = '\0';
		return false;
	}
	if (!strcmp(root, "/"))
		root[0] = '\0';
	return true;
}

bool sysfs_is_moved(void)
{
	return root[0] != '\0';
}

static char *rooted(const char *fmt, va_list args)
{
	char path[PATH_MAX];

	vsnprintf(path, sizeof(path), fmt, args);
	return text_printf("%s%s", root, path);
}

/* For functions that take a path and arguments: the path, to be freed. */
#define ROOTED(var, fmt)			\
	do {					\
		va_list args_;			\
						\
		va_start(args_, fmt);		\
		var = rooted(fmt, args_);	\
		va_end(args_);			\
	} while (0)

char *sysfs_file(const char *fmt, ...)
{
	char *path;

	ROOTED(path, fmt);
	return path;
}

bool sysfs_exists(const char *fmt, ...)
{
	bool there;
	char *path;

	ROOTED(path, fmt);
	there = !access(path, F_OK);
	free(path);
	return there;
}

/* sysfs and procfs files have no size: read until there is no more. */
static char *slurp(const char *path)
{
	size_t len = 0, room = 4096;
	char *data;
	ssize_t n;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	data = text_alloc(room);
	while ((n = read(fd, data + len, room - len - 1)) > 0) {
		len += n;
		if (len == room - 1) {
			room *= 2;
			data = text_grow(data, room, 1);
		}
	}
	close(fd);
	if (n < 0) {
		free(data);
		return NULL;
	}
	data[len] = '\0';
	return data;
}

static bool first_line(char *buf, size_t size, const char *path)
{
	char *all = slurp(path);

	buf[0] = '\0';
	if (!all)
		return false;
	all[strcspn(all, "\n")] = '\0';
	text_set(buf, size, all);
	free(all);
	return true;
}

bool sysfs_read(char *buf, size_t size, const char *fmt, ...)
{
	char *path;
	bool ok;

	ROOTED(path, fmt);
	ok = first_line(buf, size, path);
	free(path);
	return ok;
}

char *sysfs_slurp(const char *fmt, ...)
{
	char *path, *all;

	ROOTED(path, fmt);
	all = slurp(path);
	free(path);
	return all;
}

long long sysfs_number(long long def, const char *fmt, ...)
{
	char line[64], *end, *path;
	long long n = def;

	ROOTED(path, fmt);
	if (first_line(line, sizeof(line), path)) {
		n = strtoll(line, &end, 0);
		if (end == line)
			n = def;
	}
	free(path);
	return n;
}

/* In tests a program stands in for the kernel. */
static int run_hook(const char *hook, const char *path, const char *value)
{
	int status;
	pid_t pid;

	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		execl(hook, hook, path + strlen(root), value, NULL);
		_exit(EIO);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

static int write_value(const char *path, const char *value)
{
	size_t len = strlen(value);
	int fd, err = 0;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, value, len) != (ssize_t)len)
		err = -errno;
	close(fd);
	return err;
}

int sysfs_write(const char *value, const char *fmt, ...)
{
	char *path, *hook = NULL;
	int err;

	ROOTED(path, fmt);
	if (root[0])
		hook = text_printf("%s/write-hook", root);
	if (hook && !access(hook, X_OK))
		err = run_hook(hook, path, value);
	else
		err = write_value(path, value);
	free(hook);
	free(path);
	return err;
}

static int not_hidden(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

char **sysfs_list(const char *fmt, ...)
{
	struct dirent **found = NULL;
	char **list, *path;
	int n;

	ROOTED(path, fmt);
	n = scandir(path, &found, not_hidden, versionsort);
	free(path);
	if (n < 0)
		n = 0;
	list = text_alloc((n + 1) * sizeof(*list));
	for (int i = 0; i < n; i++) {
		list[i] = text_copy(found[i]->d_name);
		free(found[i]);
	}
	free(found);
	return list;
}

void sysfs_list_free(char **list)
{
	for (char **s = list; *s; s++)
		free(*s);
	free(list);
}

static bool target(char buf[PATH_MAX], const char *path)
{
	char full[PATH_MAX];
	size_t len = strlen(root);

	buf[0] = '\0';
	if (!realpath(path, full))
		return false;
	/* A copied tree must not lead out of itself. */
	if (strncmp(full, root, len))
		return false;
	text_set(buf, PATH_MAX, full + len);
	return true;
}

bool sysfs_target(char buf[PATH_MAX], const char *fmt, ...)
{
	char *path;
	bool ok;

	ROOTED(path, fmt);
	ok = target(buf, path);
	free(path);
	return ok;
}

bool sysfs_target_name(char *buf, size_t size, const char *fmt, ...)
{
	char full[PATH_MAX], *path;
	bool ok;

	ROOTED(path, fmt);
	ok = target(full, path);
	free(path);
	text_set(buf, size, ok ? strrchr(full, '/') + 1 : "");
	return ok;
}
