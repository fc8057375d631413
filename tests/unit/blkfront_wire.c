// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of blkfront/wire.h: what the backend offers is bounded, what it
 * says about the disk makes sense or is refused, what it answers is checked.
 */
#include <stdio.h>
#include <string.h>

#include "blkfront/wire.h"

static unsigned int test_nr, failed;

static void ok(bool good, const char *name)
{
	printf("%sok %u - %s\n", good ? "" : "not ", ++test_nr, name);
	failed += !good;
}

static uint64_t seed = 0x9e3779b97f4a7c15;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* Numbers as a hostile backend picks them: edges, powers, noise. */
static uint64_t odd(void)
{
	static const uint64_t edge[] = {
		0, 1, 2, 11, 12, 511, 512, 513, 4095, 4096, 4097, 0xffff,
		0x7fffffff, 0x80000000, 0xffffffff, 1ull << 54, ~0ull,
	};

	switch (rnd() % 4) {
	case 0:
		return edge[rnd() % (sizeof(edge) / sizeof(*edge))];
	case 1:
		return 1ull << (rnd() % 64);
	case 2:
		return rnd() % 1000;
	}
	return rnd();
}

static void test_sizes(void)
{
	static const unsigned int want[] = { 32, 64, 128, 256, 512 };
	unsigned int order, bad = 0;

	for (order = 0; order <= BLKF_RING_ORDER_MAX; order++)
		bad += blkf_ring_entries(order) != want[order];
	ok(!bad, "32 requests a page, doubling");
	ok(sizeof(struct blkif_request) == 112, "a request has 112 bytes");
	ok(sizeof(struct blkif_request_indirect) <= 112, "so has an indirect one");
	ok(sizeof(struct blkif_response) == 16, "a response has 16 bytes");
	ok(BLKF_SEGS_MAX == 512, "512 descriptors a page");
}

static void test_offers(void)
{
	unsigned int i, bad = 0;

	ok(blkf_ring_order(2, 4, 0) == 2, "we want less than offered");
	ok(blkf_ring_order(4, 1, 0) == 1, "we want more than offered");
	ok(blkf_ring_order(4, 0, 8) == 3, "an offer in pages");
	ok(blkf_ring_order(4, 0, 1) == 0, "an offer of one page");
	ok(blkf_ring_order(4, 0, 0) == 0, "no offer");
	ok(blkf_queues(0, 1, 8) == 1 && blkf_queues(0, 2, 8) == 1 &&
	   blkf_queues(0, 3, 8) == 2, "a ring for two CPUs");
	ok(blkf_queues(0, 16, 8) == 4, "four by default");
	ok(blkf_queues(8, 2, 8) == 2, "no more rings than CPUs");
	ok(blkf_queues(8, 16, 6) == 6, "as many as offered");
	ok(blkf_queues(8, 16, 0) == 1, "one if nothing is offered");
	ok(blkf_poll_queues(2, 1, 4) == 2 && blkf_poll_queues(9, 1, 4) == 3 &&
	   blkf_poll_queues(2, 4, 4) == 0 && blkf_poll_queues(2, 1, 0) == 0,
	   "rings for polling are what others leave");
	ok(blkf_segments(64, 256) == 64, "segments as wanted");
	ok(blkf_segments(64, 32) == 32, "segments as offered");
	ok(blkf_segments(64, 0) == 11, "no indirect requests offered");
	ok(blkf_segments(0, 256) == 11, "no indirect requests wanted");
	ok(blkf_segments(64, 5) == 11, "an offer below what is always there");
	for (i = 0; i < 200000; i++) {
		unsigned int q = blkf_queues(odd(), 1 + rnd() % 64, odd());
		unsigned int s = blkf_segments(odd(), odd());

		bad += blkf_ring_order(odd(), odd(), odd()) > BLKF_RING_ORDER_MAX;
		bad += q < 1 || q > BLKF_QUEUES_MAX;
		bad += s < BLKF_SEGS_DIRECT || s > BLKF_SEGS_MAX;
	}
	ok(!bad, "no offer leads out of bounds");
}

/* What is wrong with how @hw hardware queues share @rings? 0: nothing. */
static unsigned int sharing_faults(unsigned int hw, unsigned int hw_poll,
				   unsigned int rings)
{
	unsigned int poll = blkf_poll_rings(hw, hw_poll, rings);
	unsigned int i, bad = 0, users[8] = { 0 };

	if (poll >= rings || poll > hw_poll)
		return 1;
	for (i = 0; i < hw; i++) {
		unsigned int ring = blkf_ring_of(i, hw, hw_poll, rings, poll);
		bool polled = ring >= rings - poll;

		if (ring >= rings)
			return 1;
		users[ring]++;
		bad += rings == hw && ring != i;
		bad += polled != (i >= hw - hw_poll) && (polled || poll);
	}
	for (i = 0; i < rings; i++)
		bad += !users[i];
	return bad;
}

