// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json_text.h"

struct json_object *json_text(const char *s)
{
	char *copy = text_copy(s);
	struct json_object *o;

	text_utf8(copy);
	o = json_object_new_string(copy);
	free(copy);
	return o;
}

struct json_object *json_load(const char *file, struct why *why)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC), err = fd < 0 ? errno : 0;
	struct json_object *o = NULL;
	struct stat st;

	if (!err && !fstat(fd, &st) && S_ISDIR(st.st_mode))
		err = EISDIR;
	if (!err)
		o = json_object_from_fd(fd);
	if (fd >= 0)
		close(fd);
	if (!o)
		why_set(why, PVHVM_FAILED, "cannot read %s: %s", file,
			err ? strerror(err) : "there is no JSON in it, or not all of it");
	return o;
}
