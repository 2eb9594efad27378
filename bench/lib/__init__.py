# SPDX-License-Identifier: ISC
"""The bench: cases that are asked of subjects, and what is made of the figures."""
