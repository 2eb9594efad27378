/* SPDX-License-Identifier: ISC */
/*
 * A statement for MariaDB has no parameter that is not written $1, $2 …; written for the server it has a ? for each that
 * is found, and is the same otherwise.  Its first word stays the same behind blanks and comments.
 */
// sources: src/back/mariadb/mariadb_text.c
#include "back/mariadb/mariadb_text.h"
#include "fuzz.h"

static void
check_values(const struct mariadb_text *t)
{
	unsigned highest = 0;

	for (size_t i = 0; i + 1 < t->which.len; i += 2) {
		unsigned short which;

		memcpy(&which, t->which.at + i, sizeof which);
		must(which < t->highest);
		highest = which + 1u > highest ? which + 1u : highest;
	}
	must(highest == t->highest && t->highest <= MARIADB_TEXT_VALUES);
}

static void
check_text(const char *sql, unsigned modes)
{
	struct mariadb_text t, again;
	const char *wrong;

	mariadb_text_init(&t);
	mariadb_text_init(&again);
	wrong = mariadb_text_set(&t, sql, modes);
	must(wrong == NULL || wrong[0] != '\0');
	if (wrong == NULL) {
		must(t.text.len > 0 && strlen(t.text.at) + 1 == t.text.len);
		check_values(&t);
		wrong = mariadb_text_set(&again, t.text.at, modes);
		must((wrong != NULL) == (t.which.len > 0));
		must(t.which.len > 0 || strcmp(t.text.at, sql) == 0);
	}
	mariadb_text_fini(&t);
	mariadb_text_fini(&again);
}

static void
check_word(const char *sql, size_t size)
{
	static const char front[] = " ;(/* a /* b */-- c\n\t# d\n--\n/*!50000 */";
	char *longer = malloc(sizeof front + size);
	const char *word = mariadb_session_word(sql);

	must(longer != NULL);
	memcpy(longer, front, sizeof front - 1);
	memcpy(longer + sizeof front - 1, sql, size + 1);
	must(mariadb_session_word(longer) == word);
	must(mariadb_only_reads(longer) == mariadb_only_reads(sql));
	must(word == NULL || !mariadb_only_reads(sql));
	must(!mariadb_changes(sql) || !mariadb_only_reads(sql));
	must(mariadb_is_opaque(longer) == mariadb_is_opaque(sql));
	must(!mariadb_is_opaque(sql) || (!mariadb_only_reads(sql) && !mariadb_changes(sql)));
	must(!mariadb_sets_role(sql) || (word != NULL && strcmp(word, "SET") == 0));
	must(word == NULL || !mariadb_is_passing(word) || mariadb_has_no_rows(word));
	free(longer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *sql = malloc(size + 1);

	must(sql != NULL);
	memcpy(sql, data, size);
	sql[size] = '\0';
	for (unsigned modes = 0; modes < 4; modes++)
		check_text(sql, modes);
	check_word(sql, strlen(sql));
	free(sql);
	return 0;
}
