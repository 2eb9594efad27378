# SPDX-License-Identifier: ISC
"""All that is measured, in the order in which it is shown."""
from .ours import Floor, WeftProbe, WeftServer, WeftTcp
from .peers_fastcgi import Go, Libfcgi, PhpFpm
from .peers_http import Front, Kore, NginxLua

SUBJECTS = (Floor, WeftServer, WeftTcp, WeftProbe, Libfcgi, PhpFpm, Go, NginxLua, Kore)

# What the others are divided by: the least that is possible, and ourselves.
BASE = Floor.name
UNIT = WeftServer.name


def choose(names):
    """The classes of these names; of no names all.  Raises KeyError for a name that is none."""
    by_name = {kind.name.lower(): kind for kind in SUBJECTS}
    return [by_name[name.lower()] for name in names] if names else list(SUBJECTS)


def missing(kinds, cases):
    """The packages that are not installed and that these need."""
    fronts = [Front] if any(case.is_fronted for case in cases) else []
    return sorted({package for kind in [*kinds, *fronts] for package in kind.missing()})
