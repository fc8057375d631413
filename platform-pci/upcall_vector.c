// SPDX-License-Identifier: GPL-2.0-only
/*
 * upcall_vector.c: vectors for upcalls, from the kernel's vector allocator.
 *
 * The kernel has no fixed vector for modules, but an irq domain stacked on its
 * vector domain gets one on a given CPU. Which one is the allocator's choice,
 * the lowest that is free. For the same one on all CPUs we take what comes until
 * it fits, and give the rest back.
 *
 * All of it runs one at a time: at init, or in CPU hotplug callbacks.
 */
#include "platform.h"

#include <asm/hw_irq.h>
#include <asm/irqdomain.h>
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/irq.h>
#include <linux/irqdomain.h>

#include "upcall_vector.h"

static struct irq_domain *vector_domain;
static struct fwnode_handle *vector_fwnode;
static DEFINE_PER_CPU(unsigned int, irq_of_cpu);
static unsigned int shared;
static bool by_apic;
static enum cpuhp_state vector_state;

/* A number for each interrupt that a CPU may have of us: one, or while we search. */
static unsigned long hwirq_of(unsigned int cpu, unsigned int nr)
{
	return cpu * NR_VECTORS + nr;
}

static int vector_translate(struct irq_domain *domain,
			    struct irq_fwspec *fwspec,
			    unsigned long *hwirq, unsigned int *type)
{
	*hwirq = fwspec->param[0];
	*type = IRQ_TYPE_NONE;
	return 0;
}

/* What Xen injects by itself has left no mark in the local APIC. */
static void vector_ack(struct irq_data *d)
{
	if (READ_ONCE(by_apic))
		irq_chip_ack_parent(d);
}

static struct irq_chip vector_chip = {
	.name = "pvhvm-upcall",
	.irq_ack = vector_ack,
	.flags = IRQCHIP_SKIP_SET_WAKE,
};

static int vector_alloc(struct irq_domain *domain, unsigned int virq,
			unsigned int count, void *arg)
{
	struct irq_fwspec *fwspec = arg;
	unsigned long hwirq = fwspec->param[0];
	struct irq_alloc_info info = {
		.mask = cpumask_of(hwirq / NR_VECTORS),
	};
	int ret;

	ret = irq_domain_alloc_irqs_parent(domain, virq, count, &info);
	if (ret)
		return ret;
	irq_domain_set_info(domain, virq, hwirq, &vector_chip, NULL,
			    handle_edge_irq, NULL, "edge");
	return 0;
}

static const struct irq_domain_ops vector_domain_ops = {
	.translate = vector_translate,
	.alloc = vector_alloc,
	.free = irq_domain_free_irqs_common,
};

static unsigned int create(unsigned int cpu, unsigned int nr)
{
	struct irq_fwspec fwspec = {
		.fwnode = vector_fwnode,
		.param_count = 1,
		.param = { hwirq_of(cpu, nr) },
	};

	return irq_create_fwspec_mapping(&fwspec);
}

/**
 * upcall_vector_of() - the vector that an interrupt has
 * @irq: as upcall_vector_get() gave it
 */
u8 upcall_vector_of(unsigned int irq)
{
	return irqd_cfg(irq_get_irq_data(irq))->vector;
}

/* The interrupt of the lowest free vector from @least on; 0 if there is none. */
static unsigned int take(unsigned int cpu, unsigned int least)
{
	static unsigned int spare[NR_VECTORS];
	unsigned int nr = 0, irq;

	while ((irq = create(cpu, nr)) && upcall_vector_of(irq) < least)
		spare[nr++] = irq;
	while (nr)
		irq_dispose_mapping(spare[--nr]);
	return irq;
}

/**
 * upcall_vector_get() - an interrupt with a vector on one CPU
 * @cpu: online, without one of ours unless it was reserved at init
 *
 * Context: process, may sleep; init or CPU hotplug callback.
 * Return: the interrupt, with no handler; 0 when no vector, or not the one that
 * all CPUs share, is free there. upcall_vector_put() gives it back.
 */
