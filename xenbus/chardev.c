// SPDX-License-Identifier: GPL-2.0-only
/*
 * chardev.c: /dev/xen/xenbus, xenstore for programs.
 *
 * What is written is a stream of requests, what is read a stream of replies
 * and watch events, both as on the wire (xen/io/xs_wire.h), but each open
 * file is a connection of its own: request ids are translated, watch tokens
 * too, a transaction belongs to the file that started it, and what a file
 * leaves behind is cleaned up when it is closed.
 *
 * Lifetime: the open file and each request in flight hold a reference. Who
 * drops the last one cleans up; the reader thread leaves that to a work, as
 * cleaning up makes requests.
 */
#include "xenbus.h"

#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

/* Requests one file may have in flight before its writes wait. */
#define CHARDEV_IN_FLIGHT	32
/* Messages one file may leave unread: replies wait, watch events are lost. */
#define CHARDEV_UNREAD		1024
/* Watches one file may set; xenstored has a limit for the whole guest. */
#define CHARDEV_WATCHES		1024
/* How long unloading waits for what closed files have in flight. */
#define CHARDEV_DRAIN		(10 * HZ)

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
 * @wait: woken when @unread grows or @in_flight shrinks
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
};

struct chardev_msg {
	struct list_head list;
	u32 len;
	u32 read;
	char data[];
};

struct chardev_watch {
	struct pvhvm_xs_watch watch;
	struct list_head list;
	struct chardev_file *file;
	char *path;
	char *token;
};

struct chardev_txn {
	struct list_head list;
	u32 id;
	unsigned int generation;
};

struct chardev_request {
	struct xs_request xs;
	struct chardev_file *file;
	u32 user_id;
	u32 txn;
	/* room for what the reply of a TRANSACTION_START has us remember */
	struct chardev_txn *start;
};

static struct workqueue_struct *chardev_wq;
static DECLARE_WAIT_QUEUE_HEAD(chardev_gone);

/* ---- what is to be read ---- */

static struct chardev_msg *chardev_msg_new(u32 type, u32 id, u32 txn, u32 len)
{
	struct xsd_sockmsg hdr = {
		.type = type, .req_id = id, .tx_id = txn, .len = len,
	};
	struct chardev_msg *msg;

	msg = kmalloc(sizeof(*msg) + sizeof(hdr) + len, GFP_KERNEL);
	if (!msg)
		return NULL;
	msg->len = sizeof(hdr) + len;
	msg->read = 0;
	memcpy(msg->data, &hdr, sizeof(hdr));
	return msg;
}

static char *chardev_msg_body(struct chardev_msg *msg)
{
	return msg->data + sizeof(struct xsd_sockmsg);
}

static void chardev_queue(struct chardev_file *f, struct chardev_msg *msg)
{
	spin_lock(&f->lock);
	list_add_tail(&msg->list, &f->unread);
	f->nr_unread++;
	spin_unlock(&f->lock);
	wake_up_interruptible(&f->wait);
}

/* A reply made here, without asking xenstored. */
static int chardev_answer(struct chardev_file *f, const struct xsd_sockmsg *req,
			  int err)
{
	const char *text = err ? xs_errno_to_error(err) : "OK";
	u32 len = strlen(text) + 1;
	struct chardev_msg *msg = chardev_msg_new(err ? XS_ERROR : req->type,
						  req->req_id, req->tx_id, len);

	if (!msg)
		return -ENOMEM;
	memcpy(chardev_msg_body(msg), text, len);
	chardev_queue(f, msg);
	return 0;
}

/* ---- letting go ---- */

static void chardev_watch_free(struct chardev_watch *w)
{
	pvhvm_xs_unwatch(&w->watch);
	list_del(&w->list);
	w->file->nr_watches--;
	kfree(w->token);
	kfree(w->path);
	kfree(w);
}

static void chardev_abort(struct chardev_txn *t)
{
	const struct kvec no = { .iov_base = "F", .iov_len = 2 };

	if (t->generation == xs_generation())
		xs_command(XS_TRANSACTION_END, t->id, &no, 1);
	list_del(&t->list);
	kfree(t);
}

