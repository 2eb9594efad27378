# SPDX-License-Identifier: ISC
"""The rows of the wire: what a FastCGI responder must do, byte for byte."""
