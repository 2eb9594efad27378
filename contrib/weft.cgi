#!/bin/sh
# What CGI configurations run.  The path of weft's control socket comes from
# here, for what is on a CGI program's command line comes from the client.
WEFT_CONTROL="@RUN@/control.sock" exec "@GATE@"
