// SPDX-License-Identifier: GPL-2.0-only
/*
 * xs.c: requests and the replies that match them.
 *
 * Many requests may be in flight; each has an id, and the reader thread hands
 * its reply to whoever asked. Ids count up from a random start: the replies
 * to a predecessor on the same ring (a kernel before kexec, this module
 * before its reload) then match nothing, are counted and dropped.
 */
#include "xenbus.h"

#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

/* How long to wait once the server has let a request time out. */
#define XS_IMPATIENT	(5 * HZ)
/* How long a suspend waits for requests in flight. */
#define XS_DRAIN	(10 * HZ)
/* Transactions that nobody waits for; xenstored lets a guest have ten or so at a time. */
#define XS_LATE		16

static unsigned int request_timeout = 60;
module_param(request_timeout, uint, 0444);
MODULE_PARM_DESC(request_timeout,
		 "Seconds until an unanswered xenstore request is given up (default 60, 5..600)");

static void xs_end_late(struct work_struct *work);

static struct {
	/* protects pending, users, suspended, late, nr_late */
	spinlock_t lock;
	struct list_head pending;
	unsigned int users;
	bool suspended;
	u32 late[XS_LATE];
	unsigned int nr_late;
	wait_queue_head_t gate;

	struct task_struct *reader;
	struct xs_in *in;
	atomic_t next_id;
	unsigned int generation;
	/* a request has timed out and nothing has been heard since */
	bool silent;
	bool abandoned;
	struct work_struct end_late;
} xs = {
	.lock = __SPIN_LOCK_UNLOCKED(xs.lock),
	.pending = LIST_HEAD_INIT(xs.pending),
	.gate = __WAIT_QUEUE_HEAD_INITIALIZER(xs.gate),
	.end_late = __WORK_INITIALIZER(xs.end_late, xs_end_late),
};

u32 xs_fresh_id(void)
{
	u32 id;

	do {
		id = atomic_inc_return(&xs.next_id);
	} while (!id);
	return id;
}

bool xs_is_silent(void)
{
	return READ_ONCE(xs.silent);
}

static unsigned long xs_timeout(void)
{
	if (xs_is_silent())
		return XS_IMPATIENT;
	return clamp(request_timeout, 5u, 600u) * HZ;
}

static void xs_timed_out(u32 type)
{
	xenbus_count(timeouts);
	if (!xchg(&xs.silent, true))
		pr_warn("xenstored does not answer (request type %u): is it running in dom0?\n",
			type);
}

unsigned int xs_generation(void)
{
	return READ_ONCE(xs.generation);
}

/* ---- transactions that nobody waits for ---- */

/*
 * The first of them; without @txn all are forgotten.
 * Return: false when there is none.
 */
static bool xs_take_late(u32 *txn)
{
	bool any;

	spin_lock(&xs.lock);
	any = xs.nr_late;
	if (!txn)
		xs.nr_late = 0;
	else if (any)
		*txn = xs.late[--xs.nr_late];
	spin_unlock(&xs.lock);
	return any;
}

/* Begun when the request had timed out: left open, it would count for ever. */
static void xs_note_late(const struct xs_in *in)
{
	u64 id;

	if (in->hdr.type != XS_TRANSACTION_START ||
	    xs_parse_u64(in->body, strnlen(in->body, in->hdr.len), &id) ||
	    !id || id > U32_MAX)
		return;
	spin_lock(&xs.lock);
	if (xs.nr_late < XS_LATE)
		xs.late[xs.nr_late++] = id;
	spin_unlock(&xs.lock);
	schedule_work(&xs.end_late);
}

static void xs_end_late(struct work_struct *work)
{
	const struct kvec no = { .iov_base = "F", .iov_len = 2 };
	bool more;
	u32 txn;

	do {
		xs_enter();
		more = xs_take_late(&txn);
		if (more)
			xs_command(XS_TRANSACTION_END, txn, &no, 1);
		xs_leave();
	} while (more);
}

/* ---- the gate: who is inside holds off a suspend ---- */

static bool xs_try_enter(bool within)
{
	bool in;

	spin_lock(&xs.lock);
	in = within || !xs.suspended;
	if (in)
		xs.users++;
	spin_unlock(&xs.lock);
	return in;
}

void xs_enter(void)
{
	wait_event(xs.gate, xs_try_enter(false));
}

int xs_enter_killable(void)
{
	return wait_event_killable(xs.gate, xs_try_enter(false)) ? -EINTR : 0;
}

void xs_leave(void)
{
	spin_lock(&xs.lock);
	xs.users--;
	spin_unlock(&xs.lock);
	wake_up_all(&xs.gate);
}

