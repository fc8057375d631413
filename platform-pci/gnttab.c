// SPDX-License-Identifier: GPL-2.0-only
/*
 * gnttab.c: the grant table, version 1 (xen/grant_table.h).
 *
 * Whose each reference is stands in three bitmaps, under one lock that only
 * reservations and the reaper take: the data path works on references it has
 * reserved, and on their entries alone. Frames are added as needed, never
 * taken away before unload.
 *
 * A reference whose peer still uses it when its owner wants to be rid of it is
 * parked, together with its page, and tried again now and then.
 */
#include "platform.h"

#include <linux/bitmap.h>
#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "hypercall.h"

#define REFS_PER_FRAME	(PAGE_SIZE / sizeof(struct grant_entry_v1))
#define REAP_PERIOD	HZ
/* How long unloading waits for peers to let go. */
#define REAP_LAST	(5 * HZ)

/**
 * struct grant_frame - one page of the table
 * @entry: shared with Xen; in place of @page
 * @page: the page of ours below it
 * @parked: for each parked reference the page to free with it, or NULL
 */
struct grant_frame {
	struct grant_entry_v1 *entry;
	struct page *page;
	struct page *parked[REFS_PER_FRAME];
};

/* Frames come and stay; who owns a reference needs no lock to look at it. */
static struct grant_frame **frames;
static unsigned int nr_frames, max_frames;
/* Frames that the bitmaps have room for. */
static unsigned int room_frames;
static DEFINE_MUTEX(grow_lock);

/*
 * table_lock protects: used_map: not to be handed out (reserved, parked or
 * Xen's own); parked_map: waiting for the peer; the counters.
 */
static DEFINE_SPINLOCK(table_lock);
static unsigned long *used_map, *parked_map;
static unsigned int nr_used, nr_parked;

static void reap(struct work_struct *work);
static DECLARE_DELAYED_WORK(reaper, reap);

static struct grant_entry_v1 *entry_of(grant_ref_t ref)
{
	return &frames[ref / REFS_PER_FRAME]->entry[ref % REFS_PER_FRAME];
}

static struct page **parked_page(grant_ref_t ref)
{
	return &frames[ref / REFS_PER_FRAME]->parked[ref % REFS_PER_FRAME];
}

void pvhvm_grant_access(grant_ref_t ref, domid_t peer, unsigned long gfn,
			bool readonly)
{
	struct grant_entry_v1 *e = entry_of(ref);

	e->domid = peer;
	e->frame = gfn;
	/* Xen may look as soon as the flags say so. */
	smp_wmb();
	WRITE_ONCE(e->flags, GTF_permit_access | (readonly ? GTF_readonly : 0));
}
PVHVM_EXPORT(pvhvm_grant_access);

bool pvhvm_grant_end(grant_ref_t ref)
{
	struct grant_entry_v1 *e = entry_of(ref);
	u16 flags = READ_ONCE(e->flags), seen;

	for (;;) {
		if (flags & (GTF_reading | GTF_writing))
			return false;
		/* Locked on one CPU too; a full barrier before reuse. */
		seen = sync_cmpxchg(&e->flags, flags, 0);
		if (seen == flags)
			return true;
		flags = seen;
	}
}
PVHVM_EXPORT(pvhvm_grant_end);

static void park_locked(grant_ref_t ref, struct page *page)
{
	lockdep_assert_held(&table_lock);
	*parked_page(ref) = page;
	__set_bit(ref, parked_map);
	nr_parked++;
	schedule_delayed_work(&reaper, REAP_PERIOD);
}

void pvhvm_grant_park(struct pvhvm_grants *g, grant_ref_t ref,
		      struct page *page)
{
	unsigned long flags;

	g->size--;
	spin_lock_irqsave(&table_lock, flags);
	nr_used--;
	park_locked(ref, page);
	spin_unlock_irqrestore(&table_lock, flags);
}
PVHVM_EXPORT(pvhvm_grant_park);

static void reap(struct work_struct *work)
{
	unsigned int ref;
	bool more;

	spin_lock_irq(&table_lock);
	for_each_set_bit(ref, parked_map, nr_frames * REFS_PER_FRAME) {
		struct page *page = *parked_page(ref);

		if (!pvhvm_grant_end(ref))
			continue;
		*parked_page(ref) = NULL;
		__clear_bit(ref, parked_map);
		__clear_bit(ref, used_map);
		nr_parked--;
		if (page)
			put_page(page);
	}
	more = nr_parked;
	spin_unlock_irq(&table_lock);
	if (more)
		schedule_delayed_work(&reaper, REAP_PERIOD);
}

