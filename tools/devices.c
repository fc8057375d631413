// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices.h"
#include "hwaddr.h"
#include "sysfs.h"

/* How QEMU's own devices call themselves; in XCP-ng, as the platform device. */
#define QEMU_SUBVENDOR	0x1af4
#define QEMU_SUBDEVICE	0x1100
#define XEN_VENDOR	0x5853
#define XEN_SUBDEVICE	0x0001

#define PCI_CLASS_NET	0x02
#define PCI_CLASS_DISK	0x01
#define PCI_SUB_AHCI	0x06
#define PCI_SUB_IDE	0x01
#define SCSI_TYPE_ROM	5

/* "0000:00:04.0": the shape of a PCI function's name. */
static bool looks_like_pci(const char *s, size_t len)
{
	return len == 12 && s[4] == ':' && s[7] == ':' && s[10] == '.';
}

/* The PCI function nearest to a device: the last such name on its path. */
static void pci_of_path(const char *path, char *pci, size_t size)
{
	pci[0] = '\0';
	for (const char *s = path; *s; s += strcspn(s, "/")) {
		size_t len;

		s += strspn(s, "/");
		len = strcspn(s, "/");
		if (looks_like_pci(s, len) && len < size) {
			memcpy(pci, s, len);
			pci[len] = '\0';
		}
	}
}

static bool qemu_emulates(const char *pci, int base_class)
{
	const char *dir = "/sys/bus/pci/devices";
	long long class = sysfs_number(0, "%s/%s/class", dir, pci);
	long long vendor = sysfs_number(0, "%s/%s/subsystem_vendor", dir, pci);
	long long device = sysfs_number(0, "%s/%s/subsystem_device", dir, pci);

	if (!pci[0] || (class >> 16) != base_class ||
	    sysfs_number(0, "%s/%s/vendor", dir, pci) == XEN_VENDOR)
		return false;
	return (vendor == QEMU_SUBVENDOR && device == QEMU_SUBDEVICE) ||
	       (vendor == XEN_VENDOR && device == XEN_SUBDEVICE);
}

/* Which of the two PV buses, or none, the device at @path is on. */
static enum dev_kind bus_kind(const char *path, enum dev_kind other)
{
	char bus[32];

	sysfs_target_name(bus, sizeof(bus), "%s/subsystem", path);
	if (!strcmp(bus, "pvhvm"))
		return DEV_PV;
	if (!strcmp(bus, "xen"))
		return DEV_INKERNEL;
	return other;
}

static void read_pv_state(const char *pvdev, char *state, size_t state_size,
			  char *quarantined, size_t quarantined_size)
{
	const char *dir = "/sys/bus/pvhvm/devices";

	sysfs_read(state, state_size, "%s/%s/state", dir, pvdev);
	sysfs_read(quarantined, quarantined_size, "%s/%s/quarantined", dir, pvdev);
	if (!strcmp(quarantined, "no"))
		quarantined[0] = '\0';
}

static void add_nic(struct devices *devs, const char *name)
{
	char path[PATH_MAX];
	struct nic *nic;

	if (!sysfs_target(path, "/sys/class/net/%s/device", name))
		return;
	devs->nics = text_grow(devs->nics, devs->nr_nics + 1, sizeof(*nic));
	nic = &devs->nics[devs->nr_nics++];
	memset(nic, 0, sizeof(*nic));
	text_set(nic->name, sizeof(nic->name), name);
	hwaddr_permanent(name, nic->mac);
	sysfs_target_name(nic->driver, sizeof(nic->driver), "%s/driver", path);
	nic->kind = bus_kind(path, DEV_OTHER);
	if (nic->kind == DEV_PV) {
		text_set(nic->pvdev, sizeof(nic->pvdev), strrchr(path, '/') + 1);
		read_pv_state(nic->pvdev, nic->state, sizeof(nic->state),
			      nic->quarantined, sizeof(nic->quarantined));
	} else if (nic->kind == DEV_OTHER) {
		pci_of_path(path, nic->pci, sizeof(nic->pci));
		if (qemu_emulates(nic->pci, PCI_CLASS_NET))
			nic->kind = DEV_EMULATED;
	}
}

