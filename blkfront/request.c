// SPDX-License-Identifier: GPL-2.0-only
/*
 * request.c: the data path: a block layer request onto the ring, a response
 * off it. A request's number on the ring is its tag, behind those of other
 * hardware queues if the ring is not for one alone.
 */
#include "blkfront.h"

#include <linux/mm.h>
#include <linux/nospec.h>

/* ---- pages and segments ---- */

static bool request_take_refs(struct blkf_queue *q, struct blkf_page *page,
			      unsigned int nr)
{
	unsigned long flags;
	unsigned int i;
	bool enough;

	spin_lock_irqsave(&q->grant_lock, flags);
	enough = q->grants.nr_free >= nr;
	for (i = 0; enough && i < nr; i++)
		page[i].ref = pvhvm_grant_take(&q->grants);
	spin_unlock_irqrestore(&q->grant_lock, flags);
	return enough;
}

/* References without access; the request was not sent, or needs fewer. */
static void request_put_refs(struct blkf_queue *q, const struct blkf_page *page,
			     unsigned int nr)
{
	unsigned long flags;

	spin_lock_irqsave(&q->grant_lock, flags);
	while (nr--)
		pvhvm_grant_put(&q->grants, page[nr].ref);
	spin_unlock_irqrestore(&q->grant_lock, flags);
}

/*
 * The request's own memory, one segment a piece of a page. The block layer
 * counts the same way (see blkf_limits_fill()); neighbours inside a page,
 * which it counts apart, become one segment here.
 * Return: segments, or 0 if the protocol cannot express it.
 */
static unsigned int request_map(struct request *rq, struct blkf_page *page,
				struct blkif_request_segment *seg,
				unsigned int most)
{
	struct req_iterator iter;
	struct bio_vec bv;
	unsigned int n = 0;

	rq_for_each_segment(bv, rq, iter) {
		if (!blkf_segment_ok(bv.bv_offset, bv.bv_len))
			return 0;
		if (n && page[n - 1].page == bv.bv_page &&
		    (seg[n - 1].last_sect + 1) * BLKF_SECTOR_SIZE ==
		    bv.bv_offset) {
			seg[n - 1].last_sect += bv.bv_len / BLKF_SECTOR_SIZE;
			continue;
		}
		if (n == most)
			return 0;
		page[n].page = bv.bv_page;
		blkf_segment_set(&seg[n], page[n].ref, bv.bv_offset, bv.bv_len);
		n++;
	}
	return n;
}

static blk_status_t request_lend_own(struct blkf_queue *q, struct request *rq,
				     struct blkf_shadow *sh,
				     struct blkif_request_segment *seg)
{
	unsigned int i, n, most = blk_rq_nr_phys_segments(rq);
	bool readonly = rq_data_dir(rq) == WRITE;

	if (!request_take_refs(q, sh->page, most))
		return BLK_STS_RESOURCE;
	n = request_map(rq, sh->page, seg, most);
	if (n < most)
		request_put_refs(q, sh->page + n, most - n);
	if (!n)
		return BLK_STS_IOERR;
	for (i = 0; i < n; i++)
		pvhvm_grant_access(sh->page[i].ref, q->peer,
				   page_to_pfn(sh->page[i].page), readonly);
	sh->nr = n;
	return BLK_STS_OK;
}

/* Pages of the pool, filled without gaps. */
static blk_status_t request_lend_pool(struct blkf_queue *q, struct request *rq,
				      struct blkf_shadow *sh,
				      struct blkif_request_segment *seg)
{
	unsigned int i, bytes = blk_rq_bytes(rq);
	unsigned int n = DIV_ROUND_UP(bytes, PAGE_SIZE);

	if (!blkf_pool_take(q, sh->page, n))
		return BLK_STS_RESOURCE;
	for (i = 0; i < n; i++, bytes -= PAGE_SIZE)
		blkf_segment_set(&seg[i], sh->page[i].ref, 0,
				 min_t(unsigned int, bytes, PAGE_SIZE));
	if (rq_data_dir(rq) == WRITE)
		blkf_pool_copy(rq, sh->page, n, true);
	sh->nr = n;
	return BLK_STS_OK;
}

