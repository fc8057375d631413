// SPDX-License-Identifier: GPL-2.0-only
/* netfront/wire.h: slot counting, notifications, packets and headers. */
#include <netfront/wire.h>

#include <stdio.h>
#include <string.h>

static int count, failed;

static void ok(bool good, const char *name)
{
	count++;
	failed += !good;
	printf("%sok %d - %s\n", good ? "" : "not ", count, name);
}

/* ---- arithmetic ---- */

static void test_ring(void)
{
	ok(NETF_TX_SIZE == 256 && NETF_RX_SIZE == 256, "rings of 256 slots");
	ok(netf_after(1, 0) && !netf_after(0, 0) && !netf_after(0, 1) &&
	   netf_after(5, 0xfffffff0) && !netf_after(0xfffffff0, 5),
	   "order of indices survives the wrap");

	ok(netf_must_notify(0, 1, 1), "first request: notify");
	ok(!netf_must_notify(1, 2, 1), "peer is not waiting: do not");
	ok(netf_must_notify(3, 9, 9) && netf_must_notify(3, 9, 4) &&
	   !netf_must_notify(3, 9, 3) && !netf_must_notify(3, 9, 10),
	   "event index within what was pushed");
	ok(netf_must_notify(0xfffffffe, 2, 1) &&
	   !netf_must_notify(0xfffffffe, 2, 3), "the same across the wrap");

	ok(netf_rsp_prod_ok(5, 5, 9) && netf_rsp_prod_ok(9, 5, 9),
	   "responses up to the requests");
	ok(!netf_rsp_prod_ok(10, 5, 9) && !netf_rsp_prod_ok(4, 5, 9),
	   "responses ahead of requests, or going back");
	ok(netf_rsp_prod_ok(1, 0xfffffffe, 2) &&
	   !netf_rsp_prod_ok(3, 0xfffffffe, 2), "the same across the wrap");
}

static void test_span(void)
{
	ok(netf_span(0, 0) == 0 && netf_span(4095, 0) == 0, "nothing: 0 pages");
	ok(netf_span(0, 1) == 1 && netf_span(0, 4096) == 1 &&
	   netf_span(4095, 1) == 1, "within a page: 1");
	ok(netf_span(4095, 2) == 2 && netf_span(1, 4096) == 2,
	   "across an edge: 2");
	ok(netf_span(8192 + 10, 4096) == 2, "offset beyond the first page");
	ok(netf_span(0, 65535) == 16 && netf_span(4095, 65535) == 17,
	   "largest packet: 16, unaligned 17");
}

static void test_tx_event(void)
{
	ok(netf_tx_event(10, 1, NETF_TX_SIZE) == 11, "one urgent request: the next response");
	ok(netf_tx_event(10, 20, NETF_TX_SIZE) == 25, "twenty: three quarters");
	ok(netf_tx_event(10, 2, NETF_TX_SIZE) == 12 &&
	   netf_tx_event(10, 3, NETF_TX_SIZE) == 13,
	   "two, three: all of them");
	ok(netf_tx_event(10, 0, NETF_TX_SIZE) == 10 + NETF_TX_LAZY, "none: half a ring away");
	ok(netf_tx_event(0xfffffffc, 8, NETF_TX_SIZE) == 2,
	   "the same across the wrap");
	ok(netf_tx_event(10, 20, 1) == 11 && netf_tx_event(10, 20, 8) == 18 &&
	   netf_tx_event(10, 0, 1) == 10 + NETF_TX_LAZY,
	   "a bound for what somebody waits for, not for the rest");
	ok(netf_rx_event(0xffffffff, false, 16) == 0 &&
	   netf_rx_event(0xffffffff, true, 16) == 15,
	   "receive: the next one, or as many as may wait");
}

static void test_tx_judge(void)
{
	struct netif_tx_response r = { .id = 7 };

	r.status = NETIF_RSP_OKAY;
	ok(netf_tx_judge(&r) == NETF_TX_DONE, "sent");
	r.status = NETIF_RSP_NULL;
	ok(netf_tx_judge(&r) == NETF_TX_NULL, "answer to an extra");
	r.status = NETIF_RSP_DROPPED;
	ok(netf_tx_judge(&r) == NETF_TX_FAILED, "dropped");
	r.status = 5;
	ok(netf_tx_judge(&r) == NETF_TX_FAILED, "unknown status: failed");
}

/* ---- received packets ---- */

