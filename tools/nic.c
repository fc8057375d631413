// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "ifupdown.h"
#include "netcfg_tables.h"
#include "netcfg_upper.h"
#include "networkd.h"
#include "networkmanager.h"
#include "nic.h"
#include "pci.h"
#include "probe.h"
#include "sysfs.h"

/* A neighbour that answers at all answers within this; emulation is slow. */
#define PROBE_SECONDS 0.6
/* The host drops the tap, then its bridge may change; the kernel's ARP lock is 1 s. */
#define REFRESH_SECONDS 3.0
#define REFRESH_SECONDS_MOVED 0.2

/* For systemd-networkd to hear that names have changed, before the emulated card goes */
#define NETWORKD_SECONDS 20.0

#define EMU_SUFFIX "-emu"

/* "eth0" -> "eth0-emu"; two long names may begin alike, so they give way to a number. */
static void emu_name(const char *name, int ifindex, char buf[IFNAMSIZ])
{
	if (strlen(name) + sizeof(EMU_SUFFIX) <= IFNAMSIZ)
		snprintf(buf, IFNAMSIZ, "%s%s", name, EMU_SUFFIX);
	else
		snprintf(buf, IFNAMSIZ, "if%d%s", ifindex, EMU_SUFFIX);
}

static void find_peer(struct nic_switch *ns)
{
	for (int i = 0; i < ns->cfg.nr_peers; i++) {
		const struct netcfg_peer *peer = &ns->cfg.peers[i];

		if (!probe_answers(ns->emu, ns->cfg.mac, peer, PROBE_SECONDS))
			continue;
		ns->peer = peer;
		probe_peer_text(peer, ns->peer_text, sizeof(ns->peer_text));
		return;
	}
}

/* Up, and with an address that reaches further than the link, or for another. */
static bool in_use(const struct netcfg *cfg)
{
	if (!(cfg->flags & IFF_UP))
		return false;
	if (cfg->master || cfg->nr_uppers)
		return true;
	for (int i = 0; i < cfg->addrs.n; i++) {
		const struct ifaddrmsg *ifa = nlmsg_data(cfg->addrs.v[i]);

		if (ifa->ifa_scope < RT_SCOPE_LINK)
			return true;
	}
	return false;
}

static int take(struct nic_switch *ns, struct netlink *nl, const struct nic *nic, struct why *why)
{
	int code;

	memset(ns, 0, sizeof(*ns));
	ns->nl = nl;
	text_set(ns->name, sizeof(ns->name), nic->name);
	text_set(ns->pv_name, sizeof(ns->pv_name), nic->twin->name);
	text_set(ns->mac, sizeof(ns->mac), nic->mac);
	text_set(ns->pci, sizeof(ns->pci), nic->pci);
	ns->emu = if_nametoindex(ns->name);
	emu_name(ns->name, ns->emu, ns->emu_name);
	ns->pv = if_nametoindex(ns->pv_name);
	if (if_nametoindex(ns->emu_name))
		return why_set(why, PVHVM_REFUSED,
			       "there is an interface %s already: rename it, %s needs the name for a moment",
			       ns->emu_name, ns->name);
	code = netcfg_take(nl, ns->name, &ns->cfg, why);
	if (!code)
		code = netcfg_take(nl, ns->pv_name, &ns->pv_cfg, why);
	if (code)
		return code;
	if (ns->pv_cfg.master)
		return why_set(why, PVHVM_REFUSED,
			       "the PV twin %s of %s is a port of %s already: take it out first",
			       ns->pv_name, ns->name, ns->pv_cfg.master_name);
	/* Somebody uses the twin instead, which settings of the emulated card would end. */
	if (in_use(&ns->pv_cfg) && !in_use(&ns->cfg))
		return why_set(why, PVHVM_REFUSED,
			       "%s has no address, but its PV twin %s is up and has: configure %s, or take %s down, then switch again",
			       ns->name, ns->pv_name, ns->name, ns->pv_name);
	return PVHVM_OK;
}

int nic_begin(struct nic_switch *ns, struct netlink *nl, const struct nic *nic,
	      bool probe, double wait, struct why *why)
{
	int code = take(ns, nl, nic, why);

	if (code)
		return code;
	ns->wait = wait;
	ns->network_manager = networkmanager_has(ns->name);
	ns->networkd = networkd_has(ns->emu);
	if (probe && (ns->cfg.flags & IFF_UP))
		find_peer(ns);
	return PVHVM_OK;
}

