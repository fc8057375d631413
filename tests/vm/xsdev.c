// SPDX-License-Identifier: GPL-2.0-only
/*
 * xsdev: what stock xenstore tools never do to /dev/xen/xenbus. Runs in a
 * guest, prints TAP, needs a directory the guest may write ("data").
 *
 *	gcc -static -O1 -Wall -Wextra -I INCLUDE -o xsdev xsdev.c
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xen-public/io/xs_wire.h>

#define DEVICE		"/dev/xen/xenbus"
#define PROCESSES	8
#define ROUNDS		25

static unsigned int test_nr, failed;

static void ok(bool good, const char *name)
{
	printf("%sok %u - %s\n", good ? "" : "not ", ++test_nr, name);
	fflush(stdout);
	failed += !good;
}

struct reply {
	struct xsd_sockmsg hdr;
	char body[XENSTORE_PAYLOAD_MAX + 1];
};

static int dev_open(int flags)
{
	int fd = open(DEVICE, O_RDWR | flags);

	if (fd < 0) {
		perror(DEVICE);
		exit(1);
	}
	return fd;
}

static bool put_all(int fd, const void *p, size_t n)
{
	while (n) {
		ssize_t r = write(fd, p, n);

		if (r <= 0)
			return false;
		p = (const char *)p + r;
		n -= r;
	}
	return true;
}

static bool get_all(int fd, void *p, size_t n)
{
	while (n) {
		ssize_t r = read(fd, p, n);

		if (r <= 0)
			return false;
		p = (char *)p + r;
		n -= r;
	}
	return true;
}

static size_t pack(char *buf, uint32_t type, uint32_t id, uint32_t txn,
		   const void *body, uint32_t len)
{
	struct xsd_sockmsg h = { type, id, txn, len };

	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), body, len);
	return sizeof(h) + len;
}

static bool ask(int fd, uint32_t type, uint32_t id, uint32_t txn,
		const void *body, uint32_t len)
{
	char buf[sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX];

	return put_all(fd, buf, pack(buf, type, id, txn, body, len));
}

static bool hear(int fd, struct reply *r)
{
	if (!get_all(fd, &r->hdr, sizeof(r->hdr)) ||
	    r->hdr.len > XENSTORE_PAYLOAD_MAX ||
	    !get_all(fd, r->body, r->hdr.len))
		return false;
	r->body[r->hdr.len] = 0;
	return true;
}

/* The next message that is no watch event. */
static bool talk(int fd, uint32_t type, uint32_t txn, const void *body,
		 uint32_t len, struct reply *r)
{
	static uint32_t id;

	if (!ask(fd, type, ++id, txn, body, len))
		return false;
	do {
		if (!hear(fd, r))
			return false;
	} while (r->hdr.type == XS_WATCH_EVENT);
	return r->hdr.req_id == id;
}

static bool is_error(const struct reply *r, const char *name)
{
	return r->hdr.type == XS_ERROR && !strcmp(r->body, name);
}

static bool set(int fd, uint32_t txn, const char *path, const char *value,
		struct reply *r)
{
	char b[256];
	int n = snprintf(b, sizeof(b), "%s", path) + 1;

	n += snprintf(b + n, sizeof(b) - n, "%s", value);
	return talk(fd, XS_WRITE, txn, b, n, r) && r->hdr.type == XS_WRITE;
}

static bool get(int fd, uint32_t txn, const char *path, struct reply *r)
{
	return talk(fd, XS_READ, txn, path, strlen(path) + 1, r) &&
	       r->hdr.type == XS_READ;
}

static uint32_t begin(int fd)
{
	struct reply r;

	if (!talk(fd, XS_TRANSACTION_START, 0, "", 1, &r) ||
	    r.hdr.type != XS_TRANSACTION_START)
		return 0;
	return strtoul(r.body, NULL, 10);
}

static void end(int fd, uint32_t txn, bool commit, struct reply *r)
{
	talk(fd, XS_TRANSACTION_END, txn, commit ? "T" : "F", 2, r);
}

static bool readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1 && (p.revents & POLLIN);
}

/* ---- */

