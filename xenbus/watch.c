// SPDX-License-Identifier: GPL-2.0-only
/*
 * watch.c: watches and the thread that runs their callbacks.
 *
 * The reader thread only queues what has happened; callbacks run one at a
 * time in a thread of their own, with no lock of this module held but the
 * one that a suspend takes to keep them still. A callback may make requests
 * and may unwatch, itself included. There are two such threads, two lanes: a
 * network card's callback waits for RTNL, whose holder may wait for a disk,
 * and that for its own callback.
 *
 * An event carries the id of its watch, not a pointer: it is looked up when
 * its turn comes, so an event that outlives its watch finds nothing.
 */
#include "xenbus.h"

#include <linux/kthread.h>
#include <linux/mutex.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include <pvhvm/export.h>

/* Events of one watch that wait for its callback; the last stands for all that follow. */
#define WATCH_QUEUED	64

/* @path: what has changed; empty: something in what is watched */
struct watch_item {
	struct list_head list;
	u32 id;
	char path[];
};

struct watch_lane {
	struct list_head events;
	struct pvhvm_xs_watch *running;
	/* woken by an event for the thread */
	wait_queue_head_t wait;
	/* held around each callback, and from pause to unpause */
	struct mutex callback;
	struct task_struct *thread;
};

#define WATCH_LANE(n) {							\
	.events = LIST_HEAD_INIT(watch.lane[n].events),			\
	.wait = __WAIT_QUEUE_HEAD_INITIALIZER(watch.lane[n].wait),	\
	.callback = __MUTEX_INITIALIZER(watch.lane[n].callback),	\
}

static struct {
	/* protects all of this but the threads */
	spinlock_t lock;
	struct list_head watches;
	/* by @aside of the watch */
	struct watch_lane lane[2];
	/* woken when a callback has returned */
	wait_queue_head_t idle;
	/* taken before the lock to change the list; holding it alone keeps it */
	struct mutex members;
} watch = {
	.lock = __SPIN_LOCK_UNLOCKED(watch.lock),
	.watches = LIST_HEAD_INIT(watch.watches),
	.lane = { WATCH_LANE(0), WATCH_LANE(1) },
	.idle = __WAIT_QUEUE_HEAD_INITIALIZER(watch.idle),
	.members = __MUTEX_INITIALIZER(watch.members),
};

static struct watch_lane *watch_lane_of(const struct pvhvm_xs_watch *w)
{
	return &watch.lane[w->aside];
}

/* ---- events ---- */

static struct pvhvm_xs_watch *watch_find(u32 id)
{
	struct pvhvm_xs_watch *w;

	lockdep_assert_held(&watch.lock);
	list_for_each_entry(w, &watch.watches, list)
		if (w->id == id)
			return w;
	return NULL;
}

/*
 * A backend may write faster than we can look. Return: false when the item
 * need not be queued, as its watch is gone, or a last one waits already.
 */
static bool watch_queue(struct watch_item *item)
{
	struct watch_lane *lane;
	struct pvhvm_xs_watch *w;
	bool queue;

	spin_lock(&watch.lock);
	w = watch_find(item->id);
	queue = w && w->queued < WATCH_QUEUED;
	if (queue) {
		if (++w->queued == WATCH_QUEUED)
			item->path[0] = '\0';
		lane = watch_lane_of(w);
		list_add_tail(&item->list, &lane->events);
		wake_up(&lane->wait);
	}
	spin_unlock(&watch.lock);
	if (!w)
		xenbus_count(stale_events);
	else if (!queue)
		xenbus_count(merged_events);
	return queue;
}

void watch_event(const char *body, u32 len)
{
	const char *path, *token;
	struct watch_item *item;
	size_t size;
	u32 id;

	if (xs_two_strings(body, len, &path, &token) ||
	    xs_token_parse(token, &id)) {
		xenbus_count(stale_events);
		return;
	}
	size = strlen(path) + 1;
	/*
	 * A lost event is a device that never connects, and nobody could be
	 * told. The reader thread is not in anybody's way to free memory.
	 */
	item = kmalloc(sizeof(*item) + size, GFP_NOIO | __GFP_NOFAIL);
	item->id = id;
	memcpy(item->path, path, size);
	xenbus_count(watch_events);
	if (!watch_queue(item))
		kfree(item);
}

static struct watch_item *watch_next(struct watch_lane *lane)
{
	struct watch_item *item;

	spin_lock(&watch.lock);
	item = list_first_entry_or_null(&lane->events, struct watch_item, list);
	if (item)
		list_del(&item->list);
	spin_unlock(&watch.lock);
	return item;
}

static void watch_run(struct watch_lane *lane, struct watch_item *item)
{
	struct pvhvm_xs_watch *w;

	mutex_lock(&lane->callback);
	spin_lock(&watch.lock);
	w = watch_find(item->id);
	lane->running = w;
	if (w)
		w->queued--;
	spin_unlock(&watch.lock);

	if (!w) {
		xenbus_count(stale_events);
	} else {
		w->fn(w, *item->path ? item->path : w->path);
		/* @w may be gone by now, it is only a number here */
		spin_lock(&watch.lock);
		lane->running = NULL;
		spin_unlock(&watch.lock);
		wake_up_all(&watch.idle);
	}
	mutex_unlock(&lane->callback);
}

static bool watch_has_work(struct watch_lane *lane)
{
	return kthread_should_stop() || !list_empty_careful(&lane->events);
}

static int watch_thread(void *data)
{
	struct watch_lane *lane = data;
	struct watch_item *item;

	/* a block device may be waiting for its callback */
	memalloc_noio_save();
	while (!kthread_should_stop()) {
		wait_event_idle(lane->wait, watch_has_work(lane));
		item = watch_next(lane);
		if (!item)
			continue;
		watch_run(lane, item);
		kfree(item);
	}
	return 0;
}

