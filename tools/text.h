/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * text.h: strings, error lines, and output that never blocks a switch.
 */
#ifndef PVHVM_TEXT_H
#define PVHVM_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "exit_codes.h"

/* One line: the cause, and the way out. */
struct why {
	char text[512];
};

/**
 * why_set() - say why something failed
 * @why: filled; an earlier text is replaced
 * @code: returned, so that a caller can write `return why_set(...)`
 */
__attribute__((format(printf, 3, 4)))
int why_set(struct why *why, int code, const char *fmt, ...);

/* printf into a new string; never NULL (out of memory ends the program). */
__attribute__((format(printf, 1, 2), malloc))
char *text_printf(const char *fmt, ...);
char *text_copy(const char *s);
void *text_alloc(size_t size);		/* zeroed, never NULL */
void *text_grow(void *old, size_t count, size_t size);

/* Copy with truncation to whole characters, always terminated. */
void text_set(char *to, size_t size, const char *from);

/*
 * Put a question mark in the place of each byte that is not UTF-8. The names
 * of interfaces may hold any; JSON and Prometheus' format may not.
 */
void text_utf8(char *s);

/**
 * say() - a line for people, on standard output
 *
 * Lines are queued and written only while the terminal takes them at once:
 * an ssh session running over the NIC that is being switched must not be able
 * to stop the switch by not reading. What is left is written by say_flush().
 */
__attribute__((format(printf, 1, 2)))
void say(const char *fmt, ...);
void say_quiet(bool quiet);		/* drop say() lines: --json is in use */
void say_may_be_lost(void);		/* from now on what nobody reads is no failure */

/*
 * Waits for the reader, after say_may_be_lost() two seconds at most; PVHVM_FAILED,
 * and a line, if he is gone.
 */
int say_flush(struct why *why);

/* A progress or warning line on standard error; same queueing rules. */
__attribute__((format(printf, 1, 2)))
void say_err(const char *fmt, ...);

/* Put a finished text (JSON) on standard output, in full. */
void say_raw(const char *text);

/* Monotonic time in seconds. */
double text_now(void);

#endif
