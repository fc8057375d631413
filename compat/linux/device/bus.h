/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A bus's callbacks are written as the newest kernels have them; where a
 * kernel wants another type, a thunk of that type calls them:
 *
 *	DEFINE_BUS_MATCH(foo_match);
 *	... .match = BUS_MATCH(foo_match) ...
 */
#ifndef PVHVM_COMPAT_LINUX_DEVICE_BUS_H
#define PVHVM_COMPAT_LINUX_DEVICE_BUS_H

#include_next <linux/device/bus.h>
#include "../../config.h"

#ifdef HAVE_BUS_MATCH_CONST_DRIVER
#define BUS_MATCH(fn)		fn
#define DEFINE_BUS_MATCH(fn)	static typeof(fn) fn
#else
#define BUS_MATCH(fn)		fn##_thunk
#define DEFINE_BUS_MATCH(fn)						\
static int fn##_thunk(struct device *dev, struct device_driver *drv)	\
{									\
	return fn(dev, drv);						\
}									\
static typeof(fn) fn
#endif

#ifdef HAVE_BUS_UEVENT_CONST_DEVICE
#define BUS_UEVENT(fn)		fn
#define DEFINE_BUS_UEVENT(fn)	static typeof(fn) fn
#else
#define BUS_UEVENT(fn)		fn##_thunk
#define DEFINE_BUS_UEVENT(fn)						\
static int fn##_thunk(struct device *dev, struct kobj_uevent_env *env)	\
{									\
	return fn(dev, env);						\
}									\
static typeof(fn) fn
#endif

#ifdef HAVE_BUS_REMOVE_VOID
#define BUS_REMOVE(fn)		fn
#define DEFINE_BUS_REMOVE(fn)	static typeof(fn) fn
#else
#define BUS_REMOVE(fn)		fn##_thunk
#define DEFINE_BUS_REMOVE(fn)						\
static int fn##_thunk(struct device *dev)				\
{									\
	fn(dev);							\
	return 0;							\
}									\
static typeof(fn) fn
#endif

#endif /* PVHVM_COMPAT_LINUX_DEVICE_BUS_H */
