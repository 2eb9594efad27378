# Measurements; not installed.  bench/run measures, tests/bench guards what was reached.
noinst_PROGRAMS += bench/fiber_switch bench/floor
bench_fiber_switch_SOURCES = bench/fiber_switch.c
bench_fiber_switch_LDADD = libfiber.la libbase.la
bench_floor_SOURCES = bench/floor.c

BENCH_SCALE_MODULES = bench/scale.so bench/scale_list.so bench/scale_item.so bench/scale_routes.so
noinst_DATA += bench/fixed.so $(BENCH_SCALE_MODULES)
CLEANFILES += bench/fixed.so $(BENCH_SCALE_MODULES)
BENCH_MODULE = $(AM_V_CC)$(MKDIR_P) bench && $(CC) $(EXAMPLE_CFLAGS) -I$(top_srcdir)/src/include -shared -o $@
bench/fixed.so: bench/fixed.c src/include/weft/weft.h src/include/weft/rc.h
	$(BENCH_MODULE) $(srcdir)/bench/fixed.c

# One source, of which the macro takes a part: its handlers, or routes.
bench_scale_list = -DSCALE_LIST
bench_scale_item = -DSCALE_ITEM
bench_scale_routes = -DSCALE_ROUTES
$(BENCH_SCALE_MODULES): bench/scale.c src/include/weft/weft.h src/include/weft/rc.h
	$(BENCH_MODULE) -Wno-unused-function $(bench_$(@F:.so=)) $(srcdir)/bench/scale.c

EXTRA_DIST += bench/run bench/scale bench/fixed.c bench/scale.c \
	bench/lib/__init__.py bench/lib/bench.py bench/lib/cases.py bench/lib/load.py bench/lib/ours.py \
	bench/lib/scale.py bench/lib/scale_ground.py bench/lib/subject.py bench/lib/subjects.py bench/lib/table.py bench/lib/tree.py