/* No request is in flight and no file open: nobody else sees @f any more. */
static void chardev_free(struct chardev_file *f)
{
	struct chardev_msg *msg, *next_msg;
	struct chardev_watch *w, *next_w;
	struct chardev_txn *t, *next_t;

	list_for_each_entry_safe(w, next_w, &f->watches, list)
		chardev_watch_free(w);
	list_for_each_entry_safe(t, next_t, &f->txns, list)
		chardev_abort(t);
	list_for_each_entry_safe(msg, next_msg, &f->unread, list)
		kfree(msg);
	kfree(f);
	xenbus_uncount(opens);
	wake_up_all(&chardev_gone);
}

static void chardev_cleanup(struct work_struct *work)
{
	chardev_free(container_of(work, struct chardev_file, cleanup));
}

/* The last reference went with a reply, in the reader thread. */
static void chardev_free_later(struct kref *ref)
{
	struct chardev_file *f = container_of(ref, struct chardev_file, ref);

	queue_work(chardev_wq, &f->cleanup);
}

/* It went with the file: all is cleaned up when close() returns. */
static void chardev_free_now(struct kref *ref)
{
	chardev_free(container_of(ref, struct chardev_file, ref));
}

/* ---- replies, in the reader thread ---- */

static struct chardev_txn *chardev_find_txn(struct chardev_file *f, u32 id)
{
	struct chardev_txn *t;

	lockdep_assert_held(&f->lock);
	list_for_each_entry(t, &f->txns, list)
		if (t->id == id)
			return t;
	return NULL;
}

static void chardev_note_txn(struct chardev_request *r)
{
	struct chardev_file *f = r->file;
	struct chardev_txn *t = NULL;
	u64 id;

	if (r->xs.type == XS_TRANSACTION_START) {
		if (r->xs.reply.type == XS_ERROR ||
		    xs_parse_u64(r->xs.body, strlen(r->xs.body), &id))
			return;
		r->start->id = id;
		r->start->generation = xs_generation();
		spin_lock(&f->lock);
		list_add_tail(&r->start->list, &f->txns);
		spin_unlock(&f->lock);
		r->start = NULL;
	} else if (r->xs.type == XS_TRANSACTION_END) {
		/* refused (EAGAIN) or not, the server has forgotten it */
		spin_lock(&f->lock);
		t = chardev_find_txn(f, r->txn);
		if (t)
			list_del(&t->list);
		spin_unlock(&f->lock);
		kfree(t);
	}
}

static void chardev_request_free(struct chardev_request *r)
{
	struct chardev_file *f = r->file;

	spin_lock(&f->lock);
	f->in_flight--;
	spin_unlock(&f->lock);
	wake_up_interruptible(&f->wait);
	kfree(r->start);
	kfree(r->xs.body);
	kfree(r);
	kref_put(&f->ref, chardev_free_later);
}

static void chardev_complete(struct xs_request *req)
{
	struct chardev_request *r = container_of(req, struct chardev_request,
						 xs);
	struct xsd_sockmsg hdr = {
		.type = req->type, .req_id = r->user_id, .tx_id = r->txn,
	};
	struct chardev_msg *msg;

	if (req->err) {
		chardev_answer(r->file, &hdr, req->err);
	} else {
		chardev_note_txn(r);
		msg = chardev_msg_new(req->reply.type, r->user_id,
				      req->reply.tx_id, req->reply.len);
		if (msg) {
			memcpy(chardev_msg_body(msg), req->body,
			       req->reply.len);
			chardev_queue(r->file, msg);
		}
	}
	chardev_request_free(r);
}

/* ---- watches ---- */

static bool chardev_is_queued(struct chardev_file *f,
			      const struct chardev_msg *msg)
{
	struct chardev_msg *m;

	lockdep_assert_held(&f->lock);
	list_for_each_entry(m, &f->unread, list)
		if (!m->read && m->len == msg->len &&
		    !memcmp(m->data, msg->data, m->len))
			return true;
	return false;
}