/* Why the PV device found for an emulated one cannot take over; "" if it can. */
static void judge_twin(const char *pvdev, const char *state,
		       const char *quarantined, bool ready, char *reason, size_t size)
{
	reason[0] = '\0';
	if (quarantined[0])
		snprintf(reason, size, "its PV twin %s is quarantined: %.90s", pvdev,
			 quarantined);
	else if (!ready)
		snprintf(reason, size, "its PV twin %s is in state %s, not connected",
			 pvdev, state[0] ? state : "unknown");
}

static void pair_nics(struct devices *devs)
{
	for (int i = 0; i < devs->nr_nics; i++) {
		struct nic *emu = &devs->nics[i];

		if (emu->kind != DEV_EMULATED)
			continue;
		snprintf(emu->reason, sizeof(emu->reason),
			 "no PV interface has its address %s", emu->mac);
		for (int j = 0; j < devs->nr_nics; j++) {
			struct nic *pv = &devs->nics[j];

			if (pv->kind != DEV_PV || strcmp(pv->mac, emu->mac))
				continue;
			emu->twin = pv;
			pv->twin = emu;
			judge_twin(pv->pvdev, pv->state, pv->quarantined,
				   !strcmp(pv->state, "connected"),
				   emu->reason, sizeof(emu->reason));
			break;
		}
	}
}

int devices_vdev_slot(long vdev)
{
	long major = vdev >> 8, minor = vdev & 0xff;

	/* hda, hdb; hdc, hdd: xen-vbd-interface(7) */
	if (major == 3 || major == 22)
		return minor == 0 || minor == 64 ?
		       (major == 22 ? 2 : 0) + (minor == 64) : -1;
	/* The toolstack emulates the first four xvd disks as hda..hdd, too. */
	if (major == 202 && minor % 16 == 0 && minor / 16 < 4)
		return minor / 16;
	return -1;
}

/* The number in a path's component "/<prefix>N", or -1. */
static int path_number(const char *path, const char *prefix)
{
	size_t len = strlen(prefix);

	for (const char *s = strchr(path, '/'); s; s = strchr(s + 1, '/'))
		if (!strncmp(s + 1, prefix, len) &&
		    s[1 + len] >= '0' && s[1 + len] <= '9')
			return atoi(s + 1 + len);
	return -1;
}

/*
 * Ports of one controller are numbered upwards in the order they were found,
 * across all controllers: the port's index is its place among its siblings.
 */
static int port_index(const char *pci, int ata)
{
	char **list = sysfs_list("/sys/bus/pci/devices/%s", pci);
	int index = -1, n = 0;

	for (char **s = list; *s; s++) {
		if (strncmp(*s, "ata", 3) || (*s)[3] < '0' || (*s)[3] > '9')
			continue;
		if (atoi(*s + 3) == ata)
			index = n;
		n++;
	}
	sysfs_list_free(list);
	return index;
}

/* IDE: two ports of two devices. AHCI: the toolstack puts a disk on a port. */
static int emulated_slot(const char *pci, const char *path)
{
	int sub = (sysfs_number(0, "/sys/bus/pci/devices/%s/class", pci) >> 8) & 0xff;
	int port = port_index(pci, path_number(path, "ata"));
	const char *target = strstr(path, "/target");
	int h, channel, id, slot = -1;

	if (port < 0 || !target ||
	    sscanf(target, "/target%d:%d:%d", &h, &channel, &id) != 3)
		return -1;
	if (sub == PCI_SUB_IDE && port < 2 && id < 2)
		slot = port * 2 + id;
	else if (sub == PCI_SUB_AHCI && port < 4)
		slot = port;
	return slot;
}

static struct disk *new_disk(struct devices *devs)
{
	struct disk *disk;

	devs->disks = text_grow(devs->disks, devs->nr_disks + 1, sizeof(*disk));
	disk = &devs->disks[devs->nr_disks++];
	memset(disk, 0, sizeof(*disk));
	disk->slot = -1;
	disk->vdev = -1;
	return disk;
}