bool nic_refused(struct netlink *nl, const struct nic *nic, struct why *why)
{
	struct nic_switch ns;
	int code = take(&ns, nl, nic, why);

	nic_end(&ns);
	return code == PVHVM_REFUSED;
}

void nic_end(struct nic_switch *ns)
{
	netcfg_free(&ns->cfg);
	netcfg_free(&ns->pv_cfg);
}

static int hold_scripts(void *arg, struct why *why)
{
	struct nic_switch *ns = arg;

	return ifupdown_hold(ns->name, why);
}

static int release_scripts(void *arg, struct why *why)
{
	struct nic_switch *ns = arg;

	return ifupdown_release(ns->name, why);
}

static int prepare(void *arg, struct why *why)
{
	struct nic_switch *ns = arg;
	int code;

	/* A twin that somebody has brought up keeps nothing of that. */
	code = netcfg_strip(ns->nl, &ns->pv_cfg, ns->pv, why);
	if (!code)
		code = netcfg_give_link(ns->nl, &ns->cfg, ns->pv, why);
	if (!code)
		code = netcfg_join_bridge(ns->nl, &ns->cfg, ns->pv, why);
	return code;
}

/*
 * For the only one that is left. The carrier of an emulated card takes its
 * time; should it come after @wait, it finds everything in place. Zero in
 * @wait when it has not come: then what stands on it has none, either.
 */
static int wear_anyway(struct nic_switch *ns, int ifindex, double *wait, struct why *why)
{
	int code = netcfg_wear(ns->nl, &ns->cfg, ifindex, *wait, why);

	if (!code || netcfg_has_carrier(ns->nl, ifindex))
		return code;
	*wait = 0;
	code = netcfg_wear(ns->nl, &ns->cfg, ifindex, *wait, why);
	if (!code)
		say_err("pvhvm: %s has no carrier yet; it has its addresses and routes", ns->name);
	return code;
}

static int unprepare(void *arg, struct why *why)
{
	struct nic_switch *ns = arg;
	int code;

	code = netcfg_leave_bridge(ns->nl, &ns->cfg, ns->pv, why);
	if (!code)
		code = netcfg_give_link(ns->nl, &ns->pv_cfg, ns->pv, why);
	if (!code)
		code = netcfg_wear(ns->nl, &ns->pv_cfg, ns->pv, ns->wait, why);
	if (!code)
		code = netcfg_give_altnames(ns->nl, &ns->pv_cfg, ns->pv, why);
	return code;
}

static void gap_begins(struct nic_switch *ns)
{
	if (ns->cfg.flags & IFF_UP && !ns->gap_at)
		ns->gap_at = text_now();
}

static void gap_ends(struct nic_switch *ns)
{
	if (ns->gap_at)
		ns->outage += text_now() - ns->gap_at;
	ns->gap_at = 0;
}

/* Make before break: both have it all, the emulated one still has precedence. */
static int stand_beside(void *arg, struct why *why)
{
	struct nic_switch *ns = arg;
	int code;

	/* Two ports of one bridge into one network are a loop. */
	if (netcfg_is_bridge_port(&ns->cfg) || netcfg_uppers_bridged(&ns->cfg))
		gap_begins(ns);
	code = netcfg_block_port(ns->nl, &ns->cfg, ns->emu, why);
	if (!code)
		code = netcfg_wear(ns->nl, &ns->cfg, ns->pv, ns->wait, why);
	if (!code)
		code = netcfg_uppers_stand(ns->nl, &ns->cfg, SIDE_PV, ns->pv, ns->wait, why);
	return code;
}

