// SPDX-License-Identifier: GPL-2.0-only
/*
 * evtchn_suspend.c: event channels across a suspend.
 *
 * A resumed domain is a new one: it has no port but the toolstack's, uses the
 * 2-level ABI, and knows nothing of our FIFO pages. The ports in the books are
 * dead then. Their interrupts stay, silent, until whoever opened them closes
 * them and opens others.
 */
#include "platform.h"

#include <linux/bitmap.h>
#include <linux/cpumask.h>

#include "evtchn.h"
#include "evtchn_port.h"

/**
 * evtchn_suspend_prepare() - get the memory that a host without FIFO will ask for
 *
 * Context: process; may sleep. Return: 0 or -ENOMEM.
 */
int evtchn_suspend_prepare(void)
{
	unsigned int cpu;
	int ret = 0;

	for_each_possible_cpu(cpu)
		if (vcpu_of(cpu)->live && !ret)
			ret = evtchn_2l_ops.vcpu_prepare(vcpu_of(cpu));
	if (vcpu_zero()->live && !ret)
		ret = evtchn_2l_ops.vcpu_prepare(vcpu_zero());
	return ret;
}

/**
 * evtchn_is_quiet() - can a new domain be met now?
 *
 * Context: all other CPUs stand still.
 * Return: false while somebody is in the middle of opening or closing a port, or
 * when a CPU has come since evtchn_suspend_prepare().
 */
bool evtchn_is_quiet(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		if (vcpu_of(cpu)->live && !vcpu_of(cpu)->mine)
			return false;
	return !mutex_is_locked(&evtchn_books.lock);
}

static void forget_ports_of(struct platform_vcpu *v)
{
	atomic_set(&v->ports, 0);
	if (v->mine)
		bitmap_zero(v->mine, EVTCHN_2L_NR_CHANNELS);
}

/**
 * evtchn_resume() - a new domain: all ports are dead, the ABI starts over
 *
 * Context: quiet, all other CPUs stand still, interrupts off.
 */
void evtchn_resume(void)
{
	struct evtchn_port *p;
	unsigned int cpu;
	int ret;

	list_for_each_entry(p, &evtchn_books.ports, list) {
		p->dead = true;
		p->target = NULL;
		p->home = VCPU_NO_CPU;
	}
	for_each_possible_cpu(cpu)
		forget_ports_of(vcpu_of(cpu));
	forget_ports_of(vcpu_zero());
	evtchn_books.epoch++;

	ret = evtchn_books.ops->resume();
	if (!ret)
		return;
	/* The 2-level ABI is there on every host, and in force already. */
	pr_warn("no FIFO event channels on this host (%d), going on with 2-level\n",
		ret);
	evtchn_books.ops = &evtchn_2l_ops;
	/* An offline CPU has nothing of the other ABI: see vcpu_dead(). */
	for_each_possible_cpu(cpu)
		evtchn_fifo_ops.vcpu_release(vcpu_of(cpu));
	evtchn_fifo_ops.vcpu_release(vcpu_zero());
}
