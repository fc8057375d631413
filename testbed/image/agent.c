// SPDX-License-Identifier: GPL-2.0-only
/*
 * xbagent: runs commands for the host side of the testbed.
 *
 *   xbagent tcp PORT     in dom0: one process per connection
 *   xbagent port NAME    in a guest: the virtio-serial port with this name
 *   xbagent stdio        in dom0: standard input and output, such as ssh's
 *   xbagent relay SOCKET in dom0: standard input and output to and from a unix
 *                        socket, the other end of a guest's port
 *
 * Both ends speak frames (see channel.py, the other end):
 *
 *   magic 0xa7 'X' | type u8 | flags u8 | id u32 | length u32 | payload | crc32
 *
 * all little endian, the checksum over everything before it. A port has no
 * connections of its own, so a frame that stalls half way is dropped after
 * STALL_MS and HELLO starts a session: it ends what the one before left running.
 * One command at a time per session. While it runs the agent sends BEAT every
 * second, so that the other end can tell "slow" from "dead".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum frame_type {
	T_HELLO = 1,	/* payload: nonce, echoed */
	T_EXEC = 2,	/* payload: shell command; flags bit 0: on a pty */
	T_STDIN = 3,	/* payload: bytes; none: end of input */
	T_KILL = 4,	/* payload: signal number, one byte */
	T_OUT = 5,
	T_ERR = 6,
	T_EXIT = 7,	/* payload: exit code u32 (128 + signal if killed) */
	T_BEAT = 8,
	T_WINCH = 9,	/* payload: rows u16, columns u16 */
};

#define HEADER		12
#define MAX_PAYLOAD	65536
#define MAX_STDIN	(1 << 20)
#define STALL_MS	3000
#define BEAT_MS		1000

struct session {
	int fd;			/* the line to the host */
	bool port;		/* outlives its users */
	size_t chunk;		/* largest payload we send */
	uint8_t rx[HEADER + MAX_PAYLOAD + 4];
	size_t rx_len;
	int64_t rx_at;		/* when rx last grew */
	/* the running command; pid 0: none */
	pid_t pid;
	uint32_t id;
	int in, out, err;	/* -1: closed */
	bool tty;
	bool in_eof;		/* close in once the buffer is empty */
	uint8_t *in_buf;
	size_t in_len;
	int64_t beat_at;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static uint32_t crc32_of(const uint8_t *p, size_t n)
{
	static uint32_t table[256];
	uint32_t c;

	if (!table[1]) {
		for (uint32_t i = 0; i < 256; i++) {
			c = i;
			for (int k = 0; k < 8; k++)
				c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
			table[i] = c;
		}
	}
	c = 0xffffffffu;
	while (n--)
		c = table[(c ^ *p++) & 0xff] ^ (c >> 8);
	return ~c;
}

static void put32(uint8_t *p, uint32_t v)
{
	p[0] = v;
	p[1] = v >> 8;
	p[2] = v >> 16;
	p[3] = v >> 24;
}

static uint32_t get32(const uint8_t *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Blocking write of everything; false when the line is gone. */
static bool write_all(int fd, const uint8_t *p, size_t n)
{
	while (n) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && (errno == EINTR || errno == EAGAIN)) {
			struct pollfd f = { .fd = fd, .events = POLLOUT };

			poll(&f, 1, 1000);
			continue;
		}
		if (w <= 0)
			return false;
		p += w;
		n -= w;
	}
	return true;
}

