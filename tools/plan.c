// SPDX-License-Identifier: GPL-2.0-only
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "json_text.h"
#include "plan.h"

/* What an undo waits for is all there is left to hope for. */
#define UNDO_SECONDS 10.0

/* Of the first reason, when more comes after it. */
#define REASON_LENGTH 200

static volatile sig_atomic_t stop_asked;

void plan_add(struct plan *plan, step_fn run, step_fn undo, void *arg,
	      char *what, char *undo_what)
{
	struct step *step;

	plan->steps = text_grow(plan->steps, plan->nr_steps + 1, sizeof(*step));
	step = &plan->steps[plan->nr_steps++];
	*step = (struct step) {
		.what = what, .undo_what = undo_what,
		.run = run, .undo = undo, .arg = arg,
	};
}

void plan_add_final(struct plan *plan, step_fn run, void *arg, char *what)
{
	plan_add(plan, run, NULL, arg, what, NULL);
	plan->steps[plan->nr_steps - 1].final = true;
}

void plan_print(const struct plan *plan)
{
	for (int i = 0; i < plan->nr_steps; i++) {
		const struct step *s = &plan->steps[i];

		say("%3d. %s", i + 1, s->what);
		if (s->undo_what)
			say("       undo: %s", s->undo_what);
		else if (s->final)
			say("       cannot be undone: what is done by then stays");
	}
}

static void on_stop(int sig)
{
	stop_asked = sig;
}

/*
 * The session that started us may run over the very NIC we take down: its end
 * (SIGHUP, a broken pipe) must not leave the work half done. No SA_RESTART is
 * needed: what waits in here polls.
 */
static void guard_signals(void)
{
	static const int ignored[] = { SIGHUP, SIGPIPE, SIGTSTP, SIGTTOU, SIGTTIN, SIGQUIT };
	struct sigaction stop = { .sa_handler = on_stop, .sa_flags = SA_RESTART };
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		sigaction(ignored[i], &ignore, NULL);
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	say_may_be_lost();
	/* The file system we come from may be behind that NIC, too. */
	mlockall(MCL_CURRENT | MCL_FUTURE);
}

double plan_undo_seconds(double wait)
{
	return wait > UNDO_SECONDS ? wait : UNDO_SECONDS;
}

/* Only what tidies up behind a final step is left: to stop would undo nothing. */
static bool tidies_up(const struct plan *plan, int i)
{
	for (int j = i; j < plan->nr_steps; j++)
		if (plan->steps[j].undo || plan->steps[j].final)
			return false;
	while (--i >= 0 && !plan->steps[i].final)
		if (plan->steps[i].undo)
			return false;
	return i >= 0;
}

/* PVHVM_FAIL_STEP: N or N+; 0 if unset. */
static int wanted_failure(bool *after)
{
	const char *s = getenv("PVHVM_FAIL_STEP");
	char *end;
	long n;

	*after = false;
	if (!s)
		return 0;
	n = strtol(s, &end, 10);
	*after = *end == '+';
	return n;
}

static int run_step(struct plan *plan, int i, bool *entered, struct why *why)
{
	struct step *s = &plan->steps[i];
	bool after;
	bool fail = wanted_failure(&after) == i + 1;
	double start = text_now();
	int code;

	*entered = false;
	if (stop_asked && !tidies_up(plan, i))
		return why_set(why, PVHVM_FAILED, "stopped by %s before: %s",
			       strsignal(stop_asked), s->what);
	if (fail && !after)
		return why_set(why, PVHVM_FAILED, "failed on request (PVHVM_FAIL_STEP=%d): %s",
			       i + 1, s->what);
	*entered = true;
	code = s->run(s->arg, why);
	s->seconds = text_now() - start;
	if (!code && fail)
		code = why_set(why, PVHVM_FAILED,
			       "failed on request (PVHVM_FAIL_STEP=%d+): %s", i + 1, s->what);
	return code;
}

