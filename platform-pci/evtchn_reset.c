// SPDX-License-Identifier: GPL-2.0-only
/*
 * evtchn_reset.c: back to the state of a fresh domain.
 *
 * The FIFO ABI is a one-way street: a vCPU's control block can be named once,
 * and there is no call that goes back to 2-level but EVTCHNOP_reset. That one
 * closes every port of the domain, those of xenstore and the console too,
 * which the toolstack opened. But it leaves the other ends as they were before
 * we were born: waiting for this domain to bind. So their whereabouts are
 * noted before, and they are bound again after; the guest may (and must) write
 * the new local numbers into its HVM parameters. Binding makes a port pending,
 * hence nothing the other side said meanwhile is overlooked.
 *
 * Tried on Xen 4.17: EVTCHNOP_init_control answers -EINVAL when repeated
 * without a reset in between, also after the pages it named are gone.
 */
#include "platform.h"

#include <linux/delay.h>
#include <linux/kernel.h>

#include "evtchn.h"
#include "hypercall.h"

#define RESET_TRIES	20
#define RESET_PAUSE_MS	5

/* A port of the toolstack's, and who is at its other end. */
struct kept_port {
	const char *name;
	u32 param;
	evtchn_port_t port;
	domid_t remote_dom;
	evtchn_port_t remote_port;
	bool bound;
};

static void remember(struct kept_port *k)
{
	struct evtchn_status status = { .dom = DOMID_SELF };
	u64 port;

	k->bound = false;
	if (pvhvm_hvm_param_get(k->param, &port) || !port || port > U32_MAX)
		return;
	status.port = port;
	if (hypercall_evtchn(EVTCHNOP_status, &status) ||
	    status.status != EVTCHNSTAT_interdomain)
		return;
	k->port = port;
	k->remote_dom = status.u.interdomain.dom;
	k->remote_port = status.u.interdomain.port;
	k->bound = true;
}

static int bind_again(struct kept_port *k)
{
	struct evtchn_bind_interdomain bind = {
		.remote_dom = k->remote_dom,
		.remote_port = k->remote_port,
	};
	int ret;

	if (!k->bound)
		return 0;
	ret = hypercall_evtchn(EVTCHNOP_bind_interdomain, &bind);
	if (!ret && bind.local_port != k->port)
		ret = hvm_param_set(k->param, bind.local_port);
	if (ret)
		pr_err("lost the event channel of %s (%d) until the guest is restarted\n",
		       k->name, ret);
	return ret;
}

static int reset(void)
{
	struct evtchn_reset op = { .dom = DOMID_SELF };
	unsigned int i;
	int ret;

	/* -EAGAIN: Xen closes a port, a peer is at it. */
	for (i = 0; i < RESET_TRIES; i++) {
		ret = hypercall_evtchn(EVTCHNOP_reset, &op);
		if (ret != -EAGAIN)
			break;
		msleep(RESET_PAUSE_MS);
	}
	return ret;
}

/**
 * evtchn_reset_all() - close all ports but the toolstack's, go back to 2-level
 *
 * To be called with no port of ours open. Xen lets go of all pages that it
 * was given for the FIFO ABI.
 * Context: process; may sleep.
 * Return: 0; 1 when one of the toolstack's was lost, after saying which; negative
 * errno when Xen refuses, and the FIFO ABI is still in force if it was.
 */
int evtchn_reset_all(void)
{
	struct kept_port kept[] = {
		{ .name = "xenstore", .param = HVM_PARAM_STORE_EVTCHN },
		{ .name = "the console", .param = HVM_PARAM_CONSOLE_EVTCHN },
	};
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(kept); i++)
		remember(&kept[i]);
	ret = reset();
	if (ret) {
		pr_err("Xen does not reset event channels (%d)\n", ret);
		return ret;
	}
	for (i = 0; i < ARRAY_SIZE(kept); i++)
		if (bind_again(&kept[i]))
			ret = 1;
	return ret;
}

/**
 * evtchn_fifo_left_over() - is the FIFO ABI in force, though not by our doing?
 *
 * An earlier kernel's that did not clean up, say before a crash. Xen has no
 * question for it, but priorities exist with FIFO only.
 * Context: process.
 */
bool evtchn_fifo_left_over(void)
{
	struct evtchn_alloc_unbound alloc = {
		.dom = DOMID_SELF,
		.remote_dom = DOMID_SELF,
	};
	struct evtchn_set_priority priority = {
		.priority = EVTCHN_FIFO_PRIORITY_DEFAULT,
	};
	struct evtchn_close close;
	bool fifo;

	if (hypercall_evtchn(EVTCHNOP_alloc_unbound, &alloc))
		return false;
	priority.port = alloc.port;
	fifo = !hypercall_evtchn(EVTCHNOP_set_priority, &priority);
	close.port = alloc.port;
	hypercall_evtchn(EVTCHNOP_close, &close);
	return fifo;
}
