/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A bus's callbacks are written as the newest kernels have them; where a
 * kernel wants another type, a thunk of that type calls them.
 */
#ifndef PVHVM_COMPAT_LINUX_DEVICE_BUS_H
#define PVHVM_COMPAT_LINUX_DEVICE_BUS_H

#include_next <linux/device/bus.h>
#include "../../config.h"

#ifdef HAVE_BUS_MATCH_CONST_DRIVER
#define BUS_MATCH(fn)		fn
#define BUS_MATCH_THUNK(fn)
#else
#define BUS_MATCH(fn)		fn##_thunk
#define BUS_MATCH_THUNK(fn)						\
static int fn##_thunk(struct device *dev, struct device_driver *drv)	\
{									\
	return fn(dev, drv);						\
}
#endif

#ifdef HAVE_BUS_UEVENT_CONST_DEVICE
#define BUS_UEVENT(fn)		fn
#define BUS_UEVENT_THUNK(fn)
#else
#define BUS_UEVENT(fn)		fn##_thunk
#define BUS_UEVENT_THUNK(fn)						\
static int fn##_thunk(struct device *dev, struct kobj_uevent_env *env)	\
{									\
	return fn(dev, env);						\
}
#endif

#ifdef HAVE_BUS_REMOVE_VOID
#define BUS_REMOVE(fn)		fn
#define BUS_REMOVE_THUNK(fn)
#else
#define BUS_REMOVE(fn)		fn##_thunk
#define BUS_REMOVE_THUNK(fn)						\
static int fn##_thunk(struct device *dev)				\
{									\
	fn(dev);							\
	return 0;							\
}
#endif

/* In the file that defines the bus, behind the three functions. */
#define DEFINE_BUS_THUNKS(match, uevent, remove)			\
	BUS_MATCH_THUNK(match)						\
	BUS_UEVENT_THUNK(uevent)					\
	BUS_REMOVE_THUNK(remove)

#endif /* PVHVM_COMPAT_LINUX_DEVICE_BUS_H */
