// SPDX-License-Identifier: GPL-2.0-only
/*
 * ops.c: the calls of include/pvhvm/xs.h: nodes, directories, transactions.
 *
 * What a path or a value may be is xenstored's to judge; here only lengths
 * are. Wire format of each request: Xen docs/misc/xenstore.txt.
 */
#include "xenbus.h"

#include <linux/delay.h>
#include <linux/random.h>
#include <linux/slab.h>

#include <pvhvm/export.h>

/* Commits that may collide before we give up; some 2 s of trying. */
#define TXN_TRIES	100

/* A path as a part of a request, on the heap (kfree()): 3 KB are too much for a stack. */
static int ops_path(struct kvec *v, const char *dir, const char *node)
{
	size_t size = strlen(dir) + strlen(node) + 2;
	char *path;
	int len;

	if (size > XENSTORE_ABS_PATH_MAX)
		return -ENAMETOOLONG;
	path = kmalloc(size, GFP_KERNEL);
	if (!path)
		return -ENOMEM;
	len = xs_join(path, size, dir, node);
	if (len < 0) {
		kfree(path);
		return len;
	}
	v->iov_base = path;
	v->iov_len = len + 1;
	return 0;
}

/**
 * struct pvhvm_xs_txn - a transaction
 * @id: the server's number for it
 * @changes: sent in it, to be looked at when it ends
 */
struct pvhvm_xs_txn {
	u32 id;
	struct xs_batch changes;
};

static u32 txn_id(const struct pvhvm_xs_txn *txn)
{
	return txn ? txn->id : XS_NO_TXN;
}

/* The request for one node. */
static void *ops_ask(u32 type, const struct pvhvm_xs_txn *txn, const char *dir,
		     const char *node, u32 *len)
{
	struct kvec path;
	int err = ops_path(&path, dir, node);
	void *reply;

	if (err)
		return ERR_PTR(err);
	reply = xs_talk(type, txn_id(txn), &path, 1, len);
	kfree(path.iov_base);
	return reply;
}

/* A request that changes one node; @ignored as for batch_add(). */
static int ops_change(u32 type, struct pvhvm_xs_txn *txn, const char *dir,
		      const char *node, const char *value, int ignored)
{
	struct kvec v[2];
	int err = ops_path(&v[0], dir, node);

	if (err)
		return err;
	v[1].iov_base = (void *)value;
	v[1].iov_len = value ? strlen(value) : 0;
	if (txn) {
		err = batch_add(&txn->changes, type, v, 1 + !!value, ignored);
	} else {
		err = xs_command(type, XS_NO_TXN, v, 1 + !!value);
		if (err == ignored)
			err = 0;
	}
	kfree(v[0].iov_base);
	return err;
}

char *pvhvm_xs_read(struct pvhvm_xs_txn *txn, const char *dir,
		    const char *node, size_t *len)
{
	u32 got;
	char *value = ops_ask(XS_READ, txn, dir, node, &got);

	if (!IS_ERR(value) && len)
		*len = got;
	return value;
}
PVHVM_EXPORT(pvhvm_xs_read);

/* The number in a reply, or what there is instead of one; frees it. */
static int ops_take_u64(char *reply, size_t len, u64 *value)
{
	int err;

	if (IS_ERR(reply))
		return PTR_ERR(reply);
	err = xs_parse_u64(reply, len, value);
	kfree(reply);
	return err;
}

int pvhvm_xs_read_u64(struct pvhvm_xs_txn *txn, const char *dir,
		      const char *node, u64 *value)
{
	size_t len = 0;
	char *reply = pvhvm_xs_read(txn, dir, node, &len);

	return ops_take_u64(reply, len, value);
}
PVHVM_EXPORT(pvhvm_xs_read_u64);

/* What a number that was read, or could not be, is taken for. */
static unsigned int ops_judge_uint(const char *dir,
				   const struct pvhvm_xs_uint *want, int err,
				   u64 value)
{
	if (err == -ENOENT)
		return want->def;
	if (err)
		pr_warn("%s/%s is unreadable or not a number (%d), taken as %u\n",
			dir, want->node, err, want->def);
	else if (value > want->max)
		pr_warn("%s/%s is %llu, more than %u is not possible, taken as %u\n",
			dir, want->node, value, want->max, want->def);
	else
		return value;
	return want->def;
}

unsigned int pvhvm_xs_read_uint(const char *dir, const char *node,
				unsigned int max, unsigned int def)
{
	const struct pvhvm_xs_uint want = {
		.node = node,
		.max = max,
		.def = def,
	};
	u64 value;
	int err = pvhvm_xs_read_u64(PVHVM_XS_NONE, dir, node, &value);

	return ops_judge_uint(dir, &want, err, value);
}
PVHVM_EXPORT(pvhvm_xs_read_uint);

static int ops_post_read(struct xs_request *req, const char *dir,
			 const char *node)
{
	struct kvec path;
	int err = ops_path(&path, dir, node);

	if (err)
		return err;
	req->type = XS_READ;
	err = xs_post(req, XS_NO_TXN, &path, 1);
	kfree(path.iov_base);
	return err;
}

