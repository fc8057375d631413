// SPDX-License-Identifier: GPL-2.0-only
/*
 * main.c: bind the Xen platform device, and climb the ladder.
 *
 * Each step relies on those above it and is undone in reverse order. There is
 * one platform device in a guest, so state is static in each file.
 */
#include "platform.h"

#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/wait.h>

#include "evtchn.h"
#include "hypercall.h"
#include "upcall.h"
#include "vcpu.h"

#define XEN_PLATFORM_ID		0x0001

static int fail_step;
module_param(fail_step, int, 0444);
MODULE_PARM_DESC(fail_step,
		 "For tests: fail the Nth step of the probe (default 0: none)");

struct pci_dev *platform_pdev;

/* ready and users; users hold the device, see pvhvm_platform_get(). */
static DEFINE_MUTEX(ready_lock);
static bool ready;
static unsigned int users;
static DECLARE_WAIT_QUEUE_HEAD(users_gone);
static int probe_result;

/*
 * @init says why it fails, in one line, unless for lack of memory (-ENOMEM);
 * and then it has undone its own part.
 */
struct step {
	const char *name;
	int (*init)(void);
	void (*exit)(void);
};

static int pci_init(void)
{
	int ret = pci_enable_device(platform_pdev);

	if (ret)
		pr_err("cannot enable the platform device (%d)\n", ret);
	return ret;
}

static void pci_exit(void)
{
	pci_disable_device(platform_pdev);
}

static void nothing(void)
{
}

/* Down this list when coming, up when going. */
static const struct step steps[] = {
	{ "PCI device", pci_init, pci_exit },
	{ "hibernation", hibernation_init, hibernation_exit },
	{ "hypercalls", hypercall_init, hypercall_exit },
	{ "memory", physmap_init, physmap_exit },
	{ "shared info", shared_info_init, shared_info_exit },
	{ "unplug", unplug_init, unplug_exit },
	{ "event channels", evtchn_init, evtchn_exit },
	{ "upcall", upcall_init, upcall_exit },
	{ "vCPUs", vcpu_init, vcpu_exit },
	{ "callback", upcall_announce, upcall_renounce },
	{ "event test", evtchn_test, nothing },
	{ "grant table", gnttab_init, gnttab_exit },
	{ "clock", clock_init, clock_exit },
	{ "timer", timer_init, timer_exit },
	{ "interrupts between CPUs", ipi_init, ipi_exit },
	{ "suspend", suspend_init, suspend_exit },
	{ "sysfs", platform_sysfs_init, platform_sysfs_exit },
};

static int run_step(unsigned int i)
{
	int ret;

	if (fail_step == i + 1) {
		pr_info("fail_step %d (%s)\n", fail_step, steps[i].name);
		return -ENOMEM;
	}
	ret = steps[i].init();
	/* Whatever else goes wrong, the step has said better than we could. */
	if (ret == -ENOMEM)
		pr_err("out of memory for %s; the guest is as before\n",
		       steps[i].name);
	return ret;
}

static void undo_steps(unsigned int done)
{
	while (done)
		steps[--done].exit();
	platform_pdev = NULL;
}

static int platform_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	unsigned int i;
	int ret = 0;

	if (platform_pdev)
		return -EBUSY;
	platform_pdev = pdev;
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		ret = run_step(i);
		if (ret) {
			undo_steps(i);
			probe_result = ret;
			/* The one error that the driver core keeps to itself. */
			return -ENODEV;
		}
	}
	mutex_lock(&ready_lock);
	ready = true;
	mutex_unlock(&ready_lock);
	pr_info("Xen %u.%u, events by %s, upcalls by %s\n", pvhvm_xen_version() >> 16,
		pvhvm_xen_version() & 0xffff, evtchn_abi(),
		upcall_name());
	return 0;
}

/* Does not return before nobody needs the device: remove cannot be refused. */
static void wait_for_users(void)
{
	mutex_lock(&ready_lock);
	ready = false;
	if (users)
		pr_warn("platform device removed: waiting for pvhvm_xenbus to be unloaded\n");
	mutex_unlock(&ready_lock);
	wait_event(users_gone, !READ_ONCE(users));
}