/* An event that waits already says all that a second one would. */
static void chardev_queue_event(struct chardev_file *f,
				struct chardev_msg *msg)
{
	bool lost = false, told = false;

	spin_lock(&f->lock);
	if (f->nr_unread >= CHARDEV_UNREAD) {
		lost = true;
		told = f->lossy;
		f->lossy = true;
	} else if (!chardev_is_queued(f, msg)) {
		list_add_tail(&msg->list, &f->unread);
		f->nr_unread++;
		msg = NULL;
	}
	spin_unlock(&f->lock);
	kfree(msg);
	if (lost) {
		xenbus_count(dropped_events);
		if (!told)
			pr_warn("a reader of /dev/xen/xenbus does not read: it loses watch events\n");
		return;
	}
	wake_up_interruptible(&f->wait);
}

static void chardev_fired(struct pvhvm_xs_watch *watch, const char *path)
{
	struct chardev_watch *w = container_of(watch, struct chardev_watch,
					       watch);
	size_t path_len = strlen(path) + 1, token_len = strlen(w->token) + 1;
	struct chardev_msg *msg;

	msg = chardev_msg_new(XS_WATCH_EVENT, 0, 0, path_len + token_len);
	if (!msg) {
		xenbus_count(dropped_events);
		return;
	}
	memcpy(chardev_msg_body(msg), path, path_len);
	memcpy(chardev_msg_body(msg) + path_len, w->token, token_len);
	chardev_queue_event(w->file, msg);
}

static struct chardev_watch *chardev_find_watch(struct chardev_file *f,
						const char *path,
						const char *token)
{
	struct chardev_watch *w;

	lockdep_assert_held(&f->write_lock);
	list_for_each_entry(w, &f->watches, list)
		if (!strcmp(w->path, path) && !strcmp(w->token, token))
			return w;
	return NULL;
}

static int chardev_add_watch(struct chardev_file *f, const char *path,
			     const char *token)
{
	struct chardev_watch *w;
	int err;

	if (chardev_find_watch(f, path, token))
		return -EEXIST;
	if (f->nr_watches >= CHARDEV_WATCHES)
		return -E2BIG;
	w = kzalloc(sizeof(*w), GFP_KERNEL);
	if (!w)
		return -ENOMEM;
	w->file = f;
	w->path = kstrdup(path, GFP_KERNEL);
	w->token = kstrdup(token, GFP_KERNEL);
	w->watch.path = w->path;
	w->watch.fn = chardev_fired;
	list_add_tail(&w->list, &f->watches);
	f->nr_watches++;
	err = w->path && w->token ? pvhvm_xs_watch(&w->watch) : -ENOMEM;
	if (err)
		chardev_watch_free(w);
	return err;
}

static int chardev_do_watch(struct chardev_file *f)
{
	const struct xsd_sockmsg *hdr = &f->in.hdr;
	const char *path, *token;
	struct chardev_watch *w;
	int err = xs_two_strings(f->in.body, hdr->len, &path, &token);

	if (!err && hdr->type == XS_WATCH) {
		err = chardev_add_watch(f, path, token);
	} else if (!err) {
		w = chardev_find_watch(f, path, token);
		if (w)
			chardev_watch_free(w);
		else
			err = -ENOENT;
	}
	return chardev_answer(f, hdr, err);
}

/* ---- requests ---- */

/* May this file use this transaction? */
static int chardev_check_txn(struct chardev_file *f, u32 id)
{
	struct chardev_txn *t;
	int err = 0;

	if (id == PVHVM_XS_NONE)
		return 0;
	spin_lock(&f->lock);
	t = chardev_find_txn(f, id);
	if (!t) {
		err = -ENOENT;
	} else if (t->generation != xs_generation()) {
		/* A resume has made it void: "start over", and it is over. */
		err = -EAGAIN;
		if (f->in.hdr.type == XS_TRANSACTION_END)
			list_del(&t->list);
		else
			t = NULL;
	} else {
		t = NULL;
	}
	spin_unlock(&f->lock);
	kfree(t);
	return err;
}

