/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sysfs.h: the kernel's files, below a root that tests can move.
 *
 * Paths are absolute as the kernel has them ("/sys/class/net"); --sysroot or
 * PVHVM_SYSROOT puts a folder in front of them.
 */
#ifndef PVHVM_SYSFS_H
#define PVHVM_SYSFS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define SYSFS_FMT(f, a) __attribute__((format(printf, f, a)))

/**
 * sysfs_set_root() - look at a copy instead of the running system
 * @dir: a folder with sys/, proc/, dev/, etc/ in it
 * Return: false when there is no such folder.
 */
bool sysfs_set_root(const char *dir);
bool sysfs_is_moved(void);

/* The real path of @fmt; to be freed. */
SYSFS_FMT(1, 2) char *sysfs_file(const char *fmt, ...);

SYSFS_FMT(1, 2) bool sysfs_exists(const char *fmt, ...);

/* First line without its newline; false, and an empty string, if unreadable. */
SYSFS_FMT(3, 4) bool sysfs_read(char *buf, size_t size, const char *fmt, ...);

/* All of a file, to be freed; NULL if unreadable. */
SYSFS_FMT(1, 2) char *sysfs_slurp(const char *fmt, ...);

/* A number in decimal or 0x notation; @def if absent or no number. */
SYSFS_FMT(2, 3) long long sysfs_number(long long def, const char *fmt, ...);

/**
 * sysfs_write() - write a value to an attribute
 *
 * In a moved root an executable file `write-hook` there is run instead, with
 * the path and the value as its arguments, to play the kernel's part; its exit
 * status is the errno.
 *
 * Return: 0 or negative errno.
 */
SYSFS_FMT(2, 3) int sysfs_write(const char *value, const char *fmt, ...);

/* Names in a folder, sorted as numbers go, NULL-terminated; never NULL. */
SYSFS_FMT(1, 2) char **sysfs_list(const char *fmt, ...);
void sysfs_list_free(char **list);

/* Where a link leads in the end, as the kernel's path; false if nowhere. */
SYSFS_FMT(2, 3) bool sysfs_target(char buf[PATH_MAX], const char *fmt, ...);

/* The last component of where a link leads. */
SYSFS_FMT(3, 4) bool sysfs_target_name(char *buf, size_t size,
				       const char *fmt, ...);

#endif
