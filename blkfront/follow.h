/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * follow.h: on which CPU a ring's interrupt is wanted.
 *
 * Who has one request at a time waits for it: then it is best answered where
 * he is, as waking another CPU costs an interrupt between them. Who has many
 * is best left to submit while another CPU completes. So the interrupt visits
 * a lone submitter, and goes home when the ring is busy.
 * Compiles in user space too, see tests/unit/blkfront_follow.c.
 */
#ifndef PVHVM_BLKFRONT_FOLLOW_H
#define PVHVM_BLKFRONT_FOLLOW_H

#ifndef __KERNEL__
#include <stdbool.h>
#include <stdint.h>
#endif

/* As many interrupts in a row must say the same. */
#define BLKF_FOLLOW_SURE	16
/* Requests in flight that make a ring busy. */
#define BLKF_FOLLOW_BUSY	4

#define BLKF_FOLLOW_STAY	(-1)

/**
 * struct blkf_follow - what the last interrupts said
 * @home: CPU of the interrupt when nobody is visited
 * @wish: CPU that the last interrupts wished it on
 * @sure: how many in a row
 */
struct blkf_follow {
	int home;
	int wish;
	unsigned int sure;
};

static inline void blkf_follow_init(struct blkf_follow *f, int home)
{
	f->home = home;
	f->wish = home;
	f->sure = 0;
}

/**
 * blkf_follow_look() - an interrupt has brought responses
 * @f: the ring's
 * @at: CPU that it has come to
 * @submitter: CPU that the last request answered came from
 * @in_flight: requests that are not answered yet
 *
 * Return: the CPU to direct the interrupt to, or BLKF_FOLLOW_STAY.
 */
static inline int blkf_follow_look(struct blkf_follow *f, int at,
				   int submitter, unsigned int in_flight)
{
	int wish = at;

	if (!in_flight)
		wish = submitter;
	else if (in_flight >= BLKF_FOLLOW_BUSY)
		wish = f->home;
	if (wish == at) {
		f->sure = 0;
		return BLKF_FOLLOW_STAY;
	}
	if (wish != f->wish)
		f->sure = 0;
	f->wish = wish;
	if (++f->sure < BLKF_FOLLOW_SURE)
		return BLKF_FOLLOW_STAY;
	f->sure = 0;
	return wish;
}

#endif /* PVHVM_BLKFRONT_FOLLOW_H */
