/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * blkfront.h: what the files of pvhvm_blkfront tell each other.
 *
 *	main		parameters, the driver's registration
 *	device		one vbd's life: probe, states, remove
 *	  identity	number, name, emulated twin, serial number, WWID
 *	  negotiate	features in, keys out
 *	  limits	the disk's properties and the block layer's limits
 *	  disk		the gendisk: open, release, add, delete
 *	  sysfs		hold, statistics
 *	  queue		memory, grants and channel of one ring; its interrupt
 *	    persistent	pages that stay granted
 *	    request	the data path, nothing else
 *	    oversize	requests that an earlier backend would have taken
 *
 * Who locks what. The bus serialises probe, state changes and remove (the
 * device's lock); everything in struct blkf_dev not said otherwise is under
 * it and changes only while the queues are down or the block layer is
 * quiesced. A queue has three locks:
 *	send_lock	the ring's producing side; process context
 *	reap_lock	the ring's consuming side; hard interrupt
 *	grant_lock	references and pages; everywhere, also inside reap_lock
 * A request's struct blkf_shadow belongs to whoever has the request: first
 * blk-mq's submitter; from the store of BLKF_REQ_SENT on the consuming side;
 * then whoever completes it.
 */
#ifndef PVHVM_BLKFRONT_H
#define PVHVM_BLKFRONT_H

#ifdef pr_fmt
#undef pr_fmt
#endif
#define pr_fmt(fmt) "pvhvm_blkfront: " fmt

#include <linux/bio.h>
#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/kref.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include <pvhvm/bus.h>
#include <pvhvm/evtchn.h>
#include <pvhvm/grant.h>

/* What ring.h asks its user for; the peer is another CPU. */
#ifndef xen_mb
#define xen_mb()	virt_mb()	/* own index seen before the other is read */
#define xen_rmb()	virt_rmb()	/* an index is read before what it covers */
#define xen_wmb()	virt_wmb()	/* an entry is seen before its index */
#endif

#include "follow.h"
#include "vdev.h"
#include "vpd.h"
#include "wire.h"

#define BLKF_QUEUE_NAME		24

/**
 * struct blkf_page - a page lent to the backend
 * @page: the page
 * @ref: its grant
 */
struct blkf_page {
	struct page *page;
	grant_ref_t ref;
};

/**
 * struct blkf_shadow - what we remember of a request that the backend has
 * @rq: the block layer's
 * @id: its number on the ring: our index
 * @state: enum blkf_req_state; the consuming side reads it without a lock
 * @op, @indirect_op: what was asked for
 * @result: how it went, from the response until it is completed
 * @again: refused, but there is another way to ask: to be sent again
 * @next: chain of requests reaped together, BLKF_NONE at its end
 * @nr: pages in @page that are lent
 * @cpu: where it was sent from
 * @page: as many as a request can have segments. When bouncing they are the
 *	pool's, else the request's own
 * @indirect: page with descriptors, lent as long as the queue is up
 */
struct blkf_shadow {
	struct request *rq;
	u8 state;
	u8 op;
	u8 indirect_op;
	bool again;
	blk_status_t result;
	u16 id;
	u16 next;
	u16 nr;
	int cpu;
	struct blkf_page *page;
	struct blkf_page indirect;
};

#define BLKF_NONE		U16_MAX

/* All hardware queues may come to share one ring. */
static_assert(BLKF_QUEUES_MAX * 32 << BLKF_RING_ORDER_MAX < BLKF_NONE);

/**
 * struct blkf_stats - one queue's counters; names in sysfs.c
 *
 * They outlive reconnects. First block: under send_lock or (stops) nearly
 * so, persistent_* under grant_lock; second block: in the interrupt handler.
 */
struct blkf_stats {
	u64 requests;
	u64 segments;
	u64 indirect;
	u64 doorbells;
	u64 doorbells_saved;
	u64 stop_grants;
	u64 stop_ring_full;
	u64 persistent_hits;
	u64 persistent_grown;
	u64 persistent_trimmed;

	u64 interrupts ____cacheline_aligned_in_smp;
	u64 moves;
	u64 deferred;
	u64 responses;
	u64 errors;
	u64 unsupported;
};

/**
 * struct blkf_queue - one ring
 * @ring: producing side under @send_lock, consuming side under @reap_lock
 * @follow: where the interrupt is wanted, if it @follows; @reap_lock
 * @polled: no interrupts: whoever waits looks by himself
 * @relays: interrupts, but also requests of those who poll and have no ring of
 *	their own: a bio of theirs may only end in process context
 * @unsent: requests in the ring that the backend was not told of; @send_lock
 * @depth: request numbers: those of each hardware queue that uses it
 * @max_segs: segments that a request may have on this connection
 * @starved: a hardware queue that shares the ring was short of something
 * @deaf: no answer is taken off the ring, under @reap_lock
 * @shadow: @depth of them
 * @pages: backing of all shadows' page arrays
 * @grants: under @grant_lock; so are the pool's members
 * @pool: stack of free lent pages, @pool_free deep, @pool_pages made so far;
 *	the lowest @pool_idle were not taken since the last look
 */
struct blkf_queue {
	struct blkf_dev *dev;
	unsigned int index;
	bool up;
	bool polled;
	bool relays;

	spinlock_t send_lock ____cacheline_aligned_in_smp;
	struct blkif_front_ring ring;
	unsigned int unsent;

	spinlock_t reap_lock ____cacheline_aligned_in_smp;
	struct blkf_follow follow;
	bool follows;

	spinlock_t grant_lock ____cacheline_aligned_in_smp;
	struct pvhvm_grants grants;
	struct blkf_page *pool;
	unsigned int pool_free;
	unsigned int pool_pages;
	unsigned int pool_idle;

	unsigned int depth ____cacheline_aligned_in_smp;
	unsigned int max_segs;
	bool bounce;
	bool starved;
	bool deaf;
	u16 handle;
	domid_t peer;
	struct blkf_shadow *shadow;
	struct blkf_page *pages;
	struct pvhvm_evtchn ch;
	struct pvhvm_ring mem;
	char name[BLKF_QUEUE_NAME];

	struct blkf_stats stats;
};

/**
 * struct blkf_lane - a hardware queue of the block layer
 * @dev: its device
 * @q: the ring it uses on this connection, perhaps with others
 * @base: request number there of its tag 0
 */
struct blkf_lane {
	struct blkf_dev *dev;
	struct blkf_queue *q;
	unsigned int base;
};

/* Where a device stands; the words of sysfs "state" are the bus's. */
enum blkf_state {
	BLKF_HELD,		/* its emulated twin may be in use */
	BLKF_WAITING,		/* for the backend to offer itself */
	BLKF_INITIALISED,	/* keys published */
	BLKF_CONNECTED,
	BLKF_DEAD,		/* given up; perhaps with a disk still open */
};

/* Features that the backend can take back by refusing a request. */
enum blkf_degrade {
	BLKF_NO_FLUSH_CACHE,
	BLKF_NO_BARRIER,
	BLKF_NO_DISCARD,
	BLKF_NO_SECURE,
};

/**
 * struct blkf_dev - one vbd
 * @kref: one for the driver, one for each opener and each queued work
 * @pools: in the shrinker's list, see persistent.c
 * @pdev: not to be touched once @gone, but by who holds a reference to it
 * @gone: removed; nobody but openers is left; @open_lock
 * @name: what the disk is called; @reserved while nobody else may take it
 * @queues_mutex: taking the queues up or down; also taken by the watchdog,
 *	which must not need the device's lock
 * @given_up: our own failure; only a new probe, or hold and letting go, tries
 *	again
 * @live: requests are taken; otherwise they wait if @kept, or fail
 * @kept: the rings went down with BLKF_DOWN_KEEP the last time
 * @deleted: the block layer will send none any more; @queues_mutex, and
 *	set before blkf_disk_destroy() looks at @openers
 * @nr_queues: rings of this connection; @nr_queues_max: what @queue has
 * @nr_poll: the last of @nr_queues, whose completions are polled for
 * @nr_lanes, @nr_poll_lanes: the same of the disk's hardware queues: what the
 *	first connection had
 * @lane: changes while the queues are down
 * @depth: tags of a hardware queue, fixed from the first connect on
 * @open_lock: @openers, @closing, @gone, @twin_up
 * @closing: no opener is let in any more
 * @close_wanted: the backend closes; do so when the last opener has left
 * @degraded: bits of enum blkf_degrade, set in interrupt context
 * @split: what was in requests too large for this backend; @split_lock
 */
struct blkf_dev {
	struct kref kref;
	struct list_head pools;
	struct pvhvm_device *pdev;
	enum blkf_state state;
	bool gone;
	bool given_up;

	struct blkf_vdev vdev;
	char name[BLKF_NAME_SIZE];
	char serial[BLKF_SERIAL_SIZE];
	char wwid[BLKF_WWID_SIZE];
	bool twin;
	bool twin_up;
	bool reserved;

	struct mutex queues_mutex;	/* queues up and down, see above */
	bool live;
	bool kept;
	bool quiesced;
	bool deleted;
	bool bounce;
	unsigned int nr_queues;
	unsigned int nr_queues_max;
	unsigned int nr_poll;
	unsigned int nr_lanes;
	unsigned int nr_poll_lanes;
	unsigned int ring_order;
	unsigned int depth;
	unsigned int max_segs;
	struct blkf_queue *queue;
	struct blkf_lane *lane;

	struct blkf_props props;
	bool flush_cache;
	bool barrier;
	bool discard;
	bool readonly;
	bool removable;
	bool cdrom;
	unsigned long degraded;

	spinlock_t split_lock;		/* split */
	struct bio_list split;

	struct blk_mq_tag_set tag_set;
	struct gendisk *disk;
	bool added;
	spinlock_t open_lock;		/* openers, closing, gone, twin_up */
	unsigned int openers;
	bool closing;
	bool close_wanted;

	struct work_struct add_work;
	struct work_struct close_work;
	struct work_struct fail_work;
	struct work_struct limits_work;
	struct delayed_work trim_work;
	struct delayed_work watchdog;
	u64 watchdog_responses;
};

/* ---- main ---- */

extern struct workqueue_struct *blkf_wq;
extern int blkf_major;

unsigned int blkf_param_queues(void);	/* 0: choose */
unsigned int blkf_param_poll_queues(void);
unsigned int blkf_param_ring_order(void);
unsigned int blkf_param_segments(void);
unsigned int blkf_param_grants(void);
bool blkf_param_persistent(void);
bool blkf_param_follow(void);
bool blkf_param_hold(void);

/**
 * blkf_step() - a step that a test can make fail (parameter fail_step)
 * @name: of the step
 *
 * Return: 0, or -ENOMEM for the step whose turn it is.
 */
int blkf_step(const char *name);

/* A disk is being added, or has been: main waits for it at load. */
void blkf_adding(int more);

/* ---- device ---- */

void blkf_dev_get(struct blkf_dev *dev);
void blkf_dev_put(struct blkf_dev *dev);

/**
 * blkf_dev_queue_work() - queue one of the device's works, with a reference
 * blkf_dev_cancel_work() - not queued, not running on return
 * Each work ends with blkf_dev_put().
 */
void blkf_dev_queue_work(struct blkf_dev *dev, struct work_struct *work);
bool blkf_dev_cancel_work(struct blkf_dev *dev, struct work_struct *work);

/**
 * blkf_dev_close() - take disk and queues down, unless the disk is open
 * @dev: its device's lock held
 *
 * Return: 0, or -EBUSY, and then nothing has changed.
 */
int blkf_dev_close(struct blkf_dev *dev);

/**
 * blkf_dev_hold() - connect, or disconnect and stay so
 * @dev: its device's lock held
 *
 * Return: 0; -EBUSY if the disk is open; -ENODEV to let go of a quarantined one.
 */
int blkf_dev_hold(struct blkf_dev *dev, bool hold);

/* The last opener has left; any context that may not sleep. */
void blkf_dev_last_closed(struct blkf_dev *dev);

/**
 * blkf_dev_abort() - end all requests with an error, now
 * @dev: any state; needs not the device's lock
 *
 * Context: process; sleeps.
 */
void blkf_dev_abort(struct blkf_dev *dev);

/* Probe, remove and the rest, for the registration. */
int blkf_probe(struct pvhvm_device *pdev);
void blkf_remove(struct pvhvm_device *pdev);
void blkf_otherend_changed(struct pvhvm_device *pdev, enum xenbus_state state);
int blkf_suspend(struct pvhvm_device *pdev);
void blkf_cancel(struct pvhvm_device *pdev);
int blkf_resume(struct pvhvm_device *pdev);

/* ---- identity ---- */

/**
 * blkf_identity_read() - who is it: number, name, emulated twin
 * Return: 0; -ENODEV: not ours to drive; -EEXIST: the name is taken.
 */
int blkf_identity_read(struct blkf_dev *dev);
void blkf_identity_release(struct blkf_dev *dev);

/* Its serial number and WWID, if the toolstack tells them. */
void blkf_identity_serial(struct blkf_dev *dev);

/* Tell the platform that the twin is connected (if the rings are up), or no longer. */
void blkf_identity_twin(struct blkf_dev *dev, bool up);

/* At load: which disks the guest was born with. Return: 0 or negative errno. */
int blkf_identity_init(void);
void blkf_identity_exit(void);

/* ---- negotiate ---- */

/**
 * blkf_negotiate_choose() - read what the backend offers, choose what to use
 * @dev: queues down
 *
 * Return: 0; or what pvhvm_xs_unanswered() knows, and nothing has changed.
 */
int blkf_negotiate_choose(struct blkf_dev *dev);

/**
 * blkf_negotiate() - set up rings as chosen, publish them
 * @dev: queues down
 *
 * Return: 0, our state is Initialised; negative errno, queues are down.
 */
int blkf_negotiate(struct blkf_dev *dev);

/* ---- limits ---- */

/**
 * blkf_limits_read() - what the disk is, from the connected backend's keys
 * Return: 0; negative errno, reported but for those of pvhvm_xs_unanswered().
 */
int blkf_limits_read(struct blkf_dev *dev);

/* How to flush as things are now: an operation, or BLKF_OP_NONE. */
u8 blkf_limits_flush_op(const struct blkf_dev *dev);

/* The same as the block layer wants it. */
void blkf_limits_fill(struct blkf_dev *dev, struct disk_limits *lim);

/* The backend rewrote its keys: follow a new size. */
void blkf_limits_resize(struct blkf_dev *dev);

/**
 * blkf_limits_apply() - to the disk that is there, before requests are let in
 * @dev: its device's lock held
 *
 * Does not wait for whoever changes limits in sysfs, as he may wait for the
 * requests that are kept: then @limits_work, to be queued once they are let
 * in, applies them. Return: 0 or negative errno.
 */
int blkf_limits_apply(struct blkf_dev *dev);

/*
 * Apply them as they are now: less, if the backend refused something. Then the
 * block layer gets @split once more.
 */
void blkf_limits_work(struct work_struct *work);

/* ---- disk ---- */

/**
 * blkf_disk_create() - tag set and gendisk, not visible yet
 * blkf_disk_add() - queue its appearance: reads partitions, outside any lock
 * blkf_disk_destroy() - a disk that is visible, being added, or not there
 */
int blkf_disk_create(struct blkf_dev *dev);
void blkf_disk_add(struct blkf_dev *dev);
void blkf_disk_destroy(struct blkf_dev *dev);
void blkf_disk_add_work(struct work_struct *work);

/* ---- queue ---- */

/**
 * enum blkf_down - what becomes of requests that the backend has
 * @BLKF_DOWN_FAIL: they fail with an error
 * @BLKF_DOWN_KEEP: they are sent again once queues are up; until then the
 *	block layer is quiesced, and what gets through all the same waits
 */
enum blkf_down {
	BLKF_DOWN_FAIL,
	BLKF_DOWN_KEEP,
};

/**
 * blkf_queues_up() - rings, references, channels; nothing published
 * @dev: @nr_queues, @ring_order, @max_segs are set
 *
 * Return: 0, or negative errno; blkf_queues_down() takes down what is up.
 */
int blkf_queues_up(struct blkf_dev *dev);

/* Which kind of pages, known only once the backend is connected. */
int blkf_queues_bounce(struct blkf_dev *dev);

/* Pages lent to the backend just now: rings, descriptors, data. */
unsigned int blkf_queues_grants(struct blkf_dev *dev);

/* Each queue's interrupt to a CPU that it serves. */
void blkf_queues_spread(struct blkf_dev *dev);

/**
 * blkf_queues_start() - let requests in, those kept first
 * blkf_queues_down() - no request in the backend's hands, no memory lent
 *
 * Down takes half-built queues and such as are down already.
 * Context: process; sleeps.
 */
void blkf_queues_start(struct blkf_dev *dev);
void blkf_queues_down(struct blkf_dev *dev, enum blkf_down how);

/*
 * Quiesce what is live and take no more answers; and let it go on. What is not
 * live is quiet until its backend is there, or its requests fail without seeing
 * a ring, and are to go on doing so. Context: process; sleeps.
 */
void blkf_queues_pause(struct blkf_dev *dev);
void blkf_queues_unpause(struct blkf_dev *dev);

/* The backend broke the protocol; any context. */
void blkf_queue_breach(struct blkf_queue *q, const char *why);

/* ---- persistent ---- */

/**
 * blkf_pool_init() - make room for lent pages, and the first of them
 * @q: a queue that is up; may have a pool already
 *
 * Makes enough pages for one request of full size, so that memory being
 * reclaimed through this disk always gets on.
 */
int blkf_pool_init(struct blkf_queue *q);
void blkf_pool_free(struct blkf_queue *q);

/**
 * blkf_pool_take() - lent pages for a request
 * @page: where they go, @nr of them
 * Context: any; takes grant_lock. Return: false if there are not enough now.
 */
bool blkf_pool_take(struct blkf_queue *q, struct blkf_page *page,
		    unsigned int nr);
void blkf_pool_put(struct blkf_queue *q, const struct blkf_page *page,
		   unsigned int nr);

/* Take back lent pages that are idle; from @trim_work. */
void blkf_pool_trim_work(struct work_struct *work);

/**
 * blkf_pool_watch() - let memory pressure take idle pages of a device's rings
 * blkf_pool_unwatch() - no more; on return nobody does
 * Context: process; may sleep.
 */
void blkf_pool_watch(struct blkf_dev *dev);
void blkf_pool_unwatch(struct blkf_dev *dev);

/* The shrinker, at load and unload. Return: 0 or -ENOMEM. */
int blkf_pool_setup(void);
void blkf_pool_cleanup(void);

/* Between a request's memory and lent pages, @nr of them in a row. */
void blkf_pool_copy(struct request *rq, const struct blkf_page *page,
		    unsigned int nr, bool to_pages);

/**
 * blkf_page_lend() - a new page, zeroed and granted
 * blkf_page_return() - the reverse; parks it if the backend still has it
 * Context: return: not in hard interrupt; both: @q's grant_lock held, or
 * nobody else there.
 */
int blkf_page_lend(struct blkf_queue *q, struct blkf_page *p, bool readonly,
		   gfp_t gfp);
void blkf_page_return(struct blkf_queue *q, struct blkf_page *p);

/* ---- request ---- */

extern const struct blk_mq_ops blkf_mq_ops;

/**
 * blkf_request_reap() - take responses off the ring
 * @q: reap_lock held
 * @budget: work that may follow: a request is one, a page to copy is one;
 *	BLKF_REAP_ALL, or BLKF_REAP_SOME for an interrupt
 * @rest: set if it ended it; then no event is asked for, and the caller must
 *	take the rest
 *
 * Return: chain of their numbers, BLKF_NONE if there is none, for
 * blkf_request_complete(), which wants no lock held.
 */
#define BLKF_REAP_SOME	32
#define BLKF_REAP_ALL	INT_MAX
unsigned int blkf_request_reap(struct blkf_queue *q, int budget, bool *rest);
void blkf_request_complete(struct blkf_queue *q, unsigned int chain);

/* ---- oversize ---- */

/**
 * blkf_oversize_split() - take apart a request that has too many segments
 * @q: its ring
 * @rq: not started
 *
 * Context: that of a request on its way to the ring.
 * Return: BLK_STS_OK: what is in it waits in @dev->split, limits_work is queued;
 * BLK_STS_IOERR: it is polled for.
 */
blk_status_t blkf_oversize_split(struct blkf_queue *q, struct request *rq);

/**
 * blkf_oversize_resubmit() - @dev->split once more, the limits are applied
 * blkf_oversize_fail() - or with an error to whoever wants it
 * Context: resubmit: process, no lock held; may wait for requests to end.
 */
void blkf_oversize_resubmit(struct blkf_dev *dev);
void blkf_oversize_fail(struct blkf_dev *dev);

/* ---- sysfs ---- */

/* Before the driver is registered. */
void blkf_sysfs_init(void);

extern const struct attribute_group *blkf_dev_groups[];
extern const struct attribute_group *blkf_disk_groups[];

#endif /* PVHVM_BLKFRONT_H */
