# unit tests of src/request
check_PROGRAMS += \
	tests/unit/request_body \
	tests/unit/request_input \
	tests/unit/request_request \
	tests/unit/request_response \
	tests/unit/request_router \
	tests/unit/request_timeline
TESTS += \
	tests/unit/request_body \
	tests/unit/request_input \
	tests/unit/request_request \
	tests/unit/request_response \
	tests/unit/request_router \
	tests/unit/request_timeline
EXTRA_DIST += tests/unit/request_rig.h

tests_unit_request_body_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_request_body_LDADD = $(UNIT_REQUEST)
tests_unit_request_input_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_request_input_LDADD = $(UNIT_REQUEST)
tests_unit_request_request_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_request_request_LDADD = $(UNIT_REQUEST)
tests_unit_request_response_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_request_response_LDADD = $(UNIT_REQUEST)
tests_unit_request_router_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_request_router_LDADD = $(UNIT_REQUEST)
tests_unit_request_timeline_CPPFLAGS = $(UNIT_CPPFLAGS) $(JANSSON_CFLAGS)
tests_unit_request_timeline_LDADD = $(UNIT_REQUEST) $(JANSSON_LIBS)
