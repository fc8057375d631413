// SPDX-License-Identifier: GPL-2.0-only
/*
 * rx.c: packets in.
 *
 * Every receive slot has its own grant reference for good, and a page that
 * stays granted until a packet takes it away. The backend answers in ring
 * order, so a page that was not taken (small packet copied out, extra info,
 * packet dropped) is simply posted again when the ring comes round: no
 * allocation, no change of its grant.
 *
 * Only the headers go to an skb's linear part, to the byte: then GRO chains
 * pages instead of skbs.
 */
#include "netfront.h"

#include <linux/etherdevice.h>
#include <linux/skbuff.h>
#include <net/page_pool/helpers.h>

static struct netf_rx_slot *rx_slot(struct netf_rx *rx, RING_IDX idx)
{
	return &rx->slot[idx & (NETF_RX_SIZE - 1)];
}

/* ---- refill ---- */

static void rx_push(struct netf_queue *q)
{
	struct netf_rx *rx = &q->rx;
	RING_IDX old = rx->pushed;

	rx->pushed = rx->prod;
	virt_wmb();	/* the requests, before it is told that they are there */
	WRITE_ONCE(rx->sring->req_prod, rx->prod);
	virt_mb();	/* tell first, then look whether it wants to be woken */
	if (netf_must_notify(old, rx->prod, READ_ONCE(rx->sring->req_event))) {
		pvhvm_evtchn_notify(netf_rx_chan(q));
		u64_stats_inc(&q->stats->rx_doorbells);
	} else {
		u64_stats_inc(&q->stats->rx_doorbells_saved);
	}
}

static bool rx_supply(struct netf_rx *rx, struct netf_rx_slot *slot)
{
	struct page *page;

	if (slot->page)
		return true;
	page = page_pool_dev_alloc_pages(rx->pool);
	if (!page)
		return false;
	slot->page = page;
	if (rx->clear)
		clear_page(page_address(page));
	pvhvm_grant_access(slot->ref, rx->peer, page_to_pfn(page), false);
	return true;
}

static void rx_fill(struct netf_queue *q)
{
	struct netf_rx *rx = &q->rx;

	while (rx->prod - rx->cons < NETF_RX_SIZE) {
		struct netf_rx_slot *slot = rx_slot(rx, rx->prod);

		if (!rx_supply(rx, slot)) {
			u64_stats_inc(&q->stats->rx_refill_failed);
			/*
			 * A well filled ring brings us back by its events; an
			 * empty one would stay silent for ever.
			 */
			if (rx->prod - rx->cons < NETF_RX_SIZE / 2)
				mod_timer(&rx->refill, jiffies + HZ / 10);
			break;
		}
		PVHVM_RING_ENTRY(rx->sring, rx->prod, NETF_RX_SIZE)->req =
			(struct netif_rx_request){
				.id = rx->prod & (NETF_RX_SIZE - 1),
				.gref = slot->ref,
			};
		rx->prod++;
	}
	if (rx->prod != rx->pushed)
		rx_push(q);
}

/* ---- building ---- */

static void rx_abandon(struct netf_rx *rx)
{
	kfree_skb(rx->skb);
	rx->skb = NULL;
	if (rx->held)
		page_pool_recycle_direct(rx->pool, rx->held);
	rx->held = NULL;
	rx->dropping = true;
}

static void rx_no_memory(struct netf_queue *q)
{
	u64_stats_inc(&q->stats->rx_drop_no_memory);
	rx_abandon(&q->rx);
}

static void rx_add_page(struct netf_rx *rx, struct page *page,
			unsigned int offset, unsigned int len)
{
	pvhvm_page_pool_handover(rx->pool, rx->skb, page);
	skb_add_rx_frag(rx->skb, skb_shinfo(rx->skb)->nr_frags, page, offset,
			len, PAGE_SIZE);
}

/* Copy all of a slot; its page stays with the backend. */
static void rx_copy(struct netf_queue *q, const struct netf_rx_slot *slot,
		    const struct netf_rx_piece *piece)
{
	struct netf_rx *rx = &q->rx;

	rx->skb = napi_alloc_skb(&q->napi, piece->size);
	if (unlikely(!rx->skb)) {
		rx_no_memory(q);
		return;
	}
	skb_put_data(rx->skb, page_address(slot->page) + piece->offset,
		     piece->size);
	/* Parse the copy: the backend can still write to the original. */
	netf_parse(rx->skb->data, piece->size, &rx->headers);
	u64_stats_inc(&q->stats->rx_copied);
}