static union netf_rx_raw data_slot(RING_IDX idx, unsigned int off, int status,
				   unsigned int flags)
{
	union netf_rx_raw r = { .rsp = {
		.id = idx % NETF_RX_SIZE, .offset = off, .flags = flags,
		.status = status } };

	return r;
}

static union netf_rx_raw gso_slot(unsigned int size, unsigned int type,
				  unsigned int flags)
{
	union netf_rx_raw r = { .raw = 0 };

	r.extra.type = XEN_NETIF_EXTRA_TYPE_GSO;
	r.extra.flags = flags;
	r.extra.u.gso.size = size;
	r.extra.u.gso.type = type;
	return r;
}

static enum netf_breach step(struct netf_rx_state *st, RING_IDX idx,
			     union netf_rx_raw r, struct netf_rx_piece *p)
{
	return netf_rx_step(st, idx, &r, p);
}

static void test_rx_single(void)
{
	struct netf_rx_state st = { 0 };
	struct netf_rx_piece p;

	ok(!step(&st, 256 + 9, data_slot(9, 64, 1500, NETRXF_data_validated),
		 &p) && p.data && p.first && p.last && p.offset == 64 &&
	   p.size == 1500 && st.flags == NETRXF_data_validated,
	   "packet in one slot");

	memset(&st, 0, sizeof(st));
	ok(step(&st, 3, data_slot(4, 0, 60, 0), &p) == NETF_BREACH_RX_ID,
	   "wrong id");
	ok(!step(&st, 3, data_slot(3, 0, 4096, 0), &p) && p.size == 4096,
	   "a full page");
	memset(&st, 0, sizeof(st));
	ok(step(&st, 3, data_slot(3, 1, 4096, 0), &p) == NETF_BREACH_RX_BOUNDS,
	   "one byte beyond the page");
	memset(&st, 0, sizeof(st));
	ok(step(&st, 3, data_slot(3, 65535, 1, 0), &p) == NETF_BREACH_RX_BOUNDS,
	   "offset beyond the page");
	memset(&st, 0, sizeof(st));
	ok(step(&st, 3, data_slot(3, 4097, 0, 0), &p) == NETF_BREACH_RX_BOUNDS,
	   "offset beyond the page, without data");
	memset(&st, 0, sizeof(st));
	ok(!step(&st, 3, data_slot(3, 65535, NETIF_RSP_ERROR, 0), &p) &&
	   p.last && !p.size && st.flaw == NETF_RX_FAILED,
	   "a failed packet is dropped, its offset ignored");
	memset(&st, 0, sizeof(st));
	ok(!step(&st, 3, data_slot(3, 0, 60, NETRXF_gso_prefix), &p) &&
	   st.flaw == NETF_RX_PREFIX, "GSO prefix was not offered");
}

static void test_rx_chain(void)
{
	struct netf_rx_state st = { 0 };
	struct netf_rx_piece p;
	bool good;

	good = !step(&st, 0, data_slot(0, 0, 4096, NETRXF_more_data |
				       NETRXF_extra_info | NETRXF_csum_blank),
		     &p) && p.first && !p.last && p.data;
	good &= !step(&st, 1, gso_slot(1448, XEN_NETIF_GSO_TYPE_TCPV4, 0),
		      &p) && !p.data && !p.last && !p.first;
	good &= !step(&st, 2, data_slot(2, 0, 4096, NETRXF_more_data), &p) &&
		p.data && !p.first && !p.last;
	good &= !step(&st, 3, data_slot(3, 0, 10, 0), &p) && p.last;
	good &= st.gso_size == 1448 && st.gso_type == XEN_NETIF_GSO_TYPE_TCPV4;
	good &= !!(st.flags & NETRXF_csum_blank);
	ok(good, "large packet: data, extra, data, data");

	memset(&st, 0, sizeof(st));
	good = !step(&st, 0, data_slot(0, 0, 900, NETRXF_extra_info), &p) &&
		!p.last;
	good &= !step(&st, 1, gso_slot(100, XEN_NETIF_GSO_TYPE_TCPV6, 0), &p) &&
		p.last && !p.data;
	ok(good, "the extra is the end");

	memset(&st, 0, sizeof(st));
	good = !step(&st, 0, data_slot(0, 0, 900, NETRXF_more_data), &p);
	good &= !step(&st, 1, data_slot(1, 0, -1, NETRXF_more_data), &p);
	good &= !step(&st, 2, data_slot(2, 0, 5, 0), &p) && p.last && !p.size;
	ok(good && st.flaw == NETF_RX_FAILED, "failure in the middle");
}

