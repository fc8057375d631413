// SPDX-License-Identifier: GPL-2.0-only
/*
 * comms.c: bytes on the page shared with xenstored.
 *
 * The page and its event channel belong to the toolstack and outlive us: a
 * reload finds them as we, or a kernel before us, left them. The page is
 * writable by the other end at any time, so each index is read once and
 * checked, and our own two are kept in private copies.
 *
 * Page layout: xen/io/xs_wire.h; rules: Xen docs/misc/xenstore-ring.txt.
 */
#include "xenbus.h"

#include <linux/delay.h>
#include <linux/io.h>
#include <linux/kthread.h>
#include <linux/mutex.h>
#include <linux/wait.h>

#include <pvhvm/evtchn.h>
#include <pvhvm/hvm.h>
#include <xen-public/hvm/params.h>

#include "xs_resync.h"

/* How long a server may take to answer while we connect. */
#define COMMS_HELLO	(10 * HZ)

static struct {
	struct xenstore_domain_interface *page;
	struct pvhvm_evtchn ch;
	/* woken by every event, and by comms_break() */
	wait_queue_head_t wait;
	/* woken by comms_break() */
	wait_queue_head_t end;
	/* serialises senders, protects req_prod */
	struct mutex send_lock;
	u32 req_prod;
	/* held while replies are read; protects the next two */
	struct mutex read_lock;
	u32 rsp_cons;
	/* what the server had moved when its last event came; the handler's */
	u32 seen;
	/* counts fresh rings: half a message of an earlier one is no message */
	unsigned int epoch;
	/* set while suspended: the page is not ours to read then */
	bool paused;
	unsigned long pfn;
	const char *broken;
} comms = {
	.wait = __WAIT_QUEUE_HEAD_INITIALIZER(comms.wait),
	.end = __WAIT_QUEUE_HEAD_INITIALIZER(comms.end),
	.send_lock = __MUTEX_INITIALIZER(comms.send_lock),
	.read_lock = __MUTEX_INITIALIZER(comms.read_lock),
};

const char *comms_broken(void)
{
	return READ_ONCE(comms.broken);
}

void comms_break(const char *why)
{
	if (cmpxchg(&comms.broken, NULL, why))
		return;
	pr_err("xenstore is given up: %s; devices go on as they are, reload pvhvm_xenbus to try again\n",
	       why);
	wake_up_all(&comms.wait);
	wake_up_all(&comms.end);
}

wait_queue_head_t *comms_end(void)
{
	return &comms.end;
}

static irqreturn_t comms_interrupt(int irq, void *data)
{
	/*
	 * One event for each message, and it may take a while until a thread
	 * gets to read them: progress is what the server has moved.
	 */
	u32 moved = READ_ONCE(comms.page->req_cons) +
		READ_ONCE(comms.page->rsp_prod);

	if (moved != comms.seen)
		pvhvm_evtchn_useful(&comms.ch);
	comms.seen = moved;
	wake_up_all(&comms.wait);
	return IRQ_HANDLED;
}

/* ---- sending ---- */

/* Room for requests; negative once broken. */
static int comms_room(void)
{
	int used;

	if (comms_broken())
		return -EIO;
	if (READ_ONCE(comms.paused))
		return 0;
	used = xs_ring_used(comms.req_prod, READ_ONCE(comms.page->req_cons));
	if (used < 0) {
		comms_break("request indices out of bounds");
		return -EIO;
	}
	return XENSTORE_RING_SIZE - used;
}

/* True when there is room for @need bytes, or waiting is of no use. */
static bool comms_has_room(u32 need)
{
	int room = comms_room();

	return room < 0 || room >= (int)need;
}

/* Copy into the ring what fits; the caller publishes. */
static u32 comms_put(const char *src, u32 len, u32 room)
{
	u32 done = 0;

	len = min(len, room);
	while (done < len) {
		u32 idx = comms.req_prod + done;
		u32 n = xs_ring_piece(idx, len - done);

		memcpy(comms.page->req + MASK_XENSTORE_IDX(idx), src + done, n);
		done += n;
	}
	comms.req_prod += len;
	return len;
}