/* First slot: headers to the linear part, the rest stays in the page. */
static enum netf_breach rx_begin(struct netf_queue *q,
				 struct netf_rx_slot *slot,
				 const struct netf_rx_piece *piece)
{
	struct netf_rx *rx = &q->rx;
	struct page *page;
	unsigned int head;
	void *data;

	if (piece->size <= NETF_RX_COPYBREAK) {
		rx_copy(q, slot, piece);
		return NETF_OK;
	}
	page = netf_rx_claim(slot);
	if (!page)
		return NETF_BREACH_RX_GRANT;

	data = page_address(page) + piece->offset;
	netf_parse(data, piece->size, &rx->headers);
	head = rx->headers.len ?: NETF_RX_HEAD;
	rx->skb = napi_alloc_skb(&q->napi, head);
	if (unlikely(!rx->skb)) {
		page_pool_recycle_direct(rx->pool, page);
		rx_no_memory(q);
		return NETF_OK;
	}
	skb_put_data(rx->skb, data, head);
	if (piece->size > head)
		rx_add_page(rx, page, piece->offset + head,
			    piece->size - head);
	else
		page_pool_recycle_direct(rx->pool, page);
	return NETF_OK;
}

static enum netf_breach rx_continue(struct netf_queue *q,
				    struct netf_rx_slot *slot,
				    const struct netf_rx_piece *piece)
{
	struct netf_rx *rx = &q->rx;
	struct page *page;

	if (!piece->size)
		return NETF_OK;
	if (unlikely(skb_shinfo(rx->skb)->nr_frags >= MAX_SKB_FRAGS)) {
		u64_stats_inc(&q->stats->rx_drop_too_long);
		rx_abandon(rx);
		return NETF_OK;
	}
	page = netf_rx_claim(slot);
	if (!page)
		return NETF_BREACH_RX_GRANT;
	rx_add_page(rx, page, piece->offset, piece->size);
	return NETF_OK;
}

/* ---- finishing ---- */

/* Return: false when the packet is not what it says. */
static bool rx_set_gso(struct netf_rx *rx, struct sk_buff *skb)
{
	const struct netf_headers *h = &rx->headers;
	struct skb_shared_info *info = skb_shinfo(skb);
	unsigned int segs = 0;

	if (h->len) {
		if (h->gso_type != rx->state.gso_type)
			return false;
		segs = DIV_ROUND_UP(skb->len + ETH_HLEN - h->len,
				    rx->state.gso_size);
	}
	info->gso_size = rx->state.gso_size;
	info->gso_segs = min_t(unsigned int, segs, U16_MAX);
	/* Whoever segments it again must look at the headers first. */
	info->gso_type = SKB_GSO_DODGY |
		(rx->state.gso_type == XEN_NETIF_GSO_TYPE_TCPV6 ?
		 SKB_GSO_TCPV6 : SKB_GSO_TCPV4);
	return true;
}

static bool rx_set_csum(struct netf_queue *q, struct sk_buff *skb)
{
	struct netf_rx *rx = &q->rx;
	const struct netf_headers *h = &rx->headers;
	bool blank = rx->state.flags & NETRXF_csum_blank;

	if (unlikely(skb_is_gso(skb) && !blank)) {
		/*
		 * Large packets must come with a blank checksum; some
		 * backends forget the flag, so the pseudo header's sum that
		 * GSO starts from is computed here.
		 */
		skb->ip_summed = CHECKSUM_PARTIAL;
		u64_stats_inc(&q->stats->rx_csum_fixed);
		return !skb_checksum_setup(skb, true);
	}
	if (blank) {
		if (likely(h->len))
			return skb_partial_csum_set(skb, h->l4 - ETH_HLEN,
						    h->csum);
		skb->ip_summed = CHECKSUM_PARTIAL;
		return !skb_checksum_setup(skb, false);
	}
	if (rx->state.flags & NETRXF_data_validated)
		skb->ip_summed = CHECKSUM_UNNECESSARY;
	return true;
}

static void rx_deliver(struct netf_queue *q, struct sk_buff *skb)
{
	struct netf_qstats *st = q->stats;
	unsigned int len = skb->len;

	if (unlikely(!pskb_may_pull(skb, ETH_HLEN)))
		goto malformed;
	skb->protocol = eth_type_trans(skb, q->nd->netdev);
	/* Where skb_checksum_setup() looks for the headers. */
	skb_reset_network_header(skb);
	if (q->rx.state.gso_size && !rx_set_gso(&q->rx, skb))
		goto malformed;
	if (unlikely(!rx_set_csum(q, skb)))
		goto malformed;
	skb_record_rx_queue(skb, q->index);
	if (q->rx.state.hashed)
		skb_set_hash(skb, q->rx.state.hash, q->rx.state.hash_l4 ?
			     PKT_HASH_TYPE_L4 : PKT_HASH_TYPE_L3);

	u64_stats_update_begin(&st->napi_sync);
	u64_stats_inc(&st->rx_packets);
	u64_stats_add(&st->rx_bytes, len);
	if (skb_is_gso(skb))
		u64_stats_inc(&st->rx_gso);
	u64_stats_update_end(&st->napi_sync);
	napi_gro_receive(&q->napi, skb);
	return;

malformed:
	u64_stats_inc(&st->rx_drop_malformed);
	kfree_skb(skb);
}

