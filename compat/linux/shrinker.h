/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shrinkers are allocated by the kernel, in steps that fail at the first only.
 * Older ones: ours to allocate; registering may fail, and what is not
 * registered is never called and can be unregistered all the same.
 */
#ifndef PVHVM_COMPAT_LINUX_SHRINKER_H
#define PVHVM_COMPAT_LINUX_SHRINKER_H

#include_next <linux/shrinker.h>
#include <linux/slab.h>
#include "../config.h"

#ifndef HAVE_SHRINKER_ALLOC
static inline struct shrinker *shrinker_zalloc(void)
{
	struct shrinker *s = kzalloc(sizeof(*s), GFP_KERNEL);

	if (s)
		s->seeks = DEFAULT_SEEKS;
	return s;
}

/* No flags, and the name is for debugging. */
#define shrinker_alloc(flags, name)	shrinker_zalloc()

static inline void shrinker_register(struct shrinker *s)
{
#ifdef HAVE_SHRINKER_NAMED
	int err = register_shrinker(s, KBUILD_MODNAME);
#else
	int err = register_shrinker(s);
#endif

	if (err)
		pr_warn("no shrinker (%d): memory pressure takes nothing back\n",
			err);
}

static inline void shrinker_free(struct shrinker *s)
{
	unregister_shrinker(s);
	kfree(s);
}
#endif

#endif /* PVHVM_COMPAT_LINUX_SHRINKER_H */
