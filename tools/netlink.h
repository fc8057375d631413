/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * netlink.h: talking to the kernel's routing socket (libnl-3).
 *
 * Configuration is carried over as the kernel's own messages, with nothing
 * but the interface index replaced: what this program does not know of, it
 * cannot lose.
 */
#ifndef PVHVM_NETLINK_H
#define PVHVM_NETLINK_H

#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdbool.h>

#include "text.h"

struct netlink;

struct netlink *netlink_open(struct why *why);
void netlink_close(struct netlink *nl);

/**
 * netlink_ask() - request and call @fn for each message of the answer
 * @flags: NLM_F_DUMP or 0
 * @head: the family header and any attributes, @len bytes
 * Return: 0 or negative errno; -EINTR when the tables changed meanwhile and
 * the answer may have holes: ask again.
 */
int netlink_ask(struct netlink *nl, int type, int flags, const void *head,
		size_t len, void (*fn)(struct nlmsghdr *h, void *arg), void *arg);

/**
 * netlink_tell() - send a request, wait for the acknowledgement
 * @msg: taken over and freed
 * Return: 0 or negative errno; netlink_cause() has the kernel's own words.
 */
int netlink_tell(struct netlink *nl, struct nl_msg *msg);

/* Why the last request failed, e.g. "Invalid argument (Nexthop ...)". */
const char *netlink_cause(const struct netlink *nl);

/* A new message with its family header; never NULL. */
struct nl_msg *netlink_msg(int type, int flags, const void *head, size_t len);

#endif
