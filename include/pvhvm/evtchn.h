/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * evtchn.h: event channels as Linux interrupts. Offered by pvhvm_platform.
 *
 * Each open channel is one interrupt of the bundle's own irq domain: it shows
 * in /proc/interrupts under its name, can be moved by irqbalance, and is
 * handled in hard interrupt context on the CPU it is bound to; in a thread
 * where the kernel makes threads of interrupts (PREEMPT_RT, threadirqs). Xen's
 * side is xen/event_channel.h; whether the 2-level or the FIFO ABI is in use is
 * hidden here.
 */
#ifndef PVHVM_EVTCHN_H
#define PVHVM_EVTCHN_H

#include <linux/interrupt.h>
#include <linux/types.h>

#include <pvhvm/abi.h>

/**
 * struct pvhvm_evtchn - one open event channel
 * @port: Xen's port number; 0 when not open
 * @irq: the Linux interrupt; 0 when not open
 * @idle: events since the last useful one, see pvhvm_evtchn_useful()
 * @keep: the port belongs to the toolstack and outlives us; closing this
 *        structure frees the interrupt and masks the port, no more
 *
 * A zeroed structure is a closed channel. Owned by the caller; open and close
 * of one structure must not run at the same time.
 */
struct pvhvm_evtchn {
	evtchn_port_t port;
	int irq;
	unsigned int idle;
	bool keep;
};

/**
 * pvhvm_evtchn_open_threaded() - allocate an unbound port for a peer, handle it
 * @ch: a closed channel; filled on success, untouched on failure
 * @remote: the domain that may bind the other end
 * @handler: called in hard interrupt context, or in a thread as told above;
 *           edge semantics: an event that arrives while the handler runs makes
 *           it run again
 * @thread: called in a thread of its own when @handler returns
 *          IRQ_WAKE_THREAD, and may run beside @handler; or NULL
 * @name: shown in /proc/interrupts; must live as long as the channel
 * @data: handed to @handler, not NULL
 *
 * The interrupt is enabled on return.
 * Context: process; may sleep.
 * Return: 0 or negative errno (-ENOSPC: out of ports or interrupts).
 */
int pvhvm_evtchn_open_threaded(struct pvhvm_evtchn *ch, domid_t remote,
			       irq_handler_t handler, irq_handler_t thread,
			       const char *name, void *data);

/* The same without a thread. */
static inline int pvhvm_evtchn_open(struct pvhvm_evtchn *ch, domid_t remote,
				    irq_handler_t handler, const char *name,
				    void *data)
{
	return pvhvm_evtchn_open_threaded(ch, remote, handler, NULL, name,
					  data);
}

/**
 * pvhvm_evtchn_attach() - handle a port that the toolstack has allocated
 * @ch: a closed channel
 * @port: the port, as told by an HVM parameter
 * @handler: as for pvhvm_evtchn_open()
 * @name: as for pvhvm_evtchn_open()
 * @data: as for pvhvm_evtchn_open()
 *
 * As pvhvm_evtchn_open(), but the port is kept (@ch->keep) when closed.
 */
int pvhvm_evtchn_attach(struct pvhvm_evtchn *ch, evtchn_port_t port,
			irq_handler_t handler, const char *name, void *data);

/**
 * pvhvm_evtchn_close() - free the interrupt, close the port
 * @ch: open or closed; closed is a no-op
 * @data: as given to open
 *
 * On return neither handler nor thread is running, and will not run again.
 * Context: process; may sleep (waits for a running handler).
 */
void pvhvm_evtchn_close(struct pvhvm_evtchn *ch, void *data);

/**
 * pvhvm_evtchn_notify() - ring the doorbell: send an event to the peer
 * @ch: an open channel
 *
 * Context: any; one hypercall (EVTCHNOP_send), does not sleep.
 */
void pvhvm_evtchn_notify(const struct pvhvm_evtchn *ch);

/**
 * pvhvm_evtchn_useful() - an event brought work, or work was found without one
 * @ch: an open channel
 *
 * To be called whenever something of the peer's was taken from what the channel
 * is the doorbell of. A channel whose events bring nothing for long is looked
 * at fifty times a second only.
 * Context: any.
 */
static inline void pvhvm_evtchn_useful(struct pvhvm_evtchn *ch)
{
	if (READ_ONCE(ch->idle))
		WRITE_ONCE(ch->idle, 0);
}

/**
 * pvhvm_evtchn_move() - send this channel's events to a CPU
 * @ch: an open channel
 * @cpu: a CPU; without effect if it is offline or not among those that the
 *	interrupt's affinity allows
 *
 * Leaves the affinity as it is: the user's word counts. Costs one hypercall
 * (EVTCHNOP_bind_vcpu) if it changes anything. Context: any.
 * Return: do they come to @cpu from now on?
 */
bool pvhvm_evtchn_move(struct pvhvm_evtchn *ch, unsigned int cpu);

/**
 * pvhvm_evtchn_set_cpu() - prefer a CPU for this channel
 * @ch: an open channel
 * @cpu: a CPU; one that is offline is left for later without an error
 *
 * Moves the channel (EVTCHNOP_bind_vcpu) and leaves the hint for irqbalance.
 * Context: process; may sleep.
 */
void pvhvm_evtchn_set_cpu(struct pvhvm_evtchn *ch, unsigned int cpu);

#endif /* PVHVM_EVTCHN_H */
