/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * plan.h: numbered steps, each with its undo, run as one.
 */
#ifndef PVHVM_PLAN_H
#define PVHVM_PLAN_H

#include <json-c/json.h>
#include <stdbool.h>

#include "text.h"

enum step_state {
	STEP_PLANNED,
	STEP_DONE,
	STEP_FAILED,
	STEP_UNDONE,
	STEP_UNDO_FAILED,
};

typedef int (*step_fn)(void *arg, struct why *why);

struct step {
	char *what;
	char *undo_what;	/* NULL: changes nothing that needs undoing */
	step_fn run;
	step_fn undo;		/* takes half-done work; NULL if there is none */
	void *arg;
	bool final;		/* cannot be undone, nor anything before it */
	bool stays;		/* is not undone, because a later one could not be */
	enum step_state state;
	double seconds;
};

struct plan {
	struct step *steps;
	int nr_steps;
};

/**
 * plan_add() - append a step
 * @run: PVHVM_OK, or another exit code with the reason
 * @undo: called when this or a later step fails, in reverse order; returns
 *	PVHVM_PARTIAL when the device must stay as it is now: then the earlier
 *	steps with the same @arg are not undone
 * @what, @undo_what: for people; the plan takes both over (heap strings)
 */
void plan_add(struct plan *plan, step_fn run, step_fn undo, void *arg,
	      char *what, char *undo_what);

/* Append a step with no way back: once done, earlier steps stay done. */
void plan_add_final(struct plan *plan, step_fn run, void *arg, char *what);

/* Print the numbered steps and their undo. */
void plan_print(const struct plan *plan);

/**
 * plan_run() - run all steps, or none
 *
 * "None" ends at the last final step that is done: what came before stays, and
 * that is PVHVM_PARTIAL.
 *
 * SIGHUP, SIGPIPE and the terminal's stop signals are ignored from here on;
 * SIGINT and SIGTERM stop the plan before its next step and undo it, unless
 * only what follows a final step and has no undo is left.
 * PVHVM_FAIL_STEP=N in the environment makes step N fail before it does
 * anything, N+ after it has done everything.
 *
 * Return: PVHVM_OK; the failed step's code, everything undone; or
 * PVHVM_PARTIAL when something stays done.
 */
int plan_run(struct plan *plan, struct why *why);

/* How long an undo waits for its device, when a step waits @wait seconds. */
double plan_undo_seconds(double wait);

struct json_object *plan_json(const struct plan *plan);
void plan_free(struct plan *plan);

#endif
