# unit tests of src/cli: of what is in its library.
CLI_TESTS = tests/unit/cli_bench_answer tests/unit/cli_bench_hist tests/unit/cli_bench_opts
check_PROGRAMS += $(CLI_TESTS)
TESTS += $(CLI_TESTS)
UNIT_CLI = libbench.la $(UNIT_WIRE)

tests_unit_cli_bench_answer_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_cli_bench_answer_LDADD = $(UNIT_CLI)
tests_unit_cli_bench_hist_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_cli_bench_hist_LDADD = $(UNIT_CLI)
tests_unit_cli_bench_opts_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_cli_bench_opts_LDADD = $(UNIT_CLI)
