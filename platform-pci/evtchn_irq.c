// SPDX-License-Identifier: GPL-2.0-only
/*
 * evtchn_irq.c: a port as an interrupt: the chip and the irq domain, and which
 * vCPU it goes to.
 */
#include "platform.h"

#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdomain.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/xarray.h>

#include "evtchn.h"
#include "evtchn_port.h"
#include "hypercall.h"
#include "upcall.h"

static struct irq_domain *port_domain;
static struct fwnode_handle *port_fwnode;
static struct cpumask live_cpus;

/* Let a port's events in again, unless somebody else still keeps them out. */
static void unmask_locked(struct evtchn_port *p)
{
	if (!p->masked && !p->resting)
		evtchn_books.ops->unmask(p->port);
}

/*
 * Direct a port elsewhere. Between mask and unmask nothing of it is handled;
 * what was or becomes pending meanwhile is delivered to the new vCPU by the
 * unmask, and an event that the old one is about to look at is not its any
 * more. Hence none is lost and at worst the handler finds nothing to do.
 */
static int direct_locked(struct evtchn_port *p, struct platform_vcpu *to)
{
	struct evtchn_bind_vcpu bind = { .port = p->port, .vcpu = to->id };
	struct platform_vcpu *from = p->target;
	int ret = 0;

	lockdep_assert_held(&p->lock);
	if (from == to)
		return 0;
	evtchn_books.ops->mask(p->port);
	if (!p->fixed)
		ret = hypercall_evtchn(EVTCHNOP_bind_vcpu, &bind);
	if (!ret) {
		evtchn_books.ops->direct(p->port, from, to);
		p->target = to;
		if (from)
			atomic_dec(&from->ports);
		atomic_inc(&to->ports);
	}
	unmask_locked(p);
	return ret;
}

static void undirect(struct evtchn_port *p)
{
	evtchn_books.ops->direct(p->port, p->target, NULL);
	atomic_dec(&p->target->ports);
}

/* The live vCPU in a set of CPUs with the fewest ports; NULL if there is none */
static struct platform_vcpu *pick(const struct cpumask *set)
{
	struct platform_vcpu *best = NULL;
	unsigned int cpu;

	if (!upcall_by_vector())
		return vcpu_zero();
	for_each_cpu_and(cpu, set, &live_cpus) {
		struct platform_vcpu *v = vcpu_of(cpu);

		if (!best || atomic_read(&v->ports) < atomic_read(&best->ports))
			best = v;
	}
	return best;
}

static void set_effective(struct evtchn_port *p, struct irq_data *d)
{
	unsigned int cpu = p->target->cpu;

	/* With INTx it is wherever the line goes; say so with the first CPU. */
	irq_data_update_effective_affinity(d, cpumask_of(cpu == VCPU_NO_CPU ?
							 0 : cpu));
}

static void port_mask(struct irq_data *d)
{
	struct evtchn_port *p = irq_data_get_irq_chip_data(d);
	unsigned long flags;

	raw_spin_lock_irqsave(&p->lock, flags);
	p->masked = true;
	if (!p->dead)
		evtchn_books.ops->mask(p->port);
	raw_spin_unlock_irqrestore(&p->lock, flags);
}

static void port_unmask(struct irq_data *d)
{
	struct evtchn_port *p = irq_data_get_irq_chip_data(d);
	unsigned long flags;

	raw_spin_lock_irqsave(&p->lock, flags);
	p->masked = false;
	if (!p->dead)
		unmask_locked(p);
	raw_spin_unlock_irqrestore(&p->lock, flags);
}

static void port_ack(struct irq_data *d)
{
	struct evtchn_port *p = irq_data_get_irq_chip_data(d);

	if (!p->dead)
		evtchn_books.ops->ack(p->port);
}

/**
 * evtchn_irq_retrigger() - as if the peer had sent an event
 * @p: an open port
 *
 * Context: any.
 */
void evtchn_irq_retrigger(struct evtchn_port *p)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&p->lock, flags);
	if (!p->dead) {
		evtchn_books.ops->raise(p->port);
		if (!p->masked && !p->resting)
			evtchn_xen_unmask(p->port);
	}
	raw_spin_unlock_irqrestore(&p->lock, flags);
}

static int port_retrigger(struct irq_data *d)
{
	evtchn_irq_retrigger(irq_data_get_irq_chip_data(d));
	return 1;
}

