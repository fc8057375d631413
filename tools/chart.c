// SPDX-License-Identifier: GPL-2.0-only
/* chart.c: bars as inline SVG. Colours and fonts come from the page's CSS. */
#include <math.h>
#include <string.h>

#include "html.h"

/* Drawing units; the picture scales with the page. */
#define WIDTH	420
#define LABEL	70	/* to the left of the axis, at least */
#define LETTER	8	/* the width of one, with some to spare */
#define VALUE	64	/* to the right of it, for the figures */
#define BAR	18
#define PITCH	28
#define TOP	6
#define AXIS	22

/* Beyond this, the smallest bar would be too short to see on a linear axis. */
#define LOG_FROM 12.0
#define LEAST 1e-12

struct axis {
	bool log;
	double low, high;
	int left;
};

static double place(const struct axis *a, double v)
{
	double width = WIDTH - a->left - VALUE, at;

	if (a->log)
		at = v <= a->low ? 0 : log(v / a->low) / log(a->high / a->low);
	else
		at = v / a->high;
	return a->left + width * fmin(fmax(at, 0), 1);
}

/* 1, 2 or 5 times a power of ten, at least a third of the way. */
static double step_for(double high)
{
	double power = pow(10, floor(log10(high / 3)));
	double rest = high / 3 / power;

	return power * (rest > 5 ? 10 : rest > 2 ? 5 : rest > 1 ? 2 : 1);
}

static struct axis choose_axis(const struct result *r)
{
	struct axis a = { .left = LABEL };
	double least = INFINITY;

	for (int i = 0; i < r->nr_variants; i++) {
		int needs = strlen(r->variants[i].name) * LETTER + 16;

		a.left = needs > a.left ? needs : a.left;
		a.high = fmax(a.high, r->variants[i].max);
		if (r->variants[i].min > 0)
			least = fmin(least, r->variants[i].min);
	}
	if (a.high <= 0)
		a.high = 1;
	/* what is less by far than the greatest would make decades without end */
	least = fmax(least, a.high * LEAST);
	a.log = isfinite(least) && least > 0 && a.high / least > LOG_FROM;
	if (a.log) {
		/* A decade below the least, so that its bar has a length, too. */
		a.low = pow(10, floor(log10(least * 0.7)));
		a.high = pow(10, ceil(log10(a.high)));
	} else {
		a.high = step_for(a.high) * ceil(a.high / step_for(a.high) - 1e-9);
	}
	return a;
}

static void tick(FILE *f, const struct axis *a, double v, int bottom)
{
	char text[32];

	if (v >= 1e6)
		snprintf(text, sizeof(text), "%gM", v / 1e6);
	else if (v >= 1e4)
		snprintf(text, sizeof(text), "%gk", v / 1e3);
	else
		snprintf(text, sizeof(text), "%g", v);
	fprintf(f, "<line class=\"grid\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>"
		"<text class=\"tick\" x=\"%.1f\" y=\"%d\">%s</text>\n",
		place(a, v), TOP, place(a, v), bottom, place(a, v), bottom + 15, text);
}

static void draw_axis(FILE *f, const struct axis *a, int bottom)
{
	if (a->log) {
		double v = a->low;

		for (; v < a->high * 1.01; v *= 10)
			tick(f, a, v, bottom);
		return;
	}
	for (double v = 0; v < a->high * 1.001; v += step_for(a->high))
		tick(f, a, v, bottom);
}

const char *chart_class(const char *variant)
{
	static const char *const known[] = { "emulated", "inkernel", "pvhvm" };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(known[i], variant))
			return known[i];
	return "other";
}

static void whisker(FILE *f, const struct axis *a, const struct variant *v, double y)
{
	double x1 = place(a, v->min), x2 = place(a, v->max), m = y + BAR / 2.0;

	fprintf(f, "<path class=\"whisker\" d=\"M%.1f %.1fH%.1fM%.1f %.1fV%.1fM%.1f %.1fV%.1f\"/>",
		x1, m, x2, x1, m - 4, m + 4, x2, m - 4, m + 4);
}

