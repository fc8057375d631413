// SPDX-License-Identifier: GPL-2.0-only
#include <cpuid.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sysfs.h"
#include "xen.h"

/* Signature leaves: xen/arch-x86/cpuid.h. */
#define LEAF_FIRST	0x40000000u
#define LEAF_LAST	0x4000ff00u
#define LEAF_STEP	0x100u

static const char *const module_names[XEN_MODULES] = {
	"pvhvm_platform", "pvhvm_xenbus", "pvhvm_netfront", "pvhvm_blkfront",
};

/* Xen's version as the CPU tells it; false when there is no Xen. */
static bool version_from_cpuid(char *buf, size_t size)
{
	unsigned int a, b, c, d;

	for (unsigned int leaf = LEAF_FIRST; leaf <= LEAF_LAST; leaf += LEAF_STEP) {
		char sig[13] = "";

		__cpuid(leaf, a, b, c, d);
		memcpy(sig, &b, 4);
		memcpy(sig + 4, &c, 4);
		memcpy(sig + 8, &d, 4);
		if (strcmp(sig, "XenVMMXenVMM"))
			continue;
		__cpuid(leaf + 1, a, b, c, d);
		snprintf(buf, size, "%u.%u", a >> 16, a & 0xffff);
		return true;
	}
	return false;
}

/* In a copied tree the CPU has nothing to say; the firmware tables do. */
static bool version_from_dmi(char *buf, size_t size)
{
	char vendor[32];

	sysfs_read(vendor, sizeof(vendor), "/sys/class/dmi/id/sys_vendor");
	if (strcmp(vendor, "Xen"))
		return false;
	sysfs_read(buf, size, "/sys/class/dmi/id/bios_version");
	return true;
}

static void find_platform(struct xen *xen)
{
	char **devs = sysfs_list("/sys/bus/pci/devices");

	for (char **d = devs; *d && !xen->platform[0]; d++) {
		if (sysfs_number(0, "/sys/bus/pci/devices/%s/vendor", *d) != 0x5853)
			continue;
		if (sysfs_number(0, "/sys/bus/pci/devices/%s/device", *d) != 0x0001)
			continue;
		sysfs_target(xen->platform, "/sys/bus/pci/devices/%s", *d);
	}
	sysfs_list_free(devs);
	if (xen->platform[0])
		sysfs_target_name(xen->driver, sizeof(xen->driver), "%s/driver",
				  xen->platform);
}

static void read_modules(struct xen *xen)
{
	for (int i = 0; i < XEN_MODULES; i++) {
		struct xen_module *m = &xen->modules[i];

		m->name = module_names[i];
		m->loaded = sysfs_exists("/sys/module/%s", m->name);
		sysfs_read(m->version, sizeof(m->version),
			   "/sys/module/%s/version", m->name);
	}
}

static void read_classes(struct xen *xen)
{
	char *all = sysfs_slurp("%s/pvhvm/unplug", xen->platform);
	char *save = NULL;

	if (!all)
		return;
	for (char *line = strtok_r(all, "\n", &save);
	     line && xen->nr_classes < XEN_CLASSES;
	     line = strtok_r(NULL, "\n", &save)) {
		struct xen_class *c = &xen->classes[xen->nr_classes];

		if (sscanf(line, "%23s %15s emulated=%d twins=%d", c->name,
			   c->state, &c->emulated, &c->twins) >= 2)
			xen->nr_classes++;
	}
	free(all);
}

static void read_driven(struct xen *xen)
{
	const char *dir = xen->platform;

	sysfs_read(xen->version, sizeof(xen->version), "%s/pvhvm/xen_version", dir);
	sysfs_read(xen->upcall, sizeof(xen->upcall), "%s/pvhvm/upcall", dir);
	sysfs_read(xen->evtchn_abi, sizeof(xen->evtchn_abi), "%s/pvhvm/evtchn_abi", dir);
	sysfs_read(xen->grants, sizeof(xen->grants), "%s/pvhvm/grants", dir);
	sysfs_read(xen->ports, sizeof(xen->ports), "%s/pvhvm/ports", dir);
	read_classes(xen);
}