static bool request_is_large(struct blkf_queue *q, struct request *rq)
{
	unsigned int n = q->bounce ?
			 DIV_ROUND_UP(blk_rq_bytes(rq), PAGE_SIZE) :
			 blk_rq_nr_phys_segments(rq);

	return n > q->max_segs;
}

/* A request that is not sent after all. Return: what to tell blk-mq. */
static blk_status_t request_take_back(struct blkf_queue *q,
				      struct blkf_shadow *sh,
				      blk_status_t status)
{
	unsigned int i;

	if (q->bounce) {
		blkf_pool_put(q, sh->page, sh->nr);
	} else {
		/* never told to anybody, so nobody can have it mapped */
		for (i = 0; i < sh->nr; i++)
			pvhvm_grant_end(sh->page[i].ref);
		request_put_refs(q, sh->page, sh->nr);
	}
	sh->nr = 0;
	return status;
}

/* ---- onto the ring ---- */

/* Return: does the backend want to be told? send_lock held. */
static bool request_push(struct blkf_queue *q)
{
	bool notify;

	if (!q->unsent)
		return false;
	WRITE_ONCE(q->unsent, 0);
	RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&q->ring, notify);
	if (notify)
		q->stats.doorbells++;
	else
		q->stats.doorbells_saved++;
	return notify;
}

/*
 * Without the lock, who sees nothing unsent need not have it: what he has put
 * on the ring before, somebody has pushed since.
 */
static void request_flush_ring(struct blkf_queue *q)
{
	bool notify;

	if (!READ_ONCE(q->unsent))
		return;
	spin_lock(&q->send_lock);
	notify = request_push(q);
	spin_unlock(&q->send_lock);
	if (notify)
		pvhvm_evtchn_notify(&q->ch);
}

/*
 * It takes a backend that after a reconnect offers smaller rings than before,
 * or fewer. Without send_lock a guess. The consuming side moves rsp_cons
 * meanwhile; a stale value errs on the safe side.
 */
static bool request_ring_is_full(struct blkf_queue *q)
{
	if (READ_ONCE(q->ring.req_prod_pvt) - READ_ONCE(q->ring.rsp_cons) <
	    RING_SIZE(&q->ring))
		return false;
	q->stats.stop_ring_full++;
	return true;
}

/* The next slot; NULL if the ring is full. send_lock held. */
static struct blkif_request *request_slot(struct blkf_queue *q)
{
	if (request_ring_is_full(q))
		return NULL;
	return RING_GET_REQUEST(&q->ring, q->ring.req_prod_pvt);
}

/*
 * The slot is filled in; send_lock held. From here on it may be answered. The
 * @last of a batch is pushed with all before it.
 * Return: does the backend want to be told, once the lock is given back?
 */
static bool request_commit(struct blkf_queue *q, struct blkf_shadow *sh,
			   struct request *rq, u8 op, u8 indirect_op,
			   bool last)
{
	sh->rq = rq;
	sh->op = op;
	sh->indirect_op = indirect_op;
	sh->cpu = raw_smp_processor_id();
	blk_mq_start_request(rq);
	/* pairs with request_answered(): all of @sh is seen before its state */
	smp_store_release(&sh->state, BLKF_REQ_SENT);
	WRITE_ONCE(q->ring.req_prod_pvt, q->ring.req_prod_pvt + 1);
	WRITE_ONCE(q->unsent, q->unsent + 1);
	q->stats.requests++;
	q->stats.segments += sh->nr;
	return last && request_push(q);
}

static void request_fill_direct(struct blkf_queue *q, struct blkif_request *req,
				struct request *rq, u8 op,
				const struct blkf_shadow *sh,
				const struct blkif_request_segment *seg)
{
	unsigned int nr = sh->nr;

	req->operation = op;
	req->nr_segments = nr;
	req->handle = q->handle;
	req->id = sh->id;
	req->sector_number = nr ? blk_rq_pos(rq) : 0;
	memcpy(req->seg, seg, nr * sizeof(*seg));
}

