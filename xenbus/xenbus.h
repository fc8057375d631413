/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * xenbus.h: what the files of pvhvm_xenbus tell each other.
 *
 *	chardev  shutdown  cpus -> bus -> device -> client
 *	     \       |      /
 *	      watch, ops			public calls
 *	         batch				many requests, one wait
 *	          xs				requests and replies
 *	         comms				bytes on the ring
 *
 * Threads: "pvhvm-xenstore" reads the ring and hands out replies, it never
 * waits for a reply itself. "pvhvm-watch/0" and "/1" run watch callbacks,
 * which may; the latter those of network cards, see watch.c.
 * The ordered workqueue "pvhvm-bus" adds and removes devices, so that none
 * of these threads ever waits for a driver's probe or remove.
 */
#ifndef PVHVM_XENBUS_XENBUS_H
#define PVHVM_XENBUS_XENBUS_H

#ifdef pr_fmt
#undef pr_fmt
#endif
#define pr_fmt(fmt) "pvhvm_xenbus: " fmt

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/device.h>
#include <linux/list.h>
#include <linux/uio.h>
#include <linux/workqueue.h>

#include <pvhvm/abi.h>
#include <pvhvm/bus.h>
#include <pvhvm/xs.h>

#include "xs_msg.h"

/* ---- main.c ---- */

/* Longest wait for a backend, jiffies; 0: do not wait. */
unsigned long xenbus_backend_timeout(void);

/* ---- stats.c: counters, and the device that is the parent of all ---- */

/**
 * struct xenbus_stats - what /sys/devices/pvhvm/xenstore shows
 *
 * The last block counts what exists at the moment, the others what happened.
 */
struct xenbus_stats {
	atomic_t requests;
	atomic_t replies;
	atomic_t stale_replies;
	atomic_t timeouts;
	atomic_t transactions;
	atomic_t retries;
	atomic_t watch_events;
	atomic_t stale_events;
	atomic_t merged_events;
	atomic_t dropped_events;
	atomic_t quarantines;

	atomic_t pending;
	atomic_t watches;
	atomic_t devices;
	atomic_t opens;
};

extern struct xenbus_stats xenbus_stats;

#define xenbus_count(what)	atomic_inc(&xenbus_stats.what)
#define xenbus_uncount(what)	atomic_dec(&xenbus_stats.what)

int stats_init(void);
void stats_exit(void);
struct device *stats_root(void);

/* ---- comms.c: bytes on the ring ---- */

int comms_init(void);
void comms_exit(void);

/* Why the transport is broken, or NULL. Context: any. */
const char *comms_broken(void);

/* Give the transport up; the first reason is logged and stays. */
void comms_break(const char *why);

/* The queue that comms_break() wakes. */
wait_queue_head_t *comms_end(void);

/**
 * comms_send() - put one message on the ring
 * @parts: its parts, the header first
 * @nr: their number
 * @timeout: jiffies to wait for the server to make room
 * @killable: give up too when the caller gets a fatal signal
 *
 * Either the whole message goes out or none of it. When the server stops
 * reading in the middle of one, the transport is broken.
 * Context: process; sleeps.
 * Return: 0, -EIO (broken), -ETIMEDOUT, -EINTR.
 */
int comms_send(const struct kvec *parts, unsigned int nr,
	       unsigned long timeout, bool killable);

/**
 * comms_receive() - wait for the next message (reader thread only)
 * @in: where it is assembled
 *
 * Return: 1: @in holds a message; 0: the thread is to stop; -EIO: broken.
 */
int comms_receive(struct xs_in *in);

/*
 * Leave the page alone (sleeps until the reader does) / go on, all being as
 * before.
 */
void comms_pause(void);
void comms_unpause(void);

/* After a resume: find the port again, then comms_unpause(). */
int comms_resume(void);

/* ---- xs.c: requests and replies ---- */

/**
 * struct xs_request - one request in flight
 * @list: in the list of those that wait for a reply
 * @id: what the reply is matched by
 * @type: enum xsd_sockmsg_type
 * @deadline: jiffies, when it counts as unanswered
 * @reply: the reply's header, valid when @err is 0
 * @body: the reply's payload with a NUL behind, to be freed with kfree()
 * @err: -EIO (transport), -ENOMEM (no room for the reply); 0: replied
 * @done: for a caller that waits
 * @complete: called from the reader thread instead of completing @done;
 *	must not make requests
 */