/*
 * What an earlier kernel left in a frame that is new to us: end what can be
 * ended, park what a peer still uses. Xen's reserved entries are never ours.
 */
static void adopt(unsigned int index)
{
	grant_ref_t ref = index * REFS_PER_FRAME;
	grant_ref_t end = ref + REFS_PER_FRAME;

	spin_lock_irq(&table_lock);
	for (; ref < end; ref++) {
		if (ref < GNTTAB_NR_RESERVED_ENTRIES) {
			__set_bit(ref, used_map);
		} else if (!pvhvm_grant_end(ref)) {
			__set_bit(ref, used_map);
			park_locked(ref, NULL);
		}
	}
	spin_unlock_irq(&table_lock);
}

static int add_frame(void)
{
	struct grant_frame *f;
	int ret = -ENOMEM;

	if (nr_frames == max_frames)
		return -ENOSPC;
	f = kzalloc(sizeof(*f), GFP_KERNEL);
	if (!f)
		return -ENOMEM;
	f->page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!f->page)
		goto err_free;
	ret = physmap_place(XENMAPSPACE_grant_table, nr_frames, f->page);
	if (ret)
		goto err_free_page;
	f->entry = page_address(f->page);
	frames[nr_frames] = f;
	nr_frames++;
	adopt(nr_frames - 1);
	return 0;

err_free_page:
	physmap_free(f->page);
err_free:
	kfree(f);
	return ret;
}

/* Find free references, or none at all. */
static bool take_free(grant_ref_t *ref, unsigned int count)
{
	unsigned int end = nr_frames * REFS_PER_FRAME;
	unsigned int n = 0, bit = 0;

	spin_lock_irq(&table_lock);
	while (n < count) {
		bit = find_next_zero_bit(used_map, end, bit);
		if (bit >= end)
			break;
		ref[n++] = bit++;
	}
	if (n == count) {
		while (n)
			__set_bit(ref[--n], used_map);
		nr_used += count;
		n = count;
	}
	spin_unlock_irq(&table_lock);
	return n == count;
}

int pvhvm_grants_reserve(struct pvhvm_grants *g, unsigned int count)
{
	grant_ref_t *ref = kvmalloc_array(count, sizeof(*ref), GFP_KERNEL);
	int ret = 0;

	if (!ref)
		return -ENOMEM;
	mutex_lock(&grow_lock);
	while (!ret && !take_free(ref, count))
		ret = add_frame();
	mutex_unlock(&grow_lock);
	if (ret) {
		kvfree(ref);
		return ret;
	}
	g->ref = ref;
	g->nr_free = count;
	g->size = count;
	return 0;
}
PVHVM_EXPORT(pvhvm_grants_reserve);

void pvhvm_grants_release(struct pvhvm_grants *g)
{
	unsigned int i;

	if (!g->ref)
		return;
	WARN_ONCE(g->nr_free != g->size,
		  "pvhvm: %u grants were neither put back nor parked\n",
		  g->size - g->nr_free);
	spin_lock_irq(&table_lock);
	for (i = 0; i < g->nr_free; i++)
		__clear_bit(g->ref[i], used_map);
	nr_used -= g->nr_free;
	spin_unlock_irq(&table_lock);
	kvfree(g->ref);
	memset(g, 0, sizeof(*g));
}
PVHVM_EXPORT(pvhvm_grants_release);

/**
 * gnttab_usage() - numbers for sysfs
 * @usage: filled in; "used" are in somebody's reservation, "free" counts the
 *	table as it is now, "max" as it may grow
 */
void gnttab_usage(struct gnttab_usage *usage)
{
	spin_lock_irq(&table_lock);
	usage->used = nr_used;
	usage->parked = nr_parked;
	usage->max = max_frames * REFS_PER_FRAME - GNTTAB_NR_RESERVED_ENTRIES;
	usage->free = nr_frames * REFS_PER_FRAME - GNTTAB_NR_RESERVED_ENTRIES -
		nr_used - nr_parked;
	spin_unlock_irq(&table_lock);
}

