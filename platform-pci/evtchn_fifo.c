// SPDX-License-Identifier: GPL-2.0-only
/*
 * evtchn_fifo.c: the FIFO event ABI (xen/event_channel.h).
 *
 * A word per port in an array of pages, and for each vCPU a control block with
 * the heads of its queues, one per priority. All of it is RAM of ours that Xen
 * holds on to until evtchn_reset_all(): after init_control() nothing may be
 * freed before. A vCPU that goes offline and comes back keeps its block.
 */
#include "platform.h"

#include <asm/sync_bitops.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "evtchn.h"
#include "fifo_queue.h"
#include "hypercall.h"

#define WORDS_PER_PAGE	(PAGE_SIZE / sizeof(event_word_t))
#define ARRAY_PAGES	(EVTCHN_FIFO_NR_CHANNELS / WORDS_PER_PAGE)

/**
 * struct fifo_vcpu - a vCPU's queues
 * @block: the page with the control block, shared with Xen
 * @head: where we are in each queue; its dispatch only
 */
struct fifo_vcpu {
	struct evtchn_fifo_control_block *block;
	evtchn_port_t head[EVTCHN_FIFO_MAX_QUEUES];
};

/* By vCPU number; lives as long as the ABI is in use. */
static DEFINE_XARRAY(queues);
static event_word_t *array[ARRAY_PAGES];
static unsigned int nr_pages;
/* Xen has been given memory of ours. */
static bool in_use;

static event_word_t *word_of(evtchn_port_t port)
{
	unsigned int page = port / WORDS_PER_PAGE;

	if (page >= READ_ONCE(nr_pages))
		return NULL;
	return &array[page][port % WORDS_PER_PAGE];
}

static unsigned long page_gfn(void *addr)
{
	return page_to_pfn(virt_to_page(addr));
}

/* Give Xen a page of event words, all masked. */
static int tell_page(event_word_t *words)
{
	struct evtchn_expand_array expand = { .array_gfn = page_gfn(words) };
	unsigned int i;

	for (i = 0; i < WORDS_PER_PAGE; i++)
		words[i] = FIFO_BIT(MASKED);
	return hypercall_evtchn(EVTCHNOP_expand_array, &expand);
}

static int add_page(void)
{
	event_word_t *words;
	int ret;

	if (nr_pages == ARRAY_PAGES)
		return -ENOSPC;
	words = (void *)__get_free_page(GFP_KERNEL);
	if (!words)
		return -ENOMEM;
	ret = tell_page(words);
	if (ret) {
		free_page((unsigned long)words);
		return ret;
	}
	array[nr_pages] = words;
	/* Dispatch on other CPUs: first the page, then that it is there. */
	smp_store_release(&nr_pages, nr_pages + 1);
	return 0;
}

static void free_queues(struct fifo_vcpu *f)
{
	if (f)
		free_page((unsigned long)f->block);
	kfree(f);
}

static int tell_queues(u32 id, struct fifo_vcpu *f)
{
	struct evtchn_init_control init = {
		.control_gfn = page_gfn(f->block),
		.vcpu = id,
	};

	return hypercall_evtchn(EVTCHNOP_init_control, &init);
}

static int add_queues(u32 id)
{
	struct fifo_vcpu *f = kzalloc(sizeof(*f), GFP_KERNEL);
	int ret = -ENOMEM;

	if (!f)
		return -ENOMEM;
	f->block = (void *)get_zeroed_page(GFP_KERNEL);
	if (!f->block)
		goto err_free;
	ret = xa_insert(&queues, id, f, GFP_KERNEL);
	if (ret)
		goto err_free;
	ret = tell_queues(id, f);
	if (ret)
		goto err_erase;
	in_use = true;
	return 0;

err_erase:
	xa_erase(&queues, id);
err_free:
	free_queues(f);
	/* A Xen without FIFO does not know the call. */
	return ret == -XEN_ENOSYS ? -EOPNOTSUPP : ret;
}

/*
 * Leave nothing of ours with Xen. Should it refuse, the pages are its until
 * the guest is reset, and must not be used for anything else.
 */
static void abi_exit(void)
{
	struct fifo_vcpu *f;
	unsigned long id;
	unsigned int i;
	bool leak = in_use && evtchn_reset_all() < 0;

	if (leak)
		pr_err("%u pages stay with Xen until the guest is restarted\n",
		       nr_pages);
	for (i = 0; i < nr_pages; i++) {
		if (!leak)
			free_page((unsigned long)array[i]);
		array[i] = NULL;
	}
	nr_pages = 0;
	xa_for_each(&queues, id, f) {
		xa_erase(&queues, id);
		if (!leak)
			free_queues(f);
	}
	in_use = false;
}

