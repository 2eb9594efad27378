# The rows of the wire: their modules are built as an author builds one.
ROWS_BAD = symbol entry abi exits loops init_dies init_refuses
ROWS_BAD_MODULES = $(ROWS_BAD:%=tests/rows/bad_%.so)
ROWS_CFLAGS = -std=c11 -D_DEFAULT_SOURCE -D_POSIX_C_SOURCE=200809L -Wall -Wextra $(CFLAGS) $(SANITIZE_CFLAGS) -fPIC

check_DATA += tests/rows/rows.so $(ROWS_BAD_MODULES)
CLEANFILES += tests/rows/rows.so $(ROWS_BAD_MODULES)

tests/rows/rows.so: tests/rows/rows.c src/include/weft/weft.h src/include/weft/rc.h
	$(AM_V_CC)$(MKDIR_P) tests/rows && $(CC) $(ROWS_CFLAGS) -I$(top_srcdir)/src/include -shared \
		-o $@ $(srcdir)/tests/rows/rows.c

$(ROWS_BAD_MODULES): tests/rows/bad.c src/include/weft/weft.h src/include/weft/rc.h
	$(AM_V_CC)$(MKDIR_P) tests/rows && $(CC) $(ROWS_CFLAGS) -I$(top_srcdir)/src/include -shared \
		-DBAD_`echo $(@F:bad_%.so=%) | tr a-z A-Z` -o $@ $(srcdir)/tests/rows/bad.c

EXTRA_DIST += \
	tests/rows/run tests/rows/live_fuzz tests/rows/rows.c tests/rows/bad.c \
	tests/rows/rows/__init__.py tests/rows/rows/bad.py tests/rows/rows/deployment.py tests/rows/rows/framing.py \
	tests/rows/rows/head.py tests/rows/rows/life.py tests/rows/rows/management.py tests/rows/rows/peer.py \
	tests/rows/rows/stage.py tests/rows/rows/variables.py

# make rows ARGS='-k a0'
.PHONY: rows rows-modules
rows-modules: tests/rows/rows.so $(ROWS_BAD_MODULES)
rows: all rows-modules
	$(top_srcdir)/tests/rows/run --build $(abs_top_builddir) $(ARGS)
