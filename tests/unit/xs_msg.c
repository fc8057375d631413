// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of xenbus/xs_msg.h and xenbus/xs_resync.h: ring arithmetic,
 * message assembly from any cut of the stream, parsers against hostile
 * input, and finding message boundaries against a modelled server.
 */
#include <stdlib.h>

#include "xenbus/xs_msg.h"
#include "xenbus/xs_resync.h"

static unsigned int test_nr, failed;

static void ok(bool good, const char *name)
{
	printf("%sok %u - %s\n", good ? "" : "not ", ++test_nr, name);
	failed += !good;
}

static u32 seed = 0x2545f491;

static u32 rnd(u32 below)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed % below;
}

static void test_ring(void)
{
	ok(xs_ring_used(5, 5) == 0, "ring empty");
	ok(xs_ring_used(1024, 0) == 1024, "ring full");
	ok(xs_ring_used(1025, 0) == -EPROTO, "ring overfull is refused");
	ok(xs_ring_used(0, 1) == -EPROTO, "consumer ahead is refused");
	ok(xs_ring_used(3, 0xfffffffe) == 5, "indices wrap at 2^32");
	ok(xs_ring_piece(1000, 100) == 24, "piece ends at the ring's end");
	ok(xs_ring_piece(1024, 100) == 100, "piece starts over");
	ok(xs_ring_piece(0xffffffff, 9) == 1, "last byte before the wrap");
}

/* Feed @len bytes in random cuts; count complete messages or -EPROTO. */
static int feed(struct xs_in *in, const unsigned char *s, u32 len)
{
	int done = 0;

	while (len) {
		u32 want, n;
		void *to = xs_in_space(in, &want);
		int r;

		if (!want)
			return -1000;
		n = want < len ? want : len;
		n = 1 + rnd(n);
		memcpy(to, s, n);
		s += n;
		len -= n;
		r = xs_in_took(in, n);
		if (r < 0)
			return r;
		if (r) {
			if (in->body[in->hdr.len])
				return -1001;
			done++;
			xs_in_reset(in);
		}
	}
	return done;
}

static void test_assembly(void)
{
	static unsigned char s[3 * XS_MSG_MAX];
	static struct xs_in in;
	struct xsd_sockmsg h = { .type = XS_READ, .req_id = 7 };
	bool good = true;
	u32 at;
	int i;

	for (i = 0; i < 2000; i++) {
		int k, msgs = 1 + (int)rnd(3);

		for (at = 0, k = 0; k < msgs; k++) {
			h.len = rnd(4) ? rnd(64) : rnd(XENSTORE_PAYLOAD_MAX + 1);
			memcpy(s + at, &h, sizeof(h));
			memset(s + at + sizeof(h), 'x', h.len);
			at += sizeof(h) + h.len;
		}
		xs_in_reset(&in);
		good &= feed(&in, s, at) == msgs;
	}
	ok(good, "messages are assembled from any cut of the stream");

	h.len = XENSTORE_PAYLOAD_MAX;
	memcpy(s, &h, sizeof(h));
	xs_in_reset(&in);
	ok(feed(&in, s, XS_MSG_MAX) == 1, "the longest message is taken");
	h.len = XENSTORE_PAYLOAD_MAX + 1;
	memcpy(s, &h, sizeof(h));
	xs_in_reset(&in);
	ok(feed(&in, s, sizeof(h)) == -EPROTO, "a longer one is a breach");
	h.len = 0xffffffff;
	memcpy(s, &h, sizeof(h));
	xs_in_reset(&in);
	ok(feed(&in, s, sizeof(h)) == -EPROTO, "length 2^32-1 is a breach");
	h.len = 0;
	memcpy(s, &h, sizeof(h));
	xs_in_reset(&in);
	ok(feed(&in, s, sizeof(h)) == 1, "a message without payload");
}

static void test_random_stream(void)
{
	static unsigned char s[8192];
	static struct xs_in in;
	bool good = true;
	int i;

	for (i = 0; i < 3000; i++) {
		u32 k, n = 1 + rnd(sizeof(s));
		int r;

		for (k = 0; k < n; k++)
			s[k] = rnd(3) ? 0 : (unsigned char)rnd(256);
		xs_in_reset(&in);
		r = feed(&in, s, n);
		good &= r >= 0 || r == -EPROTO;
	}
	ok(good, "random streams are assembled or refused, nothing else");
}