static void comms_publish(void)
{
	/* the bytes before the index that covers them */
	smp_wmb();
	WRITE_ONCE(comms.page->req_prod, comms.req_prod);
	pvhvm_evtchn_notify(&comms.ch);
}

/* The message has begun: it must go out whole, or the stream is broken. */
static int comms_send_part(const struct kvec *part, unsigned long timeout)
{
	const char *src = part->iov_base;
	u32 left = part->iov_len;

	while (left) {
		int room = comms_room();
		u32 n;

		if (room < 0)
			return room;
		if (!room) {
			comms_publish();
			if (!wait_event_timeout(comms.wait, comms_has_room(1),
						timeout)) {
				comms_break("the server stopped reading in the middle of a request");
				return -EIO;
			}
			continue;
		}
		/* our reads of the consumer index before we overwrite */
		smp_mb();
		n = comms_put(src, left, room);
		src += n;
		left -= n;
	}
	return 0;
}

int comms_send(const struct kvec *parts, unsigned int nr,
	       unsigned long timeout, bool killable)
{
	unsigned int i;
	u32 need = 0;
	long left;
	int err = 0;

	for (i = 0; i < nr; i++)
		need += parts[i].iov_len;
	need = min_t(u32, need, XENSTORE_RING_SIZE);

	if (!killable)
		mutex_lock(&comms.send_lock);
	else if (mutex_lock_killable(&comms.send_lock))
		return -EINTR;

	/* Nothing of it is on the ring yet: here one may still turn back. */
	if (killable)
		left = wait_event_killable_timeout(comms.wait,
						   comms_has_room(need),
						   timeout);
	else
		left = wait_event_timeout(comms.wait, comms_has_room(need),
					  timeout);
	if (left < 0)
		err = -EINTR;
	else if (!left)
		err = -ETIMEDOUT;
	for (i = 0; i < nr && !err; i++)
		err = comms_send_part(&parts[i], timeout);
	if (!err)
		comms_publish();
	mutex_unlock(&comms.send_lock);
	return err;
}

/* ---- receiving ---- */

/* Bytes to read; negative once broken. */
static int comms_ready(void)
{
	int used;

	if (comms_broken())
		return -EIO;
	/* Pairs with the release that lifts the pause: indices are new by then. */
	if (smp_load_acquire(&comms.paused))
		return 0;
	used = xs_ring_used(READ_ONCE(comms.page->rsp_prod), comms.rsp_cons);
	if (used < 0) {
		comms_break("reply indices out of bounds");
		return -EIO;
	}
	return used;
}

static u32 comms_server_error(void)
{
	if (!(READ_ONCE(comms.page->server_features) &
	      XENSTORE_SERVER_FEATURE_ERROR))
		return XENSTORE_ERROR_NONE;
	return READ_ONCE(comms.page->error);
}

/* Copy out of the ring, at most @len of the @ready bytes, and consume. */
static u32 comms_get(void *dst, u32 len, u32 ready)
{
	u32 n = xs_ring_piece(comms.rsp_cons, min(len, ready));

	/* the index that covers the bytes before the bytes */
	smp_rmb();
	memcpy(dst, comms.page->rsp + MASK_XENSTORE_IDX(comms.rsp_cons), n);
	comms.rsp_cons += n;
	/* the bytes are ours before the server may overwrite them */
	smp_mb();
	WRITE_ONCE(comms.page->rsp_cons, comms.rsp_cons);
	return n;
}

/* True when the reader has something to do. */
static bool comms_reader_wakes(void)
{
	if (kthread_should_stop() || comms_ready())
		return true;
	if (!READ_ONCE(comms.paused) && comms_server_error())
		comms_break("the server reports an error on its side");
	return comms_broken();
}

