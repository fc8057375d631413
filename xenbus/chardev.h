/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * chardev.h: what the two files of /dev/xen/xenbus share: an open file
 * (chardev.c) is a connection with requests and watches (chardev_conn.c).
 *
 * Lifetime: the open file and each request in flight hold a reference. Who
 * drops the last one cleans up; the reader thread leaves that to a work, as
 * cleaning up makes requests.
 */
#ifndef PVHVM_XENBUS_CHARDEV_H
#define PVHVM_XENBUS_CHARDEV_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "xenbus.h"

/* Messages one file may leave unread: replies wait, watch events are lost. */
#define CHARDEV_UNREAD		1024

/**
 * struct chardev_file - one open file
 * @ref: the file's, and one for each request in flight
 * @cleanup: runs when the last reference goes in the reader thread
 * @write_lock: serialises writers; protects @in, @watches
 * @in: the request under assembly
 * @watches: of struct chardev_watch
 * @nr_watches: their number
 * @read_lock: serialises readers
 * @lock: protects all below
 * @unread: of struct chardev_msg, oldest first
 * @nr_unread: their number
 * @in_flight: requests without a reply
 * @txns: of struct chardev_txn
 * @lossy: a watch event has been lost, and that has been said
 * @wait: woken when @unread grows, @in_flight shrinks, or the transport breaks
 * @end: in comms_end(), wakes @wait
 */
struct chardev_file {
	struct kref ref;
	struct work_struct cleanup;

	struct mutex write_lock;
	struct xs_in in;
	struct list_head watches;
	unsigned int nr_watches;

	struct mutex read_lock;
	spinlock_t lock;
	struct list_head unread;
	unsigned int nr_unread;
	unsigned int in_flight;
	struct list_head txns;
	bool lossy;
	wait_queue_head_t wait;
	wait_queue_entry_t end;
};

/**
 * struct chardev_msg - a message to be read
 * @list: in the file's unread ones
 * @len: bytes of @data: header and payload
 * @read: bytes of them that have been read
 */
struct chardev_msg {
	struct list_head list;
	u32 len;
	u32 read;
	char data[];
};

/* ---- chardev_conn.c ---- */

/*
 * One whole request has been written to @f->in; @f->write_lock is held.
 * Return: 0 when it has been taken, also if the answer is an error; negative
 * when it has not.
 */
int chardev_conn_request(struct chardev_file *f);

/* End what the file has left open: watches, transactions. Makes requests. */
void chardev_conn_end(struct chardev_file *f);

/* ---- chardev.c ---- */

/* From the reader thread: a request's reference is given back. */
void chardev_put_later(struct chardev_file *f);

#endif /* PVHVM_XENBUS_CHARDEV_H */