static void request_fill_indirect(struct blkf_queue *q,
				  struct blkif_request *slot,
				  struct request *rq, u8 op,
				  struct blkf_shadow *sh)
{
	struct blkif_request_indirect *req = (void *)slot;

	BUILD_BUG_ON(sizeof(*req) > sizeof(*slot));
	req->operation = BLKIF_OP_INDIRECT;
	req->indirect_op = op;
	req->nr_segments = sh->nr;
	req->id = sh->id;
	req->sector_number = blk_rq_pos(rq);
	req->handle = q->handle;
	req->indirect_grefs[0] = sh->indirect.ref;
}

static blk_status_t request_send_rw(struct blkf_queue *q, struct request *rq,
				    struct blkf_shadow *sh, bool last)
{
	struct blkif_request_segment few[BLKF_SEGS_DIRECT], *seg = few;
	u8 op = rq_data_dir(rq) == WRITE ? BLKIF_OP_WRITE : BLKIF_OP_READ;
	struct blkif_request *slot;
	blk_status_t status;
	bool notify;

	if (unlikely(request_is_large(q, rq)))
		return blkf_oversize_split(q, rq);
	if (sh->indirect.page &&
	    (blk_rq_nr_phys_segments(rq) > BLKF_SEGS_DIRECT ||
	     blk_rq_bytes(rq) > BLKF_SEGS_DIRECT * PAGE_SIZE))
		seg = page_address(sh->indirect.page);
	if (unlikely(request_ring_is_full(q)))
		return BLK_STS_RESOURCE;
	status = q->bounce ? request_lend_pool(q, rq, sh, seg) :
			     request_lend_own(q, rq, sh, seg);
	if (status == BLK_STS_RESOURCE)
		q->stats.stop_grants++;
	if (status)
		return status;

	spin_lock(&q->send_lock);
	slot = request_slot(q);
	if (!slot) {
		spin_unlock(&q->send_lock);
		return request_take_back(q, sh, BLK_STS_RESOURCE);
	}
	if (seg == few) {
		request_fill_direct(q, slot, rq, op, sh, seg);
		notify = request_commit(q, sh, rq, op, op, last);
	} else {
		request_fill_indirect(q, slot, rq, op, sh);
		notify = request_commit(q, sh, rq, BLKIF_OP_INDIRECT, op, last);
		q->stats.indirect++;
	}
	spin_unlock(&q->send_lock);
	if (notify)
		pvhvm_evtchn_notify(&q->ch);
	return BLK_STS_OK;
}

static blk_status_t request_send_flush(struct blkf_queue *q, struct request *rq,
				       struct blkf_shadow *sh, bool last)
{
	u8 op = blkf_limits_flush_op(q->dev);
	struct blkif_request *slot;
	bool notify = false;

	if (op == BLKF_OP_NONE) {
		blk_mq_start_request(rq);
		blk_mq_end_request(rq, BLK_STS_OK);
		return BLK_STS_OK;
	}
	sh->nr = 0;
	spin_lock(&q->send_lock);
	slot = request_slot(q);
	if (slot) {
		request_fill_direct(q, slot, rq, op, sh, NULL);
		notify = request_commit(q, sh, rq, op, op, last);
	}
	spin_unlock(&q->send_lock);
	if (notify)
		pvhvm_evtchn_notify(&q->ch);
	return slot ? BLK_STS_OK : BLK_STS_RESOURCE;
}

static blk_status_t request_send_discard(struct blkf_queue *q,
					 struct request *rq,
					 struct blkf_shadow *sh, bool last)
{
	bool secure = req_op(rq) == REQ_OP_SECURE_ERASE;
	struct blkif_request_discard *req;
	struct blkf_dev *dev = q->dev;
	bool notify = false;

