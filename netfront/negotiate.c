// SPDX-License-Identifier: GPL-2.0-only
/*
 * negotiate.c: the backend's features in, our keys out (xen/io/netif.h).
 */
#include "netfront.h"

#include <linux/bpf.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>

/* Beyond any sense for a count of queues. */
#define QUEUES_SANE	1024

bool netf_read_carrier(const char *path)
{
	u64 value;

	/* After a migration it may be an old backend's, which we cannot read. */
	return pvhvm_xs_read_u64(PVHVM_XS_NONE, path, "", &value) || value;
}

int netf_read_features(struct netf_dev *nd)
{
	enum { QUEUES, COPY, SG, TSO4, TSO6, NO_CSUM4, CSUM6, SPLIT,
	       MCAST, MCAST_DYNAMIC, CTRL, HEADROOM };
	struct pvhvm_xs_uint key[] = {
		[QUEUES]	= { "multi-queue-max-queues", QUEUES_SANE, 1 },
		[COPY]		= { "feature-rx-copy", 1 },
		[SG]		= { "feature-sg", 1 },
		[TSO4]		= { "feature-gso-tcpv4", 1 },
		[TSO6]		= { "feature-gso-tcpv6", 1 },
		[NO_CSUM4]	= { "feature-no-csum-offload", 1 },
		[CSUM6]		= { "feature-ipv6-csum-offload", 1 },
		[SPLIT]		= { "feature-split-event-channels", 1 },
		[MCAST]		= { "feature-multicast-control", 1 },
		[MCAST_DYNAMIC]	= { "feature-dynamic-multicast-control", 1 },
		[CTRL]		= { "feature-ctrl-ring", 1 },
		[HEADROOM]	= { "feature-xdp-headroom", 1 },
	};
	struct pvhvm_xs_uint trusted = { "trusted", 1, 1 };
	struct netf_features *feat = &nd->feat;
	int err;

	err = pvhvm_xs_read_uints(nd->pdev->otherend, key, ARRAY_SIZE(key)) ?:
	      pvhvm_xs_read_uints(nd->pdev->nodename, &trusted, 1);
	if (err)
		return err;
	feat->trusted = trusted.value;
	feat->queues = max(1u, key[QUEUES].value);
	feat->rx_copy = key[COPY].value;
	feat->sg = key[SG].value;
	/* A large packet takes several slots. */
	feat->gso_tcpv4 = feat->sg && key[TSO4].value;
	feat->gso_tcpv6 = feat->sg && key[TSO6].value;
	feat->csum_ipv4 = !key[NO_CSUM4].value;
	feat->csum_ipv6 = key[CSUM6].value;
	feat->split_channels = key[SPLIT].value;
	/*
	 * The static kind of filter cannot be lifted, for tcpdump, say,
	 * without a new connection: not used.
	 */
	feat->mcast = key[MCAST].value && key[MCAST_DYNAMIC].value;
	feat->ctrl = key[CTRL].value;
	feat->xdp_headroom = key[HEADROOM].value;
	return 0;
}

/* Keys that an earlier connection may have left and this one might not write. */
static const char *const stale_key[] = {
	"tx-ring-ref", "rx-ring-ref",
	"event-channel", "event-channel-tx", "event-channel-rx",
	"multi-queue-num-queues",
	"feature-no-csum-offload",
	"xdp-headroom", "request-multicast-control",
	"ctrl-ring-ref", "event-channel-ctrl",
};

/* What we can take in, whatever the backend is going to make of it. */
static const char *const offered_key[] = {
	"request-rx-copy", "feature-rx-notify", "feature-sg",
};

/* The same, but not for a program: it wants whole packets, and complete. */
static const char *const offload_key[] = {
	"feature-gso-tcpv4", "feature-gso-tcpv6", "feature-ipv6-csum-offload",
};

static bool is_stale(const char *name)
{
	unsigned int i;

	if (str_has_prefix(name, "queue-"))
		return true;
	for (i = 0; i < ARRAY_SIZE(stale_key); i++)
		if (!strcmp(name, stale_key[i]))
			return true;
	return false;
}

