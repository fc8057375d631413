// SPDX-License-Identifier: GPL-2.0-only
/*
 * tx.c: packets out.
 *
 * The first slot of a packet is, if its linear part is small, copied into the
 * slot's cell: memory that the backend may read all the time. So a small
 * packet costs no grant, and it is done with as soon as it is copied: nobody
 * waits for its response, and responses nobody waits for raise no events
 * until half a ring of them has gathered. Everything else is granted page by
 * page and kept until its last response ("urgent").
 */
#include "netfront.h"
#include "tx_ring.h"

#include <linux/etherdevice.h>
#include <linux/skbuff.h>

/* How a packet is going to look on the ring. */
struct tx_plan {
	unsigned int copy;	/* bytes that go into the first slot's cell */
	unsigned int slots;	/* data slots in all */
	bool whole;		/* nothing but the cell */
};

/* A packet being written. */
struct tx_cursor {
	struct netf_tx *tx;
	const struct sk_buff *gso;	/* tells the segments; or NULL */
	unsigned int len;	/* bytes in all */
	unsigned int to_go;	/* data slots */
	u16 first;		/* id of the first one */
	u16 flags;		/* for the next one */
	bool started;
};

/*
 * For the sender: room for any packet? What the reaper writes is looked at
 * only when what was free at the last look does not suffice any more: until
 * then more gets free, and only we use it.
 */
static bool tx_has_room(struct netf_tx *tx)
{
	if (unlikely(tx->room < NETF_TX_ROOM))
		tx->room = tx_room(tx);
	return tx->room >= NETF_TX_ROOM;
}

/* A ring slot is written. An extra takes no id: @room may be less than true. */
static void tx_advance(struct netf_tx *tx)
{
	WRITE_ONCE(tx->prod, tx->prod + 1);
	tx->room--;
}

/* A packet of so many slots was put whose memory belongs to somebody. */
static void tx_note_urgent(struct netf_tx *tx, unsigned int slots)
{
	WRITE_ONCE(tx->urgent_in, tx->urgent_in + slots);
}

static u16 tx_id_take(struct netf_tx *tx)
{
	u16 id = tx->id_ring[tx->id_head & (NETF_TX_SIZE - 1)];

	WRITE_ONCE(tx->id_head, tx->id_head + 1);
	return id;
}

static void *tx_cell(const struct netf_tx *tx, u16 id)
{
	return tx->cell[id / NETF_CELLS_PER_PAGE] +
		id % NETF_CELLS_PER_PAGE * NETF_CELL_SIZE;
}

/* ---- planning ---- */

static void tx_measure(const struct sk_buff *skb, struct tx_plan *plan)
{
	unsigned int head = skb_headlen(skb);
	unsigned int off = offset_in_page(skb->data);
	int i;

	plan->whole = skb->len <= NETF_CELL_SIZE;
	if (plan->whole) {
		plan->copy = skb->len;
		plan->slots = 1;
		return;
	}

	if (head <= NETF_CELL_SIZE)
		plan->copy = head;
	else if (PAGE_SIZE - off < NETF_FIRST_SLOT_MIN)
		plan->copy = NETF_CELL_SIZE;
	else
		plan->copy = 0;

	plan->slots = !!plan->copy +
		netf_span(off + plan->copy, head - plan->copy);
	for (i = 0; i < skb_shinfo(skb)->nr_frags; i++) {
		const skb_frag_t *frag = &skb_shinfo(skb)->frags[i];

		plan->slots += netf_span(skb_frag_off(frag),
					 skb_frag_size(frag));
	}
}

/*
 * Find a plan that fits the backend's bound, changing the packet if it must.
 * Counts why not. Return: false when there is none.
 */
static bool tx_plan(struct netf_queue *q, struct sk_buff *skb,
		    struct tx_plan *plan)
{
	struct netf_qstats *st = q->stats;

	if (unlikely(skb->len > XEN_NETIF_MAX_TX_SIZE ||
		     skb->len < ETH_HLEN)) {
		u64_stats_inc(&st->tx_drop_too_long);
		return false;
	}
	tx_measure(skb, plan);
	if (likely(plan->slots <= q->tx.slots_max))
		return true;