static int bring_back(void *arg, struct why *why)
{
	struct nic_switch *ns = arg;
	double wait = plan_undo_seconds(ns->wait);
	int code = wear_anyway(ns, ns->emu, &wait, why);

	if (!code)
		code = netcfg_give_altnames(ns->nl, &ns->cfg, ns->emu, why);
	if (!code)
		code = netcfg_uppers_stand(ns->nl, &ns->cfg, SIDE_EMULATED, ns->emu, wait, why);
	if (!code)
		code = netcfg_uppers_name(ns->nl, &ns->cfg, SIDE_EMULATED, wait, why);
	/* The kernel forgets proxies when a link changes that has no carrier. */
	if (!code && !wait)
		code = netcfg_give_tables(ns->nl, &ns->cfg, ns->emu, why);
	if (!code && ns->cfg.flags & IFF_UP) {
		probe_announce(&ns->cfg, ns->emu);
		netcfg_settle_addrs(ns->nl, &ns->cfg, ns->emu);
	}
	return code;
}

/* Whatever has become of the emulated one since. */
static int stand_back(void *arg, struct why *why)
{
	struct nic_switch *ns = arg;
	int code;

	netcfg_uppers_drop(ns->nl, &ns->cfg, SIDE_PV);
	code = netcfg_strip(ns->nl, &ns->cfg, ns->pv, why);
	/* A blocked port forwards again when it comes up. */
	if (netcfg_uppers_bridged(&ns->cfg))
		netcfg_uppers_drop(ns->nl, &ns->cfg, SIDE_EMULATED);
	if (!code && netcfg_is_bridge_port(&ns->cfg))
		code = netcfg_strip(ns->nl, &ns->cfg, ns->emu, why);
	if (!code)
		code = bring_back(ns, why);
	return code;
}

static int turn_over(void *arg, struct why *why)
{
	struct nic_switch *ns = arg;

	(void)why;
	gap_begins(ns);
	netcfg_uppers_retire(ns->nl, &ns->cfg, SIDE_EMULATED);
	netcfg_retire(ns->nl, &ns->cfg, ns->emu);
	probe_announce(&ns->cfg, ns->pv);
	return PVHVM_OK;
}

static int verify(void *arg, struct why *why)
{
	struct nic_switch *ns = arg;

	if (ns->peer && !probe_answers(ns->pv, ns->cfg.mac, ns->peer, ns->wait))
		return why_set(why, PVHVM_FAILED,
			       "%s does not answer by the PV interface, though it did by the emulated one: check the vif's bridge in the host",
			       ns->peer_text);
	gap_ends(ns);
	ns->moved = true;
	return PVHVM_OK;
}

/* Slow on emulated hardware: registers by the hundred, each a trip to the host. */
static int take_down(void *arg, struct why *why)
{
	struct nic_switch *ns = arg;
	int code;

	netcfg_uppers_drop(ns->nl, &ns->cfg, SIDE_EMULATED);
	code = netcfg_strip(ns->nl, &ns->cfg, ns->emu, why);
	if (!code && ns->moved) {
		gap_begins(ns);
		code = netcfg_give_tables(ns->nl, &ns->cfg, ns->pv, why);
		gap_ends(ns);
	}
	return code;
}

static int rename_emu(void *arg, struct why *why)
{
	struct nic_switch *ns = arg;

	return netcfg_rename(ns->nl, ns->emu, ns->emu_name, why);
}

static int rename_emu_back(void *arg, struct why *why)
{
	struct nic_switch *ns = arg;

	return netcfg_rename(ns->nl, ns->emu, ns->name, why);
}

/* pvhvm_netfront lets itself be renamed while it runs; others need not. */
static int rename_live(struct nic_switch *ns, const char *name, struct why *why)
{
	int code = netcfg_rename(ns->nl, ns->pv, name, why);

	if (code != PVHVM_REFUSED)
		return code;
	gap_begins(ns);
	code = netcfg_strip(ns->nl, &ns->cfg, ns->pv, why);
	if (!code)
		code = netcfg_rename(ns->nl, ns->pv, name, why);
	if (!code)
		code = netcfg_wear(ns->nl, &ns->cfg, ns->pv, ns->wait, why);
	if (!code && ns->cfg.flags & IFF_UP)
		probe_announce(&ns->cfg, ns->pv);
	return code;
}

static int rename_pv(void *arg, struct why *why)
{
	struct nic_switch *ns = arg;
	int code = rename_live(ns, ns->name, why);

	if (!code && ns->moved) {
		gap_begins(ns);
		code = netcfg_relabel(ns->nl, &ns->cfg, ns->pv, why);
		if (!code)
			code = netcfg_uppers_name(ns->nl, &ns->cfg, SIDE_PV, ns->wait, why);
		gap_ends(ns);
		netcfg_settle_addrs(ns->nl, &ns->cfg, ns->pv);
	}
	return code;
}

