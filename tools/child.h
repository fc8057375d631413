/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * child.h: programs that do part of the work: fio, iperf3, udevadm, systemctl.
 */
#ifndef PVHVM_CHILD_H
#define PVHVM_CHILD_H

#include "text.h"

/*
 * Run, output dropped, out of the terminal's reach.
 * Return: its exit status, -1 if it did not run.
 */
int child_run_quietly(char *const argv[]);

#define CHILD_GOES_ON (-2)

/**
 * child_start() - start what is to go on by itself, output dropped
 * @cgroup_procs: the control group it is to be in, or NULL: ours
 * @seconds: how long to wait for it to go to the background
 *
 * Return: its exit status; CHILD_GOES_ON if it has not ended by then; -1 if it
 * did not run.
 */
int child_start(const char *program, char *const argv[], const char *cgroup_procs,
		double seconds);

/**
 * child_output() - run and collect standard output
 * @seconds: killed when it runs longer
 * @out: its standard output, to be freed; also set when the status is not 0
 *
 * Return: PVHVM_OK when it ended with status 0; PVHVM_NO_PROGRAM when it is
 * not installed; PVHVM_FAILED with the first line of its complaint.
 */
int child_output(char *const argv[], double seconds, char **out, struct why *why);

/* End what child_output() has started, and wait for its end. For a signal's handler. */
void child_stop(void);

/* Can it be run? If not, @why says what to install. */
bool child_is_installed(const char *program, struct why *why);

#endif
