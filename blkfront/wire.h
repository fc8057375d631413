/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * wire.h: the blkif protocol's arithmetic, apart from any kernel.
 *
 * Counts segments, bounds what the backend announces and judges what it
 * answers. Nothing here touches shared memory: callers copy once and hand the
 * copy in. Compiles in user space too, see tests/unit/blkfront_*.c.
 * Protocol: xen/io/blkif.h and xen/io/ring.h.
 */
#ifndef PVHVM_BLKFRONT_WIRE_H
#define PVHVM_BLKFRONT_WIRE_H

#ifdef __KERNEL__
#include <linux/types.h>
#include <linux/stddef.h>
#include <linux/string.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#endif

#include <pvhvm/abi.h>
#include <xen-public/io/blkif.h>

#define BLKF_PAGE_SIZE		4096u
/*
 * The protocol's sector, whatever the disk's is: Xen's blkif.h since 4.20,
 * and what every backend did before for a frontend that does not claim
 * feature-large-sector-size.
 */
#define BLKF_SECTOR_SIZE	512u
#define BLKF_SECTORS_PER_PAGE	(BLKF_PAGE_SIZE / BLKF_SECTOR_SIZE)

#define BLKF_RING_ORDER_MAX	4u
#define BLKF_QUEUES_MAX		64u
/* As rsp_event: a response that will not come before we have looked again. */
#define BLKF_EVENT_FAR		0x40000000u
#define BLKF_SEGS_DIRECT	BLKIF_MAX_SEGMENTS_PER_REQUEST
/* Descriptors that fit into one indirect page; we never use a second one. */
#define BLKF_SEGS_MAX \
	((unsigned int)(BLKF_PAGE_SIZE / sizeof(struct blkif_request_segment)))

/* In sectors of 512 bytes: the size in bytes stays positive in 64 bits. */
#define BLKF_CAPACITY_MAX	((1ull << 54) - 1)
/* Most that one discard covers: its length in bytes fits into 32 bits. */
#define BLKF_DISCARD_MAX	(0xffffffffu / BLKF_SECTOR_SIZE)

/**
 * blkf_ring_entries() - requests that fit into a ring
 * @order: it has 2^order pages, up to BLKF_RING_ORDER_MAX
 */
static inline unsigned int blkf_ring_entries(unsigned int order)
{
	return __CONST_RING_SIZE(blkif, (uint32_t)(BLKF_PAGE_SIZE << order));
}