unsigned int upcall_vector_get(unsigned int cpu)
{
	unsigned int *irq = per_cpu_ptr(&irq_of_cpu, cpu);

	if (*irq)
		return *irq;
	*irq = take(cpu, shared);
	if (*irq && shared && upcall_vector_of(*irq) != shared)
		upcall_vector_put(cpu);
	return *irq;
}

/**
 * upcall_vector_put() - give a CPU's interrupt back
 * @cpu: any; one without an interrupt is a no-op
 */
void upcall_vector_put(unsigned int cpu)
{
	unsigned int *irq = per_cpu_ptr(&irq_of_cpu, cpu);

	if (*irq)
		irq_dispose_mapping(*irq);
	*irq = 0;
}

/**
 * upcall_vector_shared() - the vector that all CPUs use
 *
 * Return: 0 if each has one of its own.
 */
u8 upcall_vector_shared(void)
{
	return shared;
}

/**
 * upcall_vector_at_apic() - from now on they come from the local APIC
 *
 * For vectors that were shared; they stay as they are, but a CPU that comes
 * may have another one.
 * Context: while none of the interrupts arrives.
 */
void upcall_vector_at_apic(void)
{
	shared = 0;
	WRITE_ONCE(by_apic, true);
}

/*
 * A vector that was reserved, and that nobody came to use before the CPU went:
 * when it comes back the kernel has forgotten the vector's handler.
 */
static int vector_dead(unsigned int cpu)
{
	upcall_vector_put(cpu);
	return 0;
}

/*
 * Round the CPUs, each time from the highest vector met so far, until all have
 * the same. It only ever rises, so this ends.
 */
static int reserve_shared(void)
{
	unsigned int cpu, fits = 0;
	int ret;

	ret = cpuhp_setup_state_nocalls(CPUHP_BP_PREPARE_DYN,
					"pvhvm/platform:vector", NULL,
					vector_dead);
	if (ret < 0)
		return ret;
	vector_state = ret;
	cpus_read_lock();
	while (fits < num_online_cpus()) {
		fits = 0;
		for_each_online_cpu(cpu) {
			unsigned int *irq = per_cpu_ptr(&irq_of_cpu, cpu);

			if (*irq && upcall_vector_of(*irq) == shared) {
				fits++;
				continue;
			}
			upcall_vector_put(cpu);
			*irq = take(cpu, shared);
			if (!*irq)
				goto err;
			shared = upcall_vector_of(*irq);
		}
	}
	cpus_read_unlock();
	return 0;

err:
	cpus_read_unlock();
	return -ENOSPC;
}

/**
 * upcall_vector_init() - get ready to hand out vectors
 * @one_for_all: the same vector on every CPU, reserved on those online now, for
 *	interrupts that do not come from the local APIC
 *
 * Context: process; may sleep. Return: 0; -ENOSPC when no vector is free on all
 * CPUs; another errno; all is undone.
 */
int upcall_vector_init(bool one_for_all)
{
	int ret;

	if (!x86_vector_domain)
		return -EOPNOTSUPP;
	vector_fwnode = irq_domain_alloc_named_fwnode("pvhvm-upcall");
	if (!vector_fwnode)
		return -ENOMEM;
	vector_domain = irq_domain_create_hierarchy(x86_vector_domain, 0, 0,
						    vector_fwnode,
						    &vector_domain_ops, NULL);
	if (!vector_domain) {
		irq_domain_free_fwnode(vector_fwnode);
		vector_fwnode = NULL;
		return -ENOMEM;
	}
	by_apic = !one_for_all;
	ret = one_for_all ? reserve_shared() : 0;
	if (ret)
		upcall_vector_exit();
	return ret;
}

void upcall_vector_exit(void)
{
	unsigned int cpu;

	if (vector_state)
		cpuhp_remove_state_nocalls(vector_state);
	vector_state = 0;
	for_each_possible_cpu(cpu)
		upcall_vector_put(cpu);
	if (vector_domain) {
		irq_domain_remove(vector_domain);
		irq_domain_free_fwnode(vector_fwnode);
	}
	vector_domain = NULL;
	vector_fwnode = NULL;
	shared = 0;
}
