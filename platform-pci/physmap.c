// SPDX-License-Identifier: GPL-2.0-only
/*
 * physmap.c: Xen's pages in place of ordinary RAM, and back.
 *
 * Shared info and grant frames have to appear at some guest frame. Instead of
 * the platform device's BAR, which is uncached on some hosts, they take the
 * place of a page of RAM; Xen then frees what was below. Going back is two
 * steps: take Xen's page out, and have the hole filled with RAM again. A page
 * for which that fails must never reach the page allocator; it is lost.
 *
 * The device model keeps guest memory mapped in large pieces, and nobody tells
 * it of these exchanges: it would go on doing an emulated card's or disk's DMA
 * to what was there before, even to a grant frame. The one call for which Xen
 * makes it forget is XENMEM_decrease_reservation; hence physmap_settle().
 */
#include "platform.h"

#include <linux/atomic.h>
#include <linux/gfp.h>
#include <linux/mm.h>

#include "hypercall.h"

static atomic_t lost_pages = ATOMIC_INIT(0);

/* Does a guest frame hold ordinary memory? -errno when Xen does not tell. */
static int frame_is_ram(unsigned long gfn)
{
	struct xen_hvm_get_mem_type type = {
		.domid = DOMID_SELF,
		.pfn = gfn,
	};
	int ret = hypercall_hvm(HVMOP_get_mem_type, &type);

	return ret ? ret : type.mem_type == HVMMEM_ram_rw;
}

/**
 * physmap_place() - let one of Xen's pages appear where a page of ours is
 * @space: XENMAPSPACE_shared_info or XENMAPSPACE_grant_table (xen/memory.h)
 * @idx: index into that space
 * @page: an ordinary page of the caller's; its content is gone on success
 *
 * Context: process. Return: 0, or negative errno; the page then is as before
 * and still the caller's, to be freed with physmap_free().
 */
int physmap_place(unsigned int space, unsigned long idx, struct page *page)
{
	struct xen_add_to_physmap add = {
		.domid = DOMID_SELF,
		.space = space,
		.idx = idx,
		.gpfn = page_to_pfn(page),
	};

	return hypercall_memory(XENMEM_add_to_physmap, &add);
}

/* One frame's memory: have it (populate) or give it up (decrease). */
static int reserve(unsigned int op, unsigned long gfn)
{
	xen_pfn_t extent = gfn;
	struct xen_memory_reservation one = {
		.nr_extents = 1,
		.domid = DOMID_SELF,
	};

	set_xen_guest_handle(one.extent_start, &extent);
	return hypercall_memory(op, &one) == 1 ? 0 : -ENOMEM;
}

/**
 * physmap_restore() - make a page ordinary RAM again
 * @page: as given to physmap_place()
 *
 * Context: process.
 * Return: 0: RAM, fit for any use after physmap_settle(); negative: the frame
 * is a hole, keep it from everybody (physmap_free() would notice and do that).
 */
int physmap_restore(struct page *page)
{
	struct xen_remove_from_physmap take_out = {
		.domid = DOMID_SELF,
		.gpfn = page_to_pfn(page),
	};
	int ret = hypercall_memory(XENMEM_remove_from_physmap, &take_out);

	if (!ret)
		ret = reserve(XENMEM_populate_physmap, page_to_pfn(page));
	return ret;
}

/**
 * physmap_settle() - have the device model look at guest memory anew
 * @page: a page after physmap_restore(), or NULL (a no-op); its content is gone
 *
 * To be called once after restoring one or many pages, and before the first
 * of them is freed or used. Context: process; waits for the device model.
 */
void physmap_settle(struct page *page)
{
	unsigned long gfn;

	if (!page)
		return;
	gfn = page_to_pfn(page);
	if (frame_is_ram(gfn) != 1)
		return;
	if (!reserve(XENMEM_decrease_reservation, gfn))
		reserve(XENMEM_populate_physmap, gfn);
}

/**
 * physmap_free() - free a page that once was given to physmap_place()
 * @page: the page, by now RAM again; NULL is a no-op
 *
 * Asks Xen whether the frame really is RAM and rather loses the page than
 * hands a hole to the allocator.
 * Context: process.
 */
void physmap_free(struct page *page)
{
	if (!page)
		return;
	if (frame_is_ram(page_to_pfn(page)) == 1) {
		__free_page(page);
		return;
	}
	atomic_inc(&lost_pages);
	pr_err("Xen gives no memory back for frame %#lx; the page stays unused until reboot\n",
	       page_to_pfn(page));
}

/* How many pages could not be given back since the module was loaded? */
unsigned int physmap_lost(void)
{
	return atomic_read(&lost_pages);
}
