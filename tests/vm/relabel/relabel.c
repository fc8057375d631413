// SPDX-License-Identifier: GPL-2.0-only
/*
 * relabel: gives the machine's emulated devices the subsystem that XCP-ng has
 * QEMU give them, as far as this kernel can tell. For test guests only.
 */
#include <linux/module.h>
#include <linux/pci.h>

static void relabel(u16 vendor, u16 device, u16 new_vendor, u16 new_device)
{
	struct pci_dev *pdev = NULL;

	for_each_pci_dev(pdev) {
		if (pdev->subsystem_vendor != vendor ||
		    pdev->subsystem_device != device || pdev->vendor == 0x5853)
			continue;
		pdev->subsystem_vendor = new_vendor;
		pdev->subsystem_device = new_device;
	}
}

static int __init relabel_init(void)
{
	relabel(0x1af4, 0x1100, 0x5853, 0x0001);
	return 0;
}

static void __exit relabel_exit(void)
{
	relabel(0x5853, 0x0001, 0x1af4, 0x1100);
}

module_init(relabel_init);
module_exit(relabel_exit);
MODULE_DESCRIPTION("Other subsystem numbers for emulated devices, for tests");
MODULE_LICENSE("GPL");
