// SPDX-License-Identifier: GPL-2.0-only
/*
 * evtchn_2l.c: the 2-level event ABI (xen/xen.h, struct shared_info).
 *
 * A pending and a mask bit per port, shared by all vCPUs; each vCPU has one
 * selector word that says which words of pending bits are worth a look.
 *
 * All bit operations must be locked even in a kernel that runs on one CPU and
 * has patched its lock prefixes away: Xen is on the other side. Hence sync_*.
 */
#include "platform.h"

#include <asm/sync_bitops.h>
#include <linux/slab.h>

#include "evtchn.h"
#include "evtchn_scan.h"

static int abi_init(void)
{
	return 0;
}

static void abi_exit(void)
{
}

/* It is how a domain starts, with all masked (shared_info_resume()). */
static int abi_resume(void)
{
	return 0;
}

static int vcpu_prepare(struct platform_vcpu *v)
{
	if (!v->mine)
		v->mine = bitmap_zalloc(EVTCHN_2L_NR_CHANNELS, GFP_KERNEL);
	return v->mine ? 0 : -ENOMEM;
}

static void vcpu_release(struct platform_vcpu *v)
{
	bitmap_free(v->mine);
	v->mine = NULL;
}

static int port_prepare(evtchn_port_t port)
{
	return port < EVTCHN_2L_NR_CHANNELS ? 0 : -ENOSPC;
}

static void direct(evtchn_port_t port, struct platform_vcpu *from,
		   struct platform_vcpu *to)
{
	if (from)
		clear_bit(port, from->mine);
	if (to)
		set_bit(port, to->mine);
}

static void mask(evtchn_port_t port)
{
	sync_set_bit(port, platform_shared_info->evtchn_mask);
}

/*
 * If the port is pending Xen must do it: only it can raise the upcall, and it
 * does so only if it finds the bit set. Otherwise clearing the bit is enough,
 * unless an event came in between, which the second look tells.
 */
static void unmask(evtchn_port_t port)
{
	struct shared_info *s = platform_shared_info;

	if (!sync_test_bit(port, s->evtchn_pending)) {
		sync_clear_bit(port, s->evtchn_mask);
		if (!sync_test_bit(port, s->evtchn_pending))
			return;
		sync_set_bit(port, s->evtchn_mask);
	}
	evtchn_xen_unmask(port);
}

static void ack(evtchn_port_t port)
{
	sync_clear_bit(port, platform_shared_info->evtchn_pending);
}

/* Masked, so that the unmask which follows finds something to do. */
static void raise(evtchn_port_t port)
{
	sync_set_bit(port, platform_shared_info->evtchn_mask);
	sync_set_bit(port, platform_shared_info->evtchn_pending);
}

static unsigned long ready_bits(struct platform_vcpu *v, unsigned int word)
{
	struct shared_info *s = platform_shared_info;

	return READ_ONCE(s->evtchn_pending[word]) &
		~READ_ONCE(s->evtchn_mask[word]) & READ_ONCE(v->mine[word]);
}

/* Goes round from where it stopped last, so that no port is always last. */
static void dispatch(struct platform_vcpu *v)
{
	unsigned long words = xchg(&v->info->evtchn_pending_sel, 0);
	unsigned int start = v->scan;

	while (words) {
		unsigned int word = scan_next(words, start / BITS_PER_LONG);
		unsigned long bits = ready_bits(v, word);
		unsigned int from = word == start / BITS_PER_LONG ?
			start % BITS_PER_LONG : 0;

		words &= ~BIT(word);
		while (bits) {
			unsigned int bit = scan_next(bits, from);

			bits &= ~BIT(bit);
			v->scan = word * BITS_PER_LONG + bit + 1;
			evtchn_handle_port(word * BITS_PER_LONG + bit);
		}
	}
	v->scan %= EVTCHN_2L_NR_CHANNELS;
}

const struct evtchn_ops evtchn_2l_ops = {
	.name = "2l",
	.max_ports = EVTCHN_2L_NR_CHANNELS,
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
