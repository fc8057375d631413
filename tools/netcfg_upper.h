/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * netcfg_upper.h: VLANs, macvlans and ipvlans on top of an interface.
 *
 * The kernel cannot put one on another interface: on the twin a second one is
 * made that wears the same, and when all of it works the first one goes and
 * the second gets its name. There are two sides, the emulated interface and
 * its twin; each upper knows what it is on either.
 */
#ifndef PVHVM_NETCFG_UPPER_H
#define PVHVM_NETCFG_UPPER_H

#include "netcfg.h"

enum netcfg_side { SIDE_EMULATED, SIDE_PV, SIDES };

struct netcfg_upper {
	char kind[16];			/* vlan, macvlan, ipvlan */
	struct nlattr *data;		/* IFLA_INFO_DATA to make it with, or NULL */
	struct netcfg cfg;		/* its own, with what stands on it in turn */
	int at[SIDES];			/* ifindex, 0: is not there */
};

/* Kinds that can be made anew on another interface. */
bool netcfg_upper_known(const char *kind);

/**
 * netcfg_uppers_note() - remember one that was found
 * @data: its IFLA_INFO_DATA, or NULL
 * Return: false if it is of a mode that cannot be made anew.
 */
bool netcfg_uppers_note(struct netcfg *cfg, const char *name, int ifindex,
			const char *kind, struct nlattr *data);

/* Read the configuration of those noted. As netcfg_take(). */
int netcfg_uppers_take(struct netlink *nl, struct netcfg *cfg, struct why *why);
void netcfg_uppers_free(struct netcfg *cfg);

/**
 * netcfg_uppers_stand() - make those that a side lacks, and dress all of them
 * @lower: the interface, up if it is to be
 * @wait: seconds for a carrier, 0: as netcfg_wear()
 *
 * They get names of their own. What is a bridge port on the other side is
 * blocked there first.
 */
int netcfg_uppers_stand(struct netlink *nl, struct netcfg *cfg, enum netcfg_side side,
			int lower, double wait, struct why *why);

/* Those of a side send nothing any more; see netcfg_retire(). */
void netcfg_uppers_retire(struct netlink *nl, const struct netcfg *cfg,
			  enum netcfg_side side);

/* Those of a side go; routes of the other side that went along come back. */
void netcfg_uppers_drop(struct netlink *nl, struct netcfg *cfg, enum netcfg_side side);

/* Those of a side get the names that are theirs; the other side has dropped its own. */
int netcfg_uppers_name(struct netlink *nl, const struct netcfg *cfg, enum netcfg_side side,
		       double wait, struct why *why);

/* Is one of them a port of a bridge? Then it cannot be on both sides at once. */
bool netcfg_uppers_bridged(const struct netcfg *cfg);

#endif
