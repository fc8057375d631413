/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * networkd.h: systemd-networkd, which knows an interface by the name that it
 * has heard of last.
 *
 * It looks a name up again when it hears that it changed hands. If the emulated
 * interface is gone by then, its old name stays taken, and the PV one that has
 * it now counts as failed: nobody renews its lease.
 */
#ifndef PVHVM_NETWORKD_H
#define PVHVM_NETWORKD_H

#include <stdbool.h>

#include "text.h"

/* Does it run and look after the interface? */
bool networkd_has(int ifindex);

/* Wait until it has heard that the interface is called @name. Has it? */
bool networkd_wait_name(int ifindex, const char *name, double seconds);

/**
 * networkd_give() - see that it looks after an interface
 * @name: what the interface is called now
 *
 * It does by itself when udev is done with the new name. If it does not within
 * seconds, it is told to: addresses that it configures are gone for a moment.
 * Return: PVHVM_OK or PVHVM_FAILED.
 */
int networkd_give(int ifindex, const char *name, struct why *why);

#endif
