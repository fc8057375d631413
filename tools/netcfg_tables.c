// SPDX-License-Identifier: GPL-2.0-only
/*
 * netcfg_tables.c: the kernel's own messages, sent back with another
 * interface index. Attributes not named here go over as they are.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "netcfg.h"
#include "netcfg_tables.h"

/* A gateway may be reachable only by a route that comes later in the dump. */
#define ROUTE_PASSES 4

#define USER_HZ 100

#define SETTLE_TRIES 50
#define SETTLE_US 10000

static void address_text(char buf[INET6_ADDRSTRLEN], int family, struct nlattr *a)
{
	if (!a || !inet_ntop(family, nla_data(a), buf, INET6_ADDRSTRLEN))
		strcpy(buf, family == AF_INET ? "0.0.0.0" : "::");
}

/* IPv6 has the one only. */
static struct nlattr *own_addr(struct nlmsghdr *h)
{
	struct nlattr *a = nlmsg_find_attr(h, sizeof(struct ifaddrmsg), IFA_LOCAL);

	return a ? a : nlmsg_find_attr(h, sizeof(struct ifaddrmsg), IFA_ADDRESS);
}

static uint32_t addr_flags(struct nlmsghdr *h)
{
	struct ifaddrmsg *ifa = nlmsg_data(h);
	struct nlattr *a = nlmsg_find_attr(h, sizeof(*ifa), IFA_FLAGS);

	return a ? nla_get_u32(a) : ifa->ifa_flags;
}

/* The flags that can be asked for; the others are the kernel's to set. */
static struct nl_msg *addr_msg(struct nlmsghdr *h, int ifindex, uint32_t extra)
{
	struct ifaddrmsg ifa = *(struct ifaddrmsg *)nlmsg_data(h);
	uint32_t flags = addr_flags(h);
	struct nl_msg *msg;
	struct nlattr *a;
	int left;

	flags &= ~(IFA_F_SECONDARY | IFA_F_TENTATIVE | IFA_F_DADFAILED |
		   IFA_F_DEPRECATED | IFA_F_PERMANENT);
	flags |= extra;
	ifa.ifa_index = ifindex;
	ifa.ifa_flags = flags;
	msg = netlink_msg(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &ifa, sizeof(ifa));
	nlmsg_for_each_attr(a, h, sizeof(ifa), left)
		if (nla_type(a) != IFA_FLAGS)
			nla_put(msg, nla_type(a), nla_len(a), nla_data(a));
	nla_put_u32(msg, IFA_FLAGS, flags);
	return msg;
}

/* An IPv6 address was ours a moment ago: no need to ask whether it is taken. */
static int give_addr(struct netlink *nl, struct nlmsghdr *h, int ifindex, struct why *why)
{
	struct ifaddrmsg *ifa = nlmsg_data(h);
	char text[INET6_ADDRSTRLEN];
	int err;

	err = netlink_tell(nl, addr_msg(h, ifindex, ifa->ifa_family == AF_INET6 ? IFA_F_NODAD : 0));
	if (!err || err == -EEXIST)
		return PVHVM_OK;
	address_text(text, ifa->ifa_family, own_addr(h));
	return why_set(why, PVHVM_FAILED, "cannot give the address %s/%d: %s",
		       text, ifa->ifa_prefixlen, netlink_cause(nl));
}

static int give_neigh(struct netlink *nl, struct nlmsghdr *h, int ifindex)
{
	struct ndmsg ndm = *(struct ndmsg *)nlmsg_data(h);
	struct nl_msg *msg;
	struct nlattr *a;
	int left;

	ndm.ndm_ifindex = ifindex;
	if (ndm.ndm_family == AF_BRIDGE)
		ndm.ndm_flags |= NTF_MASTER;
	else
		ndm.ndm_flags &= NTF_PROXY | NTF_ROUTER | NTF_EXT_LEARNED;
	/* Half-way states: known, to be confirmed when next used. */
	if (ndm.ndm_state & (NUD_DELAY | NUD_PROBE))
		ndm.ndm_state = NUD_STALE;
	msg = netlink_msg(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &ndm, sizeof(ndm));
	nlmsg_for_each_attr(a, h, sizeof(ndm), left)
		if (nla_type(a) == NDA_DST || nla_type(a) == NDA_LLADDR ||
		    nla_type(a) == NDA_VLAN || nla_type(a) == NDA_PROTOCOL)
			nla_put(msg, nla_type(a), nla_len(a), nla_data(a));
	return netlink_tell(nl, msg);
}

