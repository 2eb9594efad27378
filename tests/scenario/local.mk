# scenarios with real servers
EXTRA_DIST += \
	tests/scenario/run \
	tests/scenario/frame/apache.conf tests/scenario/frame/lighttpd.conf tests/scenario/frame/nginx.conf \
	tests/scenario/lib/__init__.py tests/scenario/lib/askers.py tests/scenario/lib/backends.py tests/scenario/lib/fcgi.py \
	tests/scenario/lib/fronts.py tests/scenario/lib/http.py tests/scenario/lib/place.py tests/scenario/lib/proxy.py \
	tests/scenario/lib/stalls.py tests/scenario/lib/suite.py tests/scenario/lib/weft.py \
	tests/scenario/scenarios/__init__.py \
	tests/scenario/scenarios/authorizer.py \
	tests/scenario/scenarios/back.py \
	tests/scenario/scenarios/back_every.py \
	tests/scenario/scenarios/back_failover.py \
	tests/scenario/scenarios/back_net.py \
	tests/scenario/scenarios/back_redis.py \
	tests/scenario/scenarios/back_rows.py \
	tests/scenario/scenarios/back_sql.py \
	tests/scenario/scenarios/bank.py \
	tests/scenario/scenarios/bench.py \
	tests/scenario/scenarios/cuts.py \
	tests/scenario/scenarios/deadline.py \
	tests/scenario/scenarios/events.py \
	tests/scenario/scenarios/examples.py \
	tests/scenario/scenarios/failures.py \
	tests/scenario/scenarios/faults.py \
	tests/scenario/scenarios/fronts.py \
	tests/scenario/scenarios/kinds.py \
	tests/scenario/scenarios/ledger.py \
	tests/scenario/scenarios/limits.py \
	tests/scenario/scenarios/load.py \
	tests/scenario/scenarios/operate.py \
	tests/scenario/scenarios/pools.py \
	tests/scenario/scenarios/redis_many.py \
	tests/scenario/scenarios/service.py \
	tests/scenario/scenarios/techempower.py \
	tests/scenario/scenarios/wire.py \
	tests/limits/run tests/limits/__init__.py tests/limits/descriptors.py tests/limits/heads.py tests/limits/measure.py \
	tests/limits/overload.py tests/limits/readers.py tests/limits/slow.py tests/limits/stalled.py tests/limits/upload.py \
	tests/limits/waiting.py

# They take minutes and want real servers, so they are not part of make check: make scenario ARGS='-k nginx'
.PHONY: scenario
scenario: all support
	$(top_srcdir)/tests/scenario/run --build $(abs_top_builddir) $(ARGS)
