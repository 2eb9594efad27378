# SPDX-License-Identifier: ISC
"""What weft does at its limits: each file measures one kind of trouble, in full or scaled down (SMALL)."""