static bool send_frame(struct session *s, int type, uint32_t id,
		       const void *data, size_t len)
{
	static uint8_t buf[HEADER + MAX_PAYLOAD + 4];

	buf[0] = 0xa7;
	buf[1] = 'X';
	buf[2] = type;
	buf[3] = 0;
	put32(buf + 4, id);
	put32(buf + 8, len);
	if (len)
		memcpy(buf + HEADER, data, len);
	put32(buf + HEADER + len, crc32_of(buf, HEADER + len));
	return write_all(s->fd, buf, HEADER + len + 4);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Forgets the command, ending it if it still runs. */
static void drop_command(struct session *s)
{
	if (s->pid) {
		/* its group is there once it has run; before, it is alone */
		kill(-s->pid, SIGKILL);
		kill(s->pid, SIGKILL);
		waitpid(s->pid, NULL, 0);
	}
	s->pid = 0;
	if (s->tty && s->out == s->in)
		s->out = -1;
	close_fd(&s->in);
	close_fd(&s->out);
	close_fd(&s->err);
	free(s->in_buf);
	s->in_buf = NULL;
	s->in_len = 0;
	s->in_eof = false;
	s->tty = false;
}

static void child_exec(char *cmd)
{
	signal(SIGPIPE, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	execl("/bin/sh", "sh", "-c", cmd, (char *)NULL);
	_exit(127);
}

static bool start_piped(struct session *s, char *cmd)
{
	int in[2], out[2], err[2];

	if (pipe2(in, O_CLOEXEC))
		return false;
	if (pipe2(out, O_CLOEXEC))
		goto err_in;
	if (pipe2(err, O_CLOEXEC))
		goto err_out;
	s->pid = fork();
	if (s->pid < 0)
		goto err_err;
	if (!s->pid) {
		setsid();
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(err[1], 2);
		child_exec(cmd);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	s->in = in[1];
	s->out = out[0];
	s->err = err[0];
	return true;

err_err:
	s->pid = 0;
	close(err[0]);
	close(err[1]);
err_out:
	close(out[0]);
	close(out[1]);
err_in:
	close(in[0]);
	close(in[1]);
	return false;
}

static bool start_on_pty(struct session *s, char *cmd)
{
	int master;
	pid_t pid = forkpty(&master, NULL, NULL, NULL);

	if (pid < 0)
		return false;
	if (!pid) {
		setenv("TERM", "xterm", 1);
		child_exec(cmd);
	}
	fcntl(master, F_SETFD, FD_CLOEXEC);
	s->pid = pid;
	s->in = master;
	s->out = master;
	s->err = -1;
	s->tty = true;
	return true;
}

static bool handle_exec(struct session *s, uint32_t id, int flags, char *cmd)
{
	bool ok;
	uint8_t code[4];

	drop_command(s);
	s->id = id;
	ok = flags & 1 ? start_on_pty(s, cmd) : start_piped(s, cmd);
	if (!ok) {
		put32(code, 126);
		return send_frame(s, T_EXIT, id, code, 4);
	}
	fcntl(s->in, F_SETFL, O_NONBLOCK);
	fcntl(s->out, F_SETFL, O_NONBLOCK);
	if (s->err >= 0)
		fcntl(s->err, F_SETFL, O_NONBLOCK);
	s->beat_at = now_ms() + BEAT_MS;
	return true;
}

static void handle_stdin(struct session *s, const uint8_t *p, size_t n)
{
	uint8_t *bigger;

	if (s->in < 0)
		return;
	if (!n) {
		s->in_eof = true;
		return;
	}
	bigger = realloc(s->in_buf, s->in_len + n);
	if (!bigger)
		return;
	memcpy(bigger + s->in_len, p, n);
	s->in_buf = bigger;
	s->in_len += n;
}

static bool handle_frame(struct session *s)
{
	uint8_t *p = s->rx + HEADER;
	uint32_t id = get32(s->rx + 4), len = get32(s->rx + 8);
	struct winsize ws = {};

	switch (s->rx[2]) {
	case T_HELLO:
		drop_command(s);
		return send_frame(s, T_HELLO, id, p, len);
	case T_EXEC:
		p[len] = 0;	/* over the checksum, already verified */
		return handle_exec(s, id, s->rx[3], (char *)p);
	case T_STDIN:
		if (s->pid && id == s->id)
			handle_stdin(s, p, len);
		return true;
	case T_KILL:
		if (s->pid && id == s->id && len)
			kill(-s->pid, p[0]);
		return true;
	case T_WINCH:
		ws.ws_row = len >= 4 ? p[0] | p[1] << 8 : 24;
		ws.ws_col = len >= 4 ? p[2] | p[3] << 8 : 80;
		if (s->pid && s->tty)
			ioctl(s->in, TIOCSWINSZ, &ws);
		return true;
	}
	return true;
}

/* Cuts complete frames out of rx; false when the line is gone. */
static bool parse(struct session *s)
{
	size_t at = 0;
	bool ok = true;

	while (ok && s->rx_len - at >= HEADER + 4) {
		uint8_t *p = s->rx + at;
		uint32_t len = get32(p + 8);

		if (p[0] != 0xa7 || p[1] != 'X' || len > MAX_PAYLOAD) {
			at++;
			continue;
		}
		if (s->rx_len - at < HEADER + len + 4)
			break;
		if (get32(p + HEADER + len) != crc32_of(p, HEADER + len)) {
			at++;
			continue;
		}
		memmove(s->rx, p, s->rx_len - at);
		s->rx_len -= at;
		at = 0;
		ok = handle_frame(s);
		at = HEADER + len + 4;
	}
	memmove(s->rx, s->rx + at, s->rx_len - at);
	s->rx_len -= at;
	return ok;
}

static bool read_line(struct session *s)
{
	ssize_t n = read(s->fd, s->rx + s->rx_len, sizeof(s->rx) - s->rx_len);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n <= 0 && s->port) {
		/* nobody there at the moment */
		drop_command(s);
		s->rx_len = 0;
		usleep(20000);
		return true;
	}
	if (n <= 0)
		return false;
	s->rx_len += n;
	s->rx_at = now_ms();
	return parse(s);
}

/* Sends what the command said; false when the line is gone. */
static bool pump(struct session *s, int *fd, int type)
{
	uint8_t buf[MAX_PAYLOAD];
	ssize_t n = read(*fd, buf, s->chunk);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n <= 0) {
		if (s->tty)
			*fd = -1;	/* shared with in, closed there */
		else
			close_fd(fd);
		return true;
	}
	return send_frame(s, type, s->id, buf, n);
}

static void feed_stdin(struct session *s)
{
	if (s->in_len) {
		ssize_t n = write(s->in, s->in_buf, s->in_len);

		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			return;
		if (n <= 0) {
			s->in_len = 0;
			s->in_eof = true;
		} else {
			memmove(s->in_buf, s->in_buf + n, s->in_len - n);
			s->in_len -= n;
		}
	}
	if (!s->in_len && s->in_eof && !s->tty)
		close_fd(&s->in);
}

/* Reports a command that ended; its background children may hold the pipes. */
static bool reap(struct session *s)
{
	int status;
	uint8_t code[4];
	bool ok = true;

	if (waitpid(s->pid, &status, WNOHANG) != s->pid)
		return true;
	for (int i = 0; i < 4096; i++) {
		struct pollfd f[2] = { { .fd = s->out, .events = POLLIN },
				       { .fd = s->err, .events = POLLIN } };

		if (poll(f, 2, 0) <= 0)
			break;
		if (f[0].revents)
			ok = ok && pump(s, &s->out, T_OUT);
		if (f[1].revents)
			ok = ok && pump(s, &s->err, T_ERR);
	}
	s->pid = 0;
	drop_command(s);
	put32(code, WIFSIGNALED(status) ? 128 + WTERMSIG(status)
					: WEXITSTATUS(status));
	return ok && send_frame(s, T_EXIT, s->id, code, 4);
}

static bool step(struct session *s)
{
	struct pollfd f[4] = {
		{ .fd = s->in_len > MAX_STDIN ? -1 : s->fd, .events = POLLIN },
		{ .fd = s->out, .events = POLLIN },
		{ .fd = s->err, .events = POLLIN },
		{ .fd = s->in_len || s->in_eof ? s->in : -1,
		  .events = POLLOUT },
	};
	bool ok = true;

	if (poll(f, 4, s->pid ? 20 : 500) < 0)
		return errno == EINTR;
	if (f[0].revents)
		ok = read_line(s);
	else if (s->rx_len && now_ms() - s->rx_at > STALL_MS)
		s->rx_len = 0;
	if (ok && s->out >= 0 && f[1].revents && f[1].fd == s->out)
		ok = pump(s, &s->out, T_OUT);
	if (ok && s->err >= 0 && f[2].revents && f[2].fd == s->err)
		ok = pump(s, &s->err, T_ERR);
	if (s->in >= 0 && f[3].revents && f[3].fd == s->in)
		feed_stdin(s);
	if (ok && s->pid)
		ok = reap(s);
	if (ok && s->pid && now_ms() >= s->beat_at) {
		s->beat_at = now_ms() + BEAT_MS;
		ok = send_frame(s, T_BEAT, s->id, NULL, 0);
	}
	return ok;
}

static void serve(int fd, bool port)
{
	static struct session s;

	memset(&s, 0, sizeof(s));
	s.fd = fd;
	s.port = port;
	s.chunk = 32768;
	s.in = s.out = s.err = -1;
	while (step(&s))
		;
	drop_command(&s);
}

static int serve_tcp(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(port) };
	int one = 1, l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (l < 0 || bind(l, (struct sockaddr *)&a, sizeof(a)) || listen(l, 16)) {
		perror("xbagent: listen");
		return 1;
	}
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int fd = accept4(l, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			continue;
		if (!fork()) {
			close(l);
			signal(SIGCHLD, SIG_DFL);
			serve(fd, false);
			_exit(0);
		}
		close(fd);
	}
}