static void platform_remove(struct pci_dev *pdev)
{
	wait_for_users();
	undo_steps(ARRAY_SIZE(steps));
}

/*
 * The kernel goes, perhaps to make room for another one (kexec): nothing of
 * Xen's may be left in memory that the next one takes for ordinary RAM. Those
 * above have stopped, or hang in the air from here on; nothing is freed.
 */
static void platform_shutdown(struct pci_dev *pdev)
{
	if (!READ_ONCE(ready) || system_state != SYSTEM_RESTART)
		return;
	WRITE_ONCE(ready, false);
	suspend_abandon();
	ipi_exit();
	timer_exit();
	clock_exit();
	upcall_renounce();
	evtchn_abandon();
	gnttab_abandon();
	vcpu_info_abandon();
	shared_info_abandon();
}

/* No MODULE_DEVICE_TABLE: xenbus, which needs this module, has the alias. */
static const struct pci_device_id platform_ids[] = {
	{ PCI_DEVICE(PVHVM_PCI_VENDOR_XEN, XEN_PLATFORM_ID) },
	{ }
};

static struct pci_driver platform_driver = {
	.name = "pvhvm-platform",
	.id_table = platform_ids,
	.probe = platform_probe,
	.remove = platform_remove,
	.shutdown = platform_shutdown,
	.driver = {
		.probe_type = PROBE_FORCE_SYNCHRONOUS,
		/* Interrupts and grants must not be pulled from below users. */
		.suppress_bind_attrs = true,
	},
};

bool pvhvm_platform_ready(void)
{
	return READ_ONCE(ready);
}
PVHVM_EXPORT(pvhvm_platform_ready);

int pvhvm_platform_get(void)
{
	int ret = -ENODEV;

	mutex_lock(&ready_lock);
	if (ready) {
		users++;
		ret = 0;
	}
	mutex_unlock(&ready_lock);
	return ret;
}
PVHVM_EXPORT(pvhvm_platform_get);

void pvhvm_platform_put(void)
{
	mutex_lock(&ready_lock);
	users--;
	wake_up(&users_gone);
	mutex_unlock(&ready_lock);
}
PVHVM_EXPORT(pvhvm_platform_put);

/* Is the platform device in other hands? Quietly true to its word: no device */
static int check_device(void)
{
	struct pci_dev *pdev = pci_get_device(PVHVM_PCI_VENDOR_XEN, XEN_PLATFORM_ID,
					      NULL);
	int ret = 0;

	if (!pdev) {
		pr_warn("no PCI device 5853:0001; set xen_platform_pci=1 in the guest's config\n");
		return 0;
	}
	if (pdev->dev.driver) {
		pr_err("%s is bound to driver %s; unbind it from that first\n",
		       pci_name(pdev), dev_driver_string(&pdev->dev));
		ret = -EBUSY;
	}
	pci_dev_put(pdev);
	return ret;
}

static int __init platform_module_init(void)
{
	int ret;

	if (inkernel_xen_active()) {
		pr_err("the kernel's own Xen drivers are active; to use these boot with nopv\n");
		return -EBUSY;
	}
	if (!hypercall_detect())
		return -ENODEV;
	ret = check_device();
	if (ret)
		return ret;
	ret = pci_register_driver(&platform_driver);
	if (ret)
		return ret;
	/* A probe that failed leaves nothing; then neither do we stay. */
	if (probe_result)
		pci_unregister_driver(&platform_driver);
	return probe_result;
}

static void __exit platform_module_exit(void)
{
	pci_unregister_driver(&platform_driver);
	if (physmap_lost())
		pr_err("%u pages lost\n", physmap_lost());
}

module_init(platform_module_init);
module_exit(platform_module_exit);

MODULE_DESCRIPTION("Xen platform device for HVM guests without active Xen support");
MODULE_LICENSE("GPL");
MODULE_VERSION(PVHVM_VERSION);
