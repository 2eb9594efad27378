# gate: tiny, and on its own: it links none of the layers.
bin_PROGRAMS += weft-gate
weft_gate_SOURCES = src/gate/gate.c
