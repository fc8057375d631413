/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * probe.h: raw frames: who is there, and here I am.
 */
#ifndef PVHVM_PROBE_H
#define PVHVM_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "netcfg.h"

/**
 * probe_answers() - does a neighbour answer on this link?
 *
 * Asks by ARP or neighbour solicitation on the link itself, below bridges,
 * bonds and the kernel's neighbour tables, again every 50 ms or more.
 *
 * @seconds: how long to try
 */
bool probe_answers(int ifindex, const uint8_t mac[6],
		   const struct netcfg_peer *peer, double seconds);

/**
 * probe_refresh() - ask neighbours for their addresses for a while
 *
 * The kernel listens to the answers and corrects what it knows.
 *
 * @peers: whom to ask, @n of them
 */
void probe_refresh(int ifindex, const uint8_t mac[6], const struct netcfg_peer *peers,
		   int n, double seconds);

/**
 * probe_announce() - tell switches and neighbours where our addresses are now
 *
 * Gratuitous ARP for each IPv4 address, an unsolicited neighbour advertisement
 * for each IPv6 address of @cfg; a RARP request, as hypervisors send after a
 * migration, if it has none.
 */
void probe_announce(const struct netcfg *cfg, int ifindex);

/* "192.0.2.1" */
void probe_peer_text(const struct netcfg_peer *peer, char *buf, unsigned int size);

#endif