	u64_stats_inc(&st->tx_linearized);
	if (skb_linearize(skb))
		goto no_memory;
	tx_measure(skb, plan);
	if (plan->slots <= q->tx.slots_max)
		return true;

	/* One slot only, and the data lies across a page's end: move it. */
	if (pskb_expand_head(skb, 0, 0, GFP_ATOMIC))
		goto no_memory;
	tx_measure(skb, plan);
	if (plan->slots <= q->tx.slots_max)
		return true;
	u64_stats_inc(&st->tx_drop_too_long);
	return false;

no_memory:
	u64_stats_inc(&st->tx_drop_no_memory);
	return false;
}

/*
 * Whoever does not trust the backend does not grant it whole pages of which a
 * packet is but a part: have pages of our own for the slots of this plan.
 */
static bool tx_bounce_ready(struct netf_queue *q, const struct tx_plan *plan)
{
	struct netf_tx *tx = &q->tx;
	unsigned int i;

	for (i = !!plan->copy; tx->bounce && i < plan->slots; i++) {
		u16 id = tx->id_ring[(tx->id_head + i) & (NETF_TX_SIZE - 1)];
		struct netf_tx_slot *slot = &tx->slot[id];

		if (slot->bounce)
			continue;
		slot->bounce = alloc_page(GFP_ATOMIC | __GFP_ZERO |
					  __GFP_NOWARN);
		if (!slot->bounce) {
			u64_stats_inc(&q->stats->tx_drop_no_memory);
			return false;
		}
		pvhvm_grant_access(slot->ref, tx->peer,
				   page_to_pfn(slot->bounce), true);
	}
	return true;
}

/* ---- writing ---- */

/*
 * The slot's request is next on the ring. A backend can answer it before it
 * is published: who sees the slot busy sees the index too, and can tell.
 */
static void tx_set_busy(const struct netf_tx *tx, struct netf_tx_slot *slot)
{
	slot->index = tx->prod;
	/* Pairs with tx_is_published(). */
	smp_store_release(&slot->busy, true);
}

static void tx_put_extra(struct netf_tx *tx,
			 const struct netif_extra_info *extra)
{
	*(struct netif_extra_info *)tx_request(tx, tx->prod) = *extra;
	tx_advance(tx);
	WRITE_ONCE(tx->extras_in, tx->extras_in + 1);
}

static void tx_put_gso(struct netf_tx *tx, const struct sk_buff *skb)
{
	struct netif_extra_info extra = {
		.type = XEN_NETIF_EXTRA_TYPE_GSO,
		.u.gso.size = skb_shinfo(skb)->gso_size,
		.u.gso.type = skb_shinfo(skb)->gso_type & SKB_GSO_TCPV6 ?
			XEN_NETIF_GSO_TYPE_TCPV6 : XEN_NETIF_GSO_TYPE_TCPV4,
	};

	tx_put_extra(tx, &extra);
}

int netf_tx_mcast(struct netf_queue *q, const u8 *addr, bool add)
{
	struct netif_extra_info extra = {
		.type = add ? XEN_NETIF_EXTRA_TYPE_MCAST_ADD :
			XEN_NETIF_EXTRA_TYPE_MCAST_DEL,
	};
	struct netf_tx *tx = &q->tx;
	int err = -EBUSY;
	void *cell;
	u16 id;

	ether_addr_copy(extra.u.mcast.addr, addr);
	__netif_tx_lock_bh(tx->txq);
	if (!tx_has_room(tx))
		goto out_unlock;
	id = tx_id_take(tx);
	cell = tx_cell(tx, id);
	memset(cell, 0, NETF_FIRST_SLOT_MIN);
	tx->slot[id].first = id;
	tx->slot[id].left = 1;
	tx->slot[id].mcast = true;
	tx_set_busy(tx, &tx->slot[id]);
	*tx_request(tx, tx->prod) = (struct netif_tx_request){
		.gref = tx->cell_ref[id / NETF_CELLS_PER_PAGE],
		.offset = offset_in_page(cell),
		.flags = NETTXF_extra_info,
		.id = id,
		.size = NETF_FIRST_SLOT_MIN,
	};
	tx_advance(tx);
	tx_put_extra(tx, &extra);
	/* The answer says whether it took the address. */
	tx_note_urgent(tx, 1);
	tx->unsent++;
	netf_tx_flush(q);
	err = 0;
out_unlock:
	__netif_tx_unlock_bh(tx->txq);
	return err;
}