	BUILD_BUG_ON(sizeof(*req) > sizeof(struct blkif_request));
	if (!dev->discard || test_bit(BLKF_NO_DISCARD, &dev->degraded) ||
	    (secure && (!dev->props.secure ||
			test_bit(BLKF_NO_SECURE, &dev->degraded))))
		return BLK_STS_NOTSUPP;
	sh->nr = 0;
	spin_lock(&q->send_lock);
	req = (void *)request_slot(q);
	if (req) {
		req->operation = BLKIF_OP_DISCARD;
		req->flag = secure ? BLKIF_DISCARD_SECURE : 0;
		req->handle = q->handle;
		req->id = sh->id;
		req->sector_number = blk_rq_pos(rq);
		req->nr_sectors = blk_rq_sectors(rq);
		notify = request_commit(q, sh, rq, BLKIF_OP_DISCARD,
					BLKIF_OP_DISCARD, last);
	}
	spin_unlock(&q->send_lock);
	if (notify)
		pvhvm_evtchn_notify(&q->ch);
	return req ? BLK_STS_OK : BLK_STS_RESOURCE;
}

static struct blkf_shadow *request_shadow(const struct blkf_lane *lane,
					  const struct request *rq)
{
	return &lane->q->shadow[lane->base + rq->tag];
}

static blk_status_t request_send(struct blkf_lane *lane, struct request *rq,
				 bool last)
{
	struct blkf_shadow *sh = request_shadow(lane, rq);
	struct blkf_queue *q = lane->q;

	switch (req_op(rq)) {
	case REQ_OP_READ:
	case REQ_OP_WRITE:
		return request_send_rw(q, rq, sh, last);
	case REQ_OP_FLUSH:
		return request_send_flush(q, rq, sh, last);
	case REQ_OP_DISCARD:
	case REQ_OP_SECURE_ERASE:
		return request_send_discard(q, rq, sh, last);
	default:
		return BLK_STS_NOTSUPP;
	}
}

/*
 * Not connected. What is kept until it is again waits in the block layer, but
 * for what is just on its way here when the rings go down, or when somebody
 * else lets the queue go. blk-mq tries that again every few milliseconds, and
 * when the rings are up.
 */
static blk_status_t request_refuse(struct blkf_dev *dev)
{
	smp_rmb(); /* pairs with blkf_queues_down() */
	return READ_ONCE(dev->kept) ? BLK_STS_RESOURCE : BLK_STS_IOERR;
}

/*
 * Short of something: BLK_STS_RESOURCE, and blk-mq tries again when a request
 * of the same hardware queue completes, which is what gives the something back.
 * Not so if those that share its ring have it all: then request_complete() does.
 */
static blk_status_t request_queue(struct blk_mq_hw_ctx *hctx,
				  const struct blk_mq_queue_data *bd)
{
	struct blkf_lane *lane = hctx->driver_data;
	blk_status_t status;

	/*
	 * Quiesced before it goes down, so it stays up until we are through.
	 * Pairs with blkf_queues_start(): live, it has the rings it says.
	 */
	if (unlikely(!smp_load_acquire(&lane->dev->live)))
		return request_refuse(lane->dev);
	status = request_send(lane, bd->rq, bd->last);
	if (status == BLK_STS_RESOURCE && lane->q->depth > lane->dev->depth)
		WRITE_ONCE(lane->q->starved, true);
	/* what did not get onto the ring did not push what came before it */
	if (bd->last || status)
		request_flush_ring(lane->q);
	return status;
}

static void request_commit_all(struct blk_mq_hw_ctx *hctx)
{
	struct blkf_lane *lane = hctx->driver_data;

	request_flush_ring(lane->q);
}

/* ---- off the ring ---- */

/*
 * What it refused is not asked for again. A flush that there is another
 * operation for is sent once more; when there is none left nothing can be
 * flushed, which is as good as a disk without a cache.
 */
static blk_status_t request_unsupported(struct blkf_queue *q,
					struct blkf_shadow *sh)
{
	struct blkf_dev *dev = q->dev;

