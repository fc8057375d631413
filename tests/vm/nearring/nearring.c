// SPDX-License-Identifier: GPL-2.0-only
/*
 * nearring.c: has the device model keep all of the guest's memory mapped, and
 * looks whether its DMA reaches a page that was a grant frame.
 *
 * Loaded, it puts a ring of an idle virtio device with 1024 queues (legacy
 * interface, no driver) into each megabyte. "frame" says at which guest frame
 * the first grant frame is seen, and keeps that in mind. When it is RAM again,
 * writing a block device's name to "arrives" takes that page and reads a page of
 * the device into it; "arrives" then says Y or N.
 */
#include <linux/bvec.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/string.h>
#include <linux/uio.h>

#include <pvhvm/abi.h>

#define QUEUES		1024
#define QUEUE_PFN	8
#define QUEUE_SEL	14
#define MEGABYTE	(1ul << (20 - PAGE_SHIFT))
#define XENSTORE_PFN	0xfeffc
#define STALE		0xa5

static unsigned long frame;
static bool arrives;

/* The first grant frame has what the toolstack has granted: the xenstore page. */
static bool is_frame(const struct grant_entry_v1 *e)
{
	e += GNTTAB_RESERVED_XENSTORE;
	return (e->flags & GTF_type_mask) == GTF_permit_access && !e->domid &&
		e->frame == XENSTORE_PFN;
}

static int frame_get(char *buffer, const struct kernel_param *kp)
{
	unsigned long pfn;

	frame = 0;
	for (pfn = MEGABYTE; pfn < QUEUES * MEGABYTE && !frame; pfn++)
		if (page_is_ram(pfn) && is_frame(pfn_to_kaddr(pfn)))
			frame = pfn;
	return sysfs_emit(buffer, "%lu\n", frame);
}

static const struct kernel_param_ops frame_ops = { .get = frame_get };
module_param_cb(frame, &frame_ops, NULL, 0444);

/* Takes memory until what was the frame is among it, or there is none. */
static struct page *take_frame(void)
{
	struct page *page, *next, *found = NULL;
	LIST_HEAD(others);

	while (!found && (page = alloc_page(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN))) {
		if (page_to_pfn(page) == frame)
			found = page;
		else
			list_add(&page->lru, &others);
	}
	list_for_each_entry_safe(page, next, &others, lru)
		__free_page(page);
	return found;
}

static int read_page(struct file *file, struct page *page)
{
	struct bio_vec vec = { .bv_page = page, .bv_len = PAGE_SIZE };
	struct iov_iter iter;
	loff_t pos = 0;
	ssize_t got;

	memset(page_address(page), STALE, PAGE_SIZE);
	iov_iter_bvec(&iter, READ, &vec, 1, PAGE_SIZE);
	got = vfs_iter_read(file, &iter, &pos, 0);
	return got == PAGE_SIZE ? 0 : got < 0 ? got : -EIO;
}

static int check(struct file *file)
{
	struct page *page = take_frame();
	int ret;

	if (!page)
		return -ENOENT;
	ret = read_page(file, page);
	arrives = !ret && memchr_inv(page_address(page), STALE, PAGE_SIZE);
	__free_page(page);
	return ret;
}

static int arrives_set(const char *name, const struct kernel_param *kp)
{
	char path[64];
	struct file *file;
	int ret;

	strscpy(path, name, sizeof(path));
	file = filp_open(strim(path), O_RDONLY | O_DIRECT, 0);
	if (IS_ERR(file))
		return PTR_ERR(file);
	ret = check(file);
	filp_close(file, NULL);
	return ret;
}

static const struct kernel_param_ops arrives_ops = { .set = arrives_set, .get = param_get_bool };
module_param_cb(arrives, &arrives_ops, &arrives, 0644);

static struct pci_dev *idle_virtio(void)
{
	struct pci_dev *pdev = NULL;

	do {
		pdev = pci_get_device(PCI_VENDOR_ID_REDHAT_QUMRANET, PCI_ANY_ID, pdev);
	} while (pdev && (pdev->driver || pci_enable_device(pdev)));
	return pdev;
}

static int __init nearring_init(void)
{
	struct pci_dev *pdev = idle_virtio();
	unsigned long base, pfn;
	unsigned int i;

	if (!pdev || page_is_ram(QUEUES * MEGABYTE))
		return -ENODEV;
	base = pci_resource_start(pdev, 0);
	for (i = 1; i < QUEUES; i++) {
		pfn = i * MEGABYTE;
		if (!page_is_ram(pfn))
			continue;
		outw(i, base + QUEUE_SEL);
		outl(pfn, base + QUEUE_PFN);
		if (inl(base + QUEUE_PFN) != pfn)
			return -EIO;
	}
	return 0;
}

/* The rings stay where they are, and so does the device. */
static void __exit nearring_exit(void)
{
}

module_init(nearring_init);
module_exit(nearring_exit);

MODULE_DESCRIPTION("Test: the device model keeps the guest's memory mapped");
MODULE_LICENSE("GPL");