/* One data slot, and behind the first one the extras. */
static void tx_put(struct tx_cursor *c, u16 id, grant_ref_t ref,
		   unsigned int offset, unsigned int size)
{
	struct netf_tx *tx = c->tx;
	struct netf_tx_slot *slot = &tx->slot[id];
	bool gso = false;
	struct netif_tx_request req = {
		.gref = ref,
		.offset = offset,
		.flags = c->flags,
		.id = id,
		.size = size,
	};

	if (!c->started) {
		c->started = true;
		c->first = id;
		slot->left = c->to_go;
		req.size = c->len;
		gso = c->gso;
		if (gso)
			req.flags |= NETTXF_extra_info;
		c->flags = 0;
	}
	if (--c->to_go)
		req.flags |= NETTXF_more_data;

	slot->first = c->first;
	tx_set_busy(tx, slot);
	*tx_request(tx, tx->prod) = req;
	tx_advance(tx);
	if (gso)
		tx_put_gso(tx, c->gso);
}

/* The next id's cell: filled, then put. */
static void *tx_next_cell(const struct netf_tx *tx)
{
	return tx_cell(tx, tx->id_ring[tx->id_head & (NETF_TX_SIZE - 1)]);
}

static void tx_put_cell(struct tx_cursor *c, unsigned int len)
{
	struct netf_tx *tx = c->tx;
	void *cell = tx_next_cell(tx);
	u16 id = tx_id_take(tx);

	tx_put(c, id, tx->cell_ref[id / NETF_CELLS_PER_PAGE],
	       offset_in_page(cell), len);
}

/* Consecutive pages, granted as they are or copied into the slots' own. */
static void tx_put_pages(struct tx_cursor *c, struct page *page,
			 unsigned int offset, unsigned int len, bool slab)
{
	struct netf_tx *tx = c->tx;

	page += offset / PAGE_SIZE;
	offset = offset_in_page(offset);
	for (; len; page++, offset = 0) {
		unsigned int n = min_t(unsigned int, len, PAGE_SIZE - offset);
		u16 id = tx_id_take(tx);
		struct netf_tx_slot *slot = &tx->slot[id];

		if (tx->bounce) {
			memcpy(page_address(slot->bounce) + offset,
			       page_address(page) + offset, n);
		} else {
			slot->page = page;
			slot->slab = slab;
			pvhvm_grant_access(slot->ref, tx->peer,
					   page_to_pfn(page), true);
		}
		tx_put(c, id, slot->ref, offset, n);
		len -= n;
	}
}

static u16 tx_csum_flags(const struct sk_buff *skb)
{
	if (skb->ip_summed == CHECKSUM_PARTIAL)
		return NETTXF_csum_blank | NETTXF_data_validated;
	if (skb->ip_summed == CHECKSUM_UNNECESSARY)
		return NETTXF_data_validated;
	return 0;
}

static void tx_write(struct netf_tx *tx, struct sk_buff *skb,
		     const struct tx_plan *plan)
{
	struct tx_cursor c = {
		.tx = tx,
		.gso = skb_is_gso(skb) ? skb : NULL,
		.len = skb->len,
		.to_go = plan->slots,
		.flags = tx_csum_flags(skb),
	};
	unsigned int rest = skb_headlen(skb) - plan->copy;
	int i;

	if (plan->copy) {
		/* Cannot fail: the plan's length is within the packet. */
		skb_copy_bits(skb, 0, tx_next_cell(tx), plan->copy);
		tx_put_cell(&c, plan->copy);
	}
	if (rest)
		tx_put_pages(&c, virt_to_page(skb->data),
			     offset_in_page(skb->data) + plan->copy, rest,
			     !skb->head_frag);
	for (i = 0; i < skb_shinfo(skb)->nr_frags; i++) {
		const skb_frag_t *frag = &skb_shinfo(skb)->frags[i];

		tx_put_pages(&c, skb_frag_page(frag), skb_frag_off(frag),
			     skb_frag_size(frag), false);
	}
	tx->slot[c.first].skb = skb;
	tx_note_urgent(tx, plan->slots);
}

