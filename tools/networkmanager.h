/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * networkmanager.h: NetworkManager, which decides once per interface whether
 * it looks after it.
 *
 * It leaves a PV interface alone as long as the emulated one is there (our
 * udev rule), and goes on to when the name has passed over.
 */
#ifndef PVHVM_NETWORKMANAGER_H
#define PVHVM_NETWORKMANAGER_H

#include <stdbool.h>

#include "text.h"

/* Does it run and look after the interface? */
bool networkmanager_has(const char *name);

/**
 * networkmanager_give() - have it look after an interface
 *
 * It then finds its connection for that name and activates it, seconds later.
 * Return: PVHVM_OK or PVHVM_FAILED.
 */
int networkmanager_give(const char *name, struct why *why);

#endif
