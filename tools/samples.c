// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "samples.h"

char *samples_quoted(const char *value)
{
	char *quoted = text_alloc(2 * strlen(value) + 3), *to = quoted;
	char *clean = text_copy(value);

	text_utf8(clean);
	*to++ = '"';
	for (const char *from = clean; *from; from++) {
		if (*from == '\\' || *from == '"')
			*to++ = '\\';
		*to++ = *from == '\n' ? ' ' : *from;
	}
	*to = '"';
	free(clean);
	return quoted;
}

void samples_add(struct samples *s, enum sample_type type, const char *family,
		 const char *help, const char *labels, double value)
{
	struct sample *new;

	s->list = text_grow(s->list, s->count + 1, sizeof(*s->list));
	new = &s->list[s->count];
	*new = (struct sample){
		.family = text_copy(family),
		.help = text_copy(help),
		.labels = text_copy(labels),
		.type = type,
		.order = s->count++,
		.value = value,
	};
	for (char *c = new->family; *c; c++)
		if (!isalnum((unsigned char)*c))
			*c = '_';
}

static int by_family(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;
	int order = strcmp(x->family, y->family);

	return order ? order : x->order - y->order;
}

char *samples_text(struct samples *s)
{
	const char *family = "";
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return text_copy("");
	if (s->count)
		qsort(s->list, s->count, sizeof(*s->list), by_family);
	for (int i = 0; i < s->count; i++) {
		const struct sample *one = &s->list[i];

		if (strcmp(one->family, family)) {
			family = one->family;
			fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", family, one->help, family,
				one->type == SAMPLE_COUNTER ? "counter" : "gauge");
		}
		fprintf(out, "%s%s%s%s %.17g\n", one->family, *one->labels ? "{" : "",
			one->labels, *one->labels ? "}" : "", one->value);
	}
	fclose(out);
	return text;
}

void samples_free(struct samples *s)
{
	for (int i = 0; i < s->count; i++) {
		free(s->list[i].family);
		free(s->list[i].help);
		free(s->list[i].labels);
	}
	free(s->list);
	*s = (struct samples){ 0 };
}