void chart_row(FILE *f, const struct result *r)
{
	struct axis a = choose_axis(r);
	int bottom = TOP + PITCH * r->nr_variants;

	fprintf(f, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH, bottom + AXIS);
	html_text(f, r->title);
	fputs("\">\n", f);
	draw_axis(f, &a, bottom);
	for (int i = 0; i < r->nr_variants; i++) {
		const struct variant *v = &r->variants[i];
		double y = TOP + PITCH * i + (PITCH - BAR) / 2.0;
		char median[32], min[32], max[32];

		results_number(v->median, median, sizeof(median));
		results_number(v->min, min, sizeof(min));
		results_number(v->max, max, sizeof(max));
		fputs("<g><title>", f);
		html_text(f, v->name);
		fprintf(f, ": median %s, %s to %s, n = %d</title>", median, min, max, v->n);
		fprintf(f, "<text class=\"name\" x=\"%d\" y=\"%.1f\">", a.left - 8, y + 13);
		html_text(f, v->name);
		fprintf(f, "</text><rect class=\"bar %s\" x=\"%d\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" rx=\"2\"/>",
			chart_class(v->name), a.left, y,
			fmax(place(&a, v->median) - a.left, 1), BAR);
		if (v->max > v->min)
			whisker(f, &a, v, y);
		fprintf(f, "<text class=\"value\" x=\"%.1f\" y=\"%.1f\">%s</text></g>\n",
			place(&a, fmax(v->max, v->median)) + 8, y + 13, median);
	}
	fputs("</svg>\n", f);
	if (a.log)
		fputs("<p class=\"scale\">logarithmic scale</p>\n", f);
}

static double step_seconds(struct json_object *step)
{
	struct json_object *x;
	double s = json_object_object_get_ex(step, "seconds", &x) ? json_object_get_double(x) : 0;

	return isfinite(s) && s > 0 ? s : 0;
}

static const char *step_name(struct json_object *step)
{
	struct json_object *x;

	return json_object_object_get_ex(step, "name", &x) && x ? json_object_get_string(x) : "?";
}

static void shortened(FILE *f, const char *name, size_t most)
{
	char text[128];

	if (strlen(name) <= most) {
		html_text(f, name);
		return;
	}
	text_set(text, most < sizeof(text) ? most : sizeof(text), name);
	html_text(f, text);
	fputs("…", f);
}

void chart_steps(FILE *f, struct json_object *steps)
{
	const int width = 1000, most = 520, pitch = 26, bar = 15;
	int n = json_object_array_length(steps), label = 120;
	double longest = 0.001, total = 0;

	for (int i = 0; i < n; i++) {
		struct json_object *step = json_object_array_get_idx(steps, i);
		double s = step_seconds(step);
		int needs = strlen(step_name(step)) * LETTER + 16;

		label = needs > most ? most : needs > label ? needs : label;
		longest = fmax(longest, s);
		total += s;
	}
	fprintf(f, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"steps\">\n",
		width, n * pitch + 4);
	for (int i = 0; i < n; i++) {
		struct json_object *step = json_object_array_get_idx(steps, i);
		double s = step_seconds(step), y = i * pitch + 4;
		double w = fmax((width - label - VALUE) * s / longest, 1);

		fputs("<g><title>", f);
		html_text(f, step_name(step));
		fprintf(f, "</title><text class=\"name\" x=\"%d\" y=\"%.1f\">", label - 8, y + 11);
		shortened(f, step_name(step), (label - 16) / LETTER);
		fprintf(f, "</text><rect class=\"bar step\" x=\"%d\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" rx=\"2\"/>"
			"<text class=\"value\" x=\"%.1f\" y=\"%.1f\">%.*f s</text></g>\n",
			label, y, w, bar, label + w + 8, y + 11, s < 10 ? 1 : 0, s);
	}
	fprintf(f, "</svg>\n<p class=\"scale\">%.0f s in all</p>\n", total);
}
