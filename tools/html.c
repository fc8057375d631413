// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "html.h"
#include "wholefile.h"

static const char style[] =
	":root{--bg:#fbfbf9;--card:#fff;--ink:#1d2328;--soft:#616b73;--line:#e3e5e3;--grid:#eceeec;"
	"--emulated:#c98a2b;--inkernel:#5b7fc7;--pvhvm:#18906a;--other:#8a6bb0;--step:#7d8a94}\n"
	"@media(prefers-color-scheme:dark){:root{--bg:#14181b;--card:#1c2226;--ink:#e6eaec;--soft:#98a4ac;"
	"--line:#2c343a;--grid:#272f34;--emulated:#d8a24c;--inkernel:#7f9fe0;--pvhvm:#3bb88e;"
	"--other:#b094d6;--step:#8c99a3}}\n"
	"*{box-sizing:border-box}\n"
	"body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.5 system-ui,-apple-system,'Segoe UI',"
	"Roboto,'DejaVu Sans',sans-serif}\n"
	"main{max-width:1120px;margin:0 auto;padding:40px 24px 64px}\n"
	"h1{font-size:28px;line-height:1.2;margin:0 0 6px;letter-spacing:-.01em}\n"
	"h2{font-size:18px;margin:40px 0 14px}\nh3{font-size:15px;margin:0}\n"
	"p{margin:0}\n.soft,.scale{color:var(--soft);font-size:14px}\n"
	".tops{display:grid;grid-template-columns:repeat(auto-fit,minmax(190px,1fr));gap:14px;margin:28px 0 0}\n"
	".rows{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,330px),1fr));gap:14px}\n"
	".card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:16px 18px}\n"
	".top b{display:block;font-size:30px;line-height:1.15;color:var(--pvhvm);font-variant-numeric:tabular-nums}\n"
	".head{margin:0 0 8px}\n"
	"svg{display:block;width:100%;height:auto}\n"
	"svg text{fill:var(--ink);font-size:13px;font-family:inherit}\n"
	"svg .name{text-anchor:end}\nsvg .tick{text-anchor:middle;fill:var(--soft);font-size:11px}\n"
	"svg .value{font-weight:600;font-variant-numeric:tabular-nums}\n"
	"svg .grid{stroke:var(--grid)}\nsvg .whisker{stroke:var(--ink);stroke-width:1.5;fill:none;opacity:.75}\n"
	".emulated{fill:var(--emulated)}.inkernel{fill:var(--inkernel)}.pvhvm{fill:var(--pvhvm)}"
	".other{fill:var(--other)}.step{fill:var(--step)}\n"
	".scale{text-align:right;font-size:12px}\n"
	".wide{overflow-x:auto;padding:4px 0}\n"
	"table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}\n"
	"th,td{padding:8px 16px;text-align:right;border-top:1px solid var(--line);white-space:nowrap}\n"
	"tr:first-child>th{border-top:0}\nth{font-weight:600}\nth:first-child,td:first-child{text-align:left}\n"
	"td small{display:block;color:var(--soft)}\n.good{color:var(--pvhvm);font-weight:600}\n";

void html_text(FILE *f, const char *text)
{
	char *copy = text_copy(text);

	text_utf8(copy);
	for (const char *s = copy; *s; s++) {
		switch (*s) {
		case '<': fputs("&lt;", f); break;
		case '>': fputs("&gt;", f); break;
		case '&': fputs("&amp;", f); break;
		case '"': fputs("&quot;", f); break;
		default: fputc(*s, f);
		}
	}
	free(copy);
}

static const char *host_string(const struct results *r, const char *key)
{
	struct json_object *x;

	if (!r->host || !json_object_object_get_ex(r->host, key, &x) || !x)
		return "";
	return json_object_get_string(x);
}

static void host_part(FILE *f, bool *more, const char *before, const char *value,
		      const char *after)
{
	if (!*value)
		return;
	fprintf(f, "%s%s", *more ? " · " : "", before);
	html_text(f, value);
	fputs(after, f);
	*more = true;
}

static void write_head(FILE *f, const struct html_report *rep)
{
	struct json_object *x;
	char date[32] = "";
	bool more = false;
	struct tm *day;
	time_t t;

	fputs("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
	      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>", f);
	html_text(f, rep->title);
	fprintf(f, "</title>\n<style>\n%s</style>\n<main>\n<h1>", style);
	html_text(f, rep->title);
	fputs("</h1>\n<p class=\"soft\">", f);
	host_part(f, &more, "pvhvm ", host_string(rep->results, "pvhvm"), "");
	host_part(f, &more, "Xen ", host_string(rep->results, "xen"), "");
	host_part(f, &more, "guest kernel ", host_string(rep->results, "kernel"), "");
	host_part(f, &more, "", host_string(rep->results, "cpus"), " vCPUs");
	host_part(f, &more, "clock ", host_string(rep->results, "clocksource"), "");
	if (rep->results->host && json_object_object_get_ex(rep->results->host, "time", &x)) {
		t = json_object_get_int64(x);
		day = gmtime(&t);
		/* none if its year is no int */
		if (day)
			strftime(date, sizeof(date), "%Y-%m-%d", day);
		host_part(f, &more, "", date, "");
	}
	fputs("</p>\n", f);
}

static void ratio_text(double ratio, char *buf, size_t size)
{
	snprintf(buf, size, ratio >= 9.995 ? "%.0f×" : "%.2f×", ratio);
}

/* The figures a reader came for: what PV brings over emulated. */
static void write_tops(FILE *f, const struct results *r)
{
	static const char *const names[] = {
		"net.tcp_tx", "net.tcp_rx", "disk.randread_4k_qd32", "disk.write_1m_qd4",
	};
	bool open = false;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		for (int j = 0; j < r->n; j++) {
			double ratio = result_ratio(&r->v[j], "pvhvm", "emulated");
			char text[32];

			if (strcmp(r->v[j].name, names[i]) || ratio <= 0)
				continue;
			fputs(open ? "" : "<div class=\"tops\">\n", f);
			open = true;
			ratio_text(ratio, text, sizeof(text));
			fprintf(f, "<div class=\"card top\"><b>%s</b><span>", text);
			html_text(f, r->v[j].title);
			fputs("</span><p class=\"soft\">PV against emulated</p></div>\n", f);
		}
	}
	fputs(open ? "</div>\n" : "", f);
}

