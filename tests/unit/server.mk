# unit tests of src/server
SERVER_TESTS = tests/unit/server_allow tests/unit/server_config tests/unit/server_link tests/unit/server_control \
	tests/unit/server_generation tests/unit/server_permits tests/unit/server_quota tests/unit/server_share
check_PROGRAMS += $(SERVER_TESTS)
TESTS += $(SERVER_TESTS)
tests_unit_server_share_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_server_share_LDADD = $(UNIT_SERVER)
tests_unit_server_config_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_server_config_LDADD = $(UNIT_SERVER)
tests_unit_server_link_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_server_link_LDADD = $(UNIT_SERVER)
tests_unit_server_control_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_server_control_LDADD = $(UNIT_SERVER)
tests_unit_server_permits_SOURCES = tests/unit/server_permits.c tests/unit/back_fake.c tests/unit/back_fake.h $(BACK_SUPPORT)
tests_unit_server_permits_CPPFLAGS = $(BACK_CPPFLAGS)
tests_unit_server_permits_LDADD = $(UNIT_SERVER)
tests_unit_server_quota_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_server_quota_LDADD = $(UNIT_SERVER)
tests_unit_server_allow_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_server_allow_LDADD = $(UNIT_SERVER)
# It runs workers, which need all of weft.
tests_unit_server_generation_SOURCES = tests/unit/server_generation.c $(WEFT_API_SOURCES)
tests_unit_server_generation_CPPFLAGS = $(UNIT_CPPFLAGS) $(JANSSON_CFLAGS)
tests_unit_server_generation_LDADD = $(UNIT_SERVER) $(JANSSON_LIBS) -ldl