struct xs_request {
	struct list_head list;
	u32 id;
	u32 type;
	unsigned long deadline;
	struct xsd_sockmsg reply;
	char *body;
	int err;
	struct completion done;
	void (*complete)(struct xs_request *req);
};

int xs_init(void);
void xs_exit(void);

/* Fail what waits with -EIO, and everything to come. */
void xs_abandon(void);

/**
 * xs_submit() - send a request, the reply goes to @req->complete
 * @req: with @type and @complete set; the callee's until completed
 * @txn: transaction
 * @body: payload
 * @len: its length
 *
 * Context: process, between xs_enter_killable() and xs_leave(); sleeps for
 * room on the ring, a fatal signal ends that.
 * Return: 0, or negative errno and @complete will not be called.
 */
int xs_submit(struct xs_request *req, u32 txn, const void *body, u32 len);

/* For xsd_sockmsg.tx_id: outside any transaction. */
#define XS_NO_TXN	0u

/**
 * xs_post() - send a request whose reply xs_collect() waits for
 * @req: with @type set and no @complete
 * @txn: transaction, or XS_NO_TXN
 * @parts: the payload's parts, at most XS_TALK_PARTS; may go on return
 * @nr: their number
 *
 * Several may be posted before the first is collected. Context: process,
 * between xs_enter() and xs_leave(); sleeps for room on the ring.
 * Return: 0, or negative errno and there is nothing to collect.
 */
int xs_post(struct xs_request *req, u32 txn, const struct kvec *parts,
	    unsigned int nr);

/* Returns as xs_talk(). Context: process; sleeps, before xs_leave(). */
void *xs_collect(struct xs_request *req, u32 *len);

/**
 * xs_talk() - send a request and wait for the reply
 * @type: enum xsd_sockmsg_type
 * @txn: transaction, or XS_NO_TXN
 * @parts: the payload's parts, at most XS_TALK_PARTS
 * @nr: their number
 * @len: if not NULL, the reply's length
 *
 * Context: process; sleeps, at most the module parameter request_timeout.
 * Return: the reply's payload (kfree()), or ERR_PTR(): the server's error,
 * -EIO (transport), -ETIMEDOUT, -ENOMEM, -E2BIG.
 */
#define XS_TALK_PARTS	3
void *xs_talk(u32 type, u32 txn, const struct kvec *parts, unsigned int nr,
	      u32 *len);

/* xs_talk() for a reply that says no more than OK. Return: 0 or errno. */
int xs_command(u32 type, u32 txn, const struct kvec *parts, unsigned int nr);

/*
 * What failed may work later: no answer yet, or no room for what the guest has in
 * xenstore, which programs share (oxenstored: EQUOTA; the other one says E2BIG
 * of watches).
 */
static inline bool xs_may_pass(int err)
{
	return pvhvm_xs_unanswered(err) || err == -ENOSPC || err == -E2BIG;
}

/* A request has timed out and nothing has been heard from the server since. */
bool xs_is_silent(void);

/* A number that no client of this ring has used lately. */
u32 xs_fresh_id(void);

/*
 * No new requests; those in flight are replied to, transactions of the kernel
 * ended. Return: 0, or -EBUSY when that takes too long (nothing is stopped).
 */
int xs_suspend(void);

/* Go on. @fresh: with a server that has forgotten watches and transactions. */
void xs_resume(bool fresh);

/* Counts the fresh servers: transactions of an earlier one are void. */
unsigned int xs_generation(void);

/*
 * Around a transaction, so that a suspend does not cut it. In between
 * xs_generation() stays. Killable: 0, or -EINTR and there is nothing to leave.
 */
void xs_enter(void);
int xs_enter_killable(void);
void xs_leave(void);

/* ---- batch.c: several requests, one wait ---- */

/* On its user's stack; between xs_enter() and xs_leave(). */
struct xs_batch {
	struct list_head items;
	u32 txn;
};

void batch_begin(struct xs_batch *b, u32 txn);

/**
 * batch_add() - send one more request
 * @b: the batch
 * @type: enum xsd_sockmsg_type
 * @parts: the payload's parts, at most XS_TALK_PARTS; may go on return
 * @nr: their number
 * @ignored: the server's answer that is as good as none, negative errno, or 0
 *
 * Context: process; sleeps for room on the ring.
 * Return: 0, or negative errno and it is not part of the batch.
 */
int batch_add(struct xs_batch *b, u32 type, const struct kvec *parts,
	      unsigned int nr, int ignored);

