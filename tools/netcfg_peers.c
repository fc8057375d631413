// SPDX-License-Identifier: GPL-2.0-only
/*
 * netcfg_peers.c: whom to ask whether an interface still reaches its network:
 * its gateways first, then neighbours that answered lately. A port of a bridge
 * or bond has none itself: its master's count.
 */
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "netcfg.h"

#define MAX_OWN 32

struct own {
	int family, prefix;
	unsigned char a[16];
};

struct search {
	struct netcfg *cfg;
	int ifindex;		/* the one with the addresses */
	struct own own[MAX_OWN];
	int nr_own;
};

static void on_own(struct nlmsghdr *h, void *arg)
{
	struct search *s = arg;
	struct ifaddrmsg *ifa = nlmsg_data(h);
	struct nlattr *a;

	if ((int)ifa->ifa_index != s->ifindex || s->nr_own == MAX_OWN ||
	    (ifa->ifa_flags & IFA_F_TENTATIVE))
		return;
	a = nlmsg_find_attr(h, sizeof(*ifa), IFA_LOCAL);
	if (!a)
		a = nlmsg_find_attr(h, sizeof(*ifa), IFA_ADDRESS);
	if (!a || nla_len(a) > 16)
		return;
	s->own[s->nr_own].family = ifa->ifa_family;
	s->own[s->nr_own].prefix = ifa->ifa_prefixlen;
	memcpy(s->own[s->nr_own++].a, nla_data(a), nla_len(a));
}

static bool same_net(const struct own *own, const unsigned char *to)
{
	int bytes = own->prefix / 8, bits = own->prefix % 8;

	if (memcmp(own->a, to, bytes))
		return false;
	return !bits || !((own->a[bytes] ^ to[bytes]) >> (8 - bits));
}

/* Only a peer on the link itself answers ARP and neighbour solicitation. */
static void add_peer(struct search *s, int family, const void *addr)
{
	struct netcfg *cfg = s->cfg;
	size_t len = family == AF_INET ? 4 : 16;
	struct netcfg_peer peer = { .family = family };

	if (cfg->nr_peers == NETCFG_MAX_PEERS)
		return;
	memcpy(&peer.addr, addr, len);
	for (int i = 0; i < cfg->nr_peers; i++)
		if (cfg->peers[i].family == family &&
		    !memcmp(&cfg->peers[i].addr, addr, len))
			return;
	for (int i = 0; i < s->nr_own; i++) {
		if (s->own[i].family != family || !same_net(&s->own[i], addr) ||
		    !memcmp(s->own[i].a, addr, len))
			continue;
		memcpy(&peer.source, s->own[i].a, len);
		cfg->peers[cfg->nr_peers++] = peer;
		return;
	}
}

static void on_gateway(struct nlmsghdr *h, void *arg)
{
	struct search *s = arg;
	struct rtmsg *rtm = nlmsg_data(h);
	struct nlattr *tb[RTA_MAX + 1];

	if (h->nlmsg_type != RTM_NEWROUTE || (rtm->rtm_flags & RTM_F_CLONED) ||
	    (rtm->rtm_family != AF_INET && rtm->rtm_family != AF_INET6) ||
	    nlmsg_parse(h, sizeof(*rtm), tb, RTA_MAX, NULL))
		return;
	if (tb[RTA_GATEWAY] && tb[RTA_OIF] && rtm->rtm_dst_len == 0 &&
	    nla_get_u32(tb[RTA_OIF]) == (uint32_t)s->ifindex)
		add_peer(s, rtm->rtm_family, nla_data(tb[RTA_GATEWAY]));
}

static void on_neighbour(struct nlmsghdr *h, void *arg)
{
	struct search *s = arg;
	struct ndmsg *ndm = nlmsg_data(h);
	struct nlattr *a;

	if (h->nlmsg_type != RTM_NEWNEIGH || ndm->ndm_ifindex != s->ifindex ||
	    (ndm->ndm_family != AF_INET && ndm->ndm_family != AF_INET6) ||
	    !(ndm->ndm_state & (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE)))
		return;
	a = nlmsg_find_attr(h, sizeof(*ndm), NDA_DST);
	if (a)
		add_peer(s, ndm->ndm_family, nla_data(a));
}

void netcfg_take_peers(struct netlink *nl, struct netcfg *cfg)
{
	struct search s = { .cfg = cfg, .ifindex = cfg->ifindex };
	struct ifaddrmsg ifa = { 0 };
	struct rtmsg rtm = { 0 };
	struct ndmsg ndm = { 0 };

	if (!strcmp(cfg->master_kind, "bridge") || !strcmp(cfg->master_kind, "bond"))
		s.ifindex = cfg->master;
	/* What cannot be read only leaves fewer peers to ask. */
	netlink_ask(nl, RTM_GETADDR, NLM_F_DUMP, &ifa, sizeof(ifa), on_own, &s);
	netlink_ask(nl, RTM_GETROUTE, NLM_F_DUMP, &rtm, sizeof(rtm), on_gateway, &s);
	netlink_ask(nl, RTM_GETNEIGH, NLM_F_DUMP, &ndm, sizeof(ndm), on_neighbour, &s);
}
