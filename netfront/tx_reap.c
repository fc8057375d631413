// SPDX-License-Identifier: GPL-2.0-only
/*
 * tx_reap.c: what the backend says of packets sent.
 *
 * The only one that gives slots back, and runs at any time beside the one
 * sender: who does what to whose counter is with struct netf_tx.
 */
#include "netfront.h"
#include "tx_ring.h"

#include <linux/skbuff.h>

static void tx_id_put(struct netf_tx *tx, u16 id)
{
	tx->id_ring[tx->id_tail & (NETF_TX_SIZE - 1)] = id;
	/* The entry before the count of entries; pairs with tx_room(). */
	smp_store_release(&tx->id_tail, tx->id_tail + 1);
}

struct tx_done {
	RING_IDX pushed;	/* what can be done */
	unsigned int packets;
	unsigned int bytes;
};

/*
 * What a sender is still writing is busy, too, but not before @pushed. Of the
 * rest everything is visible here.
 */
static bool tx_is_published(const struct netf_tx_slot *slot, RING_IDX pushed)
{
	/* Pairs with tx_set_busy(). */
	return smp_load_acquire(&slot->busy) &&
		netf_after(pushed, slot->index);
}

/* One response to a data slot. Return: NETF_OK or the breach. */
static enum netf_breach tx_complete(struct netf_tx *tx, u16 id, int budget,
				    struct tx_done *done)
{
	struct netf_tx_slot *slot, *first;
	u16 first_id;

	if (id >= NETF_TX_SIZE || !tx_is_published(&tx->slot[id], done->pushed))
		return NETF_BREACH_TX_ID;
	slot = &tx->slot[id];
	if (slot->page) {
		if (!pvhvm_grant_end(slot->ref))
			return NETF_BREACH_TX_GRANT;
		slot->page = NULL;
	}
	slot->busy = false;

	/* The first id carries the packet's account: it goes last. */
	first_id = slot->first;
	first = &tx->slot[first_id];
	if (first->skb || first->frame || slot->mcast)
		WRITE_ONCE(tx->urgent_out, tx->urgent_out + 1);
	slot->mcast = false;
	if (id != first_id)
		tx_id_put(tx, id);
	if (--first->left)
		return NETF_OK;
	if (first->frame) {
		xdp_return_frame(first->frame);
		first->frame = NULL;
	}
	if (first->skb) {
		done->packets++;
		done->bytes += first->skb->len;
		napi_consume_skb(first->skb, budget);
		first->skb = NULL;
	}
	tx_id_put(tx, first_id);
	return NETF_OK;
}

static struct netif_tx_response tx_copy_response(struct netf_tx *tx,
						 RING_IDX idx)
{
	union {
		u32 raw;
		struct netif_tx_response rsp;
	} copy;

	copy.raw = READ_ONCE(*(u32 *)tx_request(tx, idx));
	return copy.rsp;
}

/* Would it give back an XDP frame, which cannot be done in a hard interrupt? */
static bool tx_ends_frame(const struct netf_tx *tx,
			  const struct netif_tx_response *rsp)
{
	return netf_tx_judge(rsp) != NETF_TX_NULL && rsp->id < NETF_TX_SIZE &&
		tx->slot[tx->slot[rsp->id].first].frame;
}

/* Is this, if it is not a lie, the last response to a packet? */
static bool tx_ends_packet(const struct netf_tx *tx,
			   const struct netif_tx_response *rsp)
{
	return rsp->id < NETF_TX_SIZE &&
		tx->slot[tx->slot[rsp->id].first].left == 1;
}

static enum netf_breach tx_response(struct netf_queue *q,
				    const struct netif_tx_response *rsp,
				    int budget, struct tx_done *done)
{
	struct netf_tx *tx = &q->tx;

	switch (netf_tx_judge(rsp)) {
	case NETF_TX_NULL:
		if (tx->extras_out == READ_ONCE(tx->extras_in))
			return NETF_BREACH_TX_NULL;
		tx->extras_out++;
		return NETF_OK;
	case NETF_TX_FAILED:
		if (rsp->id < NETF_TX_SIZE && tx->slot[rsp->id].mcast) {
			WRITE_ONCE(q->nd->mcast.refused, true);
			netf_mcast_update(q->nd);
			break;
		}
		/* each slot of it fails, it is one */
		if (tx_ends_packet(tx, rsp))
			u64_stats_inc(&q->stats->tx_failed);
		break;
	case NETF_TX_DONE:
		break;
	}
	return tx_complete(tx, rsp->id, budget, done);
}

void netf_tx_reap(struct netf_queue *q, int budget)
{
	struct netf_tx *tx = &q->tx;
	RING_IDX cons = tx->cons, prod = READ_ONCE(tx->sring->rsp_prod);
	enum netf_breach breach = NETF_OK;
	struct tx_done done = { 0 };

	if (cons == prod)
		return;
	pvhvm_evtchn_useful(&tx->chan);
	/* Read what it promises after the promise. */
	virt_rmb();
	/* Pairs with the release in netf_tx_flush(). */
	done.pushed = smp_load_acquire(&tx->pushed);
	if (!netf_rsp_prod_ok(prod, cons, done.pushed)) {
		netf_breach(q, NETF_BREACH_TX_AHEAD);
		return;
	}

	while (cons != prod && !breach) {
		struct netif_tx_response rsp = tx_copy_response(tx, cons);

		if (unlikely(!budget) && tx_ends_frame(tx, &rsp))
			break;
		breach = tx_response(q, &rsp, budget, &done);
		cons++;
	}
	/* Done with the slots before the sender may fill them; see tx_room(). */
	smp_store_release(&tx->cons, cons);
	if (done.packets)
		netdev_tx_completed_queue(tx->txq, done.packets, done.bytes);
	if (unlikely(breach)) {
		netf_breach(q, breach);
		return;
	}

	/* Pairs with the barrier in tx_stop_if_full(). */
	smp_mb();
	if (unlikely(netif_tx_queue_stopped(tx->txq)) &&
	    tx_room(tx) >= 2 * NETF_TX_ROOM && netif_running(q->nd->netdev)) {
		netif_tx_wake_queue(tx->txq);
		u64_stats_inc(&q->stats->tx_wakes);
	}
}

bool netf_tx_arm(struct netf_queue *q)
{
	struct netf_tx *tx = &q->tx;
	RING_IDX event;
	u32 urgent;

	/* The counterpart of the end of netf_tx_flush(). */
	do {
		urgent = READ_ONCE(tx->urgent_in);
		event = netf_tx_event(READ_ONCE(tx->cons),
				      urgent - READ_ONCE(tx->urgent_out),
				      READ_ONCE(q->nd->tx_frames));
		WRITE_ONCE(tx->sring->rsp_event, event);
		virt_mb();	/* ask for an event first, then look at what changed */
	} while (READ_ONCE(tx->urgent_in) != urgent);

	return !netf_after(event, READ_ONCE(tx->sring->rsp_prod));
}
