// SPDX-License-Identifier: GPL-2.0-only
#include <linux/if_link.h>
#include <linux/if_vlan.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netcfg_tables.h"
#include "netcfg_upper.h"

bool netcfg_upper_known(const char *kind)
{
	static const char *const kinds[] = { "vlan", "macvlan", "ipvlan" };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kind, kinds[i]))
			return true;
	return false;
}

/* What a macvlan tells of itself is not all taken back; and lists of addresses are not told. */
static struct nlattr *macvlan_data(struct nlattr *data)
{
	struct nlattr *copy = text_alloc(NLA_ALIGN(data->nla_len)), *a;
	int left, len = NLA_HDRLEN;

	*copy = *data;
	nla_for_each_nested(a, data, left) {
		if (nla_type(a) == IFLA_MACVLAN_MODE &&
		    nla_get_u32(a) == MACVLAN_MODE_SOURCE) {
			free(copy);
			return NULL;
		}
		if (nla_type(a) != IFLA_MACVLAN_MODE && nla_type(a) != IFLA_MACVLAN_FLAGS)
			continue;
		memcpy((char *)copy + len, a, a->nla_len);
		len += NLA_ALIGN(a->nla_len);
	}
	copy->nla_len = len;
	return copy;
}

static struct nlattr *copy_data(struct nlattr *data)
{
	struct nlattr *copy = text_alloc(NLA_ALIGN(data->nla_len));

	memcpy(copy, data, data->nla_len);
	return copy;
}

/* The mask it tells is of bits that it does not take. */
static struct nlattr *vlan_data(struct nlattr *data)
{
	struct nlattr *copy = copy_data(data), *a;
	int left;

	nla_for_each_nested(a, copy, left) {
		struct ifla_vlan_flags *flags = nla_data(a);

		if (nla_type(a) == IFLA_VLAN_FLAGS)
			flags->mask = flags->flags | VLAN_FLAG_REORDER_HDR;
	}
	return copy;
}

bool netcfg_uppers_note(struct netcfg *cfg, const char *name, int ifindex,
			const char *kind, struct nlattr *data)
{
	struct netcfg_upper up = { .at = { ifindex } };

	text_set(up.kind, sizeof(up.kind), kind);
	/* only the name until it is taken */
	text_set(up.cfg.name, sizeof(up.cfg.name), name);
	if (data && !strcmp(kind, "macvlan")) {
		up.data = macvlan_data(data);
		if (!up.data)
			return false;
	} else if (data) {
		up.data = strcmp(kind, "vlan") ? copy_data(data) : vlan_data(data);
	}
	cfg->uppers = text_grow(cfg->uppers, cfg->nr_uppers + 1, sizeof(*cfg->uppers));
	cfg->uppers[cfg->nr_uppers++] = up;
	return true;
}

int netcfg_uppers_take(struct netlink *nl, struct netcfg *cfg, struct why *why)
{
	for (int i = 0; i < cfg->nr_uppers; i++) {
		struct netcfg_upper *up = &cfg->uppers[i];
		char name[IFNAMSIZ];
		int code;

		text_set(name, sizeof(name), up->cfg.name);
		code = netcfg_take(nl, name, &up->cfg, why);
		if (code)
			return code;
	}
	return PVHVM_OK;
}

void netcfg_uppers_free(struct netcfg *cfg)
{
	for (int i = 0; i < cfg->nr_uppers; i++) {
		free(cfg->uppers[i].data);
		netcfg_free(&cfg->uppers[i].cfg);
	}
	free(cfg->uppers);
}

/* A name that nobody else has: that of the first one's index. */
static int make(struct netlink *nl, struct netcfg_upper *up, enum netcfg_side side,
		int lower, struct why *why)
{
	struct ifinfomsg ifi = { 0 };
	struct nl_msg *msg = netlink_msg(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &ifi, sizeof(ifi));
	struct nlattr *info;
	char name[IFNAMSIZ];

	snprintf(name, sizeof(name), "pvu%d.%d", up->cfg.ifindex, side);
	nla_put_string(msg, IFLA_IFNAME, name);
	nla_put_u32(msg, IFLA_LINK, lower);
	/* an ipvlan has that of what it stands on */
	if (strcmp(up->kind, "ipvlan"))
		nla_put(msg, IFLA_ADDRESS, sizeof(up->cfg.mac), up->cfg.mac);
	info = nla_nest_start(msg, IFLA_LINKINFO);
	nla_put_string(msg, IFLA_INFO_KIND, up->kind);
	if (up->data)
		nla_put(msg, IFLA_INFO_DATA | NLA_F_NESTED, nla_len(up->data), nla_data(up->data));
	nla_nest_end(msg, info);
	if (netlink_tell(nl, msg))
		return why_set(why, PVHVM_FAILED, "cannot make the twin of %s %s: %s",
			       up->kind, up->cfg.name, netlink_cause(nl));
	up->at[side] = if_nametoindex(name);
	return netcfg_give_link(nl, &up->cfg, up->at[side], why);
}

