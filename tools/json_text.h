/* SPDX-License-Identifier: GPL-2.0-only */
/* json_text.h: text from anywhere as a JSON string; JSON from a file. */
#ifndef PVHVM_JSON_TEXT_H
#define PVHVM_JSON_TEXT_H

#include <json-c/json.h>

#include "text.h"

/* What is not UTF-8 becomes question marks. */
struct json_object *json_text(const char *s);

/* The value in a file; NULL, and @why says whether it is the file or what is in it. */
struct json_object *json_load(const char *file, struct why *why);

#endif