static int rename_pv_back(void *arg, struct why *why)
{
	struct nic_switch *ns = arg;

	return rename_live(ns, ns->pv_name, why);
}

/* One that is down has no traffic to lose: no need for both at once. */
static int dress_down(void *arg, struct why *why)
{
	struct nic_switch *ns = arg;
	int code = netcfg_wear(ns->nl, &ns->cfg, ns->pv, ns->wait, why);

	if (!code)
		code = netcfg_uppers_stand(ns->nl, &ns->cfg, SIDE_PV, ns->pv, ns->wait, why);
	return code ? code : netcfg_uppers_name(ns->nl, &ns->cfg, SIDE_PV, ns->wait, why);
}

static int undress(void *arg, struct why *why)
{
	struct nic_switch *ns = arg;

	netcfg_uppers_drop(ns->nl, &ns->cfg, SIDE_PV);
	return netcfg_strip(ns->nl, &ns->cfg, ns->pv, why);
}

static char *belongings(const struct nic_switch *ns)
{
	const struct netcfg *cfg = &ns->cfg;

	return text_printf("%d address%s, %d route%s, %d neighbour%s",
			   cfg->addrs.n, cfg->addrs.n == 1 ? "" : "es",
			   cfg->routes.n, cfg->routes.n == 1 ? "" : "s",
			   cfg->neighs.n, cfg->neighs.n == 1 ? "" : "s");
}

static void plan_up(struct plan *plan, struct nic_switch *ns)
{
	char *what = belongings(ns);
	int back = plan->nr_steps + 1;

	plan_add(plan, stand_beside, stand_back, ns,
		 text_printf("bring up %s beside %s, with its %s", ns->pv_name, ns->name, what),
		 text_printf("take them off it, bring it down, and have %s carry the traffic again",
			     ns->name));
	free(what);
	plan_add(plan, turn_over, NULL, ns,
		 text_printf("turn the traffic over to %s and announce it (the outage begins)",
			     ns->pv_name),
		 text_printf("as in step %d", back));
	plan_add(plan, verify, NULL, ns, ns->peer ?
		 text_printf("check that %s answers by it (the outage ends)", ns->peer_text) :
		 text_printf("no neighbour answered before, so the carrier has to do (the outage ends)"),
		 NULL);
	plan_add(plan, take_down, NULL, ns,
		 text_printf("take emulated %s down", ns->name),
		 text_printf("as in step %d", back));
}

static void plan_renames(struct plan *plan, struct nic_switch *ns)
{
	plan_add(plan, rename_emu, rename_emu_back, ns,
		 text_printf("rename it to %s", ns->emu_name),
		 text_printf("rename it back to %s", ns->name));
	plan_add(plan, rename_pv, rename_pv_back, ns,
		 text_printf("rename %s to %s", ns->pv_name, ns->name),
		 text_printf("rename it back to %s", ns->pv_name));
}

void nic_plan_move(struct plan *plan, struct nic_switch *ns)
{
	bool up = ns->cfg.flags & IFF_UP;
	char *what;

	if (ifupdown_binds(ns->name))
		plan_add(plan, hold_scripts, release_scripts, ns,
			 text_printf("keep ifup@%s.service from taking %s down when the name passes over",
				     ns->name, ns->name),
			 text_printf("let it again"));
	plan_add(plan, prepare, unprepare, ns,
		 text_printf("prepare %s: MTU %u, queue length %u, sysctls%s%s as %s has them",
			     ns->pv_name, ns->cfg.mtu, ns->cfg.txqlen,
			     ns->cfg.master ? ", port of " : "", ns->cfg.master_name, ns->name),
		 text_printf("give %s its own settings back", ns->pv_name));
	if (up) {
		plan_up(plan, ns);
		plan_renames(plan, ns);
		return;
	}
	plan_add(plan, take_down, bring_back, ns,
		 text_printf("take everything off emulated %s (it is down)", ns->name),
		 text_printf("give it back"));
	plan_renames(plan, ns);
	what = belongings(ns);
	plan_add(plan, dress_down, undress, ns,
		 text_printf("give PV %s %s", ns->name, what),
		 text_printf("take them away from it"));
	free(what);
}

