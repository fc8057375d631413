/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * netfront.h: what the files of pvhvm_netfront tell each other.
 *
 *	main		parameters, the driver's registration
 *	device		one vif's life: probe, states, remove
 *	  netdev	the network device and its operations; ethtool, stats
 *	  negotiate	features in, keys out
 *	  ctrl, rss	the control ring; receive steering over it
 *	  mcast		the backend's multicast filter
 *	  queue		memory, grants and channels of one queue; its NAPI
 *	    tx, rx	the data path, nothing else
 *	    xdp		programs that see packets first
 *
 * Who locks what. The bus serialises probe, state changes and remove (the
 * device's lock). What those share with the stack's operations changes under
 * RTNL. In a queue: struct netf_tx's sending side is under the stack's
 * transmit lock; its reaping side and all of struct netf_rx belong to NAPI.
 */
#ifndef PVHVM_NETFRONT_H
#define PVHVM_NETFRONT_H

#ifdef pr_fmt
#undef pr_fmt
#endif
#define pr_fmt(fmt) "pvhvm_netfront: " fmt

#include <linux/cache.h>
#include <linux/hrtimer.h>
#include <linux/if_ether.h>
#include <linux/netdevice.h>
#include <linux/timer.h>
#include <linux/u64_stats_sync.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <net/xdp.h>

#include <pvhvm/bus.h>
#include <pvhvm/evtchn.h>
#include <pvhvm/grant.h>

#include "stats.h"
#include "wire.h"

struct bpf_prog;
struct netdev_bpf;
struct netlink_ext_ack;
struct page_pool;
struct xdp_frame;

/* A cell holds a small packet, or the head of a larger one. */
#define NETF_CELL_SIZE		256u
#define NETF_CELLS_PER_PAGE	(NETF_PAGE_SIZE / NETF_CELL_SIZE)
#define NETF_CELL_PAGES		(NETF_TX_SIZE / NETF_CELLS_PER_PAGE)

/* Received packets up to this size are copied, their page stays where it is. */
#define NETF_RX_COPYBREAK	256u
/* Bytes to copy out of a first slot whose headers we do not understand. */
#define NETF_RX_HEAD		128u
/* Refill the receive ring in batches of at least so many slots. */
#define NETF_RX_BATCH		16u
/* Most receive slots that may wait for an event, and for how long. */
#define NETF_RX_FRAMES_MAX	(NETF_RX_SIZE / 4)
#define NETF_RX_USECS_MAX	10000u

#define NETF_NAME_SIZE		24

/**
 * struct netf_tx_slot - bookkeeping behind a transmit request id
 * @skb: on a packet's first slot: freed with the packet's last response
 * @frame: the same, for a packet that is an XDP frame
 * @page: the packet's page, granted; NULL when the slot's cell or @bounce was
 *	used
 * @bounce: a page of the slot's own, granted for good, for a backend that is not
 *	trusted with the packet's; NULL until the slot needs it
 * @ref: the slot's own grant reference, for good
 * @index: of the slot's request on the ring
 * @first: id of the packet's first slot
 * @left: on a packet's first slot: responses still to come
 * @busy: in flight, or about to be: @index says whether published
 * @slab: @page is slab memory: holding the page does not keep its content
 * @mcast: tells the backend a multicast address, carries no packet
 */
struct netf_tx_slot {
	struct sk_buff *skb;
	struct xdp_frame *frame;
	struct page *page;
	struct page *bounce;
	grant_ref_t ref;
	RING_IDX index;
	u16 first;
	u8 left;
	bool busy;
	bool slab;
	bool mcast;
};

/**
 * struct netf_tx - the transmit half
 *
 * A single-producer, single-consumer pair: the sender takes ids and ring
 * slots, the reaper (NAPI) gives them back. @cons and @id_tail are released
 * by the reaper and acquired by the sender; @pushed, and a slot's busy, the
 * other way round.
 *
 * Both sides write the ring's rsp_event, the response that raises the next
 * event; netf_tx_arm() and netf_tx_flush() tell why that loses nothing.
 *
 * @slots_max: data slots the backend accepts in one packet
 * @bounce: packets are copied into the slots' own pages
 * @pushed: requests published
 * @urgent_in: requests whose buffers somebody waits for, ever; @urgent_told of
 *	them before the last flush, @urgent_out of them are answered
 * @extras_in: ring slots filled with extras, ever; @extras_out of them are
 *	answered
 * @unsent: packets since the last flush
 * @room: ring slots and ids that are free for sure; see tx_has_room()
 * @deferred: the poll under way on this CPU flushes
 */
struct netf_tx {
	/* both sides read */
	struct netif_tx_sring *sring;
	struct netf_tx_slot *slot;
	u16 *id_ring;
	void *cell[NETF_CELL_PAGES];
	grant_ref_t cell_ref[NETF_CELL_PAGES];
	struct netdev_queue *txq;
	unsigned int slots_max;
	bool bounce;
	domid_t peer;

	/* sender, under the transmit lock */
	RING_IDX prod ____cacheline_aligned_in_smp;
	RING_IDX pushed;
	u32 urgent_in;
	u32 urgent_told;
	u32 id_head;
	u32 extras_in;
	unsigned int unsent;
	unsigned int room;
	bool deferred;

	/* reaper, NAPI */
	RING_IDX cons ____cacheline_aligned_in_smp;
	u32 id_tail;
	u32 extras_out;
	u32 urgent_out;

	/* slow path */
	struct pvhvm_grants grants;
	struct pvhvm_ring ring;
	struct pvhvm_evtchn chan;
	char name[NETF_NAME_SIZE];
};

/**
 * struct netf_rx_slot - a receive slot
 * @page: granted to the backend whenever not NULL, posted or not
 * @ref: the slot's own grant reference, for good
 */
struct netf_rx_slot {
	struct page *page;
	grant_ref_t ref;
};

/**
 * struct netf_rx - the receive half; NAPI's but for @active
 * @state: the packet under way, slot by slot
 * @skb: what has been built of it; NULL: nothing, or @dropping
 * @headers: its headers, if understood
 * @dropping: the packet under way will not be delivered
 * @active: deliver and refill (the interface is up); else discard
 * @clear: the backend must not see what a page was used for before
 * @held: with XDP: the packet under way, @held_len bytes at @held_off
 * @xdp: the connection was made for a program; see xdp.c
 * @redirected: packets wait for xdp_do_flush()
 * @moderate: polls when few responses came and no event is due for them
 */
struct netf_rx {
	struct netif_rx_sring *sring;
	struct netf_rx_slot *slot;
	struct page_pool *pool;
	RING_IDX prod;
	RING_IDX pushed;
	RING_IDX cons;
	domid_t peer;
	bool active;
	bool clear;

	bool dropping;
	struct netf_rx_state state;
	struct netf_headers headers;
	struct sk_buff *skb;

	bool xdp;
	bool redirected;
	struct page *held;
	u16 held_off;
	u16 held_len;
	struct xdp_rxq_info rxq;

	struct timer_list refill;
	struct hrtimer moderate;
	struct pvhvm_grants grants;
	struct pvhvm_ring ring;
	struct pvhvm_evtchn chan;	/* closed: shares the transmit one */
	char name[NETF_NAME_SIZE];
};

/**
 * struct netf_queue - one queue: two halves, one NAPI, its own channels
 * @polling: CPU whose poll is under way, -1 when none: a sender on that CPU
 *	leaves its doorbell to the end of the poll
 * @built: netf_queue_build() was called; netf_queue_free() has work
 */
struct netf_queue {
	struct netf_dev *nd;
	struct netf_qstats *stats;
	unsigned int index;
	int polling;
	bool built;
	struct napi_struct napi;
	struct netf_tx tx;
	struct netf_rx rx;
};

/**
 * struct netf_features - what the backend offers
 * @queues: most queues, at least 1
 * @trusted: the toolstack does not say otherwise, in our own directory
 * The others are as netif.h names them.
 */
struct netf_features {
	unsigned int queues;
	bool trusted;
	bool rx_copy;
	bool sg;
	bool gso_tcpv4;
	bool gso_tcpv6;
	bool csum_ipv4;
	bool csum_ipv6;
	bool split_channels;
	bool carrier;		/* by its watch, under RTNL */
	bool xdp_headroom;
	bool ctrl;		/* a control ring */
	bool mcast;		/* and at any time: the dynamic kind */
};

/* More addresses than this are not filtered by the backend, but by us. */
#define NETF_MCAST_MAX		64u

/**
 * struct netf_mcast - the backend's multicast filter; see mcast.c
 * @work: brings it up to date
 * @addr: what the backend has been told, @count of them
 * @filtering: it has been asked to filter
 * @refused: it did not take an address: no filter on this connection
 */
struct netf_mcast {
	struct delayed_work work;
	u8 addr[NETF_MCAST_MAX][ETH_ALEN];
	unsigned int count;
	bool filtering;
	bool refused;
};

/**
 * struct netf_ctrl - the control ring; @sring is NULL when there is none
 * @prod: requests made, answered or not; one at a time
 * @silent: the backend did not answer in time: ask no more
 * @page: granted read-only: what does not fit a request
 * @wait: for the answer
 *
 * All of it under RTNL, but for building and freeing.
 */
struct netf_ctrl {
	struct xen_netif_ctrl_sring *sring;
	RING_IDX prod;
	bool silent;
	void *page;
	grant_ref_t page_ref;
	wait_queue_head_t wait;
	struct pvhvm_grants grants;
	struct pvhvm_ring ring;
	struct pvhvm_evtchn chan;
	char name[NETF_NAME_SIZE];
};

/**
 * struct netf_rss - how the backend is to choose queues; see rss.c
 *
 * Outlives connections. Used when NETIF_F_RXHASH is on. Under RTNL.
 * @chosen: the table is somebody's, not ours
 */
struct netf_rss {
	bool chosen;
	u8 key[NETF_RSS_KEY];
	u32 map[NETF_RSS_MAP];
};

/**
 * struct netf_dev - one vif; lives in its net_device
 * @queue: @max_queues of them, for the device's whole life
 * @nr_queues: built, hence published to the backend; changes under RTNL
 * @live: the backend is connected, NAPI runs; changes under RTNL
 * @paused: about to suspend: NAPI and senders are stopped, the rings are kept;
 *	changes under RTNL
 * @broken: the backend broke the protocol: nobody touches the rings
 * @want_queues: queues to ask the backend for; changes under RTNL
 * @rx_frames: receive slots that may wait for one event while packets come
 * @rx_usecs: how long they may wait; 0 when @rx_frames is 1
 * @tx_frames: see netf_tx_event(); these three are written under RTNL
 * @xdp_prog: the program, or NULL; changes under RTNL
 * @conn_xdp: the connection was made for a program: packets with headroom,
 *	complete checksums, none large
 * @renegotiate: closes the connection, to be made anew as it is wanted now
 * @twin: counted as a connected twin of an emulated NIC
 * @restart: begin again once the backend has closed
 * @announce: tells the network where we are
 * @carrier_watch: on the backend's key; its path is ours to free
 * @failures: connections in a row that came to nothing
 * @step: steps passed so far, for the parameter fail_step
 */
struct netf_dev {
	struct pvhvm_device *pdev;
	struct net_device *netdev;
	struct netf_queue *queue;
	struct netf_qstats *stats;
	unsigned int max_queues;
	unsigned int nr_queues;
	bool live;
	bool paused;
	bool broken;
	unsigned int want_queues;
	unsigned int rx_frames;
	unsigned int rx_usecs;
	unsigned int tx_frames;
	struct bpf_prog __rcu *xdp_prog;
	bool conn_xdp;
	struct delayed_work renegotiate;
	atomic_t twin;
	bool restart;
	struct delayed_work announce;
	unsigned int failures;
	unsigned int step;
	struct netf_features feat;
	struct netf_ctrl ctrl;
	struct netf_rss rss;
	struct netf_mcast mcast;
	struct pvhvm_xs_watch carrier_watch;
};

/* ---- main.c ---- */

/* Most queues of one interface, from the module's parameter; 1 and up. */
unsigned int netf_max_queues(void);

/**
 * netf_fail_step() - is this the step that the parameter fail_step names?
 * @name: of the step, for the log
 *
 * Steps count per device from its probe on, connections included.
 */
bool netf_fail_step(struct netf_dev *nd, const char *name);

/* ---- device.c ---- */

int netf_probe(struct pvhvm_device *pdev);
void netf_remove(struct pvhvm_device *pdev);
void netf_otherend_changed(struct pvhvm_device *pdev, enum xenbus_state state);
int netf_suspend(struct pvhvm_device *pdev);
void netf_cancel(struct pvhvm_device *pdev);
int netf_resume(struct pvhvm_device *pdev);

/**
 * netf_queues_to_be() - how many queues a connection made now would have
 *
 * Context: any. Return: 1 and up.
 */
unsigned int netf_queues_to_be(const struct netf_dev *nd);

/**
 * netf_renegotiate() - what is wanted of the connection has changed
 *
 * If it is no longer what a new one would be, it is closed and made anew. Not
 * in this call: that takes the device's lock, which comes before RTNL.
 * Context: under RTNL.
 */
void netf_renegotiate(struct netf_dev *nd);

/**
 * netf_breach() - the backend broke the protocol: quarantine
 *
 * The interface loses its carrier, the data path stops touching the rings.
 * Context: any but hard interrupt.
 */
void netf_breach(struct netf_queue *q, enum netf_breach breach);

/* ---- netdev.c ---- */

/**
 * netf_netdev_alloc() - the network device, queues and counters; unregistered
 * netf_netdev_free() - the counterpart; NULL is a no-op
 * Context: process; may sleep. Return: the device or NULL.
 */
struct netf_dev *netf_netdev_alloc(struct pvhvm_device *pdev);
void netf_netdev_free(struct netf_dev *nd);

/**
 * netf_netdev_live() - the backend is connected: start
 * netf_netdev_dead() - no longer: nothing of ours runs on any queue any more
 *	when this returns, and no sender is left in netf_start_xmit()
 *
 * Context: process; may sleep; takes RTNL.
 */
int netf_netdev_live(struct netf_dev *nd);
void netf_netdev_dead(struct netf_dev *nd);

/* The link is up, unless the device is in quarantine. Context: under RTNL. */
void netf_carrier_up(struct netf_dev *nd);

/**
 * netf_receive_start() - fill the receive rings, deliver what comes; but not
 *	past a program that the connection was not made for
 * netf_receive_stop() - discard what comes; no poll that might still deliver
 *	is under way when this returns
 * Context: process; may sleep; under RTNL, connected, paused or not.
 */
void netf_receive_start(struct netf_dev *nd);
void netf_receive_stop(struct netf_dev *nd);

/* ---- ctrl.c ---- */

/**
 * netf_ctrl_build() - the control ring, if the backend offers one
 * netf_ctrl_free() - the counterpart, for a half-built one too
 * Context: process; may sleep. Return: 0 or negative errno.
 */
int netf_ctrl_build(struct netf_dev *nd);
void netf_ctrl_free(struct netf_dev *nd);

/**
 * netf_ctrl_request() - ask, and wait for the answer
 * @type: XEN_NETIF_CTRL_TYPE_*
 * @d0: data[0], and so on
 * @data: where the answer's data goes, or NULL
 *
 * Context: process, under RTNL; sleeps, for seconds if the backend does not
 * answer. Return: 0, or negative errno: -EOPNOTSUPP, -EINVAL or -ENOSPC are the
 * backend's.
 */
int netf_ctrl_request(struct netf_dev *nd, u16 type, u32 d0, u32 d1, u32 d2,
		      u32 *data);

/* ---- rss.c ---- */

struct ethtool_rxfh_param;
struct ethtool_rxnfc;

void netf_rss_init(struct netf_dev *nd);

/**
 * netf_rss_apply() - tell the backend to hash, and how; or not to
 * Context: process, under RTNL, connected. Return: 0 or negative errno.
 */
int netf_rss_apply(struct netf_dev *nd, bool on);

/* Of ethtool. */
int netf_get_rxnfc(struct net_device *dev, struct ethtool_rxnfc *info,
		   u32 *rules);
u32 netf_get_rxfh_size(struct net_device *dev);
u32 netf_get_rxfh_key_size(struct net_device *dev);
int netf_get_rxfh(struct net_device *dev, struct ethtool_rxfh_param *rxfh);
int netf_set_rxfh(struct net_device *dev, struct ethtool_rxfh_param *rxfh,
		  struct netlink_ext_ack *extack);

/* ---- mcast.c ---- */

/**
 * netf_mcast_init() - prepare; once
 * netf_mcast_reset() - a new connection: the backend knows nothing, does not
 *	filter. Context: nobody else uses the device yet
 * netf_mcast_update() - addresses, flags or the connection have changed.
 *	Context: any; the work is done later
 * netf_mcast_stop() - no more work. Context: process; may sleep
 */
void netf_mcast_init(struct netf_dev *nd);
void netf_mcast_reset(struct netf_dev *nd);
void netf_mcast_update(struct netf_dev *nd);
void netf_mcast_stop(struct netf_dev *nd);

/**
 * netf_netdev_pause() - nothing of ours runs on any queue, all is kept
 * netf_netdev_unpause() - go on where we were; a no-op if not paused
 *
 * Paused is what a connected device is while the guest is suspended. The
 * stack does not send then, and does not take that for a hung device.
 * Context: process; may sleep; takes RTNL.
 */
void netf_netdev_pause(struct netf_dev *nd);
void netf_netdev_unpause(struct netf_dev *nd);

/* ---- ethtool.c, stats.c ---- */

extern const struct ethtool_ops netf_ethtool_ops;

/* ndo_get_stats64 */
void netf_get_stats64(struct net_device *dev, struct rtnl_link_stats64 *sum);

/* ---- negotiate.c ---- */

/*
 * Read what the backend offers. Context: process; may sleep. Return: 0; or
 * what pvhvm_xs_unanswered() knows, and nothing has changed.
 */
int netf_read_features(struct netf_dev *nd);

/*
 * Does the backend say, in its key @path, that the link is up? Yes if it says
 * nothing. Context: process; may sleep.
 */
bool netf_read_carrier(const char *path);

/**
 * netf_publish() - write our keys, in one transaction
 *
 * Of an earlier connection, or an earlier kernel's, nothing that the backend
 * could take for ours is left. Context: process; may sleep.
 * Return: 0 or negative errno.
 */
int netf_publish(struct netf_dev *nd);

/* ---- queue.c ---- */

/**
 * netf_queue_build() - memory, grants, channels; @q->nd and @q->index are set
 * netf_queue_free() - the counterpart, for half-built queues too. Revokes; what
 *	the backend does not let go within a second is parked
 *
 * NAPI exists in between, off. Context: process; may sleep.
 * Return: 0 or negative errno; after a failure free is still to be called.
 */
int netf_queue_build(struct netf_queue *q);
void netf_queue_free(struct netf_queue *q);

/* The channel on which the backend wants to hear of receive requests. */
static inline struct pvhvm_evtchn *netf_rx_chan(struct netf_queue *q)
{
	return q->rx.chan.irq ? &q->rx.chan : &q->tx.chan;
}

/* ---- tx.c ---- */

/* ndo_start_xmit. Context: softirq or BH off, under the transmit lock. */
netdev_tx_t netf_start_xmit(struct sk_buff *skb, struct net_device *dev);

/**
 * netf_tx_flush() - publish requests, ring the doorbell if asked for
 * Context: under the transmit lock.
 */
void netf_tx_flush(struct netf_queue *q);

/**
 * netf_tx_frame() - put an XDP frame on the ring; the caller flushes
 *
 * Context: under the transmit lock. Return: false when the frame is still the
 * caller's: the ring is full, or the backend could not take it. Counted.
 */
bool netf_tx_frame(struct netf_queue *q, struct xdp_frame *frame);

/**
 * netf_tx_mcast() - add an address to the backend's filter, or take it away
 *
 * Context: process; the connection must not end meanwhile.
 * Return: 0, or -EBUSY when the ring is full.
 */
int netf_tx_mcast(struct netf_queue *q, const u8 *addr, bool add);

/* ---- tx_reap.c ---- */

/**
 * netf_tx_reap() - take in responses, free packets, wake the queue
 * @budget: NAPI's; 0 is netpoll's, which goes no further than an XDP frame
 * Context: NAPI, or netpoll in its place.
 */
void netf_tx_reap(struct netf_queue *q, int budget);

/**
 * netf_tx_arm() - ask for the next event
 *
 * Context: NAPI, just completed. Whatever was written to shared memory before
 * is there before this looks: a full barrier. Return: true when there is work
 * already.
 */
bool netf_tx_arm(struct netf_queue *q);

/* ---- rx.c ---- */

/**
 * netf_rx_poll() - take in responses, deliver packets, refill
 * Context: NAPI. Return: packets taken, delivered or not; at most @budget.
 */
int netf_rx_poll(struct netf_queue *q, int budget);

/* Take a slot's page away from the backend. Return: NULL on a breach. */
static inline struct page *netf_rx_claim(struct netf_rx_slot *slot)
{
	struct page *page = slot->page;

	if (!pvhvm_grant_end(slot->ref))
		return NULL;
	slot->page = NULL;
	return page;
}

/**
 * netf_rx_arm() - ask for the next event of the receive half
 * @busy: packets came in the poll that has just completed
 *
 * Without a barrier: the caller has one before it calls netf_rx_came().
 * Context: NAPI, just completed. Return: the response that raises it.
 */
RING_IDX netf_rx_arm(struct netf_queue *q, bool busy);

/* Has what netf_rx_arm() returned come before it could raise an event? */
bool netf_rx_came(const struct netf_queue *q, RING_IDX event);

/* ---- xdp.c ---- */

/* ndo_bpf. Context: under RTNL. */
int netf_bpf(struct net_device *dev, struct netdev_bpf *bpf);

/* ndo_xdp_xmit. Context: softirq. */
int netf_xdp_xmit(struct net_device *dev, int n, struct xdp_frame **frames,
		  u32 flags);

/* The largest MTU with a program. */
unsigned int netf_xdp_max_mtu(void);

/**
 * netf_xdp_attach() - the queue's pool and packets are for a program
 * netf_xdp_detach() - the counterpart, before the pool is destroyed
 * Context: process; may sleep. Return: 0 or negative errno.
 */
int netf_xdp_attach(struct netf_queue *q);
void netf_xdp_detach(struct netf_queue *q);

/**
 * netf_xdp_take() - keep a packet's only slot until its extras are known
 *
 * Context: NAPI. Return: NETF_OK or the breach.
 */
enum netf_breach netf_xdp_take(struct netf_queue *q, struct netf_rx_slot *slot,
			       const struct netf_rx_piece *piece);

/**
 * netf_xdp_run() - the packet kept is complete: run the program on it
 *
 * Context: NAPI. Return: an skb to deliver; NULL when the packet went
 * somewhere else.
 */
struct sk_buff *netf_xdp_run(struct netf_queue *q);

/* The poll ends: hand on what was redirected. Context: NAPI. */
void netf_xdp_flush(struct netf_queue *q);

#endif /* PVHVM_NETFRONT_H */
