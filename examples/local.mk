# Examples: each a folder with a module's source and a configuration.  The modules are built as an author builds them: with the public
# headers and nothing else.
EXAMPLES = hello probe waterfall shop bank events techempower
EXAMPLE_MODULES = $(EXAMPLES:%=examples/%.so)
EXAMPLE_CFLAGS = -std=c11 -D_DEFAULT_SOURCE -Wall -Wextra $(CFLAGS) $(SANITIZE_CFLAGS) -fPIC
EXAMPLE_PAGES = examples/waterfall/page.h examples/events/page.h

noinst_DATA = $(EXAMPLE_MODULES)
CLEANFILES += $(EXAMPLE_MODULES) $(EXAMPLE_PAGES)

examples/hello.so: examples/hello/hello.c
examples/probe.so: examples/probe/probe.c
examples/waterfall.so: examples/waterfall/waterfall.c examples/waterfall/page.h
examples/shop.so: examples/shop/shop.c
examples/bank.so: examples/bank/bank.c
examples/events.so: examples/events/events.c examples/events/page.h
examples/techempower.so: examples/techempower/techempower.c

# What a module needs beyond weft's headers.
example_waterfall = -Iexamples/waterfall
example_events = -Iexamples/events
example_shop = $(JANSSON_CFLAGS) $(JANSSON_LIBS)
example_techempower = $(JANSSON_CFLAGS) $(JANSSON_LIBS)

# A page as a C string.
examples/waterfall/page.h: examples/waterfall/page.html
examples/events/page.h: examples/events/page.html
$(EXAMPLE_PAGES):
	$(AM_V_GEN)$(MKDIR_P) $(@D) && sed 's/["\\]/\\&/g; s|.*|"&\\n"|' $(srcdir)/$(@D)/page.html > $@.new && mv $@.new $@

$(EXAMPLE_MODULES): src/include/weft/weft.h src/include/weft/rc.h
	$(AM_V_CC)$(MKDIR_P) examples && $(CC) $(EXAMPLE_CFLAGS) -I$(top_srcdir)/src/include -shared \
		-o $@ $(srcdir)/examples/$(@F:.so=)/$(@F:.so=.c) $(example_$(@F:.so=))

# Sources of the examples are documentation: they are installed as such.
exampledir = $(docdir)
nobase_dist_example_DATA = \
	examples/hello/hello.c examples/hello/weft.conf \
	examples/probe/probe.c examples/probe/weft.conf \
	examples/waterfall/waterfall.c examples/waterfall/page.html examples/waterfall/weft.conf \
	examples/shop/shop.c examples/shop/schema.sql examples/shop/weft.conf \
	examples/bank/bank.c examples/bank/schema.sql examples/bank/weft.conf \
	examples/events/events.c examples/events/page.html examples/events/weft.conf \
	examples/techempower/techempower.c examples/techempower/seed.sql examples/techempower/weft.conf

EXTRA_DIST += doc/waterfall.png
