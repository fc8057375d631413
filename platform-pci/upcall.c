// SPDX-License-Identifier: GPL-2.0-only
/*
 * upcall.c: how Xen interrupts us. One of three ways, the best first:
 *
 * callback: one vector, the same on all CPUs, that Xen injects itself while a
 * vCPU's upcall flag is set. The local APIC has no part in it, so there is no
 * acknowledge, which would be a VM exit of its own.
 * vector: a vector per vCPU, raised in its local APIC and acknowledged there.
 * intx: the platform device's INTx line, raised by Xen while vCPU 0 has
 * something pending: works everywhere, slow, one CPU only.
 */
#include "platform.h"

#include <asm/apic.h>
#include <asm/irq_vectors.h>
#include <asm/msr.h>
#include <linux/cpumask.h>
#include <linux/crash_dump.h>
#include <linux/interrupt.h>
#include <linux/ioport.h>
#include <linux/irq.h>
#include <linux/moduleparam.h>
#include <linux/smp.h>

#include "evtchn.h"
#include "hypercall.h"
#include "upcall.h"
#include "upcall_vector.h"

static char *upcall_mode = "auto";
module_param_named(upcall, upcall_mode, charp, 0444);
MODULE_PARM_DESC(upcall,
		 "Upcall: auto (default: the first of these that there is, but no callback where memory is reserved for a crash kernel, nor in that), callback (one vector on all CPUs), vector (one per CPU) or intx (all on vCPU 0)");

/*
 * Xen does not forget a vCPU's own vector, but takes another. Linux has a
 * handler for this one, which acknowledges it and on a guest does no more.
 */
#define PARKED_VECTOR	X86_PLATFORM_IPI_VECTOR

enum upcall_kind { UPCALL_INTX, UPCALL_VECTOR, UPCALL_CALLBACK };

static enum upcall_kind kind;
static bool intx_requested;
static bool announced;
static u64 callback;

static bool wanted(const char *name)
{
	return !strcmp(upcall_mode, "auto") || !strcmp(upcall_mode, name);
}

/**
 * upcall_by_vector() - do events arrive on every vCPU?
 *
 * Return: false when all arrive on vCPU 0 by the INTx line. Constant between
 * upcall_init() and upcall_exit().
 */
bool upcall_by_vector(void)
{
	return kind != UPCALL_INTX;
}

/**
 * upcall_name() - the kind in use, as the parameter calls it
 */
const char *upcall_name(void)
{
	static const char *const names[] = { "intx", "vector", "callback" };

	return names[kind];
}

/**
 * upcall_other() - the kind to try when this one does not work
 */
