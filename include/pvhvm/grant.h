/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * grant.h: lending pages to another domain. Offered by pvhvm_platform.
 *
 * Grant table version 1 (xen/grant_table.h). A driver reserves references
 * once (per queue), then takes and puts them without any lock but its own:
 * the data path never touches the global allocator.
 */
#ifndef PVHVM_GRANT_H
#define PVHVM_GRANT_H

#include <linux/mm_types.h>
#include <linux/types.h>

#include <pvhvm/abi.h>

/* Reference 0 is reserved by Xen (GNTTAB_RESERVED_CONSOLE); never ours. */
#define PVHVM_GRANT_NONE	((grant_ref_t)0)

/**
 * struct pvhvm_grants - a reservation of grant references
 * @ref: stack of the free ones, @nr_free deep
 * @nr_free: references in the stack
 * @size: references reserved in all; @size - @nr_free are in use
 *
 * Locked by its owner: take and put of one reservation must not run at once.
 * A zeroed structure is an empty reservation.
 */
struct pvhvm_grants {
	grant_ref_t *ref;
	unsigned int nr_free;
	unsigned int size;
};

/**
 * pvhvm_grants_reserve() - reserve references
 * @g: an empty reservation; untouched on failure
 * @count: how many, 1 and up
 *
 * Grows the grant table if needed, up to what the hypervisor allows.
 * Context: process; may sleep.
 * Return: 0, -ENOMEM, or -ENOSPC when the table is at its limit.
 */
int pvhvm_grants_reserve(struct pvhvm_grants *g, unsigned int count);

/**
 * pvhvm_grants_release() - give the reservation back
 * @g: a reservation (an empty one is a no-op) whose references have all been
 *     put back or parked; one that has not is reported once and stays used
 *
 * Context: process; may sleep.
 */
void pvhvm_grants_release(struct pvhvm_grants *g);

/* Take a reference out of the reservation; PVHVM_GRANT_NONE if none is left. */
static inline grant_ref_t pvhvm_grant_take(struct pvhvm_grants *g)
{
	return g->nr_free ? g->ref[--g->nr_free] : PVHVM_GRANT_NONE;
}

/* Put an ended (or never used) reference back. */
static inline void pvhvm_grant_put(struct pvhvm_grants *g, grant_ref_t ref)
{
	g->ref[g->nr_free++] = ref;
}

/**
 * pvhvm_grant_access() - let a domain access one page
 * @ref: a taken reference
 * @peer: the domain
 * @gfn: guest frame number of the page (on x86 HVM: page_to_pfn())
 * @readonly: the peer may read only
 *
 * The page's content must be written before; the entry is published with a
 * write barrier. Context: any, no hypercall.
 */
void pvhvm_grant_access(grant_ref_t ref, domid_t peer, unsigned long gfn,
			bool readonly);

/**
 * pvhvm_grant_end() - revoke access
 * @ref: a reference with access granted
 *
 * Context: any, no hypercall.
 * Return: true when the peer can no longer reach the page and @ref may be put
 * back; false when it still has it mapped or is copying: then either try
 * again later or hand both to pvhvm_grant_park().
 */
bool pvhvm_grant_end(grant_ref_t ref);

/**
 * pvhvm_grant_park() - leave a reference still in use, and its page, behind
 * @g: the reservation @ref was taken from; shrinks by one
 * @ref: a reference pvhvm_grant_end() could not end
 * @page: the page behind it, to be freed with put_page() once the peer has
 *        let go, or NULL
 *
 * A worker tries again until it succeeds; neither the reference nor the page
 * is used for anything else before. Counted as "parked" in statistics.
 * Context: any but hard interrupt; the caller holds the reservation's lock.
 */
void pvhvm_grant_park(struct pvhvm_grants *g, grant_ref_t ref,
		      struct page *page);

#endif /* PVHVM_GRANT_H */
