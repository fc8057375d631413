/* SPDX-License-Identifier: GPL-2.0-only */
/* commands.h: the subcommands, as main() sees them. */
#ifndef PVHVM_COMMANDS_H
#define PVHVM_COMMANDS_H

#include <stdbool.h>

#include "text.h"

/* Not an exit code: --help was answered, there is nothing more to do. */
#define COMMAND_HELPED (-1)

int command_status(int argc, char **argv, struct why *why);
int command_switch(int argc, char **argv, struct why *why);
int command_bench(int argc, char **argv, struct why *why);
int command_report(int argc, char **argv, struct why *why);
int command_metrics(int argc, char **argv, struct why *why);

/* Print a usage text; COMMAND_HELPED. */
int command_help(const char *usage);

/* What getopt_long() has refused, ':' or '?', in one line; PVHVM_USAGE. */
int command_option(int refused, char **argv, const char *command, struct why *why);

/* A number in a range; false (and @value untouched) if it is none. */
bool command_number(const char *s, double min, double max, double *value);

#endif
