// SPDX-License-Identifier: GPL-2.0-only
/*
 * physmap.c: Xen's pages in place of ordinary RAM, and back.
 *
 * Shared info and grant frames have to appear at some guest frame. Instead of
 * the platform device's BAR, which is uncached on some hosts, they take the
 * place of a page of RAM. That page's memory waits meanwhile at a frame of the
 * BAR, where nobody looks at it, and comes back when Xen's page goes.
 *
 * Giving it up and having Xen fill the hole with other memory would do for us,
 * but not for the device model: it keeps guest memory mapped in large pieces,
 * and one with a virtio device's ring in it stays mapped when it is told to
 * forget. An emulated card's or disk's DMA to the page would then go to memory
 * that is the guest's no more. As it is, only what is mapped while Xen's page is
 * in the place can be wrong, see physmap_settle().
 *
 * A page that stays a hole must never reach the page allocator; it is lost.
 */
#include "platform.h"

#include <linux/atomic.h>
#include <linux/gfp.h>
#include <linux/mm.h>

#include "hypercall.h"

#define SPARE_BAR	1

/* The BAR's frames: the first for shared info, then the grant table's. */
static unsigned long spare_base, nr_spares;
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

/* What was at @gfn goes: back to Xen if it was RAM. */
static int put(unsigned int space, unsigned long idx, unsigned long gfn)
{
	struct xen_add_to_physmap add = {
		.domid = DOMID_SELF,
		.space = space,
		.idx = idx,
		.gpfn = gfn,
	};

	return hypercall_memory(XENMEM_add_to_physmap, &add);
}

/* One frame's memory to another frame; leaves a hole. */
static int move(unsigned long from, unsigned long to)
{
	return put(XENMAPSPACE_gmfn, from, to);
}

/* Where the memory below one of Xen's pages waits. */
static unsigned long spare_gfn(unsigned int space, unsigned long idx)
{
	return space == XENMAPSPACE_shared_info ? spare_base : spare_base + 1 + idx;
}

/**
 * physmap_init() - claim the frames of the platform device's BAR
 *
 * Context: process; the device is enabled.
 * Return: 0; -ENODEV if there are none; -EBUSY if they are somebody else's.
 */
int physmap_init(void)
{
	int ret;

	nr_spares = pci_resource_len(platform_pdev, SPARE_BAR) >> PAGE_SHIFT;
	if (!nr_spares || !(pci_resource_flags(platform_pdev, SPARE_BAR) & IORESOURCE_MEM)) {
		pr_err("the platform device has no memory BAR\n");
		return -ENODEV;
	}
	ret = pci_request_region(platform_pdev, SPARE_BAR, "pvhvm_platform");
	if (ret) {
		pr_err("the platform device's BAR is taken, see /proc/iomem (%d)\n", ret);
		return ret;
	}
	spare_base = PHYS_PFN(pci_resource_start(platform_pdev, SPARE_BAR));
	return 0;
}

/* All pages are restored. */
void physmap_exit(void)
{
	pci_release_region(platform_pdev, SPARE_BAR);
}

/**
 * physmap_place() - let one of Xen's pages appear where a page of ours is
 * @space: XENMAPSPACE_shared_info or XENMAPSPACE_grant_table (xen/memory.h)
 * @idx: index into that space
 * @page: an ordinary page of the caller's
 *
 * Context: process. Return: 0, or negative errno (-E2BIG: the BAR has no frame
 * for it); the page then is still the caller's, for physmap_free().
 */
int physmap_place(unsigned int space, unsigned long idx, struct page *page)
{
	unsigned long spare = spare_gfn(space, idx);
	int ret;

	if (spare >= spare_base + nr_spares)
		return -E2BIG;
	ret = move(page_to_pfn(page), spare);
	if (ret)
		return ret;
	ret = put(space, idx, page_to_pfn(page));
	if (ret)
		move(spare, page_to_pfn(page));
	return ret;
}

/**
 * physmap_place_again() - the same after a suspend, in a new domain maybe
 * @space: as given to physmap_place()
 * @idx: as given to physmap_place()
 * @page: as given to physmap_place()
 *
 * What is saved is the memory, where it waits; in a new domain the frame is a
 * hole. Context: any. Return: 0; or negative errno, and the page is RAM.
 */
int physmap_place_again(unsigned int space, unsigned long idx, struct page *page)
{
	int ret = put(space, idx, page_to_pfn(page));

	if (ret)
		physmap_restore(space, idx, page);
	return ret;
}

/**
 * physmap_renew() - have other memory in a page's place
 * @page: an ordinary page, or one that one of Xen's took the place of
 *
 * Context: process. Return: 0; negative: the frame is a hole, keep it from
 * everybody (physmap_free() would notice and do that).
 */
int physmap_renew(struct page *page)
{
	struct xen_remove_from_physmap take_out = {
		.domid = DOMID_SELF,
		.gpfn = page_to_pfn(page),
	};
	xen_pfn_t gfn = page_to_pfn(page);
	struct xen_memory_reservation one = {
		.nr_extents = 1,
		.domid = DOMID_SELF,
	};
	int ret = hypercall_memory(XENMEM_remove_from_physmap, &take_out);

	/* -ENOENT: it is a hole already */
	if (ret && ret != -ENOENT)
		return ret;
	set_xen_guest_handle(one.extent_start, &gfn);
	return hypercall_memory(XENMEM_populate_physmap, &one) == 1 ? 0 : -ENOMEM;
}

/**
 * physmap_restore() - make a page ordinary RAM again
 * @space: as given to physmap_place()
 * @idx: as given to physmap_place()
 * @page: as given to physmap_place()
 *
 * With what it held before, or with anything. Fit for any use after
 * physmap_settle(), if Xen gives it back at all: physmap_free() sees to that.
 * Context: any.
 */
void physmap_restore(unsigned int space, unsigned long idx, struct page *page)
{
	/* Placed while the guest was migrated, its memory may not have come along. */
	if (move(spare_gfn(space, idx), page_to_pfn(page)))
		physmap_renew(page);
}

/**
 * physmap_settle() - have the device model look at guest memory anew
 *
 * To be called once after restoring one or many pages, and before the first
 * of them is freed or used: it may have come to map a page of Xen's. Newer Xens
 * tell it of each exchange, older ones (4.14) only after this hypercall, which
 * gives back no memory here.
 * Context: process; waits for the device model.
 */
void physmap_settle(void)
{
	struct xen_memory_reservation nothing = { .domid = DOMID_SELF };

	hypercall_memory(XENMEM_decrease_reservation, &nothing);
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
