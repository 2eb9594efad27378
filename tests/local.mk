# Unit tests mirror src/; each links its folder's library and those beneath, so an upward call does not link.
UNIT_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
UNIT_BASE = libbase.la $(CMOCKA_LIBS)
UNIT_WIRE = libwire.la $(UNIT_BASE)
UNIT_FIBER = libfiber.la $(UNIT_BASE)
UNIT_LOOP = libloop.la $(UNIT_FIBER)
UNIT_REQUEST = librequest.la libwire.la $(UNIT_FIBER)
UNIT_FRONT = libfront.la librequest.la libwire.la $(UNIT_LOOP)
UNIT_BACK = libback.la $(UNIT_LOOP)
UNIT_APP = libapp.la libback.la libfront.la librequest.la libwire.la $(UNIT_LOOP)
UNIT_SERVER = libserver.la $(UNIT_APP)

include $(top_srcdir)/tests/unit/base.mk
include $(top_srcdir)/tests/unit/wire.mk
include $(top_srcdir)/tests/unit/fiber.mk
include $(top_srcdir)/tests/unit/loop.mk
include $(top_srcdir)/tests/unit/request.mk
include $(top_srcdir)/tests/unit/front.mk
include $(top_srcdir)/tests/unit/back.mk
include $(top_srcdir)/tests/unit/back_sql.mk
include $(top_srcdir)/tests/unit/app.mk
include $(top_srcdir)/tests/unit/server.mk
include $(top_srcdir)/tests/unit/gate.mk
include $(top_srcdir)/tests/unit/cli.mk
include $(top_srcdir)/tests/fuzz/local.mk
include $(top_srcdir)/tests/scenario/local.mk
include $(top_srcdir)/tests/rows/local.mk
include $(top_srcdir)/tests/man/local.mk
include $(top_srcdir)/tests/support/local.mk
include $(top_srcdir)/tests/bench/local.mk
