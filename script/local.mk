# script: what a clone is used with
EXTRA_DIST += script/bootstrap script/server script/test
