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

/* A path on the heap: 3 KB are too much for a stack. */
static char *ops_path(const char *dir, const char *node)
{
	size_t size = strlen(dir) + strlen(node) + 2;
	char *path;
	int len;

	if (size > XENSTORE_ABS_PATH_MAX)
		return ERR_PTR(-ENAMETOOLONG);
	path = kmalloc(size, GFP_KERNEL);
	if (!path)
		return ERR_PTR(-ENOMEM);
	len = xs_join(path, size, dir, node);
	if (len < 0) {
		kfree(path);
		return ERR_PTR(len);
	}
	return path;
}

/* A request about one node, with @extra behind the path if not NULL. */
static void *ops_talk(u32 type, u32 txn, const char *dir, const char *node,
		      const struct kvec *extra, u32 *len)
{
	char *path = ops_path(dir, node);
	struct kvec v[2];
	void *reply;

	if (IS_ERR(path))
		return path;
	v[0].iov_base = path;
	v[0].iov_len = strlen(path) + 1;
	if (extra)
		v[1] = *extra;
	reply = xs_talk(type, txn, v, extra ? 2 : 1, len);
	kfree(path);
	return reply;
}

static int ops_command(u32 type, u32 txn, const char *dir, const char *node,
		       const struct kvec *extra)
{
	char *reply = ops_talk(type, txn, dir, node, extra, NULL);

	if (IS_ERR(reply))
		return PTR_ERR(reply);
	kfree(reply);
	return 0;
}

char *pvhvm_xs_read(u32 txn, const char *dir, const char *node, size_t *len)
{
	u32 got;
	char *value = ops_talk(XS_READ, txn, dir, node, NULL, &got);

	if (!IS_ERR(value) && len)
		*len = got;
	return value;
}
PVHVM_EXPORT(pvhvm_xs_read);

int pvhvm_xs_read_u64(u32 txn, const char *dir, const char *node, u64 *value)
{
	size_t len;
	char *s = pvhvm_xs_read(txn, dir, node, &len);
	int err;

	if (IS_ERR(s))
		return PTR_ERR(s);
	err = xs_parse_u64(s, len, value);
	kfree(s);
	return err;
}
PVHVM_EXPORT(pvhvm_xs_read_u64);

unsigned int pvhvm_xs_read_uint(const char *dir, const char *node,
				unsigned int max, unsigned int def)
{
	u64 value;
	int err = pvhvm_xs_read_u64(PVHVM_XS_NONE, dir, node, &value);

	if (err == -ENOENT)
		return def;
	if (err) {
		pr_warn("%s/%s is unreadable or not a number (%d), taken as %u\n",
			dir, node, err, def);
		return def;
	}
	if (value > max) {
		pr_warn("%s/%s is %llu, more than %u is not possible, taken as %u\n",
			dir, node, value, max, def);
		return def;
	}
	return value;
}
PVHVM_EXPORT(pvhvm_xs_read_uint);

int pvhvm_xs_write(u32 txn, const char *dir, const char *node,
		   const char *value)
{
	const struct kvec v = {
		.iov_base = (void *)value,
		.iov_len = strlen(value),
	};

	return ops_command(XS_WRITE, txn, dir, node, &v);
}
PVHVM_EXPORT(pvhvm_xs_write);

int pvhvm_xs_printf(u32 txn, const char *dir, const char *node,
		    const char *fmt, ...)
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

int pvhvm_xs_mkdir(u32 txn, const char *dir, const char *node)
{
	return ops_command(XS_MKDIR, txn, dir, node, NULL);
}
PVHVM_EXPORT(pvhvm_xs_mkdir);

int pvhvm_xs_rm(u32 txn, const char *dir, const char *node)
{
	return ops_command(XS_RM, txn, dir, node, NULL);
}
PVHVM_EXPORT(pvhvm_xs_rm);

char **pvhvm_xs_directory(u32 txn, const char *dir, const char *node,
			  unsigned int *count)
{
	unsigned int i, n;
	char *body, *s, **names;
	u32 len;

	body = ops_talk(XS_DIRECTORY, txn, dir, node, NULL, &len);
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

static int txn_start(u32 *txn)
{
	const struct kvec nul = { .iov_base = "", .iov_len = 1 };
	u32 len;
	char *reply = xs_talk(XS_TRANSACTION_START, PVHVM_XS_NONE, &nul, 1,
			      &len);
	u64 id;
	int err;

	if (IS_ERR(reply))
		return PTR_ERR(reply);
	err = xs_parse_u64(reply, strnlen(reply, len), &id);
	kfree(reply);
	if (err || !id || id > U32_MAX)
		return -EIO;
	*txn = id;
	xenbus_count(transactions);
	return 0;
}

static int txn_end(u32 txn, bool commit)
{
	const struct kvec v = { .iov_base = commit ? "T" : "F", .iov_len = 2 };

	return xs_command(XS_TRANSACTION_END, txn, &v, 1);
}

static int txn_once(int (*fn)(u32 txn, void *arg), void *arg)
{
	u32 txn;
	int err = txn_start(&txn);

	if (err)
		return err;
	err = fn(txn, arg);
	if (err) {
		txn_end(txn, false);
		return err;
	}
	return txn_end(txn, true);
}

int pvhvm_xs_transaction(int (*fn)(u32 txn, void *arg), void *arg)
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
