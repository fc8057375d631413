/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * boottab.h: names in fstab, crypttab and LVM's devices file that only an
 * emulated disk has.
 */
#ifndef PVHVM_BOOTTAB_H
#define PVHVM_BOOTTAB_H

#include "text.h"

/**
 * boottab_check() - would the next boot wait for a disk that is PV by then?
 * @disk: an emulated disk, "sdb"
 * Return: PVHVM_OK, or PVHVM_REFUSED with the line and what to write instead.
 */
int boottab_check(const char *disk, struct why *why);

/**
 * boottab_check_lvm() - would LVM not know its physical volumes any more?
 *
 * Its devices file can name a disk by what only the emulated half has, a serial
 * number or an identity that QEMU makes up. What was not activated in the
 * initramfs stays away then.
 * Return: PVHVM_OK, or PVHVM_REFUSED with the way out.
 */
int boottab_check_lvm(struct why *why);

#endif