static bool xs_drained(void)
{
	bool drained;

	spin_lock(&xs.lock);
	drained = !xs.users && list_empty(&xs.pending);
	spin_unlock(&xs.lock);
	return drained;
}

static void xs_set_suspended(bool suspended)
{
	spin_lock(&xs.lock);
	xs.suspended = suspended;
	spin_unlock(&xs.lock);
	wake_up_all(&xs.gate);
}

int xs_suspend(void)
{
	xs_set_suspended(true);
	if (wait_event_timeout(xs.gate, xs_drained() || comms_broken(),
			       XS_DRAIN)) {
		comms_pause();
		return 0;
	}
	xs_set_suspended(false);
	return -EBUSY;
}

void xs_resume(bool fresh)
{
	if (fresh) {
		WRITE_ONCE(xs.generation, xs.generation + 1);
		WRITE_ONCE(xs.silent, false);
		/* the new xenstored knows none of them */
		xs_take_late(NULL);
		comms_resume();
	} else {
		comms_unpause();
	}
	xs_set_suspended(false);
}

/* ---- the list of those that wait ---- */

/*
 * From here on the request may be answered, or failed, and with that be gone.
 * Return: its id.
 */
static u32 xs_await(struct xs_request *req)
{
	u32 id = xs_fresh_id();

	req->id = id;
	req->body = NULL;
	req->err = 0;
	xenbus_count(pending);
	spin_lock(&xs.lock);
	list_add_tail(&req->list, &xs.pending);
	spin_unlock(&xs.lock);
	return id;
}

static struct xs_request *xs_take(u32 id)
{
	struct xs_request *req, *found = NULL;

	spin_lock(&xs.lock);
	list_for_each_entry(req, &xs.pending, list) {
		if (req->id == id) {
			list_del_init(&req->list);
			found = req;
			break;
		}
	}
	spin_unlock(&xs.lock);
	if (found)
		xenbus_uncount(pending);
	return found;
}

/* Return: false when the reply is already being handed over. */
static bool xs_forget(u32 id)
{
	if (!xs_take(id))
		return false;
	wake_up_all(&xs.gate);
	return true;
}

static void xs_finish(struct xs_request *req)
{
	if (req->complete)
		req->complete(req);
	else
		complete(&req->done);
	wake_up_all(&xs.gate);
}

static void xs_fail_all(void)
{
	struct xs_request *req;

	for (;;) {
		spin_lock(&xs.lock);
		req = list_first_entry_or_null(&xs.pending, struct xs_request,
					       list);
		if (req)
			list_del_init(&req->list);
		spin_unlock(&xs.lock);
		if (!req)
			return;
		xenbus_uncount(pending);
		req->err = -EIO;
		xs_finish(req);
	}
}

void xs_abandon(void)
{
	WRITE_ONCE(xs.abandoned, true);
	xs_fail_all();
}

/* ---- the reader thread ---- */

static void xs_reply(const struct xs_in *in)
{
	struct xs_request *req = xs_take(in->hdr.req_id);

	WRITE_ONCE(xs.silent, false);
	if (!req) {
		xenbus_count(stale_replies);
		xs_note_late(in);
		return;
	}
	xenbus_count(replies);
	req->reply = in->hdr;
	if (in->hdr.type != req->type && in->hdr.type != XS_ERROR) {
		req->err = -EIO;
		xs_finish(req);
		comms_break("a reply of another type than its request");
		return;
	}
	req->body = kmemdup(in->body, in->hdr.len + 1, GFP_KERNEL);
	if (!req->body)
		req->err = -ENOMEM;
	xs_finish(req);
}

static int xs_reader(void *unused)
{
	struct xs_in *in = xs.in;

	/* Disks may be waiting for what comes in here. */
	memalloc_noio_save();
	xs_in_reset(in);
	while (comms_receive(in) > 0) {
		if (in->hdr.type == XS_WATCH_EVENT)
			watch_event(in->body, in->hdr.len);
		else
			xs_reply(in);
		xs_in_reset(in);
	}
	if (comms_broken())
		xs_abandon();
	/* kthread_stop() needs a living thread */
	while (!kthread_should_stop()) {
		set_current_state(TASK_IDLE);
		if (!kthread_should_stop())
			schedule();
		__set_current_state(TASK_RUNNING);
	}
	return 0;
}

/* ---- asking ---- */

