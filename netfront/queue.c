// SPDX-License-Identifier: GPL-2.0-only
/*
 * queue.c: what one queue consists of, and its NAPI.
 */
#include "netfront.h"

#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <net/page_pool/helpers.h>

/* Patience with a backend that still uses our pages: 100 times 10 ms. */
#define REVOKE_TRIES	100
#define REVOKE_PAUSE_MS	10

/* ---- events and polling ---- */

static irqreturn_t queue_tx_event(int irq, void *data)
{
	struct netf_queue *q = data;

	u64_stats_inc(&q->stats->tx_events);
	napi_schedule_irqoff(&q->napi);
	return IRQ_HANDLED;
}

static irqreturn_t queue_rx_event(int irq, void *data)
{
	struct netf_queue *q = data;

	u64_stats_inc(&q->stats->rx_events);
	napi_schedule_irqoff(&q->napi);
	return IRQ_HANDLED;
}

static void queue_refill_timer(struct timer_list *t)
{
	struct netf_queue *q = container_of(t, struct netf_queue, rx.refill);

	napi_schedule(&q->napi);
}

/* Few packets came, fewer than raise an event: look at them now. */
static enum hrtimer_restart queue_moderate_timer(struct hrtimer *t)
{
	struct netf_queue *q = container_of(t, struct netf_queue, rx.moderate);

	napi_schedule(&q->napi);
	return HRTIMER_NORESTART;
}

/* Senders that ran inside the poll have left the doorbell to us. */
static void queue_flush_deferred(struct netf_queue *q)
{
	/*
	 * Only senders on this CPU leave theirs to us, and they look at this
	 * the other way round, see tx_defer(): its own order is enough.
	 */
	WRITE_ONCE(q->polling, -1);
	barrier();
	if (!READ_ONCE(q->tx.deferred))
		return;
	__netif_tx_lock(q->tx.txq, smp_processor_id());
	if (!READ_ONCE(q->nd->broken))
		netf_tx_flush(q);
	__netif_tx_unlock(q->tx.txq);
}

static int queue_poll(struct napi_struct *napi, int budget)
{
	struct netf_queue *q = container_of(napi, struct netf_queue, napi);
	RING_IDX rx_event;
	int work = 0;
	bool again;

	if (unlikely(READ_ONCE(q->nd->broken))) {
		if (budget)
			napi_complete_done(napi, 0);
		return 0;
	}
	u64_stats_inc(&q->stats->polls);
	netf_tx_reap(q, budget);
	/* Without a budget we are netpoll's, which wants the sender served. */
	if (!budget)
		return 0;

	WRITE_ONCE(q->polling, smp_processor_id());
	work = netf_rx_poll(q, budget);
	netf_xdp_flush(q);
	if (work < budget && napi_complete_done(napi, work) &&
	    likely(!READ_ONCE(q->nd->broken))) {
		rx_event = netf_rx_arm(q, work);
		/* Its barrier is for both rings: they are looked at after. */
		again = netf_tx_arm(q);
		if (again || netf_rx_came(q, rx_event))
			napi_schedule(napi);
	}
	queue_flush_deferred(q);
	return work;
}

/* ---- building ---- */

static int queue_rings(struct netf_queue *q)
{
	struct pvhvm_device *pdev = q->nd->pdev;
	struct netif_tx_sring *txs;
	struct netif_rx_sring *rxs;
	int err;

	if (netf_fail_step(q->nd, "transmit ring"))
		return -ENOMEM;
	err = pvhvm_ring_alloc(pdev, &q->tx.ring, 1);
	if (err)
		return err;
	txs = q->tx.ring.addr;
	SHARED_RING_INIT(txs);
	q->tx.sring = txs;

	if (netf_fail_step(q->nd, "receive ring"))
		return -ENOMEM;
	err = pvhvm_ring_alloc(pdev, &q->rx.ring, 1);
	if (err)
		return err;
	rxs = q->rx.ring.addr;
	SHARED_RING_INIT(rxs);
	q->rx.sring = rxs;
	return 0;
}

static int queue_slots(struct netf_queue *q)
{
	struct netf_tx *tx = &q->tx;
	struct netf_rx *rx = &q->rx;
	unsigned int i;
	int err;

	if (netf_fail_step(q->nd, "slots"))
		return -ENOMEM;
	tx->slot = kvcalloc(NETF_TX_SIZE, sizeof(*tx->slot), GFP_KERNEL);
	rx->slot = kvcalloc(NETF_RX_SIZE, sizeof(*rx->slot), GFP_KERNEL);
	tx->id_ring = kcalloc(NETF_TX_SIZE, sizeof(*tx->id_ring), GFP_KERNEL);
	if (!tx->slot || !rx->slot || !tx->id_ring)
		return -ENOMEM;

	if (netf_fail_step(q->nd, "transmit grants"))
		return -ENOMEM;
	err = pvhvm_grants_reserve(&tx->grants, NETF_TX_SIZE + NETF_CELL_PAGES);
	if (err)
		return err;
	if (netf_fail_step(q->nd, "receive grants"))
		return -ENOMEM;
	err = pvhvm_grants_reserve(&rx->grants, NETF_RX_SIZE);
	if (err)
		return err;

	for (i = 0; i < NETF_TX_SIZE; i++) {
		tx->slot[i].ref = pvhvm_grant_take(&tx->grants);
		tx->id_ring[i] = i;
	}
	tx->id_tail = NETF_TX_SIZE;
	for (i = 0; i < NETF_RX_SIZE; i++)
		rx->slot[i].ref = pvhvm_grant_take(&rx->grants);
	return 0;
}

