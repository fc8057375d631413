// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"

#define PAYLOAD 56
#define EVERY_MS 20
#define ANSWER_MS 1000
#define MAX_PINGS 100000
#define DAY_MS 86400000

struct pinger {
	struct sockaddr_storage to;
	socklen_t to_len;
	int family;
	int fd;
	bool raw;		/* we see the IP header and others' answers */
	uint16_t id;
};

/* Echo has the same layout in ICMP and ICMPv6. */
struct echo {
	struct icmphdr head;
	char data[PAYLOAD];
};

static uint16_t checksum(const void *data, size_t len)
{
	const uint16_t *p = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < len / 2; i++)
		sum += p[i];
	sum = (sum >> 16) + (sum & 0xffff);
	sum += sum >> 16;
	return ~sum;
}

static int open_pinger(struct pinger *p, const char *peer, const char *device, struct why *why)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM }, *found;
	int err = getaddrinfo(peer, NULL, &hints, &found), proto;

	if (err)
		return why_set(why, PVHVM_FAILED, "no address for %s: %s", peer, gai_strerror(err));
	memset(p, 0, sizeof(*p));
	memcpy(&p->to, found->ai_addr, found->ai_addrlen);
	p->to_len = found->ai_addrlen;
	p->family = found->ai_family;
	freeaddrinfo(found);
	p->id = getpid();
	proto = p->family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	p->raw = true;
	p->fd = socket(p->family, SOCK_RAW | SOCK_CLOEXEC, proto);
	if (p->fd < 0) {
		/* Open to groups in net.ipv4.ping_group_range. */
		p->raw = false;
		p->fd = socket(p->family, SOCK_DGRAM | SOCK_CLOEXEC, proto);
	}
	if (p->fd < 0)
		return why_set(why, PVHVM_NOT_ROOT, "cannot ping: %s; run it as root", strerror(errno));
	if (device && setsockopt(p->fd, SOL_SOCKET, SO_BINDTODEVICE, device, strlen(device) + 1)) {
		close(p->fd);
		return why_set(why, PVHVM_FAILED, "cannot ping by %s: %s", device, strerror(errno));
	}
	return PVHVM_OK;
}

int rtt_check(const char *peer, const char *device, struct why *why)
{
	struct pinger p;
	int code = open_pinger(&p, peer, device, why);

	if (!code)
		close(p.fd);
	return code;
}

static bool send_echo(struct pinger *p, uint16_t seq)
{
	struct echo e = { .head.un.echo = { .id = htons(p->id), .sequence = htons(seq) } };

	e.head.type = p->family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
	if (p->family == AF_INET)
		e.head.checksum = checksum(&e, sizeof(e));
	return sendto(p->fd, &e, sizeof(e), 0, (void *)&p->to, p->to_len) == sizeof(e);
}

static bool is_reply(const struct pinger *p, const char *buf, ssize_t len, uint16_t seq)
{
	struct icmphdr h;

	if (p->raw && p->family == AF_INET) {
		size_t skip;

		if (len < (ssize_t)sizeof(struct iphdr))
			return false;
		skip = (buf[0] & 0xf) * 4;
		buf += skip;
		len -= skip;
	}
	if (len < (ssize_t)sizeof(h))
		return false;
	memcpy(&h, buf, sizeof(h));
	return h.type == (p->family == AF_INET ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY) &&
	       h.un.echo.sequence == htons(seq) && (!p->raw || h.un.echo.id == htons(p->id));
}

/* Seconds, or negative if nothing came. */
static double ping_once(struct pinger *p, uint16_t seq)
{
	double start = text_now(), now;
	struct pollfd w = { .fd = p->fd, .events = POLLIN };

	if (!send_echo(p, seq))
		return -1;
	for (;;) {
		char buf[512];
		ssize_t len;
		int left;

		left = ANSWER_MS - (text_now() - start) * 1e3;
		if (left <= 0 || poll(&w, 1, left) <= 0)
			return -1;
		len = recv(p->fd, buf, sizeof(buf), MSG_DONTWAIT);
		now = text_now();
		if (len > 0 && is_reply(p, buf, len, seq))
			return now - start;
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int rtt_measure(const char *peer, const char *device, double seconds,
		double *value, struct why *why)
{
	double end = text_now() + seconds, *trips = NULL;
	struct pinger p;
	int n = 0, code = open_pinger(&p, peer, device, why);

	if (code)
		return code;
	/* The first one also resolves the neighbour: it does not count. */
	ping_once(&p, 0);
	for (uint16_t seq = 1; text_now() < end && n < MAX_PINGS; seq++) {
		double t = ping_once(&p, seq);

		if (t < 0)
			continue;
		trips = text_grow(trips, n + 1, sizeof(*trips));
		trips[n++] = t;
		usleep(EVERY_MS * 1000);
	}
	close(p.fd);
	if (!n) {
		free(trips);
		return why_set(why, PVHVM_FAILED, "%s does not answer pings", peer);
	}
	qsort(trips, n, sizeof(*trips), by_value);
	*value = (n % 2 ? trips[n / 2] : (trips[n / 2 - 1] + trips[n / 2]) / 2) * 1e6;
	free(trips);
	return PVHVM_OK;
}

static uint32_t ms_of_day(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec % 86400 * 1000 + t.tv_nsec / 1000000;
}

bool rtt_peer_clock(const char *peer, double *seconds)
{
	struct {
		struct icmphdr head;
		uint32_t sent, received, returned;
	} q = { .head.type = ICMP_TIMESTAMP };
	char buf[256];
	struct pollfd w = { .events = POLLIN };
	struct pinger p;
	struct why why;
	bool ok = false;

	if (open_pinger(&p, peer, NULL, &why))
		return false;
	if (p.family != AF_INET || !p.raw)
		goto close;
	q.head.un.echo.id = htons(p.id);
	q.sent = htonl(ms_of_day());
	q.head.checksum = checksum(&q, sizeof(q));
	if (sendto(p.fd, &q, sizeof(q), 0, (void *)&p.to, p.to_len) != sizeof(q))
		goto close;
	w.fd = p.fd;
	while (!ok && poll(&w, 1, ANSWER_MS) > 0) {
		ssize_t len = recv(p.fd, buf, sizeof(buf), MSG_DONTWAIT);
		int skip = (buf[0] & 0xf) * 4;
		int32_t now = ms_of_day(), off;

		if (len < skip + (ssize_t)sizeof(q))
			continue;
		memcpy(&q, buf + skip, sizeof(q));
		if (q.head.type != ICMP_TIMESTAMPREPLY || q.head.un.echo.id != htons(p.id))
			continue;
		off = (int32_t)ntohl(q.received) - ((int32_t)ntohl(q.sent) + now) / 2;
		/* Midnight lies between the two. */
		if (off > DAY_MS / 2)
			off -= DAY_MS;
		if (off < -DAY_MS / 2)
			off += DAY_MS;
		*seconds = off / 1e3;
		ok = true;
	}
close:
	close(p.fd);
	return ok;
}