int netcfg_uppers_stand(struct netlink *nl, struct netcfg *cfg, enum netcfg_side side,
			int lower, double wait, struct why *why)
{
	int code = PVHVM_OK;

	for (int i = 0; i < cfg->nr_uppers && !code; i++) {
		struct netcfg_upper *up = &cfg->uppers[i];
		int other = up->at[!side];

		if (!up->at[side])
			code = make(nl, up, side, lower, why);
		if (!code && other)
			code = netcfg_block_port(nl, &up->cfg, other, why);
		if (!code)
			code = netcfg_wear(nl, &up->cfg, up->at[side], wait, why);
		if (!code)
			code = netcfg_uppers_stand(nl, &up->cfg, side, up->at[side], wait, why);
	}
	return code;
}

void netcfg_uppers_retire(struct netlink *nl, const struct netcfg *cfg,
			  enum netcfg_side side)
{
	for (int i = 0; i < cfg->nr_uppers; i++) {
		const struct netcfg_upper *up = &cfg->uppers[i];

		if (up->at[side])
			netcfg_retire(nl, &up->cfg, up->at[side]);
		netcfg_uppers_retire(nl, &up->cfg, side);
	}
}

static void delete(struct netlink *nl, int ifindex)
{
	struct ifinfomsg ifi = { .ifi_index = ifindex };

	netlink_tell(nl, netlink_msg(RTM_DELLINK, 0, &ifi, sizeof(ifi)));
}

void netcfg_uppers_drop(struct netlink *nl, struct netcfg *cfg, enum netcfg_side side)
{
	struct why unused;

	for (int i = 0; i < cfg->nr_uppers; i++) {
		struct netcfg_upper *up = &cfg->uppers[i];
		int other = up->at[!side];

		netcfg_uppers_drop(nl, &up->cfg, side);
		if (!up->at[side])
			continue;
		/* Before its addresses go: it must not say farewell for its twin. */
		netcfg_strip(nl, &up->cfg, up->at[side], &unused);
		delete(nl, up->at[side]);
		up->at[side] = 0;
		if (other)
			netcfg_give_tables(nl, &up->cfg, other, &unused);
	}
}

/* A kind that wants to be down for that is without traffic for a moment. */
static int rename_upper(struct netlink *nl, const struct netcfg *cfg, int ifindex,
			struct why *why)
{
	int code = netcfg_rename(nl, ifindex, cfg->name, why);

	if (code != PVHVM_REFUSED)
		return code;
	code = netcfg_strip(nl, cfg, ifindex, why);
	return code ? code : netcfg_rename(nl, ifindex, cfg->name, why);
}

int netcfg_uppers_name(struct netlink *nl, const struct netcfg *cfg, enum netcfg_side side,
		       double wait, struct why *why)
{
	int code = PVHVM_OK;

	for (int i = 0; i < cfg->nr_uppers && !code; i++) {
		const struct netcfg_upper *up = &cfg->uppers[i];

		if (!up->at[side])
			continue;
		code = rename_upper(nl, &up->cfg, up->at[side], why);
		/* down for its name, or because what it stands on was */
		if (!code)
			code = netcfg_wear(nl, &up->cfg, up->at[side], wait, why);
		if (!code)
			code = netcfg_give_altnames(nl, &up->cfg, up->at[side], why);
		if (!code)
			code = netcfg_relabel(nl, &up->cfg, up->at[side], why);
		if (!code)
			code = netcfg_uppers_name(nl, &up->cfg, side, wait, why);
		if (!code)
			netcfg_settle_addrs(nl, &up->cfg, up->at[side]);
	}
	return code;
}

bool netcfg_uppers_bridged(const struct netcfg *cfg)
{
	for (int i = 0; i < cfg->nr_uppers; i++)
		if (netcfg_is_bridge_port(&cfg->uppers[i].cfg) ||
		    netcfg_uppers_bridged(&cfg->uppers[i].cfg))
			return true;
	return false;
}