static void put_multipath(struct nl_msg *msg, struct nlattr *mp, int from, int to)
{
	int left = nla_len(mp);
	struct rtnexthop *nh;
	struct nlattr *copy;

	copy = nla_reserve(msg, RTA_MULTIPATH, left);
	memcpy(nla_data(copy), nla_data(mp), left);
	for (nh = nla_data(copy); left >= (int)sizeof(*nh) && RTNH_OK(nh, left);
	     nh = RTNH_NEXT(nh)) {
		if (nh->rtnh_ifindex == from)
			nh->rtnh_ifindex = to;
		nh->rtnh_flags &= RTNH_F_ONLINK;
		/* RTNH_NEXT() steps by the same amount. */
		left -= RTNH_ALIGN(nh->rtnh_len);
	}
}

static void put_lifetime(struct nl_msg *msg, int family, struct nlattr *cache)
{
	struct rta_cacheinfo *ci = nla_data(cache);

	if (family == AF_INET6 && ci->rta_expires > 0)
		nla_put_u32(msg, RTA_EXPIRES, (ci->rta_expires + USER_HZ - 1) / USER_HZ);
}

static struct nl_msg *route_msg(struct nlmsghdr *h, int from, int to, bool onlink)
{
	struct rtmsg rtm = *(struct rtmsg *)nlmsg_data(h);
	int flags = NLM_F_CREATE;
	struct nl_msg *msg;
	struct nlattr *a;
	int left;

	rtm.rtm_flags &= RTNH_F_ONLINK;
	if (onlink)
		rtm.rtm_flags |= RTNH_F_ONLINK;
	/*
	 * Appending lets equal routes by other interfaces live; a multipath route
	 * has kept its other legs and is replaced as a whole.
	 */
	flags |= nlmsg_find_attr(h, sizeof(rtm), RTA_MULTIPATH) ? NLM_F_REPLACE : NLM_F_APPEND;
	msg = netlink_msg(RTM_NEWROUTE, flags, &rtm, sizeof(rtm));
	nlmsg_for_each_attr(a, h, sizeof(rtm), left) {
		switch (nla_type(a)) {
		case RTA_OIF:
			nla_put_u32(msg, RTA_OIF, nla_get_u32(a) == (uint32_t)from ?
				    (uint32_t)to : nla_get_u32(a));
			break;
		case RTA_MULTIPATH:
			put_multipath(msg, a, from, to);
			break;
		case RTA_CACHEINFO:
			put_lifetime(msg, rtm.rtm_family, a);
			break;
		case RTA_EXPIRES:
		case RTA_IIF:
		case RTA_UID:
			break;
		default:
			nla_put(msg, nla_type(a), nla_len(a), nla_data(a));
		}
	}
	return msg;
}

/* Routes to the link's own networks first: gateways are looked up in them. */
static bool has_gateway(struct nlmsghdr *h)
{
	return nlmsg_find_attr(h, sizeof(struct rtmsg), RTA_GATEWAY) ||
	       nlmsg_find_attr(h, sizeof(struct rtmsg), RTA_VIA) ||
	       nlmsg_find_attr(h, sizeof(struct rtmsg), RTA_MULTIPATH);
}

/* Routes by other interfaces are here because of their source address only. */
static bool by_other(const struct netcfg *cfg, struct nlmsghdr *h)
{
	struct nlattr *oif = nlmsg_find_attr(h, sizeof(struct rtmsg), RTA_OIF);

	return oif && nla_get_u32(oif) != (uint32_t)cfg->ifindex;
}

static int give_routes(struct netlink *nl, const struct netcfg *cfg, int ifindex,
		       struct why *why)
{
	bool *done = text_alloc(cfg->routes.n + 1);
	struct nlmsghdr *failed = NULL;
	char text[INET6_ADDRSTRLEN];
	char cause[256] = "";