static void test_stream(void)
{
	char buf[128];
	struct reply r;
	int fd = dev_open(0);
	size_t i, n = pack(buf, XS_READ, 77, 0, "domid", 6);
	bool good = true;

	for (i = 0; i < n; i++)
		good &= write(fd, buf + i, 1) == 1;
	for (i = 0; i < sizeof(r.hdr); i++)
		good &= read(fd, (char *)&r.hdr + i, 1) == 1;
	good &= r.hdr.req_id == 77 && r.hdr.type == XS_READ && r.hdr.len < 6;
	good = good && get_all(fd, r.body, r.hdr.len);
	ok(good, "requests and replies byte by byte");

	n = pack(buf, XS_READ, 1, 0, "domid", 6);
	n += pack(buf + n, XS_READ, 2, 0, "no/such", 8);
	good = put_all(fd, buf, n) && hear(fd, &r) && r.hdr.req_id == 1 &&
	       hear(fd, &r) && r.hdr.req_id == 2 && is_error(&r, "ENOENT");
	ok(good, "two requests in one write, replies in order");

	struct xsd_sockmsg h = { XS_READ, 1, 0, XENSTORE_PAYLOAD_MAX + 1 };

	good = write(fd, &h, sizeof(h)) < 0 && errno == EINVAL;
	ok(good && get(fd, 0, "domid", &r), "an overlong request is refused");
	ok(talk(fd, XS_RESET_WATCHES, 0, "", 1, &r) && is_error(&r, "EACCES"),
	   "a program cannot reset the guest's watches");
	ok(talk(fd, XS_WATCH_EVENT, 0, "a\0b", 4, &r) && is_error(&r, "EINVAL"),
	   "an event is no request");
	ok(talk(fd, 4711, 0, "", 1, &r) && r.hdr.type == XS_ERROR,
	   "an unknown request is an error");
	close(fd);
}

static void test_nonblock(void)
{
	int fd = dev_open(O_NONBLOCK), i;
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };
	char c, buf[64];
	size_t n = pack(buf, XS_READ, 1, 0, "domid", 6);
	bool full = false, good;

	ok(read(fd, &c, 1) < 0 && errno == EAGAIN, "nothing there: EAGAIN");
	ok(poll(&p, 1, 0) == 1 && p.revents == POLLOUT, "poll: may be written");
	ok(put_all(fd, buf, n) && readable(fd, 10000), "poll: may be read");
	good = true;
	for (i = 0; i < 20000 && !full; i++) {
		ssize_t w = write(fd, buf, n);

		if (w < 0) {
			full = true;
			good = errno == EAGAIN;
		}
		good &= w < 0 || (size_t)w == n;
	}
	ok(good && full, "requests in flight and replies unread are bounded");
	close(fd);
}

static void test_transactions(void)
{
	int a = dev_open(0), b = dev_open(0);
	struct reply r;
	uint32_t t;

	ok(talk(a, XS_READ, 12345, "domid", 6, &r) && is_error(&r, "ENOENT"),
	   "an unknown transaction");
	set(a, 0, "data/xsdev", "0", &r);
	t = begin(a);
	ok(t, "a transaction starts");
	talk(b, XS_READ, t, "domid", 6, &r);
	ok(is_error(&r, "ENOENT"), "another file cannot use it");
	end(b, t, false, &r);
	ok(is_error(&r, "ENOENT"), "another file cannot end it");
	ok(set(a, t, "data/xsdev", "1", &r) && get(b, 0, "data/xsdev", &r) &&
	   !strcmp(r.body, "0"), "unseen before it commits");
	end(a, t, true, &r);
	ok(r.hdr.type == XS_TRANSACTION_END && get(b, 0, "data/xsdev", &r) &&
	   !strcmp(r.body, "1"), "seen afterwards");
	t = begin(a);
	get(a, t, "data/xsdev", &r);
	set(b, 0, "data/xsdev", "2", &r);
	set(a, t, "data/xsdev", "3", &r);
	end(a, t, true, &r);
	ok(is_error(&r, "EAGAIN"), "a conflict is EAGAIN");
	end(a, t, true, &r);
	ok(is_error(&r, "ENOENT"), "and ends the transaction");
	close(a);
	close(b);
}

static void test_watches(void)
{
	int a = dev_open(0), b = dev_open(0), i;
	static const char w[] = "data/xsdev-w\0tok";
	struct reply r;

	ok(talk(a, XS_WATCH, 0, w, sizeof(w), &r) && r.hdr.type == XS_WATCH &&
	   talk(b, XS_WATCH, 0, w, sizeof(w), &r) && r.hdr.type == XS_WATCH,
	   "two files, the same path and token");
	talk(a, XS_WATCH, 0, w, sizeof(w), &r);
	ok(is_error(&r, "EEXIST"), "one file cannot set it twice");
	sleep(1);
	while (readable(a, 500))
		hear(a, &r);
	while (readable(b, 500))
		hear(b, &r);
	set(a, 0, "data/xsdev-w/x", "1", &r);
	ok(readable(a, 10000) && hear(a, &r) && r.hdr.type == XS_WATCH_EVENT &&
	   !strcmp(r.body, "data/xsdev-w/x") &&
	   !strcmp(r.body + strlen(r.body) + 1, "tok"), "the first is told");
	ok(readable(b, 10000) && hear(b, &r) && r.hdr.type == XS_WATCH_EVENT,
	   "the second is told");
	for (i = 0; i < 50; i++)
		set(a, 0, "data/xsdev-w/x", "2", &r);
	sleep(1);
	for (i = 0; readable(b, 500); i++)
		hear(b, &r);
	ok(i >= 1 && i < 50, "equal events that wait are one");
	ok(talk(a, XS_UNWATCH, 0, w, sizeof(w), &r) &&
	   r.hdr.type == XS_UNWATCH, "unwatch");
	talk(a, XS_UNWATCH, 0, w, sizeof(w), &r);
	ok(is_error(&r, "ENOENT"), "unwatch twice");
	talk(a, XS_WATCH, 0, "data/open", 9, &r);
	ok(is_error(&r, "EINVAL"), "a watch without a token");
	close(a);
	close(b);
}

