/* SPDX-License-Identifier: ISC */
#include "wire/html.h"

/* What stands for c; empty where c stands for itself. */
static struct span
html_entity(char c)
{
	switch (c) {
	case '&':
		return SPAN("&amp;");
	case '<':
		return SPAN("&lt;");
	case '>':
		return SPAN("&gt;");
	case '"':
		return SPAN("&quot;");
	case '\'':
		return SPAN("&#39;");
	default:
		return SPAN("");
	}
}

size_t
html_escape(char *out, size_t size, struct span in)
{
	struct span entity;
	size_t need = 0;

	for (size_t i = 0; i < in.len; i++) {
		entity = html_entity(in.at[i]);
		need += entity.len > 0 ? entity.len : 1;
	}
	if (need > size)
		return need;
	for (size_t i = 0; i < in.len; i++) {
		entity = html_entity(in.at[i]);
		if (entity.len == 0) {
			*out++ = in.at[i];
			continue;
		}
		memcpy(out, entity.at, entity.len);
		out += entity.len;
	}
	return need;
}
