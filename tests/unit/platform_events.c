// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of platform-pci/evtchn_scan.h and fifo_queue.h. For the latter
 * Xen's half of the FIFO protocol is played here: first step by step, then
 * many random rounds, then by another thread.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "platform-pci/evtchn_scan.h"
#include "platform-pci/fifo_queue.h"

#define PORTS	64
#define QUEUE	EVTCHN_FIFO_PRIORITY_DEFAULT

static unsigned int test_nr, failed;

static void ok(bool good, const char *name)
{
	printf("%sok %u - %s\n", good ? "" : "not ", ++test_nr, name);
	failed += !good;
}

static void test_scan(void)
{
	unsigned long bits = 0x8000000000000011ul, seen = 0;
	unsigned int n = 0, at = 5;
	bool order;

	ok(scan_next(1, 0) == 0, "first bit");
	ok(scan_next(1, 1) == 0, "wraps around");
	ok(scan_next(bits, 5) == 63, "up to the last bit");
	ok(scan_next(bits, 63) == 63, "at the start itself");
	while (bits) {
		at = scan_next(bits, at);
		seen |= 1ul << at;
		bits &= ~(1ul << at);
		n++;
	}
	order = n == 3 && at == 4;
	ok(seen == 0x8000000000000011ul && order, "each once, going round");
}

static event_word_t words[PORTS];
static struct evtchn_fifo_control_block block;

static event_word_t *word_of(evtchn_port_t port)
{
	return port < PORTS ? &words[port] : NULL;
}

/* Xen's side, one queue: what xen/event_channel.h describes. */
static evtchn_port_t xen_tail;

static void xen_raise(evtchn_port_t port)
{
	event_word_t old = __sync_fetch_and_or(&words[port], FIFO_BIT(PENDING));
	event_word_t *tail;

	if ((old & FIFO_BIT(PENDING)) || (old & FIFO_BIT(MASKED)))
		return;
	if (__sync_fetch_and_or(&words[port], FIFO_BIT(LINKED)) &
	    FIFO_BIT(LINKED))
		return;
	/* Behind the tail if that is still in the queue, else a new queue. */
	tail = xen_tail ? &words[xen_tail] : NULL;
	while (tail && xen_tail != port) {
		event_word_t w = __atomic_load_n(tail, __ATOMIC_SEQ_CST);

		if (!(w & FIFO_BIT(LINKED)))
			break;
		if (__sync_bool_compare_and_swap(tail, w, (w &
				~EVTCHN_FIFO_LINK_MASK) | port)) {
			xen_tail = port;
			return;
		}
	}
	xen_tail = port;
	__atomic_store_n(&block.head[QUEUE], port, __ATOMIC_SEQ_CST);
	__sync_fetch_and_or(&block.ready, 1u << QUEUE);
}

static evtchn_port_t head;

static void start_over(void)
{
	memset(words, 0, sizeof(words));
	memset(&block, 0, sizeof(block));
	xen_tail = 0;
	head = 0;
}

/* One dispatch; counts handled ports, @seen gets them in order. */
static unsigned int consume(evtchn_port_t *seen, unsigned int max)
{
	unsigned int n = 0;
	uint32_t ready = __atomic_exchange_n(&block.ready, 0, __ATOMIC_SEQ_CST);

	while (ready) {
		event_word_t *word;
		evtchn_port_t port = fifo_pop(&head, &block.head[QUEUE],
					      word_of, &word);

		if (!head)
			ready = 0;
		if (port && (*word & FIFO_BIT(PENDING)) &&
		    !(*word & FIFO_BIT(MASKED))) {
			__sync_fetch_and_and(word, ~FIFO_BIT(PENDING));
			if (n < max)
				seen[n] = port;
			n++;
		}
		ready |= __atomic_exchange_n(&block.ready, 0, __ATOMIC_SEQ_CST);
	}
	return n;
}

static void test_order(void)
{
	evtchn_port_t seen[8];
	unsigned int n;

	start_over();
	xen_raise(9);
	xen_raise(3);
	xen_raise(3);
	xen_raise(20);
	n = consume(seen, 8);
	ok(n == 3 && seen[0] == 9 && seen[1] == 3 && seen[2] == 20,
	   "in order of arrival, each once");
	ok(consume(seen, 8) == 0, "then empty");
	xen_raise(3);
	ok(consume(seen, 8) == 1 && seen[0] == 3, "a new queue begins");
}

