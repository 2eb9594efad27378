# SPDX-License-Identifier: ISC
"""The scenario harness: real servers around a real weft."""
