/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * evtchn_port.h: the books of open ports: evtchn.c keeps them, evtchn_irq.c
 * directs them, and evtchn_suspend.c closes them after a resume.
 */
#ifndef PVHVM_EVTCHN_PORT_H
#define PVHVM_EVTCHN_PORT_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/xarray.h>

#include "evtchn.h"

/**
 * struct evtchn_port - one open port
 * @port: Xen's number
 * @irq: Linux's number
 * @lock: protects the members below it, up to @dead
 * @target: the vCPU Xen notifies; NULL once @dead
 * @masked: as the interrupt layer wants it
 * @resting: kept masked besides, see evtchn_storm.c
 * @home: CPU to go to when it comes (back) online, VCPU_NO_CPU for none
 * @fixed: Xen has bound it to @target for good
 * @hint: @home was asked for by pvhvm_evtchn_set_cpu() while offline
 * @dead: of before a resume: Xen knows it no more, its number may be another
 *	port's; set while all CPUs stand still
 * @rest: ends it
 * @ch: its owner's side, whose events are counted; NULL for none
 * @told: said once that there are too many for nothing; dispatch only
 * @list: all ports, under the books' lock
 */
struct evtchn_port {
	evtchn_port_t port;
	unsigned int irq;
	raw_spinlock_t lock;
	struct platform_vcpu *target;
	bool masked;
	bool resting;
	unsigned int home;
	bool fixed;
	bool hint;
	bool dead;
	struct timer_list rest;
	struct pvhvm_evtchn *ch;
	bool told;
	struct list_head list;
};

/**
 * struct evtchn_books - all ports
 * @lock: protects @ports and the opening and closing of them; a suspend waits
 *	until nobody holds it
 * @ports: of struct evtchn_port
 * @by_number: for dispatch, under RCU; a dead one stays until it is closed or
 *	another one gets its number
 * @ops: the ABI in use; changes while all CPUs stand still
 * @epoch: resumes so far. Interrupts of dead ports exist until their owners
 *	close them, when a new port may have the number already: so it is part
 *	of the number under which the irq domain knows a port
 */
struct evtchn_books {
	struct mutex lock;	/* see above */
	struct list_head ports;
	struct xarray by_number;
	const struct evtchn_ops *ops;
	unsigned int epoch;
};

extern struct evtchn_books evtchn_books;

/* evtchn_irq.c */
int evtchn_irq_init(void);
void evtchn_irq_exit(void);
int evtchn_irq_create(struct evtchn_port *p, struct platform_vcpu *fixed);
void evtchn_irq_destroy(struct evtchn_port *p);
void evtchn_irq_retrigger(struct evtchn_port *p);

/* evtchn_storm.c */
void evtchn_storm_init(struct evtchn_port *p);
void evtchn_storm_watch(struct evtchn_port *p, struct pvhvm_evtchn *ch);
void evtchn_storm_event(struct evtchn_port *p);
void evtchn_storm_end(struct evtchn_port *p);

#endif /* PVHVM_EVTCHN_PORT_H */
