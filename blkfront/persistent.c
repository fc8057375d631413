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
 *
 * What a burst has lent does not stay so for ever: a page that lies unused at
 * the bottom of the stack is taken back, as soon as the backend has unmapped
 * it on its side (blkback: after a minute, persistent_grant_unused_seconds).
 */
#include "blkfront.h"

#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/shrinker.h>
#include <linux/slab.h>

/* A page not needed for so long is idle. */
#define POOL_PATIENCE		(10 * HZ)
/* Pages looked at with interrupts off. */
#define POOL_BATCH		64u

static struct {
	/* devices, the shrinker works through them */
	struct mutex lock;
	struct list_head devs;
	struct shrinker *shrinker;
} pools = {
	.lock = __MUTEX_INITIALIZER(pools.lock),
	.devs = LIST_HEAD_INIT(pools.devs),
};

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
	q->pool_idle = q->pool_free;
	return err;
}

void blkf_pool_free(struct blkf_queue *q)
{
	while (q->pool_free)
		blkf_page_return(q, &q->pool[--q->pool_free]);
	kvfree(q->pool);
	q->pool = NULL;
	q->pool_pages = 0;
	q->pool_idle = 0;
}

static void pool_look_later(struct blkf_dev *dev)
{
	blkf_dev_get(dev);
	if (!queue_delayed_work(blkf_wq, &dev->trim_work, POOL_PATIENCE))
		blkf_dev_put(dev);
}

