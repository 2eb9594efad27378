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

# What bench/run builds of its peers.
clean-local: bench-clean
.PHONY: bench-clean
bench-clean:
	rm -rf bench/made

EXTRA_DIST += bench/run bench/scale bench/fixed.c bench/scale.c \
	bench/lib/__init__.py bench/lib/bench.py bench/lib/cases.py bench/lib/load.py bench/lib/ours.py \
	bench/lib/peers_fastcgi.py bench/lib/peers_http.py bench/lib/plot.py bench/lib/results.py \
	bench/lib/scale.py bench/lib/scale_ground.py bench/lib/subject.py \
	bench/lib/subjects.py bench/lib/table.py bench/lib/techempower.py bench/lib/techempower_servers.py bench/lib/tree.py \
	bench/lib/wrk.lua \
	bench/peers/go/main.go bench/peers/kore/bench.c bench/peers/kore/kore.conf bench/peers/libfcgi/fixed.c \
	bench/peers/kore-techempower/kore.conf bench/peers/kore-techempower/te.c \
	bench/peers/nginx/fastcgi.conf bench/peers/nginx/nginx.conf bench/peers/nginx/proxy.conf \
	bench/peers/nginx-lua/db.lua bench/peers/nginx-lua/nginx.conf bench/peers/nginx-lua/pg.lua \
	bench/peers/nginx-lua/redis.lua bench/peers/nginx-lua/row.lua \
	bench/peers/nginx-lua-techempower/nginx.conf bench/peers/nginx-lua-techempower/te.lua \
	bench/peers/php-fpm/fixed.php bench/peers/php-fpm/php-fpm.conf bench/peers/php-fpm/redis.php bench/peers/php-fpm/row.php
