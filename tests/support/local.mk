# Programs that tests with real servers use: what breaks connections, and what asks much.
SUPPORT_TOOLS = tests/support/askers tests/support/faultproxy tests/support/nowhere
check_PROGRAMS += $(SUPPORT_TOOLS)
tests_support_askers_SOURCES = tests/support/askers.c
tests_support_askers_LDADD = libwire.la libbase.la
tests_support_faultproxy_SOURCES = tests/support/faultproxy.c tests/support/faultproxy_pair.c tests/support/faultproxy.h
tests_support_faultproxy_LDADD = libbase.la
tests_support_nowhere_SOURCES = tests/support/nowhere.c

# A module, built as an author builds one.
SUPPORT_MODULES = tests/support/waits.so
CLEANFILES += $(SUPPORT_MODULES)
EXTRA_DIST += tests/support/waits.c
tests/support/waits.so: tests/support/waits.c src/include/weft/weft.h src/include/weft/rc.h
	$(AM_V_CC)$(MKDIR_P) tests/support && $(CC) -std=c11 -D_DEFAULT_SOURCE -D_POSIX_C_SOURCE=200809L -Wall -Wextra \
		$(CFLAGS) $(SANITIZE_CFLAGS) -fPIC -I$(top_srcdir)/src/include -shared -o $@ $(srcdir)/tests/support/waits.c

SUPPORT_TESTS = tests/support/proxy_test
dist_check_SCRIPTS += $(SUPPORT_TESTS)
TESTS += $(SUPPORT_TESTS)

.PHONY: support
support: $(SUPPORT_TOOLS) $(SUPPORT_MODULES)
