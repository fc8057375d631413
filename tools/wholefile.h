/* SPDX-License-Identifier: GPL-2.0-only */
/* wholefile.h: files of which a reader sees the old one or the new one, never half of it. */
#ifndef PVHVM_WHOLEFILE_H
#define PVHVM_WHOLEFILE_H

#include "text.h"

/* Replace what is there, or was not. Return: 0 or errno, and then all is as it was. */
int wholefile_replace(const char *path, const char *text);

/**
 * wholefile_write() - the same with a file that a user has named
 * @path: - is standard output. A link stays one; a device, a pipe or what
 *	standard output leads to is written to as it is
 */
int wholefile_write(const char *path, const char *text, struct why *why);

/* Could it be written? Asked before what is to be in it takes minutes. */
int wholefile_check(const char *path, struct why *why);

#endif