static void test_strings(void)
{
	const char *a, *b;

	ok(xs_count_strings("a\0bc\0", 5) == 2, "two strings");
	ok(xs_count_strings("a\0bc", 4) == 1, "an unfinished one is none");
	ok(xs_count_strings("", 0) == 0, "no payload, no strings");
	ok(!xs_two_strings("p/q\0tok\0", 8, &a, &b) && !strcmp(a, "p/q") &&
	   !strcmp(b, "tok"), "path and token");
	ok(!xs_two_strings("\0\0", 2, &a, &b) && !*a && !*b, "both empty");
	ok(xs_two_strings("p\0tok", 5, &a, &b) == -EINVAL, "open second");
	ok(xs_two_strings("ptok", 4, &a, &b) == -EINVAL, "open first");
	ok(xs_two_strings("p\0", 2, &a, &b) == -EINVAL, "no second");
	ok(xs_two_strings("", 0, &a, &b) == -EINVAL, "nothing at all");
	ok(xs_error_to_errno("ENOENT") == -ENOENT, "ENOENT there");
	ok(!strcmp(xs_errno_to_error(-EAGAIN), "EAGAIN"), "EAGAIN back");
	ok(xs_error_to_errno("EQUOTA") == -ENOSPC, "a quota that is used up");
	ok(xs_error_to_errno("EWHATEVER") == -EPROTO, "unknown error is an answer");
	ok(xs_error_to_errno("") == -EPROTO, "so is an empty one");
	ok(!strcmp(xs_errno_to_error(-ETIMEDOUT), "EIO"), "no word for it");
	ok(!strcmp(xs_state_name(4), "connected") &&
	   !strcmp(xs_state_name(9), "invalid") &&
	   !strcmp(xs_state_name(0xffffffff), "invalid"), "state names");
}

static int num(const char *s, u64 *v)
{
	return xs_parse_u64(s, strlen(s), v);
}

static void test_numbers(void)
{
	u64 v = 42;

	ok(!num("0", &v) && v == 0, "zero");
	ok(!num("18446744073709551615", &v) && v == ~(u64)0, "2^64-1");
	v = 42;
	ok(num("18446744073709551616", &v) && v == 42, "2^64 is refused");
	ok(num("99999999999999999999", &v) && v == 42, "20 nines refused");
	ok(num("", &v) && num("-1", &v) && num(" 1", &v) && num("1 ", &v) &&
	   num("0x1", &v) && num("1\n", &v) && v == 42, "only digits");
	ok(xs_parse_u64("12", 1, &v) == 0 && v == 1, "length is honoured");
}

static void test_paths(void)
{
	struct xs_dev_path p;
	char b[16];

	ok(xs_join(b, sizeof(b), "a", "b") == 3 && !strcmp(b, "a/b"), "join");
	ok(xs_join(b, sizeof(b), "a", "") == 1 && !strcmp(b, "a"), "no node");
	ok(xs_join(b, sizeof(b), "", "b") == 1 && !strcmp(b, "b"), "no dir");
	ok(xs_join(b, sizeof(b), "/", "b") == 2 && !strcmp(b, "/b"), "root");
	ok(xs_join(b, sizeof(b), "", "") == -EINVAL, "nothing to join");
	ok(xs_join(b, 4, "a", "b") == 3, "just fits");
	ok(xs_join(b, 3, "a", "b") == -ENAMETOOLONG, "just does not fit");

	ok(!xs_parse_dev_path("device", &p) && !p.type[0] && !p.has_id, "root");
	ok(!xs_parse_dev_path("device/vif", &p) && !strcmp(p.type, "vif") &&
	   !p.has_id, "type");
	ok(!xs_parse_dev_path("device/vbd/51712", &p) && p.has_id &&
	   p.id == 51712 && !p.deeper, "device");
	ok(!xs_parse_dev_path("device/vif/0/state", &p) && p.has_id &&
	   p.id == 0 && p.deeper, "inside a device");
	ok(xs_parse_dev_path("device/suspend/event-channel", &p) == -EINVAL,
	   "no number, no device");
	ok(xs_parse_dev_path("devices/vif/0", &p) == -EINVAL, "other root");
	ok(xs_parse_dev_path("device//0", &p) == -EINVAL, "empty type");
	ok(xs_parse_dev_path("device/vif/", &p) == -EINVAL, "empty id");
	ok(xs_parse_dev_path("device/vif/00", &p) == -EINVAL, "leading zero");
	ok(xs_parse_dev_path("device/vif/2147483648", &p) == -EINVAL,
	   "id beyond int");
	ok(xs_parse_dev_path("device/"
			     "0123456789012345678901234567890123456789/1",
			     &p) == -EINVAL, "type too long");
}

