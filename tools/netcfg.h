/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * netcfg.h: an interface's configuration, taken from one and given to another.
 */
#ifndef PVHVM_NETCFG_H
#define PVHVM_NETCFG_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "ifconf.h"
#include "netlink.h"
#include "text.h"

/* A list of the kernel's own messages. */
struct msg_list {
	struct nlmsghdr **v;
	int n;
};

#define NETCFG_MAX_VLANS 4096

/* A neighbour to talk to, and the address to talk from. */
struct netcfg_peer {
	int family;
	union {
		struct in_addr v4;
		struct in6_addr v6;
	} addr, source;
};

#define NETCFG_MAX_PEERS 4

struct netcfg_upper;

struct netcfg {
	int ifindex;
	char name[IFNAMSIZ];
	unsigned int flags;		/* IFF_* as the administrator set them */
	unsigned int mtu, txqlen, group;
	uint8_t mac[6];
	char *alias;			/* or NULL */
	char **altnames;
	int nr_altnames;
	int master;			/* ifindex, 0: none */
	char master_name[IFNAMSIZ];
	char master_kind[16];		/* bridge, bond, vrf, ... */
	struct nlattr *brport;		/* IFLA_INFO_SLAVE_DATA, or NULL */
	uint32_t *vlans;		/* flags << 16 | vid, of the bridge port */
	int nr_vlans;
	struct msg_list addrs, routes, neighs, fdb;
	uint8_t (*mcast)[6];		/* link-layer groups joined by hand */
	int nr_mcast;
	struct ifconf *conf;		/* sysctls */
	struct netcfg_peer peers[NETCFG_MAX_PEERS];
	int nr_peers;
	struct netcfg_upper *uppers;	/* what stands on it, netcfg_upper.h */
	int nr_uppers;
	char notes[512];		/* what will not be carried over; or "" */
};

/**
 * netcfg_take() - read all of an interface's configuration
 * @cfg: filled; netcfg_free() in any case
 *
 * Return: PVHVM_OK; PVHVM_REFUSED if it has something on top that this
 * version cannot move (then nothing has been changed); PVHVM_FAILED.
 */
int netcfg_take(struct netlink *nl, const char *name, struct netcfg *cfg,
		struct why *why);
void netcfg_free(struct netcfg *cfg);

/* Gateways first, then neighbours that answered lately (netcfg_peers.c). */
void netcfg_take_peers(struct netlink *nl, struct netcfg *cfg);

/**
 * netcfg_give_link() - what a link has while it is down
 * @ifindex: gets MTU, queue length, group, alias, address and sysctls
 */
int netcfg_give_link(struct netlink *nl, const struct netcfg *cfg, int ifindex,
		     struct why *why);

/**
 * netcfg_wear() - master, flags, up, carrier, addresses, neighbours, routes
 * @ifindex: a link, whatever its name; one that has some of it already, too
 * @wait: seconds to wait for its carrier, without which it gets no addresses;
 *	0: it gets them all the same
 *
 * Equal routes of another link keep their precedence. A link that was down
 * when the configuration was taken stays down.
 */
int netcfg_wear(struct netlink *nl, const struct netcfg *cfg, int ifindex,
		double wait, struct why *why);

/* The other names; only when no other link has them any more. */
int netcfg_give_altnames(struct netlink *nl, const struct netcfg *cfg, int ifindex,
			 struct why *why);
void netcfg_drop_altnames(struct netlink *nl, const struct netcfg *cfg, int ifindex);

/**
 * netcfg_retire() - send nothing more by a link whose twin wears the same
 *
 * It stays up, with its addresses, and goes on receiving; its routes go, and
 * it does not answer ARP. Quick, unlike taking an emulated card down.
 */
void netcfg_retire(struct netlink *nl, const struct netcfg *cfg, int ifindex);

/* A port of a bridge forwards nothing until it is taken out of it; else a no-op. */
int netcfg_block_port(struct netlink *nl, const struct netcfg *cfg, int ifindex,
		      struct why *why);

/*
 * The opposite of wearing: down, out of its master, without addresses or
 * altnames. The kernel takes routes that prefer one of these addresses off
 * other links, too: netcfg_give_tables() puts them back.
 */
int netcfg_strip(struct netlink *nl, const struct netcfg *cfg, int ifindex,
		 struct why *why);

/* Is it up and has it a carrier? */
bool netcfg_has_carrier(struct netlink *nl, int ifindex);

bool netcfg_is_bridge_port(const struct netcfg *cfg);

/* PVHVM_REFUSED: its driver or the kernel wants it down for that. */
int netcfg_rename(struct netlink *nl, int ifindex, const char *name,
		  struct why *why);

/* Make a bridge know a port before the one it replaces leaves; no-op otherwise. */
int netcfg_join_bridge(struct netlink *nl, const struct netcfg *cfg, int ifindex,
		       struct why *why);
int netcfg_leave_bridge(struct netlink *nl, const struct netcfg *cfg, int ifindex,
			struct why *why);

#endif