static int port_set_affinity(struct irq_data *d, const struct cpumask *mask,
			     bool force)
{
	struct evtchn_port *p = irq_data_get_irq_chip_data(d);
	struct platform_vcpu *to;
	unsigned long flags;
	int ret = -EINVAL;

	raw_spin_lock_irqsave(&p->lock, flags);
	if (p->dead) {
		ret = 0;
		goto out_unlock;
	}
	if (p->fixed)
		goto out_unlock;
	/* Stay if we may: every move costs a cold cache. */
	to = p->target;
	if (upcall_by_vector() &&
	    (!to->live || !cpumask_test_cpu(to->cpu, mask)))
		to = pick(mask);
	if (to)
		ret = direct_locked(p, to);
	if (!ret) {
		p->home = VCPU_NO_CPU;
		set_effective(p, d);
	}
out_unlock:
	raw_spin_unlock_irqrestore(&p->lock, flags);
	return ret;
}

static struct irq_chip port_chip = {
	.name = "pvhvm-event",
	.irq_mask = port_mask,
	.irq_unmask = port_unmask,
	.irq_ack = port_ack,
	.irq_retrigger = port_retrigger,
	.irq_set_affinity = port_set_affinity,
	.flags = IRQCHIP_SKIP_SET_WAKE,
};

static irq_hw_number_t port_hwirq(evtchn_port_t port)
{
	return (irq_hw_number_t)evtchn_books.epoch * EVTCHN_FIFO_NR_CHANNELS + port;
}

static int port_map(struct irq_domain *domain, unsigned int irq,
		    irq_hw_number_t hwirq)
{
	struct evtchn_port *p = xa_load(&evtchn_books.by_number,
					hwirq % EVTCHN_FIFO_NR_CHANNELS);

	irq_set_chip_and_handler_name(irq, &port_chip, handle_edge_irq, "event");
	irq_set_chip_data(irq, p);
	/* Moving takes one hypercall, it need not wait for the next event. */
	irq_set_status_flags(irq, IRQ_MOVE_PCNTXT | IRQ_NOPROBE);
	irqd_set_single_target(irq_get_irq_data(irq));
	return 0;
}

static const struct irq_domain_ops port_domain_ops = {
	.map = port_map,
};

static bool bring_home(struct evtchn_port *p, struct platform_vcpu *v)
{
	unsigned long flags;
	bool hint = false;

	raw_spin_lock_irqsave(&p->lock, flags);
	if (p->home == v->cpu) {
		hint = p->hint;
		if (!hint && !direct_locked(p, v))
			set_effective(p, irq_get_irq_data(p->irq));
		p->home = VCPU_NO_CPU;
		p->hint = false;
	}
	raw_spin_unlock_irqrestore(&p->lock, flags);
	return hint;
}

/**
 * evtchn_vcpu_up() - a vCPU may take events from now on
 * @v: with its upcall ready
 *
 * Ports that had to leave it when it went offline come back.
 * Context: CPU hotplug callback or init; may sleep.
 */
void evtchn_vcpu_up(struct platform_vcpu *v)
{
	struct evtchn_port *p;

	v->live = true;
	if (v->cpu == VCPU_NO_CPU)
		return;
	cpumask_set_cpu(v->cpu, &live_cpus);
	mutex_lock(&evtchn_books.lock);
	list_for_each_entry(p, &evtchn_books.ports, list)
		if (bring_home(p, v))
			irq_set_affinity_and_hint(p->irq, cpumask_of(v->cpu));
	mutex_unlock(&evtchn_books.lock);
}

/**
 * evtchn_vcpu_down() - a vCPU is about to go: send its ports elsewhere
 * @v: the running CPU's, still with its upcall
 *
 * The interrupts' affinity as the user set it stays as it is; the kernel sees
 * that they are gone and leaves them alone. Ports that cannot leave are closed
 * by now.
 * Context: CPU hotplug callback; may sleep.
 */
