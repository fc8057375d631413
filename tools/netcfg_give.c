// SPDX-License-Identifier: GPL-2.0-only
/* netcfg_give.c: links, and the order in which one gets its configuration. */
#include <errno.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "netcfg.h"
#include "netcfg_tables.h"

/* The flags an administrator can set on an Ethernet link, IFF_UP aside. */
#define OWN_FLAGS (IFF_PROMISC | IFF_ALLMULTI | IFF_NOARP | IFF_MULTICAST | IFF_DYNAMIC)

#define CARRIER_POLL_US 2000

static struct nl_msg *link_msg(int type, int ifindex, unsigned int flags,
			       unsigned int change)
{
	struct ifinfomsg ifi = {
		.ifi_index = ifindex, .ifi_flags = flags, .ifi_change = change,
	};

	return netlink_msg(type, 0, &ifi, sizeof(ifi));
}

static int link_failed(struct netlink *nl, int ifindex, const char *what, struct why *why)
{
	char name[IFNAMSIZ] = "?";

	if_indextoname(ifindex, name);
	return why_set(why, PVHVM_FAILED, "cannot %s %s: %s", what, name, netlink_cause(nl));
}

static int link_flags(struct netlink *nl, int ifindex, unsigned int flags,
		      unsigned int change)
{
	return netlink_tell(nl, link_msg(RTM_NEWLINK, ifindex, flags, change));
}

static int link_master(struct netlink *nl, int ifindex, int master)
{
	struct nl_msg *msg = link_msg(RTM_NEWLINK, ifindex, 0, 0);

	nla_put_u32(msg, IFLA_MASTER, master);
	return netlink_tell(nl, msg);
}

static int link_altname(struct netlink *nl, int type, int ifindex, const char *name)
{
	struct nl_msg *msg = link_msg(type, ifindex, 0, 0);
	struct nlattr *list = nla_nest_start(msg, IFLA_PROP_LIST | NLA_F_NESTED);

	if (type == RTM_NEWLINKPROP)
		nlmsg_hdr(msg)->nlmsg_flags |= NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND;
	nla_put_string(msg, IFLA_ALT_IFNAME, name);
	nla_nest_end(msg, list);
	return netlink_tell(nl, msg);
}

struct link_now {
	int master;
	bool carrier;
	uint8_t mac[6];
};

static void on_link_now(struct nlmsghdr *h, void *arg)
{
	struct link_now *now = arg;
	struct ifinfomsg *ifi = nlmsg_data(h);
	struct nlattr *a;

	if (h->nlmsg_type != RTM_NEWLINK)
		return;
	now->carrier = (ifi->ifi_flags & IFF_UP) && (ifi->ifi_flags & IFF_RUNNING);
	a = nlmsg_find_attr(h, sizeof(*ifi), IFLA_MASTER);
	now->master = a ? (int)nla_get_u32(a) : 0;
	a = nlmsg_find_attr(h, sizeof(*ifi), IFLA_ADDRESS);
	if (a && nla_len(a) == sizeof(now->mac))
		memcpy(now->mac, nla_data(a), sizeof(now->mac));
}

static struct link_now link_now(struct netlink *nl, int ifindex)
{
	struct ifinfomsg ifi = { .ifi_index = ifindex };
	struct link_now now = { 0 };

	netlink_ask(nl, RTM_GETLINK, 0, &ifi, sizeof(ifi), on_link_now, &now);
	return now;
}

bool netcfg_is_bridge_port(const struct netcfg *cfg)
{
	return !strcmp(cfg->master_kind, "bridge");
}

bool netcfg_has_carrier(struct netlink *nl, int ifindex)
{
	return link_now(nl, ifindex).carrier;
}

int netcfg_rename(struct netlink *nl, int ifindex, const char *name, struct why *why)
{
	struct nl_msg *msg = link_msg(RTM_NEWLINK, ifindex, 0, 0);
	char old[IFNAMSIZ] = "";
	int err;

	if_indextoname(ifindex, old);
	if (!strcmp(old, name)) {
		nlmsg_free(msg);
		return PVHVM_OK;
	}
	nla_put_string(msg, IFLA_IFNAME, name);
	err = netlink_tell(nl, msg);
	if (err)
		return why_set(why, err == -EBUSY ? PVHVM_REFUSED : PVHVM_FAILED,
			       "cannot rename %s to %s: %s", old, name, netlink_cause(nl));
	return PVHVM_OK;
}

int netcfg_give_link(struct netlink *nl, const struct netcfg *cfg, int ifindex,
		     struct why *why)
{
	struct nl_msg *msg = link_msg(RTM_NEWLINK, ifindex, 0, 0);
	char name[IFNAMSIZ] = "";