static inline unsigned int blkf_min(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/**
 * blkf_ring_order() - order of the ring's pages to use
 * @wanted: by parameter
 * @max_order: the backend's max-ring-page-order, 0 if absent
 * @max_pages: the backend's older max-ring-pages, 0 if absent
 */
static inline unsigned int blkf_ring_order(unsigned int wanted,
					   unsigned int max_order,
					   unsigned int max_pages)
{
	unsigned int order = 0;

	while (max_pages > 1 && order < BLKF_RING_ORDER_MAX) {
		max_pages >>= 1;
		order++;
	}
	if (max_order > order)
		order = max_order;
	return blkf_min(blkf_min(wanted, order), BLKF_RING_ORDER_MAX);
}

/**
 * blkf_queues() - rings to use
 * @wanted: by parameter, 0: choose
 * @cpus: CPUs there are, 1 and up
 * @offered: multi-queue-max-queues, 0 if absent
 *
 * One for two CPUs, as two rings for two CPUs only halve what a doorbell or an
 * interrupt announces; published measurements of blkback peak at four.
 */
static inline unsigned int blkf_queues(unsigned int wanted, unsigned int cpus,
				       unsigned int offered)
{
	unsigned int n = wanted ? wanted : blkf_min((cpus + 1) / 2, 4);

	n = blkf_min(n, blkf_min(cpus, BLKF_QUEUES_MAX));
	return blkf_min(n, offered ? offered : 1);
}

/**
 * blkf_poll_queues() - rings beside those that are never waited for
 * @wanted: by parameter
 * @have: rings with interrupts, 1 and up
 * @offered: multi-queue-max-queues, 0 if absent
 */
static inline unsigned int blkf_poll_queues(unsigned int wanted,
					    unsigned int have,
					    unsigned int offered)
{
	offered = blkf_min(offered, BLKF_QUEUES_MAX);
	return have < offered ? blkf_min(wanted, offered - have) : 0;
}

/**
 * blkf_poll_rings() - rings without interrupts for a disk that is there already
 * @hw: its hardware queues; the last @hw_poll of them, not all, are polled for
 * @rings: rings, 1 to @hw
 *
 * At most half of them, unless the others would have nobody to use them.
 */
static inline unsigned int blkf_poll_rings(unsigned int hw,
					   unsigned int hw_poll,
					   unsigned int rings)
{
	unsigned int waited = hw - hw_poll;
	unsigned int poll = blkf_min(hw_poll, rings / 2);

	return rings - poll > waited ? rings - waited : poll;
}

/**
 * blkf_ring_of() - the ring of a hardware queue
 * @index: of the hardware queue, below @hw
 * @hw: hardware queues; the last @hw_poll of them are polled for
 * @rings: rings, 1 to @hw; the last @poll of them, fewer than @rings, have no
 *	interrupt
 *
 * Each its own, or where there are fewer rings, as evenly as it goes. Whoever
 * polls does it on a ring with interrupts when there is no other; the reverse
 * would never be completed.
 *
 * Return: index of the ring.
 */
static inline unsigned int blkf_ring_of(unsigned int index, unsigned int hw,
					unsigned int hw_poll,
					unsigned int rings, unsigned int poll)
{
	unsigned int waited = rings - poll;

	if (index < hw - hw_poll)
		return index % waited;
	index -= hw - hw_poll;
	return poll ? waited + index % poll : index % waited;
}

/**
 * blkf_segments() - segments that a request may have
 * @wanted: most, by parameter; 0: no indirect requests
 * @offered: feature-max-indirect-segments, 0 if absent
 */
static inline unsigned int blkf_segments(unsigned int wanted,
					 unsigned int offered)
{
	unsigned int n = blkf_min(blkf_min(wanted, offered), BLKF_SEGS_MAX);

	return n > BLKF_SEGS_DIRECT ? n : BLKF_SEGS_DIRECT;
}

/**
 * blkf_segment_ok() - can the protocol express this piece of memory?
 * @offset: within its page
 * @len: bytes
 */
static inline bool blkf_segment_ok(unsigned int offset, unsigned int len)
{
	return len && !((offset | len) % BLKF_SECTOR_SIZE) &&
	       offset < BLKF_PAGE_SIZE && len <= BLKF_PAGE_SIZE - offset;
}

/* All of it: behind the last field are bytes that the backend gets to see. */
static inline void blkf_segment_set(struct blkif_request_segment *s,
				    grant_ref_t ref, unsigned int offset,
				    unsigned int len)
{
	memset(s, 0, sizeof(*s));
	s->gref = ref;
	s->first_sect = offset / BLKF_SECTOR_SIZE;
	s->last_sect = (offset + len) / BLKF_SECTOR_SIZE - 1;
}

/* Not an operation of the protocol. */
#define BLKF_OP_NONE		0xffu

/**
 * blkf_flush_op() - the operation that makes durable what was written
 * @cache: the backend flushes its cache, and has not refused to
 * @barrier: it takes barriers, and has not refused one
 *
 * A barrier without data is a flush that also orders: the second choice.
 * Return: BLKF_OP_NONE if there is none.
 */
static inline uint8_t blkf_flush_op(bool cache, bool barrier)
{
	return cache ? BLKIF_OP_FLUSH_DISKCACHE :
	       barrier ? BLKIF_OP_WRITE_BARRIER : BLKF_OP_NONE;
}

/* ---- what the backend says about the disk ---- */

/**
 * struct blkf_props - properties of the disk
 * @capacity: in 512-byte sectors
 * @sector_size: logical block, bytes: 512..4096, a power of two
 * @physical_size: physical block, bytes: a power of two times @sector_size
 * @discard_granularity: bytes; 0: no discard
 * @discard_alignment: bytes, below @discard_granularity
 * @secure: discards can be secure
 */
struct blkf_props {
	uint64_t capacity;
	unsigned int sector_size;
	unsigned int physical_size;
	unsigned int discard_granularity;
	unsigned int discard_alignment;
	bool secure;
};

static inline bool blkf_is_pow2(unsigned int n)
{
	return n && !(n & (n - 1));
}

/**
 * blkf_props_clamp() - make sense of what was read, or say why there is none
 * @p: as read; a granularity of 0 with @discard set means "not told"
 * @discard: the backend takes discards
 *
 * The three things without which there is no disk are refused, the rest is
 * replaced by its default. Return: NULL, or the complaint.
 */
static inline const char *blkf_props_clamp(struct blkf_props *p, bool discard)
{
	if (!blkf_is_pow2(p->sector_size) ||
	    p->sector_size < BLKF_SECTOR_SIZE ||
	    p->sector_size > BLKF_PAGE_SIZE)
		return "impossible sector-size";
	if (p->capacity > BLKF_CAPACITY_MAX)
		return "impossible number of sectors";
	p->capacity -= p->capacity % (p->sector_size / BLKF_SECTOR_SIZE);

	if (!blkf_is_pow2(p->physical_size) ||
	    p->physical_size < p->sector_size ||
	    p->physical_size > (1u << 24))
		p->physical_size = p->sector_size;

	if (!discard) {
		p->discard_granularity = 0;
		p->discard_alignment = 0;
		p->secure = false;
		return NULL;
	}
	if (p->discard_granularity < p->sector_size ||
	    p->discard_granularity % p->sector_size)
		p->discard_granularity = p->sector_size;
	if (p->discard_alignment >= p->discard_granularity ||
	    p->discard_alignment % p->sector_size)
		p->discard_alignment = 0;
	return NULL;
}

/* ---- what the backend answers ---- */

/**
 * blkf_rsp_count() - responses to take, judged by the indices
 * @prod: copy of the shared rsp_prod
 * @cons: our rsp_cons
 * @sent: our req_prod_pvt, read after @prod
 *
 * Return: how many; negative: more than there are requests.
 */
static inline int blkf_rsp_count(RING_IDX prod, RING_IDX cons, RING_IDX sent)
{
	RING_IDX n = prod - cons;

	return n > sent - cons ? -1 : (int)n;
}

/* What we know of a request number. */
enum blkf_req_state {
	BLKF_REQ_FREE,
	BLKF_REQ_SENT,		/* the backend has it */
	BLKF_REQ_DONE,		/* answered, being completed */
};

/**
 * blkf_rsp_check_id() - is there a request of this number?
 * @id: from a copied response
 * @nr: numbers that exist
 */
static inline const char *blkf_rsp_check_id(uint64_t id, unsigned int nr)
{
	return id < nr ? NULL : "response to a request that cannot exist";
}

/**
 * blkf_rsp_check() - does a response answer the request it names?
 * @state: the request's
 * @sent_op: the operation that was asked for
 * @indirect_op: for BLKIF_OP_INDIRECT: what it carries. Stock backends
 *	answer with that one, the text of the protocol with the other
 * @op: the response's operation
 *
 * Return: NULL, or what is wrong.
 */
static inline const char *blkf_rsp_check(enum blkf_req_state state,
					 uint8_t sent_op, uint8_t indirect_op,
					 uint8_t op)
{
	if (state != BLKF_REQ_SENT)
		return "response to a request that was not sent";
	if (op != sent_op &&
	    !(sent_op == BLKIF_OP_INDIRECT && op == indirect_op))
		return "response to another operation than was asked for";
	return NULL;
}

#endif /* PVHVM_BLKFRONT_WIRE_H */
