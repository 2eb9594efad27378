/* SPDX-License-Identifier: ISC */
/*
 * Runs a fuzz target over every file of a folder, in the order of their names:
 * the seeds of the tree for the target, or the folder named on the command line.
 * So the inputs which once found something are tried by every compiler and in
 * every `make check`.  A folder that is missing or empty is a failure.
 */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#include "fuzz.h"

/* Returns 1 when the file was run, 0 when it is none, -1 when it cannot be read. */
static int
replay_file(const char *folder, const char *name)
{
	char path[4096];
	struct stat st;
	uint8_t *data;
	size_t got;
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	if (stat(path, &st) != 0)
		return -1;
	if (!S_ISREG(st.st_mode))
		return 0;
	f = fopen(path, "rb");
	if (f == NULL)
		return -1;
	data = malloc(st.st_size > 0 ? (size_t)st.st_size : 1);
	must(data != NULL);
	got = fread(data, 1, (size_t)st.st_size, f);
	fclose(f);
	if (got == (size_t)st.st_size)
		LLVMFuzzerTestOneInput(data, got);
	free(data);
	return got == (size_t)st.st_size ? 1 : -1;
}

int
main(int argc, char **argv)
{
	const char *folder = argc > 1 ? argv[1] : FUZZ_SEEDS "/" FUZZ_TARGET;
	int runs = 0, broken = 0, n, rc;
	struct dirent **entries;

	n = scandir(folder, &entries, NULL, alphasort);
	if (n < 0) {
		perror(folder);
		return 1;
	}
	for (int i = 0; i < n; i++) {
		rc = replay_file(folder, entries[i]->d_name);
		if (rc < 0)
			perror(entries[i]->d_name);
		runs += rc > 0;
		broken += rc < 0;
		free(entries[i]);
	}
	free(entries);
	printf("%s: %d inputs run\n", folder, runs);
	return runs == 0 || broken > 0;
}