	nla_put_u32(msg, IFLA_MTU, cfg->mtu);
	nla_put_u32(msg, IFLA_TXQLEN, cfg->txqlen);
	nla_put_u32(msg, IFLA_GROUP, cfg->group);
	if (cfg->alias)
		nla_put_string(msg, IFLA_IFALIAS, cfg->alias);
	if (netlink_tell(nl, msg))
		return link_failed(nl, ifindex, "set MTU and queue length of", why);
	/* Differs only if it was changed by hand or by a bond. */
	if (memcmp(link_now(nl, ifindex).mac, cfg->mac, sizeof(cfg->mac))) {
		msg = link_msg(RTM_NEWLINK, ifindex, 0, 0);
		nla_put(msg, IFLA_ADDRESS, sizeof(cfg->mac), cfg->mac);
		if (netlink_tell(nl, msg))
			return link_failed(nl, ifindex, "set the address of", why);
	}
	if (if_indextoname(ifindex, name))
		ifconf_give(cfg->conf, name);
	return PVHVM_OK;
}

/* Attributes of a bridge port that are settings, not state. */
static bool brport_setting(int type)
{
	switch (type) {
	case IFLA_BRPORT_PRIORITY ... IFLA_BRPORT_PROXYARP:
	case IFLA_BRPORT_PROXYARP_WIFI ... IFLA_BRPORT_MULTICAST_ROUTER:
	case IFLA_BRPORT_MCAST_FLOOD ... IFLA_BRPORT_MCAST_TO_UCAST:
	case IFLA_BRPORT_BCAST_FLOOD ... IFLA_BRPORT_NEIGH_SUPPRESS:
	case IFLA_BRPORT_ISOLATED:
		return true;
	default:
		return false;
	}
}

static int give_brport(struct netlink *nl, const struct netcfg *cfg, int ifindex)
{
	struct nl_msg *msg = link_msg(RTM_NEWLINK, ifindex, 0, 0);
	struct nlattr *info, *data, *a;
	int left;

	info = nla_nest_start(msg, IFLA_LINKINFO);
	nla_put_string(msg, IFLA_INFO_SLAVE_KIND, "bridge");
	data = nla_nest_start(msg, IFLA_INFO_SLAVE_DATA);
	nla_for_each_nested(a, cfg->brport, left)
		if (brport_setting(nla_type(a)))
			nla_put(msg, nla_type(a), nla_len(a), nla_data(a));
	nla_nest_end(msg, data);
	nla_nest_end(msg, info);
	return netlink_tell(nl, msg);
}

static int port_vlan(struct netlink *nl, int type, int ifindex, uint32_t vlan)
{
	struct bridge_vlan_info info = { .flags = vlan >> 16, .vid = vlan & 0xffff };
	struct ifinfomsg ifi = { .ifi_family = AF_BRIDGE, .ifi_index = ifindex };
	struct nl_msg *msg = netlink_msg(type, 0, &ifi, sizeof(ifi));
	struct nlattr *spec = nla_nest_start(msg, IFLA_AF_SPEC);

	nla_put(msg, IFLA_BRIDGE_VLAN_INFO, sizeof(info), &info);
	nla_nest_end(msg, spec);
	return netlink_tell(nl, msg);
}

/* The bridge gave the new port its default VLAN, which need not be ours. */
static int give_vlans(struct netlink *nl, const struct netcfg *cfg, int ifindex)
{
	bool has_default = cfg->nr_vlans == 0;
	int err = 0;

	for (int i = 0; i < cfg->nr_vlans; i++)
		has_default |= (cfg->vlans[i] & 0xffff) == 1;
	if (!has_default)
		port_vlan(nl, RTM_DELLINK, ifindex, 1);
	for (int i = 0; i < cfg->nr_vlans && !err; i++)
		err = port_vlan(nl, RTM_SETLINK, ifindex, cfg->vlans[i]);
	return err;
}

static int join_master(struct netlink *nl, const struct netcfg *cfg, int ifindex,
		       struct why *why)
{
	if (!cfg->master)
		return PVHVM_OK;
	if (link_now(nl, ifindex).master != cfg->master &&
	    link_master(nl, ifindex, cfg->master)) {
		char cause[200];

		text_set(cause, sizeof(cause), netlink_cause(nl));
		return why_set(why, PVHVM_FAILED, "cannot put the interface into %s %s: %s",
			       cfg->master_kind, cfg->master_name, cause);
	}
	if (!netcfg_is_bridge_port(cfg))
		return PVHVM_OK;
	/* Newer attributes than the kernel takes back: a working port matters more. */
	if (cfg->brport && give_brport(nl, cfg, ifindex))
		say_err("pvhvm: port settings in bridge %s not restored: %s",
			cfg->master_name, netlink_cause(nl));
	if (give_vlans(nl, cfg, ifindex))
		return link_failed(nl, ifindex, "set the bridge VLANs of", why);
	return PVHVM_OK;
}

int netcfg_join_bridge(struct netlink *nl, const struct netcfg *cfg, int ifindex,
		       struct why *why)
{
	if (!netcfg_is_bridge_port(cfg))
		return PVHVM_OK;
	return join_master(nl, cfg, ifindex, why);
}

int netcfg_leave_bridge(struct netlink *nl, const struct netcfg *cfg, int ifindex,
			struct why *why)
{
	if (!netcfg_is_bridge_port(cfg) || !link_now(nl, ifindex).master)
		return PVHVM_OK;
	if (link_master(nl, ifindex, 0))
		return link_failed(nl, ifindex, "take the bridge off", why);
	return PVHVM_OK;
}

