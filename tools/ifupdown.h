/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ifupdown.h: Debian's ifup@.service, which is bound to an interface's name.
 *
 * When a name passes from one interface to another, there is a moment without
 * an interface of that name. If systemd notices, it stops what is bound to it,
 * and ifdown then takes down whoever bears the name by now: the PV twin.
 */
#ifndef PVHVM_IFUPDOWN_H
#define PVHVM_IFUPDOWN_H

#include <stdbool.h>

#include "text.h"

/* Is there a running ifup@ for this interface? */
bool ifupdown_binds(const char *name);

/**
 * ifupdown_hold() - until the next boot, stopping the unit does nothing
 * ifupdown_release() - as it was; a no-op if it is
 *
 * A drop-in below /run, and a reload of systemd: seconds on a slow machine.
 * Return: PVHVM_OK or PVHVM_FAILED, and then nothing has changed.
 */
int ifupdown_hold(const char *name, struct why *why);
int ifupdown_release(const char *name, struct why *why);

#endif
