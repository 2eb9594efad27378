# Examples: each a folder with a module's source and a configuration.  The modules are built as an author builds them: with the public
# headers and nothing else.
EXAMPLES = hello probe
EXAMPLE_MODULES = $(EXAMPLES:%=examples/%.so)
EXAMPLE_CFLAGS = -std=c11 -D_DEFAULT_SOURCE -Wall -Wextra $(CFLAGS) $(SANITIZE_CFLAGS) -fPIC

noinst_DATA = $(EXAMPLE_MODULES)
CLEANFILES += $(EXAMPLE_MODULES)

examples/hello.so: examples/hello/hello.c
examples/probe.so: examples/probe/probe.c

$(EXAMPLE_MODULES): src/include/weft/weft.h src/include/weft/rc.h
	$(AM_V_CC)$(MKDIR_P) examples && $(CC) $(EXAMPLE_CFLAGS) -I$(top_srcdir)/src/include -shared \
		-o $@ $(srcdir)/examples/$(@F:.so=)/$(@F:.so=.c)

# Sources of the examples are documentation: they are installed as such.
exampledir = $(docdir)/examples
nobase_dist_example_DATA = \
	examples/hello/hello.c examples/hello/weft.conf \
	examples/probe/probe.c examples/probe/weft.conf
