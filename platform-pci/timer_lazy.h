/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * timer_lazy.h: when Xen has to be told of a timer. Pure, compiles in user
 * space too.
 *
 * A CPU that goes idle puts its tick off and, when it is woken, wants it again.
 * Were Xen told each time, an idle moment in the middle of I/O would cost two
 * hypercalls. A timer that is left as it is costs one event, and only if the
 * idleness lasts until then. So it is left when such moments were shorter of
 * late, and Xen is told when they were longer.
 */
#ifndef PVHVM_TIMER_LAZY_H
#define PVHVM_TIMER_LAZY_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stdint.h>
typedef uint64_t u64;
#endif

#define TIMER_NEVER	(~0ull)
/* An event so much too early is in time (ns): telling Xen again takes as long. */
#define TIMER_SLACK	2000

/**
 * struct timer_lazy - one timer; all times in ns, on one clock
 * @armed: when Xen sends its event
 * @wanted: when the kernel wants it; not before @armed
 * @since: when the kernel put it off last; 0: it has not, or has come back
 * @gap: how long it took to come back, of late
 */
struct timer_lazy {
	u64 armed;
	u64 wanted;
	u64 since;
	u64 gap;
};

static inline void timer_lazy_init(struct timer_lazy *t)
{
	*t = (struct timer_lazy) {
		.armed = TIMER_NEVER,
		.wanted = TIMER_NEVER,
	};
}

static inline bool timer_lazy_runs(const struct timer_lazy *t, u64 now)
{
	return t->armed != TIMER_NEVER && t->armed > now;
}

/**
 * timer_lazy_set() - the kernel wants the event at another time
 * @t: the timer
 * @now: the time
 * @wanted: absolute; TIMER_NEVER: not at all
 *
 * Return: does Xen have to be told (it is taken to be)?
 */
static inline bool timer_lazy_set(struct timer_lazy *t, u64 now, u64 wanted)
{
	t->wanted = wanted;
	if (t->since) {
		t->gap = (t->gap + (now - t->since)) / 2;
		t->since = 0;
	}
	if (timer_lazy_runs(t, now) && wanted >= t->armed) {
		if (wanted == t->armed)
			return false;
		t->since = now;
		if (t->gap < t->armed - now)
			return false;
	}
	t->armed = wanted;
	return true;
}

/**
 * timer_lazy_due() - an event has come
 * @t: the timer
 * @now: the time
 * @tell: where it goes whether Xen has to be told of the time in @t->armed
 *
 * One that is not what the kernel waits for may be of an earlier time; or of
 * this one, and so much too soon (Xen's "timer_slop", 50 us) that it looks like
 * the former. Hence Xen is told in any case.
 * Return: is it what the kernel waits for?
 */
static inline bool timer_lazy_due(struct timer_lazy *t, u64 now, bool *tell)
{
	bool due = t->wanted <= now + TIMER_SLACK;

	t->armed = due ? TIMER_NEVER : t->wanted;
	*tell = t->armed != TIMER_NEVER;
	return due;
}

#endif
