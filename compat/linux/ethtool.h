/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * get_ringparam, get_coalesce and set_coalesce once had two arguments:
 * PVHVM_ETHTOOL_RINGPARAM(fn) makes what PVHVM_ETHTOOL_RINGPARAM_FN(fn) then
 * names, for a function with four; the same with _COALESCE.
 *
 * get_rxfh and set_rxfh once had the members of struct ethtool_rxfh_param as
 * arguments: PVHVM_ETHTOOL_RXFH(get, set) makes both.
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

#ifdef HAVE_ETHTOOL_RXFH_PARAM
#define PVHVM_ETHTOOL_RXFH(get, set)	\
	static_assert(sizeof(&get) && sizeof(&set), "functions")
#define PVHVM_ETHTOOL_RXFH_FN(fn)	fn
#else
struct ethtool_rxfh_param {
	u8 hfunc;
	u32 *indir;
	u8 *key;
};

#define PVHVM_ETHTOOL_RXFH(get, set)					\
	static int get##_4(struct net_device *dev, u32 *indir,		\
			   u8 *key, u8 *hfunc)				\
	{								\
		struct ethtool_rxfh_param rxfh = {			\
			.indir = indir,					\
			.key = key,					\
		};							\
		int err = get(dev, &rxfh);				\
									\
		if (hfunc)						\
			*hfunc = rxfh.hfunc;				\
		return err;						\
	}								\
	static int set##_4(struct net_device *dev, const u32 *indir,	\
			   const u8 *key, const u8 hfunc)		\
	{								\
		struct ethtool_rxfh_param rxfh = {			\
			.hfunc = hfunc,					\
			.indir = (u32 *)indir,				\
			.key = (u8 *)key,				\
		};							\
									\
		return set(dev, &rxfh, NULL);				\
	}								\
	static_assert(sizeof(&get##_4) && sizeof(&set##_4), "functions")
#define PVHVM_ETHTOOL_RXFH_FN(fn)	fn##_4
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
