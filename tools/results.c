// SPDX-License-Identifier: GPL-2.0-only
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_text.h"
#include "results.h"
#include "wholefile.h"

const struct row rows[ROWS] = {
	{ "net.tcp_tx", "TCP, guest sends", "Mbit/s", true },
	{ "net.tcp_rx", "TCP, guest receives", "Mbit/s", true },
	{ "net.rtt", "Round trip (ping)", "us", false },
	{ "disk.randread_4k_qd1", "Random read 4k, depth 1", "IOPS", true },
	{ "disk.randread_4k_qd32", "Random read 4k, depth 32", "IOPS", true },
	{ "disk.randwrite_4k_qd32", "Random write 4k, depth 32", "IOPS", true },
	{ "disk.read_1m_qd4", "Sequential read 1M, depth 4", "MB/s", true },
	{ "disk.write_1m_qd4", "Sequential write 1M, depth 4", "MB/s", true },
};

const struct row *row_find(const char *name)
{
	for (int i = 0; i < ROWS; i++)
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	return NULL;
}

static struct result *get_result(struct results *r, const char *full)
{
	const struct row *row = row_find(full);
	struct result *res;
	char name[sizeof(res->name)];

	text_set(name, sizeof(name), full);
	for (int i = 0; i < r->n; i++)
		if (!strcmp(r->v[i].name, name))
			return &r->v[i];
	r->v = text_grow(r->v, r->n + 1, sizeof(*r->v));
	res = &r->v[r->n++];
	memset(res, 0, sizeof(*res));
	text_set(res->name, sizeof(res->name), name);
	text_set(res->title, sizeof(res->title), row ? row->title : full);
	res->higher_is_better = !row || row->higher_is_better;
	text_set(res->unit, sizeof(res->unit), row ? row->unit : "");
	return res;
}

static struct variant *get_variant(struct result *res, const char *full)
{
	struct variant *v;
	char name[sizeof(v->name)];

	text_set(name, sizeof(name), full);
	for (int i = 0; i < res->nr_variants; i++)
		if (!strcmp(res->variants[i].name, name))
			return &res->variants[i];
	res->variants = text_grow(res->variants, res->nr_variants + 1, sizeof(*v));
	v = &res->variants[res->nr_variants++];
	memset(v, 0, sizeof(*v));
	text_set(v->name, sizeof(v->name), name);
	return v;
}

static void add_sample(struct variant *v, double value)
{
	v->samples = text_grow(v->samples, v->nr_samples + 1, sizeof(*v->samples));
	v->samples[v->nr_samples++] = value;
}

void results_add(struct results *r, const struct row *row, const char *variant, double value)
{
	struct variant *v = get_variant(get_result(r, row->name), variant);

	add_sample(v, value);
	variant_sum_up(v);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void variant_sum_up(struct variant *v)
{
	double *sorted;
	int n = v->nr_samples;

	if (!n)
		return;
	sorted = text_alloc(n * sizeof(*sorted));
	memcpy(sorted, v->samples, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), by_value);
	v->median = n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
	v->min = sorted[0];
	v->max = sorted[n - 1];
	v->n = n;
	free(sorted);
}

const struct variant *result_variant(const struct result *r, const char *name)
{
	for (int i = 0; i < r->nr_variants; i++)
		if (!strcmp(r->variants[i].name, name))
			return &r->variants[i];
	return NULL;
}

double result_ratio(const struct result *r, const char *a, const char *b)
{
	const struct variant *x = result_variant(r, a), *y = result_variant(r, b);

	if (!x || !y || x->median <= 0 || y->median <= 0)
		return 0;
	return r->higher_is_better ? x->median / y->median : y->median / x->median;
}

static struct json_object *variant_json(const struct variant *v)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "median", json_object_new_double(v->median));
	json_object_object_add(o, "min", json_object_new_double(v->min));
	json_object_object_add(o, "max", json_object_new_double(v->max));
	json_object_object_add(o, "n", json_object_new_int(v->n));
	if (v->nr_samples) {
		struct json_object *list = json_object_new_array();

		for (int i = 0; i < v->nr_samples; i++)
			json_object_array_add(list, json_object_new_double(v->samples[i]));
		json_object_object_add(o, "samples", list);
	}
	return o;
}

struct json_object *results_json(const struct results *r)
{
	struct json_object *list = json_object_new_array();

	for (int i = 0; i < r->n; i++) {
		const struct result *res = &r->v[i];
		struct json_object *o = json_object_new_object();
		struct json_object *variants = json_object_new_object();

		for (int j = 0; j < res->nr_variants; j++)
			json_object_object_add(variants, res->variants[j].name,
					       variant_json(&res->variants[j]));
		json_object_object_add(o, "name", json_text(res->name));
		json_object_object_add(o, "title", json_text(res->title));
		json_object_object_add(o, "unit", json_text(res->unit));
		json_object_object_add(o, "better", json_text(
			res->higher_is_better ? "higher" : "lower"));
		json_object_object_add(o, "variants", variants);
		json_object_array_add(list, o);
	}
	return list;
}

/* false if it is no number, or none that can be compared. */
static bool to_number(struct json_object *x, double *value)
{
	if (!json_object_is_type(x, json_type_double) && !json_object_is_type(x, json_type_int))
		return false;
	*value = json_object_get_double(x);
	return isfinite(*value);
}

/* @def if it is not there */
static bool number_of(struct json_object *o, const char *key, double def, double *value)
{
	struct json_object *x;

	*value = def;
	return !json_object_object_get_ex(o, key, &x) || to_number(x, value);
}

static bool load_samples(struct variant *v, struct json_object *list)
{
	double value;

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		if (!to_number(json_object_array_get_idx(list, i), &value))
			return false;
		add_sample(v, value);
	}
	variant_sum_up(v);
	return true;
}

