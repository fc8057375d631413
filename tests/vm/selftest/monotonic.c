// SPDX-License-Identifier: GPL-2.0-only
/*
 * monotonic SECONDS: does CLOCK_MONOTONIC ever run backwards, seen from all
 * CPUs together? One thread for each CPU; each compares what it reads with the
 * latest time any other had read before. Prints one line; exit code 1 if it did.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static _Atomic int64_t latest, worst;
static _Atomic unsigned long reads, backwards;
static int64_t end;

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void *watch(void *arg)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((long)arg, &set);
	sched_setaffinity(0, sizeof(set), &set);
	for (;;) {
		int64_t before = atomic_load(&latest), t = now();

		atomic_fetch_add(&reads, 1);
		if (t < before) {
			atomic_fetch_add(&backwards, 1);
			if (before - t > atomic_load(&worst))
				atomic_store(&worst, before - t);
		}
		while (t > before &&
		       !atomic_compare_exchange_weak(&latest, &before, t))
			;
		if (t > end)
			return NULL;
	}
}

int main(int argc, char **argv)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN), i;
	pthread_t thread[64];

	if (argc != 2 || cpus > 64)
		return 2;
	end = now() + atoi(argv[1]) * 1000000000ll;
	for (i = 0; i < cpus; i++)
		if (pthread_create(&thread[i], NULL, watch, (void *)i))
			return 2;
	for (i = 0; i < cpus; i++)
		pthread_join(thread[i], NULL);
	printf("%lu reads on %ld CPUs, %lu backwards, worst %lld ns\n", reads,
	       cpus, backwards, (long long)worst);
	return backwards != 0;
}
