// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "sysfs.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv, struct why *why);
} commands[] = {
	{ "status", command_status },
	{ "switch", command_switch },
	{ "bench", command_bench },
	{ "report", command_report },
	{ "metrics", command_metrics },
};

static const char usage[] =
	"Usage: pvhvm status | switch | bench | report | metrics [OPTION]...\n"
	"\n"
	"  status   what is emulated, what is PV, and what switch would do\n"
	"  switch   hand emulated NICs and disks over to their PV twins, live\n"
	"  bench    measure network and disk\n"
	"  report   compare measurements\n"
	"  metrics  the drivers' counters, for Prometheus\n"
	"\n"
	"`pvhvm COMMAND --help` tells more; pvhvm(8) tells all.\n";

int command_help(const char *text)
{
	say_raw(text);
	return COMMAND_HELPED;
}

bool command_number(const char *s, double min, double max, double *value)
{
	char *end;
	double v = strtod(s, &end);

	if (end == s || *end || !(v >= min && v <= max))
		return false;
	*value = v;
	return true;
}

static int dispatch(int argc, char **argv, struct why *why)
{
	const char *root = getenv("PVHVM_SYSROOT");

	if (root && *root && !sysfs_set_root(root))
		return why_set(why, PVHVM_USAGE, "PVHVM_SYSROOT: no folder %s", root);
	if (argc < 2) {
		say_err("%s", usage);
		return why_set(why, PVHVM_USAGE, "no command given");
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		say_raw(usage);
		return PVHVM_OK;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		say("pvhvm %s", PVHVM_VERSION);
		return PVHVM_OK;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1, why);
	return why_set(why, PVHVM_USAGE, "no command %s: status, switch, bench, report and metrics are known",
		       argv[1]);
}

int command_option(int refused, char **argv, const char *command, struct why *why)
{
	const char *word = argv[optind - 1];
	char letter[3] = { '-', optopt, '\0' };

	/* one of several letters in a word, which is not behind us yet */
	if (optopt && strncmp(word, "--", 2))
		word = letter;
	return why_set(why, PVHVM_USAGE, refused == ':' ? "%s wants a value; see `pvhvm %s --help`" :
		       "no option %s; see `pvhvm %s --help`", word, command);
}

/* Else a file would get the number of one that is closed, and what is said to it. */
static void hold_standard_files(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", O_RDONLY);
}

int main(int argc, char **argv)
{
	struct why why = { "" };
	int code, lost;

	hold_standard_files();
	/* who reads may go; it is no reason to leave what is begun */
	signal(SIGPIPE, SIG_IGN);
	opterr = 0;
	code = dispatch(argc, argv, &why);
	if (code && why.text[0])
		say_err("pvhvm: %s", why.text);
	lost = say_flush(&why);
	return code ? code : lost;
}
