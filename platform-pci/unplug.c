// SPDX-License-Identifier: GPL-2.0-only
/*
 * unplug.c: taking emulated devices away, and above all not taking them.
 *
 * The protocol (Xen: docs/misc/hvm-emulated-unplug) is a handful of accesses
 * to I/O port 0x10: is the magic number there, who are we, does the host not
 * want us, and then the mask of classes. It does not ask whether anything else
 * drives the disks; so we do.
 */
#include "platform.h"

#include <linux/device.h>
#include <linux/io.h>
#include <linux/mutex.h>
#include <linux/netdevice.h>
#include <linux/string.h>

#include "hypercall.h"

/* 16 bits to read, 32 for the build number, 16 again for the mask */
#define PORT_MAGIC	0x10
/* 8 bits to read: version of the protocol; 16 to write: product number */
#define PORT_PRODUCT	0x12

#define MAGIC		0x49d2
#define MAGIC_BLACKLIST	0xd249

/*
 * "experimental" in xen/hvm/pvdrivers.h, where products have to be registered
 * and this one is not.
 */
#define PRODUCT		0xffff

static const char *const class_names[PVHVM_CLASS_COUNT] = {
	[PVHVM_CLASS_DISK] = "ide-disks",
	[PVHVM_CLASS_NIC] = "nics",
};

/* Protects the tables below. Never taken in hard interrupts. */
static DEFINE_MUTEX(unplug_lock);
/* Most devices ever seen: what is gone from the bus still needs its twin. */
static unsigned int most_seen[PVHVM_CLASS_COUNT];
static atomic_t twins[PVHVM_CLASS_COUNT];
/* The host answers; without, nothing can be unplugged. */
static bool available;

/* What the bus shows of one class just now. */
struct census {
	unsigned int functions;		/* PCI functions */
	unsigned int devices;		/* NICs, or disks below functions */
	unsigned int in_use;		/* block or net devices alive */
};

static bool of_class(const struct pci_dev *pdev, enum pvhvm_class cls)
{
	unsigned int type = pdev->class >> 8;

	if (!pvhvm_pci_is_emulated(pdev))
		return false;
	if (cls == PVHVM_CLASS_NIC)
		return type == PCI_CLASS_NETWORK_ETHERNET;
	return type == PCI_CLASS_STORAGE_IDE ||
	       type == PCI_CLASS_STORAGE_SATA ||
	       type == PCI_CLASS_STORAGE_SATA_AHCI ||
	       type == PCI_CLASS_STORAGE_SCSI;
}

/* Whole disks and network interfaces, wherever they are below a function. */
static int count_below(struct device *dev, void *data)
{
	struct census *c = data;
	const char *class = dev->class ? dev->class->name : "";

	if (!strcmp(class, "block")) {
		/* CD-ROMs are never unplugged. */
		if (strncmp(dev_name(dev), "sr", 2))
			c->in_use++;
		/* Below it there are only its partitions. */
		return 0;
	}
	if (!strcmp(class, "net"))
		c->in_use++;
	return device_for_each_child(dev, data, count_below);
}

static struct census take_census(enum pvhvm_class cls)
{
	struct census c = { 0 };
	struct pci_dev *pdev = NULL;

	for_each_pci_dev(pdev) {
		if (!of_class(pdev, cls))
			continue;
		c.functions++;
		device_for_each_child(&pdev->dev, &c, count_below);
	}
	c.devices = cls == PVHVM_CLASS_NIC ? c.functions : c.in_use;
	lockdep_assert_held(&unplug_lock);
	if (most_seen[cls] < c.devices)
		most_seen[cls] = c.devices;
	return c;
}

static bool unplugged(enum pvhvm_class cls)
{
	struct shared_info_note note;

	shared_info_note_get(&note);
	return note.unplugged & BIT(cls);
}

/* Any context. */
static void unplug_mask(u16 mask)
{
	struct unplug_ide_regs regs;

	unplug_ide_save(&regs);
	outw(mask, PORT_MAGIC);
	unplug_ide_restore(&regs);
}

static void unplug(enum pvhvm_class cls)
{
	struct shared_info_note note;

	unplug_mask(BIT(cls));
	shared_info_note_get(&note);
	shared_info_note_unplugged(note.unplugged | BIT(cls));
}

void pvhvm_unplug_twin_up(enum pvhvm_class cls)
{
	atomic_inc(&twins[cls]);
}
PVHVM_EXPORT(pvhvm_unplug_twin_up);

void pvhvm_unplug_twin_down(enum pvhvm_class cls)
{
	atomic_dec(&twins[cls]);
}
PVHVM_EXPORT(pvhvm_unplug_twin_down);

void pvhvm_unplug_expect(enum pvhvm_class cls, unsigned int count)
{
	mutex_lock(&unplug_lock);
	if (take_census(cls).functions && most_seen[cls] < count)
		most_seen[cls] = count;
	mutex_unlock(&unplug_lock);
}
PVHVM_EXPORT(pvhvm_unplug_expect);

bool pvhvm_unplug_emulated(enum pvhvm_class cls)
{
	bool present = false;

	mutex_lock(&unplug_lock);
	if (platform_shared_info && !unplugged(cls))
		present = take_census(cls).functions || most_seen[cls];
	mutex_unlock(&unplug_lock);
	return present;
}
PVHVM_EXPORT(pvhvm_unplug_emulated);

static unsigned int twins_of(enum pvhvm_class cls)
{
	return max(atomic_read(&twins[cls]), 0);
}