static void test_sharing(void)
{
	unsigned int hw, hw_poll, rings, bad = 0;

	for (hw = 1; hw <= 8; hw++)
		for (hw_poll = 0; hw_poll < hw; hw_poll++)
			for (rings = 1; rings <= hw; rings++)
				bad += sharing_faults(hw, hw_poll, rings);
	ok(!bad, "each hardware queue has a ring that is looked at, each ring a user");
	ok(blkf_ring_of(0, 4, 0, 3, 0) == blkf_ring_of(3, 4, 0, 3, 0),
	   "the fourth shares the first's");
}

static void test_segments(void)
{
	const size_t used = offsetof(struct blkif_request_segment, last_sect) + 1;
	struct blkif_request_segment s;
	unsigned int offset, len, bad = 0;

	memset(&s, 0xa5, sizeof(s));
	blkf_segment_set(&s, 77, 512, 512);
	for (offset = used; offset < sizeof(s); offset++)
		bad += ((unsigned char *)&s)[offset] != 0;
	ok(!bad, "nothing of ours behind a segment's fields");
	blkf_segment_set(&s, 77, 0, 4096);
	ok(s.gref == 77 && s.first_sect == 0 && s.last_sect == 7, "a whole page");
	blkf_segment_set(&s, 77, 3584, 512);
	ok(s.first_sect == 7 && s.last_sect == 7, "its last sector");
	ok(!blkf_segment_ok(0, 0), "nothing is no segment");
	ok(!blkf_segment_ok(512, 4096), "not beyond the page");
	ok(!blkf_segment_ok(100, 512) && !blkf_segment_ok(0, 100),
	   "not by halves of sectors");
	for (offset = 0; offset <= 4096; offset += 64) {
		for (len = 0; len <= 4608; len += 64) {
			bool want = len && offset + len <= 4096 &&
				    offset % 512 == 0 && len % 512 == 0;

			bad += blkf_segment_ok(offset, len) != want;
			if (!want)
				continue;
			blkf_segment_set(&s, 1, offset, len);
			bad += s.first_sect > s.last_sect || s.last_sect > 7 ||
			       (s.last_sect - s.first_sect + 1) * 512u != len;
		}
	}
	ok(!bad, "every piece of a page");
	ok(!blkf_segment_ok(0xfffffe00, 512), "offsets do not wrap");
}

static struct blkf_props props(uint64_t capacity, unsigned int sector,
			       unsigned int physical)
{
	struct blkf_props p;

	memset(&p, 0, sizeof(p));
	p.capacity = capacity;
	p.sector_size = sector;
	p.physical_size = physical;
	return p;
}

static void test_props(void)
{
	struct blkf_props p = props(1000, 512, 4096);

	ok(!blkf_props_clamp(&p, false) && p.capacity == 1000 &&
	   p.physical_size == 4096, "an ordinary disk");
	p = props(1001, 4096, 4096);
	ok(!blkf_props_clamp(&p, false) && p.capacity == 1000,
	   "whole sectors only");
	p = props(1000, 1000, 512);
	ok(blkf_props_clamp(&p, false), "a sector of 1000 bytes is refused");
	p = props(1000, 0, 512);
	ok(blkf_props_clamp(&p, false), "a sector of no bytes is refused");
	p = props(1000, 8192, 8192);
	ok(blkf_props_clamp(&p, false), "a sector beyond a page is refused");
	p = props(BLKF_CAPACITY_MAX + 1, 512, 512);
	ok(blkf_props_clamp(&p, false), "a disk of 2^63 bytes is refused");
	p = props(BLKF_CAPACITY_MAX, 512, 512);
	ok(!blkf_props_clamp(&p, false), "one sector less is not");
	p = props(1000, 4096, 512);
	ok(!blkf_props_clamp(&p, false) && p.physical_size == 4096,
	   "a physical sector below the logical one");
	p = props(1000, 512, 3000);
	ok(!blkf_props_clamp(&p, false) && p.physical_size == 512,
	   "a physical sector of 3000 bytes");
	p = props(1000, 512, 512);
	ok(!blkf_props_clamp(&p, true) && p.discard_granularity == 512 &&
	   !p.discard_alignment, "discard without a word about it");
	p.discard_granularity = 1 << 20;
	p.discard_alignment = 4096;
	ok(!blkf_props_clamp(&p, true) && p.discard_granularity == 1 << 20 &&
	   p.discard_alignment == 4096, "discard with all words about it");
	p.discard_alignment = 1 << 20;
	ok(!blkf_props_clamp(&p, true) && !p.discard_alignment,
	   "alignment beyond granularity");
	ok(!blkf_props_clamp(&p, false) && !p.discard_granularity,
	   "no discard, no granularity");
}

