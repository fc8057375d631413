// SPDX-License-Identifier: GPL-2.0-only
/*
 * vcpu.c: Xen's view of each CPU, and the order in which a CPU comes and goes.
 *
 * Coming: number, info block, event ABI, upcall vector, and only then does it
 * take events; timer and channel for interrupts, which need events, come last.
 * All in one hotplug state: of two states it is for the kernel to say which is
 * first. Going is the mirror image, but a vCPU may still be notified between the
 * last look at its queues and its halt; they are looked at once more, from
 * another CPU, when it is dead.
 */
#include "platform.h"

#include <asm/cpuid/api.h>
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/rcupdate.h>
#include <xen-public/arch-x86/cpuid.h>

#include "evtchn.h"
#include "hypercall.h"
#include "upcall.h"
#include "vcpu.h"

static DEFINE_PER_CPU(struct platform_vcpu, vcpus);

/*
 * vCPU 0 when no CPU of ours may claim it: with INTx all events go to it and
 * are handled by whichever CPU gets the interrupt; in a crash kernel Linux's
 * only CPU may be any vCPU.
 */
static struct platform_vcpu zero = { .cpu = VCPU_NO_CPU };

static enum cpuhp_state dead_state, online_state;
static bool loading;

struct platform_vcpu *vcpu_of(unsigned int cpu)
{
	return per_cpu_ptr(&vcpus, cpu);
}

/**
 * vcpu_zero() - the target of all events when there are no upcall vectors
 */
struct platform_vcpu *vcpu_zero(void)
{
	return &zero;
}

/**
 * vcpu_read_id() - Xen's number of the running CPU
 *
 * Before it had the CPUID leaf, Xen numbered the local APICs in steps of two.
 * Context: preemption disabled, or bound to one CPU.
 */
u32 vcpu_read_id(void)
{
	u32 leaf = hypercall_leaf(4);
	u32 eax, ebx, ecx, edx;

	if (leaf) {
		cpuid_count(leaf, 0, &eax, &ebx, &ecx, &edx);
		if (eax & XEN_HVM_CPUID_VCPU_ID_PRESENT)
			return ebx;
	}
	return (cpuid_ebx(1) >> 24) / 2;
}

static int vcpu_online(unsigned int cpu)
{
	struct platform_vcpu *v = vcpu_of(cpu);
	const char *what;
	int ret;

	v->cpu = cpu;
	v->id = vcpu_read_id();
	v->known = true;
	what = "info block";
	ret = v->info ? 0 : vcpu_info_place(v);
	if (ret)
		goto err;
	if (!upcall_by_vector())
		return 0;
	what = "event queues";
	ret = evtchn_vcpu_prepare(v);
	if (ret)
		goto err;
	what = "upcall vector";
	ret = upcall_vcpu_up(v);
	if (ret)
		goto err;
	evtchn_vcpu_up(v);
	ipi_cpu_up(cpu);
	timer_cpu_up(cpu);
	return 0;

err:
	pr_warn("CPU %u (vCPU %u) takes no events: %s: %d\n", cpu, v->id,
		what, ret);
	/*
	 * A CPU is of use all the same, and must not be kept from coming up.
	 * But loading while memory is short would end in a half of everything.
	 */
	return loading && ret == -ENOMEM ? ret : 0;
}

static int vcpu_offline(unsigned int cpu)
{
	struct platform_vcpu *v = vcpu_of(cpu);
	int ret;

	if (!v->live)
		return 0;
	/* May say no to a CPU that goes; all are gone when our state is removed. */
	ret = timer_cpu_down(cpu);
	if (ret)
		return ret;
	ipi_cpu_down(cpu);
	evtchn_vcpu_down(v);
	upcall_vcpu_down(v);
	return 0;
}

static int vcpu_dead(unsigned int cpu)
{
	struct platform_vcpu *v = vcpu_of(cpu);

	if (v->info && upcall_by_vector() && (v->fifo || v->mine))
		evtchn_vcpu_drain(v);
	return 0;
}

/* The INTx line may be shared, so its handler may be looking at vCPU 0 just now. */
static void zero_down(void)
{
	if (!zero.live)
		return;
	WRITE_ONCE(zero.live, false);
	synchronize_rcu();
}

