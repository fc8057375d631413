// SPDX-License-Identifier: GPL-2.0-only
/* netcfg_take.c: reading an interface's configuration. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netcfg.h"
#include "netcfg_upper.h"

#define TAKE_TRIES 5

/* What the callbacks work on. */
struct taking {
	struct netcfg *cfg;
	char refusal[200];	/* the first thing that cannot be moved; or "" */
	bool found;
};

static void keep(struct msg_list *list, struct nlmsghdr *h)
{
	list->v = text_grow(list->v, list->n + 1, sizeof(*list->v));
	list->v[list->n] = text_alloc(NLMSG_ALIGN(h->nlmsg_len));
	memcpy(list->v[list->n++], h, h->nlmsg_len);
}

static void drop(struct msg_list *list)
{
	for (int i = 0; i < list->n; i++)
		free(list->v[i]);
	free(list->v);
	memset(list, 0, sizeof(*list));
}

static void refuse(struct taking *t, const char *what, const char *name)
{
	if (!t->refusal[0])
		snprintf(t->refusal, sizeof(t->refusal), "%s %s", what, name);
}

static void note(struct netcfg *cfg, const char *text)
{
	size_t len = strlen(cfg->notes);

	if (strstr(cfg->notes, text))
		return;
	snprintf(cfg->notes + len, sizeof(cfg->notes) - len, "%s%s",
		 len ? "; " : "", text);
}

static void take_altnames(struct netcfg *cfg, struct nlattr *props)
{
	struct nlattr *a;
	int left;

	nla_for_each_nested(a, props, left) {
		if (nla_type(a) != IFLA_ALT_IFNAME)
			continue;
		cfg->altnames = text_grow(cfg->altnames, cfg->nr_altnames + 1,
					  sizeof(*cfg->altnames));
		cfg->altnames[cfg->nr_altnames++] = text_copy(nla_get_string(a));
	}
}

static void take_slave(struct netcfg *cfg, struct nlattr *info)
{
	struct nlattr *tb[IFLA_INFO_MAX + 1], *data;

	if (nla_parse_nested(tb, IFLA_INFO_MAX, info, NULL))
		return;
	data = tb[IFLA_INFO_SLAVE_DATA];
	if (!data)
		return;
	cfg->brport = text_alloc(NLA_ALIGN(data->nla_len));
	memcpy(cfg->brport, data, data->nla_len);
}

static void on_own_link(struct nlmsghdr *h, void *arg)
{
	struct taking *t = arg;
	struct netcfg *cfg = t->cfg;
	struct ifinfomsg *ifi = nlmsg_data(h);
	struct nlattr *tb[IFLA_MAX + 1];

	if (h->nlmsg_type != RTM_NEWLINK || t->found ||
	    nlmsg_parse(h, sizeof(*ifi), tb, IFLA_MAX, NULL))
		return;
	t->found = true;
	cfg->ifindex = ifi->ifi_index;
	cfg->flags = ifi->ifi_flags;
	if (tb[IFLA_IFNAME])
		text_set(cfg->name, sizeof(cfg->name), nla_get_string(tb[IFLA_IFNAME]));
	if (tb[IFLA_MTU])
		cfg->mtu = nla_get_u32(tb[IFLA_MTU]);
	if (tb[IFLA_TXQLEN])
		cfg->txqlen = nla_get_u32(tb[IFLA_TXQLEN]);
	if (tb[IFLA_GROUP])
		cfg->group = nla_get_u32(tb[IFLA_GROUP]);
	if (tb[IFLA_ADDRESS] && nla_len(tb[IFLA_ADDRESS]) == 6)
		memcpy(cfg->mac, nla_data(tb[IFLA_ADDRESS]), 6);
	if (tb[IFLA_IFALIAS])
		cfg->alias = text_copy(nla_get_string(tb[IFLA_IFALIAS]));
	if (tb[IFLA_PROP_LIST])
		take_altnames(cfg, tb[IFLA_PROP_LIST]);
	if (tb[IFLA_MASTER])
		cfg->master = nla_get_u32(tb[IFLA_MASTER]);
	if (tb[IFLA_LINKINFO])
		take_slave(cfg, tb[IFLA_LINKINFO]);
	if (tb[IFLA_XDP]) {
		struct nlattr *xdp[IFLA_XDP_MAX + 1];

		if (!nla_parse_nested(xdp, IFLA_XDP_MAX, tb[IFLA_XDP], NULL) &&
		    xdp[IFLA_XDP_ATTACHED] && nla_get_u8(xdp[IFLA_XDP_ATTACHED]))
			note(cfg, "its XDP program is not carried over");
	}
}

