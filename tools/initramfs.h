/* SPDX-License-Identifier: GPL-2.0-only */
/* initramfs.h: the images that the kernels boot from, made anew. */
#ifndef PVHVM_INITRAMFS_H
#define PVHVM_INITRAMFS_H

#include <stdbool.h>

#include "text.h"

/* Is there a program that makes them? */
bool initramfs_is_made(void);

/**
 * initramfs_refresh() - have the images of all kernels made anew
 * @why: told when it fails
 *
 * Takes a minute, and says so. In a moved root it does nothing unless there is
 * such a program.
 *
 * Return: PVHVM_OK, or PVHVM_FAILED: there is no such program, it failed, or
 * the kernel that runs has no new image.
 */
int initramfs_refresh(struct why *why);

#endif
