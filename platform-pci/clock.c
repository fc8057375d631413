// SPDX-License-Identifier: GPL-2.0-only
/*
 * clock.c: the clocksource "xen", from the time block of each vCPU.
 *
 * One rdtsc and a multiplication, where a guest that distrusts its TSC would
 * otherwise read the HPET or the ACPI timer, both a VM exit away.
 */
#include "platform.h"

#include <asm/msr.h>
#include <asm/tsc.h>
#include <linux/atomic.h>
#include <linux/clocksource.h>
#include <linux/delay.h>
#include <linux/rcupdate.h>
#include <linux/timekeeping.h>

#include "clock_math.h"
#include "hypercall.h"
#include "vcpu.h"

/*
 * Above hpet (250) and acpi_pm (200), below a TSC (300) that the kernel has
 * found trustworthy: that one is as cheap, and user space can read it without
 * a system call. A TSC found unstable rates 0.
 */
#define CLOCK_RATING	290

static atomic64_t last = ATOMIC64_INIT(0);
/* Xen's time may be read, even if the kernel is not offered it */
static bool readable;
static bool registered;
/*
 * What the clock adds to Xen's time, which is another host's after each
 * resume. Changes while all CPUs stand still.
 */
static u64 offset;

/* The moment of a suspend: all three tell the same. */
static u64 clock_then, wall_then, host_then;

/*
 * A CPU reads the clock before its hotplug callback has told us its number;
 * vCPU 0's block must do, never_back() hides the difference.
 */
static const struct vcpu_time_info *time_block(void)
{
	const struct vcpu_info *info = vcpu_of(smp_processor_id())->info;

	return info ? &info->time : &platform_shared_info->vcpu_info[0].time;
}

static u64 read_time(u8 *flags)
{
	const struct vcpu_time_info *src;
	struct vcpu_time_info t;
	u64 now;

	preempt_disable_notrace();
	src = time_block();
	do {
		while (!clock_snapshot(src, &t))
			cpu_relax();
		now = clock_at(&t, rdtsc_ordered());
		/* The TSC must not be of a time after the next update. */
		smp_rmb();
	} while (READ_ONCE(src->version) != t.version);
	preempt_enable_notrace();
	*flags = t.flags;
	return now;
}

/**
 * clock_xen_time() - Xen's time on the running vCPU
 *
 * Context: any. Return: nanoseconds, as vcpu_op's timers want them.
 */
u64 clock_xen_time(void)
{
	u8 flags;

	return read_time(&flags);
}

/* Each vCPU's time is right to within a little; together they must not turn. */
static u64 never_back(u64 now)
{
	u64 seen = atomic64_read(&last), before;

	for (;;) {
		if (now <= seen)
			return seen;
		before = atomic64_cmpxchg(&last, seen, now);
		if (before == seen)
			return now;
		seen = before;
	}
}

static u64 clock_read(struct clocksource *cs)
{
	u8 flags;
	u64 now;

	/* Both of one host: no suspend between them. */
	preempt_disable_notrace();
	now = read_time(&flags) + offset;
	preempt_enable_notrace();
	return flags & XEN_PVCLOCK_TSC_STABLE_BIT ? now : never_back(now);
}

/*
 * No owner: a clock in use would pin the module for good. Unregistering makes
 * the kernel choose another one.
 */
static struct clocksource xen_clocksource = {
	.name = "xen",
	.rating = CLOCK_RATING,
	.read = clock_read,
	.mask = CLOCKSOURCE_MASK(64),
	.flags = CLOCK_SOURCE_IS_CONTINUOUS,
};

/* Above every other one; see clock_hold(). */
static struct clocksource held_clocksource = {
	.name = "xen-suspend",
	.rating = 499,
	.read = clock_read,
	.mask = CLOCKSOURCE_MASK(64),
	.flags = CLOCK_SOURCE_IS_CONTINUOUS,
};

static bool holding;

/* Cannot fail, hence waits while the kernel knows no other clock. */
static void take_back(struct clocksource *cs)
{
	while (clocksource_unregister(cs)) {
		pr_err_once("no other clocksource; waiting for one\n");
		msleep(1000);
	}
}

