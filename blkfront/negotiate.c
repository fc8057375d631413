// SPDX-License-Identifier: GPL-2.0-only
/*
 * negotiate.c: what the backend offers, what we make of it, and the keys that
 * tell it. Protocol: xen/io/blkif.h. Run in full at each connect.
 */
#include "blkfront.h"

#include <linux/cpumask.h>
#include <linux/slab.h>

#include <xen-public/io/protocols.h>

/*
 * A disk that is there already keeps its hardware queues: a request that waits
 * to be sent again belongs to one. More rings are of no use to it, and fewer
 * are shared.
 */
static void negotiate_choose_queues(struct blkf_dev *dev, unsigned int offered)
{
	unsigned int nr;

	if (dev->disk) {
		nr = clamp(offered, 1u, dev->nr_lanes);
		dev->nr_poll = blkf_poll_rings(dev->nr_lanes,
					       dev->nr_poll_lanes, nr);
	} else {
		nr = blkf_queues(blkf_param_queues(), num_online_cpus(),
				 offered);
		dev->nr_poll = blkf_poll_queues(blkf_param_poll_queues(), nr,
						min(offered,
						    dev->nr_queues_max));
		nr += dev->nr_poll;
		dev->nr_lanes = nr;
		dev->nr_poll_lanes = dev->nr_poll;
	}
	dev->nr_queues = nr;
}

int blkf_negotiate_choose(struct blkf_dev *dev)
{
	enum { QUEUES, ORDER, PAGES, SEGMENTS };
	struct pvhvm_xs_uint key[] = {
		[QUEUES]   = { "multi-queue-max-queues", UINT_MAX, 1 },
		[ORDER]    = { "max-ring-page-order", UINT_MAX },
		[PAGES]    = { "max-ring-pages", UINT_MAX },
		[SEGMENTS] = { "feature-max-indirect-segments", UINT_MAX },
	};
	unsigned int order;
	int err;

	err = pvhvm_xs_read_uints(dev->pdev->otherend, key, ARRAY_SIZE(key));
	if (err)
		return err;
	negotiate_choose_queues(dev, key[QUEUES].value);
	order = blkf_ring_order(blkf_param_ring_order(), key[ORDER].value,
				key[PAGES].value);
	dev->max_segs = blkf_segments(blkf_param_segments(),
				      key[SEGMENTS].value);
	if (!dev->disk)
		dev->depth = blkf_ring_entries(order);
	dev->ring_order = order;
	return 0;
}

/* ---- keys out ---- */

static int negotiate_publish_ring(struct pvhvm_xs_txn *txn,
				  struct blkf_queue *q, const char *dir)
{
	unsigned int i;
	char key[24];
	int err = 0;

	if (q->mem.nr_pages == 1) {
		err = pvhvm_xs_printf(txn, dir, "ring-ref", "%u",
				      q->mem.ref[0]);
	} else {
		for (i = 0; i < q->mem.nr_pages && !err; i++) {
			snprintf(key, sizeof(key), "ring-ref%u", i);
			err = pvhvm_xs_printf(txn, dir, key, "%u",
					      q->mem.ref[i]);
		}
	}
	return err ?: pvhvm_xs_printf(txn, dir, "event-channel", "%u",
				      q->ch.port);
}

static int negotiate_publish_queue(struct pvhvm_xs_txn *txn,
				   struct blkf_queue *q)
{
	struct blkf_dev *dev = q->dev;
	char *dir;
	int err;

	if (dev->nr_queues == 1)
		return negotiate_publish_ring(txn, q, dev->pdev->nodename);
	dir = kasprintf(GFP_KERNEL, "%s/queue-%u", dev->pdev->nodename,
			q->index);
	if (!dir)
		return -ENOMEM;
	err = negotiate_publish_ring(txn, q, dir);
	kfree(dir);
	return err;
}

static int negotiate_publish_counts(struct pvhvm_xs_txn *txn,
				    struct blkf_dev *dev)
{
	const char *dir = dev->pdev->nodename;
	int err;

	/* keys of an earlier connection that this one does not use go */
	if (dev->nr_queues == 1)
		err = pvhvm_xs_rm(txn, dir, "multi-queue-num-queues");
	else
		err = pvhvm_xs_printf(txn, dir, "multi-queue-num-queues", "%u",
				      dev->nr_queues);
	if (err)
		return err;
	if (!dev->ring_order)
		return pvhvm_xs_rm(txn, dir, "ring-page-order") ?:
		       pvhvm_xs_rm(txn, dir, "num-ring-pages");
	/* two names for the same, see note 3 in blkif.h */
	return pvhvm_xs_printf(txn, dir, "ring-page-order", "%u",
			       dev->ring_order) ?:
	       pvhvm_xs_printf(txn, dir, "num-ring-pages", "%u",
			       1u << dev->ring_order);
}

static int negotiate_publish(struct pvhvm_xs_txn *txn, void *arg)
{
	struct blkf_dev *dev = arg;
	const char *dir = dev->pdev->nodename;
	unsigned int i;
	int err;

	err = negotiate_publish_counts(txn, dev);
	for (i = 0; i < dev->nr_queues && !err; i++)
		err = negotiate_publish_queue(txn, &dev->queue[i]);
	return err ?: pvhvm_xs_write(txn, dir, "protocol",
				     XEN_IO_PROTO_ABI_NATIVE) ?:
	       pvhvm_xs_printf(txn, dir, "feature-persistent", "%u",
			       blkf_param_persistent());
}

int blkf_negotiate(struct blkf_dev *dev)
{
	int err;

	err = blkf_queues_up(dev);
	if (!err)
		err = blkf_step("publish keys") ?:
		      pvhvm_xs_transaction(negotiate_publish, dev);
	if (!err)
		err = blkf_step("state initialised") ?:
		      pvhvm_switch_state(dev->pdev, XenbusStateInitialised);
	/* keeps what waits to be sent again: the caller decides about that */
	if (err)
		blkf_queues_down(dev, BLKF_DOWN_KEEP);
	return err;
}
