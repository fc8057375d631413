/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * hypercall.h: calling Xen.
 *
 * Convention (xen/arch-x86/xen-x86_64.h): number in rax, arguments in rdi,
 * rsi, rdx, answer in rax, argument registers clobbered. Pointers are guest
 * linear addresses that Xen translates by itself, so any mapped kernel memory
 * will do, a stack included.
 */
#ifndef PVHVM_HYPERCALL_H
#define PVHVM_HYPERCALL_H

#include <asm/alternative.h>
#include <asm/cpufeatures.h>
#include <linux/jump_label.h>

#include "platform.h"

#include <xen-public/errno.h>
#include <xen-public/hvm/hvm_op.h>
#include <xen-public/hvm/params.h>
#include <xen-public/memory.h>
#include <xen-public/sched.h>
#include <xen-public/vcpu.h>
#include <xen-public/version.h>

DECLARE_STATIC_KEY_FALSE(hypercall_use_page);

/* The hypercall page; only its address is of interest. */
extern char hypercall_stubs[];

long hypercall_by_page(unsigned long nr, unsigned long a1, unsigned long a2,
		       unsigned long a3);

/*
 * The instruction follows the CPU's vendor, not its features: an AMD CPU
 * faults on VMCALL. The kernel patches it once, when the module is loaded.
 */
static __always_inline long hypercall(unsigned long nr, unsigned long a1,
				      unsigned long a2, unsigned long a3)
{
	long ret;

	if (static_branch_unlikely(&hypercall_use_page))
		return hypercall_by_page(nr, a1, a2, a3);

	asm volatile(ALTERNATIVE("vmcall", "vmmcall", X86_FEATURE_VMMCALL)
		     : "=a" (ret), "+D" (a1), "+S" (a2), "+d" (a3)
		     : "0" (nr)
		     : "rcx", "r8", "r10", "r11", "memory", "cc");
	return ret;
}

static __always_inline long hypercall_version(unsigned int cmd, void *arg)
{
	return hypercall(__HYPERVISOR_xen_version, cmd, (unsigned long)arg, 0);
}

static __always_inline long hypercall_memory(unsigned int cmd, void *arg)
{
	return hypercall(__HYPERVISOR_memory_op, cmd, (unsigned long)arg, 0);
}

static __always_inline int hypercall_evtchn(unsigned int cmd, void *arg)
{
	return hypercall(__HYPERVISOR_event_channel_op, cmd,
			 (unsigned long)arg, 0);
}

static __always_inline int hypercall_hvm(unsigned int cmd, void *arg)
{
	return hypercall(__HYPERVISOR_hvm_op, cmd, (unsigned long)arg, 0);
}

static __always_inline int hypercall_gnttab(unsigned int cmd, void *arg,
					    unsigned int count)
{
	return hypercall(__HYPERVISOR_grant_table_op, cmd, (unsigned long)arg,
			 count);
}

static __always_inline int hypercall_vcpu(unsigned int cmd, u32 vcpu,
					  void *arg)
{
	return hypercall(__HYPERVISOR_vcpu_op, cmd, vcpu, (unsigned long)arg);
}

/* Below: hypercall.c */
bool hypercall_detect(void);
u32 hypercall_leaf(unsigned int offset);
int hypercall_init(void);
void hypercall_exit(void);
void hypercall_resume(void);
bool hypercall_feature(unsigned int nr);
u32 hypercall_features(unsigned int submap);
int hvm_param_set(u32 index, u64 value);

#endif /* PVHVM_HYPERCALL_H */