static void test_rx_extras(void)
{
	struct netf_rx_state st = { 0 };
	struct netf_rx_piece p;
	union netf_rx_raw r;
	enum netf_breach b = NETF_OK;
	int n;

	step(&st, 0, data_slot(0, 0, 900, NETRXF_extra_info), &p);
	ok(step(&st, 1, gso_slot(0, XEN_NETIF_GSO_TYPE_TCPV4, 0), &p) ==
	   NETF_OK && st.flaw == NETF_RX_BAD_GSO, "segments of 0 bytes");

	memset(&st, 0, sizeof(st));
	step(&st, 0, data_slot(0, 0, 900, NETRXF_extra_info), &p);
	ok(step(&st, 1, gso_slot(9, 3, 0), &p) == NETF_OK &&
	   st.flaw == NETF_RX_BAD_GSO, "unknown GSO type");

	for (n = 0; n < 256; n++) {
		if (n && n < NETF_EXTRA_TYPE_END)
			continue;
		memset(&st, 0, sizeof(st));
		step(&st, 0, data_slot(0, 0, 900, NETRXF_extra_info), &p);
		r = gso_slot(9, 1, 0);
		r.extra.type = n;
		b |= step(&st, 1, r, &p) != NETF_BREACH_RX_EXTRA;
	}
	ok(!b, "unknown extra types");

	memset(&st, 0, sizeof(st));
	step(&st, 0, data_slot(0, 0, 900, NETRXF_extra_info), &p);
	for (n = 1; n < 100; n++)
		if (step(&st, n, gso_slot(9, 1, XEN_NETIF_EXTRA_FLAG_MORE),
			 &p))
			break;
	ok(n == NETF_EXTRAS_MAX + 1, "an endless chain of extras");
}

/* ---- headers ---- */

static unsigned int make_packet(uint8_t *p, bool vlan, bool v6, int proto,
				int doff)
{
	unsigned int n = 12;

	memset(p, 0, 256);
	if (vlan) {
		p[n++] = 0x81;
		p[n++] = 0x00;
		n += 2;
	}
	p[n++] = v6 ? 0x86 : 0x08;
	p[n++] = v6 ? 0xdd : 0x00;
	if (v6) {
		p[n] = 0x60;
		p[n + 6] = proto;
		n += 40;
	} else {
		p[n] = 0x45;
		p[n + 6] = 0x40;	/* don't fragment */
		p[n + 9] = proto;
		n += 20;
	}
	p[n + 12] = doff << 4;
	return n;
}

static void test_headers(void)
{
	struct netf_headers h;
	uint8_t p[256];
	unsigned int l4, i;
	bool good = true;

	l4 = make_packet(p, false, false, 6, 5);
	netf_parse(p, 200, &h);
	ok(l4 == 34 && h.l4 == 34 && h.len == 54 && h.csum == 16 &&
	   h.gso_type == XEN_NETIF_GSO_TYPE_TCPV4, "TCP over IPv4");
	for (i = 0; i < 54; i++) {
		netf_parse(p, i, &h);
		good &= !h.len;
	}
	ok(good, "the same, cut anywhere");
	netf_parse(p, 54, &h);
	ok(h.len == 54, "the same, headers only");

	l4 = make_packet(p, false, false, 6, 8);
	netf_parse(p, 200, &h);
	ok(h.len == l4 + 32, "TCP options");
	make_packet(p, false, false, 6, 4);
	netf_parse(p, 200, &h);
	ok(!h.len, "TCP header too short");
	make_packet(p, false, false, 17, 0);
	netf_parse(p, 200, &h);
	ok(h.len == 42 && h.csum == 6 && h.gso_type == XEN_NETIF_GSO_TYPE_NONE,
	   "UDP over IPv4");
	p[14] = 0x46;
	netf_parse(p, 200, &h);
	ok(h.len == 46 && h.l4 == 38, "IPv4 options");
	p[14] = 0x44;
	netf_parse(p, 200, &h);
	ok(!h.len, "IPv4 header too short");
	p[14] = 0x65;
	netf_parse(p, 200, &h);
	ok(!h.len, "not IPv4 inside");
	make_packet(p, false, false, 17, 0);
	p[20] = 0x20;
	netf_parse(p, 200, &h);
	ok(!h.len, "first fragment");
	p[20] = 0;
	p[21] = 1;
	netf_parse(p, 200, &h);
	ok(!h.len, "later fragment");

	l4 = make_packet(p, false, true, 6, 5);
	netf_parse(p, 200, &h);
	ok(h.l4 == 54 && h.len == 74 &&
	   h.gso_type == XEN_NETIF_GSO_TYPE_TCPV6, "TCP over IPv6");
	make_packet(p, false, true, 44, 5);
	netf_parse(p, 200, &h);
	ok(!h.len, "IPv6 extension header");
	make_packet(p, true, true, 17, 0);
	netf_parse(p, 200, &h);
	ok(h.l4 == 58 && h.len == 66, "UDP over IPv6, VLAN tag");
	make_packet(p, false, false, 1, 0);
	netf_parse(p, 200, &h);
	ok(!h.len, "neither TCP nor UDP");
	p[12] = 0x08;
	p[13] = 0x06;
	netf_parse(p, 200, &h);
	ok(!h.len, "ARP");
}

