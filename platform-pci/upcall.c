// SPDX-License-Identifier: GPL-2.0-only
/*
 * upcall.c: how Xen interrupts us.
 *
 * Either a vector per vCPU, taken from the kernel's vector allocator by an
 * irq domain stacked on it and told to Xen (HVMOP_set_evtchn_upcall_vector):
 * edge triggered, acknowledged at the local APIC, no VM exit but the EOI. Or
 * the platform device's INTx line, raised by Xen while vCPU 0 has something
 * pending: works everywhere, slow, one CPU only.
 */
#include "platform.h"

#include <asm/hw_irq.h>
#include <asm/irqdomain.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdomain.h>
#include <linux/moduleparam.h>

#include "evtchn.h"
#include "hypercall.h"
#include "upcall.h"

static char *upcall_mode = "auto";
module_param_named(upcall, upcall_mode, charp, 0444);
MODULE_PARM_DESC(upcall,
		 "Upcall: auto (default), vector (one per CPU) or intx (all on vCPU 0)");

static struct irq_domain *vector_domain;
static struct fwnode_handle *vector_fwnode;
static bool by_vector;
static bool intx_requested;
static bool announced;
static u64 callback;

/**
 * upcall_by_vector() - has each vCPU its own upcall vector?
 *
 * Return: false when all events arrive on vCPU 0 by the INTx line. Constant
 * between upcall_init() and upcall_exit().
 */
bool upcall_by_vector(void)
{
	return by_vector;
}

static int tell_vector(u32 vcpu, u8 vector)
{
	struct xen_hvm_evtchn_upcall_vector set = {
		.vcpu = vcpu,
		.vector = vector,
	};

	return hypercall_hvm(HVMOP_set_evtchn_upcall_vector, &set);
}

/* Asked about a vCPU that cannot exist, a Xen that knows the call says so. */
static bool vectors_offered(void)
{
	return tell_vector(~0u, FIRST_EXTERNAL_VECTOR) == -ENOENT;
}

static struct irq_chip vector_chip = {
	.name = "pvhvm-upcall",
	.irq_ack = irq_chip_ack_parent,
	.flags = IRQCHIP_SKIP_SET_WAKE,
};

static int vector_translate(struct irq_domain *domain,
			    struct irq_fwspec *fwspec,
			    unsigned long *hwirq, unsigned int *type)
{
	*hwirq = fwspec->param[0];
	*type = IRQ_TYPE_NONE;
	return 0;
}

static int vector_alloc(struct irq_domain *domain, unsigned int virq,
			unsigned int count, void *arg)
{
	struct irq_fwspec *fwspec = arg;
	unsigned int cpu = fwspec->param[0];
	struct irq_alloc_info info = { .mask = cpumask_of(cpu) };
	int ret;

	ret = irq_domain_alloc_irqs_parent(domain, virq, count, &info);
	if (ret)
		return ret;
	irq_domain_set_info(domain, virq, cpu, &vector_chip, NULL,
			    handle_edge_irq, NULL, "edge");
	return 0;
}

/* The vector is known now; @reserve is a trial run before there is one. */
static int vector_activate(struct irq_domain *domain, struct irq_data *irqd,
			   bool reserve)
{
	if (reserve)
		return 0;
	return tell_vector(vcpu_of(irqd->hwirq)->id, irqd_cfg(irqd)->vector);
}

static const struct irq_domain_ops vector_domain_ops = {
	.translate = vector_translate,
	.alloc = vector_alloc,
	.free = irq_domain_free_irqs_common,
	.activate = vector_activate,
};

static irqreturn_t vector_handler(int irq, void *data)
{
	evtchn_upcall(data);
	return IRQ_HANDLED;
}

static irqreturn_t intx_handler(int irq, void *data)
{
	struct platform_vcpu *v = vcpu_zero();

	/* The line may be shared; Xen holds it up as long as this is set. */
	if (!v->live || !READ_ONCE(v->info->evtchn_upcall_pending))
		return IRQ_NONE;
	evtchn_upcall(v);
	return IRQ_HANDLED;
}

/**
 * upcall_vcpu_up() - give the running CPU its upcall vector
 * @v: this CPU's entry, with number and info block
 *
 * Context: on that CPU, process; may sleep. Return: 0 or negative errno.
 */
int upcall_vcpu_up(struct platform_vcpu *v)
{
	struct irq_fwspec fwspec = {
		.fwnode = vector_fwnode,
		.param_count = 1,
		.param = { v->cpu },
	};
	unsigned int irq;
	int ret;

	/* Nothing is directed here yet; what is left is of another life. */
	WRITE_ONCE(v->info->evtchn_upcall_pending, 0);
	WRITE_ONCE(v->info->evtchn_upcall_mask, 0);

	irq = irq_create_fwspec_mapping(&fwspec);
	if (!irq)
		return -ENOSPC;
	snprintf(v->upcall_name, sizeof(v->upcall_name), "pvhvm-upcall%u",
		 v->cpu);
	ret = request_irq(irq, vector_handler,
			  IRQF_NOBALANCING | IRQF_NO_THREAD | IRQF_NO_SUSPEND,
			  v->upcall_name, v);
	if (ret) {
		irq_dispose_mapping(irq);
		return ret;
	}
	v->upcall_irq = irq;
	return 0;
}

