// SPDX-License-Identifier: GPL-2.0-only
/*
 * vcpu_info.c: where Xen writes what concerns one vCPU.
 *
 * The shared info page has room for 32. The block of any further vCPU goes
 * where VCPUOP_register_vcpu_info (xen/vcpu.h) says, once and for all: Xen
 * writes there until the guest is reset, unloading does not take it back. So
 * those blocks live in pages that are never freed. The shared info page's note
 * tells the next load where they are; the mark in struct page tells it that
 * they are still ours, and not what another kernel made of that memory.
 */
#include "platform.h"

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/mutex.h>

#include "hypercall.h"
#include "vcpu.h"

/* Lower in a build that tests the registering with a few vCPUs. */
#ifndef VCPU_IN_SHARED_INFO
#define VCPU_IN_SHARED_INFO	XEN_LEGACY_MAX_VCPUS
#endif

#define BLOCKS_PER_PAGE		(PAGE_SIZE / sizeof(struct vcpu_info))
#define PAGE_MARK		0x70767663ul	/* "pvvc" */

/* CPUs come one after the other, but not only in hotplug callbacks. */
static DEFINE_MUTEX(pages_lock);
static struct page *pages[NOTE_VCPU_PAGES];

static struct page *still_ours(u64 pfn)
{
	struct page *page = pfn && pfn_valid(pfn) ? pfn_to_page(pfn) : NULL;

	return page && PageReserved(page) && page_private(page) == PAGE_MARK ?
		page : NULL;
}

/* Of an earlier life; a CPU that comes online would be interrupted by it unprepared. */
static void clear_flags(struct vcpu_info *info, unsigned int count)
{
	while (count--)
		vcpu_info_clear(&info[count]);
}

/**
 * vcpu_info_init() - find the pages of an earlier load
 *
 * Context: no upcall is set up yet.
 */
void vcpu_info_init(void)
{
	struct shared_info_note note;
	unsigned int i;

	BUILD_BUG_ON(sizeof(struct vcpu_info) != 64);
	shared_info_note_get(&note);
	clear_flags(platform_shared_info->vcpu_info, VCPU_IN_SHARED_INFO);
	for (i = 0; i < NOTE_VCPU_PAGES; i++) {
		pages[i] = still_ours(note.vcpu_page[i]);
		if (pages[i])
			clear_flags(page_address(pages[i]), BLOCKS_PER_PAGE);
	}
}

/**
 * vcpu_info_abandon() - swap the pages for fresh RAM
 *
 * For a kernel that is about to be replaced: Xen goes on writing to the old
 * memory, which no guest frame leads to any more. Context: process.
 */
void vcpu_info_abandon(void)
{
	unsigned int i;

	for (i = 0; i < NOTE_VCPU_PAGES; i++)
		if (pages[i])
			physmap_renew(pages[i]);
}

static struct page *page_at(unsigned int index)
{
	struct page *page = pages[index];

	lockdep_assert_held(&pages_lock);
	if (page)
		return page;
	page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!page)
		return NULL;
	SetPageReserved(page);
	set_page_private(page, PAGE_MARK);
	pages[index] = page;
	shared_info_note_vcpu_page(index, page_to_pfn(page));
	return page;
}

static int tell(u32 id, struct vcpu_info *info)
{
	struct vcpu_register_vcpu_info where = {
		.mfn = page_to_pfn(virt_to_page(info)),
		.offset = offset_in_page(info),
	};

	return hypercall_vcpu(VCPUOP_register_vcpu_info, id, &where);
}

static int place_beyond(struct platform_vcpu *v)
{
	unsigned int slot = v->id - VCPU_IN_SHARED_INFO;
	struct vcpu_info *info;
	unsigned long flags;
	struct page *page;
	int ret;

	if (slot / BLOCKS_PER_PAGE >= NOTE_VCPU_PAGES)
		return -E2BIG;
	page = page_at(slot / BLOCKS_PER_PAGE);
	if (!page)
		return -ENOMEM;
	info = page_address(page);
	info += slot % BLOCKS_PER_PAGE;
	/*
	 * Xen takes all for pending then. Nothing is; and a callback vector would
	 * interrupt until somebody handles it, which nobody does on this CPU yet.
	 */
	local_irq_save(flags);
	ret = tell(v->id, info);
	vcpu_info_clear(info);
	local_irq_restore(flags);
	/* Refused the second time; then Xen has written there already. */
	if (ret && !READ_ONCE(info->time.version))
		return ret;
	v->info = info;
	return 0;
}

/**
 * vcpu_info_place() - find or make a vCPU's block
 * @v: with its number; gets its @info
 *
 * Context: on that CPU, process; may sleep. Return: 0; -E2BIG for more vCPUs
 * than there is room for; what Xen said, when an earlier kernel has taken the only chance.
 */
int vcpu_info_place(struct platform_vcpu *v)
{
	int ret;

	if (v->id < VCPU_IN_SHARED_INFO) {
		v->info = &platform_shared_info->vcpu_info[v->id];
		return 0;
	}
	mutex_lock(&pages_lock);
	ret = place_beyond(v);
	mutex_unlock(&pages_lock);
	return ret;
}

/* Is a vCPU's block, which it has, outside of the shared info page? */
bool vcpu_info_is_beyond(const struct platform_vcpu *v)
{
	return v->id >= VCPU_IN_SHARED_INFO;
}

/* Can this guest have such vCPUs? */
bool vcpu_info_any_beyond(void)
{
	return num_possible_cpus() > VCPU_IN_SHARED_INFO;
}

/**
 * vcpu_info_tell() - tell a new domain's Xen where the running vCPU's block is
 * @v: the running CPU's, its block beyond the shared info page
 *
 * Context: interrupts off. Return: 0 or what Xen said.
 */
int vcpu_info_tell(const struct platform_vcpu *v)
{
	return tell(v->id, v->info);
}