static int ops_collect_u64(struct xs_request *req, u64 *value)
{
	u32 len = 0;
	char *reply = xs_collect(req, &len);

	return ops_take_u64(reply, len, value);
}

int pvhvm_xs_read_uints(const char *dir, struct pvhvm_xs_uint *want,
			unsigned int nr)
{
	struct { struct xs_request req; int err; } *read;
	int unanswered = 0;
	unsigned int i;
	u64 value;

	read = kcalloc(nr, sizeof(*read), GFP_KERNEL);
	xs_enter();
	for (i = 0; read && i < nr; i++)
		read[i].err = ops_post_read(&read[i].req, dir, want[i].node);
	for (i = 0; i < nr; i++) {
		int err = read ? read[i].err : -ENOMEM;

		if (!err)
			err = ops_collect_u64(&read[i].req, &value);
		want[i].value = ops_judge_uint(dir, &want[i], err, value);
		if (pvhvm_xs_unanswered(err))
			unanswered = err;
	}
	xs_leave();
	kfree(read);
	return unanswered;
}
PVHVM_EXPORT(pvhvm_xs_read_uints);

int pvhvm_xs_write(struct pvhvm_xs_txn *txn, const char *dir, const char *node,
		   const char *value)
{
	return ops_change(XS_WRITE, txn, dir, node, value, 0);
}
PVHVM_EXPORT(pvhvm_xs_write);

int pvhvm_xs_printf(struct pvhvm_xs_txn *txn, const char *dir,
		    const char *node, const char *fmt, ...)
{
	va_list args;
	char *value;
	int err;

	va_start(args, fmt);
	value = kvasprintf(GFP_KERNEL, fmt, args);
	va_end(args);
	if (!value)
		return -ENOMEM;
	err = pvhvm_xs_write(txn, dir, node, value);
	kfree(value);
	return err;
}
PVHVM_EXPORT(pvhvm_xs_printf);

int pvhvm_xs_rm(struct pvhvm_xs_txn *txn, const char *dir, const char *node)
{
	return ops_change(XS_RM, txn, dir, node, NULL, -ENOENT);
}
PVHVM_EXPORT(pvhvm_xs_rm);

char **pvhvm_xs_directory(struct pvhvm_xs_txn *txn, const char *dir,
			  const char *node, unsigned int *count)
{
	unsigned int i, n;
	char *body, *s, **names;
	u32 len;

	body = ops_ask(XS_DIRECTORY, txn, dir, node, &len);
	if (IS_ERR(body))
		return ERR_CAST(body);
	n = xs_count_strings(body, len);
	/* The pointers, then the strings they point to; ZERO_SIZE_PTR never. */
	names = kmalloc(n * sizeof(*names) + len + 1, GFP_KERNEL);
	if (!names) {
		kfree(body);
		return ERR_PTR(-ENOMEM);
	}
	s = memcpy((char *)(names + n), body, len);
	kfree(body);
	for (i = 0; i < n; i++) {
		names[i] = s;
		s += strlen(s) + 1;
	}
	*count = n;
	return names;
}
PVHVM_EXPORT(pvhvm_xs_directory);

/* ---- transactions ---- */

static int txn_start(struct pvhvm_xs_txn *txn)
{
	const struct kvec nul = { .iov_base = "", .iov_len = 1 };
	u32 len;
	char *reply = xs_talk(XS_TRANSACTION_START, XS_NO_TXN, &nul, 1, &len);
	u64 id;
	int err;

	if (IS_ERR(reply))
		return PTR_ERR(reply);
	err = xs_parse_u64(reply, strnlen(reply, len), &id);
	kfree(reply);
	if (err || !id || id > U32_MAX)
		return -EIO;
	txn->id = id;
	batch_begin(&txn->changes, id);
	xenbus_count(transactions);
	return 0;
}

static int txn_end(struct pvhvm_xs_txn *txn, bool commit)
{
	const struct kvec v = { .iov_base = commit ? "T" : "F", .iov_len = 2 };

	return xs_command(XS_TRANSACTION_END, txn->id, &v, 1);
}

static int txn_once(int (*fn)(struct pvhvm_xs_txn *txn, void *arg), void *arg)
{
	struct pvhvm_xs_txn txn;
	int err, sent;

	err = txn_start(&txn);
	if (err)
		return err;
	err = fn(&txn, arg);
	sent = batch_end(&txn.changes);
	if (!err)
		err = sent;
	if (err) {
		txn_end(&txn, false);
		return err;
	}
	return txn_end(&txn, true);
}

int pvhvm_xs_transaction(int (*fn)(struct pvhvm_xs_txn *txn, void *arg),
			 void *arg)
{
	unsigned int i;
	int err;

	for (i = 0; i < TXN_TRIES; i++) {
		xs_enter();
		err = txn_once(fn, arg);
		xs_leave();
		if (err != -EAGAIN)
			return err;
		xenbus_count(retries);
		/* the first few at once, then let the others finish */
		if (i >= 3)
			usleep_range(1000, 1000 + (get_random_u32() & 0x7fff));
	}
	return err;
}
PVHVM_EXPORT(pvhvm_xs_transaction);