static bool load_variant(struct result *res, const char *name, struct json_object *o)
{
	struct json_object *list;
	double median, n;
	struct variant *v;

	if (!json_object_is_type(o, json_type_object))
		return false;
	v = get_variant(res, name);
	if (json_object_object_get_ex(o, "samples", &list) &&
	    json_object_is_type(list, json_type_array) && json_object_array_length(list))
		return load_samples(v, list);
	if (!number_of(o, "median", 0, &median))
		return false;
	/* Only sums: alone they are kept, beside samples the median is one more. */
	if (v->nr_samples || v->n) {
		if (!v->nr_samples)
			add_sample(v, v->median);
		add_sample(v, median);
		variant_sum_up(v);
		return true;
	}
	v->median = median;
	if (!number_of(o, "min", median, &v->min) || !number_of(o, "max", median, &v->max) ||
	    !number_of(o, "n", 1, &n))
		return false;
	v->n = fmin(fmax(n, 0), INT_MAX);
	return true;
}

static const char *string_of(struct json_object *o, const char *key)
{
	struct json_object *x;

	return json_object_object_get_ex(o, key, &x) ? json_object_get_string(x) : NULL;
}

static int load_result(struct results *r, struct json_object *o, const char *file,
		       struct why *why)
{
	struct json_object *variants;
	const char *name = string_of(o, "name"), *s;
	struct result *res;

	if (!name || !json_object_object_get_ex(o, "variants", &variants) ||
	    !json_object_is_type(variants, json_type_object))
		return why_set(why, PVHVM_FAILED, "%s has a result without name or variants", file);
	res = get_result(r, name);
	s = string_of(o, "title");
	if (s)
		text_set(res->title, sizeof(res->title), s);
	s = string_of(o, "unit");
	if (s)
		text_set(res->unit, sizeof(res->unit), s);
	s = string_of(o, "better");
	if (s)
		res->higher_is_better = strcmp(s, "lower");
	json_object_object_foreach(variants, key, value)
		if (!load_variant(res, key, value))
			return why_set(why, PVHVM_FAILED, "%s: %s has something that is no number for %s",
				       file, res->name, key);
	return PVHVM_OK;
}

/* Of several hosts what they have in common, and when the first was measured. */
static void load_host(struct results *r, struct json_object *host)
{
	struct json_object *same;

	if (!r->host) {
		r->host = json_object_get(host);
		return;
	}
	same = json_object_new_object();
	json_object_object_foreach(r->host, key, value) {
		struct json_object *other = json_object_object_get(host, key);

		if (!strcmp(key, "time") || json_object_equal(value, other))
			json_object_object_add(same, key, json_object_get(value));
	}
	json_object_put(r->host);
	r->host = same;
}

int results_load(struct results *r, const char *file, struct why *why)
{
	struct json_object *o = json_load(file, why), *list, *host;
	int code = PVHVM_OK;

	if (!o)
		return PVHVM_FAILED;
	if (!json_object_object_get_ex(o, "results", &list) ||
	    !json_object_is_type(list, json_type_array)) {
		json_object_put(o);
		return why_set(why, PVHVM_FAILED,
			       "%s has no \"results\": give files that pvhvm bench --json or report --json wrote",
			       file);
	}
	for (size_t i = 0; i < json_object_array_length(list) && !code; i++)
		code = load_result(r, json_object_array_get_idx(list, i), file, why);
	if (json_object_object_get_ex(o, "host", &host) &&
	    json_object_is_type(host, json_type_object))
		load_host(r, host);
	json_object_put(o);
	return code;
}

static int rank(const char *name)
{
	static const char *const order[] = { "emulated", "inkernel", "pvhvm" };

	for (int i = 0; i < 3; i++)
		if (!strcmp(order[i], name))
			return i;
	return 3;
}

static int by_variant(const void *a, const void *b)
{
	const struct variant *x = a, *y = b;
	int d = rank(x->name) - rank(y->name);

	return d ? d : strcmp(x->name, y->name);
}

static int by_row(const void *a, const void *b)
{
	const struct result *x = a, *y = b;
	const struct row *i = row_find(x->name), *j = row_find(y->name);

	/* Known rows in their order, unknown ones after them by name. */
	if (i && j)
		return (i > j) - (i < j);
	if (i || j)
		return i ? -1 : 1;
	return strcmp(x->name, y->name);
}

void results_sort(struct results *r)
{
	if (!r->n)
		return;
	qsort(r->v, r->n, sizeof(*r->v), by_row);
	for (int i = 0; i < r->n; i++) {
		struct result *res = &r->v[i];

		if (res->nr_variants)
			qsort(res->variants, res->nr_variants, sizeof(*res->variants), by_variant);
	}
}

void results_free(struct results *r)
{
	for (int i = 0; i < r->n; i++) {
		for (int j = 0; j < r->v[i].nr_variants; j++)
			free(r->v[i].variants[j].samples);
		free(r->v[i].variants);
	}
	free(r->v);
	json_object_put(r->host);
	memset(r, 0, sizeof(*r));
}

void results_number(double value, char *buf, size_t size)
{
	double a = fabs(value);
	int digits = a >= 100 || a == 0 ? 0 : a >= 10 ? 1 : a >= 1 ? 2 : 3;

	snprintf(buf, size, "%.*f", digits, value);
}

int results_write(struct json_object *o, const char *file, struct why *why)
{
	const int flags = JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
			  JSON_C_TO_STRING_NOSLASHESCAPE;
	char *text = text_printf("%s\n", json_object_to_json_string_ext(o, flags));
	int code = wholefile_write(file, text, why);

	free(text);
	return code;
}
