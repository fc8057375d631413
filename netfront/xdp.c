// SPDX-License-Identifier: GPL-2.0-only
/*
 * xdp.c: programs that see packets first.
 *
 * A program wants one page a packet, room before it, and a checksum that is
 * there. What the backend sends is agreed on when the connection is made: so
 * attaching and detaching makes it anew. Until then no packet is delivered
 * past a program that has been attached.
 *
 * What is not as agreed all the same is dropped and counted (rx_xdp_unfit);
 * only missing headroom, which older backends do not offer, is made by
 * copying (rx_xdp_copied).
 */
#include "netfront.h"

#include <linux/bpf_trace.h>
#include <linux/etherdevice.h>
#include <linux/filter.h>
#include <linux/if_vlan.h>
#include <linux/skbuff.h>
#include <net/page_pool/helpers.h>

/* The stack's structure for a packet comes to lie behind it. */
#define XDP_TAILROOM	SKB_DATA_ALIGN(sizeof(struct skb_shared_info))
#define XDP_LEN_MAX	(PAGE_SIZE - XDP_PACKET_HEADROOM - XDP_TAILROOM)

unsigned int netf_xdp_max_mtu(void)
{
	return XDP_LEN_MAX - VLAN_ETH_HLEN;
}

/* ---- attaching ---- */

static int xdp_set_prog(struct netf_dev *nd, struct netdev_bpf *bpf)
{
	struct bpf_prog *old;

	if (bpf->prog && nd->netdev->mtu > netf_xdp_max_mtu()) {
		NL_SET_ERR_MSG_MOD(bpf->extack,
				   "the MTU is too large: a packet must fit a page with headroom");
		return -EINVAL;
	}
	old = rtnl_dereference(nd->xdp_prog);
	rcu_assign_pointer(nd->xdp_prog, bpf->prog);
	if (old)
		bpf_prog_put(old);
	if (bpf->prog && nd->live && !nd->conn_xdp)
		netf_receive_stop(nd);
	/* Gone again before the connection was: it goes on as it is. */
	if (!bpf->prog && nd->live && netif_running(nd->netdev))
		netf_receive_start(nd);
	netf_renegotiate(nd);
	return 0;
}

int netf_bpf(struct net_device *dev, struct netdev_bpf *bpf)
{
	if (bpf->command != XDP_SETUP_PROG)
		return -EINVAL;
	return xdp_set_prog(netdev_priv(dev), bpf);
}

int netf_xdp_attach(struct netf_queue *q)
{
	struct netf_rx *rx = &q->rx;
	int err;

	if (netf_fail_step(q->nd, "XDP"))
		return -ENOMEM;
	err = xdp_rxq_info_reg(&rx->rxq, q->nd->netdev, q->index,
			       q->napi.napi_id);
	if (err)
		return err;
	err = xdp_rxq_info_reg_mem_model(&rx->rxq, MEM_TYPE_PAGE_POOL,
					 rx->pool);
	if (err) {
		xdp_rxq_info_unreg(&rx->rxq);
		return err;
	}
	rx->xdp = true;
	return 0;
}

void netf_xdp_detach(struct netf_queue *q)
{
	if (q->rx.xdp)
		xdp_rxq_info_unreg(&q->rx.rxq);
	q->rx.xdp = false;
}

/* ---- receiving ---- */

static void xdp_unfit(struct netf_queue *q)
{
	u64_stats_inc(&q->stats->rx_xdp_unfit);
	q->rx.dropping = true;
}

enum netf_breach netf_xdp_take(struct netf_queue *q, struct netf_rx_slot *slot,
			       const struct netf_rx_piece *piece)
{
	struct netf_rx *rx = &q->rx;

	if (rx->state.more) {
		xdp_unfit(q);
		return NETF_OK;
	}
	rx->held = netf_rx_claim(slot);
	if (!rx->held)
		return NETF_BREACH_RX_GRANT;
	rx->held_off = piece->offset;
	rx->held_len = piece->size;
	return NETF_OK;
}

/* Move a packet that has no room around it. Return: NULL without memory. */
static struct page *xdp_make_room(struct netf_queue *q, struct page *old,
				  unsigned int *off, unsigned int len)
{
	struct page *page;

	if (*off >= XDP_PACKET_HEADROOM && *off + len + XDP_TAILROOM <= PAGE_SIZE)
		return old;
	page = page_pool_dev_alloc_pages(q->rx.pool);
	if (page) {
		memcpy(page_address(page) + XDP_PACKET_HEADROOM,
		       page_address(old) + *off, len);
		*off = XDP_PACKET_HEADROOM;
		u64_stats_inc(&q->stats->rx_xdp_copied);
	} else {
		u64_stats_inc(&q->stats->rx_drop_no_memory);
	}
	page_pool_recycle_direct(q->rx.pool, old);
	return page;
}

