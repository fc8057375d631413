/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * devices.h: the inventory: NICs and disks, emulated or PV, and their twins.
 */
#ifndef PVHVM_DEVICES_H
#define PVHVM_DEVICES_H

#include <limits.h>
#include <net/if.h>
#include <stdbool.h>

#include "text.h"

enum dev_kind {
	DEV_EMULATED,	/* by QEMU: see qemu_emulates() */
	DEV_PV,		/* by pvhvm's frontends */
	DEV_INKERNEL,	/* by the kernel's own frontends (bus xen) */
	DEV_OTHER,	/* passed through, virtual, ... */
};

struct nic {
	enum dev_kind kind;
	char name[IFNAMSIZ];
	char mac[18];
	char pci[16];		/* emulated: 0000:00:04.0 */
	char driver[32];
	char pvdev[16];		/* PV: vif-0 */
	char state[24];		/* PV: connected, ... */
	char quarantined[128];	/* PV: why, or "" */
	struct nic *twin;	/* both ways, or NULL */
	char reason[320];	/* emulated without usable twin: why */
};

struct disk {
	enum dev_kind kind;
	char name[32];		/* sda, xvdb; "" while a PV disk is held */
	char pci[16];		/* emulated: its controller */
	char scsi[24];		/* emulated: 0:0:1:0, host, channel, target, unit */
	char driver[32];
	int slot;		/* emulated: 0..3 as in hda..hdd; -1 unknown */
	char pvdev[16];		/* PV: vbd-768 */
	long vdev;		/* PV: 768; emulated: its twin's */
	char state[24];
	char quarantined[128];
	bool held;		/* PV: waits for the emulated one to go */
	bool cdrom;		/* PV: without a driver, for the emulated CD-ROM stays */
	unsigned long long sectors;
	struct disk *twin;
	char use[160];		/* emulated: what uses it, or "" */
	char reason[320];
};

struct devices {
	struct nic *nics;
	int nr_nics;
	struct disk *disks;
	int nr_disks;
};

/* Fills @devs from sysfs; devices_free() gives it back. */
void devices_look(struct devices *devs);
void devices_free(struct devices *devs);

/* By interface name or MAC address; NULL if there is none. */
struct nic *devices_nic(struct devices *devs, const char *name);

/* By block device name, with or without /dev/, or by vdev number; or NULL. */
struct disk *devices_disk(struct devices *devs, const char *name);

/* The interface below an emulated PCI function right now; false if none. */
bool devices_pci_netdev(const char *pci, char name[IFNAMSIZ]);

/*
 * The connected PV interface with a MAC address of which no emulated card is
 * left, not even one that waits for its driver; or NULL.
 */
struct nic *devices_lone_nic(struct devices *devs, const char *mac);

/* Emulated NIC functions on the PCI bus, with or without a driver. */
int devices_count_emulated_nics(void);

/* Is there an emulated controller of disks with this PCI class? */
#define DEVICES_AHCI 0x0106
#define DEVICES_NVME 0x0108
bool devices_has_controller(int class);

/* The disk of a PV device right now; false while there is none. */
bool devices_vbd_disk(const char *pvdev, char *name, size_t size);

/* 0..3 for vdevs that Xen also emulates as hda..hdd, otherwise -1. */
int devices_vdev_slot(long vdev);

const char *devices_kind_word(enum dev_kind kind);

/* What a disk is used for, for a sentence ("mounted on /srv"), or "". */
void devices_disk_use(const char *name, char *use, size_t size);

#endif