/* Not all is undone: say so behind the reason that led to the undo. */
__attribute__((format(printf, 2, 3)))
static int partial(struct why *why, const char *fmt, ...)
{
	size_t len = strnlen(why->text, REASON_LENGTH);
	va_list args;

	va_start(args, fmt);
	vsnprintf(why->text + len, sizeof(why->text) - len, fmt, args);
	va_end(args);
	return PVHVM_PARTIAL;
}

/* Without what step @i took away, the steps before it cannot be undone, either. */
static void leave_device(struct plan *plan, int i)
{
	for (int j = 0; j < i; j++)
		if (plan->steps[j].arg == plan->steps[i].arg)
			plan->steps[j].stays = true;
}

/* Undo @last and everything before it; goes on when one undo fails. */
static int undo_from(struct plan *plan, int last, struct why *why)
{
	int code = PVHVM_OK;

	for (int i = last; i >= 0; i--) {
		struct step *s = &plan->steps[i];
		struct why undo_why = { "" };
		int undo_code;

		if (s->final && s->state == STEP_DONE) {
			say("  steps 1 to %d stay done", i + 1);
			if (!code)
				code = partial(why, "; steps 1 to %d stay done", i + 1);
			break;
		}
		if (s->stays)
			continue;
		if (!s->undo) {
			if (s->state == STEP_DONE)
				s->state = STEP_UNDONE;
			continue;
		}
		undo_code = s->undo(s->arg, &undo_why);
		if (undo_code) {
			s->state = STEP_UNDO_FAILED;
			say_err("pvhvm: could not undo step %d: %s", i + 1, undo_why.text);
			if (!code)
				code = partial(why, "; and undoing step %d failed: %s", i + 1,
					       undo_why.text);
			if (undo_code == PVHVM_PARTIAL)
				leave_device(plan, i);
			continue;
		}
		if (s->state == STEP_DONE)
			s->state = STEP_UNDONE;
		say("  undone %d: %s", i + 1, s->undo_what ? s->undo_what : s->what);
	}
	return code;
}

int plan_run(struct plan *plan, struct why *why)
{
	guard_signals();
	for (int i = 0; i < plan->nr_steps; i++) {
		struct step *s = &plan->steps[i];
		bool entered;
		int code, undo_code;

		code = run_step(plan, i, &entered, why);
		if (!code) {
			s->state = STEP_DONE;
			say("%3d. %s (%.0f ms)", i + 1, s->what, s->seconds * 1e3);
			continue;
		}
		s->state = STEP_FAILED;
		say("%3d. failed: %s", i + 1, why->text);
		undo_code = undo_from(plan, entered ? i : i - 1, why);
		return undo_code ? undo_code : code;
	}
	return PVHVM_OK;
}

struct json_object *plan_json(const struct plan *plan)
{
	static const char *const words[] = {
		[STEP_PLANNED] = "planned", [STEP_DONE] = "done",
		[STEP_FAILED] = "failed", [STEP_UNDONE] = "undone",
		[STEP_UNDO_FAILED] = "undo-failed",
	};
	struct json_object *list = json_object_new_array();

	for (int i = 0; i < plan->nr_steps; i++) {
		const struct step *s = &plan->steps[i];
		struct json_object *o = json_object_new_object();

		json_object_object_add(o, "step", json_object_new_int(i + 1));
		json_object_object_add(o, "what", json_text(s->what));
		if (s->undo_what)
			json_object_object_add(o, "undo", json_text(s->undo_what));
		json_object_object_add(o, "state", json_text(words[s->state]));
		json_object_object_add(o, "seconds", json_object_new_double(s->seconds));
		json_object_array_add(list, o);
	}
	return list;
}

void plan_free(struct plan *plan)
{
	for (int i = 0; i < plan->nr_steps; i++) {
		free(plan->steps[i].what);
		free(plan->steps[i].undo_what);
	}
	free(plan->steps);
	memset(plan, 0, sizeof(*plan));
}
