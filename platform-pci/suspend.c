// SPDX-License-Identifier: GPL-2.0-only
/*
 * suspend.c: being saved, migrated or checkpointed.
 *
 * In order: no CPU comes or goes any more (the block layer makes one that goes
 * wait for requests, which wait for us); those above stop (the chain, PREPARE);
 * all CPUs are stopped, at a
 * moment when nobody changes our own books; SCHEDOP_shutdown (xen/sched.h). Its
 * answer comes when the guest runs again. 1: here, as if nothing had happened.
 * 0: in a new domain, perhaps on another host, with the memory and the CPUs of
 * old and nothing else of Xen's; all of it is rebuilt before any other CPU
 * moves. Then the wall clock is put right, and those above hear which of both
 * it was.
 *
 * Processes are not frozen: what could touch rings, ports or grants has been
 * stopped by its owner.
 */
#include "platform.h"

#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/nmi.h>
#include <linux/notifier.h>
#include <linux/sched/mm.h>
#include <linux/stop_machine.h>
#include <linux/workqueue.h>

#include "evtchn.h"
#include "hypercall.h"
#include "upcall.h"
#include "vcpu.h"

#define CANCELLED	1
/* 20 ms apart */
#define QUIET_TRIES	150

/* Held throughout: who was told PREPARE is told the rest, too. */
static DEFINE_MUTEX(suspend_lock);
/* Under suspend_lock; no lock of its own, as some keep theirs from PREPARE on. */
static RAW_NOTIFIER_HEAD(suspend_chain);
static struct workqueue_struct *suspend_wq;
static unsigned int count;

/**
 * struct suspend_run - one suspend, as the stopped CPUs see it
 * @first: the CPU that talks to Xen, its vCPU 0
 * @answer: 0: resumed; CANCELLED; negative: Xen refused, or never asked
 *	(-EAGAIN: somebody was in the middle of something)
 * @over: @answer is valid, everything rebuilt but what each vCPU does itself
 */
struct suspend_run {
	unsigned int first;
	int answer;
	bool over;
};

/* Each line relies on those above. */
static void rebuild(void)
{
	hypercall_resume();
	shared_info_resume();
	evtchn_resume();
	vcpu_resume();
	upcall_resume();
	gnttab_resume();
	unplug_resume();
	clock_resume();
}

static int ask_xen(void)
{
	struct sched_shutdown how = { .reason = SHUTDOWN_suspend };

	return hypercall(__HYPERVISOR_sched_op, SCHEDOP_shutdown,
			 (unsigned long)&how, 0);
}

/*
 * Locks of ours are not held, lest a CPU that comes or goes waits for them, and
 * we for it. So somebody may have been stopped in the middle of something.
 */
static int stop_here(void)
{
	int answer;

	if (!evtchn_is_quiet() || !gnttab_is_quiet() || !unplug_is_quiet())
		return -EAGAIN;
	clock_suspend();
	shared_info_suspend();
	answer = ask_xen();
	if (!answer)
		rebuild();
	else if (answer > 0)
		/* To write a checkpoint takes time, too. */
		clock_resume();
	return answer;
}

/* On each CPU that takes part, interrupts off; the others stand still. */
static int suspend_cpu(void *data)
{
	struct suspend_run *run = data;

	if (smp_processor_id() == run->first) {
		run->answer = stop_here();
		/* all of the above is seen by who sees this */
		smp_store_release(&run->over, true);
	} else {
		/* pairs with the release above */
		while (!smp_load_acquire(&run->over)) {
			cpu_relax();
			touch_nmi_watchdog();
		}
	}
	/* It may have been hours. */
	touch_softlockup_watchdog();
	if (!run->answer)
		vcpu_resume_self();
	return 0;
}