/**
 * clock_hold() - make the kernel tell time by a clock that stops in a suspend
 *
 * Others go on, or leap, or turn back, as the TSC of another host does. Then
 * timers, RCU's stall detector and processes would see a time that nobody has
 * lived through. A clock that the administrator insists on, by writing to
 * current_clocksource, stays in force.
 * Context: process; may sleep.
 */
void clock_hold(void)
{
	int ret;

	if (!registered)
		return;
	ret = clocksource_register_hz(&held_clocksource, NSEC_PER_SEC);
	holding = !ret;
	if (ret)
		pr_warn("no clock that stops in a suspend (%d): time may leap\n",
			ret);
}

/**
 * clock_release() - let the kernel use the clock again that it prefers
 *
 * Context: process; may sleep.
 */
void clock_release(void)
{
	if (holding)
		take_back(&held_clocksource);
	holding = false;
}

static u64 host_real_time(void)
{
	u64 base;
	u8 flags;

	while (!clock_wallclock(platform_shared_info, &base))
		cpu_relax();
	return base + read_time(&flags);
}

/*
 * The guest's real time and the host's at one moment. If this vCPU had to wait
 * between the two, they are read again; not for ever, since it may be so each
 * time.
 */
static void both_clocks(u64 *wall, u64 *host)
{
	int tries = 10;

	do {
		*wall = ktime_get_real_ns();
		*host = host_real_time();
	} while (ktime_get_real_ns() - *wall > NSEC_PER_MSEC && --tries);
}

/**
 * clock_suspend() - note what time it is
 *
 * Context: all other CPUs stand still, interrupts off.
 */
void clock_suspend(void)
{
	u8 flags;

	if (!readable)
		return;
	clock_then = read_time(&flags) + offset;
	both_clocks(&wall_then, &host_then);
}

/**
 * clock_resume() - go on, perhaps with another host's time
 *
 * The clocksource continues where it was: whatever is measured with it has not
 * felt the suspend. Context: as clock_suspend().
 */
void clock_resume(void)
{
	u8 flags;

	if (registered)
		offset = clock_then - read_time(&flags);
}

/**
 * clock_settle() - put the wall clock right
 *
 * After a suspend, real or cancelled. Context: process; may sleep.
 */
void clock_settle(void)
{
	struct timespec64 ts;
	u64 wall, host;
	int tries = 5;
	s64 lost;
	int ret;

	if (!readable)
		return;
	/* Whoever is kept waiting on the way to the clock sets it late. */
	do {
		both_clocks(&wall, &host);
		lost = clock_forward(wall_then, host_then, wall, host);
		if (!lost)
			return;
		ts = ns_to_timespec64(ktime_get_real_ns() + lost);
		ret = do_settimeofday64(&ts);
	} while (!ret && --tries);
	if (ret)
		pr_warn("cannot set the wall clock, it is %lld ms late (%d)\n",
			lost / NSEC_PER_MSEC, ret);
}

/**
 * clock_init() - offer the clocksource
 *
 * A Xen that does not vouch for its time in HVM guests is left alone, and so is
 * a kernel that cannot tell when nobody reads it any more; neither is a failure.
 * Context: process; may sleep. Return: 0 or negative errno.
 */
int clock_init(void)
{
	int ret;

	if (!hypercall_feature(XENFEAT_hvm_safe_pvclock)) {
		pr_info("Xen's time is not safe in HVM guests here; no clocksource\n");
		return 0;
	}
	readable = true;
	/* Then synchronize_rcu_tasks() waits for no task that was preempted. */
	if (IS_ENABLED(CONFIG_PREEMPTION) && !IS_ENABLED(CONFIG_TASKS_RCU)) {
		pr_info("no clocksource in a preemptible kernel without CONFIG_TASKS_RCU\n");
		return 0;
	}
	atomic64_set(&last, 0);
	offset = 0;
	ret = clocksource_register_hz(&xen_clocksource, NSEC_PER_SEC);
	registered = !ret;
	return ret;
}

/**
 * clock_exit() - take it back; the kernel changes over to the next best
 *
 * Context: process; sleeps, for ever if somebody has unbound all other clocks.
 */
void clock_exit(void)
{
	readable = false;
	if (!registered)
		return;
	take_back(&xen_clocksource);
	registered = false;
	/*
	 * A task may have been preempted on its way into or out of our read.
	 * Such a one is not in any ordinary RCU section.
	 */
	synchronize_rcu_tasks();
}
