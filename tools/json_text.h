/* SPDX-License-Identifier: GPL-2.0-only */
/* json_text.h: text from anywhere as a JSON string. */
#ifndef PVHVM_JSON_TEXT_H
#define PVHVM_JSON_TEXT_H

#include <json-c/json.h>

/* What is not UTF-8 becomes question marks. */
struct json_object *json_text(const char *s);

#endif
