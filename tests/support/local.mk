# Programs that tests with real servers use: what breaks connections, and what asks much.
SUPPORT_TOOLS = tests/support/askers tests/support/faultproxy tests/support/nowhere
check_PROGRAMS += $(SUPPORT_TOOLS)
tests_support_askers_SOURCES = tests/support/askers.c
tests_support_askers_LDADD = libwire.la libbase.la
tests_support_faultproxy_SOURCES = tests/support/faultproxy.c tests/support/faultproxy_pair.c tests/support/faultproxy.h
tests_support_faultproxy_LDADD = libbase.la
tests_support_nowhere_SOURCES = tests/support/nowhere.c

SUPPORT_TESTS = tests/support/proxy_test
dist_check_SCRIPTS += $(SUPPORT_TESTS)
TESTS += $(SUPPORT_TESTS)

.PHONY: support
support: $(SUPPORT_TOOLS)
