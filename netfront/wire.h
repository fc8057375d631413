/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * wire.h: the netif protocol's arithmetic, apart from any kernel.
 *
 * Counts slots, judges what the backend wrote, follows a received packet from
 * slot to slot and finds the headers in it. Nothing here touches shared
 * memory: callers copy once and hand the copy in. Compiles in user space too,
 * where tests/unit/netfront_*.c feed it with nonsense.
 * Protocol: xen/io/netif.h and xen/io/ring.h.
 */
#ifndef PVHVM_NETFRONT_WIRE_H
#define PVHVM_NETFRONT_WIRE_H

#ifdef __KERNEL__
#include <linux/types.h>
#include <linux/stddef.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#endif

#include <pvhvm/abi.h>
#include <xen-public/io/netif.h>

#define NETF_PAGE_SIZE		4096u
#define NETF_TX_SIZE	((unsigned int)__CONST_RING_SIZE(netif_tx, NETF_PAGE_SIZE))
#define NETF_RX_SIZE	((unsigned int)__CONST_RING_SIZE(netif_rx, NETF_PAGE_SIZE))

/* Slots for data in one transmitted packet that any backend accepts. */
#define NETF_TX_SLOTS_MAX	XEN_NETIF_NR_SLOTS_MIN
/* What a packet can take of the ring: its data and one extra (GSO). */
#define NETF_TX_ROOM		(NETF_TX_SLOTS_MAX + 1)
/*
 * The headroom that an XDP program was promised, told with each packet. Xen's
 * netif.h has it since feature-xdp-headroom: type 5, u.xdp.headroom.
 */
#define NETF_EXTRA_XDP		5
#define NETF_EXTRA_TYPE_END	6
/* An extra of each type at most: types 1..END-1. */
#define NETF_EXTRAS_MAX		(NETF_EXTRA_TYPE_END - 1)
/* The backend drops a packet whose first slot has less. */
#define NETF_FIRST_SLOT_MIN	14u
/* Lazily reaped transmit slots that may gather before an event is due. */
#define NETF_TX_LAZY		(NETF_TX_SIZE / 2)

/* Is index @a later than @b? Indices wrap; differences stay below 2^31. */
static inline bool netf_after(RING_IDX a, RING_IDX b)
{
	return (int32_t)(a - b) > 0;
}

/**
 * netf_span() - pages that a piece of memory touches
 * @offset: within its first page, any value
 * @len: bytes; 0 touches none
 */
static inline unsigned int netf_span(unsigned int offset, unsigned int len)
{
	offset &= NETF_PAGE_SIZE - 1;
	return len ? (offset + len + NETF_PAGE_SIZE - 1) / NETF_PAGE_SIZE : 0;
}

/**
 * netf_must_notify() - does the peer want an event for what was just pushed?
 * @old: producer index before
 * @new: producer index now
 * @event: the index whose passing the peer waits for
 */
static inline bool netf_must_notify(RING_IDX old, RING_IDX new, RING_IDX event)
{
	return (RING_IDX)(new - event) < (RING_IDX)(new - old);
}

/**
 * netf_rsp_prod_ok() - can there be this many responses?
 * @rsp_prod: what the backend published
 * @cons: responses consumed so far
 * @pushed: requests published so far; @pushed - @cons are in flight
 */
static inline bool netf_rsp_prod_ok(RING_IDX rsp_prod, RING_IDX cons,
				    RING_IDX pushed)
{
	return rsp_prod - cons <= pushed - cons;
}

/**
 * netf_tx_event() - which response should raise an event?
 * @cons: responses consumed so far
 * @urgent: requests in flight whose buffers belong to somebody
 * @most: urgent responses that may wait for one event, 1 and up
 *
 * Responses come in any order: a backend answers what it has copied before
 * what it still uses. So urgent ones are counted, not told by their place.
 *
 * With urgent requests in flight: after three quarters of their number, so
 * that a burst costs few interrupts and none is forgotten, but not more than
 * @most. Without: far away, but before the ring can fill up.
 */
static inline RING_IDX netf_tx_event(RING_IDX cons, unsigned int urgent,
				     unsigned int most)
{
	unsigned int n = urgent - urgent / 4;

	if (!urgent)
		return cons + NETF_TX_LAZY;
	return cons + (n < most ? n : most);
}

