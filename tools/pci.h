/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * pci.h: functions that leave the PCI bus, and come back.
 */
#ifndef PVHVM_PCI_H
#define PVHVM_PCI_H

/* Return: 0 or negative errno. */
int pci_remove(const char *function);

/**
 * pci_bring_back() - have the kernel find a function again
 *
 * A rescan finds all that have been removed: network cards other than @function
 * that it finds are removed again, for each has a PV twin in its place.
 *
 * Return: 0, also if the function is there already, or negative errno.
 */
int pci_bring_back(const char *function);

#endif
