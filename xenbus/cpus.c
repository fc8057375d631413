// SPDX-License-Identifier: GPL-2.0-only
/*
 * cpus.c: which of the guest's CPUs the toolstack wants online ('xl vcpu-set'):
 * cpu/N/availability. New CPUs are the firmware's to announce; those that are
 * there go off- and online here.
 *
 * Only a change of the toolstack's mind counts: what the administrator does to
 * a CPU meanwhile stays.
 */
#include "xenbus.h"

#include <linux/bitmap.h>
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include <pvhvm/hvm.h>
#include <xen-public/hvm/hvm_info_table.h>

static void cpus_look(struct work_struct *work);

static DECLARE_WORK(cpus_work, cpus_look);
static struct workqueue_struct *cpus_wq;
/* vCPUs that the toolstack wanted offline when we looked last */
static DECLARE_BITMAP(cpus_unwanted, HVM_MAX_VCPUS);

/* A suspend keeps all CPUs as they are; it is soon over. */
#define CPUS_TRIES	30
#define CPUS_WAIT_MS	200

static int cpus_set(unsigned int cpu, bool online)
{
	unsigned int tries;
	int err = -EBUSY;

	for (tries = 0; err == -EBUSY && tries < CPUS_TRIES; tries++) {
		if (tries)
			msleep(CPUS_WAIT_MS);
		err = online ? add_cpu(cpu) : remove_cpu(cpu);
	}
	return err;
}

/* Return: false when it could not be done, but may be another time. */
static bool cpus_apply(unsigned int vcpu, bool online)
{
	int cpu = pvhvm_vcpu_to_cpu(vcpu);
	int err;

	/* not there (any more), or was never up */
	if (cpu < 0 || cpu_online(cpu) == online)
		return true;
	err = cpus_set(cpu, online);
	if (err)
		pr_warn("CPU %d (vCPU %u) does not go %s, as the toolstack wants (%d)\n",
			cpu, vcpu, online ? "online" : "offline", err);
	else
		pr_info("CPU %d is %s, as the toolstack wants\n", cpu,
			online ? "online" : "offline");
	return err != -EBUSY;
}

static void cpus_look_at(const char *name)
{
	char *word, *dir;
	unsigned int vcpu;
	bool online;

	if (xs_parse_id(name, strlen(name), &vcpu) || vcpu >= HVM_MAX_VCPUS)
		return;
	vcpu = array_index_nospec(vcpu, HVM_MAX_VCPUS);
	dir = kasprintf(GFP_KERNEL, "cpu/%u", vcpu);
	if (!dir)
		return;
	word = pvhvm_xs_read(PVHVM_XS_NONE, dir, "availability", NULL);
	kfree(dir);
	if (IS_ERR(word))
		return;
	online = !strcmp(word, "online");
	if (online || !strcmp(word, "offline")) {
		/* a wish that is not fulfilled is looked at again with the next */
		if (test_bit(vcpu, cpus_unwanted) != online ||
		    cpus_apply(vcpu, online))
			__assign_bit(vcpu, cpus_unwanted, !online);
	}
	kfree(word);
}

static void cpus_look(struct work_struct *work)
{
	unsigned int i, n;
	char **name = pvhvm_xs_directory(PVHVM_XS_NONE, "cpu", "", &n);

	if (IS_ERR(name))
		return;
	for (i = 0; i < n; i++)
		cpus_look_at(name[i]);
	kfree(name);
}

/*
 * Neither in the watch thread nor in the bus's queue: while a CPU goes, disks
 * may wait for what happens there.
 */
static void cpus_changed(struct pvhvm_xs_watch *watch, const char *path)
{
	queue_work(cpus_wq, &cpus_work);
}

static struct pvhvm_xs_watch cpus_watch = {
	.path = "cpu",
	.fn = cpus_changed,
};

int cpus_init(void)
{
	int err;

	bitmap_zero(cpus_unwanted, HVM_MAX_VCPUS);
	cpus_wq = alloc_workqueue("pvhvm-cpus", WQ_UNBOUND, 1);
	if (!cpus_wq)
		return -ENOMEM;
	err = pvhvm_xs_watch(&cpus_watch);
	if (!err)
		return 0;
	pr_err("cannot watch the toolstack's wishes for CPUs (%d)\n", err);
	destroy_workqueue(cpus_wq);
	return err;
}

void cpus_exit(void)
{
	pvhvm_xs_unwatch(&cpus_watch);
	destroy_workqueue(cpus_wq);
}