void evtchn_vcpu_down(struct platform_vcpu *v)
{
	struct evtchn_port *p;
	unsigned long flags;

	cpumask_clear_cpu(v->cpu, &live_cpus);
	v->live = false;
	mutex_lock(&evtchn_books.lock);
	list_for_each_entry(p, &evtchn_books.ports, list) {
		struct irq_data *d = irq_get_irq_data(p->irq);
		struct platform_vcpu *to;

		raw_spin_lock_irqsave(&p->lock, flags);
		if (p->target == v && !p->fixed) {
			to = pick(irq_data_get_affinity_mask(d));
			if (!to)
				to = pick(&live_cpus);
			if (to && !direct_locked(p, to)) {
				p->home = v->cpu;
				p->hint = false;
				set_effective(p, d);
			}
		}
		raw_spin_unlock_irqrestore(&p->lock, flags);
	}
	mutex_unlock(&evtchn_books.lock);
	evtchn_vcpu_drain(v);
}

void pvhvm_evtchn_set_cpu(struct pvhvm_evtchn *ch, unsigned int cpu)
{
	struct evtchn_port *p;
	unsigned long flags;

	if (!ch->irq || cpu >= nr_cpu_ids || !upcall_by_vector())
		return;
	p = irq_get_chip_data(ch->irq);
	if (cpumask_test_cpu(cpu, &live_cpus)) {
		irq_set_affinity_and_hint(ch->irq, cpumask_of(cpu));
		return;
	}
	raw_spin_lock_irqsave(&p->lock, flags);
	p->home = cpu;
	p->hint = true;
	raw_spin_unlock_irqrestore(&p->lock, flags);
}
PVHVM_EXPORT(pvhvm_evtchn_set_cpu);

bool pvhvm_evtchn_move(struct pvhvm_evtchn *ch, unsigned int cpu)
{
	struct irq_data *d;
	struct evtchn_port *p;
	unsigned long flags;
	bool moved;

	if (!ch->irq || cpu >= nr_cpu_ids || !upcall_by_vector())
		return false;
	d = irq_get_irq_data(ch->irq);
	p = irq_data_get_irq_chip_data(d);
	raw_spin_lock_irqsave(&p->lock, flags);
	moved = !p->dead && !p->fixed && cpumask_test_cpu(cpu, &live_cpus) &&
		cpumask_test_cpu(cpu, irq_data_get_affinity_mask(d)) &&
		!direct_locked(p, vcpu_of(cpu));
	if (moved)
		set_effective(p, d);
	raw_spin_unlock_irqrestore(&p->lock, flags);
	return moved;
}
PVHVM_EXPORT(pvhvm_evtchn_move);

/**
 * evtchn_irq_create() - direct a port at a live vCPU, give it an interrupt
 * @p: masked, known by its number
 * @fixed: the vCPU that Xen has bound it to for good, or NULL
 *
 * Context: process; may sleep; the books' lock held.
 * Return: 0 or negative errno, and the port is directed nowhere.
 */
int evtchn_irq_create(struct evtchn_port *p, struct platform_vcpu *fixed)
{
	struct platform_vcpu *to = fixed ? fixed : pick(cpu_online_mask);
	unsigned long flags;
	int ret;

	raw_spin_lock_irqsave(&p->lock, flags);
	ret = to ? direct_locked(p, to) : -EIO;
	raw_spin_unlock_irqrestore(&p->lock, flags);
	if (ret)
		return ret;
	p->irq = irq_create_mapping(port_domain, port_hwirq(p->port));
	if (p->irq)
		return 0;
	undirect(p);
	return -ENOSPC;
}

/**
 * evtchn_irq_destroy() - the counterpart
 * @p: a port that no event can be handled of any more
 *
 * Context: process; may sleep; the books' lock held.
 */
void evtchn_irq_destroy(struct evtchn_port *p)
{
	irq_dispose_mapping(p->irq);
	if (!p->dead)
		undirect(p);
}

/**
 * evtchn_irq_init() - get ready to give ports interrupts
 *
 * Context: process; may sleep. Return: 0 or -ENOMEM.
 */
int evtchn_irq_init(void)
{
	port_fwnode = irq_domain_alloc_named_fwnode("pvhvm-event");
	if (!port_fwnode)
		return -ENOMEM;
	port_domain = irq_domain_create_tree(port_fwnode, &port_domain_ops,
					     NULL);
	if (port_domain)
		return 0;
	irq_domain_free_fwnode(port_fwnode);
	return -ENOMEM;
}

void evtchn_irq_exit(void)
{
	irq_domain_remove(port_domain);
	irq_domain_free_fwnode(port_fwnode);
	cpumask_clear(&live_cpus);
}