static void test_nonsense(void)
{
	evtchn_port_t seen[8];

	start_over();
	block.ready = 1u << QUEUE;
	ok(consume(seen, 8) == 0 && !head, "ready, but no head");
	block.ready = 1u << QUEUE;
	block.head[QUEUE] = PORTS + 5;
	ok(consume(seen, 8) == 0 && !head, "a head that is no port");
	words[7] = FIFO_BIT(PENDING) | FIFO_BIT(LINKED) | (PORTS + 1);
	block.ready = 1u << QUEUE;
	block.head[QUEUE] = 7;
	ok(consume(seen, 8) == 1 && seen[0] == 7 && !head,
	   "a link to nowhere is dropped");
}

static void test_mask(void)
{
	evtchn_port_t seen[8];

	start_over();
	words[5] = FIFO_BIT(MASKED);
	xen_raise(5);
	ok(consume(seen, 8) == 0, "masked: silent");
	ok(!fifo_unmask(&words[5]) && (words[5] & FIFO_BIT(MASKED)),
	   "pending: Xen must unmask");
	words[5] = FIFO_BIT(MASKED) | FIFO_BIT(LINKED) | 9;
	ok(fifo_unmask(&words[5]) && words[5] == (FIFO_BIT(LINKED) | 9),
	   "not pending: unmasked, the link stays");
	ok(fifo_unmask(&words[5]), "unmasked already");
	/* Masked while queued: leaves the queue, stays pending. */
	start_over();
	xen_raise(5);
	xen_raise(6);
	words[5] |= FIFO_BIT(MASKED);
	ok(consume(seen, 8) == 1 && seen[0] == 6 &&
	   words[5] == (FIFO_BIT(MASKED) | FIFO_BIT(PENDING)),
	   "masked while queued");
}

static uint32_t seed = 0x9e3779b9;

static uint32_t rnd(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed % below;
}

static void test_random(void)
{
	evtchn_port_t seen[PORTS];
	bool good = true;

	start_over();
	for (unsigned int round = 0; round < 20000 && good; round++) {
		bool raised[PORTS] = { false };
		unsigned int n = rnd(PORTS), want = 0, got;

		while (n--) {
			evtchn_port_t port = 1 + rnd(PORTS - 1);

			want += !raised[port];
			raised[port] = true;
			xen_raise(port);
		}
		got = consume(seen, PORTS);
		good = got == want;
		while (good && got)
			good = raised[seen[--got]];
	}
	ok(good, "20000 random rounds: none lost, none twice");
}

#define RAISES	300000
static unsigned long sent[PORTS], done_flag;

static void *xen_thread(void *arg)
{
	uint32_t s = 12345;

	for (unsigned int i = 0; i < RAISES; i++) {
		evtchn_port_t port;

		s = s * 1103515245 + 12345;
		port = 1 + (s >> 16) % (PORTS - 1);
		__atomic_add_fetch(&sent[port], 1, __ATOMIC_SEQ_CST);
		xen_raise(port);
	}
	__atomic_store_n(&done_flag, 1, __ATOMIC_SEQ_CST);
	return arg;
}

/* What the last event of each port said must have been seen by its handler. */
static void test_threads(void)
{
	/* One dispatch goes on for as long as the sender keeps up with it. */
	static evtchn_port_t seen[RAISES];
	unsigned long read_to[PORTS] = { 0 };
	pthread_t thread;
	unsigned int lost = 0, n, i;
	bool done;

	start_over();
	if (pthread_create(&thread, NULL, xen_thread, NULL)) {
		ok(false, "a second thread");
		return;
	}
	do {
		done = __atomic_load_n(&done_flag, __ATOMIC_SEQ_CST);
		while ((n = consume(seen, RAISES)))
			for (i = 0; i < n && i < RAISES; i++)
				read_to[seen[i]] = __atomic_load_n(
					&sent[seen[i]], __ATOMIC_SEQ_CST);
	} while (!done);
	pthread_join(thread, NULL);
	for (i = 1; i < PORTS; i++)
		lost += read_to[i] != sent[i];
	ok(!lost, "beside a sender in another thread: none lost");
}

int main(void)
{
	test_scan();
	test_order();
	test_nonsense();
	test_mask();
	test_random();
	test_threads();
	printf("1..%u\n", test_nr);
	return failed != 0;
}
