/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * boottab.h: names in fstab and crypttab that only an emulated disk has.
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

#endif
