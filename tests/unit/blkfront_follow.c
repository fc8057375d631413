// SPDX-License-Identifier: GPL-2.0-only
/* Unit tests of blkfront/follow.h. */
#include <stdio.h>

#include "blkfront/follow.h"

static unsigned int test_nr, failed;

static void ok(bool good, const char *name)
{
	printf("%sok %u - %s\n", good ? "" : "not ", ++test_nr, name);
	failed += !good;
}

/* So many interrupts that say the same; @at: where they come, moved as told. Return: moves. */
static unsigned int run(struct blkf_follow *f, unsigned int times,
			int submitter, unsigned int in_flight, int *at)
{
	unsigned int moves = 0;

	while (times--) {
		int to = blkf_follow_look(f, *at, submitter, in_flight);

		if (to != BLKF_FOLLOW_STAY) {
			*at = to;
			moves++;
		}
	}
	return moves;
}

int main(void)
{
	struct blkf_follow f;
	int at = 0;

	blkf_follow_init(&f, 0);
	ok(!run(&f, 1000, 0, 0, &at), "a lone submitter at home: stays");
	ok(!run(&f, 1000, 0, 32, &at) && !run(&f, 1000, 1, 32, &at), "busy at home: stays");
	ok(!run(&f, BLKF_FOLLOW_SURE - 1, 1, 0, &at), "not moved before it is sure");
	ok(run(&f, 1, 1, 0, &at) == 1 && at == 1, "visits a lone submitter");
	ok(!run(&f, 1000, 1, 0, &at), "and stays with him");
	ok(!run(&f, 1000, 1, 2, &at), "neither alone nor busy: stays");
	ok(run(&f, 1000, 2, 0, &at) == 1 && at == 2, "from one to the next");
	ok(run(&f, 1000, 2, BLKF_FOLLOW_BUSY, &at) == 1 && at == 0, "home when it is busy");
	for (unsigned int i = 0; i < 1000; i++)
		run(&f, BLKF_FOLLOW_SURE - 1, i & 1 ? 1 : 2, 0, &at);
	ok(at == 0, "two that take turns move nothing");
	blkf_follow_init(&f, 0);
	ok(!run(&f, BLKF_FOLLOW_SURE - 1, 1, 0, &at) && !run(&f, 1, 0, 9, &at) &&
	   !run(&f, 1, 1, 0, &at), "one that says otherwise makes it unsure");
	blkf_follow_init(&f, 0);
	at = 0;
	ok(run(&f, BLKF_FOLLOW_SURE, 1, 0, &at) == 1, "wants to move");
	at = 0;
	ok(run(&f, BLKF_FOLLOW_SURE, 1, 0, &at) == 1, "refused: wants it again");
	printf("1..%u\n", test_nr);
	return failed != 0;
}