static void tx_write_whole(struct netf_tx *tx, struct sk_buff *skb)
{
	struct tx_cursor c = {
		.tx = tx,
		.gso = skb_is_gso(skb) ? skb : NULL,
		.len = skb->len,
		.to_go = 1,
		.flags = tx_csum_flags(skb),
	};

	skb_copy_bits(skb, 0, tx_next_cell(tx), skb->len);
	tx_put_cell(&c, skb->len);
	dev_consume_skb_any(skb);
}

static void tx_stop_if_full(struct netf_queue *q)
{
	struct netf_tx *tx = &q->tx;

	if (likely(tx_has_room(tx)))
		return;
	netif_tx_stop_queue(tx->txq);
	u64_stats_inc(&q->stats->tx_stop_ring_full);
	/* Pairs with the barrier in netf_tx_reap(). Full, so it looks anew. */
	smp_mb();
	if (tx_has_room(tx))
		netif_tx_start_queue(tx->txq);
}

/* As tx_measure(), for the one piece of memory that a frame is. */
static void tx_measure_frame(const struct xdp_frame *frame,
			     struct tx_plan *plan)
{
	unsigned int off = offset_in_page(frame->data);

	plan->whole = frame->len <= NETF_CELL_SIZE;
	plan->copy = plan->whole ? frame->len :
		PAGE_SIZE - off < NETF_FIRST_SLOT_MIN ? NETF_CELL_SIZE : 0;
	plan->slots = !!plan->copy +
		netf_span(off + plan->copy, frame->len - plan->copy);
}

bool netf_tx_frame(struct netf_queue *q, struct xdp_frame *frame)
{
	struct netf_qstats *st = q->stats;
	struct netf_tx *tx = &q->tx;
	struct tx_cursor c = { .tx = tx, .len = frame->len };
	struct tx_plan plan;

	tx_measure_frame(frame, &plan);
	if (xdp_frame_has_frags(frame) || frame->len < ETH_HLEN ||
	    plan.slots > tx->slots_max || !tx_has_room(tx)) {
		u64_stats_inc(&st->tx_xdp_full);
		return false;
	}
	if (!tx_bounce_ready(q, &plan))
		return false;
	/* else the stack takes a queue full of frames for one that hangs */
	WRITE_ONCE(tx->txq->trans_start, jiffies);

	u64_stats_update_begin(&st->xmit_sync);
	u64_stats_inc(&st->tx_packets);
	u64_stats_add(&st->tx_bytes, frame->len);
	u64_stats_add(&st->tx_slots, plan.slots);
	u64_stats_inc(&st->tx_xdp);
	u64_stats_update_end(&st->xmit_sync);

	tx->unsent++;
	c.to_go = plan.slots;
	if (plan.copy) {
		memcpy(tx_next_cell(tx), frame->data, plan.copy);
		tx_put_cell(&c, plan.copy);
	}
	if (plan.whole) {
		xdp_return_frame(frame);
	} else {
		tx_put_pages(&c, virt_to_page(frame->data),
			     offset_in_page(frame->data) + plan.copy,
			     frame->len - plan.copy, false);
		tx->slot[c.first].frame = frame;
		tx_note_urgent(tx, plan.slots);
	}
	tx_stop_if_full(q);
	return true;
}

/* ---- sending ---- */

