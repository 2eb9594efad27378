# The public headers: all that a handler may include.
weftincludedir = $(includedir)/weft
weftinclude_HEADERS = \
	src/include/weft/rc.h \
	src/include/weft/weft.h
