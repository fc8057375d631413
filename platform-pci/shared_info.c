// SPDX-License-Identifier: GPL-2.0-only
/*
 * shared_info.c: the page that Xen shares with every guest (xen/xen.h).
 *
 * vCPU time, upcall flags of the first 32 vCPUs, and the 2-level event bits.
 */
#include "platform.h"

#include <linux/bitops.h>
#include <linux/build_bug.h>
#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/spinlock.h>

#include "hypercall.h"

struct shared_info *platform_shared_info;

static struct page *shared_page;
/* protects the note */
static DEFINE_RAW_SPINLOCK(note_lock);

#define NOTE_MAGIC	0x65746f6e6d766870ull	/* "phvmnote" */

static struct shared_info_note *note(void)
{
	BUILD_BUG_ON(sizeof(struct shared_info) >
		     PAGE_SIZE - sizeof(struct shared_info_note));
	return (void *)platform_shared_info + PAGE_SIZE -
		sizeof(struct shared_info_note);
}

static u32 note_check(const struct shared_info_note *n)
{
	u32 sum = n->unplugged;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(n->vcpu_page); i++)
		sum = rol32(sum, 7) ^ lower_32_bits(n->vcpu_page[i]);
	return ~sum;
}

/**
 * shared_info_note_get() - read the note that outlives the module
 * @copy: what the functions below last wrote since the guest was reset,
 *	maybe in an earlier load of this module; all zero if it never did
 */
void shared_info_note_get(struct shared_info_note *copy)
{
	*copy = *note();
	if (copy->magic != NOTE_MAGIC || copy->check != note_check(copy))
		memset(copy, 0, sizeof(*copy));
}

static void note_set(struct shared_info_note n)
{
	n.magic = NOTE_MAGIC;
	n.check = note_check(&n);
	*note() = n;
}

/**
 * shared_info_note_unplugged() - note which classes are unplugged
 * @mask: all of them, by their bits
 *
 * Context: any.
 */
void shared_info_note_unplugged(u32 mask)
{
	struct shared_info_note n;
	unsigned long flags;

	raw_spin_lock_irqsave(&note_lock, flags);
	shared_info_note_get(&n);
	n.unplugged = mask;
	note_set(n);
	raw_spin_unlock_irqrestore(&note_lock, flags);
}

/**
 * shared_info_note_vcpu_page() - note where vCPU blocks are
 * @index: which page of them
 * @pfn: its frame; 0: none
 *
 * Context: any.
 */
void shared_info_note_vcpu_page(unsigned int index, u64 pfn)
{
	struct shared_info_note n;
	unsigned long flags;

	raw_spin_lock_irqsave(&note_lock, flags);
	shared_info_note_get(&n);
	n.vcpu_page[index] = pfn;
	note_set(n);
	raw_spin_unlock_irqrestore(&note_lock, flags);
}

/**
 * shared_info_init() - bring the page into our sight
 *
 * All event channels are masked on return: whatever an earlier kernel left
 * unmasked must not call a CPU that has no handler yet.
 * Context: process; may sleep. Return: 0 or negative errno.
 */
int shared_info_init(void)
{
	struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	int ret;

	if (!page)
		return -ENOMEM;
	ret = physmap_place(XENMAPSPACE_shared_info, 0, page);
	if (ret) {
		pr_err("Xen does not map the shared info page (%d)\n", ret);
		physmap_free(page);
		return ret;
	}
	shared_page = page;
	platform_shared_info = page_address(page);
	memset(platform_shared_info->evtchn_mask, 0xff,
	       sizeof(platform_shared_info->evtchn_mask));
	return 0;
}

/* The note of the page that a suspend leaves behind. */
static struct shared_info_note carried;

/**
 * shared_info_suspend() - keep what is ours in the page: it is not saved
 *
 * Context: all other CPUs stand still, interrupts off.
 */
void shared_info_suspend(void)
{
	shared_info_note_get(&carried);
}

/**
 * shared_info_resume() - a new domain's page in the place of the old one's
 *
 * With the note of the old one. All event channels are masked on return.
 * Context: all other CPUs stand still, interrupts off.
 */
void shared_info_resume(void)
{
	int ret;

	ret = physmap_place_again(XENMAPSPACE_shared_info, 0, shared_page);
	if (ret)
		pr_err("Xen does not map the shared info page again (%d): PV devices are lost\n",
		       ret);
	memset(platform_shared_info->evtchn_mask, 0xff,
	       sizeof(platform_shared_info->evtchn_mask));
	if (carried.magic)
		note_set(carried);
}

/**
 * shared_info_abandon() - give the page back, but go on pointing at it
 *
 * For a kernel that is about to be replaced: what follows may still look at
 * vCPU blocks and masks, and finds RAM, zeroed. Context: process.
 */
void shared_info_abandon(void)
{
	memset(platform_shared_info->evtchn_mask, 0xff,
	       sizeof(platform_shared_info->evtchn_mask));
	physmap_restore(XENMAPSPACE_shared_info, 0, shared_page);
	physmap_settle();
	clear_page(platform_shared_info);
}

/**
 * shared_info_exit() - give the page back
 *
 * Xen's own page stays in being, with all events masked.
 */
void shared_info_exit(void)
{
	if (!shared_page)
		return;
	shared_info_abandon();
	platform_shared_info = NULL;
	physmap_free(shared_page);
	shared_page = NULL;
}