/*
 * Our platform driver fills /sys/hypervisor as well, so the order matters:
 * whoever is bound to the PCI device is asked first.
 */
static enum xen_state judge(const struct xen *xen, bool on_xen)
{
	char type[16];

	if (!strcmp(xen->driver, "pvhvm-platform"))
		return XEN_DRIVEN;
	sysfs_read(type, sizeof(type), "/sys/hypervisor/type");
	if (!strcmp(type, "xen") || !strcmp(xen->driver, "xen-platform-pci"))
		return XEN_INKERNEL;
	if (xen->platform[0])
		return XEN_NOT_LOADED;
	return on_xen ? XEN_NO_PLATFORM : XEN_NOT;
}

void xen_look(struct xen *xen)
{
	bool on_xen;

	memset(xen, 0, sizeof(*xen));
	if (sysfs_is_moved())
		on_xen = version_from_dmi(xen->version, sizeof(xen->version));
	else
		on_xen = version_from_cpuid(xen->version, sizeof(xen->version));
	find_platform(xen);
	read_modules(xen);
	sysfs_read(xen->clocksource, sizeof(xen->clocksource),
		   "/sys/devices/system/clocksource/clocksource0/current_clocksource");
	xen->state = judge(xen, on_xen);
	if (xen->state == XEN_DRIVEN)
		read_driven(xen);
}

const char *xen_state_word(enum xen_state state)
{
	static const char *const words[] = {
		[XEN_NOT] = "not-xen",
		[XEN_NO_PLATFORM] = "no-platform-device",
		[XEN_INKERNEL] = "in-kernel",
		[XEN_NOT_LOADED] = "not-loaded",
		[XEN_DRIVEN] = "driven",
	};

	return words[state];
}

const char *xen_advice(const struct xen *xen)
{
	switch (xen->state) {
	case XEN_NOT:
		return "this machine does not run on Xen: nothing for pvhvm to do here";
	case XEN_NO_PLATFORM:
		return "Xen is there but its PCI device 5853:0001 is not: set xen_platform_pci=1 in the guest's configuration (PV and PVH guests need no pvhvm)";
	case XEN_INKERNEL:
		return "the kernel's own Xen drivers are active and pvhvm stays out of their way: boot with nopv on the kernel command line to use pvhvm";
	case XEN_NOT_LOADED:
		if (!xen->modules[0].loaded)
			return "the pvhvm modules are not loaded: run `modprobe -a pvhvm_netfront pvhvm_blkfront` (and see dmesg if that fails)";
		return "pvhvm_platform is loaded but not bound to its PCI device: dmesg | grep pvhvm says why";
	case XEN_DRIVEN:
		break;
	}
	return "";
}

int xen_need(const struct xen *xen, struct why *why)
{
	if (xen->state == XEN_DRIVEN)
		return PVHVM_OK;
	return why_set(why, PVHVM_NO_DRIVERS, "%s", xen_advice(xen));
}

const struct xen_class *xen_class(const struct xen *xen, const char *name)
{
	for (int i = 0; i < xen->nr_classes; i++)
		if (!strcmp(xen->classes[i].name, name))
			return &xen->classes[i];
	return NULL;
}

int xen_unplug(const struct xen *xen, const char *class, struct why *why)
{
	int err = sysfs_write(class, "%s/pvhvm/unplug", xen->platform);

	switch (-err) {
	case 0:
	case EALREADY:
		return PVHVM_OK;
	case EBUSY:
		return why_set(why, PVHVM_REFUSED,
			       "unplug of %s refused: an emulated device is still in use; see `pvhvm status` for which",
			       class);
	case EPERM:
		return why_set(why, PVHVM_REFUSED,
			       "unplug of %s refused: not every emulated device has a connected PV twin; see `pvhvm status`",
			       class);
	case EACCES:
		return why_set(why, PVHVM_REFUSED,
			       "unplug of %s refused by the host (drivers blacklisted or no unplug port): ask the host's administrator",
			       class);
	default:
		return why_set(why, PVHVM_REFUSED,
			       "unplug of %s failed: %s; dmesg | grep pvhvm says more",
			       class, strerror(-err));
	}
}
