/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * results.h: measurements: rows, variants, samples; as JSON and back.
 */
#ifndef PVHVM_RESULTS_H
#define PVHVM_RESULTS_H

#include <json-c/json.h>
#include <stdbool.h>

#include "text.h"

/* What is measured. */
struct row {
	const char *name;	/* net.tcp_tx */
	const char *title;	/* for people */
	const char *unit;
	bool higher_is_better;
};

#define ROWS 8
extern const struct row rows[ROWS];

/* NULL if there is no such row. */
const struct row *row_find(const char *name);

struct variant {
	char name[24];		/* emulated, inkernel, pvhvm, ... */
	double *samples;
	int nr_samples;
	/* Of samples that were not recorded themselves. */
	double median, min, max;
	int n;
};

struct result {
	char name[64];
	char title[64];
	char unit[16];
	bool higher_is_better;
	struct variant *variants;
	int nr_variants;
};

struct results {
	struct result *v;
	int n;
	struct json_object *host;	/* what the files say alike; or NULL */
};

/* One more sample of a row. */
void results_add(struct results *r, const struct row *row, const char *variant, double value);

/* Median, least, greatest and number of a variant, in its own fields. */
void variant_sum_up(struct variant *v);
const struct variant *result_variant(const struct result *r, const char *name);

/**
 * result_ratio() - how many times better @a is than @b, by their medians
 * Return: 0 if one of them is missing or zero.
 */
double result_ratio(const struct result *r, const char *a, const char *b);

/* The array "results"; results_load() reads it back. */
struct json_object *results_json(const struct results *r);

/**
 * results_load() - add a file's results
 *
 * Equal rows and variants of several files are put together.
 */
int results_load(struct results *r, const char *file, struct why *why);

/* Emulated, in-kernel, pvhvm, then the others by name. */
void results_sort(struct results *r);
void results_free(struct results *r);

/* Three significant digits, with thousands as they are: "12.3", "3753". */
void results_number(double value, char *buf, size_t size);

/* Write a JSON object to a file, or standard output for "-". */
int results_write(struct json_object *o, const char *file, struct why *why);

#endif