static void rx_finish(struct netf_queue *q)
{
	struct netf_rx *rx = &q->rx;
	struct sk_buff *skb = rx->held ? netf_xdp_run(q) : rx->skb;

	rx->skb = NULL;
	if (rx->state.flaw == NETF_RX_FAILED)
		u64_stats_inc(&q->stats->rx_drop_backend);
	else if (rx->state.flaw)
		u64_stats_inc(&q->stats->rx_drop_malformed);

	if (skb)
		rx_deliver(q, skb);

	rx->state = (struct netf_rx_state){ .phase = NETF_RX_START };
	rx->dropping = false;
}

/* ---- polling ---- */

static enum netf_breach rx_take(struct netf_queue *q, RING_IDX idx,
				bool active, bool *last)
{
	struct netf_rx *rx = &q->rx;
	struct netf_rx_slot *slot = rx_slot(rx, idx);
	struct netf_rx_piece piece;
	union netf_rx_raw copy;
	enum netf_breach breach;

	BUILD_BUG_ON(sizeof(copy) != sizeof(rx->sring->ring[0]));
	copy.raw = READ_ONCE(*(u64 *)PVHVM_RING_ENTRY(rx->sring, idx, NETF_RX_SIZE));
	breach = netf_rx_step(&rx->state, idx, &copy, &piece);
	if (unlikely(breach))
		return breach;

	if (unlikely(!active || rx->state.flaw)) {
		if (!active && piece.first)
			u64_stats_inc(&q->stats->rx_drop_down);
		rx_abandon(rx);
	}
	if (piece.data && !rx->dropping)
		breach = rx->xdp ? netf_xdp_take(q, slot, &piece) :
			piece.first ? rx_begin(q, slot, &piece) :
			rx_continue(q, slot, &piece);
	*last = piece.last;
	return breach;
}

int netf_rx_poll(struct netf_queue *q, int budget)
{
	struct netf_rx *rx = &q->rx;
	RING_IDX prod = READ_ONCE(rx->sring->rsp_prod);
	bool active = READ_ONCE(rx->active);
	enum netf_breach breach;
	RING_IDX start = rx->cons;
	int work = 0;

	if (unlikely(!netf_rsp_prod_ok(prod, rx->cons, rx->pushed))) {
		netf_breach(q, NETF_BREACH_RX_AHEAD);
		return work;
	}
	if (rx->cons != prod)
		pvhvm_evtchn_useful(netf_rx_chan(q));
	/* Read what it promises after the promise. */
	virt_rmb();

	while (rx->cons != prod && work < budget) {
		bool last = false;

		breach = rx_take(q, rx->cons, active, &last);
		if (unlikely(breach)) {
			netf_breach(q, breach);
			return work;
		}
		rx->cons++;
		if (last) {
			rx_finish(q);
			work++;
		}
	}
	u64_stats_add(&q->stats->rx_slots, rx->cons - start);

	if (active && NETF_RX_SIZE - (rx->prod - rx->cons) >= NETF_RX_BATCH)
		rx_fill(q);
	return work;
}

RING_IDX netf_rx_arm(struct netf_queue *q, bool busy)
{
	const struct netf_dev *nd = q->nd;
	unsigned int frames = READ_ONCE(nd->rx_frames);
	unsigned int usecs = READ_ONCE(nd->rx_usecs);
	struct netf_rx *rx = &q->rx;
	bool wait = busy && frames > 1 && usecs;
	RING_IDX event = netf_rx_event(READ_ONCE(rx->cons), wait, frames);

	WRITE_ONCE(rx->sring->rsp_event, event);
	/*
	 * The timer ends the wait; when it finds nothing, so does this. After
	 * the event: another CPU may poll by now, and a far event that is
	 * written after its timer has fired would have none.
	 */
	if (wait)
		hrtimer_start(&rx->moderate, ns_to_ktime(usecs * NSEC_PER_USEC),
			      HRTIMER_MODE_REL);
	return event;
}

bool netf_rx_came(const struct netf_queue *q, RING_IDX event)
{
	return !netf_after(event, READ_ONCE(q->rx.sring->rsp_prod));
}