void watch_pause(bool aside)
{
	mutex_lock(&watch.lane[aside].callback);
}

void watch_unpause(bool aside)
{
	mutex_unlock(&watch.lane[aside].callback);
}

/* ---- watches ---- */

/* The request that sets or clears a watch; @token is its memory. */
static void watch_request(const struct pvhvm_xs_watch *w, char *token,
			  struct kvec *v)
{
	xs_token_format(token, w->id);
	v[0].iov_base = (void *)w->path;
	v[0].iov_len = strlen(w->path) + 1;
	v[1].iov_base = token;
	v[1].iov_len = XS_TOKEN_SIZE;
}

static int watch_tell(u32 type, const struct pvhvm_xs_watch *w)
{
	char token[XS_TOKEN_SIZE];
	struct kvec v[2];

	watch_request(w, token, v);
	return xs_command(type, XS_NO_TXN, v, 2);
}

static void watch_list(struct pvhvm_xs_watch *w)
{
	mutex_lock(&watch.members);
	spin_lock(&watch.lock);
	list_add_tail(&w->list, &watch.watches);
	spin_unlock(&watch.lock);
	mutex_unlock(&watch.members);
	xenbus_count(watches);
}

static void watch_unlist(struct pvhvm_xs_watch *w)
{
	mutex_lock(&watch.members);
	spin_lock(&watch.lock);
	list_del_init(&w->list);
	spin_unlock(&watch.lock);
	mutex_unlock(&watch.members);
	xenbus_uncount(watches);
}

/*
 * Listed before the server knows it, as the first event may come faster than
 * the reply. Our ids are unique: if the server says EEXIST, then a resume in
 * between has told it already.
 */
int pvhvm_xs_watch(struct pvhvm_xs_watch *w)
{
	int err;

	w->id = xs_fresh_id();
	w->queued = 0;
	watch_list(w);
	err = watch_tell(XS_WATCH, w);
	if (err == -EEXIST)
		err = 0;
	if (err)
		pvhvm_xs_unwatch(w);
	return err;
}
PVHVM_EXPORT(pvhvm_xs_watch);

static bool watch_is_running(const struct pvhvm_xs_watch *w)
{
	bool running;

	spin_lock(&watch.lock);
	running = watch_lane_of(w)->running == w;
	spin_unlock(&watch.lock);
	return running;
}

void pvhvm_xs_unwatch(struct pvhvm_xs_watch *w)
{
	/* never watched, zeroed memory included */
	if (!w->list.next || list_empty(&w->list))
		return;
	watch_unlist(w);
	/*
	 * Without an answer the watch may stay with the server; its events
	 * find nothing here. Not worth many time-outs in a row.
	 */
	if (!xs_is_silent())
		watch_tell(XS_UNWATCH, w);
	if (current != watch_lane_of(w)->thread)
		wait_event(watch.idle, !watch_is_running(w));
}
PVHVM_EXPORT(pvhvm_xs_unwatch);

int pvhvm_xs_watch_in(struct pvhvm_xs_watch *w, const char *dir,
		      const char *node,
		      void (*fn)(struct pvhvm_xs_watch *watch,
				 const char *path))
{
	char *path = kasprintf(GFP_KERNEL, "%s/%s", dir, node);
	int err;

	if (!path)
		return -ENOMEM;
	w->path = path;
	w->fn = fn;
	err = pvhvm_xs_watch(w);
	if (err) {
		kfree(path);
		w->path = NULL;
	}
	return err;
}
PVHVM_EXPORT(pvhvm_xs_watch_in);

void pvhvm_xs_unwatch_in(struct pvhvm_xs_watch *w)
{
	pvhvm_xs_unwatch(w);
	kfree(w->path);
	w->path = NULL;
}
PVHVM_EXPORT(pvhvm_xs_unwatch_in);

void watch_forget(struct pvhvm_xs_watch *w)
{
	if (w->list.next && !list_empty(&w->list))
		watch_unlist(w);
}

void watch_resume(void)
{
	char token[XS_TOKEN_SIZE];
	struct pvhvm_xs_watch *w;
	struct xs_batch all;
	struct kvec v[2];
	int err = 0, last;

	mutex_lock(&watch.members);
	xs_enter();
	batch_begin(&all, XS_NO_TXN);
	list_for_each_entry(w, &watch.watches, list) {
		watch_request(w, token, v);
		err = batch_add(&all, XS_WATCH, v, 2, -EEXIST) ?: err;
	}
	last = batch_end(&all);
	xs_leave();
	mutex_unlock(&watch.members);
	if (err || last)
		pr_warn("a watch is lost (%d)\n", err ?: last);
}

int watch_init(void)
{
	unsigned int n;
	int err;

	for (n = 0; n < ARRAY_SIZE(watch.lane); n++) {
		struct task_struct *thread = kthread_run(watch_thread,
							 &watch.lane[n],
							 "pvhvm-watch/%u", n);

		err = PTR_ERR_OR_ZERO(thread);
		if (err) {
			watch_exit();
			return err;
		}
		watch.lane[n].thread = thread;
	}
	return 0;
}

static void watch_lane_exit(struct watch_lane *lane)
{
	struct watch_item *item;

	if (lane->thread)
		kthread_stop(lane->thread);
	lane->thread = NULL;
	while ((item = watch_next(lane)))
		kfree(item);
}

void watch_exit(void)
{
	unsigned int n;

	for (n = 0; n < ARRAY_SIZE(watch.lane); n++)
		watch_lane_exit(&watch.lane[n]);
	if (atomic_read(&xenbus_stats.watches))
		pr_warn("%d watches left behind\n",
			atomic_read(&xenbus_stats.watches));
}