static int chardev_forward(struct chardev_file *f)
{
	const struct xsd_sockmsg *hdr = &f->in.hdr;
	struct chardev_request *r = kzalloc(sizeof(*r), GFP_KERNEL);
	int err;

	if (!r)
		return -ENOMEM;
	r->xs.type = hdr->type;
	r->xs.complete = chardev_complete;
	r->file = f;
	r->user_id = hdr->req_id;
	r->txn = hdr->tx_id;
	kref_get(&f->ref);
	spin_lock(&f->lock);
	f->in_flight++;
	spin_unlock(&f->lock);
	err = -ENOMEM;
	if (hdr->type == XS_TRANSACTION_START) {
		r->start = kzalloc(sizeof(*r->start), GFP_KERNEL);
		if (!r->start)
			goto err_free;
	}
	err = xs_submit(&r->xs, hdr->tx_id, f->in.body, hdr->len);
	if (err)
		goto err_free;
	return 0;

err_free:
	chardev_request_free(r);
	return err;
}

/*
 * One whole request has been written. Return: 0 when it has been taken,
 * also if the answer is an error; negative when it has not.
 */
static int chardev_request(struct chardev_file *f)
{
	const struct xsd_sockmsg *hdr = &f->in.hdr;
	int err;

	switch (hdr->type) {
	case XS_WATCH:
	case XS_UNWATCH:
		return chardev_do_watch(f);
	case XS_WATCH_EVENT:
	case XS_ERROR:
		return chardev_answer(f, hdr, -EINVAL);
	case XS_RESET_WATCHES:
		/* the whole guest's, the kernel's included: not theirs to do */
		return chardev_answer(f, hdr, -EACCES);
	}
	err = chardev_check_txn(f, hdr->tx_id);
	if (err)
		return chardev_answer(f, hdr, err);
	return chardev_forward(f);
}

/* ---- the file ---- */

static bool chardev_may_write(struct chardev_file *f)
{
	return READ_ONCE(f->in_flight) < CHARDEV_IN_FLIGHT &&
	       READ_ONCE(f->nr_unread) < CHARDEV_UNREAD;
}

/* Take what belongs to the request under assembly. Return: bytes, or errno. */
static ssize_t chardev_take(struct chardev_file *f, const char __user *buf,
			    size_t len)
{
	u32 want;
	void *to = xs_in_space(&f->in, &want);
	int whole;
	int err;

	want = min_t(size_t, want, len);
	if (copy_from_user(to, buf, want))
		return -EFAULT;
	whole = xs_in_took(&f->in, want);
	if (!whole)
		return want;
	err = whole < 0 ? -EINVAL : chardev_request(f);
	/* the next byte begins a request, whatever became of this one */
	xs_in_reset(&f->in);
	return err ?: want;
}

static ssize_t chardev_write(struct file *file, const char __user *buf,
			     size_t len, loff_t *pos)
{
	struct chardev_file *f = file->private_data;
	ssize_t done = 0, n = 0;

	if (mutex_lock_interruptible(&f->write_lock))
		return -ERESTARTSYS;
	while (done < len) {
		if (!chardev_may_write(f)) {
			n = -EAGAIN;
			if (done || file->f_flags & O_NONBLOCK)
				break;
			n = wait_event_interruptible(f->wait,
						     chardev_may_write(f));
			if (n)
				break;
		}
		n = chardev_take(f, buf + done, len - done);
		if (n < 0)
			break;
		done += n;
	}
	mutex_unlock(&f->write_lock);
	return done ?: n;
}

static struct chardev_msg *chardev_first(struct chardev_file *f)
{
	struct chardev_msg *msg;

	spin_lock(&f->lock);
	msg = list_first_entry_or_null(&f->unread, struct chardev_msg, list);
	spin_unlock(&f->lock);
	return msg;
}

static void chardev_drop_first(struct chardev_file *f, struct chardev_msg *msg)
{
	spin_lock(&f->lock);
	list_del(&msg->list);
	f->nr_unread--;
	spin_unlock(&f->lock);
	kfree(msg);
	/* writers wait for room here */
	wake_up_interruptible(&f->wait);
}

