# unit tests of src/gate: its parts, and the built program against a server played by the test
GATE_RIG = tests/unit/gate_rig.c tests/unit/gate_rig.h
GATE_RIG_CPPFLAGS = $(UNIT_CPPFLAGS) -DGATE_PROGRAM='"$(abs_top_builddir)/weft-gate"'
check_PROGRAMS += tests/unit/gate_answer tests/unit/gate_params tests/unit/gate_listen tests/unit/gate_carry
TESTS += tests/unit/gate_answer tests/unit/gate_params tests/unit/gate_listen tests/unit/gate_carry
tests_unit_gate_answer_SOURCES = tests/unit/gate_answer.c src/gate/answer.c
tests_unit_gate_answer_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_gate_answer_LDADD = $(CMOCKA_LIBS)
tests_unit_gate_params_SOURCES = tests/unit/gate_params.c src/gate/params.c
tests_unit_gate_params_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_gate_params_LDADD = $(CMOCKA_LIBS)
tests_unit_gate_listen_SOURCES = tests/unit/gate_listen.c $(GATE_RIG)
tests_unit_gate_listen_CPPFLAGS = $(GATE_RIG_CPPFLAGS)
tests_unit_gate_listen_LDADD = $(CMOCKA_LIBS)
EXTRA_tests_unit_gate_listen_DEPENDENCIES = weft-gate
tests_unit_gate_carry_SOURCES = tests/unit/gate_carry.c $(GATE_RIG)
tests_unit_gate_carry_CPPFLAGS = $(GATE_RIG_CPPFLAGS)
tests_unit_gate_carry_LDADD = $(CMOCKA_LIBS)
EXTRA_tests_unit_gate_carry_DEPENDENCIES = weft-gate