static int xs_send(struct xs_request *req, u32 txn, const struct kvec *parts,
		   unsigned int nr, bool killable)
{
	const u32 type = req->type;
	struct xsd_sockmsg hdr = { .type = type, .tx_id = txn };
	struct kvec v[1 + XS_TALK_PARTS];
	unsigned int i;
	u32 len = 0;
	int err;

	if (WARN_ON_ONCE(nr > XS_TALK_PARTS))
		return -EINVAL;
	for (i = 0; i < nr; i++) {
		v[1 + i] = parts[i];
		len += parts[i].iov_len;
	}
	if (len > XENSTORE_PAYLOAD_MAX)
		return -E2BIG;

	hdr.req_id = xs_await(req);
	hdr.len = len;
	v[0].iov_base = &hdr;
	v[0].iov_len = sizeof(hdr);
	/* after it is in the list: whoever abandons the list has set this */
	if (READ_ONCE(xs.abandoned))
		err = -EIO;
	else
		err = comms_send(v, 1 + nr, xs_timeout(), killable);
	if (!err) {
		xenbus_count(requests);
		return 0;
	}
	if (err == -ETIMEDOUT)
		xs_timed_out(type);
	/* Else it was failed by the reader thread at the same time: so be it. */
	return xs_forget(hdr.req_id) ? err : 0;
}

int xs_submit(struct xs_request *req, u32 txn, const void *body, u32 len)
{
	const struct kvec v = { .iov_base = (void *)body, .iov_len = len };

	/* the reply holds off a suspend by itself, see xs_drained() */
	return xs_send(req, txn, &v, 1, true);
}

/* Wait for the reply. Return: 0 or -ETIMEDOUT. */
static int xs_wait(struct xs_request *req)
{
	long left = req->deadline - jiffies;

	if (wait_for_completion_timeout(&req->done, max(left, 1L)))
		return 0;
	if (!xs_forget(req->id)) {
		wait_for_completion(&req->done);
		return 0;
	}
	xs_timed_out(req->type);
	return -ETIMEDOUT;
}

int xs_post(struct xs_request *req, u32 txn, const struct kvec *parts,
	    unsigned int nr)
{
	int err;

	init_completion(&req->done);
	err = xs_send(req, txn, parts, nr, false);
	/* it may have waited for room */
	req->deadline = jiffies + xs_timeout();
	return err;
}

void *xs_collect(struct xs_request *req, u32 *len)
{
	int err = xs_wait(req);

	if (!err)
		err = req->err;
	if (!err && req->reply.type == XS_ERROR)
		err = xs_error_to_errno(req->body);
	if (err) {
		kfree(req->body);
		return ERR_PTR(err);
	}
	if (len)
		*len = req->reply.len;
	return req->body;
}

void *xs_talk(u32 type, u32 txn, const struct kvec *parts, unsigned int nr,
	      u32 *len)
{
	struct xs_request req = { .type = type };
	void *reply;
	int err;

	/* within a transaction the gate has been passed */
	wait_event(xs.gate, xs_try_enter(txn != XS_NO_TXN));
	err = xs_post(&req, txn, parts, nr);
	reply = err ? ERR_PTR(err) : xs_collect(&req, len);
	xs_leave();
	return reply;
}

int xs_command(u32 type, u32 txn, const struct kvec *parts, unsigned int nr)
{
	char *reply = xs_talk(type, txn, parts, nr, NULL);

	if (IS_ERR(reply))
		return PTR_ERR(reply);
	kfree(reply);
	return 0;
}

/* ---- coming and going ---- */

/*
 * Watches of a predecessor would fire into the void, and count against our
 * quota. Older servers do not know the request; that must be harmless.
 */
static int xs_reset_watches(void)
{
	struct kvec nul = { .iov_base = "", .iov_len = 1 };
	int err = xs_command(XS_RESET_WATCHES, XS_NO_TXN, &nul, 1);

	if (err == -ETIMEDOUT || err == -EIO)
		return err;
	if (err)
		pr_debug("XS_RESET_WATCHES not offered (%d)\n", err);
	return 0;
}

/* What it has handed on last is answered by nobody any more. */
static void xs_stop_reader(void)
{
	kthread_stop(xs.reader);
	xs_abandon();
	cancel_work_sync(&xs.end_late);
}

int xs_init(void)
{
	int err;

	atomic_set(&xs.next_id, get_random_u32());
	xs.in = kmalloc(sizeof(*xs.in), GFP_KERNEL);
	if (!xs.in)
		return -ENOMEM;
	xs.reader = kthread_run(xs_reader, NULL, "pvhvm-xenstore");
	if (IS_ERR(xs.reader)) {
		err = PTR_ERR(xs.reader);
		goto err_free_in;
	}
	err = xs_reset_watches();
	if (err)
		goto err_stop_reader;
	return 0;

err_stop_reader:
	xs_stop_reader();
err_free_in:
	kfree(xs.in);
	return err;
}

/* Nobody makes requests any more. */
void xs_exit(void)
{
	cancel_work_sync(&xs.end_late);
	xs_stop_reader();
	kfree(xs.in);
}
