# unit tests of src/server
check_PROGRAMS += tests/unit/server_allow tests/unit/server_config tests/unit/server_link tests/unit/server_control
TESTS += tests/unit/server_allow tests/unit/server_config tests/unit/server_link tests/unit/server_control
tests_unit_server_config_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_server_config_LDADD = $(UNIT_SERVER)
tests_unit_server_link_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_server_link_LDADD = $(UNIT_SERVER)
tests_unit_server_control_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_server_control_LDADD = $(UNIT_SERVER)
tests_unit_server_allow_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_server_allow_LDADD = $(UNIT_SERVER)