/*
 * Take what there is, up to a whole message. Return: 1: @in holds one; 0: not
 * yet; negative once broken.
 */
static int comms_read(struct xs_in *in, unsigned int *epoch)
{
	bool took = false;
	int ready, r = 0;

	mutex_lock(&comms.read_lock);
	if (*epoch != comms.epoch)
		xs_in_reset(in);
	*epoch = comms.epoch;
	while (!r && (ready = comms_ready()) != 0) {
		u32 want;
		void *to;

		if (ready < 0) {
			r = ready;
			break;
		}
		to = xs_in_space(in, &want);
		r = xs_in_took(in, comms_get(to, want, ready));
		took = true;
		if (r < 0) {
			comms_break("a reply longer than the protocol allows");
			r = -EIO;
		}
	}
	if (took && r >= 0)
		pvhvm_evtchn_notify(&comms.ch);
	mutex_unlock(&comms.read_lock);
	return r;
}

int comms_receive(struct xs_in *in)
{
	unsigned int epoch = READ_ONCE(comms.epoch);

	for (;;) {
		int r = comms_read(in, &epoch);

		if (r)
			return r;
		if (kthread_should_stop())
			return 0;
		wait_event_idle(comms.wait, comms_reader_wakes());
	}
}

/* ---- connecting ---- */

static void comms_adopt_indices(void)
{
	comms.req_prod = READ_ONCE(comms.page->req_prod);
	comms.rsp_cons = READ_ONCE(comms.page->rsp_cons);
}

static void comms_skip_unread(void)
{
	comms.rsp_cons = READ_ONCE(comms.page->rsp_prod);
	WRITE_ONCE(comms.page->rsp_cons, comms.rsp_cons);
}

/*
 * Ask for a fresh ring: the server drops everything half done, watches and
 * transactions too, sets all indices to zero and says so.
 */
static int comms_reconnect(void)
{
	WRITE_ONCE(comms.page->connection, XENSTORE_RECONNECT);
	pvhvm_evtchn_notify(&comms.ch);
	if (!wait_event_timeout(comms.wait,
				READ_ONCE(comms.page->connection) ==
				XENSTORE_CONNECTED, COMMS_HELLO)) {
		pr_err("xenstored does not answer (asked to reconnect the ring)\n");
		return -ETIMEDOUT;
	}
	/* the state before the indices it covers */
	smp_rmb();
	comms_adopt_indices();
	return 0;
}

/*
 * Hand replies to the search until it is done or none has come for @patience
 * jiffies. Byte by byte: what follows the boundary is the reader thread's.
 * Return: negative once broken.
 */
static int comms_resync_read(struct xs_resync *r, unsigned long patience)
{
	unsigned char c;
	int ready;

	while (!xs_resync_done(r)) {
		wait_event_timeout(comms.wait, comms_ready(), patience);
		ready = comms_ready();
		if (ready <= 0)
			return ready;
		comms_get(&c, 1, ready);
		xs_resync_byte(r, c);
	}
	return 0;
}

/*
 * A server that cannot reconnect may hold half a request of a predecessor
 * that died, and owe us the rest of a reply: see xs_resync.h.
 */
static int comms_resync(void)
{
	static const char zero[sizeof(struct xsd_sockmsg)];
	unsigned long patience = HZ;
	struct xs_resync r;
	u32 n;

	xs_resync_init(&r);
	/* Whatever lies there was meant for somebody else. */
	comms.rsp_cons = READ_ONCE(comms.page->rsp_prod);
	WRITE_ONCE(comms.page->rsp_cons, comms.rsp_cons);
	while (!xs_resync_done(&r)) {
		n = xs_resync_feed(&r);
		if (!n) {
			pr_err("xenstored does not answer (%u bytes sent to find a message boundary)\n",
			       r.fed);
			return -ETIMEDOUT;
		}
		if (!wait_event_timeout(comms.wait, comms_has_room(n),
					COMMS_HELLO) || comms_room() < 0) {
			pr_err("xenstored does not read its ring\n");
			return -ETIMEDOUT;
		}
		comms_put(zero, n, n);
		comms_publish();
		if (comms_resync_read(&r, patience) < 0)
			return -EIO;
		patience = msecs_to_jiffies(20) + 1;
	}
	if (r.fed > sizeof(zero))
		pr_info("found the ring in the middle of a message, recovered after %u bytes\n",
			r.fed);
	return 0;
}

