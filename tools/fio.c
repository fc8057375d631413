// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "measure.h"

/* Laying out the file and draining the last requests on a slow disk. */
#define GRACE_SECONDS 600

struct load {
	const char *row, *rw, *bs, *engine;
	int depth;
	bool writes, bandwidth;
};

static const struct load loads[] = {
	{ "disk.randread_4k_qd1", "randread", "4k", "psync", 1, false, false },
	{ "disk.randread_4k_qd32", "randread", "4k", "libaio", 32, false, false },
	{ "disk.randwrite_4k_qd32", "randwrite", "4k", "libaio", 32, true, false },
	{ "disk.read_1m_qd4", "read", "1m", "libaio", 4, false, true },
	{ "disk.write_1m_qd4", "write", "1m", "libaio", 4, true, true },
};

static const struct load *find(const char *row)
{
	for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
		if (!strcmp(loads[i].row, row))
			return &loads[i];
	return &loads[0];
}

bool fio_writes(const char *row)
{
	return find(row)->writes;
}

/* fio puts warnings in front of its JSON. */
static int parse(const struct load *load, const char *out, double *value, struct why *why)
{
	const char *start = strchr(out, '{');
	struct json_object *o = start ? json_tokener_parse(start) : NULL;
	struct json_object *jobs, *side, *x;
	bool ok;

	ok = o && json_object_object_get_ex(o, "jobs", &jobs) &&
	     json_object_is_type(jobs, json_type_array) && json_object_array_length(jobs) &&
	     json_object_object_get_ex(json_object_array_get_idx(jobs, 0),
				       load->writes ? "write" : "read", &side) &&
	     json_object_object_get_ex(side, load->bandwidth ? "bw_bytes" : "iops", &x);
	if (ok)
		*value = json_object_get_double(x) / (load->bandwidth ? 1e6 : 1);
	json_object_put(o);
	if (!ok || *value <= 0)
		return why_set(why, PVHVM_FAILED, "fio gave no figure for %s: run it by hand to see why",
			       load->row);
	return PVHVM_OK;
}

/* fio takes a colon for the end of a name, unless there is a backslash before it. */
static char *filename_option(const char *path)
{
	char *option = text_alloc(sizeof("--filename=") + 2 * strlen(path));
	char *to = stpcpy(option, "--filename=");

	while (*path) {
		if (*path == ':' || *path == '\\')
			*to++ = '\\';
		*to++ = *path++;
	}
	return option;
}

int fio_measure(const char *row, const char *path, uint64_t size, double seconds,
		double *value, struct why *why)
{
	const struct load *load = find(row);
	char *args[20], *out;
	int n = 0, code;

	args[n++] = text_copy("fio");
	args[n++] = text_copy("--name=pvhvm");
	args[n++] = filename_option(path);
	args[n++] = text_printf("--rw=%s", load->rw);
	args[n++] = text_printf("--bs=%s", load->bs);
	args[n++] = text_printf("--ioengine=%s", load->engine);
	args[n++] = text_printf("--iodepth=%d", load->depth);
	args[n++] = text_printf("--runtime=%.0fms", seconds * 1e3);
	args[n++] = text_copy("--time_based");
	args[n++] = text_copy("--direct=1");
	args[n++] = text_copy("--thread");
	args[n++] = text_copy("--output-format=json");
	if (size)
		args[n++] = text_printf("--size=%llu", (unsigned long long)size);
	/* Even an empty write is a crime on a disk that is only read. */
	if (!load->writes && !size)
		args[n++] = text_copy("--readonly");
	args[n] = NULL;
	code = child_output(args, seconds + GRACE_SECONDS, &out, why);
	if (!code)
		code = parse(load, out, value, why);
	free(out);
	while (n)
		free(args[--n]);
	return code;
}