/* Disks with a PCI controller or on the in-kernel bus; PV ones come by bus. */
static void add_disk(struct devices *devs, const char *name)
{
	char path[PATH_MAX], dev[PATH_MAX], pci[16];
	enum dev_kind kind;
	struct disk *disk;

	if (!sysfs_target(path, "/sys/block/%s", name) ||
	    !sysfs_target(dev, "/sys/block/%s/device", name))
		return;
	kind = bus_kind(dev, DEV_OTHER);
	if (kind == DEV_PV || !strncmp(name, "sr", 2))
		return;
	pci_of_path(path, pci, sizeof(pci));
	disk = new_disk(devs);
	disk->kind = kind;
	text_set(disk->name, sizeof(disk->name), name);
	text_set(disk->pci, sizeof(disk->pci), pci);
	disk->sectors = sysfs_number(0, "/sys/block/%s/size", name);
	if (kind == DEV_INKERNEL || !qemu_emulates(pci, PCI_CLASS_DISK))
		return;
	disk->kind = DEV_EMULATED;
	sysfs_target_name(disk->driver, sizeof(disk->driver),
			  "/sys/bus/pci/devices/%s/driver", pci);
	sysfs_target_name(disk->scsi, sizeof(disk->scsi), "/sys/block/%s/device", name);
	disk->slot = emulated_slot(pci, path);
	devices_disk_use(name, disk->use, sizeof(disk->use));
}

bool devices_vbd_disk(const char *pvdev, char *name, size_t size)
{
	char **list = sysfs_list("/sys/bus/pvhvm/devices/%s/block", pvdev);
	bool found = *list != NULL;

	text_set(name, size, found ? *list : "");
	sysfs_list_free(list);
	return found;
}

/* Is an emulated CD-ROM, whatever its driver, in the place of hda..hdd? In none, if negative. */
static bool cdrom_at(int slot)
{
	char **list = sysfs_list("/sys/bus/scsi/devices");
	char path[PATH_MAX], pci[16];
	bool found = false;

	for (char **s = list; *s && !found && slot >= 0; s++) {
		if (sysfs_number(-1, "/sys/bus/scsi/devices/%s/type", *s) != SCSI_TYPE_ROM ||
		    !sysfs_target(path, "/sys/bus/scsi/devices/%s", *s))
			continue;
		pci_of_path(path, pci, sizeof(pci));
		found = qemu_emulates(pci, PCI_CLASS_DISK) && emulated_slot(pci, path) == slot;
	}
	sysfs_list_free(list);
	return found;
}

static void add_vbd(struct devices *devs, const char *pvdev)
{
	const char *dir = "/sys/bus/pvhvm/devices";
	struct disk *disk = new_disk(devs);

	disk->kind = DEV_PV;
	text_set(disk->pvdev, sizeof(disk->pvdev), pvdev);
	disk->vdev = atol(pvdev + strlen("vbd-"));
	sysfs_target_name(disk->driver, sizeof(disk->driver), "%s/%s/driver", dir, pvdev);
	read_pv_state(pvdev, disk->state, sizeof(disk->state),
		      disk->quarantined, sizeof(disk->quarantined));
	disk->held = sysfs_number(0, "%s/%s/hold", dir, pvdev) == 1;
	disk->cdrom = !disk->driver[0] && cdrom_at(devices_vdev_slot(disk->vdev));
	if (devices_vbd_disk(pvdev, disk->name, sizeof(disk->name))) {
		disk->sectors = sysfs_number(0, "/sys/block/%s/size", disk->name);
		devices_disk_use(disk->name, disk->use, sizeof(disk->use));
	}
}

/* Only one PV disk may claim an emulated one's place: a guess costs data. */
static void pair_disk(struct devices *devs, struct disk *emu)
{
	int found = 0;

	if (emu->slot < 0) {
		snprintf(emu->reason, sizeof(emu->reason),
			 "its place on %s does not tell which PV disk it is", emu->pci);
		return;
	}
	for (int i = 0; i < devs->nr_disks; i++) {
		struct disk *pv = &devs->disks[i];

		if (pv->kind != DEV_PV || devices_vdev_slot(pv->vdev) != emu->slot)
			continue;
		found++;
		emu->twin = pv;
	}
	if (found == 1) {
		struct disk *pv = emu->twin;

		pv->twin = emu;
		emu->vdev = pv->vdev;
		judge_twin(pv->pvdev, pv->state, pv->quarantined,
			   pv->held || !strcmp(pv->state, "connected"),
			   emu->reason, sizeof(emu->reason));
		return;
	}
	emu->twin = NULL;
	snprintf(emu->reason, sizeof(emu->reason), found ?
		 "more than one PV disk claims the place of hd%c" :
		 "there is no PV disk for hd%c", 'a' + emu->slot);
}

