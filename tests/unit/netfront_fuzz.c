// SPDX-License-Identifier: GPL-2.0-only
/*
 * netfront/wire.h against a backend that writes nonsense: the invariants the
 * driver builds on hold for any input. The seed is fixed, the rounds too.
 */
#include <netfront/wire.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS	2000000

static int count, failed;
static uint64_t seed = 0x9e3779b97f4a7c15u;

static void ok(bool good, const char *name)
{
	count++;
	failed += !good;
	printf("%sok %d - %s\n", good ? "" : "not ", count, name);
}

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1du;
}

/* Nonsense that gets far: mostly right ids, small values, few flags. */
static union netf_rx_raw likely_slot(RING_IDX idx)
{
	union netf_rx_raw r = { .raw = rnd() };

	if (rnd() % 8) {
		r.rsp.id = idx % NETF_RX_SIZE;
		r.rsp.offset = rnd() % 4200 * (rnd() % 2);
		r.rsp.status = (int)(rnd() % 4200) - 50;
		r.rsp.flags = rnd() % 32;
	} else if (rnd() % 4) {
		r.extra.type = rnd() % (NETF_EXTRA_TYPE_END + 1);
		r.extra.flags = rnd() % 2;
	}
	return r;
}

static void fuzz_rx(void)
{
	unsigned long packets = 0, breaches = 0, flawed = 0;
	unsigned int extras = 0, firsts = 0;
	struct netf_rx_state st = { 0 };
	bool bounds = true, order = true, flaws = true;
	RING_IDX idx = (RING_IDX)rnd();
	int i;

	for (i = 0; i < ROUNDS; i++, idx++) {
		union netf_rx_raw r = likely_slot(idx);
		struct netf_rx_piece p;

		if (netf_rx_step(&st, idx, &r, &p)) {
			breaches++;
			memset(&st, 0, sizeof(st));
			extras = firsts = 0;
			continue;
		}
		bounds &= p.offset + p.size <= (int)NETF_PAGE_SIZE;
		firsts += p.first;
		extras += !p.data;
		order &= firsts == 1 && extras <= NETF_EXTRAS_MAX;
		order &= !p.first || p.data;
		flaws &= !st.flaw || !p.size;
		if (!p.last)
			continue;
		packets++;
		flawed += !!st.flaw;
		flaws &= st.flaw || !extras || st.gso_size == 0 ||
			 st.gso_type == XEN_NETIF_GSO_TYPE_TCPV4 ||
			 st.gso_type == XEN_NETIF_GSO_TYPE_TCPV6;
		memset(&st, 0, sizeof(st));
		extras = firsts = 0;
	}
	printf("# %lu packets, %lu flawed, %lu breaches\n", packets, flawed,
	       breaches);
	ok(bounds, "no piece beyond its page");
	ok(order, "each packet starts once, its extras are bounded");
	ok(flaws, "flawed packets give no data");
	ok(packets > ROUNDS / 100 && breaches > ROUNDS / 100 &&
	   flawed > ROUNDS / 1000, "the nonsense went everywhere");
}

/* Exact-size heap copies, so that the sanitizer sees any read beyond. */
static void fuzz_headers(void)
{
	static const uint8_t types[][2] = {
		{ 0x08, 0x00 }, { 0x86, 0xdd }, { 0x81, 0x00 }, { 0x08, 0x06 },
	};
	static const uint8_t protos[] = { 6, 17, 1, 44 };
	unsigned long found = 0;
	bool good = true;
	int i;

	for (i = 0; i < ROUNDS / 4; i++) {
		unsigned int len = rnd() % 130, n;
		uint8_t *p = malloc(len ? len : 1);
		struct netf_headers h;

		for (n = 0; n < len; n++)
			p[n] = rnd();
		if (len > 40) {
			memcpy(p + 12, types[rnd() % 4], 2);
			memcpy(p + 16, types[rnd() % 2], 2);
			n = p[12] == 0x81 ? 18 : 14;
			p[n] = (rnd() % 2 ? 0x40 : 0x60) | rnd() % 9;
			p[n + 6] = protos[rnd() % 4] * (rnd() % 2);
			p[n + 7] = 0;
			p[n + 9] = protos[rnd() % 4];
		}
		netf_parse(p, len, &h);
		if (h.len) {
			found++;
			good &= h.len <= len && h.l4 >= 34 &&
				h.l4 + h.csum + 2 <= h.len;
		}
		free(p);
	}
	printf("# %lu headers understood\n", found);
	ok(good, "headers lie within the packet, checksums within headers");
	ok(found > 1000, "headers were found at all");
}

/* A backend with any rsp_prod: what passes is in flight. */
static void fuzz_indices(void)
{
	bool good = true, event = true;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		RING_IDX cons = (RING_IDX)rnd();
		RING_IDX pushed = cons + rnd() % (NETF_TX_SIZE + 1);
		RING_IDX prod = rnd() % 2 ? (RING_IDX)rnd() :
			cons + rnd() % 600 - 300;
		unsigned int urgent = rnd() % (pushed - cons + 1);
		unsigned int most = 1 + rnd() % NETF_TX_SIZE;
		RING_IDX e = netf_tx_event(cons, urgent, most);

		if (netf_rsp_prod_ok(prod, cons, pushed))
			good &= prod - cons <= NETF_TX_SIZE &&
				!netf_after(prod, pushed);
		/* Never in the past, never later than all that is in flight. */
		event &= netf_after(e, cons);
		if (urgent)
			event &= !netf_after(e, pushed) && e - cons <= most;
		else
			event &= e - cons < NETF_TX_SIZE - NETF_TX_ROOM;
	}
	ok(good, "accepted responses are in flight");
	ok(event, "the next event is ahead, and not too far");
}

int main(void)
{
	fuzz_rx();
	fuzz_headers();
	fuzz_indices();
	printf("1..%d\n", count);
	return failed != 0;
}