/* Opens the virtio-serial port with this name; -1: there is none. */
static int open_port(const char *name)
{
	char path[300], found[64];
	int fd = -1;
	glob_t g;

	if (glob("/sys/class/virtio-ports/*/name", 0, NULL, &g))
		return -1;
	for (size_t i = 0; i < g.gl_pathc && fd < 0; i++) {
		FILE *f = fopen(g.gl_pathv[i], "r");
		char *dir = g.gl_pathv[i] + strlen("/sys/class/virtio-ports/");

		if (!f)
			continue;
		if (fgets(found, sizeof(found), f)) {
			found[strcspn(found, "\n")] = 0;
			*strchr(dir, '/') = 0;
			snprintf(path, sizeof(path), "/dev/%s", dir);
			if (!strcmp(found, name))
				fd = open(path, O_RDWR | O_CLOEXEC);
		}
		fclose(f);
	}
	globfree(&g);
	return fd;
}

static int serve_port(const char *name)
{
	int fd = open_port(name);

	if (fd < 0) {
		fprintf(stderr, "xbagent: no free virtio-serial port '%s'\n", name);
		return 1;
	}
	serve(fd, true);
	return 0;
}

/* Copies what there is to read; false at the end of it. */
static bool copy_some(int from, int to)
{
	uint8_t buf[4096];
	ssize_t n = read(from, buf, sizeof(buf));

	return n > 0 && write_all(to, buf, n);
}