static int remove_stale(struct pvhvm_xs_txn *txn, const char *dir)
{
	unsigned int count, i;
	int err = 0;
	char **names = pvhvm_xs_directory(txn, dir, "", &count);

	if (IS_ERR(names))
		return PTR_ERR(names);
	for (i = 0; i < count && !err; i++) {
		if (is_stale(names[i]))
			err = pvhvm_xs_rm(txn, dir, names[i]);
	}
	kfree(names);
	return err;
}

static int write_queue(struct pvhvm_xs_txn *txn, const char *dir,
		       const struct netf_queue *q)
{
	int err;

	err = pvhvm_xs_printf(txn, dir, "tx-ring-ref", "%u", q->tx.ring.ref[0]);
	if (!err)
		err = pvhvm_xs_printf(txn, dir, "rx-ring-ref", "%u",
				      q->rx.ring.ref[0]);
	if (err)
		return err;

	if (!q->rx.chan.irq)
		return pvhvm_xs_printf(txn, dir, "event-channel", "%u",
				       q->tx.chan.port);
	err = pvhvm_xs_printf(txn, dir, "event-channel-tx", "%u",
			      q->tx.chan.port);
	if (!err)
		err = pvhvm_xs_printf(txn, dir, "event-channel-rx", "%u",
				      q->rx.chan.port);
	return err;
}

/* A single queue's keys are at the top, several queues' in directories. */
static int write_queues(struct pvhvm_xs_txn *txn, const struct netf_dev *nd)
{
	const char *dir = nd->pdev->nodename;
	unsigned int i;
	char *sub;
	int err;

	if (nd->nr_queues == 1)
		return write_queue(txn, dir, &nd->queue[0]);

	err = pvhvm_xs_printf(txn, dir, "multi-queue-num-queues", "%u",
			      nd->nr_queues);
	for (i = 0; i < nd->nr_queues && !err; i++) {
		sub = kasprintf(GFP_KERNEL, "%s/queue-%u", dir, i);
		if (!sub)
			return -ENOMEM;
		err = write_queue(txn, sub, &nd->queue[i]);
		kfree(sub);
	}
	return err;
}

static int write_offloads(struct pvhvm_xs_txn *txn, const struct netf_dev *nd)
{
	const char *dir = nd->pdev->nodename;
	unsigned int i;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(offload_key) && !err; i++)
		err = pvhvm_xs_write(txn, dir, offload_key[i],
				     nd->conn_xdp ? "0" : "1");
	if (err || !nd->conn_xdp)
		return err;
	err = pvhvm_xs_write(txn, dir, "feature-no-csum-offload", "1");
	if (!err && nd->feat.xdp_headroom)
		err = pvhvm_xs_printf(txn, dir, "xdp-headroom", "%u",
				      XDP_PACKET_HEADROOM);
	return err;
}

static int write_ctrl(struct pvhvm_xs_txn *txn, const struct netf_dev *nd)
{
	const char *dir = nd->pdev->nodename;
	int err;

	if (!nd->ctrl.sring)
		return 0;
	err = pvhvm_xs_printf(txn, dir, "ctrl-ring-ref", "%u",
			      nd->ctrl.ring.ref[0]);
	if (err)
		return err;
	return pvhvm_xs_printf(txn, dir, "event-channel-ctrl", "%u",
			       nd->ctrl.chan.port);
}

static int publish(struct pvhvm_xs_txn *txn, void *arg)
{
	const struct netf_dev *nd = arg;
	const char *dir = nd->pdev->nodename;
	unsigned int i;
	int err;

	err = remove_stale(txn, dir);
	if (!err)
		err = write_queues(txn, nd);
	for (i = 0; i < ARRAY_SIZE(offered_key) && !err; i++)
		err = pvhvm_xs_write(txn, dir, offered_key[i], "1");
	if (!err)
		err = write_offloads(txn, nd);
	if (!err)
		err = write_ctrl(txn, nd);
	return err;
}

int netf_publish(struct netf_dev *nd)
{
	return pvhvm_xs_transaction(publish, nd);
}