static void test_props_random(void)
{
	unsigned int i, bad = 0;

	for (i = 0; i < 300000; i++) {
		struct blkf_props p = props(odd(), odd(), odd());
		bool discard = rnd() & 1;

		p.discard_granularity = odd();
		p.discard_alignment = odd();
		p.secure = rnd() & 1;
		if (blkf_props_clamp(&p, discard))
			continue;
		bad += p.sector_size < 512 || p.sector_size > 4096;
		bad += p.capacity > BLKF_CAPACITY_MAX;
		bad += p.capacity * 512 % p.sector_size != 0;
		bad += p.physical_size < p.sector_size ||
		       p.physical_size % p.sector_size;
		bad += discard != !!p.discard_granularity;
		bad += discard &&
		       (p.discard_granularity % p.sector_size ||
			p.discard_alignment >= p.discard_granularity);
		bad += !discard && p.secure;
	}
	ok(!bad, "whatever is let through makes sense");
}

static void test_flush(void)
{
	ok(blkf_flush_op(true, true) == BLKIF_OP_FLUSH_DISKCACHE &&
	   blkf_flush_op(true, false) == BLKIF_OP_FLUSH_DISKCACHE,
	   "a flush where there is one");
	ok(blkf_flush_op(false, true) == BLKIF_OP_WRITE_BARRIER,
	   "else a barrier");
	ok(blkf_flush_op(false, false) == BLKF_OP_NONE,
	   "else nothing, which is no operation of the protocol");
}

static void test_responses(void)
{
	ok(blkf_rsp_count(5, 5, 9) == 0, "nothing new");
	ok(blkf_rsp_count(9, 5, 9) == 4, "all answered");
	ok(blkf_rsp_count(10, 5, 9) < 0, "more than asked");
	ok(blkf_rsp_count(4, 5, 9) < 0, "an index that went back");
	ok(blkf_rsp_count(3, 0xfffffffe, 5) == 5, "indices wrap");
	ok(!blkf_rsp_check_id(31, 32) && blkf_rsp_check_id(32, 32) &&
	   blkf_rsp_check_id(~0ull, 32) && blkf_rsp_check_id(1ull << 32, 32),
	   "numbers of requests");
	ok(!blkf_rsp_check(BLKF_REQ_SENT, BLKIF_OP_READ, BLKIF_OP_READ,
			   BLKIF_OP_READ), "the operation asked for");
	ok(blkf_rsp_check(BLKF_REQ_SENT, BLKIF_OP_READ, BLKIF_OP_READ,
			  BLKIF_OP_WRITE) != NULL, "another operation");
	ok(!blkf_rsp_check(BLKF_REQ_SENT, BLKIF_OP_INDIRECT, BLKIF_OP_WRITE,
			   BLKIF_OP_WRITE), "what an indirect request carries");
	ok(!blkf_rsp_check(BLKF_REQ_SENT, BLKIF_OP_INDIRECT, BLKIF_OP_WRITE,
			   BLKIF_OP_INDIRECT), "or that it was indirect");
	ok(blkf_rsp_check(BLKF_REQ_SENT, BLKIF_OP_INDIRECT, BLKIF_OP_WRITE,
			  BLKIF_OP_READ) != NULL, "but not the other way round");
	ok(blkf_rsp_check(BLKF_REQ_FREE, BLKIF_OP_READ, BLKIF_OP_READ,
			  BLKIF_OP_READ) != NULL, "a request not sent");
	ok(blkf_rsp_check(BLKF_REQ_DONE, BLKIF_OP_READ, BLKIF_OP_READ,
			  BLKIF_OP_READ) != NULL, "a request answered before");
}

#define MODEL_SIZE	32u

/*
 * A ring with a backend that may lie: in any order, what is taken is never
 * more than what was sent, no number twice.
 */
static void test_ring_random(void)
{
	unsigned int state[MODEL_SIZE] = { BLKF_REQ_FREE };
	RING_IDX sent = 0xfffffff0, cons = 0xfffffff0;
	unsigned int round, i, in_flight = 0, bad = 0, lies = 0;

	for (round = 0; round < 200000; round++) {
		RING_IDX prod = cons + (rnd() % 8 ? rnd() % 6 : odd());
		int n;

		for (i = rnd() % 5; i && in_flight < MODEL_SIZE; i--) {
			unsigned int id = rnd() % MODEL_SIZE;

			if (state[id] != BLKF_REQ_FREE)
				continue;
			state[id] = BLKF_REQ_SENT;
			in_flight++;
			sent++;
		}
		n = blkf_rsp_count(prod, cons, sent);
		bad += n > (int)MODEL_SIZE;
		for (; n > 0; n--) {
			uint64_t id = rnd() % 8 ? rnd() % MODEL_SIZE : odd();

			if (blkf_rsp_check_id(id, MODEL_SIZE) ||
			    blkf_rsp_check(state[id], 0, 0, 0)) {
				lies++;
				break;
			}
			state[id] = BLKF_REQ_FREE;
			in_flight--;
			cons++;
		}
		bad += sent - cons != in_flight;
	}
	ok(!bad, "a lying backend gets nothing taken twice");
	ok(lies > 1000, "and lied often");
}

int main(void)
{
	test_sizes();
	test_offers();
	test_sharing();
	test_segments();
	test_props();
	test_props_random();
	test_flush();
	test_responses();
	test_ring_random();
	printf("1..%u\n", test_nr);
	return failed != 0;
}
