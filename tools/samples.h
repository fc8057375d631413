/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * samples.h: measured values, and their form for Prometheus.
 *
 * In that form all samples of a family stand together below one description,
 * in whatever order they were found: they are collected first, then printed.
 */
#ifndef PVHVM_SAMPLES_H
#define PVHVM_SAMPLES_H

#include <stdbool.h>

#include "text.h"

enum sample_type {
	SAMPLE_GAUGE,		/* what there is now */
	SAMPLE_COUNTER,		/* only grows, until a module is loaded anew */
};

struct sample {
	char *family;
	char *help;
	char *labels;		/* a="b",c="d" or "" */
	enum sample_type type;
	int order;		/* as they were added */
	double value;
};

struct samples {
	struct sample *list;
	int count;
};

/* A label's value in quotes, escaped; to be freed. */
char *samples_quoted(const char *value);

/**
 * samples_add() - take one value
 * @family: the metric's name; characters that have no place there become _
 * @help: what it is, equal for all of a family
 * @labels: taken as it is; values have been through samples_quoted()
 */
void samples_add(struct samples *s, enum sample_type type, const char *family,
		 const char *help, const char *labels, double value);

/* The whole text, ordered by family; to be freed. */
char *samples_text(struct samples *s);
void samples_free(struct samples *s);

#endif