/**
 * upcall_vcpu_resume() - tell a new domain's Xen about a vCPU's vector
 * @v: any vCPU; one that takes no events is a no-op
 *
 * Context: all other CPUs stand still, interrupts off.
 */
void upcall_vcpu_resume(struct platform_vcpu *v)
{
	int ret;

	if (!v->live)
		return;
	WRITE_ONCE(v->info->evtchn_upcall_pending, 0);
	WRITE_ONCE(v->info->evtchn_upcall_mask, 0);
	if (!v->upcall_irq)
		return;
	ret = tell_vector(v->id,
			  irqd_cfg(irq_get_irq_data(v->upcall_irq))->vector);
	if (ret)
		pr_err("vCPU %u has lost its upcall vector (%d)\n", v->id, ret);
}

/**
 * upcall_vcpu_down() - take the vector back
 * @v: a vCPU that no port is directed to; one without a vector is a no-op
 *
 * Xen cannot be told to forget the vector. It sends one only for an unmasked
 * event of this vCPU, and there is none any more.
 */
void upcall_vcpu_down(struct platform_vcpu *v)
{
	if (!v->upcall_irq)
		return;
	free_irq(v->upcall_irq, v);
	irq_dispose_mapping(v->upcall_irq);
	v->upcall_irq = 0;
}

static int create_domain(void)
{
	if (!x86_vector_domain)
		return -EOPNOTSUPP;
	vector_fwnode = irq_domain_alloc_named_fwnode("pvhvm-upcall");
	if (!vector_fwnode)
		return -ENOMEM;
	vector_domain = irq_domain_create_hierarchy(x86_vector_domain, 0,
						    nr_cpu_ids, vector_fwnode,
						    &vector_domain_ops, NULL);
	if (!vector_domain) {
		irq_domain_free_fwnode(vector_fwnode);
		vector_fwnode = NULL;
		return -ENOMEM;
	}
	return 0;
}

static int request_intx(void)
{
	int ret;

	if (!platform_pdev->irq)
		return -ENXIO;
	ret = request_irq(platform_pdev->irq, intx_handler,
			  IRQF_SHARED | IRQF_NO_THREAD, "pvhvm-upcall", platform_pdev);
	if (!ret)
		intx_requested = true;
	return ret;
}

/**
 * upcall_init() - choose the kind of upcall
 *
 * No upcall arrives before the vCPUs are up and upcall_announce() is called.
 * Context: process; may sleep. Return: 0 or negative errno.
 */
int upcall_init(void)
{
	bool want_vector = strcmp(upcall_mode, "intx");
	int ret;

	if (strcmp(upcall_mode, "auto") && strcmp(upcall_mode, "vector") &&
	    want_vector) {
		pr_err("upcall=%s is neither auto, vector nor intx\n",
		       upcall_mode);
		return -EINVAL;
	}
	if (want_vector && vectors_offered()) {
		ret = create_domain();
		if (!ret)
			by_vector = true;
		return ret;
	}
	if (!strcmp(upcall_mode, "vector")) {
		pr_err("Xen has no per-vCPU upcall vectors; load with upcall=auto\n");
		return -EOPNOTSUPP;
	}
	ret = request_intx();
	if (ret)
		pr_err("cannot use the platform device's interrupt %u (%d)\n",
		       platform_pdev->irq, ret);
	return ret;
}

void upcall_exit(void)
{
	if (intx_requested)
		free_irq(platform_pdev->irq, platform_pdev);
	intx_requested = false;
	if (vector_domain) {
		irq_domain_remove(vector_domain);
		irq_domain_free_fwnode(vector_fwnode);
	}
	vector_domain = NULL;
	vector_fwnode = NULL;
	by_vector = false;
}

/**
 * upcall_announce() - tell Xen (and the toolstack) about the INTx line
 *
 * With vectors Xen never raises it, but libxl takes a guest for one with PV
 * drivers only if HVM_PARAM_CALLBACK_IRQ is not zero. To be called when all
 * vectors are set: until then the line would be raised, maybe unattended.
 * Return: 0 or negative errno.
 */
int upcall_announce(void)
{
	u8 pin;
	int ret;

	pci_read_config_byte(platform_pdev, PCI_INTERRUPT_PIN, &pin);
	callback = (u64)HVM_PARAM_CALLBACK_TYPE_PCI_INTX << 56;
	callback |= (u64)pci_domain_nr(platform_pdev->bus) << 32;
	callback |= (u64)platform_pdev->bus->number << 16;
	callback |= platform_pdev->devfn << 8;
	callback |= (pin - 1) & 3;
	ret = hvm_param_set(HVM_PARAM_CALLBACK_IRQ, callback);
	if (ret)
		pr_err("Xen takes no callback interrupt (%d)\n", ret);
	else
		announced = true;
	return ret;
}

/**
 * upcall_resume() - announce it to a new domain's Xen, all vectors being set
 *
 * Context: all other CPUs stand still, interrupts off.
 */
void upcall_resume(void)
{
	int ret = announced ? hvm_param_set(HVM_PARAM_CALLBACK_IRQ, callback) : 0;

	if (ret)
		pr_err("Xen takes no callback interrupt any more (%d)\n", ret);
}

/* To be called before the vectors go, see upcall_announce(). */
void upcall_renounce(void)
{
	if (announced)
		hvm_param_set(HVM_PARAM_CALLBACK_IRQ, 0);
	announced = false;
}
