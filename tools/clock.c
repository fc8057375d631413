// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>
#include <time.h>
#include <x86intrin.h>

#include "json_text.h"
#include "measure.h"
#include "sysfs.h"

static double seconds_of(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

void clock_read(struct clock_now *now, const char *peer)
{
	memset(now, 0, sizeof(*now));
	/* First: it takes a round trip. */
	now->has_peer = peer && rtt_peer_clock(peer, &now->peer);
	now->realtime = seconds_of(CLOCK_REALTIME);
	now->monotonic = seconds_of(CLOCK_MONOTONIC);
	now->raw = seconds_of(CLOCK_MONOTONIC_RAW);
	now->tsc = __rdtsc();
}

static struct json_object *now_json(const struct clock_now *now)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "realtime", json_object_new_double(now->realtime));
	json_object_object_add(o, "monotonic", json_object_new_double(now->monotonic));
	json_object_object_add(o, "monotonic_raw", json_object_new_double(now->raw));
	json_object_object_add(o, "tsc", json_object_new_int64(now->tsc));
	if (now->has_peer)
		json_object_object_add(o, "peer_offset", json_object_new_double(now->peer));
	return o;
}

struct json_object *clock_json(const struct clock_now *start, const struct clock_now *end)
{
	struct json_object *o = json_object_new_object();
	double raw = end->raw - start->raw;
	char source[32];

	sysfs_read(source, sizeof(source),
		   "/sys/devices/system/clocksource/clocksource0/current_clocksource");
	json_object_object_add(o, "clocksource", json_text(source));
	json_object_object_add(o, "start", now_json(start));
	json_object_object_add(o, "end", now_json(end));
	if (raw <= 0)
		return o;
	json_object_object_add(o, "monotonic_ppm", json_object_new_double(
		((end->monotonic - start->monotonic) / raw - 1) * 1e6));
	json_object_object_add(o, "realtime_ppm", json_object_new_double(
		((end->realtime - start->realtime) / raw - 1) * 1e6));
	json_object_object_add(o, "tsc_hz", json_object_new_double((end->tsc - start->tsc) / raw));
	if (start->has_peer && end->has_peer)
		json_object_object_add(o, "peer_ppm", json_object_new_double(
			(end->peer - start->peer) / raw * 1e6));
	return o;
}
