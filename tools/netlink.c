// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/netlink.h>
#include <netlink/errno.h>
#include <netlink/socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "netlink.h"

struct netlink {
	struct nl_sock *sk;
	int err;			/* negative errno of the last answer */
	char words[160];		/* what the kernel added to it */
	char cause[256];
	void (*fn)(struct nlmsghdr *h, void *arg);
	void *arg;
};

static int on_message(struct nl_msg *msg, void *arg)
{
	struct netlink *nl = arg;

	if (nl->fn)
		nl->fn(nlmsg_hdr(msg), nl->arg);
	return NL_OK;
}

/* The extended acknowledgement's text follows the (capped) request in it. */
static void read_words(struct netlink *nl, struct nlmsghdr *h)
{
	struct nlmsgerr *e = nlmsg_data(h);
	size_t skip = sizeof(*e);
	struct nlattr *a;
	int left;

	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(h->nlmsg_flags & NLM_F_CAPPED))
		skip += e->msg.nlmsg_len - sizeof(struct nlmsghdr);
	left = (int)h->nlmsg_len - NLMSG_HDRLEN - (int)NLMSG_ALIGN(skip);
	a = (struct nlattr *)((char *)e + NLMSG_ALIGN(skip));
	for (; nla_ok(a, left); a = nla_next(a, &left))
		if (nla_type(a) == NLMSGERR_ATTR_MSG)
			text_set(nl->words, sizeof(nl->words), nla_get_string(a));
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *arg)
{
	struct netlink *nl = arg;

	(void)from;
	nl->err = e->error;
	read_words(nl, (struct nlmsghdr *)((char *)e - NLMSG_HDRLEN));
	return NL_STOP;
}

struct netlink *netlink_open(struct why *why)
{
	struct netlink *nl = text_alloc(sizeof(*nl));
	int on = 1, err;

	nl->sk = nl_socket_alloc();
	err = nl->sk ? nl_connect(nl->sk, NETLINK_ROUTE) : -NLE_NOMEM;
	if (err) {
		why_set(why, PVHVM_FAILED, "cannot open a netlink socket: %s", nl_geterror(err));
		netlink_close(nl);
		return NULL;
	}
	setsockopt(nl_socket_get_fd(nl->sk), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(nl_socket_get_fd(nl->sk), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	nl_socket_set_buffer_size(nl->sk, 1 << 20, 0);
	nl_socket_disable_auto_ack(nl->sk);
	nl_socket_disable_seq_check(nl->sk);
	nl_socket_modify_cb(nl->sk, NL_CB_VALID, NL_CB_CUSTOM, on_message, nl);
	nl_socket_modify_err_cb(nl->sk, NL_CB_CUSTOM, on_error, nl);
	return nl;
}

void netlink_close(struct netlink *nl)
{
	if (!nl)
		return;
	nl_socket_free(nl->sk);
	free(nl);
}

struct nl_msg *netlink_msg(int type, int flags, const void *head, size_t len)
{
	struct nl_msg *msg = nlmsg_alloc_size(16384);

	if (!msg || !nlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, type, 0,
			       NLM_F_REQUEST | flags) ||
	    nlmsg_append(msg, (void *)head, len, NLMSG_ALIGNTO)) {
		say_err("pvhvm: out of memory");
		exit(PVHVM_FAILED);
	}
	return msg;
}

/* Turn libnl's result and what on_error() saw into one errno and one text. */
static int result(struct netlink *nl, int libnl)
{
	if (libnl >= 0 && !nl->err)
		return 0;
	if (libnl == -NLE_DUMP_INTR && !nl->err)
		nl->err = -EINTR;
	if (nl->err)
		snprintf(nl->cause, sizeof(nl->cause), nl->words[0] ? "%s (%s)" : "%s",
			 strerror(-nl->err), nl->words);
	else
		snprintf(nl->cause, sizeof(nl->cause), "%s", nl_geterror(libnl));
	return nl->err ? nl->err : -EIO;
}

static void forget(struct netlink *nl)
{
	nl->err = 0;
	nl->words[0] = '\0';
	nl->cause[0] = '\0';
}

int netlink_ask(struct netlink *nl, int type, int flags, const void *head,
		size_t len, void (*fn)(struct nlmsghdr *h, void *arg), void *arg)
{
	struct nl_msg *msg = netlink_msg(type, flags, head, len);
	int err;

	forget(nl);
	nl->fn = fn;
	nl->arg = arg;
	err = nl_send_auto(nl->sk, msg);
	/* One answer, or all parts of it: no acknowledgement comes on top. */
	if (err >= 0)
		err = nl_recvmsgs_default(nl->sk);
	nl->fn = NULL;
	nlmsg_free(msg);
	return result(nl, err);
}

int netlink_tell(struct netlink *nl, struct nl_msg *msg)
{
	int err;

	forget(nl);
	nlmsg_hdr(msg)->nlmsg_flags |= NLM_F_ACK;
	err = nl_send_auto(nl->sk, msg);
	if (err >= 0)
		err = nl_wait_for_ack(nl->sk);
	nlmsg_free(msg);
	return result(nl, err);
}

const char *netlink_cause(const struct netlink *nl)
{
	return nl->cause;
}