	q->stats.unsupported++;
	switch (req_op(sh->rq)) {
	case REQ_OP_FLUSH:
		set_bit(sh->op == BLKIF_OP_WRITE_BARRIER ? BLKF_NO_BARRIER :
			BLKF_NO_FLUSH_CACHE, &dev->degraded);
		blkf_dev_queue_work(dev, &dev->limits_work);
		sh->again = blkf_limits_flush_op(dev) != BLKF_OP_NONE;
		return BLK_STS_OK;
	case REQ_OP_DISCARD:
		set_bit(BLKF_NO_DISCARD, &dev->degraded);
		blkf_dev_queue_work(dev, &dev->limits_work);
		return BLK_STS_NOTSUPP;
	case REQ_OP_SECURE_ERASE:
		set_bit(BLKF_NO_SECURE, &dev->degraded);
		blkf_dev_queue_work(dev, &dev->limits_work);
		return BLK_STS_NOTSUPP;
	default:
		return BLK_STS_IOERR;
	}
}

/* Is every page of an answered request ours again? */
static bool request_end_grants(struct blkf_queue *q, struct blkf_shadow *sh)
{
	spin_lock(&q->grant_lock);
	while (sh->nr) {
		grant_ref_t ref = sh->page[sh->nr - 1].ref;

		if (!pvhvm_grant_end(ref))
			break;
		pvhvm_grant_put(&q->grants, ref);
		sh->nr--;
	}
	spin_unlock(&q->grant_lock);
	return !sh->nr;
}

/* Return: NULL, or what is wrong with the response; it then has no effect. */
static const char *request_answered(struct blkf_queue *q,
				    const struct blkif_response *rsp)
{
	const char *why = blkf_rsp_check_id(rsp->id, q->depth);
	struct blkf_shadow *sh;

	if (why)
		return why;
	sh = &q->shadow[array_index_nospec(rsp->id, q->depth)];
	/* what the submitter wrote before it set the state is visible */
	why = blkf_rsp_check(smp_load_acquire(&sh->state), sh->op,
			     sh->indirect_op, rsp->operation);
	if (why)
		return why;
	if (!q->bounce && !request_end_grants(q, sh))
		return "a page of an answered request is still mapped";

	if (likely(rsp->status == BLKIF_RSP_OKAY)) {
		sh->result = BLK_STS_OK;
	} else if (rsp->status == BLKIF_RSP_EOPNOTSUPP) {
		sh->result = request_unsupported(q, sh);
	} else {
		q->stats.errors++;
		sh->result = BLK_STS_IOERR;
	}
	sh->next = BLKF_NONE;
	sh->state = BLKF_REQ_DONE;
	return NULL;
}

/* What it takes to complete an answered request, see BLKF_REAP_SOME. */
static int request_work(const struct blkf_queue *q, unsigned int id)
{
	return 1 + (q->bounce ? q->shadow[id].nr : 0);
}

unsigned int blkf_request_reap(struct blkf_queue *q, int budget, bool *rest)
{
	unsigned int head = BLKF_NONE, tail = BLKF_NONE;
	struct blkif_response rsp;
	const char *why = NULL;
	int count, more;
	RING_IDX cons;

	*rest = false;
	lockdep_assert_held(&q->reap_lock);
	if (unlikely(q->dev->pdev->quarantined || q->deaf))
		return BLKF_NONE;
	do {
		RING_IDX prod = READ_ONCE(q->ring.sring->rsp_prod);

		/* responses, and what we sent, are read after the index */
		virt_rmb();
		cons = q->ring.rsp_cons;
		count = blkf_rsp_count(prod, cons,
				       READ_ONCE(q->ring.req_prod_pvt));
		if (count < 0)
			why = "more responses than requests";
		for (; count > 0 && budget > 0; count--) {
			RING_COPY_RESPONSE(&q->ring, cons, &rsp);
			why = request_answered(q, &rsp);
			if (why)
				break;
			cons++;
			budget -= request_work(q, rsp.id);
			q->stats.responses++;
			if (tail == BLKF_NONE)
				head = rsp.id;
			else
				q->shadow[tail].next = rsp.id;
			tail = rsp.id;
		}
		WRITE_ONCE(q->ring.rsp_cons, cons);
		if (tail != BLKF_NONE)
			pvhvm_evtchn_useful(&q->ch);
		*rest = count > 0 && !why;
		if (unlikely(why) || *rest)
			break;
		if (q->polled) {
			/* no event, however long nobody looks */
			WRITE_ONCE(q->ring.sring->rsp_event,
				   cons + BLKF_EVENT_FAR);
			break;
		}
		RING_FINAL_CHECK_FOR_RESPONSES(&q->ring, more);
	} while (more);
	if (unlikely(why))
		blkf_queue_breach(q, why);
	return head;
}