static int query_limit(void)
{
	struct gnttab_query_size query = { .dom = DOMID_SELF };
	struct gnttab_set_version version = { .version = 1 };
	int ret;

	/* XEN_ENOSYS: a Xen that only has version 1. */
	ret = hypercall_gnttab(GNTTABOP_set_version, &version, 1);
	if (ret && ret != -XEN_ENOSYS) {
		pr_err("grant table version 2 of an earlier kernel is still in use (%d)\n",
		       ret);
		return ret;
	}
	ret = hypercall_gnttab(GNTTABOP_query_size, &query, 1);
	if (ret || query.status != GNTST_okay || !query.max_nr_frames) {
		pr_err("Xen does not tell the size of the grant table (%d, %d)\n",
		       ret, query.status);
		return -EIO;
	}
	max_frames = query.max_nr_frames;
	return query.nr_frames;
}

static void free_tables(void)
{
	kvfree(frames);
	bitmap_free(used_map);
	bitmap_free(parked_map);
	frames = NULL;
	used_map = NULL;
	parked_map = NULL;
}

/**
 * gnttab_init() - find the limit, take over the frames Xen already has
 *
 * Context: process; may sleep. Return: 0 or negative errno; all undone.
 */
int gnttab_init(void)
{
	int present = query_limit(), ret = -ENOMEM;

	if (present < 0)
		return present;
	room_frames = max_frames;
	frames = kvcalloc(max_frames, sizeof(*frames), GFP_KERNEL);
	used_map = bitmap_zalloc(max_frames * REFS_PER_FRAME, GFP_KERNEL);
	parked_map = bitmap_zalloc(max_frames * REFS_PER_FRAME, GFP_KERNEL);
	if (!frames || !used_map || !parked_map)
		goto err_free;
	/* All that exist, or entries of an earlier kernel would go unseen. */
	do {
		ret = add_frame();
		if (ret) {
			pr_err("no grant table frame %u (%d)\n", nr_frames, ret);
			goto err_exit;
		}
	} while (nr_frames < present);
	return 0;

err_exit:
	gnttab_exit();
	return ret;
err_free:
	free_tables();
	return ret;
}

/**
 * gnttab_is_quiet() - is nobody in the middle of growing the table?
 *
 * Context: all other CPUs stand still.
 */
bool gnttab_is_quiet(void)
{
	return !mutex_is_locked(&grow_lock);
}

/**
 * gnttab_resume() - a new domain's table in the place of the old one's
 *
 * No entry grants anything, hence each can be ended; whose a reference is
 * stays as it was until its owner gives it back.
 * Context: frozen, all other CPUs stand still, interrupts off.
 */
void gnttab_resume(void)
{
	int present = query_limit();
	unsigned int i;

	if (present >= 0)
		max_frames = clamp(max_frames, nr_frames, room_frames);
	for (i = 0; i < nr_frames; i++) {
		int ret = physmap_place_again(XENMAPSPACE_grant_table, i,
					      frames[i]->page);

		if (!ret)
			continue;
		pr_err("Xen does not map grant table frame %u again (%d)\n", i,
		       ret);
		/* RAM: nothing of what the old one said holds. */
		clear_page(frames[i]->entry);
	}
}

static void wait_for_peers(void)
{
	unsigned long end = jiffies + REAP_LAST;

	cancel_delayed_work_sync(&reaper);
	reap(NULL);
	while (READ_ONCE(nr_parked) && time_before(jiffies, end)) {
		schedule_timeout_uninterruptible(HZ / 10);
		reap(NULL);
	}
	cancel_delayed_work_sync(&reaper);
	/*
	 * The pages are not freed: the peer could write to what they become.
	 * The entries stay as they are; the next load parks them again.
	 */
	if (nr_parked)
		pr_warn("%u grants still in use by a peer; their pages stay allocated\n",
			nr_parked);
}

/**
 * gnttab_abandon() - give the frames back, but go on pointing at them
 *
 * For a kernel that is about to be replaced. Peers keep what they have mapped;
 * the next kernel finds those entries when it looks at the table.
 * Context: process.
 */
void gnttab_abandon(void)
{
	unsigned int i;

	cancel_delayed_work_sync(&reaper);
	for (i = 0; i < nr_frames; i++)
		physmap_restore(XENMAPSPACE_grant_table, i, frames[i]->page);
	physmap_settle();
}

void gnttab_exit(void)
{
	if (!frames)
		return;
	wait_for_peers();
	if (nr_used)
		pr_err("%u grants were never released\n", nr_used);
	gnttab_abandon();
	while (nr_frames) {
		struct grant_frame *f = frames[--nr_frames];

		physmap_free(f->page);
		kfree(f);
	}
	nr_used = 0;
	nr_parked = 0;
	free_tables();
}