/**
 * netf_rx_event() - the same for receive responses
 * @cons: responses consumed so far
 * @busy: some came since we last looked; a timer is running
 * @frames: responses that may wait for one event while busy, 1 and up
 */
static inline RING_IDX netf_rx_event(RING_IDX cons, bool busy,
				     unsigned int frames)
{
	return cons + (busy ? frames : 1);
}

/**
 * enum netf_breach - how a backend can break the protocol
 *
 * Anything but NETF_OK: touch the ring no more. netf_breach_text() tells why.
 */
enum netf_breach {
	NETF_OK,
	NETF_BREACH_TX_AHEAD,
	NETF_BREACH_TX_ID,
	NETF_BREACH_TX_NULL,
	NETF_BREACH_TX_GRANT,
	NETF_BREACH_RX_AHEAD,
	NETF_BREACH_RX_ID,
	NETF_BREACH_RX_BOUNDS,
	NETF_BREACH_RX_EXTRA,
	NETF_BREACH_RX_GRANT,
	NETF_BREACH_CTRL,
	NETF_BREACH_COUNT
};

static inline const char *netf_breach_text(enum netf_breach breach)
{
	switch (breach) {
	case NETF_BREACH_TX_AHEAD:
		return "more transmit responses than requests";
	case NETF_BREACH_TX_ID:
		return "transmit response to a request not in flight";
	case NETF_BREACH_TX_NULL:
		return "empty transmit response without an extra in flight";
	case NETF_BREACH_TX_GRANT:
		return "transmit response while the page is still in use";
	case NETF_BREACH_RX_AHEAD:
		return "more receive responses than requests";
	case NETF_BREACH_RX_ID:
		return "receive response out of order";
	case NETF_BREACH_RX_BOUNDS:
		return "receive response beyond its page";
	case NETF_BREACH_RX_EXTRA:
		return "malformed extra info in a received packet";
	case NETF_BREACH_RX_GRANT:
		return "receive response while the page is still in use";
	case NETF_BREACH_CTRL:
		return "control response without its request";
	default:
		return "unknown breach";
	}
}

/* ---- receive: a packet, slot by slot ---- */

/* One response of the receive ring, copied out of it in a single access. */
union netf_rx_raw {
	uint64_t raw;
	struct netif_rx_response rsp;
	struct netif_extra_info extra;
};

/* Why a packet, though within the protocol, cannot be delivered. */
enum netf_rx_flaw {
	NETF_RX_FINE,
	NETF_RX_FAILED,		/* the backend says so: negative status */
	NETF_RX_BAD_GSO,	/* segment size or type makes no sense */
	NETF_RX_PREFIX,		/* the old GSO prefix, which we never offer */
};

/**
 * struct netf_rx_state - where we are in a packet; all zero: at its start
 * @phase: what the next slot is
 * @more: data slots follow the extras
 * @extras: seen in this packet
 * @flaw: enum netf_rx_flaw, the first one found
 * @flags: NETRXF_* of the first slot
 * @gso_size: payload bytes of a segment; 0: not a GSO packet
 * @gso_type: XEN_NETIF_GSO_TYPE_*
 * @headroom: bytes before the packet, as its extra for XDP tells
 * @hashed: the backend told the packet's hash
 * @hash_l4: it covers the ports
 * @hash: the hash
 */
struct netf_rx_state {
	uint8_t phase;
	bool more;
	uint8_t extras;
	uint8_t flaw;
	uint16_t flags;
	uint16_t gso_size;
	uint8_t gso_type;
	uint16_t headroom;
	bool hashed;
	bool hash_l4;
	uint32_t hash;
};

enum { NETF_RX_START, NETF_RX_EXTRA, NETF_RX_DATA };

/**
 * struct netf_rx_piece - what one slot turned out to be
 * @data: it carries data (else an extra: its page was not used)
 * @first: the packet's first slot
 * @last: the packet ends here
 * @offset: in the page; @offset + @size <= NETF_PAGE_SIZE
 * @size: bytes, 0 if the packet is flawed
 */
struct netf_rx_piece {
	bool data;
	bool first;
	bool last;
	uint16_t offset;
	uint16_t size;
};

