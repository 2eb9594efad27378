# unit tests of src/base
check_PROGRAMS += \
	tests/unit/base_arena \
	tests/unit/base_buf \
	tests/unit/base_clock \
	tests/unit/base_log \
	tests/unit/base_must \
	tests/unit/base_span
TESTS += \
	tests/unit/base_arena \
	tests/unit/base_buf \
	tests/unit/base_clock \
	tests/unit/base_log \
	tests/unit/base_must \
	tests/unit/base_span
tests_unit_base_arena_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_base_arena_LDADD = $(UNIT_BASE)
tests_unit_base_buf_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_base_buf_LDADD = $(UNIT_BASE)
tests_unit_base_clock_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_base_clock_LDADD = $(UNIT_BASE)
tests_unit_base_log_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_base_log_LDADD = $(UNIT_BASE)
tests_unit_base_must_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_base_must_LDADD = $(UNIT_BASE)
tests_unit_base_span_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_base_span_LDADD = $(UNIT_BASE)