	for (int pass = 0; pass < ROUTE_PASSES; pass++) {
		failed = NULL;
		for (int i = 0; i < cfg->routes.n; i++) {
			struct nlmsghdr *h = cfg->routes.v[i];
			bool onlink;
			int err;

			if (done[i] || (!pass && has_gateway(h)))
				continue;
			/*
			 * Last try: the route to the gateway that let the kernel
			 * accept this one has been removed since.
			 */
			onlink = pass == ROUTE_PASSES - 1 && has_gateway(h);
			err = netlink_tell(nl, route_msg(h, cfg->ifindex, ifindex, onlink));
			done[i] = !err || err == -EEXIST;
			if (done[i] || by_other(cfg, h))
				continue;
			failed = h;
			text_set(cause, sizeof(cause), netlink_cause(nl));
		}
	}
	free(done);
	if (failed) {
		struct rtmsg *rtm = nlmsg_data(failed);

		address_text(text, rtm->rtm_family, nlmsg_find_attr(failed, sizeof(*rtm), RTA_DST));
		return why_set(why, PVHVM_FAILED, "cannot give the route to %s/%d: %s",
			       text, rtm->rtm_dst_len, cause);
	}
	return PVHVM_OK;
}

int netcfg_give_tables(struct netlink *nl, const struct netcfg *cfg, int ifindex,
		       struct why *why)
{
	int code;

	for (int i = 0; i < cfg->addrs.n; i++) {
		code = give_addr(nl, cfg->addrs.v[i], ifindex, why);
		if (code)
			return code;
	}
	if (!(cfg->flags & IFF_UP))
		return PVHVM_OK;
	/* A neighbour that is not taken over is found again when it is needed. */
	for (int i = 0; i < cfg->neighs.n; i++)
		give_neigh(nl, cfg->neighs.v[i], ifindex);
	for (int i = 0; i < cfg->fdb.n; i++)
		give_neigh(nl, cfg->fdb.v[i], ifindex);
	return give_routes(nl, cfg, ifindex, why);
}

void netcfg_drop_routes(struct netlink *nl, const struct netcfg *cfg, int ifindex)
{
	for (int i = 0; i < cfg->routes.n; i++) {
		struct nlmsghdr *h = cfg->routes.v[i];
		struct nl_msg *msg;

		/* One with several legs has been replaced as a whole. */
		if (by_other(cfg, h) || nlmsg_find_attr(h, sizeof(struct rtmsg), RTA_MULTIPATH))
			continue;
		msg = route_msg(h, cfg->ifindex, ifindex, false);
		nlmsg_hdr(msg)->nlmsg_type = RTM_DELROUTE;
		nlmsg_hdr(msg)->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
		netlink_tell(nl, msg);
	}
}

struct addr_list {
	int ifindex;
	struct msg_list list;
};

static void on_addr(struct nlmsghdr *h, void *arg)
{
	struct addr_list *l = arg;
	struct ifaddrmsg *ifa = nlmsg_data(h);

	if (h->nlmsg_type != RTM_NEWADDR || (int)ifa->ifa_index != l->ifindex)
		return;
	l->list.v = text_grow(l->list.v, l->list.n + 1, sizeof(*l->list.v));
	l->list.v[l->list.n] = text_alloc(NLMSG_ALIGN(h->nlmsg_len));
	memcpy(l->list.v[l->list.n++], h, h->nlmsg_len);
}

static void list_addrs(struct netlink *nl, int family, struct addr_list *l)
{
	struct ifaddrmsg ifa = { .ifa_family = family };

	netlink_ask(nl, RTM_GETADDR, NLM_F_DUMP, &ifa, sizeof(ifa), on_addr, l);
}

static void addr_list_free(struct addr_list *l)
{
	for (int i = 0; i < l->list.n; i++)
		free(l->list.v[i]);
	free(l->list.v);
}

static void drop_addr(struct netlink *nl, struct nlmsghdr *h)
{
	struct ifaddrmsg *one = nlmsg_data(h);
	struct nl_msg *msg = netlink_msg(RTM_DELADDR, 0, one, sizeof(*one));
	struct nlattr *a;
	int left;

	nlmsg_for_each_attr(a, h, sizeof(*one), left)
		if (nla_type(a) == IFA_LOCAL || nla_type(a) == IFA_ADDRESS)
			nla_put(msg, nla_type(a), nla_len(a), nla_data(a));
	netlink_tell(nl, msg);
}

void netcfg_flush_addrs(struct netlink *nl, int ifindex)
{
	struct addr_list l = { .ifindex = ifindex };

	list_addrs(nl, AF_UNSPEC, &l);
	for (int i = 0; i < l.list.n; i++)
		drop_addr(nl, l.list.v[i]);
	addr_list_free(&l);
}

static const char *label_of(struct nlmsghdr *h)
{
	struct nlattr *a = nlmsg_find_attr(h, sizeof(struct ifaddrmsg), IFA_LABEL);

	return a ? nla_get_string(a) : "";
}

