# What a request may cost, counted and not timed.  Sanitizers cost more than what they look at: not with them.
check_PROGRAMS += tests/bench/path
tests_bench_path_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
tests_bench_path_SOURCES = tests/bench/path.c tests/bench/path_back.c tests/bench/path_back.h
tests_bench_path_LDADD = tests/unit/libweftapi.la libbench.la $(UNIT_SERVER) $(JANSSON_LIBS) -ldl
tests_bench_path_LDFLAGS = $(WHOLE_LINK) -export-dynamic

BENCH_TESTS = tests/bench/instructions tests/bench/syscalls
dist_check_SCRIPTS += $(BENCH_TESTS)
EXTRA_DIST += tests/bench/path.py
if !SANITIZE
TESTS += $(BENCH_TESTS)
endif
