// SPDX-License-Identifier: GPL-2.0-only
/* report.c: the subcommand: several measurements side by side. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "html.h"
#include "json_text.h"
#include "results.h"

struct options {
	const char *json, *html, *steps, *title;
};

static const char usage[] =
	"Usage: pvhvm report FILE... [--json OUT] [--html OUT] [--steps FILE] [--title TEXT]\n"
	"\n"
	"Put measurements of `pvhvm bench --json` (or of another report) side by side.\n"
	"\n"
	"  --json OUT    the merged results; - is standard output\n"
	"  --html OUT    one HTML file with charts, needs nothing else; - likewise\n"
	"  --steps FILE  JSON [{\"name\": ..., \"seconds\": ...}, ...]: how long each step took\n"
	"  --title TEXT  headline of the HTML file\n"
	"\n"
	"Ratios say how many times better, so more than 1 is an improvement in all rows.\n"
	"Exit status: 0 done, 1 a file cannot be read or written, 2 usage.\n";

static void ratio_text(double ratio, char *buf, size_t size)
{
	if (ratio > 0)
		snprintf(buf, size, "%.*fx", ratio >= 10 ? 0 : 2, ratio);
	else
		text_set(buf, size, "-");
}

static void cell(const struct result *r, const char *name, char *buf, size_t size)
{
	const struct variant *v = result_variant(r, name);

	if (v)
		results_number(v->median, buf, size);
	else
		text_set(buf, size, "-");
}

static void print_table(const struct results *r)
{
	say("%-24s %-7s %10s %10s %10s %10s %10s", "row (medians)", "unit", "emulated",
	    "inkernel", "pvhvm", "/emulated", "/inkernel");
	for (int i = 0; i < r->n; i++) {
		const struct result *res = &r->v[i];
		char emulated[32], inkernel[32], pvhvm[32], over_e[32], over_i[32];

		cell(res, "emulated", emulated, sizeof(emulated));
		cell(res, "inkernel", inkernel, sizeof(inkernel));
		cell(res, "pvhvm", pvhvm, sizeof(pvhvm));
		ratio_text(result_ratio(res, "pvhvm", "emulated"), over_e, sizeof(over_e));
		ratio_text(result_ratio(res, "pvhvm", "inkernel"), over_i, sizeof(over_i));
		say("%-24s %-7s %10s %10s %10s %10s %10s", res->name, res->unit, emulated,
		    inkernel, pvhvm, over_e, over_i);
		for (int j = 0; j < res->nr_variants; j++) {
			const char *name = res->variants[j].name;
			char text[32];

			if (strcmp(chart_class(name), "other"))
				continue;
			results_number(res->variants[j].median, text, sizeof(text));
			say("%24s %-7s %10s", name, "", text);
		}
	}
}

static int load_steps(const char *file, struct json_object **steps, struct why *why)
{
	struct json_object *o = json_load(file, why), *list;

	if (!o)
		return PVHVM_FAILED;
	/* Also inside an object, as a report has them. */
	if (json_object_object_get_ex(o, "steps", &list)) {
		json_object_get(list);
		json_object_put(o);
		o = list;
	}
	if (!json_object_is_type(o, json_type_array)) {
		json_object_put(o);
		return why_set(why, PVHVM_FAILED, "%s is no list of steps: [{\"name\": ..., \"seconds\": ...}]",
			       file);
	}
	*steps = o;
	return PVHVM_OK;
}

static int write_json(const struct results *r, struct json_object *steps,
		      const struct options *opt, struct why *why)
{
	struct json_object *o = json_object_new_object();
	int code;

	if (opt->title)
		json_object_object_add(o, "title", json_text(opt->title));
	json_object_object_add(o, "host", r->host ? json_object_get(r->host) :
			       json_object_new_object());
	json_object_object_add(o, "results", results_json(r));
	if (steps)
		json_object_object_add(o, "steps", json_object_get(steps));
	code = results_write(o, opt->json, why);
	json_object_put(o);
	return code;
}

static bool is_output(const char *option)
{
	return option && !strcmp(option, "-");
}

static int run(int argc, char **argv, const struct options *opt, struct why *why)
{
	struct results results = { 0 };
	struct json_object *steps = NULL;
	int code = PVHVM_OK;

	for (int i = 0; i < argc && !code; i++)
		code = results_load(&results, argv[i], why);
	if (!code && opt->steps)
		code = load_steps(opt->steps, &steps, why);
	if (!code) {
		results_sort(&results);
		if (!is_output(opt->json) && !is_output(opt->html))
			print_table(&results);
	}
	if (!code && opt->json)
		code = write_json(&results, steps, opt, why);
	if (!code && opt->html) {
		struct html_report rep = {
			.title = opt->title ? opt->title : "Emulated and PV devices compared",
			.results = &results, .steps = steps,
		};

		code = html_write(&rep, opt->html, why);
	}
	json_object_put(steps);
	results_free(&results);
	return code;
}

int command_report(int argc, char **argv, struct why *why)
{
	static const struct option longs[] = {
		{ "json", required_argument, NULL, 'j' },
		{ "html", required_argument, NULL, 'H' },
		{ "steps", required_argument, NULL, 's' },
		{ "title", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	struct options opt = { 0 };
	int c;

	while ((c = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
		switch (c) {
		case 'j': opt.json = optarg; break;
		case 'H': opt.html = optarg; break;
		case 's': opt.steps = optarg; break;
		case 't': opt.title = optarg; break;
		case 'h':
			command_help(usage);
			return PVHVM_OK;
		default: return command_option(c, argv, "report", why);
		}
	}
	if (optind == argc)
		return why_set(why, PVHVM_USAGE, "no file given: name what pvhvm bench --json wrote");
	return run(argc - optind, argv + optind, &opt, why);
}