static const char *link_kind(struct nlattr *info)
{
	struct nlattr *tb[IFLA_INFO_MAX + 1];

	if (!info || nla_parse_nested(tb, IFLA_INFO_MAX, info, NULL) ||
	    !tb[IFLA_INFO_KIND])
		return "";
	return nla_get_string(tb[IFLA_INFO_KIND]);
}

static void on_upper(struct taking *t, int ifindex, const char *name, const char *kind,
		     struct nlattr *info)
{
	struct nlattr *tb[IFLA_INFO_MAX + 1] = { 0 };

	if (info && nla_parse_nested(tb, IFLA_INFO_MAX, info, NULL))
		return;
	if (!netcfg_upper_known(kind) ||
	    !netcfg_uppers_note(t->cfg, name, ifindex, kind, tb[IFLA_INFO_DATA]))
		refuse(t, kind[0] ? kind : "interface", name);
}

/* A number among what is particular to a kind of interface; 0 if there is none. */
static uint32_t kind_number(struct nlattr *info, int type)
{
	struct nlattr *tb[IFLA_INFO_MAX + 1], *a;

	if (!info || nla_parse_nested(tb, IFLA_INFO_MAX, info, NULL) || !tb[IFLA_INFO_DATA])
		return 0;
	a = nla_find(nla_data(tb[IFLA_INFO_DATA]), nla_len(tb[IFLA_INFO_DATA]), type);
	return a ? nla_get_u32(a) : 0;
}

/* Who is our master, and who else stands on us? */
static void on_other_link(struct nlmsghdr *h, void *arg)
{
	struct taking *t = arg;
	struct netcfg *cfg = t->cfg;
	struct ifinfomsg *ifi = nlmsg_data(h);
	struct nlattr *tb[IFLA_MAX + 1];
	const char *name, *kind;

	if (h->nlmsg_type != RTM_NEWLINK || ifi->ifi_index == cfg->ifindex ||
	    nlmsg_parse(h, sizeof(*ifi), tb, IFLA_MAX, NULL) || !tb[IFLA_IFNAME])
		return;
	name = nla_get_string(tb[IFLA_IFNAME]);
	kind = link_kind(tb[IFLA_LINKINFO]);
	if (ifi->ifi_index == cfg->master) {
		text_set(cfg->master_name, sizeof(cfg->master_name), name);
		text_set(cfg->master_kind, sizeof(cfg->master_kind), kind);
		if (strcmp(kind, "bridge") && strcmp(kind, "bond") && strcmp(kind, "vrf"))
			refuse(t, kind[0] ? kind : "master", name);
		/* the PV port cannot be kept silent beside the emulated one */
		if (!strcmp(kind, "bridge") && kind_number(tb[IFLA_LINKINFO], IFLA_BR_STP_STATE))
			refuse(t, "its place in a bridge with STP on,", name);
	}
	/* it would go with the card: the kernel deletes it */
	if (!strcmp(kind, "vxlan") &&
	    kind_number(tb[IFLA_LINKINFO], IFLA_VXLAN_LINK) == (uint32_t)cfg->ifindex)
		refuse(t, kind, name);
	if (tb[IFLA_LINK] && !tb[IFLA_LINK_NETNSID] &&
	    nla_get_u32(tb[IFLA_LINK]) == (uint32_t)cfg->ifindex)
		on_upper(t, ifi->ifi_index, name, kind, tb[IFLA_LINKINFO]);
}

static void on_vlans(struct nlmsghdr *h, void *arg)
{
	struct taking *t = arg;
	struct netcfg *cfg = t->cfg;
	struct ifinfomsg *ifi = nlmsg_data(h);
	struct nlattr *tb[IFLA_MAX + 1], *a;
	int left;

	if (ifi->ifi_index != cfg->ifindex ||
	    nlmsg_parse(h, sizeof(*ifi), tb, IFLA_MAX, NULL) || !tb[IFLA_AF_SPEC])
		return;
	nla_for_each_nested(a, tb[IFLA_AF_SPEC], left) {
		struct bridge_vlan_info *v = nla_data(a);

		if (nla_type(a) != IFLA_BRIDGE_VLAN_INFO ||
		    cfg->nr_vlans == NETCFG_MAX_VLANS)
			continue;
		cfg->vlans = text_grow(cfg->vlans, cfg->nr_vlans + 1, sizeof(*cfg->vlans));
		cfg->vlans[cfg->nr_vlans++] = (uint32_t)v->flags << 16 | v->vid;
	}
}

static void on_addr(struct nlmsghdr *h, void *arg)
{
	struct taking *t = arg;
	struct ifaddrmsg *ifa = nlmsg_data(h);

	if (h->nlmsg_type == RTM_NEWADDR && (int)ifa->ifa_index == t->cfg->ifindex)
		keep(&t->cfg->addrs, h);
}