const char *upcall_other(void)
{
	static const char *const names[] = { "vector", "intx", "vector" };

	return names[kind];
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

static irqreturn_t vector_handler(int irq, void *data)
{
	evtchn_upcall(data);
	return IRQ_HANDLED;
}

static irqreturn_t intx_handler(int irq, void *data)
{
	struct platform_vcpu *v = vcpu_zero();

	/* The line may be shared; Xen holds it up as long as this is set. */
	if (!READ_ONCE(v->live) || !READ_ONCE(v->info->evtchn_upcall_pending))
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
	unsigned int irq;
	int ret;

	/* Nothing is directed here yet; what is left is of another life. */
	vcpu_info_clear(v->info);
	WRITE_ONCE(v->info->evtchn_upcall_mask, 0);

	irq = upcall_vector_get(v->cpu);
	if (!irq)
		return -ENOSPC;
	snprintf(v->upcall_name, sizeof(v->upcall_name), "pvhvm-upcall%u",
		 v->cpu);
	ret = request_irq(irq, vector_handler,
			  IRQF_NOBALANCING | IRQF_NO_THREAD | IRQF_NO_SUSPEND,
			  v->upcall_name, v);
	if (ret)
		goto err_put;
	if (kind == UPCALL_VECTOR)
		ret = tell_vector(v->id, upcall_vector_of(irq));
	if (ret)
		goto err_free;
	v->upcall_irq = irq;
	return 0;

err_free:
	free_irq(irq, v);
err_put:
	upcall_vector_put(v->cpu);
	return ret;
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
	vcpu_info_clear(v->info);
	WRITE_ONCE(v->info->evtchn_upcall_mask, 0);
	if (kind != UPCALL_VECTOR || !v->upcall_irq)
		return;
	ret = tell_vector(v->id, upcall_vector_of(v->upcall_irq));
	if (ret)
		pr_err("vCPU %u has lost its upcall vector (%d)\n", v->id, ret);
}

/**
 * upcall_vcpu_down() - take the vector back
 * @v: a vCPU that no port is directed to; one without a vector is a no-op
 *
 * Xen sends one only for an unmasked event of this vCPU, and there is none any
 * more. A CPU that goes offline keeps its number in Xen: should it come back
 * when we have been loaded anew, it must be woken, be it by a stray vector.
 */
void upcall_vcpu_down(struct platform_vcpu *v)
{
	if (!v->upcall_irq)
		return;
	if (kind == UPCALL_VECTOR && cpu_active(v->cpu))
		tell_vector(v->id, PARKED_VECTOR);
	free_irq(v->upcall_irq, v);
	upcall_vector_put(v->cpu);
	v->upcall_irq = 0;
}

static bool apic_has_pending(u8 vector)
{
	u32 reg = APIC_IRR + vector / 32 * 0x10;
	u32 bits, high __maybe_unused;

	/* A kernel without CONFIG_X86_X2APIC has no function for it. */
	if (x2apic_enabled())
		rdmsr(APIC_BASE_MSR + reg / 0x10, bits, high);
	else
		bits = native_apic_mem_read(reg);
	return bits & BIT(vector % 32);
}

/**
 * upcall_left_over() - has the event just sent to this vCPU set its own vector?
 *
 * One that an earlier driver gave it, which Xen keeps: ours, or that of a Linux
 * with Xen support that this kernel was started from.
 * Context: on that CPU, interrupts off. Return: callback and it must not be used.
 */
bool upcall_left_over(void)
{
	return kind == UPCALL_CALLBACK &&
		(apic_has_pending(PARKED_VECTOR) ||
		 apic_has_pending(HYPERVISOR_CALLBACK_VECTOR));
}

static void tell_own_vector(void *data)
{
	struct platform_vcpu *v = vcpu_of(smp_processor_id());

	if (v->upcall_irq)
		tell_vector(v->id, upcall_vector_of(v->upcall_irq));
}

/**
 * upcall_fall_back() - from the callback vector to a vector per vCPU
 *
 * Context: process, CPUs held, no events. Return: 0 or negative errno.
 */
int upcall_fall_back(void)
{
	if (!wanted("vector"))
		return -EBUSY;
	upcall_renounce();
	upcall_vector_at_apic();
	kind = UPCALL_VECTOR;
	on_each_cpu(tell_own_vector, NULL, 1);
	return upcall_announce();
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

static int crash_kernel_found(struct resource *res, void *data)
{
	return 1;
}

/*
 * After a crash nobody clears the upcall flag, and Xen would inject the callback
 * vector for ever: the crash kernel would not get anywhere. A vector of the local
 * APIC comes once. Memory for a crash kernel is reserved at boot or not at all.
 * The crash kernel itself has none, and may find its vCPU with the vector that the
 * dead one gave it: that comes beside a callback, another vector in its place.
 */
static bool callback_is_safe(void)
{
	return !is_kdump_kernel() && walk_iomem_res_desc(IORES_DESC_CRASH_KERNEL,
				   IORESOURCE_SYSTEM_RAM, 0, -1, NULL,
				   crash_kernel_found) != 1;
}

static bool callback_offered(void)
{
	return hypercall_feature(XENFEAT_hvm_callback_vector) &&
		(!strcmp(upcall_mode, "callback") || callback_is_safe());
}

static int use_vectors(enum upcall_kind how)
{
	int ret = upcall_vector_init(how == UPCALL_CALLBACK);

	if (!ret)
		kind = how;
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
	int ret;

	if (!wanted("callback") && !wanted("vector") && !wanted("intx")) {
		pr_err("upcall=%s is neither auto, callback, vector nor intx\n",
		       upcall_mode);
		return -EINVAL;
	}
	if (wanted("callback") && callback_offered()) {
		ret = use_vectors(UPCALL_CALLBACK);
		if (ret != -ENOSPC)
			return ret;
	}
	if (wanted("vector") && vectors_offered())
		return use_vectors(UPCALL_VECTOR);
	if (!wanted("intx")) {
		pr_err("upcall=%s is not to be had here; load with upcall=auto\n",
		       upcall_mode);
		return -EOPNOTSUPP;
	}
	ret = request_intx();
	if (ret)
		pr_err("cannot use the platform device's interrupt %u, see /proc/interrupts for who has it (%d)\n",
		       platform_pdev->irq, ret);
	return ret;
}

void upcall_exit(void)
{
	if (intx_requested)
		free_irq(platform_pdev->irq, platform_pdev);
	intx_requested = false;
	if (upcall_by_vector())
		upcall_vector_exit();
	kind = UPCALL_INTX;
}

static u64 callback_intx(void)
{
	u64 line = (u64)HVM_PARAM_CALLBACK_TYPE_PCI_INTX << 56;
	u8 pin;

	pci_read_config_byte(platform_pdev, PCI_INTERRUPT_PIN, &pin);
	line |= (u64)pci_domain_nr(platform_pdev->bus) << 32;
	line |= (u64)platform_pdev->bus->number << 16;
	line |= platform_pdev->devfn << 8;
	return line | ((pin - 1) & 3);
}

static u64 callback_vector(void)
{
	return (u64)HVM_PARAM_CALLBACK_TYPE_VECTOR << 56 |
		upcall_vector_shared();
}

/**
 * upcall_announce() - tell Xen (and the toolstack) about vector or INTx line
 *
 * With a vector per vCPU Xen never raises the line, but libxl takes a guest for
 * one with PV drivers only if HVM_PARAM_CALLBACK_IRQ is not zero. To be called
 * when all vectors are set: until then upcalls would come unattended.
 * Return: 0 or negative errno.
 */
int upcall_announce(void)
{
	int ret;

	callback = kind == UPCALL_CALLBACK ? callback_vector() : callback_intx();
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
