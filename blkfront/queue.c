// SPDX-License-Identifier: GPL-2.0-only
/*
 * queue.c: one ring's memory, grants and channel; all rings up and down.
 */
#include "blkfront.h"

#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/slab.h>

/* ---- interrupt ---- */

/* Send the interrupt to where it is wanted next time. */
static void queue_follow(struct blkf_queue *q, unsigned int chain)
{
	unsigned int in_flight = READ_ONCE(q->ring.req_prod_pvt) -
				 q->ring.rsp_cons;
	int cpu = blkf_follow_look(&q->follow, raw_smp_processor_id(),
				   q->shadow[chain].cpu, in_flight);

	if (cpu != BLKF_FOLLOW_STAY)
		q->stats.moves += pvhvm_evtchn_move(&q->ch, cpu);
}

/* A little at once; what is more is the thread's. Until then no event comes. */
static irqreturn_t queue_interrupt(int irq, void *data)
{
	struct blkf_queue *q = data;
	unsigned int chain;
	bool rest;

	/* a polled request must not end in here */
	if (q->polled)
		return IRQ_HANDLED;
	spin_lock(&q->reap_lock);
	q->stats.interrupts++;
	if (q->relays) {
		q->stats.deferred++;
		spin_unlock(&q->reap_lock);
		return IRQ_WAKE_THREAD;
	}
	chain = blkf_request_reap(q, BLKF_REAP_SOME, &rest);
	q->stats.deferred += rest;
	if (q->follows && chain != BLKF_NONE)
		queue_follow(q, chain);
	spin_unlock(&q->reap_lock);
	blkf_request_complete(q, chain);
	return rest ? IRQ_WAKE_THREAD : IRQ_HANDLED;
}

static irqreturn_t queue_thread(int irq, void *data)
{
	struct blkf_queue *q = data;
	unsigned int chain;
	bool rest;

	do {
		spin_lock_irq(&q->reap_lock);
		chain = blkf_request_reap(q, BLKF_REAP_SOME, &rest);
		spin_unlock_irq(&q->reap_lock);
		blkf_request_complete(q, chain);
		cond_resched();
	} while (rest);
	return IRQ_HANDLED;
}

void blkf_queue_breach(struct blkf_queue *q, const char *why)
{
	struct blkf_dev *dev = q->dev;

	pvhvm_quarantine(dev->pdev, why);
	WRITE_ONCE(dev->live, false);
	blkf_dev_queue_work(dev, &dev->fail_work);
}

/* ---- one queue up ---- */

static int queue_alloc_ring(struct blkf_queue *q)
{
	unsigned int pages = 1u << q->dev->ring_order;
	int err = pvhvm_ring_alloc(q->dev->pdev, &q->mem, pages);

	if (err)
		return err;
	XEN_FRONT_RING_INIT(&q->ring, (struct blkif_sring *)q->mem.addr,
			    pages * PAGE_SIZE);
	if (q->polled)
		q->ring.sring->rsp_event = BLKF_EVENT_FAR;
	q->unsent = 0;
	return 0;
}

static int queue_alloc_shadow(struct blkf_queue *q)
{
	unsigned int i;

	q->shadow = kvcalloc(q->depth, sizeof(*q->shadow), GFP_KERNEL);
	q->pages = kvcalloc(q->depth * q->max_segs, sizeof(*q->pages),
			    GFP_KERNEL);
	if (!q->shadow || !q->pages)
		return -ENOMEM;
	for (i = 0; i < q->depth; i++) {
		q->shadow[i].page = q->pages + i * q->max_segs;
		q->shadow[i].id = i;
	}
	return 0;
}

static unsigned int queue_nr_indirect(const struct blkf_queue *q)
{
	return q->max_segs > BLKF_SEGS_DIRECT ? q->depth : 0;
}

/* When the table is nearly full, be content with less; one request must fit. */
static int queue_reserve_grants(struct blkf_queue *q)
{
	unsigned int data = min(q->depth * q->max_segs, blkf_param_grants());
	int err;

	data = max(data, q->max_segs);
	for (;;) {
		err = pvhvm_grants_reserve(&q->grants,
					   data + queue_nr_indirect(q));
		if (err != -ENOSPC || data == q->max_segs)
			break;
		data = max(data / 2, q->max_segs);
	}
	if (err == -ENOSPC)
		dev_err(&q->dev->pdev->dev,
			"the grant table is full: give the guest more (max_grant_frames), or use fewer rings (max_queues)\n");
	return err;
}

