// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "json_text.h"
#include "text.h"

struct json_object *json_text(const char *s)
{
	char *copy = text_copy(s);
	struct json_object *o;

	text_utf8(copy);
	o = json_object_new_string(copy);
	free(copy);
	return o;
}
