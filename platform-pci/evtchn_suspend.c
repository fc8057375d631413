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
 * evtchn_freeze() - nobody opens or closes ports until evtchn_thaw()
 *
 * Gets the memory that a host without FIFO will ask for.
 * Context: process; may sleep. Return: 0 or -ENOMEM, and nothing is frozen.
 */
int evtchn_freeze(void)
{
	unsigned int cpu;
	int ret = 0;

	for_each_possible_cpu(cpu)
		if (vcpu_of(cpu)->live && !ret)
			ret = evtchn_2l_ops.vcpu_prepare(vcpu_of(cpu));
	if (vcpu_zero()->live && !ret)
		ret = evtchn_2l_ops.vcpu_prepare(vcpu_zero());
	if (!ret)
		mutex_lock(&evtchn_books.lock);
	return ret;
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
 * Context: frozen, all other CPUs stand still, interrupts off.
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
}

/**
 * evtchn_thaw() - ports may be opened and closed again
 *
 * Context: process.
 */
void evtchn_thaw(void)
{
	struct evtchn_port *p;

	list_for_each_entry(p, &evtchn_books.ports, list)
		if (p->dead && xa_load(&evtchn_books.by_number, p->port) == p)
			xa_erase(&evtchn_books.by_number, p->port);
	mutex_unlock(&evtchn_books.lock);
}