static int queue_lend_indirect(struct blkf_queue *q)
{
	/* who keeps pages mapped maps them all writable */
	bool readonly = !blkf_param_persistent();
	unsigned int i;
	int err;

	for (i = 0; i < queue_nr_indirect(q); i++) {
		err = blkf_page_lend(q, &q->shadow[i].indirect, readonly,
				     GFP_KERNEL);
		if (err)
			return err;
	}
	return 0;
}

static int queue_open_channel(struct blkf_queue *q)
{
	struct pvhvm_device *pdev = q->dev->pdev;

	snprintf(q->name, sizeof(q->name), "vbd%u-q%u", pdev->id, q->index);
	return pvhvm_evtchn_open_threaded(&q->ch, pdev->otherend_id,
					  queue_interrupt, queue_thread,
					  q->name, q);
}

static int queue_up(struct blkf_queue *q)
{
	struct blkf_dev *dev = q->dev;
	int err;

	q->max_segs = dev->max_segs;
	q->handle = dev->pdev->id;
	q->peer = dev->pdev->otherend_id;
	q->bounce = false;
	q->polled = q->index >= dev->nr_queues - dev->nr_poll;
	q->relays = dev->nr_poll_lanes && !dev->nr_poll;
	q->starved = false;
	q->deaf = false;
	q->up = true;

	err = blkf_step("ring") ?: queue_alloc_ring(q);
	if (!err)
		err = blkf_step("shadow") ?: queue_alloc_shadow(q);
	if (!err)
		err = blkf_step("grants") ?: queue_reserve_grants(q);
	if (!err)
		err = blkf_step("indirect pages") ?: queue_lend_indirect(q);
	if (!err)
		err = blkf_step("event channel") ?: queue_open_channel(q);
	return err;
}

/* ---- one queue down ---- */

/* The backend had its chance; these pages are wanted back. */
static void queue_take_back(struct blkf_queue *q, struct blkf_shadow *sh)
{
	while (!q->bounce && sh->nr) {
		struct blkf_page *p = &sh->page[--sh->nr];

		if (pvhvm_grant_end(p->ref)) {
			pvhvm_grant_put(&q->grants, p->ref);
		} else {
			/*
			 * The request's owner has no say over its page now.
			 * One of the slab's may have no count to take part in.
			 */
			struct page *head = compound_head(p->page);

			pvhvm_grant_park(&q->grants, p->ref,
					 get_page_unless_zero(head) ?
					 head : NULL);
		}
	}
	while (sh->nr)
		blkf_page_return(q, &sh->page[--sh->nr]);
}

static void queue_drop_requests(struct blkf_queue *q, enum blkf_down how)
{
	unsigned int i;

	for (i = 0; q->shadow && i < q->depth; i++) {
		struct blkf_shadow *sh = &q->shadow[i];
		struct request *rq = sh->rq;

		if (sh->state != BLKF_REQ_SENT)
			continue;
		spin_lock_irq(&q->grant_lock);
		queue_take_back(q, sh);
		spin_unlock_irq(&q->grant_lock);
		sh->state = BLKF_REQ_FREE;
		sh->rq = NULL;
		if (how == BLKF_DOWN_KEEP)
			blk_mq_requeue_request(rq, false);
		else
			blk_mq_end_request(rq, BLK_STS_IOERR);
	}
}

static void queue_free(struct blkf_queue *q)
{
	unsigned int i;

	blkf_pool_free(q);
	for (i = 0; q->shadow && i < q->depth; i++)
		blkf_page_return(q, &q->shadow[i].indirect);
	pvhvm_grants_release(&q->grants);
	kvfree(q->pages);
	q->pages = NULL;
	kvfree(q->shadow);
	q->shadow = NULL;
	pvhvm_ring_free(&q->mem);
	q->up = false;
}

/* ---- all queues ---- */

