/* SPDX-License-Identifier: GPL-2.0-only */
/* evtchn.h: event channels, between the files of pvhvm_platform. */
#ifndef PVHVM_EVTCHN_CORE_H
#define PVHVM_EVTCHN_CORE_H

#include "vcpu.h"

/**
 * struct evtchn_ops - one of the two ways Xen and a guest share event bits
 * @name: as sysfs and the parameter call it
 * @max_ports: ports are smaller than this
 * @init: take it into use; -EOPNOTSUPP when this Xen does not have it
 * @exit: leave the domain as a fresh one, or keep what Xen still uses
 * @resume: take it into use again in a new domain, every port closed; all CPUs
 *	stand still, interrupts off
 * @vcpu_prepare: make @v able to take events, may be called again after it
 *	was offline; process context, may sleep
 * @vcpu_release: free what prepare made; Xen uses it no more (or never will)
 * @port_prepare: make room for a port; process context, may sleep
 * @direct: @port now goes to @to instead of @from (either may be NULL)
 * @mask: keep Xen from notifying; @port becomes pending all the same
 * @unmask: undo; a pending event is delivered, if need be by Xen
 * @ack: clear pending
 * @raise: set pending and have it delivered, as if the peer had sent
 * @dispatch: hand every pending port of @v to evtchn_handle_port()
 *
 * From @direct down: any context, interrupts off, and the port's lock held
 * but for @ack and @dispatch.
 */
struct evtchn_ops {
	const char *name;
	unsigned int max_ports;
	int (*init)(void);
	void (*exit)(void);
	int (*resume)(void);
	int (*vcpu_prepare)(struct platform_vcpu *v);
	void (*vcpu_release)(struct platform_vcpu *v);
	int (*port_prepare)(evtchn_port_t port);
	void (*direct)(evtchn_port_t port, struct platform_vcpu *from,
		       struct platform_vcpu *to);
	void (*mask)(evtchn_port_t port);
	void (*unmask)(evtchn_port_t port);
	void (*ack)(evtchn_port_t port);
	void (*raise)(evtchn_port_t port);
	void (*dispatch)(struct platform_vcpu *v);
};

extern const struct evtchn_ops evtchn_2l_ops, evtchn_fifo_ops;

/* evtchn.c */
int evtchn_init(void);
void evtchn_exit(void);
void evtchn_abandon(void);
int evtchn_vcpu_prepare(struct platform_vcpu *v);
void evtchn_vcpu_release(struct platform_vcpu *v);
void evtchn_vcpu_up(struct platform_vcpu *v);
void evtchn_vcpu_down(struct platform_vcpu *v);
void evtchn_vcpu_drain(struct platform_vcpu *v);
void evtchn_upcall(struct platform_vcpu *v);
void evtchn_handle_port(evtchn_port_t port);
void evtchn_xen_unmask(evtchn_port_t port);
int evtchn_bind_virq(struct pvhvm_evtchn *ch, u32 virq,
		     struct platform_vcpu *v, irq_handler_t handler,
		     const char *name, void *data);
int evtchn_bind_ipi(struct pvhvm_evtchn *ch, struct platform_vcpu *v,
		    irq_handler_t handler, const char *name, void *data);
const char *evtchn_abi(void);
unsigned int evtchn_max(void);
unsigned int evtchn_used(void);

/* evtchn_storm.c */
unsigned int evtchn_rests(void);

/* evtchn_suspend.c */
int evtchn_suspend_prepare(void);
bool evtchn_is_quiet(void);
void evtchn_resume(void);

/* evtchn_reset.c */
int evtchn_reset_all(void);
bool evtchn_fifo_left_over(void);

/* evtchn_test.c */
int evtchn_test(void);

#endif /* PVHVM_EVTCHN_CORE_H */
