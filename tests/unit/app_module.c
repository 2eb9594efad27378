/* SPDX-License-Identifier: ISC */
/* Modules: which are loaded, which are refused, and with what words. */
#include "tests/unit/app_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/module.h"

static char error[1024];

/* Returns the path of a built module; valid until the next call. */
static const char *
path_of(const char *name)
{
	static char path[512];

	snprintf(path, sizeof path, "%s/%s.so", APP_MODULES, name);
	return path;
}

/* It is refused, and this is what is said behind the file's name. */
static void
refuses(const char *file, const char *words)
{
	char want[1024];

	snprintf(want, sizeof want, "%s: %s", file, words);
	assert_null(module_load("m", file, error, sizeof error));
	assert_string_equal(error, want);
}

static void
refuses_what_is_no_shared_object(void **state)
{
	(void)state;
	refuses(APP_MODULES "/no-such.so", "No such file or directory");
	refuses(APP_MODULES, "not a regular file");
	refuses("/dev/null", "not a regular file");
}

/* Write a file of these bytes.  Returns its path. */
static const char *
file_of(const void *bytes, size_t len)
{
	static char path[] = APP_MODULES "/made.so";
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	close(fd);
	return path;
}

static void
refuses_files_with_other_things_in_them(void **state)
{
	char text[4096];

	(void)state;
	memset(text, '#', sizeof text);
	refuses(file_of(text, sizeof text), "cannot be loaded: invalid ELF header");
	refuses(file_of("", 0), "cannot be loaded: file too short");
	refuses(file_of("\177ELF", 4), "cannot be loaded: file too short");
	unlink(file_of("", 0));
}

static char *
read_whole(const char *file, size_t *len)
{
	int fd = open(file, O_RDONLY);
	struct stat st;
	char *bytes;

	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	*len = (size_t)st.st_size;
	bytes = malloc(*len);
	assert_non_null(bytes);
	assert_int_equal(read(fd, bytes, *len), st.st_size);
	close(fd);
	return bytes;
}

/* A linker at work: wherever the file ends, it is a refusal or (only section headers lost) a module, never a crash. */
static void
survives_every_truncation(void **state)
{
	unsigned refused = 0, cut_short = 0, loaded = 0;
	size_t len;
	char *bytes = read_whole(path_of("good"), &len);

	(void)state;
	for (size_t cut = 0; cut < len; cut += len / 40 + 1) {
		struct module *m = module_load("cut", file_of(bytes, cut), error, sizeof error);

		refused += m == NULL;
		cut_short += m == NULL && strstr(error, "made.so: cannot be loaded: the file is cut short") != NULL;
		if (m == NULL)
			continue;
		loaded++;
		module_free(&m);
	}
	assert_true(refused > 10 && cut_short > 10);
	assert_true(loaded < 30);
	unlink(file_of("", 0));
	free(bytes);
}

static void
refuses_bad_tables(void **state)
{
	char newer[120];

	(void)state;
	refuses(path_of("symbol"), "no weft module: it has no symbol weft_module (WEFT_MODULE in its source makes one)");
	refuses(path_of("major"), "built for version 2 of the module interface, this server has 1: build it anew");
	snprintf(newer, sizeof newer, "built for version %d.%d of the module interface, this server has %d.%d: it needs a newer weft",
	    WEFT_ABI_MAJOR, WEFT_ABI_MINOR + 1, WEFT_ABI_MAJOR, WEFT_ABI_MINOR);
	refuses(path_of("minor"), newer);
	refuses(path_of("empty"), "its route table is empty");
	refuses(path_of("small"), "its route table is malformed");
	refuses(path_of("method"), "route 2 has no method");
	refuses(path_of("path"), "route 1 has no path");
	refuses(path_of("handler"), "route 1 has no handler");
	refuses(path_of("slash"), "route 1: the path \"bad\" does not begin with '/'");
	refuses(path_of("unresolved"), "cannot be loaded: undefined symbol: bad_missing");
}

