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

#include <linux/types.h>

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
 * (QEMU subsystem id 1af4:1100) function of the class.
 */
bool pvhvm_unplug_emulated(enum pvhvm_class cls);

#endif /* PVHVM_UNPLUG_H */
