/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * boottab.h: names in fstab, crypttab, LVM's and mdadm's files and the kernel's
 * command line that only an emulated disk has.
 */
#ifndef PVHVM_BOOTTAB_H
#define PVHVM_BOOTTAB_H

#include <stdbool.h>

#include "text.h"

/**
 * boottab_check() - would the next boot wait for a disk that is PV by then?
 * @disk: an emulated disk, "sdb"
 *
 * LVM's devices file can name a disk by what only the emulated half has, a
 * serial number or an identity that QEMU makes up.
 * Return: PVHVM_OK, or PVHVM_REFUSED with the line and what to write instead.
 */
int boottab_check(const char *disk, struct why *why);

/**
 * boottab_check_root() - would a boot from PV disks not find what it needs?
 * @some_are_pv: names of disks that are gone are of such
 *
 * To be asked beside boottab_check() for each emulated disk: any disk in LVM's
 * devices file, filters that leave PV disks out, the kernel's command line.
 * What was not activated in the initramfs stays away.
 * Return: PVHVM_OK, or PVHVM_REFUSED with the line and the way out.
 */
int boottab_check_root(bool some_are_pv, struct why *why);

#endif