/* Routes of an older version are shorter: the next one begins earlier, and what it lacks is zero. */
static void
loads_an_older_table(void **state)
{
	struct module *m = module_load("old", path_of("old"), error, sizeof error);

	(void)state;
	assert_non_null(m);
	assert_int_equal(module_routes(m), 2);
	assert_string_equal(module_route(m, 1).path, "/older");
	assert_non_null(module_route(m, 1).handler);
	assert_int_equal(module_route(m, 1).timeout_ms, 0);
	assert_int_equal(module_init(m, error, sizeof error), 0);
	module_fini(m);
	module_free(&m);
	assert_null(m);
}

static void
init_may_say_no(void **state)
{
	struct module *m = module_load("nay", path_of("good"), error, sizeof error);

	(void)state;
	assert_non_null(m);
	assert_int_equal(module_init(m, error, sizeof error), -1);
	assert_string_equal(error, "module nay: its init function returned 7");
	module_fini(m);		/* it did not begin, so it does not end */
	module_free(&m);
}

static struct module *
add(struct rig *r, const char *name, const char *file, const char *prefix)
{
	struct module *m = module_load(name, file, error, sizeof error);

	assert_non_null(m);
	assert_int_equal(app_add_module(&r->app, m, prefix, error, sizeof error), 0);
	return m;
}

static void
serves_below_its_prefix(void **state)
{
	struct rig *r = *state;
	struct module *m = add(r, "good", path_of("good"), "/shop");

	assert_string_equal(module_name(m), "good");
	assert_int_equal(module_route(m, 1).timeout_ms, 500);
	assert_int_equal(app_start(&r->app, error, sizeof error), 0);
	rig_expect(r, "/shop/hello/w%65ft", 200, "hello weft at /hello/weft");
	rig_expect(r, "/hello/weft", 404, "404 not found\n");
}

/* cp and ld truncate the file, then write another into it: what is loaded does not change. */
static void
survives_being_overwritten(void **state)
{
	struct rig *r = *state;
	size_t len;
	char *bytes = read_whole(path_of("good"), &len);
	const char *file = file_of(bytes, len);

	add(r, "good", file, "");
	assert_int_equal(app_start(&r->app, error, sizeof error), 0);
	assert_int_equal(truncate(file, 0), 0);
	rig_expect(r, "/hello/weft", 200, "hello weft at /hello/weft");
	memset(bytes, 0xcc, len);
	file_of(bytes, len);
	rig_expect(r, "/hello/again", 200, "hello again at /hello/again");
	unlink(file);
	rig_expect(r, "/hello/still", 200, "hello still at /hello/still");
	free(bytes);
}

/* The same file twice is two modules with their own variables. */
static void
copies_are_private(void **state)
{
	struct rig *r = *state;

	add(r, "one", path_of("good"), "/one");
	add(r, "two", path_of("good"), "/two");
	assert_int_equal(app_start(&r->app, error, sizeof error), 0);
	rig_expect(r, "/one/hello/a", 200, "hello a at /hello/a");
	rig_expect(r, "/two/hello/b", 200, "hello b at /hello/b");
}

static void
an_app_does_not_start_with_a_module_that_says_no(void **state)
{
	struct rig *r = *state;

	add(r, "good", path_of("good"), "/good");
	add(r, "nay", path_of("good"), "/nay");
	assert_int_equal(app_start(&r->app, error, sizeof error), -1);
	assert_string_equal(error, "module nay: its init function returned 7");
}

static void
routes_that_clash_are_refused(void **state)
{
	struct rig *r = *state;
	struct module *m = module_load("twin", path_of("good"), error, sizeof error);

	add(r, "good", path_of("good"), "/shop");
	assert_non_null(m);
	assert_int_equal(app_add_module(&r->app, m, "/shop", error, sizeof error), -1);
	assert_non_null(strstr(error, "twin: GET /shop/hello/:name: "));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_what_is_no_shared_object),
		cmocka_unit_test(refuses_files_with_other_things_in_them),
		cmocka_unit_test(survives_every_truncation),
		cmocka_unit_test(refuses_bad_tables),
		cmocka_unit_test(loads_an_older_table),
		cmocka_unit_test(init_may_say_no),
		RIG_TEST(serves_below_its_prefix),
		RIG_TEST(survives_being_overwritten),
		RIG_TEST(copies_are_private),
		RIG_TEST(an_app_does_not_start_with_a_module_that_says_no),
		RIG_TEST(routes_that_clash_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
