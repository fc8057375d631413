// SPDX-License-Identifier: GPL-2.0-only
/*
 * shared_info.c: the page that Xen shares with every guest (xen/xen.h).
 *
 * vCPU time, upcall flags of the first 32 vCPUs, and the 2-level event bits.
 */
#include "platform.h"

#include <linux/build_bug.h>
#include <linux/gfp.h>
#include <linux/mm.h>

#include "hypercall.h"

/*
 * The page belongs to the domain, not to a kernel: it lives as long as the
 * device model process does, across module reload and kexec, and starts as
 * zeros with every reset. That is the lifetime of an unplug, about which the
 * host cannot be asked, so a note about it sits at the page's end, which
 * struct shared_info leaves unused.
 */
struct shared_info_note {
	u64 magic;
	u32 value;
	u32 check;
};

#define NOTE_MAGIC	0x65746f6e6d766870ull	/* "phvmnote" */

struct shared_info *platform_shared_info;

static struct page *shared_page;

static struct shared_info_note *note(void)
{
	BUILD_BUG_ON(sizeof(struct shared_info) >
		     PAGE_SIZE - sizeof(struct shared_info_note));
	return (void *)platform_shared_info + PAGE_SIZE -
		sizeof(struct shared_info_note);
}

/**
 * shared_info_note_get() - read the note that outlives the module
 *
 * Return: what shared_info_note_set() wrote since the guest was last reset,
 * maybe from an earlier load of this module; 0 if it never did.
 */
u32 shared_info_note_get(void)
{
	struct shared_info_note copy = *note();

	if (copy.magic != NOTE_MAGIC || copy.check != ~copy.value)
		return 0;
	return copy.value;
}

void shared_info_note_set(u32 value)
{
	*note() = (struct shared_info_note) {
		.magic = NOTE_MAGIC,
		.value = value,
		.check = ~value,
	};
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

/**
 * shared_info_exit() - give the page back
 *
 * Xen's own page stays in being, with all events masked.
 */
void shared_info_exit(void)
{
	if (!shared_page)
		return;
	memset(platform_shared_info->evtchn_mask, 0xff,
	       sizeof(platform_shared_info->evtchn_mask));
	platform_shared_info = NULL;
	physmap_restore(shared_page);
	physmap_free(shared_page);
	shared_page = NULL;
}
