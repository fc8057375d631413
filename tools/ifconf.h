/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ifconf.h: an interface's sysctls (/proc/sys/net/{ipv4,ipv6}/{conf,neigh}).
 */
#ifndef PVHVM_IFCONF_H
#define PVHVM_IFCONF_H

struct ifconf;

/* All that can be read and written; never NULL. */
struct ifconf *ifconf_take(const char *ifname);

/* Write those that differ. What the kernel refuses is left as it is. */
void ifconf_give(const struct ifconf *conf, const char *ifname);

/**
 * ifconf_autoconf() - may the kernel make IPv6 addresses of its own?
 * @on: 0 while a configuration is carried over: an address of the same name
 *	would first have to prove itself unique; 1 puts back what @conf has
 */
void ifconf_autoconf(const struct ifconf *conf, const char *ifname, int on);

/**
 * ifconf_arp() - does it answer ARP requests?
 * @on: 1 as @conf has it, 0 not at all. Unlike the link's NOARP flag this does
 *	not make the kernel program the card, which takes an emulated one long.
 */
void ifconf_arp(const struct ifconf *conf, const char *ifname, int on);

/**
 * ifconf_believe_at_once() - does it believe each ARP reply?
 * @on: 1 as soon as it comes, 0 as @conf has it: for a second (locktime) the
 *	first reply counts, and another one of somebody who has just moved does not
 */
void ifconf_believe_at_once(const struct ifconf *conf, const char *ifname, int on);

void ifconf_free(struct ifconf *conf);

#endif