static void on_neigh(struct nlmsghdr *h, void *arg)
{
	struct taking *t = arg;
	struct ndmsg *ndm = nlmsg_data(h);
	const int useful = NUD_PERMANENT | NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE;

	if (h->nlmsg_type != RTM_NEWNEIGH || ndm->ndm_ifindex != t->cfg->ifindex)
		return;
	if (ndm->ndm_family == AF_BRIDGE) {
		/* Static ones; those learned will be learned again. */
		if ((ndm->ndm_state & NUD_NOARP) && !(ndm->ndm_flags & NTF_SELF))
			keep(&t->cfg->fdb, h);
	} else if ((ndm->ndm_state & useful) || (ndm->ndm_flags & NTF_PROXY)) {
		keep(&t->cfg->neighs, h);
	}
}

static bool multipath_has(struct nlattr *mp, int ifindex)
{
	struct rtnexthop *nh = nla_data(mp);
	int left = nla_len(mp);

	while (left >= (int)sizeof(*nh) && RTNH_OK(nh, left)) {
		if (nh->rtnh_ifindex == ifindex)
			return true;
		left -= RTNH_ALIGN(nh->rtnh_len);
		nh = RTNH_NEXT(nh);
	}
	return false;
}

/* Does an IPv4 route by another interface use one of our addresses as source? */
static bool our_source(const struct netcfg *cfg, struct nlattr *src)
{
	for (int i = 0; i < cfg->addrs.n; i++) {
		struct nlattr *local;

		local = nlmsg_find_attr(cfg->addrs.v[i], sizeof(struct ifaddrmsg), IFA_LOCAL);
		if (local && nla_len(local) == nla_len(src) &&
		    !memcmp(nla_data(local), nla_data(src), nla_len(src)))
			return true;
	}
	return false;
}

/* Made by the kernel itself as soon as the addresses are there. */
static bool made_by_kernel(const struct rtmsg *rtm, unsigned int table)
{
	if (rtm->rtm_protocol != RTPROT_KERNEL)
		return false;
	return table == RT_TABLE_LOCAL || rtm->rtm_type == RTN_MULTICAST ||
	       rtm->rtm_type == RTN_LOCAL || rtm->rtm_type == RTN_BROADCAST ||
	       rtm->rtm_type == RTN_ANYCAST;
}

static void on_route(struct nlmsghdr *h, void *arg)
{
	struct taking *t = arg;
	struct netcfg *cfg = t->cfg;
	struct rtmsg *rtm = nlmsg_data(h);
	struct nlattr *tb[RTA_MAX + 1];
	bool ours;

	if (h->nlmsg_type != RTM_NEWROUTE || (rtm->rtm_flags & RTM_F_CLONED) ||
	    (rtm->rtm_family != AF_INET && rtm->rtm_family != AF_INET6) ||
	    nlmsg_parse(h, sizeof(*rtm), tb, RTA_MAX, NULL))
		return;
	if (made_by_kernel(rtm, tb[RTA_TABLE] ? nla_get_u32(tb[RTA_TABLE]) : rtm->rtm_table))
		return;
	ours = tb[RTA_OIF] && nla_get_u32(tb[RTA_OIF]) == (uint32_t)cfg->ifindex;
	ours = ours || (tb[RTA_MULTIPATH] && multipath_has(tb[RTA_MULTIPATH], cfg->ifindex));
	if (ours && tb[RTA_NH_ID]) {
		refuse(t, "a route by nexthop object", "(ip nexthop)");
		return;
	}
	ours = ours || (rtm->rtm_family == AF_INET && tb[RTA_PREFSRC] &&
			rtm->rtm_protocol != RTPROT_KERNEL && !tb[RTA_NH_ID] &&
			our_source(cfg, tb[RTA_PREFSRC]));
	if (ours)
		keep(&cfg->routes, h);
}

/* The default queueing discipline has no handle; a configured one has. */
static void on_qdisc(struct nlmsghdr *h, void *arg)
{
	struct taking *t = arg;
	struct tcmsg *tc = nlmsg_data(h);

	if (h->nlmsg_type == RTM_NEWQDISC && tc->tcm_ifindex == t->cfg->ifindex &&
	    tc->tcm_handle)
		note(t->cfg, "its traffic control (tc) is not carried over");
}

