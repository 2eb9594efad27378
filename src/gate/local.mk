# gate: tiny, and on its own: it links none of the layers.  It has a compiler of
# its own (configure --with-gate-cc): a static program against a small libc
# takes a tenth of the memory, and there is one gate for each waiting request.
bin_PROGRAMS += weft-gate
weft_gate_SOURCES = src/gate/gate.c \
	src/gate/answer.c src/gate/answer.h \
	src/gate/carry.c src/gate/carry.h \
	src/gate/control.c src/gate/control.h \
	src/gate/params.c src/gate/params.h
weft_gate_CFLAGS = $(BASE_CFLAGS) $(GATE_CFLAGS)
weft_gate_LDFLAGS = $(SANITIZE_CFLAGS) $(GATE_LDFLAGS)
weft_gate_LINK = $(GATE_CC) $(BASE_CFLAGS) $(CFLAGS) $(weft_gate_LDFLAGS) -o $@
$(weft_gate_OBJECTS): CC = @GATE_CC@