bool blkf_pool_take(struct blkf_queue *q, struct blkf_page *page,
		    unsigned int nr)
{
	unsigned int grown = 0;
	unsigned long flags;
	bool enough;

	spin_lock_irqsave(&q->grant_lock, flags);
	/* what is kept for emergencies is not ours: one request always fits */
	while (q->pool_free < nr &&
	       !pool_grow(q, GFP_NOWAIT | __GFP_NOMEMALLOC))
		grown++;
	enough = q->pool_free >= nr;
	if (enough) {
		q->pool_free -= nr;
		memcpy(page, q->pool + q->pool_free, nr * sizeof(*page));
		q->stats.persistent_hits += nr - grown;
	}
	q->pool_idle = min(q->pool_idle, q->pool_free);
	q->stats.persistent_grown += grown;
	spin_unlock_irqrestore(&q->grant_lock, flags);
	if (grown)
		pool_look_later(q->dev);
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

/* ---- giving back ---- */

/* Pages beyond what one request of full size needs. grant_lock, or racy. */
static unsigned int pool_excess(const struct blkf_queue *q)
{
	unsigned int have = READ_ONCE(q->pool_pages);

	return have > q->max_segs ? have - q->max_segs : 0;
}

/*
 * Takes back up to @want of the lowest @idle pages, from @from on, and closes
 * the gaps. Pages that the backend has mapped stay where they are.
 * Return: pages looked at; *@freed is increased.
 */
static unsigned int pool_trim_some(struct blkf_queue *q, unsigned int from,
				   unsigned int idle, unsigned int want,
				   unsigned int *freed)
{
	struct page *page[POOL_BATCH];
	unsigned int i, n = 0, kept = from;

	spin_lock_irq(&q->grant_lock);
	idle = min(idle, q->pool_free);
	want = min(want, pool_excess(q));
	for (i = from; i < idle && i < from + POOL_BATCH && n < want; i++) {
		struct blkf_page *p = &q->pool[i];

		if (pvhvm_grant_end(p->ref)) {
			pvhvm_grant_put(&q->grants, p->ref);
			page[n++] = p->page;
		} else {
			q->pool[kept++] = *p;
		}
	}
	if (n) {
		memmove(q->pool + kept, q->pool + i,
			(q->pool_free - i) * sizeof(*q->pool));
		q->pool_free -= n;
		q->pool_pages -= n;
		q->pool_idle = min(q->pool_idle, q->pool_free);
		q->stats.persistent_trimmed += n;
	}
	spin_unlock_irq(&q->grant_lock);
	*freed += n;
	for (i = 0; i < n; i++)
		__free_page(page[i]);
	return kept - from + n;
}

/* Return: pages given back, of the lowest @idle and not more than @want. */
static unsigned int pool_trim(struct blkf_queue *q, unsigned int idle,
			      unsigned int want)
{
	unsigned int from = 0, freed = 0;

	lockdep_assert_held(&q->dev->queues_mutex);
	while (from < idle && freed < want) {
		unsigned int before = freed;
		unsigned int seen = pool_trim_some(q, from, idle,
						   want - freed, &freed);

		if (!seen)
			break;
		from += seen - (freed - before);
		idle -= freed - before;
	}
	return freed;
}

/* How many were idle since the last look; the next one counts from now. */
static unsigned int pool_idle(struct blkf_queue *q)
{
	unsigned int idle;

	spin_lock_irq(&q->grant_lock);
	idle = q->pool_idle;
	q->pool_idle = q->pool_free;
	spin_unlock_irq(&q->grant_lock);
	return idle;
}

void blkf_pool_trim_work(struct work_struct *work)
{
	struct blkf_dev *dev = container_of(to_delayed_work(work),
					    struct blkf_dev, trim_work);
	bool more = false;
	unsigned int i;

	mutex_lock(&dev->queues_mutex);
	for (i = 0; i < dev->nr_queues_max; i++) {
		struct blkf_queue *q = &dev->queue[i];

		if (!q->up || !q->bounce)
			continue;
		pool_trim(q, pool_idle(q), UINT_MAX);
		more |= pool_excess(q);
	}
	mutex_unlock(&dev->queues_mutex);
	if (more)
		pool_look_later(dev);
	blkf_dev_put(dev);
}

/* ---- memory pressure ---- */

static unsigned long pool_shrink_count(struct shrinker *shrinker,
				       struct shrink_control *sc)
{
	unsigned long sum = 0;
	struct blkf_dev *dev;
	unsigned int i;

	if (!mutex_trylock(&pools.lock))
		return 0;
	list_for_each_entry(dev, &pools.devs, pools)
		for (i = 0; i < dev->nr_queues_max; i++)
			sum += pool_excess(&dev->queue[i]);
	mutex_unlock(&pools.lock);
	return sum;
}

/*
 * Whoever is short of memory may hold any lock, one of ours included: only
 * what is free now.
 */
static unsigned long pool_shrink_scan(struct shrinker *shrinker,
				      struct shrink_control *sc)
{
	unsigned long freed = 0;
	struct blkf_dev *dev;
	unsigned int i;

	if (!mutex_trylock(&pools.lock))
		return SHRINK_STOP;
	list_for_each_entry(dev, &pools.devs, pools) {
		if (!mutex_trylock(&dev->queues_mutex))
			continue;
		for (i = 0; i < dev->nr_queues_max && freed < sc->nr_to_scan;
		     i++) {
			struct blkf_queue *q = &dev->queue[i];

			if (q->up && q->bounce)
				freed += pool_trim(q, UINT_MAX,
						   sc->nr_to_scan - freed);
		}
		mutex_unlock(&dev->queues_mutex);
	}
	mutex_unlock(&pools.lock);
	return freed ?: SHRINK_STOP;
}

void blkf_pool_watch(struct blkf_dev *dev)
{
	mutex_lock(&pools.lock);
	list_add(&dev->pools, &pools.devs);
	mutex_unlock(&pools.lock);
}

void blkf_pool_unwatch(struct blkf_dev *dev)
{
	mutex_lock(&pools.lock);
	list_del(&dev->pools);
	mutex_unlock(&pools.lock);
	if (cancel_delayed_work_sync(&dev->trim_work))
		blkf_dev_put(dev);
}

int blkf_pool_setup(void)
{
	pools.shrinker = shrinker_alloc(0, "pvhvm-blkfront");
	if (!pools.shrinker)
		return -ENOMEM;
	pools.shrinker->count_objects = pool_shrink_count;
	pools.shrinker->scan_objects = pool_shrink_scan;
	shrinker_register(pools.shrinker);
	return 0;
}

void blkf_pool_cleanup(void)
{
	shrinker_free(pools.shrinker);
}

/* ---- copying ---- */

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
