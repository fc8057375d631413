// SPDX-License-Identifier: GPL-2.0-only
/*
 * ipi.c: interrupts from one CPU to another, as events.
 *
 * By the emulated local APIC one is four faults, each with an instruction that
 * Xen decodes; as an event it is one hypercall. The kernel has two kinds of
 * them. Rescheduling needs nothing but the interrupt. For a function call the
 * CPU has to work off a queue that no module can reach; but its idle loop does
 * so before it schedules. So a CPU that was halted there is told to schedule,
 * and one that is at anything else is sent the kernel's own interrupt.
 *
 * The functions of smp_ops are exported for hypervisors' support to replace.
 * They are called with preemption off, so that after synchronize_rcu() nobody
 * is in one that was taken out.
 */
#include "platform.h"

#include <linux/cpu.h>
#include <linux/interrupt.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>

#include <asm/current.h>
#include <asm/irq_regs.h>
#include <asm/smp.h>

#include "evtchn.h"
#include "upcall.h"
#include "vcpu.h"

static bool use_ipi = true;
module_param_named(ipi, use_ipi, bool, 0444);
MODULE_PARM_DESC(ipi,
		 "Send interrupts between CPUs as events instead of by the emulated local APIC (default Y)");

#define STI	0xfb
#define HLT	0xf4

/**
 * struct cpu_ipi - a CPU's own channel, and what it has sent
 * @ch: its handler runs on this CPU only
 * @open: events may be sent; read with preemption off
 * @called: the next event is for a function call
 * @use: what this CPU has sent, but for @use.again
 * @name: of the interrupt
 */
struct cpu_ipi {
	struct pvhvm_evtchn ch;
	bool open;
	atomic_t called;
	struct ipi_use use;
	char name[24];
};

static DEFINE_PER_CPU(struct cpu_ipi, ipis);
static void (*native_reschedule)(int cpu);
static void (*native_call)(int cpu);
/* A CPU that comes opens its channel. Changed while none comes or goes. */
static bool ipi_offered;

/*
 * Whoever was interrupted waits for an interrupt in the idle loop, which always
 * halts by these two instructions, one after the other. Not looked for across
 * the start of a page: the one before may not be there.
 */
static bool was_halted(void)
{
	struct pt_regs *regs = get_irq_regs();
	const u8 *next;

	if (!is_idle_task(current) || !regs || user_mode(regs) ||
	    offset_in_page(regs->ip) < 2)
		return false;
	next = (const u8 *)regs->ip;
	return next[-2] == STI && next[-1] == HLT;
}

static irqreturn_t ipi_handler(int irq, void *data)
{
	struct cpu_ipi *i = data;

	scheduler_ipi();
	if (!atomic_xchg(&i->called, 0))
		return IRQ_HANDLED;
	if (was_halted()) {
		set_thread_flag(TIF_NEED_RESCHED);
		set_preempt_need_resched();
	} else {
		i->use.again++;
		native_call(smp_processor_id());
	}
	return IRQ_HANDLED;
}

static void send_reschedule(int cpu)
{
	struct cpu_ipi *to = per_cpu_ptr(&ipis, cpu);

	if (!READ_ONCE(to->open)) {
		native_reschedule(cpu);
		return;
	}
	pvhvm_evtchn_notify(&to->ch);
	this_cpu_inc(ipis.use.events);
}

static void send_call(int cpu)
{
	struct cpu_ipi *to = per_cpu_ptr(&ipis, cpu);

	/* A guess: it may wake up, or fall asleep, before it is interrupted. */
	if (!READ_ONCE(to->open) || !is_idle_task(compat_current_of(cpu))) {
		native_call(cpu);
		this_cpu_inc(ipis.use.native);
		return;
	}
	atomic_set_release(&to->called, 1);
	pvhvm_evtchn_notify(&to->ch);
	this_cpu_inc(ipis.use.events);
}

/**
 * ipi_cpu_up() - from now on a CPU is interrupted by events
 * @cpu: online; one that takes no events, or does so already, is a no-op
 *
 * Context: process, may sleep; no other CPU comes or goes.
 */
void ipi_cpu_up(unsigned int cpu)
{
	struct cpu_ipi *i = per_cpu_ptr(&ipis, cpu);
	struct platform_vcpu *v = vcpu_of(cpu);
	int ret;

	if (!ipi_offered || !v->live || i->open)
		return;
	snprintf(i->name, sizeof(i->name), "pvhvm-ipi%u", cpu);
	ret = evtchn_bind_ipi(&i->ch, v, ipi_handler, i->name, i);
	if (ret)
		pr_warn("CPU %u is interrupted by its local APIC (%d)\n",
			cpu, ret);
	else
		WRITE_ONCE(i->open, true);
}

/**
 * ipi_cpu_down() - by its local APIC again
 * @cpu: online, its upcall still in place; one without is a no-op
 *
 * Context: as ipi_cpu_up().
 */
void ipi_cpu_down(unsigned int cpu)
{
	struct cpu_ipi *i = per_cpu_ptr(&ipis, cpu);

	if (!i->open)
		return;
	WRITE_ONCE(i->open, false);
	synchronize_rcu();
	pvhvm_evtchn_close(&i->ch, i);
	/* in the place of an event that was on its way */
	atomic_set(&i->called, 0);
	native_reschedule(cpu);
	native_call(cpu);
}

/**
 * ipi_init() - from now on CPUs interrupt each other by events
 *
 * Left alone where there is but one CPU, or no event on each of them.
 * Context: process; may sleep. Return: 0; of a CPU without there is a warning.
 */
int ipi_init(void)
{
	unsigned int cpu;

	if (!use_ipi || num_possible_cpus() == 1 || !upcall_by_vector())
		return 0;
	native_reschedule = smp_ops.smp_send_reschedule;
	native_call = smp_ops.send_call_func_single_ipi;
	cpus_read_lock();
	ipi_offered = true;
	for_each_online_cpu(cpu)
		ipi_cpu_up(cpu);
	cpus_read_unlock();
	WRITE_ONCE(smp_ops.smp_send_reschedule, send_reschedule);
	WRITE_ONCE(smp_ops.send_call_func_single_ipi, send_call);
	return 0;
}

/**
 * ipi_exit() - by the local APIC again
 *
 * Context: process; may sleep.
 */
void ipi_exit(void)
{
	unsigned int cpu;

	if (!ipi_offered)
		return;
	WRITE_ONCE(smp_ops.smp_send_reschedule, native_reschedule);
	WRITE_ONCE(smp_ops.send_call_func_single_ipi, native_call);
	cpus_read_lock();
	ipi_offered = false;
	for_each_online_cpu(cpu)
		ipi_cpu_down(cpu);
	cpus_read_unlock();
	/* waits for those who send */
	synchronize_rcu();
}

/**
 * ipi_usage() - what all CPUs have sent
 * @sum: filled; counts since the module was loaded, moving while they are read
 */
void ipi_usage(struct ipi_use *sum)
{
	int cpu;

	*sum = (struct ipi_use) { };
	for_each_possible_cpu(cpu) {
		const struct ipi_use *use = &per_cpu_ptr(&ipis, cpu)->use;

		sum->events += READ_ONCE(use->events);
		sum->native += READ_ONCE(use->native);
		sum->again += READ_ONCE(use->again);
	}
}