static void forget_all(void)
{
	unsigned int cpu;

	zero_down();
	for_each_possible_cpu(cpu) {
		evtchn_vcpu_release(vcpu_of(cpu));
		memset(vcpu_of(cpu), 0, sizeof(struct platform_vcpu));
	}
	evtchn_vcpu_release(&zero);
	zero = (struct platform_vcpu){ .cpu = VCPU_NO_CPU };
}

/**
 * vcpu_init() - get all CPUs going, now and whenever one comes
 *
 * Context: process; may sleep. Return: 0 or negative errno; all is undone.
 */
int vcpu_init(void)
{
	int ret;

	vcpu_info_init();
	zero.info = &platform_shared_info->vcpu_info[0];
	if (!upcall_by_vector()) {
		ret = evtchn_vcpu_prepare(&zero);
		if (ret)
			goto err_forget;
		evtchn_vcpu_up(&zero);
	}

	ret = cpuhp_setup_state_nocalls(CPUHP_BP_PREPARE_DYN,
					"pvhvm/platform:dead", NULL, vcpu_dead);
	if (ret < 0)
		goto err_say;
	dead_state = ret;

	loading = true;
	ret = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "pvhvm/platform:online",
				vcpu_online, vcpu_offline);
	loading = false;
	if (ret < 0)
		goto err_dead_state;
	online_state = ret;
	return 0;

err_dead_state:
	cpuhp_remove_state_nocalls(dead_state);
	dead_state = 0;
err_say:
	if (ret != -ENOMEM)
		pr_err("no CPU hotplug callbacks (%d)\n", ret);
err_forget:
	forget_all();
	return ret;
}

int pvhvm_vcpu_to_cpu(unsigned int vcpu)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		if (vcpu_of(cpu)->known && vcpu_of(cpu)->id == vcpu)
			return cpu;
	return -ENODEV;
}
PVHVM_EXPORT(pvhvm_vcpu_to_cpu);

/**
 * vcpu_first() - the CPU that is Xen's vCPU 0
 *
 * The toolstack marks a cancelled suspend in that one's registers.
 * Context: process. Return: its number, or nr_cpu_ids if it is not online.
 */
unsigned int vcpu_first(void)
{
	unsigned int cpu;

	for_each_online_cpu(cpu)
		if (vcpu_of(cpu)->info && !vcpu_of(cpu)->id)
			return cpu;
	return nr_cpu_ids;
}

/**
 * vcpu_resume() - a new domain: blocks and vectors, but for vcpu_resume_self()
 *
 * Context: all other CPUs stand still, interrupts off.
 */
void vcpu_resume(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		struct platform_vcpu *v = vcpu_of(cpu);

		/* Placed anew when it comes online. */
		if (v->info && vcpu_info_is_beyond(v) && !cpu_online(cpu)) {
			WRITE_ONCE(v->info->time.version, 0);
			v->info = NULL;
		}
		upcall_vcpu_resume(v);
	}
	upcall_vcpu_resume(&zero);
}

/**
 * vcpu_resume_self() - what a vCPU has to tell Xen itself
 *
 * Context: on each CPU while all stand still, interrupts off.
 */
void vcpu_resume_self(void)
{
	struct platform_vcpu *v = vcpu_of(smp_processor_id());
	int ret;

	if (!v->info || !vcpu_info_is_beyond(v))
		return;
	ret = vcpu_info_tell(v);
	if (ret)
		pr_err("CPU %u (vCPU %u) takes no events any more: info block: %d\n",
		       v->cpu, v->id, ret);
	vcpu_info_clear(v->info);
	WRITE_ONCE(v->info->evtchn_upcall_mask, 0);
}

/**
 * vcpu_exit() - take all CPUs out of service
 *
 * Every port is closed by now.
 */
void vcpu_exit(void)
{
	if (!online_state)
		return;
	cpuhp_remove_state(online_state);
	cpuhp_remove_state_nocalls(dead_state);
	online_state = 0;
	dead_state = 0;
	forget_all();
}