/* Which hardware queue uses which ring, and what numbers are its there. */
static void queues_share(struct blkf_dev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->nr_queues; i++)
		dev->queue[i].depth = 0;
	for (i = 0; i < dev->nr_lanes; i++) {
		unsigned int ring = blkf_ring_of(i, dev->nr_lanes,
						 dev->nr_poll_lanes,
						 dev->nr_queues, dev->nr_poll);
		struct blkf_queue *q = &dev->queue[ring];

		WRITE_ONCE(dev->lane[i].q, q);
		dev->lane[i].base = q->depth;
		q->depth += dev->depth;
	}
}

int blkf_queues_up(struct blkf_dev *dev)
{
	unsigned int i;
	int err = 0;

	mutex_lock(&dev->queues_mutex);
	queues_share(dev);
	for (i = 0; i < dev->nr_queues && !err; i++)
		err = queue_up(&dev->queue[i]);
	mutex_unlock(&dev->queues_mutex);
	return err;
}

int blkf_queues_bounce(struct blkf_dev *dev)
{
	unsigned int i;
	int err = 0;

	mutex_lock(&dev->queues_mutex);
	for (i = 0; i < dev->nr_queues && dev->bounce && !err; i++) {
		struct blkf_queue *q = &dev->queue[i];

		/* a backend in a hurry to fail has taken it down again */
		err = q->up ? blkf_step("pool") ?: blkf_pool_init(q) : -EIO;
		q->bounce = !err;
	}
	mutex_unlock(&dev->queues_mutex);
	return err;
}

unsigned int blkf_queues_grants(struct blkf_dev *dev)
{
	unsigned int i, sum = 0;

	mutex_lock(&dev->queues_mutex);
	for (i = 0; i < dev->nr_queues; i++) {
		struct blkf_queue *q = &dev->queue[i];

		spin_lock_irq(&q->grant_lock);
		sum += q->mem.nr_pages + q->grants.size - q->grants.nr_free;
		spin_unlock_irq(&q->grant_lock);
	}
	mutex_unlock(&dev->queues_mutex);
	return sum;
}

/* The only ring for all CPUs goes where it is wanted, each of several stays. */
static void queue_settle(struct blkf_queue *q, unsigned int cpu)
{
	bool only = q->dev->nr_queues - q->dev->nr_poll == 1;

	spin_lock_irq(&q->reap_lock);
	blkf_follow_init(&q->follow, cpu);
	q->follows = only && blkf_param_follow();
	spin_unlock_irq(&q->reap_lock);
	if (q->follows)
		pvhvm_evtchn_move(&q->ch, cpu);
	else
		pvhvm_evtchn_set_cpu(&q->ch, cpu);
}

void blkf_queues_spread(struct blkf_dev *dev)
{
	const unsigned int *map = dev->tag_set.map[HCTX_TYPE_DEFAULT].mq_map;
	unsigned int i, cpu;

	mutex_lock(&dev->queues_mutex);
	for (i = 0; i < dev->nr_queues; i++) {
		if (!dev->queue[i].up)
			continue;
		for_each_online_cpu(cpu) {
			if (dev->lane[map[cpu]].q == &dev->queue[i]) {
				queue_settle(&dev->queue[i], cpu);
				break;
			}
		}
	}
	mutex_unlock(&dev->queues_mutex);
}

/*
 * Until 5.15 the block layer does not count: whoever changes the scheduler
 * stops the queue and lets it go, and what we had stopped goes, too.
 */
static void queues_quiesce_locked(struct blkf_dev *dev)
{
	if (!dev->disk || dev->deleted)
		return;
	if (dev->quiesced && blk_queue_quiesced(dev->disk->queue))
		return;
	blk_mq_quiesce_queue(dev->disk->queue);
	dev->quiesced = true;
}

static void queues_unquiesce_locked(struct blkf_dev *dev)
{
	if (!dev->quiesced)
		return;
	dev->quiesced = false;
	if (!dev->disk || dev->deleted)
		return;
	blk_mq_unquiesce_queue(dev->disk->queue);
	blk_mq_kick_requeue_list(dev->disk->queue);
}

void blkf_queues_start(struct blkf_dev *dev)
{
	mutex_lock(&dev->queues_mutex);
	/* pairs with request_queue(): who sees it live sees its rings */
	smp_store_release(&dev->live, !dev->pdev->quarantined);
	queues_unquiesce_locked(dev);
	mutex_unlock(&dev->queues_mutex);
}

