/* SPDX-License-Identifier: GPL-2.0-only */
/* netcfg_tables.h: addresses, neighbours and routes of a link. */
#ifndef PVHVM_NETCFG_TABLES_H
#define PVHVM_NETCFG_TABLES_H

#include "netcfg.h"

/* Addresses, neighbours, then routes; what is there already is left alone. */
int netcfg_give_tables(struct netlink *nl, const struct netcfg *cfg, int ifindex,
		       struct why *why);

/* Remove its routes, those made by the kernel with its addresses included. */
void netcfg_drop_routes(struct netlink *nl, const struct netcfg *cfg, int ifindex);

/*
 * When a link is renamed, the kernel makes up new labels for its IPv4
 * addresses. Gives back those that differ; what then is missing is given anew.
 */
int netcfg_relabel(struct netlink *nl, const struct netcfg *cfg, int ifindex,
		   struct why *why);

/* Are all its addresses still there? */
bool netcfg_has_addrs(struct netlink *nl, const struct netcfg *cfg, int ifindex);

/* Remove all addresses; what cannot be removed goes with the device. */
void netcfg_flush_addrs(struct netlink *nl, int ifindex);

/*
 * IPv6 addresses are given without duplicate detection, which is a flag that
 * stays; once they are in use, take it off those that did not have it.
 */
void netcfg_settle_addrs(struct netlink *nl, const struct netcfg *cfg, int ifindex);

/* Does the link have this other name already? */
bool netcfg_altname_is(struct netlink *nl, int ifindex, const char *name);

#endif
