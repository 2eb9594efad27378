# script: what a clone is used with
EXTRA_DIST += script/bench script/bootstrap script/limits script/server script/soak script/test