/**
 * unplug_show() - one line for each class
 * @buf: a page
 *
 * Return: bytes written.
 */
ssize_t unplug_show(char *buf)
{
	enum pvhvm_class cls;
	ssize_t len = 0;

	mutex_lock(&unplug_lock);
	for (cls = 0; cls < PVHVM_CLASS_COUNT; cls++) {
		struct census c = take_census(cls);
		const char *state = "absent";

		if (unplugged(cls))
			state = "unplugged";
		else if (c.functions || most_seen[cls])
			state = "present";
		len += sysfs_emit_at(buf, len, "%s %s emulated=%u twins=%u\n",
				     class_names[cls], state,
				     unplugged(cls) ? 0 : most_seen[cls],
				     twins_of(cls));
	}
	mutex_unlock(&unplug_lock);
	return len;
}

/* Why a class must not be unplugged now; 0 if it may. */
static int veto(enum pvhvm_class cls)
{
	struct census c = take_census(cls);
	/* a NIC that is on the bus gets its driver any time */
	unsigned int in_use = cls == PVHVM_CLASS_NIC ? c.functions : c.in_use;

	if (unplugged(cls))
		return -EALREADY;
	if (!available)
		return -EACCES;
	if (in_use) {
		pr_warn("%s: not unplugged, %u emulated still in use\n",
			class_names[cls], in_use);
		return -EBUSY;
	}
	if (!twins_of(cls) || twins_of(cls) < most_seen[cls]) {
		pr_warn("%s: not unplugged, %u emulated but %u PV devices connected\n",
			class_names[cls], most_seen[cls], twins_of(cls));
		return -EPERM;
	}
	return 0;
}

/**
 * unplug_store() - unplug a class, unless that would strand the guest
 * @name: the class as unplug_show() calls it; a newline behind it is fine
 *
 * Return: 0; -EINVAL: no such class; -EALREADY: done before; -EACCES: the
 * host does not want it; -EBUSY: an emulated device is still in use; -EPERM:
 * one has no connected PV twin.
 */
int unplug_store(const char *name)
{
	int cls = sysfs_match_string(class_names, name);
	int ret;

	if (cls < 0)
		return cls;
	mutex_lock(&unplug_lock);
	ret = veto(cls);
	if (!ret) {
		unplug(cls);
		pr_info("%s: unplugged until the guest is restarted\n",
			class_names[cls]);
	}
	mutex_unlock(&unplug_lock);
	return ret;
}

/* One number from "major.minor.patch", as the protocol wants it. */
static u32 build_number(void)
{
	unsigned int major = 0, minor = 0, patch = 0;

	if (sscanf(PVHVM_VERSION, "%u.%u.%u", &major, &minor, &patch) < 2)
		pr_warn_once("no build number in version " PVHVM_VERSION "\n");
	return major * 10000 + minor * 100 + patch;
}

static bool introduce_ourselves(void)
{
	if (inw(PORT_MAGIC) != MAGIC)
		return false;
	if (inb(PORT_PRODUCT)) {
		outw(PRODUCT, PORT_PRODUCT);
		outl(build_number(), PORT_MAGIC);
	}
	return true;
}

/**
 * unplug_is_quiet() - is nobody between an unplug and the note of it?
 *
 * Context: all other CPUs stand still.
 */
bool unplug_is_quiet(void)
{
	return !mutex_is_locked(&unplug_lock);
}

/**
 * unplug_resume() - a new device model has plugged all in again: once more
 *
 * Exactly the classes that were unplugged before. Who has blacklisted us
 * meanwhile does not matter: their twins are all the guest has.
 * Context: all other CPUs stand still, interrupts off.
 */
void unplug_resume(void)
{
	struct shared_info_note note;

	shared_info_note_get(&note);
	if (!note.unplugged)
		return;
	if (!introduce_ourselves()) {
		pr_err("the new host offers no unplug: emulated devices are back\n");
		shared_info_note_unplugged(0);
		return;
	}
	unplug_mask(note.unplugged);
}

static void find_ide(void)
{
	struct pci_dev *pdev = NULL;

	for_each_pci_dev(pdev)
		if (of_class(pdev, PVHVM_CLASS_DISK) &&
		    pdev->class >> 8 == PCI_CLASS_STORAGE_IDE)
			unplug_ide_hold(pdev);
}

/**
 * unplug_init() - introduce ourselves to the host, look at the bus
 *
 * Context: process; may sleep.
 * Return: 0, also when the host knows no unplug; -EACCES when it has
 * blacklisted this version.
 */
int unplug_init(void)
{
	enum pvhvm_class cls;

	available = introduce_ourselves();
	if (available && inw(PORT_MAGIC) != MAGIC) {
		available = false;
		pr_err("the host has blacklisted product %#x build %u; install another\n",
		       PRODUCT, build_number());
		return -EACCES;
	}
	if (!available)
		pr_info("the host offers no unplug; emulated devices stay\n");

	find_ide();
	mutex_lock(&unplug_lock);
	for (cls = 0; cls < PVHVM_CLASS_COUNT; cls++) {
		most_seen[cls] = 0;
		take_census(cls);
	}
	mutex_unlock(&unplug_lock);
	return 0;
}

void unplug_exit(void)
{
	enum pvhvm_class cls;

	for (cls = 0; cls < PVHVM_CLASS_COUNT; cls++) {
		int left = atomic_xchg(&twins[cls], 0);

		if (left)
			pr_err("%d PV %s are still counted\n", left,
			       class_names[cls]);
	}
	available = false;
	unplug_ide_drop();
}
