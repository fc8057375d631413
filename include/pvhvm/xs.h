/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * xs.h: xenstore for kernel clients. Offered by pvhvm_xenbus.
 *
 * Paths are @dir and @node joined by '/', an empty @node means @dir alone.
 * All calls may sleep and can be in flight at the same time; none may be
 * made from a context that cannot sleep. Errors are xenstore's (xs_wire.h) as
 * negative errno; a broken transport answers -EIO, a suspended one waits.
 * Wire format: xen/io/xs_wire.h, semantics: Xen docs/misc/xenstore.txt.
 */
#ifndef PVHVM_XS_H
#define PVHVM_XS_H

#include <linux/errno.h>
#include <linux/list.h>
#include <linux/types.h>

struct pvhvm_xs_txn;

/* Outside any transaction. */
#define PVHVM_XS_NONE	((struct pvhvm_xs_txn *)NULL)

/* Not an answer: what was asked for may well be there. */
static inline bool pvhvm_xs_unanswered(int err)
{
	return err == -ETIMEDOUT || err == -EIO || err == -ENOMEM;
}

/**
 * pvhvm_xs_read() - read a node
 * @txn: the transaction or PVHVM_XS_NONE
 * @dir: directory
 * @node: node in it
 * @len: if not NULL, the value's length without the added NUL
 *
 * Return: the value, NUL-terminated, to be freed with kfree(); or ERR_PTR().
 */
char *pvhvm_xs_read(struct pvhvm_xs_txn *txn, const char *dir,
		    const char *node, size_t *len);

/**
 * pvhvm_xs_read_u64() - read a node that holds an unsigned decimal number
 * @txn: the transaction or PVHVM_XS_NONE
 * @dir: directory
 * @node: node in it
 * @value: written on success only
 *
 * Return: 0; -ENOENT if absent; -EINVAL if it is not a number.
 */
int pvhvm_xs_read_u64(struct pvhvm_xs_txn *txn, const char *dir,
		      const char *node, u64 *value);

/**
 * pvhvm_xs_read_uint() - the same, bounded, with a default
 * @dir: directory
 * @node: node in it
 * @max: values above are a breach of protocol: warned about, @def is used
 * @def: given if the node is absent, unreadable or out of bounds
 *
 * Return: the number.
 */
unsigned int pvhvm_xs_read_uint(const char *dir, const char *node,
				unsigned int max, unsigned int def);

/**
 * struct pvhvm_xs_uint - one of several numbers of a directory
 * @node: where it is
 * @max: values above are a breach of protocol: warned about, @def is used
 * @def: given if the node is absent, unreadable or out of bounds
 * @value: the number
 */
struct pvhvm_xs_uint {
	const char *node;
	unsigned int max;
	unsigned int def;
	unsigned int value;
};

/**
 * pvhvm_xs_read_uints() - pvhvm_xs_read_uint() for several nodes
 * @dir: the directory of all
 * @want: what to read; @value of each is filled in
 * @nr: their number
 *
 * All are asked for before the first answer is waited for.
 * Return: 0; or what pvhvm_xs_unanswered() knows, when one was not answered
 * and has its @def.
 */
int pvhvm_xs_read_uints(const char *dir, struct pvhvm_xs_uint *want,
			unsigned int nr);

/**
 * pvhvm_xs_write() - change a node, making it if need be
 * @txn: the transaction or PVHVM_XS_NONE
 * @dir: directory
 * @node: node in it
 * @value: all of its new value
 *
 * Inside a transaction this and the following are only sent: what xenstored
 * says to it is known, and returned, at the transaction's end.
 * Return: 0 or negative errno.
 */
int pvhvm_xs_write(struct pvhvm_xs_txn *txn, const char *dir, const char *node,
		   const char *value);
__printf(4, 5)
int pvhvm_xs_printf(struct pvhvm_xs_txn *txn, const char *dir,
		    const char *node, const char *fmt, ...);

/* One that is not there is no error. */
int pvhvm_xs_rm(struct pvhvm_xs_txn *txn, const char *dir, const char *node);

/**
 * pvhvm_xs_directory() - names of a node's children
 * @txn: the transaction or PVHVM_XS_NONE
 * @dir: directory
 * @node: node in it
 * @count: their number
 *
 * Return: an array of @count strings in one allocation, freed with kfree();
 * or ERR_PTR().
 */
char **pvhvm_xs_directory(struct pvhvm_xs_txn *txn, const char *dir,
			  const char *node, unsigned int *count);

/**
 * pvhvm_xs_transaction() - run a function inside a transaction
 * @fn: makes its requests with what it is given; run again from the start
 *      when xenstored says that somebody interfered (-EAGAIN), a bounded
 *      number of times
 * @arg: handed to @fn
 *
 * Return: 0 once committed; otherwise what @fn gave or the first error of a
 * change (aborted), or the error of the commit.
 */
int pvhvm_xs_transaction(int (*fn)(struct pvhvm_xs_txn *txn, void *arg),
			 void *arg);

/**
 * struct pvhvm_xs_watch - watch a path
 * @path: the path, set by the owner, lives as long as the watch
 * @fn: called from the watch thread, may sleep and make requests; @path is
 *      what changed, or the path above when that was much
 * @aside: set by the owner: @fn waits for locks whose holders may wait for a
 *      disk (RTNL), so it is called from another thread than the disks'
 *
 * Zeroed memory is a watch that is not set.
 */
struct pvhvm_xs_watch {
	const char *path;
	void (*fn)(struct pvhvm_xs_watch *watch, const char *path);
	bool aside;
	/* private: the core's */
	struct list_head list;
	u32 id;
	unsigned int queued;
};

/**
 * pvhvm_xs_watch() - start to watch
 * @watch: a watch that is not set, @path and @fn filled in
 *
 * @fn is called once at once, as xenstore defines, possibly before this
 * returns. Context: process; sleeps.
 * Return: 0, or negative errno and the watch is not set.
 */
int pvhvm_xs_watch(struct pvhvm_xs_watch *watch);

/**
 * pvhvm_xs_unwatch() - stop watching
 * @watch: a watch; one that is not set is a no-op
 *
 * On return @fn is not running (unless called from within @fn itself) and
 * will not run again. Hold no lock that @fn takes. Context: process; sleeps.
 */
void pvhvm_xs_unwatch(struct pvhvm_xs_watch *watch);

/**
 * pvhvm_xs_watch_in() - watch a node of a directory
 * @watch: a watch that is not set; @path and @fn are filled in
 * @dir: the directory
 * @node: the node in it
 * @fn: see struct pvhvm_xs_watch
 *
 * Both are copied. Otherwise as pvhvm_xs_watch(); also -ENOMEM.
 */
int pvhvm_xs_watch_in(struct pvhvm_xs_watch *watch, const char *dir,
		      const char *node,
		      void (*fn)(struct pvhvm_xs_watch *watch,
				 const char *path));

/**
 * pvhvm_xs_unwatch_in() - end what pvhvm_xs_watch_in() began
 * @watch: a watch; one that is not set is a no-op
 *
 * As pvhvm_xs_unwatch(), and frees the path.
 */
void pvhvm_xs_unwatch_in(struct pvhvm_xs_watch *watch);

#endif /* PVHVM_XS_H */
