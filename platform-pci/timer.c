// SPDX-License-Identifier: GPL-2.0-only
/*
 * timer.c: the clock event device "xen": each vCPU's single-shot timer.
 *
 * The kernel sets its next tick with one hypercall, and the tick arrives as an
 * event. The emulated local APIC's timer takes two accesses to its registers
 * instead, each a fault and an instruction that Xen has to decode.
 *
 * A CPU has it while it takes events. Before it goes, and for a suspend, the
 * kernel is given its old timer back.
 */
#include "platform.h"

#include <linux/clockchips.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/moduleparam.h>
#include <linux/percpu.h>
#include <linux/smp.h>

#include <asm/cpufeature.h>
#include <asm/hpet.h>

#include "evtchn.h"
#include "hypercall.h"
#include "timer_lazy.h"
#include "upcall.h"
#include "vcpu.h"

static bool use_timer = true;
module_param_named(timer, use_timer, bool, 0444);
MODULE_PARM_DESC(timer,
		 "Use Xen's timer for the kernel's ticks instead of the emulated local APIC's (default Y)");

/* Above any local APIC timer (100; 150 with TSC deadlines). */
#define TIMER_RATING	400
/* Shorter ones would have passed by the time Xen has set them. */
#define TIMER_MIN_NS	1000

/**
 * struct xen_timer - a CPU's clock event device
 * @ced: what the kernel sees
 * @lazy: what of it Xen knows; touched with interrupts off on its CPU
 * @use: hypercalls made and saved, events that came for nothing
 * @ch: VIRQ_TIMER of the vCPU; not open: the CPU has no timer of ours
 * @name: of the interrupt
 */
struct xen_timer {
	struct clock_event_device ced;
	struct timer_lazy lazy;
	struct timer_use use;
	struct pvhvm_evtchn ch;
	char name[24];
};

static DEFINE_PER_CPU(struct xen_timer, timers);
/* A CPU that comes gets one. Changed while none comes or goes. */
static bool timer_offered;

static u32 this_vcpu(void)
{
	return vcpu_of(smp_processor_id())->id;
}

static struct xen_timer *to_timer(struct clock_event_device *ced)
{
	return container_of(ced, struct xen_timer, ced);
}

/* Has Xen do what @t->lazy says that it does. */
static int arm(struct xen_timer *t)
{
	struct vcpu_set_singleshot_timer set = {
		.timeout_abs_ns = t->lazy.armed,
	};

	t->use.told++;
	if (t->lazy.armed == TIMER_NEVER)
		return hypercall_vcpu(VCPUOP_stop_singleshot_timer, this_vcpu(),
				      NULL);
	return hypercall_vcpu(VCPUOP_set_singleshot_timer, this_vcpu(), &set);
}

static int rearm(struct xen_timer *t, u64 now, u64 wanted)
{
	if (timer_lazy_set(&t->lazy, now, wanted))
		return arm(t);
	t->use.saved++;
	return 0;
}

static int set_next(unsigned long delta, struct clock_event_device *ced)
{
	u64 now = clock_xen_time();

	return rearm(to_timer(ced), now, now + delta);
}

/* Until the next tick is wanted, which may be soon. */
static int put_off(struct clock_event_device *ced)
{
	return rearm(to_timer(ced), clock_xen_time(), TIMER_NEVER);
}

static int stop(struct clock_event_device *ced)
{
	struct xen_timer *t = to_timer(ced);

	timer_lazy_init(&t->lazy);
	return arm(t);
}

static int set_oneshot(struct clock_event_device *ced)
{
	return 0;
}

static irqreturn_t timer_handler(int irq, void *data)
{
	struct xen_timer *t = data;
	bool again;

	if (!timer_lazy_due(&t->lazy, clock_xen_time(), &again)) {
		t->use.early++;
		if (again)
			arm(t);
		return IRQ_HANDLED;
	}
	/* The last of a device that is being taken back may come late. */
	if (clockevent_state_oneshot(&t->ced))
		t->ced.event_handler(&t->ced);
	return IRQ_HANDLED;
}

/* On the timer's CPU, interrupts off: the kernel offers it to the CPU that calls. */
static void timer_register(void *data)
{
	struct xen_timer *t = data;

	hypercall_vcpu(VCPUOP_stop_periodic_timer, this_vcpu(), NULL);
	timer_lazy_init(&t->lazy);
	t->ced = (struct clock_event_device) {
		.name = "xen",
		.features = CLOCK_EVT_FEAT_ONESHOT,
		.rating = TIMER_RATING,
		.cpumask = cpumask_of(smp_processor_id()),
		.irq = t->ch.irq,
		.set_next_event = set_next,
		.set_state_oneshot = set_oneshot,
		.set_state_oneshot_stopped = put_off,
		.set_state_shutdown = stop,
	};
	clockevents_config_and_register(&t->ced, NSEC_PER_SEC, TIMER_MIN_NS,
					LONG_MAX);
}