/* xenstored allows a guest 10 transactions and 128 watches. */
static void test_leftovers(void)
{
	bool good = true;
	struct reply r;
	char w[64];
	int i, k;

	for (i = 0; i < 30; i++) {
		int fd = dev_open(0);

		good &= begin(fd) && begin(fd);
		for (k = 0; k < 8; k++) {
			int n = snprintf(w, sizeof(w), "data/x%d%ctok", k, 0);

			good &= talk(fd, XS_WATCH, 0, w, n + 1, &r) &&
				r.hdr.type == XS_WATCH;
		}
		close(fd);
	}
	ok(good, "closing ends transactions and watches");

	for (i = 0; i < 20; i++) {
		pid_t pid = fork();

		if (!pid) {
			int fd = dev_open(0);

			begin(fd);
			talk(fd, XS_WATCH, 0, "data/k\0t", 9, &r);
			/* a reply on its way, half a request, and dead */
			ask(fd, XS_TRANSACTION_START, 1, 0, "", 1);
			good &= write(fd, &r, 7) == 7;
			kill(getpid(), SIGKILL);
		}
		waitpid(pid, NULL, 0);
	}
	i = dev_open(0);
	good = true;
	for (k = 0; k < 5; k++)
		good &= begin(i) != 0;
	ok(good, "so does being killed");
	close(i);
}

static int count_up(int who)
{
	int fd = dev_open(0), i, tries;
	char path[64], value[32];
	struct reply r;

	snprintf(path, sizeof(path), "data/xsdev-%d", who);
	for (i = 0; i < ROUNDS; i++) {
		snprintf(value, sizeof(value), "%d.%d", who, i);
		if (!set(fd, 0, path, value, &r) || !get(fd, 0, path, &r) ||
		    strcmp(r.body, value))
			return 2;
		for (tries = 0;; tries++) {
			uint32_t t = begin(fd);

			if (!t || !get(fd, t, "data/xsdev-sum", &r))
				return 3;
			snprintf(value, sizeof(value), "%d", atoi(r.body) + 1);
			if (!set(fd, t, "data/xsdev-sum", value, &r))
				return 4;
			end(fd, t, true, &r);
			if (r.hdr.type == XS_TRANSACTION_END)
				break;
			if (!is_error(&r, "EAGAIN") || tries > 1000)
				return 5;
			usleep(rand() % 20000);
		}
	}
	talk(fd, XS_RM, 0, path, strlen(path) + 1, &r);
	close(fd);
	return 0;
}

static void test_parallel(void)
{
	int fd = dev_open(0), i, status;
	bool good = true;
	struct reply r;

	set(fd, 0, "data/xsdev-sum", "0", &r);
	for (i = 0; i < PROCESSES; i++) {
		if (!fork()) {
			srand(i);
			exit(count_up(i));
		}
	}
	for (i = 0; i < PROCESSES; i++) {
		wait(&status);
		good &= WIFEXITED(status) && !WEXITSTATUS(status);
		if (status)
			printf("# a child ended with %#x\n", status);
	}
	ok(good, "parallel clients read what they wrote");
	ok(get(fd, 0, "data/xsdev-sum", &r) &&
	   atoi(r.body) == PROCESSES * ROUNDS, "no increment is lost");
	close(fd);
}

static void test_large(void)
{
	static char b[XENSTORE_PAYLOAD_MAX];
	int fd = dev_open(0), i;
	bool good = true;
	struct reply r;
	/* xenstored allows 2048 bytes a node */
	int n = snprintf(b, sizeof(b), "data/xsdev-l") + 1, len = 2000;

	memset(b + n, 'L', len);
	for (i = 0; i < 20; i++)
		good &= talk(fd, XS_WRITE, 0, b, n + len, &r) &&
			r.hdr.type == XS_WRITE &&
			get(fd, 0, "data/xsdev-l", &r) &&
			r.hdr.len == (uint32_t)len &&
			!memcmp(r.body, b + n, len);
	ok(good, "messages larger than the ring, both ways");
	close(fd);
}

static void clean(void)
{
	static const char * const node[] = {
		"data/xsdev", "data/xsdev-w", "data/xsdev-sum", "data/xsdev-l"
	};
	int fd = dev_open(0);
	struct reply r;
	size_t i;

	for (i = 0; i < sizeof(node) / sizeof(node[0]); i++)
		talk(fd, XS_RM, 0, node[i], strlen(node[i]) + 1, &r);
	close(fd);
}

int main(void)
{
	test_stream();
	test_nonblock();
	test_transactions();
	test_watches();
	test_leftovers();
	test_large();
	test_parallel();
	clean();
	printf("1..%u\n", test_nr);
	return failed != 0;
}