void netf_tx_flush(struct netf_queue *q)
{
	struct netf_tx *tx = &q->tx;
	struct netif_tx_sring *sring = tx->sring;
	RING_IDX old = tx->pushed, new = tx->prod, cons, event;
	bool waited = tx->urgent_in != tx->urgent_told;

	tx->deferred = false;
	if (old == new)
		return;

	/*
	 * Before the backend can answer, the reaper must expect answers, and
	 * see what they are to: all of a packet, its place in BQL included.
	 */
	smp_store_release(&tx->pushed, new);
	virt_wmb();	/* the requests, before the backend is told of them */
	WRITE_ONCE(sring->req_prod, new);
	virt_mb();	/* tell first, then look whether it wants to be woken */

	if (netf_must_notify(old, new, READ_ONCE(sring->req_event))) {
		pvhvm_evtchn_notify(&tx->chan);
		u64_stats_inc(&q->stats->tx_doorbells);
		tx->unsent--;
	}
	u64_stats_add(&q->stats->tx_doorbells_saved, tx->unsent);
	tx->unsent = 0;
	tx->urgent_told = tx->urgent_in;

	/*
	 * Somebody waits for what was just sent, but the reaper, when it last
	 * looked, had seen nothing urgent and asked for a far event: pull it
	 * near. @urgent_in was written before the barrier above and the event
	 * is read after it; netf_tx_arm() does both the other way round, so at
	 * least one of us sees the other. Once for each is enough: whatever is
	 * asked for later has seen it.
	 */
	if (!waited)
		return;
	/* in this order: what is answered meanwhile errs to the near side */
	cons = smp_load_acquire(&tx->cons);
	event = netf_tx_event(cons, tx->urgent_in - READ_ONCE(tx->urgent_out),
			      READ_ONCE(q->nd->tx_frames));
	if (likely(!netf_after(READ_ONCE(sring->rsp_event), event)))
		return;
	WRITE_ONCE(sring->rsp_event, event);
	virt_mb();	/* ask for an event first, then look what came before it */
	if (!netf_after(event, READ_ONCE(sring->rsp_prod)))
		napi_schedule(&q->napi);
}

/* After a packet was dropped: an earlier one may wait for its doorbell. */
static void tx_flush_unless(struct netf_queue *q, bool more)
{
	if (!more && q->tx.unsent)
		netf_tx_flush(q);
}

/*
 * Answers to what a poll delivers share one doorbell. On PREEMPT_RT a sender
 * can also interrupt a poll, and be interrupted by it: look again whether the
 * end of the poll, which does these two the other way round, is still to
 * come. One CPU's order, so the compiler's is all that matters.
 * Return: true when it is the poll's.
 */
static bool tx_defer(struct netf_queue *q)
{
	int cpu = smp_processor_id();

	if (READ_ONCE(q->polling) != cpu)
		return false;
	WRITE_ONCE(q->tx.deferred, true);
	barrier();
	return READ_ONCE(q->polling) == cpu;
}

netdev_tx_t netf_start_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct netf_dev *nd = netdev_priv(dev);
	struct netf_queue *q = &nd->queue[skb_get_queue_mapping(skb)];
	struct netf_tx *tx = &q->tx;
	struct netf_qstats *st = q->stats;
	bool more = netdev_xmit_more();
	unsigned int len = skb->len;
	struct tx_plan plan;
	bool kick;

	if (unlikely(q->index >= READ_ONCE(nd->nr_queues) ||
		     !READ_ONCE(nd->live) || READ_ONCE(nd->broken))) {
		u64_stats_inc(&st->tx_drop_down);
		dev_kfree_skb_any(skb);
		return NETDEV_TX_OK;
	}
	if (unlikely(!tx_has_room(tx))) {
		tx_stop_if_full(q);
		netf_tx_flush(q);
		return NETDEV_TX_BUSY;
	}
	if (unlikely(!tx_plan(q, skb, &plan) ||
		     !tx_bounce_ready(q, &plan))) {
		tx_flush_unless(q, more);
		dev_kfree_skb_any(skb);
		return NETDEV_TX_OK;
	}

	u64_stats_update_begin(&st->xmit_sync);
	u64_stats_inc(&st->tx_packets);
	u64_stats_add(&st->tx_bytes, len);
	u64_stats_add(&st->tx_slots, plan.slots);
	if (plan.whole)
		u64_stats_inc(&st->tx_copied);
	if (skb_is_gso(skb))
		u64_stats_inc(&st->tx_gso);
	u64_stats_update_end(&st->xmit_sync);

	skb_tx_timestamp(skb);
	tx->unsent++;
	if (plan.whole) {
		tx_write_whole(tx, skb);
		kick = !more;
	} else {
		tx_write(tx, skb, &plan);
		kick = __netdev_tx_sent_queue(tx->txq, len, more);
	}
	tx_stop_if_full(q);

	if ((kick || netif_xmit_stopped(tx->txq)) && !tx_defer(q))
		netf_tx_flush(q);
	return NETDEV_TX_OK;
}
