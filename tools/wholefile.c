// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wholefile.h"

#define NEW_MODE 0644

/* By name, or because it is led there. */
static bool is_output(const char *path)
{
	struct stat st, out;

	return !strcmp(path, "-") ||
	       (!stat(path, &st) && !fstat(STDOUT_FILENO, &out) &&
		st.st_dev == out.st_dev && st.st_ino == out.st_ino);
}

/* 0 or errno; a write that falls short sets none. */
static int write_all(int fd, const char *text)
{
	size_t len = strlen(text);

	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? errno : ENOSPC;
		text += n;
		len -= n;
	}
	return 0;
}

static int write_through(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err;

	if (fd < 0)
		return errno;
	err = write_all(fd, text);
	return close(fd) && !err ? errno : err;
}

static int write_beside(const char *path, mode_t mode, const char *text)
{
	char *beside = text_printf("%s.XXXXXX", path);
	int fd = mkostemp(beside, O_CLOEXEC), err;

	if (fd < 0) {
		err = errno;
		free(beside);
		return err;
	}
	err = write_all(fd, text);
	if (!err && (fchmod(fd, mode) || fsync(fd)))
		err = errno;
	if (close(fd) && !err)
		err = errno;
	if (!err && rename(beside, path))
		err = errno;
	if (err)
		unlink(beside);
	free(beside);
	return err;
}

static int failed(const char *path, int err, struct why *why)
{
	return err ? why_set(why, PVHVM_FAILED, "cannot write %s: %s", path, strerror(err)) :
		     PVHVM_OK;
}

/* What is there, or will be. */
static mode_t mode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? S_IFREG | NEW_MODE : st.st_mode;
}

int wholefile_replace(const char *path, const char *text)
{
	mode_t mode = mode_of(path);
	char *target;
	int err;

	/* what a link names, not the link; a new file has no other name yet */
	target = realpath(path, NULL);
	if (S_ISDIR(mode))
		err = EISDIR;
	else if (S_ISREG(mode))
		err = write_beside(target ? target : path, mode & 0777, text);
	else
		err = write_through(path, text);
	free(target);
	return err;
}

int wholefile_write(const char *path, const char *text, struct why *why)
{
	if (!is_output(path))
		return failed(path, wholefile_replace(path, text), why);
	say_raw(text);
	return PVHVM_OK;
}

int wholefile_check(const char *path, struct why *why)
{
	mode_t mode = mode_of(path);
	char *folder;
	int err = 0;

	if (is_output(path))
		return PVHVM_OK;
	folder = realpath(path, NULL);
	folder = folder ? folder : text_copy(path);
	if (S_ISDIR(mode))
		err = EISDIR;
	else if (!*path)
		err = ENOENT;
	else if (faccessat(AT_FDCWD, S_ISREG(mode) ? dirname(folder) : path, W_OK, AT_EACCESS))
		err = errno;
	free(folder);
	return failed(path, err, why);
}