/**
 * timer_cpu_up() - give a CPU Xen's timer
 * @cpu: online; one that takes no events, or has its timer, is a no-op
 *
 * Context: process, may sleep; no other CPU comes or goes.
 */
void timer_cpu_up(unsigned int cpu)
{
	struct xen_timer *t = per_cpu_ptr(&timers, cpu);
	struct platform_vcpu *v = vcpu_of(cpu);
	int ret;

	if (!timer_offered || !v->live || t->ch.irq)
		return;
	snprintf(t->name, sizeof(t->name), "pvhvm-timer%u", cpu);
	ret = evtchn_bind_virq(&t->ch, VIRQ_TIMER, v, timer_handler, t->name, t);
	if (ret)
		/* It keeps the timer that it has. */
		pr_warn("CPU %u does not use Xen's timer (%d)\n", cpu, ret);
	else
		smp_call_function_single(cpu, timer_register, t, 1);
}

/**
 * timer_cpu_down() - give the kernel the timer back that the CPU had before
 * @cpu: online, its upcall still in place; one without is a no-op
 *
 * Context: as timer_cpu_up().
 * Return: 0; negative errno when the kernel knows no other, and nothing is changed.
 */
int timer_cpu_down(unsigned int cpu)
{
	struct xen_timer *t = per_cpu_ptr(&timers, cpu);
	int ret;

	if (!t->ch.irq)
		return 0;
	ret = clockevents_unbind_device(&t->ced, cpu);
	if (ret) {
		pr_err_once("CPU %u has no other clock event device than Xen's (%d)\n",
			    cpu, ret);
		return ret;
	}
	pvhvm_evtchn_close(&t->ch, t);
	return 0;
}

/*
 * Where the local APIC's timer runs in all states of idleness (ARAT: all AMD
 * CPUs), the first of them that is released becomes the kernel's broadcast
 * device, for good: that CPU, the first one, then gets back what has been the
 * broadcast device. That is the HPET, or else the PIT, which cannot be asked
 * for, or else nothing.
 */
static bool can_go_back(void)
{
	return !boot_cpu_has(X86_FEATURE_ARAT) ||
		(is_hpet_enabled() && vcpu_of(0)->live);
}

/**
 * timer_init() - give every CPU Xen's timer, now and whenever one comes
 *
 * Left alone where there is no clock of Xen's to set it by, no event on each
 * vCPU, or no way back. Context: process; may sleep.
 * Return: 0; of a CPU that gets none there is a warning.
 */
int timer_init(void)
{
	unsigned int cpu;

	if (!use_timer || !upcall_by_vector() ||
	    !hypercall_feature(XENFEAT_hvm_safe_pvclock))
		return 0;
	if (!can_go_back()) {
		pr_info_once("ticks by the local APIC: without an HPET this kernel would not take it back\n");
		return 0;
	}
	cpus_read_lock();
	timer_offered = true;
	for_each_online_cpu(cpu)
		timer_cpu_up(cpu);
	cpus_read_unlock();
	return 0;
}

/**
 * timer_withdraw() - give the kernel the timers back that it had before
 *
 * Context: process; may sleep.
 * Return: 0; negative errno when a CPU had to keep Xen's, and some may have it
 * no more. timer_init() gives it to all again.
 */
int timer_withdraw(void)
{
	unsigned int cpu;
	int ret = 0;

	cpus_read_lock();
	timer_offered = false;
	for_each_online_cpu(cpu) {
		ret = timer_cpu_down(cpu);
		if (ret)
			break;
	}
	cpus_read_unlock();
	return ret;
}

/**
 * timer_exit() - the same, for good
 *
 * The kernel must not keep a device whose code goes. So this waits while it has
 * no other, which since timer_init() only the administrator can have brought
 * about, by unbinding in sysfs. Context: process; may sleep.
 */
void timer_exit(void)
{
	while (timer_withdraw()) {
		pr_err_once("waiting for another clock event device\n");
		msleep(1000);
	}
}

/**
 * timer_usage() - what the timers of all CPUs have cost
 * @sum: filled; counts since the module was loaded, moving while they are read
 */
void timer_usage(struct timer_use *sum)
{
	int cpu;

	*sum = (struct timer_use) { };
	for_each_possible_cpu(cpu) {
		const struct timer_use *use = &per_cpu_ptr(&timers, cpu)->use;

		sum->told += READ_ONCE(use->told);
		sum->saved += READ_ONCE(use->saved);
		sum->early += READ_ONCE(use->early);
	}
}