static void write_rows(FILE *f, const struct results *r, const char *prefix, const char *title)
{
	bool open = false;

	for (int i = 0; i < r->n; i++) {
		const struct result *res = &r->v[i];
		bool net = !strncmp(res->name, "net.", 4), disk = !strncmp(res->name, "disk.", 5);

		if (*prefix ? strncmp(res->name, prefix, strlen(prefix)) : net || disk)
			continue;
		if (!open)
			fprintf(f, "<h2>%s</h2>\n<div class=\"rows\">\n", title);
		open = true;
		fputs("<section class=\"card\"><div class=\"head\"><h3>", f);
		html_text(f, res->title);
		fputs("</h3><p class=\"soft\">", f);
		html_text(f, res->unit);
		fprintf(f, ", %s is better</p></div>\n",
			res->higher_is_better ? "more" : "less");
		chart_row(f, res);
		fputs("</section>\n", f);
	}
	fputs(open ? "</div>\n" : "", f);
}

static void write_cell(FILE *f, const struct variant *v)
{
	char median[32], min[32], max[32];

	if (!v) {
		fputs("<td>–</td>", f);
		return;
	}
	results_number(v->median, median, sizeof(median));
	results_number(v->min, min, sizeof(min));
	results_number(v->max, max, sizeof(max));
	fprintf(f, "<td>%s<small>%s – %s, n = %d</small></td>", median, min, max, v->n);
}

static void write_ratio(FILE *f, double ratio)
{
	char text[32];

	if (ratio <= 0) {
		fputs("<td>–</td>", f);
		return;
	}
	ratio_text(ratio, text, sizeof(text));
	fprintf(f, "<td%s>%s</td>", ratio >= 1.05 ? " class=\"good\"" : "", text);
}

static void write_table(FILE *f, const struct results *r, const char **names, int n,
			bool inkernel)
{
	fputs("<h2>All figures</h2>\n<div class=\"card wide\"><table>\n<tr><th>Row</th>", f);
	for (int i = 0; i < n; i++) {
		fputs("<th>", f);
		html_text(f, names[i]);
		fputs("</th>", f);
	}
	fprintf(f, "<th>pvhvm / emulated</th>%s</tr>\n",
		inkernel ? "<th>pvhvm / inkernel</th>" : "");
	for (int i = 0; i < r->n; i++) {
		fputs("<tr><td>", f);
		html_text(f, r->v[i].title);
		fputs("<small>", f);
		html_text(f, r->v[i].unit);
		fputs("</small></td>", f);
		for (int j = 0; j < n; j++)
			write_cell(f, result_variant(&r->v[i], names[j]));
		write_ratio(f, result_ratio(&r->v[i], "pvhvm", "emulated"));
		if (inkernel)
			write_ratio(f, result_ratio(&r->v[i], "pvhvm", "inkernel"));
		fputs("</tr>\n", f);
	}
	fputs("</table></div>\n", f);
}

static void write_figures(FILE *f, const struct results *r)
{
	const char **names = NULL;
	bool inkernel = false;
	int n = 0;

	for (int i = 0; i < r->n; i++) {
		for (int j = 0; j < r->v[i].nr_variants; j++) {
			const char *name = r->v[i].variants[j].name;
			int k = 0;

			while (k < n && strcmp(names[k], name))
				k++;
			inkernel |= !strcmp(name, "inkernel");
			if (k < n)
				continue;
			names = text_grow(names, n + 1, sizeof(*names));
			names[n++] = name;
		}
	}
	write_table(f, r, names, n, inkernel);
	free(names);
}

static void write_page(FILE *f, const struct html_report *rep)
{
	write_head(f, rep);
	write_tops(f, rep->results);
	write_rows(f, rep->results, "net.", "Network");
	write_rows(f, rep->results, "disk.", "Disk");
	write_rows(f, rep->results, "", "Other");
	write_figures(f, rep->results);
	if (rep->steps && json_object_array_length(rep->steps)) {
		fputs("<h2>How long each step took</h2>\n<div class=\"card\">\n", f);
		chart_steps(f, rep->steps);
		fputs("</div>\n", f);
	}
	fputs("<h2>How to read this</h2>\n<p class=\"soft\">Bars are medians, whiskers reach from the "
	      "least to the greatest of the rounds. The ratio says how many times better the first is, "
	      "so that more than 1 is an improvement in every row. Compare figures of one run on one "
	      "machine only.</p>\n", f);
	if (*host_string(rep->results, "emulation")) {
		fputs("<p class=\"soft\">This host was emulated: ", f);
		html_text(f, host_string(rep->results, "emulation"));
		fputs(".</p>\n", f);
	}
	fputs("</main>\n</html>\n", f);
}

int html_write(const struct html_report *rep, const char *file, struct why *why)
{
	char *page = NULL;
	size_t size;
	FILE *f = open_memstream(&page, &size);
	int code;

	if (f)
		write_page(f, rep);
	if (!f || fclose(f))
		code = why_set(why, PVHVM_FAILED, "cannot make the report: %s", strerror(errno));
	else
		code = wholefile_write(file, page, why);
	free(page);
	return code;
}
