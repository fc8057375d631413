/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * exit_codes.h: what the command's exit status means. pvhvm(8) has the same
 * list. Every function that can fail returns one of these and says why in a
 * struct why, so that the code travels unchanged to main().
 */
#ifndef PVHVM_EXIT_CODES_H
#define PVHVM_EXIT_CODES_H

enum pvhvm_exit {
	PVHVM_OK = 0,
	PVHVM_FAILED = 1,	/* a step failed; what was begun has been undone */
	PVHVM_USAGE = 2,	/* the command line makes no sense */
	PVHVM_NOT_ROOT = 3,
	PVHVM_NOTHING = 4,	/* nothing to do: no such device, no twin, done already */
	PVHVM_REFUSED = 5,	/* in use, or the host or the driver says no; nothing changed */
	PVHVM_NO_DRIVERS = 6,	/* not on Xen, modules not loaded, or in-kernel Xen active */
	PVHVM_PARTIAL = 7,	/* failed, and not all is undone: needs a look */
	PVHVM_NO_PROGRAM = 8,	/* fio or iperf3 is not installed */
};

#endif