/* Take what has been answered; from now on nothing more if @deaf. */
static void queue_listen(struct blkf_queue *q, bool deaf)
{
	unsigned int chain;
	bool rest;

	/* also waits for whoever polls */
	spin_lock_irq(&q->reap_lock);
	if (!deaf)
		q->deaf = false;
	chain = blkf_request_reap(q, BLKF_REAP_ALL, &rest);
	q->deaf = deaf;
	spin_unlock_irq(&q->reap_lock);
	blkf_request_complete(q, chain);
}

/* What was answered before the channel was closed counts. */
static void queue_silence(struct blkf_queue *q)
{
	pvhvm_evtchn_close(&q->ch, q);
	if (q->shadow)
		queue_listen(q, true);
	/* of a batch whose end was kept back: not to be pushed any more */
	spin_lock(&q->send_lock);
	WRITE_ONCE(q->unsent, 0);
	spin_unlock(&q->send_lock);
}

/*
 * Until whoever completes an answered request is done with its shadow and its
 * pages: another CPU, the softirq, or who polls, outside of any lock. Nothing
 * is answered any more, so it ends. Not the block layer's own such wait: for
 * that a write is complete only when the flush behind it is, and none is sent
 * while it is quiesced.
 */
static void queue_await_completed(struct blkf_queue *q)
{
	unsigned int i;

	for (i = 0; q->shadow && i < q->depth; i++)
		/* pairs with request_complete() */
		while (smp_load_acquire(&q->shadow[i].state) == BLKF_REQ_DONE)
			usleep_range(1000, 2000);
}

/*
 * From here on no answer is believed. A migration copies what the backend writes
 * into pages that it keeps mapped only as far as it notices, but the ring, which
 * we write to, again and again: an answer may arrive there without its data. What
 * was answered before is copied out; the rest is asked for again.
 */
void blkf_queues_pause(struct blkf_dev *dev)
{
	unsigned int i;

	mutex_lock(&dev->queues_mutex);
	if (READ_ONCE(dev->live))
		queues_quiesce_locked(dev);
	for (i = 0; i < dev->nr_queues_max; i++) {
		struct blkf_queue *q = &dev->queue[i];

		if (!q->up || !q->shadow)
			continue;
		queue_listen(q, true);
		queue_await_completed(q);
	}
	mutex_unlock(&dev->queues_mutex);
}

void blkf_queues_unpause(struct blkf_dev *dev)
{
	unsigned int i;

	mutex_lock(&dev->queues_mutex);
	for (i = 0; i < dev->nr_queues_max; i++) {
		struct blkf_queue *q = &dev->queue[i];

		/* what came meanwhile brought its event in vain */
		if (q->up && q->shadow)
			queue_listen(q, false);
	}
	/* whoever takes it down meanwhile lets it go on, or not */
	if (READ_ONCE(dev->live))
		queues_unquiesce_locked(dev);
	mutex_unlock(&dev->queues_mutex);
}

/*
 * In this order: nothing goes in (quiesce), nothing comes out (the channels),
 * what came out is completed and has let go of pool pages; then what is left
 * is the backend's, and then nothing is.
 */
void blkf_queues_down(struct blkf_dev *dev, enum blkf_down how)
{
	unsigned int i;

	mutex_lock(&dev->queues_mutex);
	WRITE_ONCE(dev->kept, how == BLKF_DOWN_KEEP);
	smp_wmb(); /* pairs with request_refuse() */
	WRITE_ONCE(dev->live, false);
	blkf_identity_twin(dev, false);
	queues_quiesce_locked(dev);
	for (i = 0; i < dev->nr_queues_max; i++)
		if (dev->queue[i].up)
			queue_silence(&dev->queue[i]);
	for (i = 0; i < dev->nr_queues_max; i++) {
		if (!dev->queue[i].up)
			continue;
		queue_await_completed(&dev->queue[i]);
		queue_drop_requests(&dev->queue[i], how);
		queue_free(&dev->queue[i]);
	}
	if (how == BLKF_DOWN_FAIL) {
		queues_unquiesce_locked(dev);
		blkf_oversize_fail(dev);
	}
	mutex_unlock(&dev->queues_mutex);
}
