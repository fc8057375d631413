// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of platform-pci/timer_lazy.h: single decisions, and a model of
 * Xen and a kernel that must never get an event late.
 */
#include <stdio.h>
#include <stdlib.h>

#include "platform-pci/timer_lazy.h"

#define MS	1000000ull

static unsigned int test_nr, failed;

static void ok(bool good, const char *name)
{
	printf("%sok %u - %s\n", good ? "" : "not ", ++test_nr, name);
	failed += !good;
}

static void test_decisions(void)
{
	struct timer_lazy t;
	bool tell;

	timer_lazy_init(&t);
	ok(timer_lazy_set(&t, 1, 4 * MS) && t.armed == 4 * MS, "the first is told");
	ok(timer_lazy_set(&t, 2, 3 * MS), "an earlier one is told");
	ok(!timer_lazy_set(&t, 3, 3 * MS), "the same is not");
	ok(!timer_lazy_set(&t, 1 * MS, 90 * MS), "put off: not told at first");
	ok(t.armed == 3 * MS && t.wanted == 90 * MS, "what Xen knows stays");
	ok(!timer_lazy_set(&t, 1 * MS + 500, 3 * MS), "back in time: not told");
	ok(!timer_lazy_set(&t, 2 * MS, TIMER_NEVER), "not at all is a time, too");
	ok(!timer_lazy_due(&t, 3 * MS, &tell) && !tell,
	   "an event that nobody wants: Xen has nothing to do");
	ok(timer_lazy_set(&t, 50 * MS, 54 * MS), "the long idleness is over");
	ok(timer_lazy_set(&t, 51 * MS, 99 * MS), "put off after a long one: told");
	ok(timer_lazy_set(&t, 51 * MS + 10, 54 * MS), "and told of the return");
	for (unsigned int i = 0; i < 8; i++) {
		timer_lazy_set(&t, 51 * MS + 100 * i, 99 * MS);
		timer_lazy_set(&t, 51 * MS + 100 * i + 50, 54 * MS);
	}
	ok(!timer_lazy_set(&t, 52 * MS, 99 * MS), "short ones are learnt");
	ok(!timer_lazy_due(&t, 54 * MS, &tell) && tell && t.armed == 99 * MS,
	   "too early: Xen is told the rest");
	ok(!timer_lazy_due(&t, 99 * MS - 40000, &tell) && tell && t.armed == 99 * MS,
	   "Xen is too early by itself: told again");
	ok(timer_lazy_due(&t, 99 * MS - TIMER_SLACK, &tell) && !tell,
	   "a little early is in time");
	ok(timer_lazy_set(&t, 100 * MS, 1 * MS), "a time that has passed is told");
}

static u64 up_to(u64 bound)
{
	return (u64)rand() % bound;
}

/* Xen fires when it said so, or up to 50 us before; the kernel changes its mind at random. */
static void test_model(void)
{
	struct timer_lazy t;
	u64 now = 1, xen = TIMER_NEVER, told = 0, sets = 0, late = 0, lost = 0;
	bool tell;

	timer_lazy_init(&t);
	srand(1);
	for (unsigned int i = 0; i < 1000000; i++) {
		u64 next = now + up_to(2 * MS);

		while (xen != TIMER_NEVER && xen <= next) {
			u64 at = xen > now ? xen : now;
			bool wanted;

			late += t.wanted < at - TIMER_SLACK && at > TIMER_SLACK;
			xen = TIMER_NEVER;
			if (at > now + 50000)
				at -= up_to(50000);
			now = at;
			wanted = t.wanted <= now;
			if (timer_lazy_due(&t, now, &tell)) {
				t.wanted = TIMER_NEVER;
			} else {
				lost += wanted;
				if (tell)
					xen = t.armed;
			}
		}
		/* nobody may wait for what Xen does not know */
		lost += t.wanted != TIMER_NEVER && t.wanted < next &&
			(xen == TIMER_NEVER || xen > t.wanted);
		now = next;
		sets++;
		if (timer_lazy_set(&t, now, up_to(5) ? now + 1000 + up_to(8 * MS) :
				   TIMER_NEVER)) {
			xen = t.armed;
			told++;
		}
	}
	ok(!late, "no event is late");
	ok(!lost, "no event is lost");
	ok(told < sets, "Xen is told less often");
	printf("# told %llu of %llu\n", (unsigned long long)told, (unsigned long long)sets);
}

int main(void)
{
	test_decisions();
	test_model();
	printf("1..%u\n", test_nr);
	return failed != 0;
}
