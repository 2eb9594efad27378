# unit tests of src/front
FRONT_PEER = tests/unit/front_peer.c tests/unit/front_peer.h
check_PROGRAMS += tests/unit/front_fcgi_wire tests/unit/front_fcgi_life tests/unit/front_fcgi_bounds tests/unit/front_fcgi_ids tests/unit/front_http_dev
TESTS += tests/unit/front_fcgi_wire tests/unit/front_fcgi_life tests/unit/front_fcgi_bounds tests/unit/front_fcgi_ids tests/unit/front_http_dev
tests_unit_front_fcgi_wire_SOURCES = tests/unit/front_fcgi_wire.c $(FRONT_PEER)
tests_unit_front_fcgi_wire_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_front_fcgi_wire_LDADD = $(UNIT_FRONT)
tests_unit_front_fcgi_life_SOURCES = tests/unit/front_fcgi_life.c $(FRONT_PEER)
tests_unit_front_fcgi_life_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_front_fcgi_life_LDADD = $(UNIT_FRONT)
tests_unit_front_fcgi_bounds_SOURCES = tests/unit/front_fcgi_bounds.c $(FRONT_PEER)
tests_unit_front_fcgi_bounds_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_front_fcgi_bounds_LDADD = $(UNIT_FRONT)
tests_unit_front_http_dev_SOURCES = tests/unit/front_http_dev.c $(FRONT_PEER)
tests_unit_front_http_dev_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_front_http_dev_LDADD = $(UNIT_FRONT)
tests_unit_front_fcgi_ids_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_front_fcgi_ids_LDADD = $(UNIT_FRONT)
