// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "text.h"

/* Small enough that a tty which polls as writable takes it without waiting. */
#define CHUNK 256

/* How long who does not read holds up the end of a switch. */
#define LOST_MS 2000

struct queue {
	char *data;
	size_t len;
	int err;	/* a write failed: the reader is gone for good */
};

static struct queue queues[3];
static bool quiet_output, may_be_lost;

static void out_of_memory(void)
{
	static const char line[] = "pvhvm: out of memory\n";

	if (write(STDERR_FILENO, line, sizeof(line) - 1) < 0)
		_exit(PVHVM_FAILED);
	_exit(PVHVM_FAILED);
}

int why_set(struct why *why, int code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, args);
	va_end(args);
	return code;
}

static char *format(const char *fmt, va_list args)
{
	char *s;

	if (vasprintf(&s, fmt, args) < 0)
		out_of_memory();
	return s;
}

char *text_printf(const char *fmt, ...)
{
	va_list args;
	char *s;

	va_start(args, fmt);
	s = format(fmt, args);
	va_end(args);
	return s;
}

char *text_copy(const char *s)
{
	char *copy = strdup(s);

	if (!copy)
		out_of_memory();
	return copy;
}

void *text_alloc(size_t size)
{
	void *p = calloc(1, size);

	if (!p)
		out_of_memory();
	return p;
}

void *text_grow(void *old, size_t count, size_t size)
{
	void *p = reallocarray(old, count, size);

	if (!p)
		out_of_memory();
	return p;
}

void text_set(char *to, size_t size, const char *from)
{
	size_t len = strnlen(from, size - 1);

	/* no half of a character at the end */
	while (len && ((unsigned char)from[len] & 0xc0) == 0x80)
		len--;
	memcpy(to, from, len);
	to[len] = '\0';
}

/* Bytes of the character at @s; 0 if it is not UTF-8 (RFC 3629). */
static int character(const unsigned char *s)
{
	int n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 :
		s[0] < 0xf5 ? 4 : 0;

	for (int i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* too long for what they say, a surrogate, beyond U+10FFFF */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

void text_utf8(char *s)
{
	while (*s) {
		int n = character((unsigned char *)s);

		if (!n)
			*s = '?';
		s += n ? n : 1;
	}
}

/* Write what goes without waiting longer than @wait_ms for the reader. */
static void drain(int fd, int wait_ms)
{
	struct queue *q = &queues[fd];
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	while (q->len && !q->err) {
		size_t chunk = q->len < CHUNK ? q->len : CHUNK;
		ssize_t n;

		if (poll(&p, 1, wait_ms) <= 0)
			return;
		n = write(fd, q->data, chunk);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			q->err = n ? errno : EIO;
			return;
		}
		q->len -= n;
		memmove(q->data, q->data + n, q->len);
	}
}

static void queue_text(int fd, const char *text, bool line)
{
	struct queue *q = &queues[fd];
	size_t len = strlen(text);

	if (q->err)
		return;
	q->data = text_grow(q->data, q->len + len + 1, 1);
	memcpy(q->data + q->len, text, len);
	q->len += len;
	if (line)
		q->data[q->len++] = '\n';
	drain(fd, 0);
}

void say(const char *fmt, ...)
{
	va_list args;
	char *s;

	if (quiet_output)
		return;
	va_start(args, fmt);
	s = format(fmt, args);
	va_end(args);
	queue_text(STDOUT_FILENO, s, true);
	free(s);
}

void say_err(const char *fmt, ...)
{
	va_list args;
	char *s;

	va_start(args, fmt);
	s = format(fmt, args);
	va_end(args);
	queue_text(STDERR_FILENO, s, true);
	free(s);
}

void say_raw(const char *text)
{
	queue_text(STDOUT_FILENO, text, false);
}

void say_quiet(bool quiet)
{
	quiet_output = quiet;
}

void say_may_be_lost(void)
{
	may_be_lost = true;
}

static int flush(int fd)
{
	struct queue *q = &queues[fd];

	drain(fd, may_be_lost ? LOST_MS : -1);
	if (q->len && !q->err)
		q->err = ETIME;
	free(q->data);
	q->data = NULL;
	q->len = 0;
	return q->err;
}

int say_flush(struct why *why)
{
	int err = flush(STDOUT_FILENO);
	int code = PVHVM_OK;

	if (err && !may_be_lost) {
		code = why_set(why, PVHVM_FAILED, "cannot write standard output: %s", strerror(err));
		say_err("pvhvm: %s", why->text);
	}
	flush(STDERR_FILENO);
	return code;
}

double text_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}