/*
 * vCPU 0's block is what switches the domain over; it always exists. Then a
 * first page, enough for the ports of the toolstack.
 */
static int abi_init(void)
{
	int ret = add_queues(0);

	if (!ret)
		ret = add_page();
	if (ret)
		abi_exit();
	return ret;
}

/*
 * The same pages for the new domain. vCPU 0 comes first and switches it over.
 * Should Xen refuse a later one, that vCPU is of no use for events, but the
 * domain is not 2-level any more.
 */
static int abi_resume(void)
{
	struct fifo_vcpu *f;
	unsigned long id;
	unsigned int i;
	int ret;

	in_use = false;
	xa_for_each(&queues, id, f) {
		clear_page(f->block);
		memset(f->head, 0, sizeof(f->head));
		ret = tell_queues(id, f);
		if (ret && !in_use)
			return ret;
		if (ret)
			pr_err("vCPU %lu gets no event queues (%d)\n", id, ret);
		in_use = true;
	}
	for (i = 0; i < nr_pages; i++) {
		ret = tell_page(array[i]);
		if (ret)
			pr_err("Xen takes no page of event words (%d)\n", ret);
	}
	return 0;
}

static int vcpu_prepare(struct platform_vcpu *v)
{
	int ret = 0;

	if (!xa_load(&queues, v->id))
		ret = add_queues(v->id);
	v->fifo = xa_load(&queues, v->id);
	return ret;
}

static void vcpu_release(struct platform_vcpu *v)
{
	v->fifo = NULL;
}

static int port_prepare(evtchn_port_t port)
{
	int ret = 0;

	while (!ret && !word_of(port))
		ret = add_page();
	return ret;
}

/* Xen keeps track: an event is in one vCPU's queue or in another's. */
static void direct(evtchn_port_t port, struct platform_vcpu *from,
		   struct platform_vcpu *to)
{
}

/* sync_*_bit wants longs; a word's top bits are in its fourth byte. */
static void set_word(event_word_t *word, event_word_t bits)
{
	event_word_t old = fifo_load(word), seen;

	while ((seen = fifo_cmpxchg(word, old, old | bits)) != old)
		old = seen;
}

static void mask(evtchn_port_t port)
{
	event_word_t *word = word_of(port);

	if (word)
		set_word(word, FIFO_BIT(MASKED));
}

static void unmask(evtchn_port_t port)
{
	if (!fifo_unmask(word_of(port)))
		evtchn_xen_unmask(port);
}

static void ack(evtchn_port_t port)
{
	event_word_t *word = word_of(port);
	event_word_t old, seen;

	if (!word)
		return;
	old = fifo_load(word);
	while ((seen = fifo_cmpxchg(word, old, old & ~FIFO_BIT(PENDING))) != old)
		old = seen;
}

static void raise(evtchn_port_t port)
{
	set_word(word_of(port), FIFO_BIT(MASKED) | FIFO_BIT(PENDING));
}

/* The most urgent queue first, and within it in the order of arrival. */
static void dispatch(struct platform_vcpu *v)
{
	struct fifo_vcpu *f = v->fifo;
	uint32_t ready = xchg(&f->block->ready, 0);

	while (ready) {
		unsigned int q = __ffs(ready);
		event_word_t *word, bits;
		evtchn_port_t port;

		port = fifo_pop(&f->head[q], &f->block->head[q], word_of,
				&word);
		if (!f->head[q])
			ready &= ~BIT(q);
		if (port) {
			bits = fifo_load(word);
			if ((bits & FIFO_BIT(PENDING)) &&
			    !(bits & FIFO_BIT(MASKED)))
				evtchn_handle_port(port);
		}
		ready |= xchg(&f->block->ready, 0);
	}
}

const struct evtchn_ops evtchn_fifo_ops = {
	.name = "fifo",
	.max_ports = EVTCHN_FIFO_NR_CHANNELS,
	.init = abi_init,
	.exit = abi_exit,
	.resume = abi_resume,
	.vcpu_prepare = vcpu_prepare,
	.vcpu_release = vcpu_release,
	.port_prepare = port_prepare,
	.direct = direct,
	.mask = mask,
	.unmask = unmask,
	.ack = ack,
	.raise = raise,
	.dispatch = dispatch,
};