static int queue_cells(struct netf_queue *q)
{
	struct netf_tx *tx = &q->tx;
	unsigned int i;

	if (netf_fail_step(q->nd, "cells"))
		return -ENOMEM;
	for (i = 0; i < NETF_CELL_PAGES; i++) {
		/* Zeroed: the backend sees the whole page from now on. */
		tx->cell[i] = (void *)get_zeroed_page(GFP_KERNEL);
		if (!tx->cell[i])
			return -ENOMEM;
		tx->cell_ref[i] = pvhvm_grant_take(&tx->grants);
		pvhvm_grant_access(tx->cell_ref[i], tx->peer,
				   page_to_pfn(virt_to_page(tx->cell[i])),
				   true);
	}
	return 0;
}

static int queue_pool(struct netf_queue *q)
{
	struct page_pool_params params = {
		.pool_size = NETF_RX_SIZE,
		.nid = NUMA_NO_NODE,
		.dev = &q->nd->pdev->dev,
	};
	struct page_pool *pool;

	if (netf_fail_step(q->nd, "page pool"))
		return -ENOMEM;
	PVHVM_PAGE_POOL_OWNER(params, q->nd->netdev, &q->napi);
	pool = page_pool_create(&params);
	if (IS_ERR(pool))
		return PTR_ERR(pool);
	q->rx.pool = pool;
	return q->nd->conn_xdp ? netf_xdp_attach(q) : 0;
}

static int queue_channels(struct netf_queue *q)
{
	bool split = q->nd->feat.split_channels;
	domid_t peer = q->nd->pdev->otherend_id;
	unsigned int id = q->nd->pdev->id;
	unsigned int cpu = cpumask_next(-1, cpu_online_mask);
	unsigned int i;
	int err;

	for (i = 0; i < q->index; i++) {
		cpu = cpumask_next(cpu, cpu_online_mask);
		if (cpu >= nr_cpu_ids)
			cpu = cpumask_first(cpu_online_mask);
	}

	snprintf(q->tx.name, sizeof(q->tx.name), "vif%u-q%u%s", id, q->index,
		 split ? "-tx" : "");
	if (netf_fail_step(q->nd, "transmit channel"))
		return -ENOMEM;
	err = pvhvm_evtchn_open(&q->tx.chan, peer, queue_tx_event, q->tx.name,
				q);
	if (err)
		return err;
	pvhvm_evtchn_set_cpu(&q->tx.chan, cpu);
	if (!split)
		return 0;

	snprintf(q->rx.name, sizeof(q->rx.name), "vif%u-q%u-rx", id, q->index);
	if (netf_fail_step(q->nd, "receive channel"))
		return -ENOMEM;
	err = pvhvm_evtchn_open(&q->rx.chan, peer, queue_rx_event, q->rx.name,
				q);
	if (err)
		return err;
	pvhvm_evtchn_set_cpu(&q->rx.chan, cpu);
	return 0;
}

int netf_queue_build(struct netf_queue *q)
{
	struct netf_dev *nd = q->nd;
	int err;

	memset(&q->tx, 0, sizeof(q->tx));
	memset(&q->rx, 0, sizeof(q->rx));
	q->polling = -1;
	q->tx.txq = netdev_get_tx_queue(nd->netdev, q->index);
	q->tx.slots_max = nd->feat.sg ? NETF_TX_SLOTS_MAX : 1;
	q->tx.bounce = !nd->feat.trusted;
	q->rx.clear = !nd->feat.trusted;
	q->tx.peer = nd->pdev->otherend_id;
	q->rx.peer = nd->pdev->otherend_id;
	timer_setup(&q->rx.refill, queue_refill_timer, 0);
	hrtimer_setup(&q->rx.moderate, queue_moderate_timer, CLOCK_MONOTONIC,
		      HRTIMER_MODE_REL);
	/* the stack looks at a device's NAPIs, and changes them, under this */
	rtnl_lock();
	netif_napi_add(nd->netdev, &q->napi, queue_poll);
	rtnl_unlock();
	q->built = true;

	err = queue_rings(q);
	if (!err)
		err = queue_slots(q);
	if (!err)
		err = queue_cells(q);
	if (!err)
		err = queue_pool(q);
	/* Last: from here on the handlers may run. */
	if (!err)
		err = queue_channels(q);
	return err;
}

/* ---- freeing ---- */

