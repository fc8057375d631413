/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * abi.h: Xen's public interface, as this bundle uses it.
 *
 * The headers below <xen-public/> are Xen's own (Debian libxen-dev, Fedora
 * xen-devel); the build links or copies them there. They are the only source
 * of wire formats. The kernel's private copies (<xen/interface/...>) share
 * their include guards, so a file that includes this one must not include
 * <xen/...>; the one file that asks whether the kernel's own Xen support is
 * active (platform-pci/inkernel.c) includes no other Xen header.
 */
#ifndef PVHVM_ABI_H
#define PVHVM_ABI_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdint.h>
#include <string.h>
#endif

/* Xen 4.14's interface: what every supported header set offers. */
#ifndef __XEN_INTERFACE_VERSION__
#define __XEN_INTERFACE_VERSION__ 0x00040e00
#endif

#include <xen-public/xen.h>
#include <xen-public/event_channel.h>
#include <xen-public/grant_table.h>
#include <xen-public/io/ring.h>
#include <xen-public/io/xenbus.h>

/*
 * A ring's entries are an array of one in Xen's headers (4.17), and of variable
 * length in fact. A kernel that checks bounds (UBSAN; Debian's 7.3) complains of
 * each entry but the first; so they are reached from the first one's address.
 */
#define PVHVM_RING_ENTRY(sring, idx, size)	\
	(&(sring)->ring[0] + ((idx) & ((size) - 1)))
#undef RING_GET_REQUEST
#define RING_GET_REQUEST(r, idx)	\
	(&PVHVM_RING_ENTRY((r)->sring, idx, RING_SIZE(r))->req)
#undef RING_GET_RESPONSE
#define RING_GET_RESPONSE(r, idx)	\
	(&PVHVM_RING_ENTRY((r)->sring, idx, RING_SIZE(r))->rsp)

#endif /* PVHVM_ABI_H */
