/* SPDX-License-Identifier: GPL-2.0-only */
/* vcpu.h: what is known of each of the guest's CPUs. */
#ifndef PVHVM_VCPU_H
#define PVHVM_VCPU_H

#include <linux/bitmap.h>
#include <linux/percpu.h>

#include "platform.h"

/* No Linux CPU in particular. */
#define VCPU_NO_CPU	UINT_MAX

struct fifo_vcpu;

/**
 * struct platform_vcpu - one target of events
 * @info: Xen's block for it, or NULL
 * @known: @id is; the CPU has been up once
 * @id: Xen's number; Linux's may differ
 * @cpu: Linux's number, or VCPU_NO_CPU
 * @live: takes events; changed in CPU hotplug callbacks only
 * @ports: how many ports are directed here, under the ports' locks
 * @upcall_irq: interrupt of its upcall vector, 0 if none
 * @upcall_name: that interrupt's name
 * @fifo: its queues, when the FIFO ABI is in use
 * @scan: the port after the last one handled (2-level, its dispatch only)
 * @mine: ports directed here (2-level), one bit each
 */
struct platform_vcpu {
	struct vcpu_info *info;
	bool known;
	u32 id;
	unsigned int cpu;
	bool live;
	atomic_t ports;
	unsigned int upcall_irq;
	char upcall_name[24];
	struct fifo_vcpu *fifo;
	unsigned int scan;
	unsigned long *mine;
};

/* The CPU's entry, whether it is up or not. */
struct platform_vcpu *vcpu_of(unsigned int cpu);

int vcpu_init(void);
void vcpu_exit(void);
u32 vcpu_read_id(void);
struct platform_vcpu *vcpu_zero(void);
unsigned int vcpu_first(void);
void vcpu_resume(void);
void vcpu_resume_self(void);

/* vcpu_info.c */
void vcpu_info_init(void);
void vcpu_info_abandon(void);
int vcpu_info_place(struct platform_vcpu *v);
bool vcpu_info_is_beyond(const struct platform_vcpu *v);
bool vcpu_info_any_beyond(void);
int vcpu_info_tell(const struct platform_vcpu *v);

/*
 * Nothing is pending. Both: Xen raises the upcall with a word's first bit only,
 * so one that stays in the selector would make its 64 ports mute (2-level).
 */
static inline void vcpu_info_clear(struct vcpu_info *info)
{
	WRITE_ONCE(info->evtchn_pending_sel, 0);
	WRITE_ONCE(info->evtchn_upcall_pending, 0);
}

#endif /* PVHVM_VCPU_H */