/* A hash of a kind we do not know is no hash. */
static inline void netf_rx_take_hash(struct netf_rx_state *st,
				     const struct netif_extra_info *x)
{
	const uint8_t *v = x->u.hash.value;

	if (x->u.hash.algorithm != XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ ||
	    x->u.hash.type > _XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP)
		return;
	st->hashed = true;
	st->hash_l4 = x->u.hash.type == _XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP ||
		x->u.hash.type == _XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP;
	st->hash = v[0] | v[1] << 8 | v[2] << 16 | (uint32_t)v[3] << 24;
}

static inline enum netf_breach
netf_rx_step_extra(struct netf_rx_state *st, const struct netif_extra_info *x)
{
	if (x->type == XEN_NETIF_EXTRA_TYPE_NONE ||
	    x->type >= NETF_EXTRA_TYPE_END ||
	    ++st->extras > NETF_EXTRAS_MAX)
		return NETF_BREACH_RX_EXTRA;

	if (x->type == XEN_NETIF_EXTRA_TYPE_GSO) {
		st->gso_size = x->u.gso.size;
		st->gso_type = x->u.gso.type;
		if (!st->flaw && (!st->gso_size ||
				  (st->gso_type != XEN_NETIF_GSO_TYPE_TCPV4 &&
				   st->gso_type != XEN_NETIF_GSO_TYPE_TCPV6)))
			st->flaw = NETF_RX_BAD_GSO;
	} else if (x->type == XEN_NETIF_EXTRA_TYPE_HASH) {
		netf_rx_take_hash(st, x);
	} else if (x->type == NETF_EXTRA_XDP) {
		st->headroom = x->u.pad[0];
	}
	if (!(x->flags & XEN_NETIF_EXTRA_FLAG_MORE))
		st->phase = NETF_RX_DATA;
	return NETF_OK;
}

static inline enum netf_breach
netf_rx_step_data(struct netf_rx_state *st, RING_IDX idx,
		  const struct netif_rx_response *rsp,
		  struct netf_rx_piece *piece)
{
	if (rsp->id != (idx & (NETF_RX_SIZE - 1)))
		return NETF_BREACH_RX_ID;
	if (rsp->status >= 0) {
		if (rsp->offset > NETF_PAGE_SIZE ||
		    rsp->offset + (uint32_t)rsp->status > NETF_PAGE_SIZE)
			return NETF_BREACH_RX_BOUNDS;
		piece->offset = rsp->offset;
		piece->size = (uint16_t)rsp->status;
	} else if (!st->flaw) {
		st->flaw = NETF_RX_FAILED;
	}

	piece->data = true;
	st->more = rsp->flags & NETRXF_more_data;
	if (st->phase == NETF_RX_START) {
		piece->first = true;
		st->flags = rsp->flags;
		if ((rsp->flags & NETRXF_gso_prefix) && !st->flaw)
			st->flaw = NETF_RX_PREFIX;
		st->phase = rsp->flags & NETRXF_extra_info ?
			NETF_RX_EXTRA : NETF_RX_DATA;
	}
	return NETF_OK;
}

/**
 * netf_rx_step() - take one slot
 * @st: the packet so far; the caller zeroes it after a piece that is last,
 *	having looked at flaw, flags and gso_*
 * @idx: the slot's ring index
 * @raw: a private copy of the slot
 * @piece: filled
 *
 * Return: NETF_OK or the breach.
 */
static inline enum netf_breach
netf_rx_step(struct netf_rx_state *st, RING_IDX idx,
	     const union netf_rx_raw *raw, struct netf_rx_piece *piece)
{
	enum netf_breach breach;

	*piece = (struct netf_rx_piece){ .data = false };
	if (st->phase == NETF_RX_EXTRA)
		breach = netf_rx_step_extra(st, &raw->extra);
	else
		breach = netf_rx_step_data(st, idx, &raw->rsp, piece);
	if (breach)
		return breach;

	piece->last = st->phase == NETF_RX_DATA && !st->more;
	if (st->flaw)
		piece->size = 0;
	return NETF_OK;
}

/**
 * netf_rx_skip_headroom() - where a packet with headroom really starts
 * @st: the packet, complete
 * @offset: of its only slot
 * @len: bytes in that slot
 *
 * Linux's netback counts the headroom it was asked for as part of the slot:
 * offset 0, a size that includes it. One that tells the packet's own offset
 * is taken at its word. Return: false when nothing is left.
 */
