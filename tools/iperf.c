// SPDX-License-Identifier: GPL-2.0-only
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "measure.h"

#define GRACE_SECONDS 60
#define BUSY_TRIES 5

static int parse(const char *out, double *value, struct why *why)
{
	const char *start = strchr(out, '{');
	struct json_object *o = start ? json_tokener_parse(start) : NULL;
	struct json_object *end, *sum, *x;
	int code = PVHVM_OK;

	if (o && json_object_object_get_ex(o, "error", &x))
		code = why_set(why, PVHVM_FAILED,
			       "iperf3: %.200s; is `iperf3 -s` running on the peer and its port open?",
			       json_object_get_string(x));
	else if (o && json_object_object_get_ex(o, "end", &end) &&
		 json_object_object_get_ex(end, "sum_received", &sum) &&
		 json_object_object_get_ex(sum, "bits_per_second", &x))
		*value = json_object_get_double(x) / 1e6;
	else
		code = why_set(why, PVHVM_FAILED, "iperf3 gave no figure: run it by hand to see why");
	json_object_put(o);
	return code;
}

static int once(char *const args[], double seconds, double *value, struct why *why)
{
	char *out;
	int code = child_output(args, seconds + GRACE_SECONDS, &out, why);

	/* It says what went wrong in its JSON. */
	if (out && strchr(out, '{'))
		code = parse(out, value, why);
	free(out);
	return code;
}

int iperf_measure(const char *peer, int port, const char *source, bool receive,
		  double seconds, double *value, struct why *why)
{
	char *args[16];
	int n = 0, code;

	args[n++] = text_copy("iperf3");
	args[n++] = text_copy("--json");
	args[n++] = text_copy("--client");
	args[n++] = text_copy(peer);
	args[n++] = text_printf("--port=%d", port);
	args[n++] = text_printf("--time=%.0f", fmax(1, ceil(seconds)));
	args[n++] = text_copy("--connect-timeout=10000");
	if (source)
		args[n++] = text_printf("--bind=%s", source);
	if (receive)
		args[n++] = text_copy("--reverse");
	args[n] = NULL;
	for (int i = 0; i < BUSY_TRIES; i++) {
		code = once(args, seconds, value, why);
		/* The server ends its last test a moment after we have. */
		if (!code || !strstr(why->text, "busy"))
			break;
		sleep(1);
	}
	while (n)
		free(args[--n]);
	return code;
}
