/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * unplug.h: emulated devices and their PV twins. Offered by pvhvm_platform.
 *
 * Writing to the platform device's I/O port 0x10 takes all emulated devices
 * of a class away until the guest is reset (Xen: docs/misc/
 * hvm-emulated-unplug). It is refused (the veto) unless each emulated device
 * of the class has a connected PV twin and nothing uses the emulated ones.
 */
#ifndef PVHVM_UNPLUG_H
#define PVHVM_UNPLUG_H

#include <linux/pci.h>
#include <linux/types.h>

#define PVHVM_PCI_VENDOR_XEN	0x5853

/**
 * enum pvhvm_class - the classes of emulated devices that are unplugged
 * @PVHVM_CLASS_DISK: IDE disks, bit 0 (not CD-ROMs)
 * @PVHVM_CLASS_NIC: all emulated NICs, bit 1
 * @PVHVM_CLASS_COUNT: how many there are
 *
 * The value is the bit's number in the mask written to the port. There are
 * two more bits, never set; docs/unplug.md says why.
 */
enum pvhvm_class {
	PVHVM_CLASS_DISK,
	PVHVM_CLASS_NIC,
	PVHVM_CLASS_COUNT
};

/**
 * pvhvm_pci_is_emulated() - is it one of the device model's?
 * @pdev: any PCI function, also the platform device (which is not)
 *
 * Told by the subsystem: QEMU's own 1af4:1100, or Xen's 5853:0001, with which
 * XCP-ng and XenServer start QEMU for guests with BIOS.
 */
static inline bool pvhvm_pci_is_emulated(const struct pci_dev *pdev)
{
	if (pdev->vendor == PVHVM_PCI_VENDOR_XEN)
		return false;
	return (pdev->subsystem_vendor == PCI_SUBVENDOR_ID_REDHAT_QUMRANET &&
		pdev->subsystem_device == PCI_SUBDEVICE_ID_QEMU) ||
	       (pdev->subsystem_vendor == PVHVM_PCI_VENDOR_XEN &&
		pdev->subsystem_device == 0x0001);
}

/**
 * pvhvm_unplug_twin_up() - a PV device that stands in for an emulated one has
 * connected
 * @cls: the emulated one's class
 *
 * Context: any but hard interrupt.
 */
void pvhvm_unplug_twin_up(enum pvhvm_class cls);

/**
 * pvhvm_unplug_twin_down() - it is no longer connected
 * @cls: as given to pvhvm_unplug_twin_up(), once for each call of that
 *
 * Context: any but hard interrupt.
 */
void pvhvm_unplug_twin_down(enum pvhvm_class cls);

/**
 * pvhvm_unplug_expect() - the toolstack lists devices that are emulated, too
 * @cls: their class
 * @count: how many have to be connected before the class may be unplugged
 *
 * For devices that the platform cannot see because the emulated one's driver
 * is not loaded yet. Does nothing if the PCI bus shows no function of @cls.
 * Context: process; may sleep.
 */
void pvhvm_unplug_expect(enum pvhvm_class cls, unsigned int count);

/**
 * pvhvm_unplug_emulated() - are emulated devices of this class (still) there?
 * @cls: the class
 *
 * Context: process; may sleep (walks the PCI bus).
 * Return: true while the class has not been unplugged since reset and the
 * PCI bus shows, or showed when the platform device was bound, an emulated
 * function of the class, see pvhvm_pci_is_emulated().
 */
bool pvhvm_unplug_emulated(enum pvhvm_class cls);

#endif /* PVHVM_UNPLUG_H */