static struct sk_buff *xdp_build_skb(struct netf_queue *q, struct page *page,
				     const struct xdp_buff *xdp)
{
	unsigned int meta = xdp->data - xdp->data_meta;
	struct sk_buff *skb = build_skb(xdp->data_hard_start, PAGE_SIZE);

	if (unlikely(!skb)) {
		page_pool_recycle_direct(q->rx.pool, page);
		u64_stats_inc(&q->stats->rx_drop_no_memory);
		return NULL;
	}
	pvhvm_page_pool_handover(q->rx.pool, skb, page);
	skb_reserve(skb, xdp->data - xdp->data_hard_start);
	skb_put(skb, xdp->data_end - xdp->data);
	if (meta)
		skb_metadata_set(skb, meta);
	u64_stats_inc(&q->stats->rx_xdp_pass);
	return skb;
}

/* Back where it came from; the poll's end rings the doorbell. */
static bool xdp_send_back(struct netf_queue *q, struct xdp_buff *xdp)
{
	struct xdp_frame *frame = xdp_convert_buff_to_frame(xdp);
	bool sent;

	if (unlikely(!frame))
		return false;
	__netif_tx_lock(q->tx.txq, smp_processor_id());
	sent = netf_tx_frame(q, frame);
	if (sent)
		q->tx.deferred = true;
	__netif_tx_unlock(q->tx.txq);
	return sent;
}

/* Return: true when the packet went somewhere, and the page with it. */
static bool xdp_act(struct netf_queue *q, struct bpf_prog *prog,
		    struct xdp_buff *xdp, u32 act)
{
	struct net_device *dev = q->nd->netdev;
	struct netf_qstats *st = q->stats;

	switch (act) {
	case XDP_TX:
		if (!xdp_send_back(q, xdp)) {
			trace_xdp_exception(dev, prog, act);
			return false;
		}
		u64_stats_inc(&st->rx_xdp_tx);
		return true;
	case XDP_REDIRECT:
		if (xdp_do_redirect(dev, xdp, prog)) {
			u64_stats_inc(&st->rx_xdp_aborted);
			trace_xdp_exception(dev, prog, act);
			return false;
		}
		q->rx.redirected = true;
		u64_stats_inc(&st->rx_xdp_redirect);
		return true;
	case XDP_DROP:
		u64_stats_inc(&st->rx_xdp_drop);
		return false;
	default:
		bpf_warn_invalid_xdp_action(dev, prog, act);
		fallthrough;
	case XDP_ABORTED:
		u64_stats_inc(&st->rx_xdp_aborted);
		trace_xdp_exception(dev, prog, act);
		return false;
	}
}

struct sk_buff *netf_xdp_run(struct netf_queue *q)
{
	struct netf_rx *rx = &q->rx;
	unsigned int off;
	struct sk_buff *skb = NULL;
	struct page *page = rx->held;
	struct bpf_prog *prog;
	struct xdp_buff xdp;
	u32 act = XDP_PASS;

	rx->held = NULL;
	if (unlikely(rx->state.gso_size ||
		     (rx->state.flags & NETRXF_csum_blank) ||
		     !netf_rx_skip_headroom(&rx->state, &rx->held_off,
					    &rx->held_len) ||
		     rx->held_len < ETH_HLEN || rx->held_len > XDP_LEN_MAX)) {
		xdp_unfit(q);
		page_pool_recycle_direct(rx->pool, page);
		return NULL;
	}
	/* A sum that was right may not be when the program is done. */
	rx->state.flags = 0;
	off = rx->held_off;
	page = xdp_make_room(q, page, &off, rx->held_len);
	if (unlikely(!page))
		return NULL;

	xdp_init_buff(&xdp, PAGE_SIZE, &rx->rxq);
	xdp_prepare_buff(&xdp, page_address(page), off, rx->held_len, true);
	rcu_read_lock();
	prog = rcu_dereference(q->nd->xdp_prog);
	if (prog)
		act = bpf_prog_run_xdp(prog, &xdp);
	if (act == XDP_PASS)
		skb = xdp_build_skb(q, page, &xdp);
	else if (!xdp_act(q, prog, &xdp, act))
		page_pool_recycle_direct(rx->pool, page);
	rcu_read_unlock();
	return skb;
}

void netf_xdp_flush(struct netf_queue *q)
{
	if (!q->rx.redirected)
		return;
	q->rx.redirected = false;
	xdp_do_flush();
}

/* ---- sending what others redirect to us ---- */

int netf_xdp_xmit(struct net_device *dev, int n, struct xdp_frame **frames,
		  u32 flags)
{
	struct netf_dev *nd = netdev_priv(dev);
	unsigned int queues = READ_ONCE(nd->nr_queues);
	struct netf_queue *q;
	int i;

	if (flags & ~XDP_XMIT_FLAGS_MASK)
		return -EINVAL;
	/* Teardown waits until nobody is left who saw it live. */
	if (!queues || !READ_ONCE(nd->live) || READ_ONCE(nd->broken) ||
	    READ_ONCE(nd->paused) || !netif_running(dev))
		return -ENETDOWN;
	q = &nd->queue[smp_processor_id() % queues];

	__netif_tx_lock(q->tx.txq, smp_processor_id());
	for (i = 0; i < n; i++) {
		if (!netf_tx_frame(q, frames[i]))
			xdp_return_frame(frames[i]);
	}
	if (flags & XDP_XMIT_FLUSH)
		netf_tx_flush(q);
	__netif_tx_unlock(q->tx.txq);
	/* All are taken care of: kernels differ in who frees the rest. */
	return n;
}