/* Everything that is there, as far as the buffer goes. */
static ssize_t chardev_give(struct chardev_file *f, char __user *buf,
			    size_t len)
{
	struct chardev_msg *msg;
	size_t done = 0;

	while (done < len && (msg = chardev_first(f))) {
		size_t n = min_t(size_t, len - done, msg->len - msg->read);

		if (copy_to_user(buf + done, msg->data + msg->read, n))
			return done ?: -EFAULT;
		/* under the lock: chardev_is_queued() looks at it */
		spin_lock(&f->lock);
		msg->read += n;
		spin_unlock(&f->lock);
		done += n;
		if (msg->read == msg->len)
			chardev_drop_first(f, msg);
	}
	return done;
}

static ssize_t chardev_read(struct file *file, char __user *buf, size_t len,
			    loff_t *pos)
{
	struct chardev_file *f = file->private_data;
	ssize_t n;

	if (!len)
		return 0;
	if (mutex_lock_interruptible(&f->read_lock))
		return -ERESTARTSYS;
	while (!(n = chardev_give(f, buf, len))) {
		mutex_unlock(&f->read_lock);
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		if (wait_event_interruptible(f->wait, chardev_first(f)))
			return -ERESTARTSYS;
		if (mutex_lock_interruptible(&f->read_lock))
			return -ERESTARTSYS;
	}
	mutex_unlock(&f->read_lock);
	return n;
}

static __poll_t chardev_poll(struct file *file, poll_table *table)
{
	struct chardev_file *f = file->private_data;
	__poll_t mask = 0;

	poll_wait(file, &f->wait, table);
	if (chardev_first(f))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (chardev_may_write(f))
		mask |= EPOLLOUT | EPOLLWRNORM;
	if (comms_broken())
		mask |= EPOLLERR;
	return mask;
}

static int chardev_open(struct inode *inode, struct file *file)
{
	struct chardev_file *f;

	if (comms_broken())
		return -EIO;
	f = kzalloc(sizeof(*f), GFP_KERNEL);
	if (!f)
		return -ENOMEM;
	kref_init(&f->ref);
	INIT_WORK(&f->cleanup, chardev_cleanup);
	mutex_init(&f->write_lock);
	mutex_init(&f->read_lock);
	spin_lock_init(&f->lock);
	INIT_LIST_HEAD(&f->watches);
	INIT_LIST_HEAD(&f->unread);
	INIT_LIST_HEAD(&f->txns);
	init_waitqueue_head(&f->wait);
	file->private_data = f;
	xenbus_count(opens);
	return stream_open(inode, file);
}

static int chardev_release(struct inode *inode, struct file *file)
{
	struct chardev_file *f = file->private_data;

	kref_put(&f->ref, chardev_free_now);
	return 0;
}

static const struct file_operations chardev_fops = {
	.owner = THIS_MODULE,
	.open = chardev_open,
	.release = chardev_release,
	.read = chardev_read,
	.write = chardev_write,
	.poll = chardev_poll,
};

/* devtmpfs and udev make /dev/xen/xenbus of it */
static struct miscdevice chardev_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "pvhvm-xenbus",
	.nodename = "xen/xenbus",
	.fops = &chardev_fops,
	.mode = 0600,
};

int chardev_init(void)
{
	int err;

	chardev_wq = alloc_workqueue("pvhvm-chardev", WQ_UNBOUND, 0);
	if (!chardev_wq)
		return -ENOMEM;
	err = misc_register(&chardev_misc);
	if (err) {
		pr_err("cannot make /dev/xen/xenbus (%d)\n", err);
		destroy_workqueue(chardev_wq);
	}
	return err;
}

/* All files are closed, but replies to them may still be on their way. */
void chardev_exit(void)
{
	misc_deregister(&chardev_misc);
	if (!wait_event_timeout(chardev_gone,
				!atomic_read(&xenbus_stats.opens),
				CHARDEV_DRAIN)) {
		pr_warn("xenstored owes closed programs an answer, not waiting any longer\n");
		xs_abandon();
		wait_event(chardev_gone, !atomic_read(&xenbus_stats.opens));
	}
	destroy_workqueue(chardev_wq);
}