static void test_tokens(void)
{
	char b[XS_TOKEN_SIZE];
	bool good = true;
	u32 id, i;

	for (i = 0; i < 1000; i++) {
		u32 want = seed;

		xs_token_format(b, want);
		good &= !xs_token_parse(b, &id) && id == want;
		rnd(2);
	}
	ok(good, "tokens there and back");
	ok(xs_token_parse("pvhvm-0000000g", &id) == -EINVAL &&
	   xs_token_parse("pvhvm-0000000", &id) == -EINVAL &&
	   xs_token_parse("pvhvm-000000000", &id) == -EINVAL &&
	   xs_token_parse("ffff888012345678", &id) == -EINVAL &&
	   xs_token_parse("", &id) == -EINVAL, "foreign tokens");
}

static void test_random_parsers(void)
{
	static const char set[] = "device/vif/0123456789\0pvhvm-abc";
	const char *a, *b;
	struct xs_dev_path p;
	bool good = true;
	u32 id;
	int i;

	for (i = 0; i < 200000; i++) {
		u32 k, n = rnd(48);
		/* Exactly as long as the content: ASan sees every overrun. */
		char *s = malloc(n + 1);

		for (k = 0; k < n; k++)
			s[k] = set[rnd(sizeof(set))];
		s[n] = '\0';
		if (n > 7 && rnd(2))
			memcpy(s, "device/", 7);
		if (!xs_parse_dev_path(s, &p))
			good &= strlen(p.type) < sizeof(p.type);
		xs_token_parse(s, &id);
		xs_error_to_errno(s);
		s = realloc(s, n ? n : 1);
		if (!xs_two_strings(s, n, &a, &b))
			good &= a == s && b > a &&
				(size_t)(b - s) + strlen(b) < n;
		xs_count_strings(s, n);
		free(s);
	}
	ok(good, "parsers survive 200000 random inputs");
}

/* ---- a server that was left in the middle of things ---- */

struct server {
	struct xs_in in;
	unsigned char out[65536];
	u32 out_len;
};

static void server_reply(struct server *s, u32 type, u32 id, const char *text)
{
	struct xsd_sockmsg h = { .type = type, .req_id = id,
				 .len = (u32)strlen(text) + 1 };

	memcpy(s->out + s->out_len, &h, sizeof(h));
	memcpy(s->out + s->out_len + sizeof(h), text, h.len);
	s->out_len += sizeof(h) + h.len;
}

static void server_take(struct server *s, const unsigned char *b, u32 len)
{
	while (len) {
		u32 want, n;
		void *to = xs_in_space(&s->in, &want);

		n = want < len ? want : len;
		memcpy(to, b, n);
		b += n;
		len -= n;
		if (xs_in_took(&s->in, n) <= 0)
			continue;
		if (s->in.hdr.type == XS_CONTROL)
			server_reply(s, XS_ERROR, s->in.hdr.req_id, "EACCES");
		else
			server_reply(s, XS_WRITE, s->in.hdr.req_id, "OK");
		xs_in_reset(&s->in);
	}
}

static bool resync_once(u32 half, u32 body, u32 tail)
{
	static unsigned char req[XS_MSG_MAX], zero[16];
	static struct server s;
	struct xsd_sockmsg h = { .type = XS_WRITE, .req_id = 99, .len = body };
	struct xs_resync r;
	u32 i, n;

	memset(&s, 0, sizeof(s));
	memcpy(req, &h, sizeof(h));
	memset(req + sizeof(h), 'E', body);
	server_take(&s, req, half);
	/* what is left of a reply the dead client had half read */
	memset(s.out, rnd(2) ? XS_ERROR : 'E', tail);
	s.out_len = tail;

	xs_resync_init(&r);
	while (!xs_resync_done(&r)) {
		for (i = 0; i < s.out_len; i++)
			xs_resync_byte(&r, s.out[i]);
		s.out_len = 0;
		if (xs_resync_done(&r))
			break;
		n = xs_resync_feed(&r);
		if (!n)
			return false;
		server_take(&s, zero, n);
	}
	return s.in.have == 0;
}

static void test_resync(void)
{
	bool good = true;
	u32 half, i;

	ok(resync_once(0, 0, 0), "resync: a clean ring costs one request");
	for (half = 1; half < 16 + 40; half++)
		good &= resync_once(half, 40, 0);
	ok(good, "resync: any half of a short request");
	good = true;
	for (i = 0; i < 400; i++) {
		u32 body = rnd(XENSTORE_PAYLOAD_MAX + 1);

		good &= resync_once(rnd(16 + body), body, 0);
	}
	ok(good, "resync: half of a long request");
	good = true;
	for (i = 0; i < 400; i++)
		good &= resync_once(0, 0, rnd(4096));
	ok(good, "resync: behind the rest of a reply");
}

int main(void)
{
	test_ring();
	test_assembly();
	test_random_stream();
	test_strings();
	test_numbers();
	test_paths();
	test_tokens();
	test_random_parsers();
	test_resync();
	printf("1..%u\n", test_nr);
	return failed != 0;
}
