// SPDX-License-Identifier: GPL-2.0-only
/*
 * persistent.c: pages that stay granted, and the copying that this costs.
 *
 * A backend that keeps pages mapped (feature-persistent) saves a map and an
 * unmap hypercall, with its TLB flush, for each request, if it sees the same
 * references again and again. All data then passes through such pages; the
 * stack hands out the one used last, which the backend has surely mapped.
 * The same pages serve when the toolstack says that the backend is not to be
 * trusted with the rest of a page (key "trusted").
 */
#include "blkfront.h"

#include <linux/mm.h>
#include <linux/slab.h>

int blkf_page_lend(struct blkf_queue *q, struct blkf_page *p, bool readonly,
		   gfp_t gfp)
{
	grant_ref_t ref = pvhvm_grant_take(&q->grants);

	if (ref == PVHVM_GRANT_NONE)
		return -ENOSPC;
	p->page = alloc_page(gfp | __GFP_ZERO | __GFP_NOWARN);
	if (!p->page) {
		pvhvm_grant_put(&q->grants, ref);
		return -ENOMEM;
	}
	p->ref = ref;
	pvhvm_grant_access(ref, q->peer, page_to_pfn(p->page), readonly);
	return 0;
}

void blkf_page_return(struct blkf_queue *q, struct blkf_page *p)
{
	if (!p->page)
		return;
	if (pvhvm_grant_end(p->ref)) {
		pvhvm_grant_put(&q->grants, p->ref);
		__free_page(p->page);
	} else {
		pvhvm_grant_park(&q->grants, p->ref, p->page);
	}
	p->page = NULL;
}

static int pool_grow(struct blkf_queue *q, gfp_t gfp)
{
	int err = blkf_page_lend(q, &q->pool[q->pool_free], false, gfp);

	if (!err) {
		q->pool_free++;
		q->pool_pages++;
	}
	return err;
}

int blkf_pool_init(struct blkf_queue *q)
{
	int err = 0;

	if (q->pool)
		return 0;
	/* whatever is left of the reservation is for data */
	q->pool = kvcalloc(q->grants.nr_free, sizeof(*q->pool), GFP_KERNEL);
	if (!q->pool)
		return -ENOMEM;
	while (!err && q->pool_pages < q->max_segs)
		err = pool_grow(q, GFP_KERNEL);
	return err;
}

void blkf_pool_free(struct blkf_queue *q)
{
	while (q->pool_free)
		blkf_page_return(q, &q->pool[--q->pool_free]);
	kvfree(q->pool);
	q->pool = NULL;
	q->pool_pages = 0;
}

bool blkf_pool_take(struct blkf_queue *q, struct blkf_page *page,
		    unsigned int nr)
{
	unsigned long flags;
	bool enough;

	spin_lock_irqsave(&q->grant_lock, flags);
	while (q->pool_free < nr)
		if (pool_grow(q, GFP_ATOMIC))
			break;
	enough = q->pool_free >= nr;
	if (enough) {
		q->pool_free -= nr;
		memcpy(page, q->pool + q->pool_free, nr * sizeof(*page));
	}
	spin_unlock_irqrestore(&q->grant_lock, flags);
	return enough;
}

void blkf_pool_put(struct blkf_queue *q, const struct blkf_page *page,
		   unsigned int nr)
{
	unsigned long flags;

	spin_lock_irqsave(&q->grant_lock, flags);
	memcpy(q->pool + q->pool_free, page, nr * sizeof(*page));
	q->pool_free += nr;
	spin_unlock_irqrestore(&q->grant_lock, flags);
}

void blkf_pool_copy(struct request *rq, const struct blkf_page *page,
		    unsigned int nr, bool to_pages)
{
	unsigned int done = 0, total = nr * PAGE_SIZE;
	struct req_iterator iter;
	struct bio_vec bv;

	/* No high memory on x86_64: every page has its address. */
	rq_for_each_segment(bv, rq, iter) {
		char *data = page_address(bv.bv_page) + bv.bv_offset;
		unsigned int left = bv.bv_len;

		while (left && done < total) {
			unsigned int offset = offset_in_page(done);
			unsigned int n = min_t(unsigned int, left,
					       PAGE_SIZE - offset);
			char *lent = page_address(page[done / PAGE_SIZE].page) +
				     offset;

			if (to_pages)
				memcpy(lent, data, n);
			else
				memcpy(data, lent, n);
			data += n;
			done += n;
			left -= n;
		}
	}
}
