/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * measure.h: one sample of each kind. fio.c, iperf.c, rtt.c, clock.c.
 */
#ifndef PVHVM_MEASURE_H
#define PVHVM_MEASURE_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "text.h"

/**
 * fio_measure() - run fio once
 * @row: disk.*
 * @path: a file that fio may create, or a block device
 * @size: of the file, in bytes; 0 for all of a device
 * @seconds: run time
 * @value: IOPS or MB/s (1e6 bytes)
 */
int fio_measure(const char *row, const char *path, uint64_t size, double seconds,
		double *value, struct why *why);
bool fio_writes(const char *row);

/**
 * iperf_measure() - run iperf3 against a server, one stream
 * @source: local address to bind to, or NULL
 * @value: Mbit/s as the receiver counted them
 */
int iperf_measure(const char *peer, int port, const char *source, bool receive,
		  double seconds, double *value, struct why *why);

/**
 * rtt_measure() - ping for a while
 * @device: interface to bind to, or NULL
 * @value: median of the round trips in microseconds
 */
int rtt_measure(const char *peer, const char *device, double seconds,
		double *value, struct why *why);

/* May we ping? Asked before anything else is measured. */
int rtt_check(const char *peer, const char *device, struct why *why);

/**
 * rtt_peer_clock() - the peer's clock minus ours, by ICMP timestamps (IPv4)
 * Return: false if the peer does not tell. Good to a millisecond.
 */
bool rtt_peer_clock(const char *peer, double *seconds);

/* All clocks at one moment. */
struct clock_now {
	double realtime, monotonic, raw;
	uint64_t tsc;
	double peer;		/* rtt_peer_clock(), if @has_peer */
	bool has_peer;
};

void clock_read(struct clock_now *now, const char *peer);

/* Both ends, and how the clocks went against each other in between. */
struct json_object *clock_json(const struct clock_now *start, const struct clock_now *end);

#endif
