/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * clock_math.h: from the TSC to Xen's system time (xen/xen.h, struct
 * vcpu_time_info). Pure, compiles in user space too.
 */
#ifndef PVHVM_CLOCK_MATH_H
#define PVHVM_CLOCK_MATH_H

#include <pvhvm/abi.h>

#ifdef __KERNEL__
#include <linux/compiler.h>
#include <asm/barrier.h>
#define clock_load(p)		READ_ONCE(*(p))
/* Between the version and what it is the version of. */
#define clock_rmb()		smp_rmb()
#else
#include <stdbool.h>
#define clock_load(p)		__atomic_load_n(p, __ATOMIC_RELAXED)
#define clock_rmb()		__atomic_thread_fence(__ATOMIC_ACQUIRE)
#endif

/**
 * clock_scale() - TSC ticks to nanoseconds
 * @ticks: since the time stamp
 * @mul: 32-bit fixed point fraction
 * @shift: to be shifted by before, left if positive, -31..31
 */
static inline uint64_t clock_scale(uint64_t ticks, uint32_t mul, int8_t shift)
{
	if (shift < 0)
		ticks >>= -shift;
	else
		ticks <<= shift;
	return (uint64_t)(((__uint128_t)ticks * mul) >> 32);
}

/**
 * clock_snapshot() - a consistent copy of a time block that Xen may be writing
 * @src: shared with Xen
 * @dst: where the copy goes; its version is even when it is good
 *
 * Return: true if it is; false if Xen was in the middle of an update: again.
 */
static inline bool clock_snapshot(const struct vcpu_time_info *src,
				  struct vcpu_time_info *dst)
{
	uint32_t version = clock_load(&src->version);

	clock_rmb();
	dst->tsc_timestamp = clock_load(&src->tsc_timestamp);
	dst->system_time = clock_load(&src->system_time);
	dst->tsc_to_system_mul = clock_load(&src->tsc_to_system_mul);
	dst->tsc_shift = clock_load(&src->tsc_shift);
	dst->flags = clock_load(&src->flags);
	clock_rmb();
	dst->version = clock_load(&src->version);
	return !(version & 1) && dst->version == version;
}

/**
 * clock_at() - system time at a TSC value
 * @t: a consistent copy
 * @tsc: read on the same vCPU, after the copy's time stamp; an earlier value
 *	(a TSC that is not quite in step) counts as the time stamp itself
 *
 * Return: nanoseconds since the host was booted, or the guest restored.
 */
static inline uint64_t clock_at(const struct vcpu_time_info *t, uint64_t tsc)
{
	uint64_t ticks = tsc > t->tsc_timestamp ? tsc - t->tsc_timestamp : 0;

	return t->system_time +
		clock_scale(ticks, t->tsc_to_system_mul, t->tsc_shift);
}

#endif /* PVHVM_CLOCK_MATH_H */
