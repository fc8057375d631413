/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tx_ring.h: what the sender (tx.c) and the reaper (tx_reap.c) both look at.
 */
#ifndef PVHVM_NETFRONT_TX_RING_H
#define PVHVM_NETFRONT_TX_RING_H

#include "netfront.h"

static inline struct netif_tx_request *tx_request(struct netf_tx *tx,
						  RING_IDX idx)
{
	return &PVHVM_RING_ENTRY(tx->sring, idx, NETF_TX_SIZE)->req;
}

/* Ring slots that can be filled. Exact for the sender, a guess for others. */
static inline unsigned int tx_room(const struct netf_tx *tx)
{
	/* Both pair with the reaper's releases: what is free is free to use. */
	RING_IDX cons = smp_load_acquire(&tx->cons);
	/* as above */
	u32 tail = smp_load_acquire(&tx->id_tail);
	unsigned int ids = tail - READ_ONCE(tx->id_head);
	unsigned int slots = NETF_TX_SIZE - (READ_ONCE(tx->prod) - cons);

	return min(slots, ids);
}

#endif /* PVHVM_NETFRONT_TX_RING_H */