static inline bool netf_rx_skip_headroom(const struct netf_rx_state *st,
					 uint16_t *offset, uint16_t *len)
{
	uint16_t skip = st->headroom > *offset ? st->headroom - *offset : 0;

	if (skip >= *len)
		return false;
	*offset += skip;
	*len -= skip;
	return true;
}

/* ---- transmit responses ---- */

enum netf_tx_verdict {
	NETF_TX_DONE,		/* sent, as far as we can know */
	NETF_TX_FAILED,		/* the backend dropped it */
	NETF_TX_NULL,		/* stands for an extra; its id means nothing */
};

static inline enum netf_tx_verdict
netf_tx_judge(const struct netif_tx_response *rsp)
{
	if (rsp->status == NETIF_RSP_NULL)
		return NETF_TX_NULL;
	return rsp->status == NETIF_RSP_OKAY ? NETF_TX_DONE : NETF_TX_FAILED;
}

/* ---- control ring ---- */

/**
 * netf_ctrl_answers() - is this the answer to that request?
 * @req: the only one in flight
 * @rsp: a private copy
 */
static inline bool
netf_ctrl_answers(const struct xen_netif_ctrl_request *req,
		  const struct xen_netif_ctrl_response *rsp)
{
	return rsp->id == req->id && rsp->type == req->type;
}

/* Entries in the table from hash to queue, and bytes of the key. */
#define NETF_RSS_MAP		128u
#define NETF_RSS_KEY		40u

/* ---- headers ---- */

/**
 * struct netf_headers - what netf_parse() found
 * @len: bytes of Ethernet, IP and TCP or UDP header; 0 when not understood
 * @l4: offset of the TCP or UDP header
 * @csum: offset of the checksum field within it
 * @gso_type: XEN_NETIF_GSO_TYPE_* that would fit; NONE for UDP
 */
struct netf_headers {
	uint16_t len;
	uint16_t l4;
	uint16_t csum;
	uint8_t gso_type;
};

static inline unsigned int netf_be16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

static inline void netf_parse_l4(const uint8_t *p, unsigned int len,
				 unsigned int l4, unsigned int proto,
				 uint8_t gso_type, struct netf_headers *h)
{
	unsigned int hlen;

	if (proto == 6) {		/* TCP */
		if (l4 + 20 > len)
			return;
		hlen = (p[l4 + 12] >> 4) * 4;
		if (hlen < 20)
			return;
		h->csum = 16;
	} else if (proto == 17) {	/* UDP */
		hlen = 8;
		h->csum = 6;
		gso_type = XEN_NETIF_GSO_TYPE_NONE;
	} else {
		return;
	}
	if (l4 + hlen > len)
		return;
	h->l4 = (uint16_t)l4;
	h->len = (uint16_t)(l4 + hlen);
	h->gso_type = gso_type;
}

/**
 * netf_parse() - find the headers of a common packet
 * @p: starts with the Ethernet header; private memory, or a page that the
 *	backend can no longer write to
 * @len: readable bytes, at most a page
 * @h: filled; @h->len is 0 for anything but TCP or UDP in unfragmented IPv4
 *	or extension-less IPv6, with or without one VLAN tag
 */
static inline void netf_parse(const uint8_t *p, unsigned int len,
			      struct netf_headers *h)
{
	unsigned int proto, l3 = 14, ihl;

	*h = (struct netf_headers){ .len = 0 };
	if (len < l3)
		return;
	proto = netf_be16(p + 12);
	if (proto == 0x8100 && len >= 18) {
		proto = netf_be16(p + 16);
		l3 = 18;
	}

	if (proto == 0x0800 && len >= l3 + 20) {
		ihl = (p[l3] & 0x0f) * 4;
		if (p[l3] >> 4 != 4 || ihl < 20 || l3 + ihl > len ||
		    (netf_be16(p + l3 + 6) & 0x3fff))
			return;
		netf_parse_l4(p, len, l3 + ihl, p[l3 + 9],
			      XEN_NETIF_GSO_TYPE_TCPV4, h);
	} else if (proto == 0x86dd && len >= l3 + 40) {
		if (p[l3] >> 4 != 6)
			return;
		netf_parse_l4(p, len, l3 + 40, p[l3 + 6],
			      XEN_NETIF_GSO_TYPE_TCPV6, h);
	}
}

#endif /* PVHVM_NETFRONT_WIRE_H */