/* Waits for all answers. Return: 0, or the first error that one was. */
int batch_end(struct xs_batch *b);

/* ---- watch.c ---- */

int watch_init(void);
void watch_exit(void);

/* From the reader thread: a WATCH_EVENT has arrived. */
void watch_event(const char *body, u32 len);

/*
 * Keep a lane's callbacks from running; waits for the one that runs. Those of
 * watches that are @aside are to be paused first, and go on last.
 */
void watch_pause(bool aside);
void watch_unpause(bool aside);

/*
 * After a resume: what this one watched is the old domain's; the new server is
 * not to be told of it. Callbacks are kept from running.
 */
void watch_forget(struct pvhvm_xs_watch *w);

/* After a resume: tell the new server all watches. */
void watch_resume(void);

/* ---- bus.c: the bus and its drivers; device.c: one device's life ---- */

extern struct bus_type pvhvm_bus;

int bus_init(void);
void bus_exit(void);

/* Somebody may be waiting for devices to settle: look again. */
void bus_kick(void);

/* Queue a look at the directory "device". Context: any. */
void bus_rescan(void);

/* Queue one in a while, for what xenstore has not answered. Context: any. */
void bus_rescan_later(void);

/* Run in the bus's workqueue. */
bool bus_queue(struct work_struct *work);

/*
 * What a suspend keeps still by now: nothing; scans, devices aside and those
 * that nobody drives; all.
 */
enum bus_still { BUS_STILL_NONE, BUS_STILL_ASIDE, BUS_STILL_ALL };

/* Is this device, from a suspend's beginning to its end, in whatever domain? */
bool bus_is_still(const struct pvhvm_device *pdev);

/* Wait for what is queued while watch callbacks still run: it may need them. */
void bus_flush(void);

/* Each with the callbacks of its kind paused, in this order, and back. */
void bus_suspend_aside(void);
void bus_suspend_first(void);
void bus_cancel_first(void);
void bus_cancel_aside(void);
/* Before the watches are set again, and when they are. */
void bus_forget_backends(void);
void bus_resume(void);

#define to_pvhvm_driver(d)	container_of(d, struct pvhvm_driver, driver)

/**
 * device_create_pv() - make a device for a directory of xenstore
 * Return: 0; -ENOENT: it is not (or no more) a complete device; other errno.
 */
int device_create_pv(const char *type, unsigned int id);

/* Unbind it and take it off the bus. */
void device_destroy_pv(struct pvhvm_device *pdev);

/*
 * Has the toolstack put a new device in the place of this one? Return: 1, 0, or
 * -ETIMEDOUT when xenstore has not answered.
 */
int device_replaced(struct pvhvm_device *pdev);

/* A probe that xenstore has not answered is made again; others stay as they are. */
void device_probe_again(struct pvhvm_device *pdev);

/* The driver model's callbacks. */
int device_probe_pv(struct pvhvm_device *pdev, struct pvhvm_driver *drv);
void device_remove_pv(struct pvhvm_device *pdev, struct pvhvm_driver *drv);
void device_shutdown_pv(struct pvhvm_device *pdev);
/* In a new domain: forget the old backend; find the new one and start over. */
void device_forget_backend(struct pvhvm_device *pdev);

/* Wait for a look of pvhvm_look_again() that has begun; none begins while bus_is_still(). */
void device_end_look(struct pvhvm_device *pdev);
void device_resume_pv(struct pvhvm_device *pdev);

/* Nothing to wait for: connected, given up, or idle on purpose. */
bool device_settled(struct pvhvm_device *pdev);

/* ---- handshake.c: bringing both ends to a known state ---- */

bool handshake_ask(const char *dir, enum xenbus_state *state);
enum xenbus_state handshake_read(const char *dir);
int handshake_reset(struct pvhvm_device *pdev);
void handshake_close(struct pvhvm_device *pdev);
void handshake_let_go(struct pvhvm_device *pdev);

/* ---- client.c ---- */

void client_quarantine_work(struct work_struct *work);

/* ---- cpus.c, shutdown.c, chardev.c, suspend.c ---- */

int cpus_init(void);
void cpus_exit(void);

int shutdown_init(void);
void shutdown_exit(void);
/* Advertise in a new domain's directory what the old one's said. */
void shutdown_resume(void);
int chardev_init(void);
void chardev_exit(void);
int suspend_init(void);
void suspend_exit(void);

#endif /* PVHVM_XENBUS_XENBUS_H */
