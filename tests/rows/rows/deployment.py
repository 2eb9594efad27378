# SPDX-License-Identifier: ISC
"""B30 to B37: processes and deployment."""
