// SPDX-License-Identifier: GPL-2.0-only
/*
 * main.c: parameters and registration of pvhvm_blkfront.
 */
#include "blkfront.h"

#include <linux/cpumask.h>
#include <linux/module.h>
#include <linux/wait.h>

#include <pvhvm/export.h>
#include <pvhvm/hvm.h>

/* How long loading waits for disks to appear that have connected. */
#define MAIN_ADD_SECONDS	10

static char *hold = "auto";
module_param(hold, charp, 0444);
MODULE_PARM_DESC(hold,
		 "auto: a disk that the machine emulates, too, connects only when told so (sysfs hold); never: connect at once, dangerous unless the emulated disk is gone (default auto)");

static unsigned int max_queues;
module_param(max_queues, uint, 0444);
MODULE_PARM_DESC(max_queues,
		 "most rings a disk, 1..64, one a CPU at most; 0: one for two CPUs, up to 4 (default 0)");

static unsigned int poll_queues;
module_param(poll_queues, uint, 0444);
MODULE_PARM_DESC(poll_queues,
		 "rings more, without interrupts, for whoever polls for completions (io_uring's IOPOLL), 0..63 (default 0)");

static unsigned int max_ring_page_order = 2;
module_param(max_ring_page_order, uint, 0444);
MODULE_PARM_DESC(max_ring_page_order,
		 "most pages a ring as a power of two, 0..4 (default 2: 4 pages, 128 requests)");

static unsigned int max_indirect_segments = 64;
module_param(max_indirect_segments, uint, 0444);
MODULE_PARM_DESC(max_indirect_segments,
		 "most segments of 4 KiB a request, 12..512; 0: no indirect requests, 11 segments (default 64)");

static unsigned int max_grants = 1024;
module_param(max_grants, uint, 0444);
MODULE_PARM_DESC(max_grants,
		 "most pages of data a ring that are lent to the backend at a time, 64..16384 (default 1024; blkback keeps 1056 mapped)");

static bool persistent = true;
module_param(persistent, bool, 0444);
MODULE_PARM_DESC(persistent,
		 "copy data through pages that stay mapped in the backend, if it can (default true)");

static bool follow = true;
module_param(follow, bool, 0444);
MODULE_PARM_DESC(follow,
		 "a disk's only ring sends its interrupt to the CPU of whoever has one request at a time (default true)");

static unsigned int fail_step;
module_param(fail_step, uint, 0444);
MODULE_PARM_DESC(fail_step,
		 "for tests: make the step of this number fail; 0: none (default 0)");

struct workqueue_struct *blkf_wq;
int blkf_major;

static atomic_t main_steps = ATOMIC_INIT(0);
static atomic_t main_disks_adding = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(main_added);

unsigned int blkf_param_queues(void)
{
	return max_queues;
}

unsigned int blkf_param_poll_queues(void)
{
	return poll_queues;
}

unsigned int blkf_param_ring_order(void)
{
	return min(max_ring_page_order, BLKF_RING_ORDER_MAX);
}

unsigned int blkf_param_segments(void)
{
	return min(max_indirect_segments, BLKF_SEGS_MAX);
}

unsigned int blkf_param_grants(void)
{
	return clamp(max_grants, 64u, 16384u);
}

bool blkf_param_persistent(void)
{
	return persistent;
}

bool blkf_param_follow(void)
{
	return follow;
}

bool blkf_param_hold(void)
{
	return strcmp(hold, "never");
}

int blkf_step(const char *name)
{
	int step = atomic_inc_return(&main_steps);

	if (!fail_step || step != fail_step)
		return 0;
	pr_info("fail_step %d (%s)\n", step, name);
	return -ENOMEM;
}

void blkf_adding(int more)
{
	if (!atomic_add_return(more, &main_disks_adding))
		wake_up_all(&main_added);
}

static struct pvhvm_driver blkf_driver = {
	.type = "vbd",
	.probe = blkf_probe,
	.remove = blkf_remove,
	.otherend_changed = blkf_otherend_changed,
	.suspend = blkf_suspend,
	.cancel = blkf_cancel,
	.resume = blkf_resume,
	.driver = {
		.name = "pvhvm-blkfront",
		.dev_groups = blkf_dev_groups,
	},
};

static int main_register_major(void)
{
	int major = BLKF_MAJOR_XVD;
	int err = register_blkdev(major, "xvd");

	if (err) {
		/* Somebody has it; names do not depend on it. */
		major = register_blkdev(0, "xvd");
		if (major < 0)
			return major;
	}
	blkf_major = major;
	return 0;
}

static int __init blkf_init(void)
{
	int err;

	if (!pvhvm_platform_ready())
		return -ENODEV;
	if (strcmp(hold, "auto") && strcmp(hold, "never")) {
		pr_err("hold=%s: there are auto and never\n", hold);
		return -EINVAL;
	}
	blkf_sysfs_init();
	blkf_wq = alloc_workqueue("pvhvm-blkfront",
				  WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!blkf_wq)
		return -ENOMEM;
	err = blkf_step("shrinker") ?: blkf_pool_setup();
	if (err)
		goto err_destroy_wq;
	err = main_register_major();
	if (err)
		goto err_cleanup_pool;
	err = blkf_identity_init();
	if (err)
		goto err_unregister_major;
	err = pvhvm_driver_register(&blkf_driver);
	if (err)
		goto err_exit_identity;
	/* Whatever is mounted next finds the disks that have connected. */
	wait_event_timeout(main_added, !atomic_read(&main_disks_adding),
			   MAIN_ADD_SECONDS * HZ);
	return 0;

err_exit_identity:
	blkf_identity_exit();
err_unregister_major:
	unregister_blkdev(blkf_major, "xvd");
err_cleanup_pool:
	blkf_pool_cleanup();
err_destroy_wq:
	destroy_workqueue(blkf_wq);
	return err;
}
module_init(blkf_init);

static void __exit blkf_exit(void)
{
	pvhvm_driver_unregister(&blkf_driver);
	/* works of devices that are gone hold the last references */
	destroy_workqueue(blkf_wq);
	blkf_identity_exit();
	unregister_blkdev(blkf_major, "xvd");
	blkf_pool_cleanup();
}
module_exit(blkf_exit);

MODULE_DESCRIPTION("Xen PV disks for HVM guests (vbd)");
MODULE_AUTHOR("The pvhvm authors");
MODULE_LICENSE("GPL");
MODULE_VERSION(PVHVM_VERSION);
MODULE_ALIAS("pvhvm:vbd");
PVHVM_IMPORT;
