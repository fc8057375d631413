// SPDX-License-Identifier: GPL-2.0-only
/*
 * evtchn_storm.c: a peer that sends events for nothing gets less of us.
 *
 * Whoever owns a channel says when its events brought work
 * (pvhvm_evtchn_useful()). After a few in a row that did not, the port rests
 * after each further one: it stays masked for a while, and what is sent
 * meanwhile is one event. An honest peer has a response to show for nearly
 * every event, so it never comes to this; should it, an event is late by that
 * while, none is lost.
 */
#include "platform.h"

#include <linux/interrupt.h>
#include <linux/jiffies.h>
#include <linux/timer.h>

#include "evtchn.h"
#include "evtchn_port.h"

/* Events without work in a row that are nothing unusual. */
#define FEW_EVENTS	8
/* At most fifty events a second then. */
#define REST_MS		20

static atomic_t nr_rests = ATOMIC_INIT(0);

/**
 * evtchn_rests() - how often a port had to rest since the module was loaded
 */
unsigned int evtchn_rests(void)
{
	return atomic_read(&nr_rests);
}

static void rest_over(struct timer_list *t)
{
	struct evtchn_port *p = container_of(t, struct evtchn_port, rest);
	unsigned long flags;

	raw_spin_lock_irqsave(&p->lock, flags);
	p->resting = false;
	if (!p->dead && !p->masked)
		evtchn_books.ops->unmask(p->port);
	raw_spin_unlock_irqrestore(&p->lock, flags);
}

static void begin_rest(struct evtchn_port *p)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&p->lock, flags);
	if (!p->dead && !p->resting) {
		p->resting = true;
		evtchn_books.ops->mask(p->port);
		mod_timer(&p->rest, jiffies + msecs_to_jiffies(REST_MS));
		atomic_inc(&nr_rests);
	}
	raw_spin_unlock_irqrestore(&p->lock, flags);
}

/**
 * evtchn_storm_watch() - from now on count the events of a port
 * @p: a port whose interrupt has no handler yet
 * @ch: its owner's side
 */
void evtchn_storm_watch(struct evtchn_port *p, struct pvhvm_evtchn *ch)
{
	ch->idle = 0;
	WRITE_ONCE(p->ch, ch);
}

/**
 * evtchn_storm_event() - an event of this port was handled
 * @p: any port; one that is not watched is a no-op
 *
 * Context: hard interrupt, interrupts off; RCU keeps @p.
 */
void evtchn_storm_event(struct evtchn_port *p)
{
	struct pvhvm_evtchn *ch = READ_ONCE(p->ch);
	unsigned int idle;

	if (!ch)
		return;
	/* Approximate: whoever resets it may do so just now. */
	idle = READ_ONCE(ch->idle) + 1;
	WRITE_ONCE(ch->idle, idle);
	if (likely(idle <= FEW_EVENTS))
		return;
	if (!p->told) {
		p->told = true;
		pr_notice("port %u (interrupt %u) brings events but no work, its peer gets less of our time\n",
			  p->port, p->irq);
	}
	begin_rest(p);
}

void evtchn_storm_init(struct evtchn_port *p)
{
	timer_setup(&p->rest, rest_over, 0);
}

/**
 * evtchn_storm_end() - no rest ends after this
 * @p: a port that no event can be handled of any more
 *
 * Context: process; may sleep.
 */
void evtchn_storm_end(struct evtchn_port *p)
{
	timer_delete_sync(&p->rest);
}
