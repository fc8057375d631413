/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * nic.h: handing a live NIC's place over to its PV twin.
 */
#ifndef PVHVM_NIC_H
#define PVHVM_NIC_H

#include "devices.h"
#include "dhcp.h"
#include "netcfg.h"
#include "plan.h"
#include "xen.h"

/* One NIC on its way. */
struct nic_switch {
	struct netlink *nl;
	double wait;			/* seconds for carrier and answers */
	char name[IFNAMSIZ];		/* the name that passes over */
	char emu_name[IFNAMSIZ];	/* what the emulated one is called meanwhile */
	char pv_name[IFNAMSIZ];		/* what the PV one was called */
	char mac[18];
	char pci[16];
	int emu, pv;			/* ifindex; that of emu changes if it comes back */
	struct netcfg cfg;		/* of the emulated one */
	struct netcfg pv_cfg;		/* of the PV one, for undoing */
	const struct netcfg_peer *peer;	/* answered before the switch, or NULL */
	char peer_text[64];
	double gap_at;			/* monotonic; when traffic stopped, 0: it flows */
	double outage;			/* seconds without traffic, all gaps together */
	bool moved;			/* traffic goes by the PV one */
	bool network_manager;		/* NetworkManager looks after the emulated one */
	bool networkd;			/* systemd-networkd looks after it */
};

/**
 * nic_begin() - look at a NIC and its twin; changes nothing
 * @nic: emulated, with a usable twin
 * @probe: ask neighbours now, so that the PV side can be held to the answer
 * Return: PVHVM_OK, PVHVM_REFUSED with the reason, ...
 */
int nic_begin(struct nic_switch *ns, struct netlink *nl, const struct nic *nic,
	      bool probe, double wait, struct why *why);

/* Would nic_begin() refuse it? With the reason; no other failure is told. */
bool nic_refused(struct netlink *nl, const struct nic *nic, struct why *why);
void nic_end(struct nic_switch *ns);

/* Steps up to the twin working in its place. */
void nic_plan_move(struct plan *plan, struct nic_switch *ns);

/* Steps that take the emulated function off the PCI bus. */
void nic_plan_remove(struct plan *plan, struct nic_switch *ns);

/* A step for when the host has taken the emulated NICs away. */
void nic_plan_refresh(struct plan *plan, struct nic_switch *ns);

/* A PV NIC without an emulated half, which comes under a name of the kernel's. */
struct nic_name {
	struct netlink *nl;
	char from[IFNAMSIZ], to[IFNAMSIZ];
};

/* A step that gives it its own; if that fails it says so, and no more. */
void nic_plan_name(struct plan *plan, struct nic_name *name);

/* The DHCP clients of the interface and of what stands on it. */
void nic_find_dhcp(const struct nic_switch *ns, struct dhcp_clients *clients);

#endif
