// SPDX-License-Identifier: GPL-2.0-only
/*
 * unplug_ide.c: the emulated IDE controller outlives its disks.
 *
 * QEMU (hw/ide/piix.c) resets the controller whose disks it takes away: what
 * its PCI function decodes is switched off, and where its bus master answers
 * is forgotten. The CD-ROM that is left there cannot do DMA then, and each
 * command of it ends by a time-out. So whoever unplugs puts both back.
 */
#include "platform.h"

static struct pci_dev *controller;

/**
 * unplug_ide_hold() - this is the emulated IDE controller
 * @pdev: a reference to it is taken; only the first one counts, there is one
 */
void unplug_ide_hold(struct pci_dev *pdev)
{
	if (!controller)
		controller = pci_dev_get(pdev);
}

/** unplug_ide_drop() - the opposite */
void unplug_ide_drop(void)
{
	pci_dev_put(controller);
	controller = NULL;
}

/**
 * unplug_ide_save() - before an unplug
 * @regs: for unplug_ide_restore()
 *
 * Context: any.
 */
void unplug_ide_save(struct unplug_ide_regs *regs)
{
	unsigned int i;

	if (!controller)
		return;
	pci_read_config_word(controller, PCI_COMMAND, &regs->command);
	for (i = 0; i < ARRAY_SIZE(regs->bar); i++)
		pci_read_config_dword(controller, PCI_BASE_ADDRESS_0 + 4 * i,
				      &regs->bar[i]);
}

/**
 * unplug_ide_restore() - behind an unplug
 * @regs: what unplug_ide_save() has noted
 *
 * Context: any.
 */
void unplug_ide_restore(const struct unplug_ide_regs *regs)
{
	unsigned int i;

	if (!controller)
		return;
	for (i = 0; i < ARRAY_SIZE(regs->bar); i++)
		pci_write_config_dword(controller, PCI_BASE_ADDRESS_0 + 4 * i,
				       regs->bar[i]);
	/* last: it says that what is above counts */
	pci_write_config_word(controller, PCI_COMMAND, regs->command);
}