static int remove_function(void *arg, struct why *why)
{
	struct nic_switch *ns = arg;
	int err = pci_remove(ns->pci);

	if (err)
		return why_set(why, PVHVM_FAILED, "cannot remove PCI function %s: %s",
			       ns->pci, strerror(-err));
	return PVHVM_OK;
}

/*
 * udev gives the returned interface a name of its own; before it is done,
 * a rename of ours would be undone by it.
 */
static void settle(void)
{
	char *const argv[] = { "udevadm", "settle", "--timeout=10", NULL };

	if (!sysfs_is_moved())
		child_run_quietly(argv);
}

static int bring_function_back(struct nic_switch *ns, struct why *why)
{
	double end = text_now() + plan_undo_seconds(ns->wait);
	char name[IFNAMSIZ];
	int err = pci_bring_back(ns->pci);

	if (err)
		return why_set(why, PVHVM_FAILED, "cannot rescan the PCI bus: %s", strerror(-err));
	while (!devices_pci_netdev(ns->pci, name)) {
		if (text_now() > end)
			return why_set(why, PVHVM_FAILED, "the emulated NIC %s did not come back",
				       ns->pci);
		usleep(20000);
	}
	settle();
	if (!devices_pci_netdev(ns->pci, name) || !if_nametoindex(name))
		return why_set(why, PVHVM_FAILED, "the emulated NIC %s came back without an interface",
			       ns->pci);
	ns->emu = if_nametoindex(name);
	if (netcfg_strip(ns->nl, &ns->cfg, ns->emu, why) ||
	    netcfg_rename(ns->nl, ns->emu, ns->emu_name, why))
		return PVHVM_FAILED;
	return netcfg_give_link(ns->nl, &ns->cfg, ns->emu, why);
}

/* The twin works. Without an emulated one to go back to, it keeps what it has. */
static int rescan_function(void *arg, struct why *why)
{
	struct nic_switch *ns = arg;
	struct why cause, unused;

	if (!bring_function_back(ns, &cause))
		return PVHVM_OK;
	netcfg_give_altnames(ns->nl, &ns->cfg, ns->pv, &unused);
	return why_set(why, PVHVM_PARTIAL,
		       "%.160s, so %s stays PV: a reboot brings the emulated one back; dmesg may tell why",
		       cause.text, ns->name);
}

static int give_names(void *arg, struct why *why)
{
	struct nic_switch *ns = arg;

	return netcfg_give_altnames(ns->nl, &ns->cfg, ns->pv, why);
}

static int drop_names(void *arg, struct why *why)
{
	struct nic_switch *ns = arg;

	(void)why;
	netcfg_drop_altnames(ns->nl, &ns->cfg, ns->pv);
	return PVHVM_OK;
}

/* Before the emulated one goes: see networkd.h. */
static int wait_for_networkd(void *arg, struct why *why)
{
	struct nic_switch *ns = arg;

	(void)why;
	if (networkd_wait_name(ns->emu, ns->emu_name, NETWORKD_SECONDS))
		networkd_wait_name(ns->pv, ns->name, NETWORKD_SECONDS);
	return PVHVM_OK;
}

/*
 * Its other names stay with the emulated one in the mind of systemd-networkd
 * until it is gone: the kernel's messages do not say that the last was taken
 * away. A second owner is an error to it, and it manages that one no more.
 */
void nic_plan_remove(struct plan *plan, struct nic_switch *ns)
{
	if (ns->networkd)
		plan_add(plan, wait_for_networkd, NULL, ns,
			 text_printf("let systemd-networkd hear that %s has changed hands", ns->name), NULL);
	plan_add(plan, remove_function, rescan_function, ns,
		 text_printf("remove PCI function %s (the emulated NIC)", ns->pci),
		 text_printf("rescan the PCI bus and wait for it"));
	if (ns->cfg.nr_altnames)
		plan_add(plan, give_names, drop_names, ns,
			 text_printf("give %s its other names, such as %s", ns->name,
				     ns->cfg.altnames[0]),
			 text_printf("take them away from it"));
}

