/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * xen.h: what Xen this is, and whether pvhvm's modules drive it.
 */
#ifndef PVHVM_XEN_H
#define PVHVM_XEN_H

#include <limits.h>
#include <stdbool.h>

#include "text.h"

enum xen_state {
	XEN_NOT,		/* no Xen below */
	XEN_NO_PLATFORM,	/* Xen, but no PCI device 5853:0001 */
	XEN_INKERNEL,		/* the kernel's own Xen support is active */
	XEN_NOT_LOADED,		/* ours to drive, modules not loaded or not bound */
	XEN_DRIVEN,		/* pvhvm drives it */
};

struct xen_module {
	const char *name;
	bool loaded;
	char version[32];	/* "" if the module does not tell */
};

#define XEN_MODULES 4
#define XEN_CLASSES 4

/* One line of the platform device's `unplug` file. */
struct xen_class {
	char name[24];
	char state[16];		/* present, unplugged, absent */
	int emulated;
	int twins;
};

struct xen {
	enum xen_state state;
	char version[32];
	char platform[PATH_MAX];	/* /sys/devices/... of 5853:0001, or "" */
	char driver[32];		/* bound to it, or "" */
	char upcall[16];
	char evtchn_abi[16];
	char grants[64];
	char ports[64];
	char clocksource[32];
	struct xen_module modules[XEN_MODULES];
	struct xen_class classes[XEN_CLASSES];
	int nr_classes;
};

void xen_look(struct xen *xen);

/* "in-kernel", ...: the state in one word, for JSON. */
const char *xen_state_word(enum xen_state state);

/* What is the matter and what to do; "" when driven. One line. */
const char *xen_advice(const struct xen *xen);

/* PVHVM_OK when driven, otherwise PVHVM_NO_DRIVERS with the advice in @why. */
int xen_need(const struct xen *xen, struct why *why);

/* NULL if the host or the module does not know the class. */
const struct xen_class *xen_class(const struct xen *xen, const char *name);

/**
 * xen_unplug() - take a class of emulated devices away, until the next reset
 * @class: "nics", "ide-disks"
 * Return: PVHVM_OK, also when it is done already; PVHVM_REFUSED otherwise.
 */
int xen_unplug(const struct xen *xen, const char *class, struct why *why);

#endif
