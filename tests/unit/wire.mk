# unit tests of src/wire
check_PROGRAMS += \
	tests/unit/wire_cgi_head \
	tests/unit/wire_cookie \
	tests/unit/wire_fcgi_param \
	tests/unit/wire_fcgi_record \
	tests/unit/wire_fcgi_rx \
	tests/unit/wire_html \
	tests/unit/wire_urlencoded
TESTS += \
	tests/unit/wire_cgi_head \
	tests/unit/wire_cookie \
	tests/unit/wire_fcgi_param \
	tests/unit/wire_fcgi_record \
	tests/unit/wire_fcgi_rx \
	tests/unit/wire_html \
	tests/unit/wire_urlencoded
tests_unit_wire_cgi_head_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_wire_cgi_head_LDADD = $(UNIT_WIRE)
tests_unit_wire_cookie_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_wire_cookie_LDADD = $(UNIT_WIRE)
tests_unit_wire_fcgi_param_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_wire_fcgi_param_LDADD = $(UNIT_WIRE)
tests_unit_wire_fcgi_record_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_wire_fcgi_record_LDADD = $(UNIT_WIRE)
tests_unit_wire_fcgi_rx_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_wire_fcgi_rx_LDADD = $(UNIT_WIRE)
tests_unit_wire_html_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_wire_html_LDADD = $(UNIT_WIRE)
tests_unit_wire_urlencoded_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_wire_urlencoded_LDADD = $(UNIT_WIRE)
