# SPDX-License-Identifier: ISC
"""The scenarios; one file for each thing that they are about."""