static int comms_connect(void)
{
	comms_adopt_indices();
	if (READ_ONCE(comms.page->server_features) &
	    XENSTORE_SERVER_FEATURE_RECONNECTION)
		return comms_reconnect();
	return comms_resync();
}

static int comms_find(u64 *pfn, u64 *port)
{
	int err = pvhvm_hvm_param_get(HVM_PARAM_STORE_EVTCHN, port);

	if (err || !*port || *port > U32_MAX) {
		pr_err("no xenstore event channel (HVM_PARAM_STORE_EVTCHN): was this guest started without a toolstack?\n");
		return -ENODEV;
	}
	err = pvhvm_hvm_param_get(HVM_PARAM_STORE_PFN, pfn);
	if (err || !*pfn || *pfn >= 1ULL << (52 - PAGE_SHIFT)) {
		pr_err("no xenstore ring page (HVM_PARAM_STORE_PFN): was this guest started without a toolstack?\n");
		return -ENODEV;
	}
	return 0;
}

int comms_init(void)
{
	u64 pfn, port;
	int err = comms_find(&pfn, &port);

	if (err)
		return err;
	comms.broken = NULL;
	comms.pfn = pfn;
	comms.page = memremap(PFN_PHYS(pfn), PAGE_SIZE, MEMREMAP_WB);
	if (!comms.page) {
		pr_err("cannot map the xenstore ring at frame %#llx\n", pfn);
		return -ENOMEM;
	}
	err = pvhvm_evtchn_attach(&comms.ch, port, comms_interrupt, "xenstore",
				  &comms);
	if (err) {
		pr_err("cannot use xenstore's event channel %llu (%d)\n", port,
		       err);
		goto err_unmap;
	}
	err = comms_connect();
	if (err)
		goto err_close;
	return 0;

err_close:
	pvhvm_evtchn_close(&comms.ch, &comms);
err_unmap:
	memunmap(comms.page);
	comms.page = NULL;
	return err;
}

/* The reader thread has stopped and nobody sends any more. */
void comms_exit(void)
{
	pvhvm_evtchn_close(&comms.ch, &comms);
	memunmap(comms.page);
	comms.page = NULL;
}

/* On return the reader thread is not at the page, and will not be. */
void comms_pause(void)
{
	mutex_lock(&comms.read_lock);
	WRITE_ONCE(comms.paused, true);
	mutex_unlock(&comms.read_lock);
}

void comms_unpause(void)
{
	/* the indices adopted before are seen by the reader thread */
	smp_store_release(&comms.paused, false);
	wake_up_all(&comms.wait);
}

int comms_resume(void)
{
	u64 pfn, port;
	int err = comms_find(&pfn, &port);

	/* the page is part of the saved guest, so it cannot have moved */
	if (err || pfn != comms.pfn) {
		err = -ENODEV;
		goto err_break;
	}
	pvhvm_evtchn_close(&comms.ch, &comms);
	err = pvhvm_evtchn_attach(&comms.ch, port, comms_interrupt, "xenstore",
				  &comms);
	if (err)
		goto err_break;
	mutex_lock(&comms.read_lock);
	/*
	 * What is unread is of before, and may begin in the middle of a message,
	 * whose first half is dropped with the epoch. All watches are set again.
	 */
	comms_adopt_indices();
	comms_skip_unread();
	comms.epoch++;
	mutex_unlock(&comms.read_lock);
	comms_unpause();
	return 0;

err_break:
	comms_break("its ring was not found again after resume");
	comms_unpause();
	return err;
}
