# unit tests of src/fiber
FIBER_TESTS = \
	tests/unit/fiber_context \
	tests/unit/fiber_guard \
	tests/unit/fiber_hold \
	tests/unit/fiber_many \
	tests/unit/fiber_room \
	tests/unit/fiber_sched \
	tests/unit/fiber_stack \
	tests/unit/fiber_timerq \
	tests/unit/fiber_wait
check_PROGRAMS += $(FIBER_TESTS)
TESTS += $(FIBER_TESTS)
tests_unit_fiber_context_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_fiber_context_LDADD = $(UNIT_FIBER) -lm
tests_unit_fiber_guard_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_fiber_guard_LDADD = $(UNIT_FIBER)
tests_unit_fiber_hold_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_fiber_hold_LDADD = $(UNIT_FIBER)
tests_unit_fiber_many_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_fiber_many_LDADD = $(UNIT_FIBER)
tests_unit_fiber_room_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_fiber_room_LDADD = $(UNIT_FIBER)
tests_unit_fiber_sched_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_fiber_sched_LDADD = $(UNIT_FIBER)
tests_unit_fiber_stack_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_fiber_stack_LDADD = $(UNIT_FIBER)
tests_unit_fiber_timerq_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_fiber_timerq_LDADD = $(UNIT_FIBER)
tests_unit_fiber_wait_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_fiber_wait_LDADD = $(UNIT_FIBER)