/* Return: how many pages the backend still uses. */
static unsigned int queue_revoke_tx(struct netf_tx *tx)
{
	unsigned int i, busy = 0;

	for (i = 0; tx->slot && i < NETF_TX_SIZE; i++) {
		struct netf_tx_slot *slot = &tx->slot[i];

		if (!slot->page && !slot->bounce)
			continue;
		if (!pvhvm_grant_end(slot->ref)) {
			busy++;
			continue;
		}
		slot->page = NULL;
		if (slot->bounce)
			__free_page(slot->bounce);
		slot->bounce = NULL;
	}
	for (i = 0; i < NETF_CELL_PAGES; i++) {
		if (!tx->cell_ref[i])
			continue;
		if (!pvhvm_grant_end(tx->cell_ref[i])) {
			busy++;
			continue;
		}
		pvhvm_grant_put(&tx->grants, tx->cell_ref[i]);
		tx->cell_ref[i] = PVHVM_GRANT_NONE;
		free_page((unsigned long)tx->cell[i]);
		tx->cell[i] = NULL;
	}
	return busy;
}

static unsigned int queue_revoke_rx(struct netf_rx *rx)
{
	unsigned int i, busy = 0;

	for (i = 0; rx->slot && i < NETF_RX_SIZE; i++) {
		struct netf_rx_slot *slot = &rx->slot[i];

		if (!slot->page)
			continue;
		if (pvhvm_grant_end(slot->ref)) {
			page_pool_put_full_page(rx->pool, slot->page, false);
			slot->page = NULL;
		} else {
			busy++;
		}
	}
	return busy;
}

/* What the backend did not let go is left behind; the rest is put back. */
static void queue_park_tx(struct netf_dev *nd, struct netf_tx *tx)
{
	unsigned int i, lost = 0;

	for (i = 0; i < NETF_CELL_PAGES; i++) {
		if (tx->cell_ref[i])
			pvhvm_grant_park(&tx->grants, tx->cell_ref[i],
					 virt_to_page(tx->cell[i]));
		else if (tx->cell[i])
			free_page((unsigned long)tx->cell[i]);
	}
	for (i = 0; tx->slot && i < NETF_TX_SIZE; i++) {
		struct netf_tx_slot *slot = &tx->slot[i];

		if (!slot->page && !slot->bounce)
			continue;
		if (slot->bounce) {
			pvhvm_grant_park(&tx->grants, slot->ref, slot->bounce);
		} else if (slot->slab) {
			/*
			 * Holding the page does not keep a slab object: the
			 * packet is never freed, or the backend would read
			 * whatever comes to live there.
			 */
			lost += !!tx->slot[slot->first].skb;
			tx->slot[slot->first].skb = NULL;
			pvhvm_grant_park(&tx->grants, slot->ref, NULL);
		} else {
			get_page(slot->page);
			pvhvm_grant_park(&tx->grants, slot->ref, slot->page);
		}
		slot->ref = PVHVM_GRANT_NONE;
	}
	for (i = 0; tx->slot && i < NETF_TX_SIZE; i++) {
		dev_kfree_skb_any(tx->slot[i].skb);
		if (tx->slot[i].frame)
			xdp_return_frame(tx->slot[i].frame);
		if (tx->slot[i].ref)
			pvhvm_grant_put(&tx->grants, tx->slot[i].ref);
	}
	if (lost)
		netdev_warn(nd->netdev,
			    "%u packets lost for good: the backend still reads them\n",
			    lost);
}

static void queue_park_rx(struct netf_rx *rx)
{
	unsigned int i;

	for (i = 0; rx->slot && i < NETF_RX_SIZE; i++) {
		struct netf_rx_slot *slot = &rx->slot[i];

		if (slot->page) {
			/*
			 * With a second reference the pool lets go of the
			 * page, and the parked one is the last.
			 */
			get_page(slot->page);
			pvhvm_grant_park(&rx->grants, slot->ref, slot->page);
			page_pool_put_full_page(rx->pool, slot->page, false);
		} else if (slot->ref) {
			pvhvm_grant_put(&rx->grants, slot->ref);
		}
	}
}

void netf_queue_free(struct netf_queue *q)
{
	struct netf_tx *tx = &q->tx;
	struct netf_rx *rx = &q->rx;
	unsigned int tries = 0;

	if (!q->built)
		return;
	pvhvm_evtchn_close(&tx->chan, q);
	pvhvm_evtchn_close(&rx->chan, q);
	timer_delete_sync(&rx->refill);
	hrtimer_cancel(&rx->moderate);
	rtnl_lock();
	netif_napi_del(&q->napi);
	rtnl_unlock();

	while (queue_revoke_tx(tx) + queue_revoke_rx(rx) &&
	       tries++ < REVOKE_TRIES)
		msleep(REVOKE_PAUSE_MS);
	queue_park_tx(q->nd, tx);
	queue_park_rx(rx);
	pvhvm_grants_release(&tx->grants);
	pvhvm_grants_release(&rx->grants);

	kfree_skb(rx->skb);
	if (rx->held)
		page_pool_put_full_page(rx->pool, rx->held, false);
	netf_xdp_detach(q);
	if (rx->pool)
		page_pool_destroy(rx->pool);
	pvhvm_ring_free(&tx->ring);
	pvhvm_ring_free(&rx->ring);
	kfree(tx->id_ring);
	kvfree(tx->slot);
	kvfree(rx->slot);
	q->built = false;
}
