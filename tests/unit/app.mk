# unit tests of src/app.  Those which load modules build them first, from tests/unit/modules.
APP_RIG = tests/unit/app_rig.c tests/unit/app_rig.h
APP_FAKE = tests/unit/back_fake.c tests/unit/back_fake.h
APP_CPPFLAGS = $(UNIT_CPPFLAGS) $(JANSSON_CFLAGS) -I$(top_srcdir)
APP_LDADD = tests/unit/libweftapi.la $(UNIT_APP) $(JANSSON_LIBS) -ldl
APP_TESTS = \
	tests/unit/app_authorizer \
	tests/unit/app_back \
	tests/unit/app_deadline \
	tests/unit/app_dispatch \
	tests/unit/app_lease \
	tests/unit/app_http \
	tests/unit/app_module \
	tests/unit/app_request \
	tests/unit/app_response \
	tests/unit/app_stream \
	tests/unit/app_subscribe \
	tests/unit/app_wait
check_PROGRAMS += $(APP_TESTS)
TESTS += $(APP_TESTS)

# The exported API, which is part of no layer's library.
check_LTLIBRARIES += tests/unit/libweftapi.la
tests_unit_libweftapi_la_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
tests_unit_libweftapi_la_SOURCES = $(WEFT_API_SOURCES)

tests_unit_app_authorizer_SOURCES = tests/unit/app_authorizer.c $(APP_RIG)
tests_unit_app_authorizer_CPPFLAGS = $(APP_CPPFLAGS)
tests_unit_app_authorizer_LDADD = $(APP_LDADD)
tests_unit_app_back_SOURCES = tests/unit/app_back.c $(APP_RIG) $(APP_FAKE)
tests_unit_app_back_CPPFLAGS = $(APP_CPPFLAGS)
tests_unit_app_back_LDADD = $(APP_LDADD)
tests_unit_app_deadline_SOURCES = tests/unit/app_deadline.c $(APP_RIG) $(APP_FAKE)
tests_unit_app_deadline_CPPFLAGS = $(APP_CPPFLAGS)
tests_unit_app_deadline_LDADD = $(APP_LDADD)
tests_unit_app_dispatch_SOURCES = tests/unit/app_dispatch.c $(APP_RIG)
tests_unit_app_dispatch_CPPFLAGS = $(APP_CPPFLAGS)
tests_unit_app_dispatch_LDADD = $(APP_LDADD)
tests_unit_app_lease_SOURCES = tests/unit/app_lease.c $(APP_RIG) $(APP_FAKE)
tests_unit_app_lease_CPPFLAGS = $(APP_CPPFLAGS)
tests_unit_app_lease_LDADD = $(APP_LDADD)
tests_unit_app_http_SOURCES = tests/unit/app_http.c $(APP_RIG) $(APP_FAKE)
tests_unit_app_http_CPPFLAGS = $(APP_CPPFLAGS)
tests_unit_app_http_LDADD = $(APP_LDADD)
tests_unit_app_module_SOURCES = tests/unit/app_module.c $(APP_RIG) $(WEFT_API_SOURCES)
tests_unit_app_module_CPPFLAGS = $(APP_CPPFLAGS) -DAPP_MODULES='"$(abs_top_builddir)/tests/unit/modules"'
tests_unit_app_module_LDFLAGS = $(AM_LDFLAGS) -export-dynamic
tests_unit_app_module_LDADD = $(UNIT_APP) $(JANSSON_LIBS) -ldl
EXTRA_tests_unit_app_module_DEPENDENCIES = $(APP_MODULES)
tests_unit_app_request_SOURCES = tests/unit/app_request.c $(APP_RIG)
tests_unit_app_request_CPPFLAGS = $(APP_CPPFLAGS)
tests_unit_app_request_LDADD = $(APP_LDADD)
tests_unit_app_response_SOURCES = tests/unit/app_response.c $(APP_RIG)
tests_unit_app_response_CPPFLAGS = $(APP_CPPFLAGS)
tests_unit_app_response_LDADD = $(APP_LDADD)
tests_unit_app_stream_SOURCES = tests/unit/app_stream.c $(APP_RIG) $(APP_FAKE)
tests_unit_app_stream_CPPFLAGS = $(APP_CPPFLAGS)
tests_unit_app_stream_LDADD = $(APP_LDADD)
tests_unit_app_subscribe_SOURCES = tests/unit/app_subscribe.c $(APP_RIG) $(APP_FAKE)
tests_unit_app_subscribe_CPPFLAGS = $(APP_CPPFLAGS)
tests_unit_app_subscribe_LDADD = $(APP_LDADD)
tests_unit_app_wait_SOURCES = tests/unit/app_wait.c $(APP_RIG)
tests_unit_app_wait_CPPFLAGS = $(APP_CPPFLAGS)
tests_unit_app_wait_LDADD = $(APP_LDADD)

if HAVE_POSTGRES
if HAVE_MARIADB
if HAVE_SQLITE
check_PROGRAMS += tests/unit/app_same
TESTS += tests/unit/app_same
tests_unit_app_same_SOURCES = tests/unit/app_same.c $(APP_RIG) $(BACK_SERVER) $(BACK_MARIA)
tests_unit_app_same_CPPFLAGS = $(APP_CPPFLAGS) $(MARIADB_CFLAGS)
tests_unit_app_same_LDADD = $(APP_LDADD) $(MARIADB_LIBS)
endif
endif
endif

# Modules, one of them good; bad.c makes all others, each wrong in one way.
APP_BAD = empty handler major method minor old path slash small symbol unresolved
APP_MODULES = tests/unit/modules/good.so $(APP_BAD:%=tests/unit/modules/%.so)
CLEANFILES += $(APP_MODULES)
EXTRA_DIST += tests/unit/modules/good.c tests/unit/modules/bad.c
APP_MODULE_CC = $(AM_V_CC)$(MKDIR_P) tests/unit/modules && $(CC) -std=gnu11 $(CFLAGS) $(SANITIZE_CFLAGS) -fPIC -shared \
	-I$(top_srcdir)/src/include

tests/unit/modules/good.so: $(srcdir)/tests/unit/modules/good.c $(srcdir)/src/include/weft/weft.h
	$(APP_MODULE_CC) -o $@ $(srcdir)/tests/unit/modules/good.c
$(APP_BAD:%=tests/unit/modules/%.so): $(srcdir)/tests/unit/modules/bad.c $(srcdir)/src/include/weft/weft.h
	$(APP_MODULE_CC) -DBAD_$(@F:.so=) -o $@ $(srcdir)/tests/unit/modules/bad.c
