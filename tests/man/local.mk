# What keeps the manual, the headers and the layers true.
MAN_TESTS = \
	tests/man/lint tests/man/symbols tests/man/examples \
	tests/man/headers tests/man/layers tests/man/config
dist_check_SCRIPTS = $(MAN_TESTS)
TESTS += $(MAN_TESTS)
EXTRA_DIST += tests/man/page.py
