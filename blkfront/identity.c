// SPDX-License-Identifier: GPL-2.0-only
/*
 * identity.c: who a device is: number, name, emulated twin, serial number.
 *
 * A twin: for the first disks of a guest (hdX and sdX, but xvda..xvdd as well)
 * the toolstack makes an emulated disk on the same storage. Both in use at a
 * time destroy the data on it. A disk that was attached later has no twin,
 * whatever its name: the machine's emulated disks are fixed when it is made.
 */
#include "blkfront.h"

#include <linux/idr.h>
#include <linux/pci.h>
#include <linux/slab.h>

#include <pvhvm/unplug.h>

#define IDENTITY_IDE_PORTS	4u
#define IDENTITY_AHCI_PORTS	6u

static struct {
	/* names in use: disk * BLKF_PARTS + part */
	struct ida names;
	/* numbers below device/vbd when we were loaded */
	u32 *born;
	unsigned int nr_born;
} identity;

/* Partitions that a name can tell apart, the whole disk being 0. */
#define IDENTITY_PARTS		256u

static unsigned int identity_slot(const struct blkf_dev *dev)
{
	return dev->vdev.disk * IDENTITY_PARTS + dev->vdev.part;
}

void blkf_identity_exit(void)
{
	kfree(identity.born);
	identity.born = NULL;
	identity.nr_born = 0;
	ida_destroy(&identity.names);
}

static bool identity_was_born(u32 number)
{
	unsigned int i;

	for (i = 0; i < identity.nr_born; i++)
		if (identity.born[i] == number)
			return true;
	return false;
}

static bool identity_has_ahci(void)
{
	struct pci_dev *pci = NULL;

	while ((pci = pci_get_class(PCI_CLASS_STORAGE_SATA_AHCI, pci))) {
		if (pvhvm_pci_is_emulated(pci)) {
			pci_dev_put(pci);
			return true;
		}
	}
	return false;
}

static bool identity_has_twin(u32 number, const struct blkf_vdev *v)
{
	return identity_was_born(number) &&
	       blkf_vdev_has_twin(v, identity_has_ahci() ?
				  IDENTITY_AHCI_PORTS : IDENTITY_IDE_PORTS);
}

static bool identity_is_cdrom(const char *dir)
{
	char *type = pvhvm_xs_read(PVHVM_XS_NONE, dir, "device-type", NULL);
	bool cdrom = !IS_ERR(type) && !strcmp(type, "cdrom");

	if (!IS_ERR(type))
		kfree(type);
	return cdrom;
}

/* Each must be connected before the emulated ones go, seen or not yet seen. */
static void identity_expect_twins(void)
{
	unsigned int i, n = 0;
	struct blkf_vdev v;
	char dir[32];

	for (i = 0; i < identity.nr_born; i++) {
		snprintf(dir, sizeof(dir), "device/vbd/%u", identity.born[i]);
		n += !blkf_vdev_decode(identity.born[i], &v) &&
		     identity_has_twin(identity.born[i], &v) &&
		     !identity_is_cdrom(dir);
	}
	pvhvm_unplug_expect(PVHVM_CLASS_DISK, n);
}

/*
 * Listing them now, not when they are probed, tells those that the guest has
 * from the beginning. One attached before we were loaded is among them: on
 * hold without need, which is the harmless mistake.
 */
int blkf_identity_init(void)
{
	unsigned int i, n;
	char **id;

	ida_init(&identity.names);
	id = pvhvm_xs_directory(PVHVM_XS_NONE, "device", "vbd", &n);
	if (IS_ERR(id))
		return PTR_ERR(id) == -ENOENT ? 0 : PTR_ERR(id);
	identity.born = kcalloc(n, sizeof(*identity.born), GFP_KERNEL);
	if (!identity.born) {
		kfree(id);
		return -ENOMEM;
	}
	for (i = 0; i < n; i++)
		if (!kstrtou32(id[i], 10, &identity.born[identity.nr_born]))
			identity.nr_born++;
	kfree(id);
	identity_expect_twins();
	return 0;
}

int blkf_identity_read(struct blkf_dev *dev)
{
	struct pvhvm_device *pdev = dev->pdev;
	int err, slot;

	err = blkf_vdev_decode(pdev->id, &dev->vdev);
	if (err) {
		dev_warn(&pdev->dev, "disk number %u stands for nothing known\n",
			 pdev->id);
		return err;
	}
	dev->twin = identity_has_twin(pdev->id, &dev->vdev);
	/* Emulated CD-ROMs are never unplugged; the guest keeps using those. */
	if (dev->twin && identity_is_cdrom(pdev->nodename))
		return -ENODEV;

	blkf_vdev_name(&dev->vdev, dev->name);
	slot = identity_slot(dev);
	err = ida_alloc_range(&identity.names, slot, slot, GFP_KERNEL);
	if (err < 0) {
		if (err != -ENOSPC)
			return err;
		dev_err(&pdev->dev,
			"%s exists already: give the disk another vdev\n",
			dev->name);
		return -EEXIST;
	}
	dev->reserved = true;
	return 0;
}

void blkf_identity_release(struct blkf_dev *dev)
{
	if (dev->reserved)
		ida_free(&identity.names, identity_slot(dev));
	dev->reserved = false;
}

void blkf_identity_twin(struct blkf_dev *dev, bool up)
{
	bool change;

	spin_lock(&dev->open_lock);
	/* one whose rings go down meanwhile is not connected */
	up = up && READ_ONCE(dev->live);
	change = dev->twin && dev->twin_up != up;
	if (change)
		dev->twin_up = up;
	spin_unlock(&dev->open_lock);
	if (!change)
		return;
	if (up)
		pvhvm_unplug_twin_up(PVHVM_CLASS_DISK);
	else
		pvhvm_unplug_twin_down(PVHVM_CLASS_DISK);
}

/* An inquiry page as xapi tells it. Return: its bytes; 0 if there is none. */
static unsigned int identity_page(struct blkf_dev *dev, const char *key,
				  u8 *page)
{
	char *text = pvhvm_xs_read(PVHVM_XS_NONE, dev->pdev->otherend, key,
				   NULL);
	int n;

	if (IS_ERR(text))
		return 0;
	n = blkf_base64_decode(text, page, BLKF_VPD_SIZE);
	kfree(text);
	return max(n, 0);
}

void blkf_identity_serial(struct blkf_dev *dev)
{
	u8 *page = kmalloc(BLKF_VPD_SIZE, GFP_KERNEL);
	size_t len;
	char *text;

	/* without memory it has no names, but works */
	dev->serial[0] = '\0';
	dev->wwid[0] = '\0';
	if (!page)
		return;
	text = pvhvm_xs_read(PVHVM_XS_NONE, dev->pdev->otherend, "serial",
			     &len);
	if (!IS_ERR(text)) {
		blkf_serial_clean((u8 *)text, len, dev->serial);
		kfree(text);
	} else {
		len = identity_page(dev, "sm-data/scsi/0x12/0x80", page);
		blkf_vpd_serial(page, len, dev->serial);
	}
	len = identity_page(dev, "sm-data/scsi/0x12/0x83", page);
	blkf_vpd_wwid(page, len, dev->wwid);
	kfree(page);
}
