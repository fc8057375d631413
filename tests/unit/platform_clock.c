// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of platform-pci/clock_math.h: scaling against exact arithmetic,
 * and consistent copies while another thread rewrites the block.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "platform-pci/clock_math.h"

static unsigned int test_nr, failed;

static void ok(bool good, const char *name)
{
	printf("%sok %u - %s\n", good ? "" : "not ", ++test_nr, name);
	failed += !good;
}

static void test_scale(void)
{
	ok(clock_scale(0, ~0u, 0) == 0, "no ticks, no time");
	ok(clock_scale(1000, 1u << 31, 0) == 500, "2 GHz");
	ok(clock_scale(1000, 1u << 31, 1) == 1000, "1 GHz as Xen writes it");
	ok(clock_scale(3000000000ull, 0xaaaaaaabu, -1) == 1000000000ull,
	   "a second at 3 GHz");
	ok(clock_scale(~0ull >> 1, ~0u, 0) == 0x7ffffffffffffffeull -
	   0x7fffffffull, "no overflow in the product");
	ok(clock_scale(1ull << 40, 1u << 31, -8) == 1ull << 31,
	   "shift right first");
}

/* Real frequencies: a year's ticks may be off by a few ns per billion. */
static void test_drift(void)
{
	static const double mhz[] = { 1000, 2100, 2593.994, 3400.5, 4999 };
	bool good = true;

	for (unsigned int i = 0; i < sizeof(mhz) / sizeof(*mhz); i++) {
		double ns_per_tick = 1000 / mhz[i];
		int8_t shift = 0;
		uint64_t ticks = 1ull << 53, got;
		double want = ticks * ns_per_tick, err;

		while (ns_per_tick < 0.5) {
			ns_per_tick *= 2;
			shift--;
		}
		while (ns_per_tick >= 1) {
			ns_per_tick /= 2;
			shift++;
		}
		got = clock_scale(ticks, ns_per_tick * 4294967296.0, shift);
		err = (got - want) / want;
		good &= err < 1e-9 && err > -1e-9;
	}
	ok(good, "within a billionth at usual frequencies");
}

static void test_at(void)
{
	struct vcpu_time_info t = {
		.tsc_timestamp = 1000, .system_time = 5000,
		.tsc_to_system_mul = 1u << 31, .tsc_shift = 1,
	};

	ok(clock_at(&t, 1000) == 5000, "at the time stamp");
	ok(clock_at(&t, 1700) == 5700, "after it");
	ok(clock_at(&t, 999) == 5000, "a TSC behind it is not a leap ahead");
}

static void test_versions(void)
{
	struct vcpu_time_info src = { .version = 3 }, dst;

	ok(!clock_snapshot(&src, &dst), "an update under way is seen");
	src.version = 4;
	src.system_time = 77;
	src.flags = XEN_PVCLOCK_TSC_STABLE_BIT;
	ok(clock_snapshot(&src, &dst) && dst.system_time == 77 &&
	   dst.flags == XEN_PVCLOCK_TSC_STABLE_BIT && dst.version == 4,
	   "a good copy");
}

static void test_wallclock(void)
{
	struct shared_info s = {
		.wc_version = 7, .wc_sec = 5, .wc_nsec = 6, .wc_sec_hi = 1,
	};
	uint64_t ns = 0;

	ok(!clock_wallclock(&s, &ns) && !ns,
	   "an update of the wall clock under way is seen");
	s.wc_version = 8;
	ok(clock_wallclock(&s, &ns) &&
	   ns == ((1ull << 32) + 5) * 1000000000 + 6,
	   "the wall clock, beyond 32 bits of seconds");
}

static void test_forward(void)
{
	const uint64_t s = 1000000000, wall = 1700000000 * s, host = wall + 3 * s;

	ok(clock_forward(wall, host, wall, host + 60 * s) == (int64_t)(60 * s),
	   "a clock that stood still catches up");
	ok(clock_forward(wall, host, wall + 60 * s, host + 60 * s) == 0,
	   "one that went on is left alone");
	ok(clock_forward(wall, host, wall + 60 * s - s / 100,
			 host + 60 * s) == 0, "a hundredth is not worth it");
	ok(clock_forward(wall, host, wall + 59 * s, host + 60 * s) ==
	   (int64_t)s, "a second is");
	ok(clock_forward(wall, host, wall, host - 60 * s) == 0,
	   "a host that is behind does not turn the clock back");
	ok(clock_forward(wall, host, wall + 60 * s, host + s) == 0,
	   "nor one that is slow");
}

static struct vcpu_time_info shared;
static bool stop;

/* Xen's half: every field carries the same number. */
static void *writer(void *arg)
{
	for (uint32_t n = 1; !__atomic_load_n(&stop, __ATOMIC_RELAXED); n++) {
		__atomic_store_n(&shared.version, 2 * n - 1, __ATOMIC_SEQ_CST);
		__atomic_store_n(&shared.tsc_timestamp, n, __ATOMIC_SEQ_CST);
		__atomic_store_n(&shared.system_time, n, __ATOMIC_SEQ_CST);
		__atomic_store_n(&shared.tsc_to_system_mul, n, __ATOMIC_SEQ_CST);
		__atomic_store_n(&shared.version, 2 * n, __ATOMIC_SEQ_CST);
	}
	return arg;
}

static void test_race(void)
{
	struct vcpu_time_info t;
	pthread_t thread;
	unsigned int good = 0, torn = 0;

	if (pthread_create(&thread, NULL, writer, NULL)) {
		ok(false, "a second thread");
		return;
	}
	/* A writer that lost its CPU half-way is given it back. */
	for (unsigned int i = 0; i < 200000 || (!good && i < 2000000); i++) {
		if (!clock_snapshot(&shared, &t)) {
			sched_yield();
			continue;
		}
		good++;
		if (t.tsc_timestamp != t.system_time ||
		    t.tsc_to_system_mul != (uint32_t)t.system_time ||
		    t.version != 2 * (uint32_t)t.system_time)
			torn++;
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ok(good && !torn, "no torn copy beside a writer");
}

int main(void)
{
	test_scale();
	test_drift();
	test_at();
	test_versions();
	test_wallclock();
	test_forward();
	test_race();
	printf("1..%u\n", test_nr);
	return failed != 0;
}