static bool same_addr(struct nlmsghdr *a, struct nlmsghdr *b)
{
	struct ifaddrmsg *x = nlmsg_data(a), *y = nlmsg_data(b);
	struct nlattr *p = own_addr(a), *q = own_addr(b);

	return x->ifa_family == y->ifa_family && x->ifa_prefixlen == y->ifa_prefixlen &&
	       p && q && nla_len(p) == nla_len(q) &&
	       !memcmp(nla_data(p), nla_data(q), nla_len(p));
}

static bool has_addr(const struct addr_list *l, struct nlmsghdr *addr)
{
	for (int i = 0; i < l->list.n; i++)
		if (same_addr(l->list.v[i], addr))
			return true;
	return false;
}

bool netcfg_has_addrs(struct netlink *nl, const struct netcfg *cfg, int ifindex)
{
	struct addr_list l = { .ifindex = ifindex };
	bool all = true;

	list_addrs(nl, AF_UNSPEC, &l);
	for (int i = 0; i < cfg->addrs.n && all; i++)
		all = has_addr(&l, cfg->addrs.v[i]);
	addr_list_free(&l);
	return all;
}

static const char *wanted_label(const struct netcfg *cfg, struct nlmsghdr *now)
{
	for (int i = 0; i < cfg->addrs.n; i++)
		if (same_addr(cfg->addrs.v[i], now))
			return label_of(cfg->addrs.v[i]);
	return label_of(now);
}

/* From the first that is wrong on, so that the order of the addresses stays. */
int netcfg_relabel(struct netlink *nl, const struct netcfg *cfg, int ifindex,
		   struct why *why)
{
	struct addr_list l = { .ifindex = ifindex };
	bool wrong = false;

	list_addrs(nl, AF_INET, &l);
	for (int i = 0; i < l.list.n; i++) {
		wrong |= strcmp(label_of(l.list.v[i]), wanted_label(cfg, l.list.v[i])) != 0;
		if (wrong)
			drop_addr(nl, l.list.v[i]);
	}
	addr_list_free(&l);
	return wrong ? netcfg_give_tables(nl, cfg, ifindex, why) : PVHVM_OK;
}

static void on_tentative(struct nlmsghdr *h, void *arg)
{
	struct addr_list *l = arg;
	struct ifaddrmsg *ifa = nlmsg_data(h);

	if ((int)ifa->ifa_index == l->ifindex && (addr_flags(h) & IFA_F_TENTATIVE))
		l->list.n++;
}

/* The kernel looks at the flag a moment after it has acknowledged the address. */
void netcfg_settle_addrs(struct netlink *nl, const struct netcfg *cfg, int ifindex)
{
	struct addr_list l = { .ifindex = ifindex, .list.n = 1 };
	struct ifaddrmsg ifa = { .ifa_family = AF_INET6 };

	for (int i = 0; i < SETTLE_TRIES && l.list.n; i++) {
		if (i)
			usleep(SETTLE_US);
		l.list.n = 0;
		netlink_ask(nl, RTM_GETADDR, NLM_F_DUMP, &ifa, sizeof(ifa), on_tentative, &l);
	}
	for (int i = 0; i < cfg->addrs.n && !l.list.n; i++) {
		struct ifaddrmsg *one = nlmsg_data(cfg->addrs.v[i]);

		if (one->ifa_family == AF_INET6 && !(addr_flags(cfg->addrs.v[i]) & IFA_F_NODAD))
			netlink_tell(nl, addr_msg(cfg->addrs.v[i], ifindex, 0));
	}
}

struct altname_search {
	const char *name;
	bool found;
};

static void on_altname(struct nlmsghdr *h, void *arg)
{
	struct altname_search *s = arg;
	struct nlattr *props, *a;
	int left;

	props = nlmsg_find_attr(h, sizeof(struct ifinfomsg), IFLA_PROP_LIST);
	if (!props)
		return;
	nla_for_each_nested(a, props, left)
		if (nla_type(a) == IFLA_ALT_IFNAME && !strcmp(nla_get_string(a), s->name))
			s->found = true;
}

bool netcfg_altname_is(struct netlink *nl, int ifindex, const char *name)
{
	struct ifinfomsg ifi = { .ifi_index = ifindex };
	struct altname_search s = { .name = name };

	netlink_ask(nl, RTM_GETLINK, 0, &ifi, sizeof(ifi), on_altname, &s);
	return s.found;
}
