/* SPDX-License-Identifier: ISC */
#include "server/config_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"

/* What ends a word; libconfuse passes over a '+' or '*' that means nothing. */
#define CONFIG_BLANKS " \t\r\n={}(),+*"

/* Where the walk through the text is. */
struct config_walk {
	struct config_text *t;
	char *at;
	unsigned line, depth;
	unsigned open[8];	/* lines of the braces that are open */
	bool list;		/* behind '=': a brace opens a list */
	const char *word;	/* the first word of the present statement, at depth 0 */
	size_t word_len;
	unsigned word_line;
};

static void
config_walk_newline(struct config_walk *w)
{
	if (*w->at == '\n')
		w->line++;
}

/* Blank out a comment, up to but not including its newline, or with its end mark. */
static void
config_walk_comment(struct config_walk *w)
{
	bool block = w->at[0] == '/' && w->at[1] == '*';
	const char *stop = block ? strstr(w->at + 2, "*/") : strchr(w->at, '\n');
	const char *end = stop == NULL ? w->at + strlen(w->at) : block ? stop + 2 : stop;

	for (; w->at < end; w->at++) {
		config_walk_newline(w);
		if (*w->at != '\n')
			*w->at = ' ';
	}
}

/* At "${": libconfuse puts nothing in place of a variable that is not set, and says nothing.  The first one is kept. */
static void
config_walk_variable(struct config_walk *w)
{
	struct config_text *t = w->t;
	const char *name = w->at + 2;
	size_t len = strcspn(name, "}:\"");

	if (t->unset_line != 0 || name[len] != '}' || len >= sizeof t->unset)
		return;
	snprintf(t->unset, sizeof t->unset, "%.*s", (int)len, name);
	if (getenv(t->unset) == NULL)
		t->unset_line = w->line;
}

static void
config_walk_string(struct config_walk *w)
{
	char quote = *w->at++;

	for (; *w->at != '\0' && *w->at != quote; w->at++) {
		if (*w->at == '\\' && w->at[1] != '\0')
			w->at++;
		else if (quote == '"' && w->at[0] == '$' && w->at[1] == '{')
			config_walk_variable(w);
		config_walk_newline(w);
	}
	if (*w->at != '\0')
		w->at++;
}

static void
config_walk_open(struct config_walk *w)
{
	struct config_text *t = w->t;

	if (w->depth < sizeof w->open / sizeof w->open[0])
		w->open[w->depth] = w->line;
	if (w->depth == 0 && !w->list && w->word != NULL && t->nsections < CONFIG_TEXT_SECTIONS) {
		snprintf(t->section[t->nsections].name, sizeof t->section[0].name, "%.*s", (int)w->word_len, w->word);
		t->section[t->nsections++].line = w->word_line;
	}
	w->depth++;
}

static void
config_walk_close(struct config_walk *w)
{
	if (w->depth > 0)
		w->depth--;
	w->word = NULL;
	w->list = false;
}

/* A word or number: the first of a statement is kept. */
static void
config_walk_word(struct config_walk *w)
{
	size_t len = strcspn(w->at, CONFIG_BLANKS "\"'#");

	if (w->depth == 0 && (w->word == NULL || w->list)) {
		/* Behind "name =" this is the value, and the next word begins a statement. */
		w->word = w->list ? NULL : w->at;
		w->word_len = len;
		w->word_line = w->line;
		w->list = false;
	}
	w->at += len > 0 ? len : 1;
}

static void
config_walk_step(struct config_walk *w)
{
	char c = *w->at;

	if (c == '#' || (c == '/' && (w->at[1] == '/' || w->at[1] == '*'))) {
		config_walk_comment(w);
	} else if (c == '"' || c == '\'') {
		config_walk_string(w);
		if (w->depth == 0 && w->list) {
			w->word = NULL;
			w->list = false;
		}
	} else if (strchr(CONFIG_BLANKS, c) != NULL) {
		config_walk_newline(w);
		if (c == '=')
			w->list = true;
		else if (c == '{')
			config_walk_open(w);
		else if (c == '}')
			config_walk_close(w);
		w->at++;
	} else {
		config_walk_word(w);
	}
}

static int
config_text_load(struct config_text *t, const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	struct buf b;
	ssize_t n = -1;
	char *to;

	if (fd < 0)
		return -1;
	buf_init(&b, CONFIG_TEXT_MAX + 4096);
	while ((to = buf_reserve(&b, 4096)) != NULL && (n = read(fd, to, 4096)) > 0)
		b.len += (size_t)n;
	if (to == NULL)
		errno = EFBIG;
	close(fd);
	if (to == NULL || n < 0 || buf_add(&b, (struct span){ "", 1 }) != WEFT_OK) {
		buf_fini(&b);
		return -1;
	}
	t->text = b.at;
	return 0;
}

int
config_text_read(struct config_text *t, const char *file)
{
	struct config_walk w = { .t = t, .line = 1 };

	memset(t, 0, sizeof *t);
	if (config_text_load(t, file) != 0)
		return -1;
	for (w.at = t->text; *w.at != '\0';)
		config_walk_step(&w);
	if (w.depth > 0)
		t->open_line = w.open[w.depth <= sizeof w.open / sizeof w.open[0] ? w.depth - 1 : 0];
	return 0;
}

void
config_text_free(struct config_text *t)
{
	free(t->text);
	t->text = NULL;
}

unsigned
config_text_line(const struct config_text *t, const char *name, unsigned n)
{
	for (unsigned i = 0; i < t->nsections; i++)
		if (strcmp(t->section[i].name, name) == 0 && n-- == 0)
			return t->section[i].line;
	return 0;
}

unsigned
config_text_option(const struct config_text *t, const char *name)
{
	size_t len = strlen(name);
	unsigned line = 1, depth = 0;

	for (const char *at = t->text; *at != '\0'; at++) {
		bool begins = at == t->text || strchr(" \t\n}+*", at[-1]) != NULL;

		if (begins && depth == 0 && strncmp(at, name, len) == 0 && strchr(" \t=", at[len]) != NULL)
			return line;
		line += *at == '\n';
		depth += *at == '{';
		depth -= *at == '}' && depth > 0;
	}
	return 1;
}