/*
 * A bridge without an address of its own has that of one of its ports. If that
 * was the tap, which goes with the emulated NIC, the bridge has another one
 * now, and what our kernel knows about a gateway on it is wrong for as long as
 * connections take to find out: half a minute and more.
 */
static int refresh(void *arg, struct why *why)
{
	struct nic_switch *ns = arg;

	(void)why;
	ifconf_believe_at_once(ns->cfg.conf, ns->name, 1);
	probe_refresh(ns->pv, ns->cfg.mac, ns->cfg.peers, ns->cfg.nr_peers,
		      sysfs_is_moved() ? REFRESH_SECONDS_MOVED : REFRESH_SECONDS);
	ifconf_believe_at_once(ns->cfg.conf, ns->name, 0);
	return PVHVM_OK;
}

/*
 * Whoever manages the network has heard by now that a name has changed hands,
 * and may have put things right in his way.
 */
static int keep(void *arg, struct why *why)
{
	struct nic_switch *ns = arg;
	double wait = ns->wait;
	int code;

	settle();
	if ((netcfg_has_carrier(ns->nl, ns->pv) || !(ns->cfg.flags & IFF_RUNNING)) &&
	    netcfg_has_addrs(ns->nl, &ns->cfg, ns->pv))
		return PVHVM_OK;
	say_err("pvhvm: something took %s down or an address off it: given back", ns->name);
	code = wear_anyway(ns, ns->pv, &wait, why);
	if (!code)
		code = netcfg_uppers_stand(ns->nl, &ns->cfg, SIDE_PV, ns->pv, wait, why);
	if (!code)
		netcfg_settle_addrs(ns->nl, &ns->cfg, ns->pv);
	return code;
}

/* Without it the interface has all that it had; only nobody looks after it. */
static int give_to_manager(void *arg, struct why *why)
{
	struct nic_switch *ns = arg;

	if (networkmanager_give(ns->name, why))
		say_err("pvhvm: NetworkManager does not look after %s any more: `nmcli device set %s managed yes` (%.200s)",
			ns->name, ns->name, why->text);
	return PVHVM_OK;
}

static int see_networkd(void *arg, struct why *why)
{
	struct nic_switch *ns = arg;

	if (networkd_give(ns->pv, ns->name, why))
		say_err("pvhvm: systemd-networkd does not look after %s any more: `networkctl reconfigure %s` (%.200s)",
			ns->name, ns->name, why->text);
	return PVHVM_OK;
}

void nic_plan_refresh(struct plan *plan, struct nic_switch *ns)
{
	if (ns->networkd)
		plan_add(plan, see_networkd, NULL, ns,
			 text_printf("see that systemd-networkd looks after %s", ns->name), NULL);
	if (ns->network_manager)
		plan_add(plan, give_to_manager, NULL, ns,
			 text_printf("have NetworkManager look after %s again", ns->name), NULL);
	if (!(ns->cfg.flags & IFF_UP))
		return;
	if (ns->cfg.nr_peers)
		plan_add(plan, refresh, NULL, ns,
			 text_printf("ask the neighbours of %s again: a bridge in the host may have changed its address",
				     ns->name), NULL);
	plan_add(plan, keep, NULL, ns,
		 text_printf("see that nobody has taken anything from %s meanwhile", ns->name), NULL);
}

static void find_dhcp(const struct netcfg *cfg, struct dhcp_clients *clients)
{
	dhcp_find(clients, cfg->name);
	for (int i = 0; i < cfg->nr_uppers; i++)
		find_dhcp(&cfg->uppers[i].cfg, clients);
}

void nic_find_dhcp(const struct nic_switch *ns, struct dhcp_clients *clients)
{
	find_dhcp(&ns->cfg, clients);
}

static int take_name(void *arg, struct why *why)
{
	struct nic_name *name = arg;

	if (netcfg_rename(name->nl, if_nametoindex(name->from), name->to, why))
		say_err("pvhvm: %s", why->text);
	return PVHVM_OK;
}

void nic_plan_name(struct plan *plan, struct nic_name *name)
{
	plan_add(plan, take_name, NULL, name,
		 text_printf("rename %s, which has no emulated half, to %s", name->from, name->to),
		 NULL);
}
