/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * get_ringparam, get_coalesce and set_coalesce once had two arguments:
 * PVHVM_ETHTOOL_RINGPARAM(fn) makes what PVHVM_ETHTOOL_RINGPARAM_FN(fn) then
 * names, for a function with four; the same with _COALESCE.
 */
#ifndef PVHVM_COMPAT_LINUX_ETHTOOL_H
#define PVHVM_COMPAT_LINUX_ETHTOOL_H

#include_next <linux/ethtool.h>
#include "../config.h"

#ifdef HAVE_ETHTOOL_KERNEL_RINGPARAM
#define PVHVM_ETHTOOL_RINGPARAM(fn)	\
	static_assert(sizeof(&fn), #fn)
#define PVHVM_ETHTOOL_RINGPARAM_FN(fn)	fn
#else
struct kernel_ethtool_ringparam;
struct netlink_ext_ack;

#define PVHVM_ETHTOOL_RINGPARAM(fn)				\
	static void fn##_2(struct net_device *dev,		\
			   struct ethtool_ringparam *ring)	\
	{							\
		fn(dev, ring, NULL, NULL);			\
	}							\
	static_assert(sizeof(&fn##_2), #fn)
#define PVHVM_ETHTOOL_RINGPARAM_FN(fn)	fn##_2
#endif

#ifdef HAVE_ETHTOOL_KERNEL_COALESCE
#define PVHVM_ETHTOOL_COALESCE(fn)	\
	static_assert(sizeof(&fn), #fn)
#define PVHVM_ETHTOOL_COALESCE_FN(fn)	fn
#else
struct kernel_ethtool_coalesce;

#define PVHVM_ETHTOOL_COALESCE(fn)				\
	static int fn##_2(struct net_device *dev,		\
			  struct ethtool_coalesce *coal)	\
	{							\
		return fn(dev, coal, NULL, NULL);		\
	}							\
	static_assert(sizeof(&fn##_2), #fn)
#define PVHVM_ETHTOOL_COALESCE_FN(fn)	fn##_2
#endif

#endif
