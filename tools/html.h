/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * html.h: a comparison as one HTML file that needs nothing else.
 */
#ifndef PVHVM_HTML_H
#define PVHVM_HTML_H

#include <stdio.h>

#include "results.h"

struct html_report {
	const char *title;
	const struct results *results;
	struct json_object *steps;	/* [{"name", "seconds"}], or NULL */
};

int html_write(const struct html_report *report, const char *file, struct why *why);

/* Text with what HTML would take for markup made harmless. */
void html_text(FILE *f, const char *s);

/* chart.c: a row's bars; the steps' times. Inline SVG. */
void chart_row(FILE *f, const struct result *r);
void chart_steps(FILE *f, struct json_object *steps);

/* CSS class of a variant's colour. */
const char *chart_class(const char *variant);

#endif