static void test_rx_hash(void)
{
	struct netf_rx_state st = { 0 };
	struct netf_rx_piece p;
	union netf_rx_raw r = { .raw = 0 };
	bool good;

	r.extra.type = XEN_NETIF_EXTRA_TYPE_HASH;
	r.extra.u.hash.type = _XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP;
	r.extra.u.hash.algorithm = XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ;
	memcpy(r.extra.u.hash.value, "\x78\x56\x34\xf2", 4);
	step(&st, 0, data_slot(0, 0, 900, NETRXF_extra_info), &p);
	good = !step(&st, 1, r, &p) && p.last && !p.data;
	ok(good && st.hashed && st.hash_l4 && st.hash == 0xf2345678u,
	   "a hash over the ports, least byte first");

	memset(&st, 0, sizeof(st));
	r.extra.u.hash.type = _XEN_NETIF_CTRL_HASH_TYPE_IPV6;
	step(&st, 0, data_slot(0, 0, 900, NETRXF_extra_info), &p);
	good = !step(&st, 1, r, &p);
	ok(good && st.hashed && !st.hash_l4, "a hash of the addresses");

	memset(&st, 0, sizeof(st));
	r.extra.u.hash.type = 77;
	step(&st, 0, data_slot(0, 0, 900, NETRXF_extra_info), &p);
	good = !step(&st, 1, r, &p);
	ok(good && !st.hashed && !st.flaw, "a hash of unknown kind: none");
}

static void test_rx_xdp(void)
{
	struct netf_rx_state st = { 0 };
	struct netf_rx_piece p;
	union netf_rx_raw r = { .raw = 0 };

	uint16_t off = 0, len = 1000;

	r.extra.type = NETF_EXTRA_XDP;
	r.extra.u.pad[0] = 256;
	step(&st, 0, data_slot(0, 256, 900, NETRXF_extra_info), &p);
	ok(p.offset == 256 && p.size == 900 && !p.last &&
	   !step(&st, 1, r, &p) && p.last && !st.flaw,
	   "a packet with headroom and the extra that tells it");
	ok(netf_rx_skip_headroom(&st, &off, &len) && off == 256 && len == 744,
	   "headroom that the slot's size includes");
	ok(netf_rx_skip_headroom(&st, &off, &len) && off == 256 && len == 744,
	   "an offset that is past it already");
	off = 0;
	len = 256;
	ok(!netf_rx_skip_headroom(&st, &off, &len), "nothing but headroom");
}

static void test_ctrl(void)
{
	struct xen_netif_ctrl_request req = {
		.id = 7, .type = XEN_NETIF_CTRL_TYPE_SET_HASH_KEY };
	struct xen_netif_ctrl_response rsp = { .id = 7, .type = req.type };

	ok(netf_ctrl_answers(&req, &rsp), "the answer to a request");
	rsp.id = 8;
	ok(!netf_ctrl_answers(&req, &rsp), "another one's id");
	rsp.id = 7;
	rsp.type = XEN_NETIF_CTRL_TYPE_INVALID;
	ok(!netf_ctrl_answers(&req, &rsp), "another type");
}

static void test_texts(void)
{
	bool good = true;
	int b, c;

	for (b = NETF_OK + 1; b < NETF_BREACH_COUNT; b++)
		for (c = b + 1; c <= NETF_BREACH_COUNT; c++)
			good &= strcmp(netf_breach_text(b),
				       netf_breach_text(c)) != 0;
	ok(good, "every breach has words of its own");
}

int main(void)
{
	test_ring();
	test_span();
	test_tx_event();
	test_tx_judge();
	test_rx_single();
	test_rx_chain();
	test_rx_extras();
	test_headers();
	test_rx_hash();
	test_rx_xdp();
	test_ctrl();
	test_texts();
	printf("1..%d\n", count);
	return failed != 0;
}
