// SPDX-License-Identifier: GPL-2.0-only
/*
 * chardev_conn.c: a file of /dev/xen/xenbus as a connection of its own.
 *
 * On the ring there is one connection for the whole guest. So that programs
 * do not see each other, request ids and watch tokens are translated, and a
 * transaction is known to belong to the file that started it.
 */
#include <linux/slab.h>

#include "chardev.h"

/* Watches one file may set; xenstored has a limit for the whole guest. */
#define CHARDEV_WATCHES		1024

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

	xs_enter();
	if (t->generation == xs_generation() && !xs_is_silent())
		xs_command(XS_TRANSACTION_END, t->id, &no, 1);
	xs_leave();
	list_del(&t->list);
	kfree(t);
}

void chardev_conn_end(struct chardev_file *f)
{
	struct chardev_watch *w, *next_w;
	struct chardev_txn *t, *next_t;

	list_for_each_entry_safe(w, next_w, &f->watches, list)
		chardev_watch_free(w);
	list_for_each_entry_safe(t, next_t, &f->txns, list)
		chardev_abort(t);
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
	chardev_put_later(f);
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

	if (id == XS_NO_TXN)
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

int chardev_conn_request(struct chardev_file *f)
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
	err = xs_enter_killable();
	if (err)
		return err;
	/* no resume comes between these two */
	err = chardev_check_txn(f, hdr->tx_id) ?: chardev_forward(f);
	xs_leave();
	/* the bytes have been taken: what became of them is an answer, too */
	return err ? chardev_answer(f, hdr, err) : 0;
}
