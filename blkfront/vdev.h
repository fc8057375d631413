/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vdev.h: what a virtual device number means, and the name it gets here.
 *
 * The toolstack numbers disks in one of four ways (Xen:
 * docs/man/xen-vbd-interface.7). Compiles in user space too, where
 * tests/unit/blkfront_vdev.c goes through all numbers.
 */
#ifndef PVHVM_BLKFRONT_VDEV_H
#define PVHVM_BLKFRONT_VDEV_H

#ifdef __KERNEL__
#include <linux/errno.h>
#include <linux/types.h>
#else
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#endif

#define BLKF_MAJOR_HD0		3u
#define BLKF_MAJOR_HD1		22u
#define BLKF_MAJOR_SD		8u
#define BLKF_MAJOR_XVD		202u
#define BLKF_VDEV_EXT		(1u << 28)

/* Minor numbers a disk owns: itself and 15 partitions. */
#define BLKF_MINORS		16u
/* Disks whose minors fit into the 20 bits of one major. */
#define BLKF_DISKS_MAX		((1u << 20) / BLKF_MINORS)
/* "xvd", four letters, a partition of three digits, NUL. */
#define BLKF_NAME_SIZE		12

enum blkf_bus {
	BLKF_BUS_HD,
	BLKF_BUS_SD,
	BLKF_BUS_XVD,
};

/**
 * struct blkf_vdev - a decoded number
 * @bus: what the toolstack calls it: hdX, sdX, xvdX
 * @disk: index, 0 for the first, below BLKF_DISKS_MAX
 * @part: partition that this device stands for; 0: a whole disk
 */
struct blkf_vdev {
	enum blkf_bus bus;
	unsigned int disk;
	unsigned int part;
};

static inline void blkf_vdev_set(struct blkf_vdev *v, enum blkf_bus bus,
				 unsigned int disk, unsigned int part)
{
	v->bus = bus;
	v->disk = disk;
	v->part = part;
}

/**
 * blkf_vdev_decode() - take a number apart
 * @number: as in the name of the xenstore directory, device/vbd/<number>
 * @v: written on success only
 *
 * Return: 0; -ENODEV for a number that stands for nothing known.
 */
static inline int blkf_vdev_decode(uint32_t number, struct blkf_vdev *v)
{
	unsigned int major = number >> 8, minor = number & 0xff;

	if (number & BLKF_VDEV_EXT) {
		unsigned int disk = (number & (BLKF_VDEV_EXT - 1)) >> 8;

		if (number >> 29 || disk >= BLKF_DISKS_MAX)
			return -ENODEV;
		blkf_vdev_set(v, BLKF_BUS_XVD, disk, minor);
		return 0;
	}
	switch (major) {
	case BLKF_MAJOR_HD0:
	case BLKF_MAJOR_HD1:
		/* two disks a major, 64 minors a disk; a partition is 1..63 */
		if (minor >> 6 > 1)
			return -ENODEV;
		blkf_vdev_set(v, BLKF_BUS_HD,
			      (major == BLKF_MAJOR_HD1 ? 2 : 0) + (minor >> 6),
			      minor & 63);
		return 0;
	case BLKF_MAJOR_SD:
		blkf_vdev_set(v, BLKF_BUS_SD, minor >> 4, minor & 15);
		return 0;
	case BLKF_MAJOR_XVD:
		blkf_vdev_set(v, BLKF_BUS_XVD, minor >> 4, minor & 15);
		return 0;
	}
	return -ENODEV;
}

/**
 * blkf_vdev_has_twin() - may the machine emulate this disk, too?
 * @v: a decoded number
 * @ports: disks that the emulated controller takes: 4 (IDE) or 6 (AHCI)
 *
 * hd disks are emulated, sd disks on a SCSI controller. The toolstack also
 * puts xvda, xvdb... on the emulated controller, as far as it has ports: it
 * goes by the index (libxl, the device model's arguments).
 */
static inline bool blkf_vdev_has_twin(const struct blkf_vdev *v,
				      unsigned int ports)
{
	return v->bus != BLKF_BUS_XVD || v->disk < ports;
}

/**
 * blkf_vdev_name() - the disk's name: xvda for the first of any bus
 * @v: a decoded number
 * @name: BLKF_NAME_SIZE bytes
 */
static inline void blkf_vdev_name(const struct blkf_vdev *v, char *name)
{
	char letters[8], digits[8];
	unsigned int n = v->disk + 1, part = v->part, i = 0, l = 0, d = 0;

	/* a..z, aa..az, ba..: there is no zero among the letters */
	for (; n; n = (n - 1) / 26)
		letters[l++] = 'a' + (n - 1) % 26;
	for (; part; part /= 10)
		digits[d++] = '0' + part % 10;
	name[i++] = 'x';
	name[i++] = 'v';
	name[i++] = 'd';
	while (l)
		name[i++] = letters[--l];
	while (d)
		name[i++] = digits[--d];
	name[i] = '\0';
}

#endif /* PVHVM_BLKFRONT_VDEV_H */
