# SPDX-License-Identifier: ISC
"""B01 to B24: the inputs that broke other implementations."""
