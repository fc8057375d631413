/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fifo_queue.h: taking events off a FIFO queue (xen/event_channel.h). Pure;
 * compiles in user space too, where Xen's half can be played by a test.
 *
 * A queue is a linked list through the event words of its ports, Xen appends
 * at the tail, we take from the head. A word without LINKED is in no queue.
 * Removing LINKED and reading the link is one step: before it Xen appends
 * behind this word, after it Xen starts the queue anew from the control block.
 */
#ifndef PVHVM_FIFO_QUEUE_H
#define PVHVM_FIFO_QUEUE_H

#include <pvhvm/abi.h>

#ifdef __KERNEL__
#include <linux/compiler.h>
#include <linux/atomic.h>
#define fifo_load(p)		READ_ONCE(*(p))
/* Locked on one CPU too: Xen is on the other side. */
#define fifo_cmpxchg(p, o, n)	sync_cmpxchg(p, o, n)
#else
#define fifo_load(p)		__atomic_load_n(p, __ATOMIC_ACQUIRE)
#define fifo_cmpxchg(p, o, n)	__sync_val_compare_and_swap(p, o, n)
#endif

#define FIFO_BIT(b)		((event_word_t)1 << EVTCHN_FIFO_##b)

/**
 * fifo_unlink() - take a word out of its queue
 * @word: of the port at the head
 *
 * Return: the port linked behind it, 0 for none.
 */
static inline evtchn_port_t fifo_unlink(event_word_t *word)
{
	event_word_t old = fifo_load(word), seen;

	for (;;) {
		seen = fifo_cmpxchg(word, old, old & ~(FIFO_BIT(LINKED) |
						       EVTCHN_FIFO_LINK_MASK));
		if (seen == old)
			return old & EVTCHN_FIFO_LINK_MASK;
		old = seen;
	}
}

/**
 * fifo_unmask() - let a port notify again
 * @word: the port's
 *
 * BUSY says that Xen is changing the link; it tries a bounded number of times
 * only, and counts on a masked word not being unmasked under it.
 * Return: true when done, false when an event is pending: then the word is
 * still masked, and Xen has to unmask it, because it must queue the event.
 */
static inline bool fifo_unmask(event_word_t *word)
{
	event_word_t old = fifo_load(word), seen;

	for (;;) {
		if (!(old & FIFO_BIT(MASKED)))
			return true;
		if (old & FIFO_BIT(PENDING))
			return false;
		old &= ~FIFO_BIT(BUSY);
		seen = fifo_cmpxchg(word, old, old & ~FIFO_BIT(MASKED));
		if (seen == old)
			return true;
		old = seen;
	}
}

/**
 * fifo_pop() - take the first port off a queue
 * @head: our place in the queue; 0: it was empty last time
 * @start: where Xen puts the first port of a queue that was empty
 * @word_of: gives a port's word, NULL for one that cannot be
 * @word: where the port's word goes
 *
 * To be called when Xen has said that the queue is ready, and again until it
 * leaves @head 0.
 * Return: the port, 0 for none (the queue was empty, or a link was nonsense;
 * both leave @head 0).
 */
static inline evtchn_port_t
fifo_pop(evtchn_port_t *head, uint32_t *start,
	 event_word_t *(*word_of)(evtchn_port_t), event_word_t **word)
{
	evtchn_port_t port = *head ? *head : fifo_load(start);

	*head = 0;
	*word = port ? word_of(port) : NULL;
	if (!*word)
		return 0;
	*head = fifo_unlink(*word);
	return port;
}

#endif /* PVHVM_FIFO_QUEUE_H */
