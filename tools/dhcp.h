/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * dhcp.h: DHCP clients that know an interface by its number.
 *
 * ISC dhclient keeps the number of the interface it was started for and hears
 * nothing on the one that has the name by now; dhcpcd, started for one
 * interface, ends when that goes. Nobody would renew the lease then, and with
 * it the address and the routes would go. So they are started anew. NetworkManager,
 * systemd-networkd, udhcpc and a dhcpcd that manages all see for themselves.
 */
#ifndef PVHVM_DHCP_H
#define PVHVM_DHCP_H

#include <sys/types.h>

#include "text.h"

struct dhcp_client {
	pid_t pid;
	char *program;		/* path */
	char **argv;		/* to start it with */
	char *cgroup;		/* its cgroup.procs, or NULL */
	bool ends_itself;
};

struct dhcp_clients {
	struct dhcp_client *v;
	int n;
};

/* Add those that look after interface @name, in this network namespace. */
void dhcp_find(struct dhcp_clients *clients, const char *name);
void dhcp_free(struct dhcp_clients *clients);

/* "dhclient (pid 300), dhcpcd (pid 4)", to be freed. */
char *dhcp_names(const struct dhcp_clients *clients);

/**
 * dhcp_restart() - end each of them and start it anew
 *
 * It goes on in the background, in the control group it was in. Waits for it
 * to have its lease again, up to 15 s; addresses stay as they are meanwhile.
 * One that does not start is told on standard error, with the way out.
 *
 * Return: PVHVM_OK; PVHVM_FAILED with the first complaint.
 */
int dhcp_restart(const struct dhcp_clients *clients, struct why *why);

#endif