void blkf_request_complete(struct blkf_queue *q, unsigned int chain)
{
	while (chain != BLKF_NONE) {
		struct blkf_shadow *sh = &q->shadow[chain];

		/* once completed its number may be in use again */
		chain = sh->next;
		blk_mq_complete_request(sh->rq);
	}
}

/* blk-mq calls this on the CPU that submitted, if it can. */
static void request_complete(struct request *rq)
{
	struct blkf_lane *lane = rq->mq_hctx->driver_data;
	struct blkf_shadow *sh = request_shadow(lane, rq);
	struct blkf_queue *q = lane->q;
	blk_status_t result = sh->result;
	bool again = sh->again;

	if (sh->nr) {
		if (rq_data_dir(rq) == READ && !result)
			blkf_pool_copy(rq, sh->page, sh->nr, false);
		blkf_pool_put(q, sh->page, sh->nr);
		sh->nr = 0;
	}
	/* who shares the ring waits for us and would not be told */
	if (unlikely(READ_ONCE(q->starved)) && xchg(&q->starved, false))
		blk_mq_run_hw_queues(rq->q, true);
	sh->rq = NULL;
	sh->again = false;
	/* pairs with queue_await_completed(), which then frees all of @sh */
	smp_store_release(&sh->state, BLKF_REQ_FREE);
	if (unlikely(again))
		blk_mq_requeue_request(rq, true);
	else
		blk_mq_end_request(rq, result);
}

/* ---- operations ---- */

/* Whoever waits for a polled request looks whether it is done. */
static int request_poll(struct blk_mq_hw_ctx *hctx)
{
	struct blkf_lane *lane = hctx->driver_data;
	struct blkf_queue *q = READ_ONCE(lane->q);
	unsigned int chain = BLKF_NONE;
	bool rest;
	u64 before;
	int found;

	spin_lock_irq(&q->reap_lock);
	before = q->stats.responses;
	/*
	 * Pairs with queue_silence(): once it has had the lock, hands off. And
	 * with blkf_queues_start(): live again, it may have another ring.
	 */
	if (smp_load_acquire(&lane->dev->live) && READ_ONCE(lane->q) == q)
		chain = blkf_request_reap(q, BLKF_REAP_ALL, &rest);
	found = q->stats.responses - before;
	spin_unlock_irq(&q->reap_lock);
	blkf_request_complete(q, chain);
	return found;
}

DEFINE_MQ_POLL(request_poll)

/* The last are for those who poll, the others for everybody. */
static void request_map_queues(struct blk_mq_tag_set *set)
{
	struct blkf_dev *dev = set->driver_data;
	unsigned int poll = min(dev->nr_poll_lanes, set->nr_hw_queues - 1);

	set->map[HCTX_TYPE_DEFAULT].nr_queues = set->nr_hw_queues - poll;
	blk_mq_map_queues(&set->map[HCTX_TYPE_DEFAULT]);
	if (!poll)
		return;
	set->map[HCTX_TYPE_READ].nr_queues = 0;
	set->map[HCTX_TYPE_POLL].nr_queues = poll;
	set->map[HCTX_TYPE_POLL].queue_offset = set->nr_hw_queues - poll;
	blk_mq_map_queues(&set->map[HCTX_TYPE_POLL]);
}

DEFINE_MQ_MAP(request_map_queues)

static int request_init_hctx(struct blk_mq_hw_ctx *hctx, void *data,
			     unsigned int index)
{
	struct blkf_dev *dev = data;

	hctx->driver_data = &dev->lane[index];
	return 0;
}

const struct blk_mq_ops blkf_mq_ops = {
	.queue_rq = request_queue,
	.commit_rqs = request_commit_all,
	.complete = request_complete,
	.init_hctx = request_init_hctx,
	.map_queues = MQ_MAP(request_map_queues),
	.poll = MQ_POLL(request_poll),
};
