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

/**
 * clock_wallclock() - the host's real time when its system time was 0
 * @s: shared with Xen
 * @ns: since 1970; written when it is good
 *
 * Return: true if it is; false if Xen was in the middle of an update: again.
 */
static inline bool clock_wallclock(const struct shared_info *s, uint64_t *ns)
{
	uint32_t version = clock_load(&s->wc_version);
	uint64_t sec;
	uint32_t nsec;

	clock_rmb();
	sec = (uint64_t)clock_load(&s->wc_sec_hi) << 32 |
		clock_load(&s->wc_sec);
	nsec = clock_load(&s->wc_nsec);
	clock_rmb();
	if (version & 1 || clock_load(&s->wc_version) != version)
		return false;
	*ns = sec * 1000000000ull + nsec;
	return true;
}

/**
 * clock_forward() - how far the wall clock has to be moved after a suspend
 * @wall: the guest's before
 * @host: the host's real time at that moment
 * @wall_now: the guest's now
 * @host_now: the host's at that moment
 *
 * The guest's clock is to show as if it had gone on all the time, right or
 * wrong as it was; differences that a clock's owner would not notice are left.
 * Another host's clock may be behind: then the guest's does not go back.
 * Return: nanoseconds to add, 0 or at least CLOCK_SLACK.
 */
#define CLOCK_SLACK	50000000ll

static inline int64_t clock_forward(uint64_t wall, uint64_t host,
				    uint64_t wall_now, uint64_t host_now)
{
	int64_t passed = host_now - host;
	int64_t shown = wall_now - wall;

	return passed - shown >= CLOCK_SLACK ? passed - shown : 0;
}

#endif /* PVHVM_CLOCK_MATH_H */
