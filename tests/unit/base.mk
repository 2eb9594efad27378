# unit tests of src/base
check_PROGRAMS += tests/unit/base_arena
TESTS += tests/unit/base_arena
tests_unit_base_arena_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_base_arena_LDADD = $(UNIT_BASE)