/* Standard input and output to and from a socket, until one of them ends. */
static void copy_both(int s)
{
	bool ok = true;

	while (ok) {
		struct pollfd f[2] = { { .fd = 0, .events = POLLIN },
				       { .fd = s, .events = POLLIN } };

		if (poll(f, 2, -1) < 0)
			continue;
		if (f[0].revents)
			ok = copy_some(0, s);
		if (ok && f[1].revents)
			ok = copy_some(s, 1);
	}
}

static int relay(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
	if (s < 0 || connect(s, (struct sockaddr *)&a, sizeof(a))) {
		perror(path);
		return 1;
	}
	copy_both(s);
	return 0;
}

/* A session has one descriptor, standard input and output are two. */
static int serve_stdio(void)
{
	int s[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s)) {
		perror("xbagent: socketpair");
		return 1;
	}
	pid = fork();
	if (!pid) {
		int none = open("/dev/null", O_RDWR);

		/* what commands leave running must not hold the line open */
		for (int fd = 0; fd <= 2; fd++)
			dup2(none, fd);
		close(s[0]);
		serve(s[1], false);
		_exit(0);
	}
	close(s[1]);
	copy_both(s[0]);
	close(s[0]);
	waitpid(pid, NULL, 0);
	return 0;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && !strcmp(argv[1], "tcp"))
		return serve_tcp(atoi(argv[2]));
	if (argc == 3 && !strcmp(argv[1], "port"))
		return serve_port(argv[2]);
	if (argc == 2 && !strcmp(argv[1], "stdio"))
		return serve_stdio();
	if (argc == 3 && !strcmp(argv[1], "relay"))
		return relay(argv[2]);
	fprintf(stderr, "usage: xbagent tcp PORT | port NAME | stdio | relay SOCKET\n");
	return 2;
}