static int wait_carrier(struct netlink *nl, const struct netcfg *cfg, int ifindex,
			double wait, struct why *why)
{
	double end = text_now() + wait;

	while (!link_now(nl, ifindex).carrier) {
		if (text_now() > end)
			return why_set(why, PVHVM_FAILED,
				       "%s got no carrier within %.0f s: is its backend connected in the host?",
				       cfg->name, wait);
		usleep(CARRIER_POLL_US);
	}
	return PVHVM_OK;
}

static void give_mcast(const struct netcfg *cfg, const char *name)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	for (int i = 0; fd >= 0 && i < cfg->nr_mcast; i++) {
		struct ifreq ifr = { 0 };

		text_set(ifr.ifr_name, sizeof(ifr.ifr_name), name);
		memcpy(ifr.ifr_hwaddr.sa_data, cfg->mcast[i], 6);
		if (ioctl(fd, SIOCADDMULTI, &ifr) && errno != EEXIST)
			say_err("pvhvm: a multicast address of %s was not restored: %s",
				cfg->name, strerror(errno));
	}
	if (fd >= 0)
		close(fd);
}

int netcfg_give_altnames(struct netlink *nl, const struct netcfg *cfg, int ifindex,
			 struct why *why)
{
	for (int i = 0; i < cfg->nr_altnames; i++)
		if (link_altname(nl, RTM_NEWLINKPROP, ifindex, cfg->altnames[i]) &&
		    !netcfg_altname_is(nl, ifindex, cfg->altnames[i]))
			return link_failed(nl, ifindex, "give its other names to", why);
	return PVHVM_OK;
}

void netcfg_drop_altnames(struct netlink *nl, const struct netcfg *cfg, int ifindex)
{
	for (int i = 0; i < cfg->nr_altnames; i++)
		link_altname(nl, RTM_DELLINKPROP, ifindex, cfg->altnames[i]);
}

int netcfg_wear(struct netlink *nl, const struct netcfg *cfg, int ifindex,
		double wait, struct why *why)
{
	char name[IFNAMSIZ];
	int code;

	if (!if_indextoname(ifindex, name))
		return why_set(why, PVHVM_FAILED, "the interface to become %s is gone", cfg->name);
	code = join_master(nl, cfg, ifindex, why);
	if (code)
		return code;
	ifconf_autoconf(cfg->conf, name, 0);
	ifconf_arp(cfg->conf, name, 1);
	if (link_flags(nl, ifindex, cfg->flags & (OWN_FLAGS | IFF_UP), OWN_FLAGS | IFF_UP))
		return link_failed(nl, ifindex, "bring up", why);
	if (wait > 0 && cfg->flags & IFF_UP && cfg->flags & IFF_RUNNING) {
		code = wait_carrier(nl, cfg, ifindex, wait, why);
		if (code)
			return code;
	}
	code = netcfg_give_tables(nl, cfg, ifindex, why);
	if (code)
		return code;
	give_mcast(cfg, name);
	ifconf_autoconf(cfg->conf, name, 1);
	return PVHVM_OK;
}

int netcfg_block_port(struct netlink *nl, const struct netcfg *cfg, int ifindex,
		      struct why *why)
{
	struct ifinfomsg ifi = { .ifi_family = AF_BRIDGE, .ifi_index = ifindex };
	struct nl_msg *msg;
	struct nlattr *port;

	if (!netcfg_is_bridge_port(cfg))
		return PVHVM_OK;
	msg = netlink_msg(RTM_SETLINK, 0, &ifi, sizeof(ifi));
	port = nla_nest_start(msg, IFLA_PROTINFO | NLA_F_NESTED);
	nla_put_u8(msg, IFLA_BRPORT_STATE, BR_STATE_BLOCKING);
	nla_nest_end(msg, port);
	if (netlink_tell(nl, msg))
		return link_failed(nl, ifindex, "block the bridge port", why);
	return PVHVM_OK;
}

void netcfg_retire(struct netlink *nl, const struct netcfg *cfg, int ifindex)
{
	char name[IFNAMSIZ];

	if (if_indextoname(ifindex, name))
		ifconf_arp(cfg->conf, name, 0);
	netcfg_drop_routes(nl, cfg, ifindex);
}

int netcfg_strip(struct netlink *nl, const struct netcfg *cfg, int ifindex,
		 struct why *why)
{
	char name[IFNAMSIZ];

	if (!if_indextoname(ifindex, name))
		return PVHVM_OK;	/* gone, and everything with it */
	/* One leg of an IPv6 route that its twin has, too, would outlive the down. */
	netcfg_drop_routes(nl, cfg, ifindex);
	/* Before its addresses go: it must not say farewell for its twin. */
	if (link_flags(nl, ifindex, 0, IFF_UP))
		return link_failed(nl, ifindex, "take down", why);
	netcfg_flush_addrs(nl, ifindex);
	if (link_now(nl, ifindex).master && link_master(nl, ifindex, 0))
		return link_failed(nl, ifindex, "take out of its master", why);
	netcfg_drop_altnames(nl, cfg, ifindex);
	return PVHVM_OK;
}