void devices_look(struct devices *devs)
{
	char **list;

	memset(devs, 0, sizeof(*devs));
	list = sysfs_list("/sys/class/net");
	for (char **s = list; *s; s++)
		add_nic(devs, *s);
	sysfs_list_free(list);
	pair_nics(devs);

	list = sysfs_list("/sys/block");
	for (char **s = list; *s; s++)
		add_disk(devs, *s);
	sysfs_list_free(list);
	list = sysfs_list("/sys/bus/pvhvm/devices");
	for (char **s = list; *s; s++)
		if (!strncmp(*s, "vbd-", 4))
			add_vbd(devs, *s);
	sysfs_list_free(list);
	/* Pointers into the array: only now that it no longer grows. */
	for (int i = 0; i < devs->nr_disks; i++)
		if (devs->disks[i].kind == DEV_EMULATED)
			pair_disk(devs, &devs->disks[i]);
}

void devices_free(struct devices *devs)
{
	free(devs->nics);
	free(devs->disks);
	memset(devs, 0, sizeof(*devs));
}

struct nic *devices_nic(struct devices *devs, const char *name)
{
	for (int i = 0; i < devs->nr_nics; i++)
		if (!strcmp(devs->nics[i].name, name))
			return &devs->nics[i];
	for (int i = 0; i < devs->nr_nics; i++)
		if (!strcasecmp(devs->nics[i].mac, name) &&
		    devs->nics[i].kind == DEV_EMULATED)
			return &devs->nics[i];
	return NULL;
}

struct disk *devices_disk(struct devices *devs, const char *name)
{
	char *end;
	long vdev = strtol(name, &end, 10);

	if (!strncmp(name, "/dev/", 5))
		name += 5;
	for (int i = 0; i < devs->nr_disks; i++)
		if (name[0] && !strcmp(devs->disks[i].name, name))
			return &devs->disks[i];
	for (int i = 0; i < devs->nr_disks; i++)
		if (!*end && devs->disks[i].vdev == vdev &&
		    devs->disks[i].kind == DEV_EMULATED)
			return &devs->disks[i];
	return NULL;
}

bool devices_pci_netdev(const char *pci, char name[IFNAMSIZ])
{
	char **list = sysfs_list("/sys/bus/pci/devices/%s/net", pci);
	bool found = *list != NULL;

	text_set(name, IFNAMSIZ, found ? *list : "");
	sysfs_list_free(list);
	return found;
}

int devices_count_emulated_nics(void)
{
	char **list = sysfs_list("/sys/bus/pci/devices");
	int n = 0;

	for (char **s = list; *s; s++)
		n += qemu_emulates(*s, PCI_CLASS_NET);
	sysfs_list_free(list);
	return n;
}

struct nic *devices_lone_nic(struct devices *devs, const char *mac)
{
	struct nic *found = NULL;
	int emulated = 0;

	for (int i = 0; i < devs->nr_nics; i++) {
		struct nic *nic = &devs->nics[i];

		emulated += nic->kind == DEV_EMULATED;
		if (nic->kind == DEV_PV && !nic->twin && !strcasecmp(nic->mac, mac) &&
		    !strcmp(nic->state, "connected"))
			found = nic;
	}
	return emulated == devices_count_emulated_nics() ? found : NULL;
}

bool devices_has_controller(int class)
{
	char **list = sysfs_list("/sys/bus/pci/devices");
	bool found = false;

	for (char **s = list; *s && !found; s++)
		found = qemu_emulates(*s, class >> 8) &&
			sysfs_number(0, "/sys/bus/pci/devices/%s/class", *s) >> 8 == class;
	sysfs_list_free(list);
	return found;
}

const char *devices_kind_word(enum dev_kind kind)
{
	static const char *const words[] = {
		[DEV_EMULATED] = "emulated",
		[DEV_PV] = "pvhvm",
		[DEV_INKERNEL] = "inkernel",
		[DEV_OTHER] = "other",
	};

	return words[kind];
}