/* "2  eth0  1  0  01005e000001": users, users by hand, address. */
static void take_mcast(struct netcfg *cfg)
{
	FILE *f = fopen("/proc/net/dev_mcast", "re");
	char line[256];

	while (f && fgets(line, sizeof(line), f)) {
		unsigned int a[6];
		int index, global;

		if (sscanf(line, "%d %*s %*d %d %2x%2x%2x%2x%2x%2x", &index, &global,
			   &a[0], &a[1], &a[2], &a[3], &a[4], &a[5]) != 8 ||
		    index != cfg->ifindex || !global)
			continue;
		cfg->mcast = text_grow(cfg->mcast, cfg->nr_mcast + 1, sizeof(*cfg->mcast));
		for (int i = 0; i < 6; i++)
			cfg->mcast[cfg->nr_mcast][i] = a[i];
		cfg->nr_mcast++;
	}
	if (f)
		fclose(f);
}

static int take_link(struct netlink *nl, const char *name, struct taking *t)
{
	struct ifinfomsg ifi = { .ifi_index = if_nametoindex(name) };
	struct {
		struct ifinfomsg ifi;
		struct nlattr a;
		uint32_t mask;
	} ports = { { .ifi_family = AF_BRIDGE }, { 8, IFLA_EXT_MASK }, RTEXT_FILTER_BRVLAN };
	int err;

	if (!ifi.ifi_index)
		return -ENODEV;
	err = netlink_ask(nl, RTM_GETLINK, 0, &ifi, sizeof(ifi), on_own_link, t);
	ifi.ifi_index = 0;
	if (!err)
		err = netlink_ask(nl, RTM_GETLINK, NLM_F_DUMP, &ifi, sizeof(ifi),
				  on_other_link, t);
	if (!err && !strcmp(t->cfg->master_kind, "bridge"))
		err = netlink_ask(nl, RTM_GETLINK, NLM_F_DUMP, &ports, sizeof(ports),
				  on_vlans, t);
	return err;
}

static int take_tables(struct netlink *nl, struct taking *t)
{
	struct ndmsg proxies = { .ndm_flags = NTF_PROXY };
	struct ndmsg fdb = { .ndm_family = AF_BRIDGE };
	struct ifaddrmsg ifa = { 0 };
	struct rtmsg rtm = { 0 };
	struct ndmsg ndm = { 0 };
	struct tcmsg tc = { 0 };
	int err;

	err = netlink_ask(nl, RTM_GETADDR, NLM_F_DUMP, &ifa, sizeof(ifa), on_addr, t);
	if (!err)
		err = netlink_ask(nl, RTM_GETROUTE, NLM_F_DUMP, &rtm, sizeof(rtm), on_route, t);
	if (!err)
		err = netlink_ask(nl, RTM_GETNEIGH, NLM_F_DUMP, &ndm, sizeof(ndm), on_neigh, t);
	if (!err)
		err = netlink_ask(nl, RTM_GETNEIGH, NLM_F_DUMP, &proxies, sizeof(proxies),
				  on_neigh, t);
	if (!err && !strcmp(t->cfg->master_kind, "bridge"))
		err = netlink_ask(nl, RTM_GETNEIGH, NLM_F_DUMP, &fdb, sizeof(fdb), on_neigh, t);
	if (!err)
		err = netlink_ask(nl, RTM_GETQDISC, NLM_F_DUMP, &tc, sizeof(tc), on_qdisc, t);
	return err;
}

int netcfg_take(struct netlink *nl, const char *name, struct netcfg *cfg,
		struct why *why)
{
	struct taking t;
	int err = -EINTR;

	/* Tables that change while they are read are read again. */
	for (int i = 0; i < TAKE_TRIES && err == -EINTR; i++) {
		if (i)
			netcfg_free(cfg);
		memset(cfg, 0, sizeof(*cfg));
		t = (struct taking) { .cfg = cfg };
		err = take_link(nl, name, &t);
		if (!err)
			err = take_tables(nl, &t);
	}
	if (err)
		return why_set(why, PVHVM_FAILED, "cannot read the configuration of %s: %s",
			       name, err == -ENODEV ? "it is gone" : netlink_cause(nl));
	if (t.refusal[0])
		return why_set(why, PVHVM_REFUSED,
			       "%s carries %s, which this version cannot move: take it off and put it on again after the switch",
			       name, t.refusal);
	take_mcast(cfg);
	cfg->conf = ifconf_take(name);
	netcfg_take_peers(nl, cfg);
	return netcfg_uppers_take(nl, cfg, why);
}

void netcfg_free(struct netcfg *cfg)
{
	free(cfg->alias);
	for (int i = 0; i < cfg->nr_altnames; i++)
		free(cfg->altnames[i]);
	free(cfg->altnames);
	free(cfg->brport);
	free(cfg->vlans);
	drop(&cfg->addrs);
	drop(&cfg->routes);
	drop(&cfg->neighs);
	drop(&cfg->fdb);
	free(cfg->mcast);
	ifconf_free(cfg->conf);
	netcfg_uppers_free(cfg);
	memset(cfg, 0, sizeof(*cfg));
}
