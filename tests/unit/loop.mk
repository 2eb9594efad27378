# unit tests of src/loop
LOOP_TESTS = \
	tests/unit/loop_child \
	tests/unit/loop_chunk \
	tests/unit/loop_fdpass \
	tests/unit/loop_listen \
	tests/unit/loop_resolve \
	tests/unit/loop_stall \
	tests/unit/loop_stream \
	tests/unit/loop_thread \
	tests/unit/loop_turn
check_PROGRAMS += $(LOOP_TESTS)
TESTS += $(LOOP_TESTS)
tests_unit_loop_child_SOURCES = tests/unit/loop_child.c tests/unit/loop_kit.h
tests_unit_loop_child_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_loop_child_LDADD = $(UNIT_LOOP)
tests_unit_loop_chunk_SOURCES = tests/unit/loop_chunk.c tests/unit/loop_kit.h
tests_unit_loop_chunk_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_loop_chunk_LDADD = $(UNIT_LOOP)
tests_unit_loop_fdpass_SOURCES = tests/unit/loop_fdpass.c tests/unit/loop_kit.h
tests_unit_loop_fdpass_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_loop_fdpass_LDADD = $(UNIT_LOOP)
tests_unit_loop_listen_SOURCES = tests/unit/loop_listen.c tests/unit/loop_kit.h
tests_unit_loop_listen_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_loop_listen_LDADD = $(UNIT_LOOP)
tests_unit_loop_resolve_SOURCES = tests/unit/loop_resolve.c tests/unit/loop_kit.h
tests_unit_loop_resolve_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_loop_resolve_LDADD = $(UNIT_LOOP)
tests_unit_loop_stall_SOURCES = tests/unit/loop_stall.c tests/unit/loop_kit.h
tests_unit_loop_stall_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_loop_stall_LDADD = $(UNIT_LOOP)
tests_unit_loop_stream_SOURCES = tests/unit/loop_stream.c tests/unit/loop_kit.h
tests_unit_loop_stream_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_loop_stream_LDADD = $(UNIT_LOOP)
tests_unit_loop_thread_SOURCES = tests/unit/loop_thread.c tests/unit/loop_kit.h
tests_unit_loop_thread_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_loop_thread_LDADD = $(UNIT_LOOP)
tests_unit_loop_turn_SOURCES = tests/unit/loop_turn.c tests/unit/loop_kit.h
tests_unit_loop_turn_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_loop_turn_LDADD = $(UNIT_LOOP)