/* Return: as @answer of struct suspend_run. */
static int suspend_machine(void)
{
	struct suspend_run run = {
		.first = vcpu_first(),
		.answer = -ENODEV,
	};
	unsigned int tries;
	int ret;

	if (run.first >= nr_cpu_ids) {
		pr_err("cannot suspend: the CPU that is vCPU 0 is offline\n");
		return -ENODEV;
	}
	for (tries = 0; tries < QUIET_TRIES; tries++) {
		ret = evtchn_suspend_prepare();
		if (ret)
			return ret;
		run.over = false;
		ret = stop_machine(suspend_cpu, &run, vcpu_info_any_beyond() ?
				   cpu_online_mask : cpumask_of(run.first));
		if (ret || run.answer != -EAGAIN)
			return ret ? ret : run.answer;
		msleep(20);
	}
	pr_err("cannot suspend: ports or grants are being made all the time\n");
	return -EBUSY;
}

/* Those above stand still. Return: as suspend_machine(). */
static int suspend_platform(void)
{
	int ret;

	ipi_exit();
	ret = timer_withdraw();
	if (!ret) {
		clock_hold();
		ret = suspend_machine();
		/* Else no time has passed, and none was noted. */
		if (ret >= 0)
			clock_settle();
		clock_release();
	}
	timer_init();
	ipi_init();
	return ret;
}

static void suspend(struct work_struct *work)
{
	unsigned int noio;
	int ret;

	/* The device goes, or the kernel: see suspend_abandon(). */
	if (!pvhvm_platform_ready())
		return;
	noio = memalloc_noio_save();
	cpu_hotplug_disable();
	mutex_lock(&suspend_lock);
	ret = raw_notifier_call_chain(&suspend_chain, PVHVM_SUSPEND_PREPARE,
				      NULL);
	ret = notifier_to_errno(ret);
	if (!ret)
		ret = suspend_platform();
	if (ret < 0)
		pr_err("the guest is not suspended (%d)\n", ret);
	else
		pr_info("%s\n", ret ? "suspend cancelled" : "resumed");
	if (!ret)
		count++;
	raw_notifier_call_chain(&suspend_chain, ret ? PVHVM_SUSPEND_CANCELLED :
				PVHVM_SUSPEND_RESUMED, NULL);
	mutex_unlock(&suspend_lock);
	cpu_hotplug_enable();
	memalloc_noio_restore(noio);
}

static DECLARE_WORK(suspend_work, suspend);

void pvhvm_suspend_request(void)
{
	queue_work(suspend_wq, &suspend_work);
}
PVHVM_EXPORT(pvhvm_suspend_request);

int pvhvm_suspend_register(struct notifier_block *nb)
{
	int ret;

	mutex_lock(&suspend_lock);
	ret = raw_notifier_chain_register(&suspend_chain, nb);
	mutex_unlock(&suspend_lock);
	return ret;
}
PVHVM_EXPORT(pvhvm_suspend_register);

void pvhvm_suspend_unregister(struct notifier_block *nb)
{
	cancel_work_sync(&suspend_work);
	mutex_lock(&suspend_lock);
	raw_notifier_chain_unregister(&suspend_chain, nb);
	mutex_unlock(&suspend_lock);
}
PVHVM_EXPORT(pvhvm_suspend_unregister);

/**
 * suspend_abandon() - no suspend any more, and none is under way on return
 *
 * For a kernel that is about to be replaced: what it takes apart a suspend would
 * put together again. To be called when pvhvm_platform_ready() says no.
 * Context: process; sleeps as long as a suspend lasts.
 */
void suspend_abandon(void)
{
	cancel_work_sync(&suspend_work);
}

/* How often has the guest been resumed since the module was loaded? */
unsigned int suspend_count(void)
{
	return READ_ONCE(count);
}

/**
 * suspend_init() - be ready for requests
 *
 * Context: process; may sleep. Return: 0 or -ENOMEM.
 */
int suspend_init(void)
{
	count = 0;
	/* it waits for the bus's queue, which is not for reclaim */
	suspend_wq = alloc_ordered_workqueue("pvhvm-suspend", 0);
	return suspend_wq ? 0 : -ENOMEM;
}

/* Those that could ask have gone. */
void suspend_exit(void)
{
	if (suspend_wq)
		destroy_workqueue(suspend_wq);
	suspend_wq = NULL;
}
