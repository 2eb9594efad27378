# Measurements; not installed, not run by make check.
noinst_PROGRAMS += bench/fiber_switch
bench_fiber_switch_SOURCES = bench/fiber_switch.c
bench_fiber_switch_LDADD = libfiber.la libbase.la
