// SPDX-License-Identifier: GPL-2.0-only
/*
 * batch.c: several requests at once, of which all that matters is whether
 * they went well. Each costs the server's time, but only the last one a trip
 * to dom0 and back.
 */
#include "xenbus.h"

#include <linux/slab.h>

struct batch_item {
	struct xs_request req;
	struct list_head list;
	int ignored;
};

void batch_begin(struct xs_batch *b, u32 txn)
{
	INIT_LIST_HEAD(&b->items);
	b->txn = txn;
}

int batch_add(struct xs_batch *b, u32 type, const struct kvec *parts,
	      unsigned int nr, int ignored)
{
	struct batch_item *item = kzalloc(sizeof(*item), GFP_KERNEL);
	int err;

	if (!item)
		return -ENOMEM;
	item->req.type = type;
	item->ignored = ignored;
	err = xs_post(&item->req, b->txn, parts, nr);
	if (err)
		kfree(item);
	else
		list_add_tail(&item->list, &b->items);
	return err;
}

int batch_end(struct xs_batch *b)
{
	struct batch_item *item, *next;
	int first = 0;

	list_for_each_entry_safe(item, next, &b->items, list) {
		char *reply = xs_collect(&item->req, NULL);

		if (!IS_ERR(reply))
			kfree(reply);
		else if (!first && PTR_ERR(reply) != item->ignored)
			first = PTR_ERR(reply);
		kfree(item);
	}
	INIT_LIST_HEAD(&b->items);
	return first;
}
