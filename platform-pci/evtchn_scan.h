/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * evtchn_scan.h: which bit of a word comes next, going round. Pure, compiles
 * in user space too.
 */
#ifndef PVHVM_EVTCHN_SCAN_H
#define PVHVM_EVTCHN_SCAN_H

/**
 * scan_next() - the first set bit at or after a position, wrapping around
 * @bits: the word, not 0
 * @start: where to begin, 0..63
 *
 * Return: the bit's number, 0..63.
 */
static inline unsigned int scan_next(unsigned long bits, unsigned int start)
{
	unsigned long upper = bits & (~0ul << start);

	return __builtin_ctzl(upper ? upper : bits);
}

#endif /* PVHVM_EVTCHN_SCAN_H */
