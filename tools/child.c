// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"

#define VERSION_SECONDS 30.0

extern char **environ;

/* Whom child_output() waits for, or 0. */
static volatile pid_t running;

void child_stop(void)
{
	if (!running)
		return;
	kill(running, SIGKILL);
	waitpid(running, NULL, 0);
}

static int reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/*
 * A child must not inherit the signals that a switch ignores. One @apart does
 * not get those of the terminal, either: a switch that is told to stop first
 * ends its step.
 */
static int spawn(const char *program, char *const argv[], bool apart, int out, int err,
		 pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t all, none;
	int ret;

	sigfillset(&all);
	sigemptyset(&none);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
				 (apart ? POSIX_SPAWN_SETSID : 0));
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, out, 1);
	posix_spawn_file_actions_adddup2(&files, err, 2);
	ret = posix_spawnp(pid, program, &files, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	return ret;
}

static int spawn_quietly(const char *program, char *const argv[], pid_t *pid)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int ret;

	if (null < 0)
		return -1;
	ret = spawn(program, argv, true, null, null, pid);
	close(null);
	return ret;
}

int child_run_quietly(char *const argv[])
{
	pid_t pid;

	return spawn_quietly(argv[0], argv, &pid) ? -1 : reap(pid);
}

/* Where this fails, the group that we are in is as good. */
static void move_to(const char *cgroup_procs, pid_t pid)
{
	FILE *f = fopen(cgroup_procs, "we");

	if (!f)
		return;
	fprintf(f, "%d", (int)pid);
	fclose(f);
}

int child_start(const char *program, char *const argv[], const char *cgroup_procs,
		double seconds)
{
	double end = text_now() + seconds;
	int status = 0;
	pid_t pid, done;

	if (spawn_quietly(program, argv, &pid))
		return -1;
	if (cgroup_procs)
		move_to(cgroup_procs, pid);
	while (!(done = waitpid(pid, &status, WNOHANG)) || (done < 0 && errno == EINTR)) {
		if (text_now() > end)
			return CHILD_GOES_ON;
		usleep(20000);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

struct stream {
	int fd;
	char *data;
	size_t len;
};

/* false at the end of the stream */
static bool pump(struct stream *s)
{
	ssize_t n;

	s->data = text_grow(s->data, s->len + 65536, 1);
	n = read(s->fd, s->data + s->len, 65535);
	if (n > 0)
		s->len += n;
	s->data[s->len] = '\0';
	return n > 0 || (n < 0 && errno == EINTR);
}

/* Both pipes until both end; false when the time is up. */
static bool collect(struct stream s[2], double seconds)
{
	double end = text_now() + seconds;
	bool open[2] = { true, true };

	while (open[0] || open[1]) {
		struct pollfd p[2] = {
			{ .fd = open[0] ? s[0].fd : -1, .events = POLLIN },
			{ .fd = open[1] ? s[1].fd : -1, .events = POLLIN },
		};

		if (text_now() > end)
			return false;
		if (poll(p, 2, 200) <= 0)
			continue;
		for (int i = 0; i < 2; i++)
			if (p[i].revents)
				open[i] = pump(&s[i]);
	}
	return true;
}

static int judge(char *const argv[], int status, bool in_time, double seconds,
		 const char *complaint, const char *output, struct why *why)
{
	int length;

	if (!in_time)
		return why_set(why, PVHVM_FAILED, "%s did not end within %.0f s and was stopped",
			       argv[0], seconds);
	if (!status)
		return PVHVM_OK;
	complaint += strspn(complaint, "\n ");
	/* some complain where the result would be */
	if (!*complaint && *output != '{')
		complaint = output + strspn(output, "\n ");
	length = strcspn(complaint, "\n");
	return why_set(why, PVHVM_FAILED, "%s failed with status %d%s%.*s", argv[0], status,
		       length ? ": " : "", length < 300 ? length : 300, complaint);
}

int child_output(char *const argv[], double seconds, char **out, struct why *why)
{
	int o[2], e[2], ret, status;
	sigset_t all, before;
	struct stream s[2];
	bool in_time;
	pid_t pid;

	*out = NULL;
	if (pipe2(o, O_CLOEXEC))
		return why_set(why, PVHVM_FAILED, "cannot make a pipe: %s", strerror(errno));
	if (pipe2(e, O_CLOEXEC)) {
		close(o[0]);
		close(o[1]);
		return why_set(why, PVHVM_FAILED, "cannot make a pipe: %s", strerror(errno));
	}
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	ret = spawn(argv[0], argv, false, o[1], e[1], &pid);
	running = ret ? 0 : pid;
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(o[1]);
	close(e[1]);
	if (ret) {
		close(o[0]);
		close(e[0]);
		return why_set(why, ret == ENOENT ? PVHVM_NO_PROGRAM : PVHVM_FAILED,
			       "cannot run %s: %s; install the package %s",
			       argv[0], strerror(ret), argv[0]);
	}
	s[0] = (struct stream) { o[0], text_copy(""), 0 };
	s[1] = (struct stream) { e[0], text_copy(""), 0 };
	in_time = collect(s, seconds);
	if (!in_time)
		kill(pid, SIGKILL);
	status = reap(pid);
	running = 0;
	close(o[0]);
	close(e[0]);
	ret = judge(argv, status, in_time, seconds, s[1].data, s[0].data, why);
	free(s[1].data);
	*out = s[0].data;
	return ret;
}

bool child_is_installed(const char *program, struct why *why)
{
	char *const argv[] = { (char *)program, "--version", NULL };
	char *out;
	int code = child_output(argv, VERSION_SECONDS, &out, why);

	free(out);
	return code != PVHVM_NO_PROGRAM;
}
